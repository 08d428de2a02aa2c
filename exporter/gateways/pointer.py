"""JSON pointers (RFC 6901), compiled once: the only way in which a mapping reaches into a body. Pure."""

from __future__ import annotations

from typing import Any

Pointer = tuple[str, ...]


def compile_pointer(text: str) -> Pointer:
    """Return the steps of a pointer such as `/data/state`. Raises ValueError with a message for people."""
    if not text.startswith("/"):
        raise ValueError(f"expected a pointer such as /data/state, got {text[:40]!r}")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))


def find(value: Any, pointer: Pointer) -> Any:  # noqa: ANN401 - any JSON value
    """Return what is at a pointer; None where nothing is."""
    for step in pointer:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isascii() and step.isdigit() and int(step[:9]) < len(value):
            value = value[int(step[:9])]
        else:
            return None
    return value


def text_at(value: Any, pointers: tuple[Pointer, ...]) -> str:  # noqa: ANN401
    """Return the first scalar that is not empty, as text (`true`, `401`); "" where there is none."""
    for pointer in pointers:
        found = find(value, pointer)
        if isinstance(found, bool):
            return "true" if found else "false"
        if isinstance(found, (str, int)) and found != "":
            return str(found)
    return ""
