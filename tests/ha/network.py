"""A network namespace with one wire to this machine, in which the way to a server can be cut. Needs root."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.ports import LOOPBACK
from tests.postgres import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True)


class Network:
    """`host` and `guest` are the addresses of the two ends, `inside` the words that run a command in the namespace."""

    def __init__(self) -> None:
        self.name = f"ha{os.getpid()}"
        self.host, self.guest = "10.213.117.1", "10.213.117.2"
        self.inside = ("ip", "netns", "exec", self.name)
        self._rule: list[str] = []

    def make(self) -> None:
        """Make it."""
        wire = f"v{self.name}"
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", wire, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _run("ip", "address", "add", f"{self.host}/30", "dev", wire)
        _run("ip", "link", "set", wire, "up")
        for command in (f"address add {self.guest}/30 dev eth0", "link set eth0 up", "link set lo up"):
            _run("ip", "-n", self.name, *command.split())

    def cut(self, url: str) -> None:
        """Let nothing go from inside to a server's port, and tell nobody."""
        self._rule = ["OUTPUT", "-p", "tcp", "--dport", str(urlsplit(url).port), "-j", "DROP"]
        _run(*self.inside, "iptables", "-A", *self._rule)

    def heal(self) -> None:
        """Undo `cut`."""
        _run(*self.inside, "iptables", "-D", *self._rule)

    def remove(self) -> None:
        """Remove it with everything in it."""
        _run("ip", "link", "delete", f"v{self.name}", check=False)
        _run("ip", "netns", "delete", self.name, check=False)


@contextmanager
def network() -> Iterator[Network]:
    """Give a namespace; without root or without `ip` and `iptables` the test is skipped."""
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("iptables"):
        pytest.skip("a network namespace needs root, ip and iptables")
    found = Network()
    try:
        try:
            found.make()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespace can be made here: {error.stderr.decode().strip()}")
        yield found
    finally:
        found.remove()


@contextmanager
def served_at(host: str) -> Iterator[str]:
    """Run a server that takes connections from inside, too; give the URL of a database of it."""
    server = Cluster()
    try:
        server.make()
        server.settings["listen_addresses"] = f"{LOOPBACK},{host}"
        with (server.data / "pg_hba.conf").open("a") as file:
            file.write(f"host all all {host}/30 trust\n")
        server.start()
        yield server.database().replace(LOOPBACK, host)
    finally:
        server.remove()
