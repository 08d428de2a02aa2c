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

import psycopg
import pytest

from tests.patience import wait_for
from tests.ports import LOOPBACK, free_port
from tests.tools import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USER: Final = "postgres"
ROOT: Final = os.geteuid() == 0
QUICK: Final = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "16MB", "max_connections": "60"}
"""Settings of a server that nobody pulls the plug of."""


@cache
def binaries() -> Path:
    """Return the folder of PostgreSQL's programs; without it the calling test is skipped, or fails when `CI=true`."""
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    found = [path for path in (*reversed(known), *map(Path, os.get_exec_path())) if (path / "initdb").exists()]
    if found:
        return found[0]
    reason = "PostgreSQL is missing: install its server's package"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


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
        self.settings |= {"unix_socket_directories": str(self.folder), "max_wal_size": "256MB"}

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
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 STRATEGY file_copy")
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


@contextmanager
def bouncer(cluster: Cluster) -> Iterator[Callable[[str], str]]:
    """Run PgBouncer in transaction mode, with few connections, before a server; give what turns URLs into its own."""
    program, port = require("pgbouncer"), free_port()
    settings = {
        "listen_addr": LOOPBACK,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": 4,
        "logfile": cluster.folder / "pgbouncer.log",
    }
    lines = [f"* = host={LOOPBACK} port={cluster.port} user={USER}", "[pgbouncer]"]
    lines += [f"{name} = {value}" for name, value in settings.items()]
    file = cluster.folder / "pgbouncer.ini"
    file.write_text("\n".join(["[databases]", *lines, ""]))
    running = subprocess.Popen(
        [program, "-q", file], user=USER if ROOT else None, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def through(url: str) -> str:
        return url.replace(f":{cluster.port}/", f":{port}/")

    def answers() -> bool:
        assert running.poll() is None, (cluster.folder / "pgbouncer.log").read_text()
        with closing(socket.socket()) as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    try:
        wait_for(answers, "PgBouncer takes connections")
        yield through
    finally:
        running.terminate()
        running.wait(10)
