"""The bytes of sample lines and family headers, pure.

Sample lines are the same in text format 0.0.4 and OpenMetrics 1.0; only headers differ. Everything here is byte for
byte what prometheus_client 0.26 writes: labels sorted by name, values as Go prints floats.

A sample line is three pieces, `name`, `labels` and `tail`, so that one labels object serves all families of a device.
A tail is a space, the value and the end of the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from prometheus_client.utils import floatToGoString

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

END: Final = b"# EOF\n"
"""The last line of OpenMetrics; text format 0.0.4 has none."""

_SMALL: Final = {n: b" %d.0\n" % n for n in range(1024)}
_EXPONENT_FROM: Final = 1_000_000  # Go's %g turns to exponents here, Python's repr only at 1e16


class Family(NamedTuple):
    """Name, type and help of a metric family; a counter's name ends in `_total`."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    help: str

    def header(self, *, openmetrics: bool) -> bytes:
        """Return the HELP and TYPE lines. OpenMetrics names a counter's family without `_total` and quotes `"`."""
        name, text = self.name, self.help.replace("\\", r"\\").replace("\n", r"\n")
        if openmetrics:
            name, text = name.removesuffix("_total") if self.type == "counter" else name, text.replace('"', r"\"")
        return f"# HELP {name} {text}\n# TYPE {name} {self.type}\n".encode()


def label_writer(names: Sequence[str]) -> Callable[[tuple[str, ...]], bytes]:
    """Return a function from label values, in the order of `names`, to `{name="value",…}`; `names` must be sorted."""
    if list(names) != sorted(names):
        raise ValueError("label names must be sorted")
    template = "{" + ",".join(f'{name}="%s"' for name in names) + "}"
    quotes = 2 * len(names)

    def write(values: tuple[str, ...]) -> bytes:
        text = template % values
        # One look at the whole line tells that no value needs escaping, which is nearly always so.
        if text.count('"') != quotes or "\\" in text or "\n" in text:
            text = template % tuple(map(_escape, values))
        return text.encode("utf-8", "replace")

    return write


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def tail(value: float) -> bytes:
    """Return the end of a sample line with a value."""
    small = _SMALL.get(value)  # type: ignore[call-overload]
    if small is not None:
        return small  # type: ignore[no-any-return]
    text = repr(float(value)) if 0 <= value < _EXPONENT_FROM else floatToGoString(value)  # type: ignore[no-untyped-call]
    return b" %b\n" % text.encode()


def tail_of_timestamp(seconds: int) -> bytes:
    """Return the end of a sample line with whole Unix seconds; the fast path covers the years 2001 to 2286."""
    if not 10**9 < seconds < 10**10:
        return tail(seconds)
    # Ten digits: the quotient prints exactly, and prints the mantissa.
    return b" %ae+09\n" % (seconds / 1e9)


def tail_of_seconds(seconds: float) -> bytes:
    """Return the end of a sample line with seconds, rounded to milliseconds."""
    return tail(round(seconds, 3))
