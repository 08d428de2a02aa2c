"""What the incidents of one device must be, given its outages. Pure: no clock, no I/O; times are Unix seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.incidents.model import CONNECTED, CORRECTED, FORGOTTEN, Close, Held, Merge, Move, Open, Reopen

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Sequence

    from exporter.domain.identity import Identity
    from exporter.domain.timeline import Outage
    from exporter.incidents.model import Step


def outage_of(instant: int, outages: Iterable[Outage]) -> Outage | None:
    """Return the outage that contains an instant: of two that meet there, the later one."""
    found = None
    for outage in outages:
        if outage.start <= instant and (outage.end is None or outage.end >= instant):
            found = outage
    return found


def resolution_of(incident: Held, end: float, due: float | None) -> str:
    """Return why an incident is over: whether its outage was long enough to have one at all."""
    return CONNECTED if end >= incident.opened_at or (due is not None and end >= due) else CORRECTED


def reconcile(
    identity: Identity,
    held: Sequence[Held],
    outages: Sequence[Outage],
    *,
    due: Callable[[int], float | None],
    fresh: Container[int],
    now: float,
    severity: str,
    facts: tuple[int | None, int | None] = (None, None),
) -> list[Step]:
    """Return the steps from the incidents that a device has to those that it must have.

    `due` says when an outage with this start opens an incident. A finished outage gets one if a time in `fresh` is its
    start or end: those of the events that came since incidents are kept. `facts` are the conversations affected by, and
    waiting in, the running outage.
    """
    steps: list[Step] = []
    shares: dict[int, tuple[Outage, list[Held]]] = {}
    for incident in held:
        outage = outage_of(incident.outage, outages)
        if outage is not None:
            shares.setdefault(outage.start, (outage, []))[1].append(incident)
        else:
            steps += abandon(identity.device_id, [incident], outages, now)
    for outage, sharing in shares.values():
        owner, *others = sorted(sharing, key=_rank)
        steps += _merge(identity.device_id, others, now)
        steps += _follow(identity.device_id, owner, outage, due(outage.start), now)
    for outage in outages:
        if outage.start in shares or not (outage.end is None or outage.start in fresh or outage.end in fresh):
            continue
        at = due(outage.start)
        if at is None or at > (now if outage.end is None else outage.end):
            continue
        affected, waiting = facts if outage.end is None else (None, None)
        steps.append(Open(identity, outage.start, now, severity, affected, waiting))
        if outage.end is not None:
            steps.append(Close(identity.device_id, outage.start, outage.end, CONNECTED, now))
    return steps


def _rank(incident: Held) -> tuple[bool, bool, int]:
    """Order incidents of one outage: the one to keep comes first."""
    return incident.resolved_at is not None, incident.resolution == CORRECTED, incident.outage


def _merge(device_id: str, others: Iterable[Held], now: float) -> list[Step]:
    """Return what closes incidents whose outage has another one. Two kinds in one second can make an outage of two."""
    return [
        Merge(device_id, incident.outage, incident.started_at, now)
        for incident in others
        if incident.resolved_at is None or incident.resolution == CONNECTED
    ]


def _follow(device_id: str, incident: Held, outage: Outage, due: float | None, now: float) -> list[Step]:
    """Return what brings one incident to where its outage is."""
    steps: list[Step] = []
    if outage.start != incident.started_at:
        steps.append(Move(device_id, incident.outage, outage.start, incident.started_at, now))
    if outage.end is None:
        if incident.resolved_at is not None:
            steps.append(Reopen(device_id, incident.outage, now))
    elif incident.resolution != FORGOTTEN and (steps or incident.resolved_at != outage.end):
        resolution = resolution_of(incident, outage.end, due)
        former_end = incident.resolved_at if incident.resolved_at != outage.end else None
        steps.append(Close(device_id, incident.outage, outage.end, resolution, now, former_end))
    return steps


def abandon(device_id: str, held: Iterable[Held], outages: Sequence[Outage], now: float) -> list[Step]:
    """Return the steps that close what is open of a device that was forgotten; its last outage ended with that."""
    steps: list[Step] = []
    for incident in held:
        if incident.resolved_at is None:
            outage = outage_of(incident.outage, outages)
            end = now if outage is None or outage.end is None else outage.end
            steps.append(Close(device_id, incident.outage, end, FORGOTTEN, now))
    return steps
