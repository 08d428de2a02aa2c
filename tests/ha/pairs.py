"""Two PostgreSQL servers, one the standby of the other, that a test promotes; a disk for one that can be full."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.patience import wait_for
from tests.ports import LOOPBACK
from tests.postgres import ROOT, USER, Cluster, binaries, run

if TYPE_CHECKING:
    from collections.abc import Iterator

STANDBY = "standby"


class Pair:
    """A primary that takes writes and its standby; `synchronous`: nothing is committed before the standby has it."""

    def __init__(self, *, synchronous: bool) -> None:
        wanted = {"synchronous_standby_names": STANDBY} if synchronous else {}
        self.primary = Cluster(**wanted)
        self.standby = Cluster()

    def start(self) -> None:
        """Make and start both; wait until the standby follows."""
        names = self.primary.settings.pop("synchronous_standby_names", None)
        self.primary.make()
        self.primary.start()
        self.primary.execute("CREATE DATABASE exporter")
        run(
            binaries() / "pg_basebackup",
            *("-D", str(self.standby.data), "-h", LOOPBACK, "-p", str(self.primary.port)),
            *("-U", USER, "--checkpoint=fast", "--no-sync", "-X", "stream", "--write-recovery-conf"),
        )
        source = f"host={LOOPBACK} port={self.primary.port} user={USER} application_name={STANDBY}"
        self.standby.settings["primary_conninfo"] = source
        self.standby.settings["hot_standby"] = "on"
        self.standby.start()
        if names is not None:
            self.primary.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")
        wanted = "sync" if names is not None else "async"
        state = f"SELECT 1 / count(*) FROM pg_stat_replication WHERE sync_state = '{wanted}'"
        wait_for(lambda: self._holds(state), "the standby follows", 20, every=0.05)

    def _holds(self, query: str) -> bool:
        try:
            self.primary.execute(query)
        except psycopg.Error:
            return False
        return True

    def promote(self) -> None:
        """Let the standby take writes; wait until it does."""
        run(binaries() / "pg_ctl", "promote", "-D", self.standby.data, "-s")

    @property
    def url(self) -> str:
        """The URL that names both; whoever takes writes is used."""
        hosts = ",".join(f"{LOOPBACK}:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://{USER}@{hosts}/exporter?target_session_attrs=read-write"

    def remove(self) -> None:
        """End both and delete their folders."""
        self.primary.remove()
        self.standby.remove()


def processes_of(first: int) -> list[int]:
    """Return a server's first process and all that it has started."""
    found = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=False).stdout.split()
    return [first, *map(int, found)]


@contextmanager
def pair(*, synchronous: bool) -> Iterator[Pair]:
    """Give a running pair."""
    found = Pair(synchronous=synchronous)
    try:
        found.start()
        yield found
    finally:
        found.remove()


class SmallDisk:
    """A file system in memory of so many MiB."""

    def __init__(self, size: int) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="disk-"))
        self._size = size

    def mount(self) -> None:
        """Make it; needs root."""
        options = f"size={self._size}m"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", self.place], check=True, capture_output=True, text=True
        )

    def fill(self) -> None:
        """Leave no room on it."""
        with suppress(OSError), (self.place / "rest").open("wb", buffering=0) as file:
            while file.write(b"\0" * 65536):
                pass

    def free(self) -> None:
        """Undo `fill`."""
        (self.place / "rest").unlink()

    def remove(self) -> None:
        """Unmount it."""
        subprocess.run(["umount", self.place], check=False, capture_output=True)
        self.place.rmdir()


@contextmanager
def small_disk(size: int) -> Iterator[SmallDisk]:
    """Give a small disk; without root, or where nothing can be mounted, the test is skipped."""
    if not ROOT:
        pytest.skip("a small disk needs root")
    found = SmallDisk(size)
    try:
        try:
            found.mount()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no disk can be mounted here: {error.stderr.strip()}")
        yield found
    finally:
        found.remove()
