"""What fits into an SMS, and how names are made to fit. Pure.

Sizes follow 3GPP TS 23.038 and 23.040: a text of the GSM 7-bit alphabet has 160 septets in one message and 153 a part
when it is split; anything else is UCS-2 with 70 or 67 UTF-16 code units. Characters of the extension table cost two
septets. An escape sequence or a surrogate pair is never split over two parts.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

GSM_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION: Final = frozenset("\f^{}\\[~]|€")

LONGEST_NAME: Final = 60
"""Characters of a name that are shown at most."""
NAME_FLOOR: Final = 8
"""Names are not cut below this many characters while there is another way."""
UTMOST_FLOOR: Final = 5
CUT_MARK: Final = ".."  # the ellipsis character is not in the GSM alphabet: it would halve the room

_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys(map(chr, (0x2018, 0x2019, 0x201A, 0x201B, 0x60, 0xB4, 0x2BC, 0x2032)), "'"),
        **dict.fromkeys(map(chr, (0x201C, 0x201D, 0x201E, 0x201F, 0xAB, 0xBB, 0x2033)), '"'),
        **dict.fromkeys(map(chr, (*range(0x2010, 0x2016), 0x2212)), "-"),
        chr(0x2026): "...",
        **dict.fromkeys(map(chr, (0x2022, 0xB7)), "-"),
    }
)
"""Typewriter forms of quotes (among them the backtick), dashes, ellipsis and bullets."""
_JOINERS: Final = "\u200c\u200d"  # meaningful inside words of several scripts and inside emoji
_VARIATION: Final = "\ufe0e\ufe0f"


class Size(NamedTuple):
    """How an SMS centre counts a text. `units` are septets (gsm7) or UTF-16 code units (ucs2)."""

    encoding: str
    units: int
    parts: int


def measure(text: str) -> Size:
    """Count a text as an SMS."""
    gsm = GSM_BASIC.issuperset(text) or all(char in GSM_BASIC or char in GSM_EXTENSION for char in text)
    if gsm:
        costs = [1 + (char in GSM_EXTENSION) for char in text]
        return _packed("gsm7", costs, single=160, part=153)
    return _packed("ucs2", [1 + (char > "\uffff") for char in text], single=70, part=67)


def _packed(encoding: str, costs: list[int], *, single: int, part: int) -> Size:
    units = sum(costs)
    if units <= single:
        return Size(encoding, units, 1)
    parts, room = 1, part
    for cost in costs:
        if cost > room:
            parts, room = parts + 1, part
        room -= cost
    return Size(encoding, units, parts)


def plain(text: str, longest: int = LONGEST_NAME) -> str:
    """Return a name or summary on one line: composed, with typewriter quotes and dashes, nothing invisible.

    Letters are never transliterated. Control, private, unassigned and direction characters go, so that a name can
    neither start a new line nor turn the text around.
    """
    text = unicodedata.normalize("NFC", text[: 4 * longest]).translate(_PLAIN)
    kept = (char if char in _JOINERS or unicodedata.category(char)[0] not in "CZ" else _blank(char) for char in text)
    return shorten(" ".join("".join(kept).split()), longest)


def _blank(char: str) -> str:
    return " " if char.isspace() or unicodedata.category(char) in {"Cc", "Zs", "Zl", "Zp"} else ""


def without_symbols(text: str) -> str:
    """Return a name without emoji and other pictures: they say nothing and would halve the room of an SMS."""
    kept = (
        char
        for char in text
        if char in GSM_BASIC
        or char in GSM_EXTENSION
        or (char not in _VARIATION and unicodedata.category(char) not in {"So", "Sk", "Me"})
    )
    words = (word.strip(_JOINERS) for word in "".join(kept).split())
    return " ".join(word for word in words if word) or text


def shorten(name: str, limit: int) -> str:
    """Cut a name to `limit` characters, the mark included; never between a letter and its combining marks."""
    if len(name) <= limit:
        return name
    end = max(1, limit - len(CUT_MARK))
    while end > 1 and (_continues(name[end]) or name[end - 1] in _JOINERS):
        end -= 1
    return name[:end].rstrip(" .,-(") + CUT_MARK


def _continues(char: str) -> bool:
    return char in _JOINERS or char in _VARIATION or unicodedata.category(char)[0] == "M"


class Name(NamedTuple):
    """A part of a text that may be shortened. What is a plain `str` beside it is a fact, which may not."""

    text: str
    floor: int = NAME_FLOOR


Line = list["str | Name"]


def fit(variants: Sequence[Line], parts: int) -> str:
    """Return the fullest text that fits `parts` messages: the first variant, with the longest names, that does.

    `variants` are ordered from the fullest to the leanest. Pictures in names go first, then names are shortened to
    their floor, then the next variant is tried. Of the last one names shrink to the utmost; only facts that are too
    long by themselves are cut at the end.
    """
    whole = _compose(variants[0], _longest(variants[0]))
    if measure(whole).parts <= parts:
        return whole
    bare: Line = []
    for variant in variants:
        bare = [
            piece._replace(text=without_symbols(piece.text)) if isinstance(piece, Name) else piece for piece in variant
        ]
        if (text := _longest_fit(bare, parts)) is not None:
            return text
    smallest: Line = [Name(piece.text, UTMOST_FLOOR) if isinstance(piece, Name) else piece for piece in bare]
    return _longest_fit(smallest, parts) or _cut(_compose(smallest, UTMOST_FLOOR), parts)


def _longest_fit(line: Line, parts: int) -> str | None:
    floor = min((piece.floor for piece in line if isinstance(piece, Name)), default=0)
    low, high, best = floor, max(floor, _longest(line)), None
    while low <= high:
        middle = (low + high) // 2
        text = _compose(line, middle)
        if measure(text).parts <= parts:
            low, best = middle + 1, text
        else:
            high = middle - 1
    return best


def _longest(line: Line) -> int:
    return max((len(piece.text) for piece in line if isinstance(piece, Name)), default=0)


def _compose(line: Iterable[str | Name], limit: int) -> str:
    return "".join(shorten(piece.text, max(limit, piece.floor)) if isinstance(piece, Name) else piece for piece in line)


def _cut(text: str, parts: int) -> str:
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(shorten(text, middle)).parts <= parts:
            low = middle
        else:
            high = middle - 1
    return shorten(text, low)
