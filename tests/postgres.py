"""
A PostgreSQL server of the tests' own, made by `initdb` in a folder of its own, as user postgres where we are root.

Without PostgreSQL on the machine a test that asks for it is skipped with a reason, and fails when `CI=true`.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import closing, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.patience import wait_for
from tests.ports import LOOPBACK, free_port
from tests.tools import require

if TYPE_CHECKING:
    from collections.abc import Iterator

USER: Final = "postgres"
ROOT: Final = os.geteuid() == 0
QUICK: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_wal_size": "256MB",
    "max_connections": "60",
}
"""Settings of a server that nobody pulls the plug of."""


@cache
def binaries() -> Path:
    """Return the folder of PostgreSQL's programs; without it the calling test is skipped, or fails when `CI=true`.

    `POSTGRES_BIN` in the environment names it; else the newest of Debian's, else the first on the path is taken.
    """
    if given := os.environ.get("POSTGRES_BIN"):
        return Path(given)
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = [path for path in (*reversed(known), *map(Path, os.get_exec_path())) if (path / "initdb").exists()]
    if found:
        return found[0]
    reason = "PostgreSQL is missing: install its server's package"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@cache
def version() -> int:
    """Return the major version of those programs."""
    return int(run(binaries() / "postgres", "--version").split()[2].partition(".")[0])


def run(*command: str | Path, **more: str) -> str:
    """Run a program as the servers' user and return what it prints."""
    user = USER if ROOT else None
    done = subprocess.run(
        command, user=user, capture_output=True, text=True, cwd="/", env={**os.environ, **more}, check=False
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr or done.stdout}"
    return done.stdout


class Cluster:
    """A server. `settings` go over `QUICK`; use `stop` and `start` as often as you like, and `remove` at the end."""

    def __init__(self, parent: Path | None = None, **settings: str) -> None:
        """`parent`: where its folder is made, on another disk than that of temporary files."""
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-", dir=parent))
        self.data = self.folder / "data"
        self.port = free_port()
        self._names = count(1)
        self._process: subprocess.Popen[bytes] | None = None
        if ROOT:
            shutil.chown(self.folder, USER)
            if parent is not None:
                parent.chmod(0o755)
        self.settings = {**QUICK, **settings, "port": str(self.port), "listen_addresses": LOOPBACK}
        self.settings["unix_socket_directories"] = str(self.folder)

    def make(self) -> None:
        """Make an empty server; everybody of this machine is trusted but the role `asks`, who needs a password."""
        run(binaries() / "initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync", "--no-locale")
        access = self.data / "pg_hba.conf"
        access.write_text("host all asks 127.0.0.1/32 scram-sha-256\n" + access.read_text())

    def start(self, *, wait: bool = True) -> None:
        """Start it, and wait until it takes connections."""
        options = [option for name, value in self.settings.items() for option in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [binaries() / "postgres", "-D", self.data, *options],
                user=USER if ROOT else None,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            wait_for(self.answers, "PostgreSQL takes connections", 30, shows=self.log, every=0.02)

    @property
    def pid(self) -> int:
        """The server's first process."""
        assert self._process is not None
        return self._process.pid

    def processor_time(self) -> float:
        """Return the seconds of processor time that all its processes have taken so far."""
        ticks = 0
        for place in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # one that has just ended
                fields = place.read_text().rpartition(")")[2].split()
                if int(place.parent.name) == self.pid:
                    ticks += sum(map(int, fields[11:15]))  # those that have ended among them
                elif int(fields[1]) == self.pid:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def log(self) -> str:
        """Return the end of what the server says."""
        return (self.folder / "log").read_text()[-2000:]

    def answers(self) -> bool:
        """Return whether it takes connections."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            psycopg.connect(self.url(USER)).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT as an administrator does, SIGQUIT without a checkpoint, SIGKILL as a power cut does."""
        if self._process is None:
            return
        if how == signal.SIGKILL:
            _kill_children(self._process.pid)
        self._process.send_signal(how)
        self._process.wait(30)
        self._process = None

    def remove(self) -> None:
        """End it and delete its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, *, user: str = USER) -> str:
        """Return the URL of a database."""
        return f"postgresql://{user}@{LOOPBACK}:{self.port}/{database}"

    def database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{next(self._names)}"
        quick = "STRATEGY file_copy" if version() >= 15 else ""  # which is the only one before
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {quick}")
        return self.url(name)

    def execute(self, *statements: str, database: str = USER) -> None:
        """Run statements as the administrator."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


def _kill_children(pid: int) -> None:
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    for child in children:
        with suppress(ProcessLookupError):  # the first one's death is the others'
            os.kill(int(child), signal.SIGKILL)


@contextmanager
def own_cluster(parent: Path | None = None, **settings: str) -> Iterator[Cluster]:
    """Give a running server to one who may end it; see `Cluster` for the arguments."""
    cluster = Cluster(parent, **settings)
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@cache
def shared_cluster() -> Cluster:
    """Return a running server that the tests of this process have in common; `end_shared_cluster` removes it."""
    cluster = Cluster()
    try:
        cluster.make()
        cluster.start()
    except BaseException:
        cluster.remove()
        raise
    return cluster


def end_shared_cluster() -> None:
    """Remove the common server, if there is one."""
    if shared_cluster.cache_info().currsize:
        shared_cluster().remove()
        shared_cluster.cache_clear()


class Bouncer:
    """PgBouncer in transaction mode, with few connections, before a server."""

    def __init__(self, server: Cluster, address: str = LOOPBACK) -> None:
        self._folder = server.folder
        self._place = f"{address}:{free_port()}"
        self._server = server
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        program = require("pgbouncer")
        self._configure()
        self._process = subprocess.Popen(
            [program, "-q", self._folder / "pgbouncer.ini"],
            user=USER if ROOT else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers, "PgBouncer takes connections", shows=(self._folder / "pgbouncer.log").read_text)

    def through(self, url: str) -> str:
        """Return the URL of a server's database that leads through here."""
        parts = urlsplit(url)
        return f"postgresql://{parts.username}@{self._place}{parts.path}"

    def turn_to(self, server: Cluster) -> None:
        """Lead to another server, as what promotes a standby makes it do."""
        assert self._process is not None
        self._server = server
        self._configure()
        self._process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)

    def _configure(self) -> None:
        address, _, port = self._place.partition(":")
        settings = {
            "listen_addr": address,
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": "transaction",
            "default_pool_size": 4,
            "server_login_retry": 1,
            "logfile": self._folder / "pgbouncer.log",
        }
        lines = [f"* = host={LOOPBACK} port={self._server.port} user={USER}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self._folder / "pgbouncer.ini").write_text("\n".join(["[databases]", *lines, ""]))

    def _answers(self) -> bool:
        assert self._process is not None
        address, _, port = self._place.partition(":")
        with closing(socket.socket()) as probe:
            return self._process.poll() is None and probe.connect_ex((address, int(port))) == 0


@contextmanager
def bouncer(server: Cluster, address: str = LOOPBACK) -> Iterator[Bouncer]:
    """Give a running PgBouncer before a server."""
    found = Bouncer(server, address)
    try:
        found.start()
        yield found
    finally:
        found.stop()
