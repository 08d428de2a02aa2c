"""
Exporters as copies of a process that has imported them: of a start by hand nine tenths are imports, again each time.

What runs is the same command in a process of its own, which is signalled and ends as any other; only its name in
the list of processes is another one.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence
    from multiprocessing.connection import Connection

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["uvloop", "exporter.cli.serve", "exporter.journal.sqlite.storage"])


def _run(arguments: Sequence[str], variables: Mapping[str, str], errors: Connection) -> None:
    os.dup2(errors.fileno(), 2)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - as long as it lives
    os.environ.clear()
    os.environ.update(variables)
    from exporter.cli.main import main  # noqa: PLC0415 - here, where it is there already

    sys.exit(main(arguments))


class Forked:
    """`device-exporter ARGUMENTS`: as much of `subprocess.Popen` as tests need, with its standard error as a pipe."""

    def __init__(self, arguments: Sequence[str], variables: Mapping[str, str]) -> None:
        reader, writer = _SERVER.Pipe(duplex=False)
        with reader, writer:
            self._process = _SERVER.Process(target=_run, args=(list(arguments), dict(variables), writer), daemon=True)
            self._process.start()
            self.stderr = open(os.dup(reader.fileno()), encoding="utf-8")  # noqa: PTH123, SIM115 - a pipe, closed by who reads
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the same."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Return the exit status once it has ended. subprocess.TimeoutExpired."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("device-exporter", timeout)
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        """Signal it, if it runs."""
        if self.returncode is None:
            os.kill(self.pid, number)
