"""What one page shows at one moment, as data: read once, then drawn in every form and language.

Public by construction: nothing of a device gets in but its public name, its engine, its state and its days; nothing of
an incident but its times, its status and notes that somebody published.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from exporter.days.reading import read_days
from exporter.days.sums import Day, last_days, sum_of
from exporter.incidents.view import View
from exporter.lib.safe_text import one_line
from exporter.lib.times import zone_of
from exporter.status_pages.pairs import days_of_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from exporter.config.schema import StatusPage
    from exporter.domain.accounts import Device
    from exporter.domain.identity import Identity
    from exporter.domain.timeline import Timeline
    from exporter.incidents.model import Entry, Incident
    from exporter.journal.port import Reader
    from exporter.maintenance.repeated import Span
    from exporter.maintenance.windows import Window
    from exporter.report.groups import Pair

State = Literal["up", "down", "covered", "planned"]
Indicator = Literal["none", "minor", "major", "critical", "maintenance", "unknown"]
LONGEST_NAME: Final = 80
LONGEST_NOTE: Final = 1000
MOST_NOTES: Final = 10
MOST_INCIDENTS: Final = 200
PLANNED: Final = "planned"
"""What an incident that goes on is called while its device is in maintenance."""
AHEAD: Final = 7 * 86_400
"""Seconds for which planned windows are announced."""
DAY: Final = 86_400.0
_PHONE: Final = re.compile(r"\d(?:[\s.()-]{0,2}\d){6,}")


@dataclass(frozen=True)
class Component:
    """One device."""

    key: str
    """Stands for its id, which nobody outside learns."""
    name: str
    engine: str
    state: State
    since: int
    days: list[Day]
    objective: float
    counted_from: int
    """What it was before this time is not of this page: it was another business' then. 0: all is."""
    watched: tuple[Device, Timeline]
    """What it was made of."""

    @property
    def ratio(self) -> float | None:
        """Availability over its days; None where nothing was observed."""
        return ratio_of(self.days)


class PublicNote(NamedTuple):
    """What somebody published."""

    at: float
    text: str


@dataclass(frozen=True)
class PublicIncident:
    """One incident as everybody may see it. Times are Unix seconds."""

    key: str
    name: str
    started_at: int
    resolved_at: float | None
    status: str
    notes: list[PublicNote]
    """Newest first."""
    next_update_at: float | None = None
    """By when the newest note promised the next one; None: it did not, or it is over."""

    @property
    def updated_at(self) -> float:
        """When the newest of it happened."""
        return max([self.started_at, self.resolved_at or 0, *(note.at for note in self.notes)])

    @property
    def running(self) -> bool:
        """Whether it is an outage now: it goes on, and not inside a planned window."""
        return self.resolved_at is None and self.status != PLANNED


@dataclass(frozen=True)
class Picture:
    """The page at `at`, Unix seconds."""

    slug: str
    page: StatusPage
    at: float
    components: list[Component]
    incidents: list[PublicIncident]
    """Running ones first, then the newest first."""
    windows: list[tuple[Span, int]]
    """Planned times that run or come soon, and how many devices they are about."""
    together: list[Day]
    """The days of channels with a backup, each pair as one that is up while either is; empty: the page has none."""
    blind: bool = False
    """Whether what happened since `at` is not known."""

    @property
    def indicator(self) -> Indicator:
        """How bad it is."""
        states = [component.state for component in self.components]
        down, count = states.count("down"), len(states)
        if self.blind:
            return "unknown"
        if down:
            return "critical" if down == count else "major" if 2 * down >= count else "minor"
        if "covered" in states:
            return "minor"
        return "maintenance" if "planned" in states else "none"

    def count(self, state: State) -> int:
        """Return how many devices are in a state."""
        return sum(component.state == state for component in self.components)

    def total(self) -> list[Day]:
        """Return the days of all devices together."""
        columns = zip(*(component.days for component in self.components if component.days), strict=False)
        return [sum_of(column) for column in columns]


@dataclass(frozen=True)
class Surroundings:
    """What a picture needs beside the journal, taken in one turn of the event loop."""

    now: float
    devices: Sequence[Device]
    windows: Sequence[tuple[Window, Span]]
    """Planned windows with their running or next time."""
    covered: Collection[str]
    """Channels whose traffic goes over a backup."""
    objective: Callable[[str], float]
    """The availability objective of an engine, as a ratio."""
    pairs: Sequence[Pair] = ()
    """Channels and their backups."""


def selects(page: StatusPage, identity: Identity) -> bool:
    """Return whether a page shows a device."""
    match = page.match
    fields = match.__struct_fields__ if match is not None else ()
    fits = all(getattr(match, name) in (None, getattr(identity, name)) for name in fields)
    return fits and (not page.devices or identity.device_id in page.devices)


def take(reader: Reader, slug: str, page: StatusPage, around: Surroundings) -> Picture:
    """Read what a page shows. Blocks; JournalUnavailable."""
    shown = sorted((device for device in around.devices if selects(page, device.identity)), key=_order)
    ids = [device.identity.device_id for device in shown]
    edges = last_days(max(1, round(page.history / DAY)), around.now, zone_of(page.timezone))
    moved = {device.identity.device_id: at for device in shown if (at := _moved_at(page, device))}
    days = read_days(reader, ids, edges, around.now, page.timezone, moved)
    names = {device.identity.device_id: public_name(page, device.identity) for device in shown}
    components = [
        _component(slug, page, device, names[one], days.get(one, []), moved.get(one, 0), around)
        for one, device in zip(ids, shown, strict=True)
    ]
    planned = planned_of(components)
    windows = [(span, sum(window.holds(device.identity) for device in shown)) for window, span in around.windows]
    return Picture(
        slug,
        page,
        around.now,
        components,
        sorted(
            incidents_of(reader, slug, page, names, planned, (around.now - page.history, around.now + 1), around.now),
            key=lambda one: one.resolved_at is not None,
        ),
        sorted({one for one in windows if one[1] and one[0].start < around.now + AHEAD}),
        days_of_pairs(
            reader,
            around.pairs,
            [device.identity for device in shown if device.identity.device_id not in moved],
            edges,
            around.now,
        ),
    )


def public_name(page: StatusPage, identity: Identity) -> str:
    """Return what a device is called outside; empty: it has no name that may be shown."""
    given = page.names.get(identity.device_id)
    name = identity.device_name if given is None else given
    if given is None:
        name = _PHONE.sub(_masked, name).replace(identity.device_id, "")
    name = one_line(name)
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


def key_of(slug: str, text: object) -> str:
    """Return what stands for an id or a number on one page: it tells nothing, and is the same each time."""
    return hashlib.sha256(f"{slug}\0{text}".encode(errors="replace")).hexdigest()[:16]


def planned_of(components: Iterable[Component]) -> set[str]:
    """Return the ids of the devices that are in maintenance."""
    return {one.watched[0].identity.device_id for one in components if one.state == PLANNED}


def ratio_of(days: Sequence[Day]) -> float | None:
    """Return the availability of days together; None where nothing was observed."""
    observed = sum(day.observed_ms for day in days)
    return (observed - sum(day.down_ms for day in days)) / observed if observed else None


def _masked(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    return f"{'•' * (len(digits) - 3)}{digits[-3:]}"


def _order(device: Device) -> tuple[str, str]:
    return device.identity.device_name.casefold(), device.identity.device_id


def _component(
    slug: str, page: StatusPage, device: Device, name: str, days: list[Day], moved: int, around: Surroundings
) -> Component:
    who, timeline = device.identity, device.timeline
    return Component(
        key_of(slug, who.device_id),
        name,
        who.engine,
        _state(page, device, around),
        max(timeline.since, moved),
        days,
        around.objective(who.engine),
        moved,
        (device, timeline),
    )


def _state(page: StatusPage, device: Device, around: Surroundings) -> State:
    timeline = device.timeline
    if timeline.in_window:
        return "planned"
    if timeline.up or around.now - timeline.since < page.publish_after:
        return "up"
    return "covered" if device.identity.channel_id in around.covered else "down"


def _moved_at(page: StatusPage, device: Device) -> int:
    """Return since when a device belongs to the page's business or engine; 0: since ever, or the page asks for none."""
    match = page.match
    by_group = match is not None and (match.business_id or match.engine)
    return int(device.observed_from) if by_group and device.observed_from > device.timeline.first_seen else 0


def incidents_of(
    reader: Reader,
    slug: str,
    page: StatusPage,
    names: dict[str, str],
    planned: Collection[str],
    span: tuple[float, float],
    now: float,
) -> list[PublicIncident]:
    """Return the incidents of devices, by their public names, that began in a span of time, newest first.

    One that goes on has the status PLANNED where its device is among the `planned` ones.
    """
    business = page.match.business_id if page.match is not None else None
    found = View(reader).published(
        list(names), span, now, business_id=business or "", least=page.publish_after, limit=MOST_INCIDENTS
    )
    return [
        _incident(slug, names[one.device_id], one, notes, now, planned=one.device_id in planned) for one, notes in found
    ]


def _incident(
    slug: str, name: str, incident: Incident, notes: Sequence[Entry], now: float, *, planned: bool
) -> PublicIncident:
    newest, goes_on = sorted(notes, key=lambda entry: -entry.at)[:MOST_NOTES], incident.resolved_at is None
    promised = newest[0].next_update_at if newest and goes_on else None
    return PublicIncident(
        key_of(slug, incident.number),
        name,
        incident.started_at,
        incident.resolved_at,
        PLANNED if planned and goes_on else incident.status,
        [PublicNote(entry.at, _cut(entry.text)) for entry in newest],
        promised if promised is not None and promised > now else None,
    )


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_NOTE else f"{text[: LONGEST_NOTE - 1]}…"
