"""Waits for the disk without the interpreter: one `fdatasync` at a time, in a process of its own.

A thread would wait as well, but to hear of its work and to tell of its end it needs the interpreter twice a commit, and
a busy event loop gives that up late: commits and the loop's work would take turns instead of going on side by side.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Done = Callable[[OSError | None], None]

_PROGRAM: Final = Path(__file__).with_name("flusher_process.py")


class Syncer:
    """Flushes files, given by descriptor; one request at a time. A process that ended is started again."""

    def __init__(self, files: Sequence[int]) -> None:
        """Start the process; OSError if that cannot be done. Needs a running event loop."""
        self._files = list(files)
        self._loop = asyncio.get_running_loop()
        self._done: Done | None = None
        self._start()

    @property
    def pid(self) -> int:
        """The process, for those who account for its time and memory."""
        return self._process.pid

    def sync(self, index: int, done: Done) -> None:
        """Flush a file; then, from the loop, call `done` with None or with what failed. OSError: it could not begin."""
        if self._process.poll() is not None:
            self._stop()
            self._start()
        self._channel.send(bytes([index]))
        self._done = done

    def close(self) -> None:
        """End the process."""
        self._stop()

    def _start(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            try:
                numbers = [theirs.fileno(), *self._files]
                command = [sys.executable, "-I", "-S", str(_PROGRAM), *map(str, numbers)]
                self._process = subprocess.Popen(command, pass_fds=numbers, start_new_session=True)  # noqa: S603 - our own
            except OSError:
                self._channel.close()
                raise
        self._channel.setblocking(False)
        self._loop.add_reader(self._channel.fileno(), self._answered)

    def _stop(self) -> None:
        if self._channel.fileno() >= 0:
            self._loop.remove_reader(self._channel.fileno())
            self._channel.close()
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)  # it keeps nothing
        self._process.wait()

    def _answered(self) -> None:
        try:
            answer = self._channel.recv(1)
        except BlockingIOError:
            return
        except OSError:
            answer = b""
        error: OSError | None = None
        if not answer:
            error = OSError("the process that flushes the log ended")
            self._stop()
        elif answer[0]:
            error = OSError(answer[0], os.strerror(answer[0]))
        done, self._done = self._done, None
        if done is not None:
            done(error)
