"""Which incidents people see as one: those of a device that flaps, and those of a mass outage. Jobs for a transaction.

An incident is of one outage. One that begins within `QUIET` after the last one of its device ended is part of that one;
those of one engine, gateway or business that began together are parts of their first one, where they are so many that
an alert would tell of them as one. A part is no line of its own; the first one, the head, stands for all. What is found
to be no incident leaves its head. Every step may be done twice.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from exporter.alerting.alert import SUBJECT_LABELS
from exporter.alerting.mass_counts import MASS_KINDS, TOGETHER
from exporter.domain.identity import BUILT_IN_GATEWAY
from exporter.incidents.model import CORRECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from exporter.incidents.model import Open
    from exporter.journal.port import Transaction

QUIET: Final = 1800
"""Seconds."""
SCOPES: Final = {SUBJECT_LABELS[name]: kind for name, kind in MASS_KINDS.items()}
"""What devices of a mass outage share, and how many make one, in the order in which alerts are judged."""
_AT_ONCE: Final = 500


class _Mine(NamedTuple):
    number: int
    part_of: int | None
    shared: str


def fold(transaction: Transaction, opened: Iterable[Open], sizes: Callable[[str, str], int]) -> None:
    """Put incidents that were opened where they belong; `sizes` says how many devices share a value of a scope."""
    sizes = cache(sizes)
    for step in opened:
        mine = _find(transaction, step)
        if mine is None or mine.shared:
            continue
        if any(_together(transaction, step, mine, scope, sizes) for scope in SCOPES) or mine.part_of is not None:
            continue
        before = _before(transaction, step)
        if before is not None:
            transaction.run("UPDATE incident SET part_of = ? WHERE number = ?", (before, mine.number))


def leave(transaction: Transaction, number: int) -> None:
    """Take an incident out of its group; if it was the head, another one is."""
    head = _next_head(transaction, number)
    if head is not None:
        transaction.run("UPDATE incident SET part_of = ? WHERE part_of = ?", (head, number))
        transaction.run("UPDATE incident SET part_of = NULL WHERE number = ?", (head,))
    transaction.run("UPDATE incident SET part_of = NULL, shared = '' WHERE number = ?", (number,))


def tidy(transaction: Transaction) -> None:
    """Give groups whose head was deleted a new one."""
    gone = "SELECT DISTINCT part_of FROM incident WHERE part_of NOT IN (SELECT number FROM incident)"
    for (number,) in transaction.rows(gone):
        leave(transaction, number)


def _find(transaction: Transaction, step: Open) -> _Mine | None:
    query = "SELECT number, part_of, shared FROM incident WHERE device_id = ? AND outage = ? AND resolution <> ?"
    rows = transaction.rows(query, (step.device_id, step.outage, CORRECTED))
    return _Mine(*rows[0]) if rows else None


def _before(transaction: Transaction, step: Open) -> int | None:
    """Return the head of the device's incident that this one goes on with."""
    rows = transaction.rows(
        "SELECT COALESCE(part_of, number) FROM incident WHERE device_id = ? AND outage < ? AND resolution <> ? "
        "AND shared = '' AND (resolved_at IS NULL OR resolved_at >= ?) ORDER BY outage DESC LIMIT 1",
        (step.device_id, step.outage, CORRECTED, step.outage - QUIET),
    )
    return rows[0][0] if rows else None


def _next_head(transaction: Transaction, number: int) -> int | None:
    """Return which part of a head is one after it: the first flap, or of a mass outage the one in the middle.

    What was no mass outage after all is left by its devices one by one in the order of their numbers. With the next one
    as head all others would be moved each time.
    """
    [(count, first, shared)] = transaction.rows(
        "SELECT COUNT(*), MIN(number), MAX(shared) FROM incident WHERE part_of = ?", (number,)
    )
    if not shared:
        return first  # type: ignore[no-any-return]
    middle = "SELECT number FROM incident WHERE part_of = ? ORDER BY number LIMIT 1 OFFSET ?"
    return transaction.rows(middle, (number, count // 2))[0][0]  # type: ignore[no-any-return]


def _together(transaction: Transaction, step: Open, mine: _Mine, scope: str, sizes: Callable[[str, str], int]) -> bool:
    """Make an incident, and all that began with it, one mass outage where they are enough; return whether it is."""
    value = getattr(step.identity, scope)
    if not value or value == BUILT_IN_GATEWAY:
        return False
    if _are_enough(transaction, step, scope, sizes):
        _join(transaction, step, scope)
        return True
    running = _running(transaction, scope, value)
    if running is None:
        return False
    _become(transaction, [mine.number], running, scope)
    return True


def _running(transaction: Transaction, scope: str, value: str) -> int | None:
    """Return the head of the first mass outage of a value that still has as many open incidents as make one.

    Its members stand beside each other in an index, so that a look at the first few is enough, however many there are;
    outages of which only a few are still open are passed by.
    """
    least, head = SCOPES[scope].devices, 0
    while True:
        heads = transaction.rows(
            f"SELECT COALESCE(part_of, number) FROM incident WHERE {scope} = ? AND shared = '{scope}' "  # noqa: S608 - constants
            f"AND resolved_at IS NULL AND COALESCE(part_of, number) >= ? ORDER BY 1 LIMIT {least}",
            (value, head),
        )
        if len(heads) < least:
            return None
        if heads[0] == heads[-1]:
            return heads[0][0]  # type: ignore[no-any-return]
        head = heads[-1][0]


def _are_enough(transaction: Transaction, step: Open, scope: str, sizes: Callable[[str, str], int]) -> bool:
    """Whether as many devices as make a mass outage went down about when one did."""
    kind = SCOPES[scope]
    near = _count_near(transaction, step, scope, kind.together or kind.devices)
    if near < kind.devices:
        return False
    if kind.together and near >= kind.together:
        return True  # whatever their share, for which the whole fleet is looked at
    enough = max(kind.devices, math.ceil(kind.share * sizes(scope, getattr(step.identity, scope))))
    return _count_near(transaction, step, scope, enough) >= enough


def _count_near(transaction: Transaction, step: Open, scope: str, most: int) -> int:
    """Return how many devices went down about when one did, counted up to `most`: in a mass outage all of them did."""
    limit = 2 * most  # a device may have had several outages
    while True:
        rows = _near(transaction, step, scope, "device_id", f"LIMIT {limit}")
        count = len({device_id for (device_id,) in rows})
        if count >= most or len(rows) < limit:
            return count
        limit *= 4


def _join(transaction: Transaction, step: Open, scope: str) -> None:
    """Let what went down about when one did, and is in no mass outage yet, be parts of one head."""
    members = [number for (number,) in _near(transaction, step, scope, "number", "AND shared = ''")]
    heads = _near(
        transaction, step, scope, "COALESCE(part_of, number)", f"AND shared = '{scope}' ORDER BY started_at LIMIT 1"
    )
    if heads:
        head = heads[0][0]
    elif members:
        head = min(members)
        leave(transaction, head)
        transaction.run("UPDATE incident SET shared = ? WHERE number = ?", (scope, head))
    else:  # all near ones are part of another kind
        return
    _become(transaction, [number for number in members if number != head], head, scope)


def _near(transaction: Transaction, step: Open, scope: str, columns: str, rest: str) -> list[tuple[Any, ...]]:
    return transaction.rows(
        f"SELECT {columns} FROM incident WHERE {scope} = ? AND started_at BETWEEN ? AND ? AND resolution <> ? {rest}",  # noqa: S608 - constants
        (getattr(step.identity, scope), step.outage - TOGETHER, step.outage + TOGETHER, CORRECTED),
    )


def _become(transaction: Transaction, members: Sequence[int], head: int, scope: str) -> None:
    """Make incidents parts of a head."""
    for begin in range(0, len(members), _AT_ONCE):
        numbers = members[begin : begin + _AT_ONCE]
        places = ", ".join("?" * len(numbers))
        for (number,) in transaction.rows(
            f"SELECT DISTINCT part_of FROM incident WHERE part_of IN ({places})",  # noqa: S608 - constants
            numbers,
        ):
            leave(transaction, number)  # the flaps before are no part of the mass outage
        transaction.run(
            f"UPDATE incident SET part_of = ?, shared = ? WHERE number IN ({places})",  # noqa: S608 - constants
            (head, scope, *numbers),
        )
