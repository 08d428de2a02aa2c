"""Whether there is anything to be seen of a text. Pure."""

from __future__ import annotations

import re
from typing import Final

_SHOWN: Final = re.compile(
    "[^\\s\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Neither white space nor ignorable (Unicode's `Default_Ignorable_Code_Point`), nor the braille without dots."""


def shows(text: str) -> bool:
    """Return whether there is anything to be seen of a text: those of which there is not look alike everywhere."""
    return _SHOWN.search(text) is not None
