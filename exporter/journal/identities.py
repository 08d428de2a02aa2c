"""Identities as rows of the table `identity`, whatever the storage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from exporter.domain.identity import Identity

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = Identity.__struct_fields__
SELECTED: Final = ", ".join(f"i.{column}" for column in COLUMNS)
"""The columns of `identity i`, in the order of an Identity's fields."""


def shared(texts: Sequence[str]) -> Identity:
    """Return an identity that shares the strings which many devices have in common; a channel has one, as a rule.

    ValueError where one of them is no text, as a damaged storage gives it.
    """
    try:
        "".join(texts)  # asks all of them at once
    except TypeError:
        raise ValueError("an identity has a field that is no text") from None
    device_id, name, engine, channel_id, channel_name, *others = texts
    return Identity(device_id, name, sys.intern(engine), channel_id, channel_name, *map(sys.intern, others))
