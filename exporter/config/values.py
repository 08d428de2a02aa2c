"""Single values of the configuration: strict for what YAML gives, read by type for text from environment and flags.

Pure. Every function raises ValueError with a message that says what is allowed and shows no secret.
"""

# ruff: noqa: TRY004 - one error type for every value that is not allowed
from __future__ import annotations

from typing import Any

from exporter.config.schema import Secret
from exporter.lib.durations import parse_duration, parse_size


class Text(str):
    """A value from the environment or a flag, whose type only its key knows."""

    __slots__ = ()


def scalar(type_: Any, value: Any) -> Any:  # noqa: ANN401 - any type hint
    """Return a boolean, number or string."""
    if type_ is bool:
        return _boolean(value)
    if type_ is float:
        return _number(value)
    if type_ is int:
        return _whole(value)
    if not isinstance(value, str):
        raise ValueError(
            f"expected a string, got {kind(value) if type_ is Secret else _shown(value)}; put it in quotes"
        )
    return type_(value)


def choice(allowed: tuple[str, ...], value: Any) -> str:  # noqa: ANN401
    """Return one of the allowed words."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"expected one of {', '.join(allowed)}, got {_shown(value)}")
    return str(value)


def quantity(what: str, value: Any) -> float:  # noqa: ANN401
    """Return a "duration" in seconds or a "size" in bytes."""
    parse, example = (parse_duration, "5m") if what == "duration" else (parse_size, "64KiB")
    if type(value) is int and (value == 0 or (what == "size" and value > 0)):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected a {what} with its unit, such as {example}, got {_shown(value)}")
    return parse(value)


def kind(value: Any) -> str:  # noqa: ANN401
    """Return what a value is without showing it."""
    kinds = {dict: "keys and values", list: "a list", bool: "true or false", int: "a number", float: "a number"}
    return "nothing" if value is None else kinds.get(type(value), "a text")


def _boolean(value: Any) -> bool:  # noqa: ANN401
    if isinstance(value, Text) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise ValueError(f"expected true or false, got {_shown(value)}")
    return value


def _number(value: Any) -> float:  # noqa: ANN401
    if isinstance(value, (int, float, Text)) and not isinstance(value, bool):
        try:
            return float(value)
        except (ValueError, OverflowError):
            pass
    raise ValueError(f"expected a number, got {_shown(value)}")


def _whole(value: Any) -> int:  # noqa: ANN401
    if isinstance(value, Text) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if type(value) is not int:
        raise ValueError(f"expected a whole number, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return repr(str(value) if len(value) <= 60 else f"{value[:60]}…")
    return str(value)[:60] if isinstance(value, float) or (type(value) is int and abs(value) < 10**60) else kind(value)
