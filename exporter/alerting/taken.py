"""Outages that somebody has: what is told of that, and what is left out meanwhile. No clock: `now` is an argument.

Guarantees: taking an outage, and giving it back, is told once as DeviceAcknowledged. While somebody has it the steps of
its escalation that say so are left out. Where it outlasts that, DeviceStillDown fires and those steps count from then;
what an escalation told before is told again as DeviceStillDown. When the alert ends, so does all of this.

Who has what is not decided here: `exporter.acknowledge` keeps it in the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.alerting.alert import SOURCE, SUBJECT_LABELS, Alert, device_labels, device_names, mass_labels
from exporter.alerting.mass_counts import MASS_KINDS, keys_of
from exporter.conventions import (
    ACK_LABEL,
    ALERT_DEVICE_ACKNOWLEDGED,
    ALERT_DEVICE_DOWN,
    ALERT_DEVICE_DOWN_ESCALATED,
    ALERT_DEVICE_STILL_DOWN,
    ESCALATION_LABEL,
)
from exporter.domain.thresholds import OF_ALERTS, rung_key
from exporter.lib.agenda import Agenda

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exporter.alerting.alert import Key
    from exporter.alerting.extent import Extent
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Fleet
    from exporter.domain.thresholds import Rung

NOTICE_FOR: Final = 120.0
"""Seconds for which a notice fires after what it tells of, on every exporter and after a start, too."""
GRACE: Final = 300.0
"""Seconds after which an outage is over whose alert nobody posts, as after a start."""
NO_ENDS: Final = frozenset({ALERT_DEVICE_ACKNOWLEDGED, ALERT_DEVICE_STILL_DOWN})
"""Alerts whose end nobody is told of: the end of what they are about says it."""


class Taken(NamedTuple):
    """Somebody has an outage."""

    number: int
    """Of the acknowledgement."""
    key: Key
    """Of the alert that speaks for the outage: of all alerts about one outage of a device it is DeviceDown."""
    anchor: int
    """Which outage: when it began, as far as a link tells; see `anchor_of`."""
    by: str
    note: str
    at: float
    until: float
    """When they are asked again, Unix seconds."""
    until_words: tuple[str, str] = ("", "")
    """The same for people, in English and in Indonesian."""

    @property
    def of_device(self) -> bool:
        """Whether it is about one device."""
        return self.key[0] not in SUBJECT_LABELS


def scope_of(alert: Alert) -> Key:
    """Return the key of the alert that speaks for the outage that an alert is about."""
    name = alert.name
    if name in (*OF_ALERTS, ALERT_DEVICE_STILL_DOWN):
        return ALERT_DEVICE_DOWN, alert.labels.get("device_id", "")
    return alert.key


def anchor_of(alert: Alert) -> int:
    """Return which outage of its subject an alert is about: its begin; of what has none in the journal, its day."""
    return alert.outage if alert.outage is not None else int(alert.starts_at) // 86_400


class TakenOutages:
    """Who has what. `fire` and `resolve` take what begins and ends; `over` hears of what ended with its alert."""

    def __init__(
        self,
        fleet: Fleet,
        firing: Mapping[Key, Alert],
        severity: Callable[[Device], str],
        fire: Callable[[Alert], None],
        resolve: Callable[[Key, float, float], None],
    ) -> None:
        self._fleet = fleet
        self._severity = severity
        self._firing = firing
        self._fire = fire
        self._resolve = resolve
        self.active: dict[Key, Taken] = {}
        self.ran_out: dict[Key, Taken] = {}
        """What outlasted the time of who had it last, and nobody has now."""
        self.over: Callable[[Taken, float], None] = lambda _taken, _at: None
        self._since: dict[Key, float] = {}  # since when no alert is known of what is taken
        self._notices: dict[Key, float] = {}  # until when they fire
        self._again: Agenda[tuple[Taken, str]] = Agenda()  # whom to tell again

    def load(self, active: Iterable[Taken], ran_out: Iterable[Taken], now: float) -> None:
        """Take over what the journal says at a start."""
        for taken in active:
            self.active[taken.key] = taken
            self._notice(taken, taken.at, now)
        for taken in ran_out:
            self.ran_out[taken.key] = taken
            self._remind(taken, "", now)

    def take(self, taken: Taken, now: float) -> None:
        """Let somebody have an outage, also one that another has."""
        self.ran_out.pop(taken.key, None)
        self.active[taken.key] = taken
        self._name_holder(taken.key)
        self._end_reminders(taken.key, now)
        self._notice(taken, taken.at, now)

    def give_back(self, taken: Taken, at: float, now: float) -> None:
        """Let them not have it after all, since a time."""
        if self.active.get(taken.key, taken).number == taken.number:
            self.active.pop(taken.key, None)
            self._name_holder(taken.key)
            self._notice(taken, at, now, undone=True)

    def run_out(self, taken: Taken, rungs: Sequence[Rung], now: float) -> None:
        """End their time: the outage goes on."""
        self.active.pop(taken.key, None)
        self._name_holder(taken.key)
        self.ran_out[taken.key] = taken
        self._remind(taken, "", now)
        for rung in rungs:
            if rung.unless_taken:
                self._again.add(taken.until + rung.after, (taken, rung.to))

    def ended(self, alert: Alert, now: float) -> None:
        """Forget who has what an alert is about: it ended."""
        taken = self.active.pop(alert.key, None) or self.ran_out.pop(alert.key, None)
        self._since.pop(alert.key, None)
        if taken is not None:
            self._name_holder(alert.key)
            self._end_reminders(alert.key, now)
            self.over(taken, now)

    def postponed(self, device: Device, rung: Rung, at: float | None) -> float | None:
        """Return when a rung that is due at a time is due with regard to who has the outage; None: not now."""
        if at is None or not rung.unless_taken:
            return at
        if (holder := self.holder(device)) is not None:
            return at if at <= holder.at else None  # what was told before is told when it ends
        ran_out = _of_device(self.ran_out, device)
        return at if ran_out is None or at <= ran_out.at else max(at, ran_out.until + rung.after)

    def by(self, alert: Alert) -> str:
        """Return who has what an alert is about; empty: nobody."""
        if not self.active:
            return ""
        key = scope_of(alert)
        device = self._fleet.down.get(key[1]) if key[0] == ALERT_DEVICE_DOWN else None
        taken = self.holder(device) if device is not None else self.active.get(key)
        return taken.by if taken is not None else ""

    def holder(self, device: Device) -> Taken | None:
        """Return who has the outage of a device: the device's own, or the mass outage that it is part of."""
        return _of_device(self.active, device)

    def advance(self, now: float) -> None:
        """End notices, and tell again whom an escalation told before."""
        for key, until in list(self._notices.items()):
            if until <= now:
                del self._notices[key]
                self._resolve(key, now, now)
        while (due := self._again.pop_due(now)) is not None:
            taken, to = due
            escalated = rung_key(ALERT_DEVICE_DOWN_ESCALATED, to), taken.key[1]
            if self.ran_out.get(taken.key) is taken and escalated in self._firing:
                self._remind(taken, to, now)

    def next_due(self) -> float | None:
        """Return when `advance` has something to do next."""
        times = [*self._notices.values(), self._again.next_at()]
        return min((at for at in times if at is not None), default=None)

    def tidy(self, now: float) -> None:
        """End what is taken of an outage that nothing speaks of, as when it ended while nobody looked."""
        for key, taken in [*self.active.items(), *self.ran_out.items()]:
            if key in self._firing or (key[0] == ALERT_DEVICE_DOWN and key[1] in self._fleet.down):
                self._since.pop(key, None)
            elif now - self._since.setdefault(key, now) >= (0 if key[0] == ALERT_DEVICE_DOWN else GRACE):
                self.active.pop(key, None)
                self.ran_out.pop(key, None)
                self.over(taken, now)

    # -- what is told -------------------------------------------------------------------------------------------------

    def _notice(self, taken: Taken, at: float, now: float, *, undone: bool = False) -> None:
        if now >= at + NOTICE_FOR:
            return
        number = f"{taken.number}-undone" if undone else str(taken.number)
        alert = self._about(ALERT_DEVICE_ACKNOWLEDGED, taken, now, {ACK_LABEL: number, "severity": "notice"})
        if undone:
            alert.facts = {**(alert.facts or {}), "undone": "true"}
        self._fire(alert)
        self._notices[alert.key] = at + NOTICE_FOR

    def _remind(self, taken: Taken, to: str, now: float) -> None:
        labels = {ACK_LABEL: str(taken.number), ESCALATION_LABEL: to}
        self._fire(self._about(ALERT_DEVICE_STILL_DOWN, taken, now, labels))

    def _about(self, name: str, taken: Taken, now: float, more: dict[str, str]) -> Alert:
        """Return an alert about an outage that somebody has. A start makes the same one again."""
        labels, names, extent = self._subject(taken)
        known = self._firing.get(taken.key)
        until, until_id = taken.until_words
        facts: dict[str, int | str] = {"acked_by": taken.by, "acked_until": until, "acked_until_id": until_id}
        began = taken.anchor if taken.of_device else known.starts_at if known is not None else taken.at
        starts_at = taken.at if name == ALERT_DEVICE_ACKNOWLEDGED else min(float(began), now)
        return Alert({**labels, "alertname": name, **more}, starts_at, now, now, names, facts=facts, extent=extent)

    def _subject(self, taken: Taken) -> tuple[dict[str, str], Mapping[str, str], Extent | None]:
        """Return the labels, names and extent of what is taken."""
        if not taken.of_device:
            known = self._firing.get(taken.key)
            extent, names = (known.extent, known.names) if known is not None else (None, {})
            return mass_labels(*taken.key), names, extent
        device = self._fleet.devices.get(taken.key[1])
        if device is None:
            return {"device_id": taken.key[1], "severity": "critical", "source": SOURCE}, {}, None
        labels = device_labels(taken.key[0], device.identity, self._severity(device))
        return labels, device_names(device.identity), None

    def _name_holder(self, key: Key) -> None:
        """Let what is told of an outage again say who has it."""
        for alert in self._firing.values():
            if scope_of(alert) == key or (key[0] in MASS_KINDS and alert.name in OF_ALERTS):
                alert.holder = self.by(alert)

    def _end_reminders(self, key: Key, now: float) -> None:
        subject = SUBJECT_LABELS.get(key[0], "device_id")
        for other, alert in list(self._firing.items()):
            if alert.name == ALERT_DEVICE_STILL_DOWN and alert.labels.get(subject) == key[1]:
                self._resolve(other, now, now)


def _of_device(known: Mapping[Key, Taken], device: Device) -> Taken | None:
    """Return what is known of the outage of a device, or of the mass outage that it is part of."""
    keys = ((ALERT_DEVICE_DOWN, device.identity.device_id), *keys_of(device.identity))
    return next((known[key] for key in keys if key in known), None)
