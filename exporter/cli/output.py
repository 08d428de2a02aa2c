"""The one place where commands write.

A reader that goes away (`| head -1`) ends a command quietly, a full disk ends it with one sentence and status 1, and
letters that the terminal's charset lacks are replaced.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO, Final

import msgspec

from exporter.errors import ConfigError, ExporterError
from exporter.lib.times import local, zone_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

CLOSED: Final = 141
"""The exit status of what the shell ends by SIGPIPE."""
_STDOUT: Final = "standard output"


class OutputFailed(ExporterError):
    """What a command has to say cannot be written."""

    code = "output"


def guarded(run: Callable[[], int]) -> int:
    """Run a command with the promises of this module; return its exit status."""
    _tolerate_any_letter()
    try:
        try:
            return run()
        finally:
            with _writing(_STDOUT):
                sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        return CLOSED
    except ExporterError as error:
        if isinstance(error, OutputFailed):
            _abandon_stdout()
        for line in str(error).splitlines() or [error.code]:
            complain(f"device-exporter: {line}")
        return 2 if isinstance(error, ConfigError) else 1
    except UnicodeEncodeError:
        complain("device-exporter: the arguments are not text in UTF-8")
        return 2
    except KeyboardInterrupt:
        return 130


def say(text: str = "", *, end: str = "\n") -> None:
    """Write a text to standard output."""
    with _writing(_STDOUT):
        sys.stdout.write(text + end)


def say_json(value: object) -> None:
    """Write a value as JSON for programs."""
    say(msgspec.json.format(msgspec.json.encode(value)).decode())


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Write rows, the first of which is the head, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def complain(text: str) -> None:
    """Write a line to standard error; where nobody can read it, do nothing."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - what a command says to people


@contextmanager
def opened(path: Path | None) -> Iterator[BinaryIO]:
    """Open a file to write to; None or `-` is standard output. OutputFailed where it cannot be written."""
    with _writing(_STDOUT if path is None or str(path) == "-" else str(path)):
        if path is None or str(path) == "-":
            sys.stdout.flush()
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        else:
            with path.open("wb", buffering=1 << 20) as file:
                yield file


def local_time(at: float, zone: tzinfo) -> str:
    """Return a local date and time with its zone."""
    when = local(at, zone)
    return f"{when:%Y-%m-%d %H:%M:%S} {zone_name(when)}"


@contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputFailed(f"{what} cannot be written: {error.strerror or error}") from error


def _tolerate_any_letter() -> None:
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the command
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115 - for as long as we run
        elif isinstance(stream, io.TextIOWrapper):
            # argparse passes over a write that fails, so that it must be our flush that tries first.
            stream.reconfigure(errors="replace", write_through=name == "stderr")


def _abandon_stdout() -> None:
    """Let what is still buffered go nowhere, or the interpreter would try to write it once more at its end."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
