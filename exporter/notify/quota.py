"""How many texts a target gets within an hour. Pure: times are arguments, Unix seconds; a restart begins anew.

A text that is tried again counts once. When the limit is reached one text more says so; what follows is held back until
the first ones are an hour old.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

HOUR: Final = 3600.0


class Verdict(Enum):
    """What becomes of a text."""

    SEND = auto()
    SAY_SO = auto()
    """Say instead that the limit is reached."""
    HOLD = auto()


class Quota:
    """Of every target."""

    def __init__(self) -> None:
        self._texts: dict[str, dict[bytes, float]] = {}
        self._said: dict[str, bytes] = {}

    def judge(self, target: str, text: bytes, limit: int, now: float) -> Verdict:
        """Judge a text by its identity and count it; a limit of 0 is none."""
        if limit == 0:
            return Verdict.SEND
        texts = {known: at for known, at in self._texts.get(target, {}).items() if now - at < HOUR}
        self._texts[target] = texts
        if text in texts:
            return Verdict.SEND
        if len(texts) < limit:
            texts[text] = now
            self._said.pop(target, None)
            return Verdict.SEND
        return Verdict.SAY_SO if self._said.setdefault(target, text) == text else Verdict.HOLD

    def free_at(self, target: str) -> float:
        """Return when the next text can be sent."""
        return min(self._texts.get(target, {}).values(), default=-HOUR) + HOUR
