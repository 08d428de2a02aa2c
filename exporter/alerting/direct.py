"""The direct path as one background task: changes in, posts to every Alertmanager out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.alerting.client import Client, session
from exporter.alerting.fleet_alerts import FleetAlerts
from exporter.alerting.outbox import LIFE, Outbox
from exporter.alerting.silences import GOSSIP, Quiet, Silences, quiet_of
from exporter.conventions import ALERT_DEVICE_DOWN, ALERT_DEVICE_FLAPPING
from exporter.lib.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from exporter.alerting.alert import Alert, Facts, Key
    from exporter.alerting.client import Silence, Standing
    from exporter.alerting.members import Member
    from exporter.alerting.taken import Taken
    from exporter.config import Config
    from exporter.config.schema import Alertmanager
    from exporter.domain.accounts import Device
    from exporter.domain.fleet import Change
    from exporter.metrics.own import SelfMetrics
    from exporter.recording.recorder import Recorder

DELIVERED_FOR: Final = 3.0
"""Re-send intervals for which an acknowledgement counts: an Alertmanager that restarts loses what it had."""
LOOK_BACK: Final = 5400.0
"""How far back a start looks for disconnects, seconds: three times the window of a flapping."""
HAND_OVER: Final = 180.0
"""How long alerts live on when direct alerts are turned off: enough for the rules to take over."""


class _Way(NamedTuple):
    """Where to post, and how."""

    settings: Alertmanager
    members: tuple[Member, ...]


class DirectAlerts:
    """Runs while `run` runs. `config` and `members` are asked anew each time, so that a change takes effect."""

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        metrics: SelfMetrics,
        members: Callable[[], tuple[Member, ...]],
        *,
        planned_until: Callable[[Device, float], float | None] = lambda _device, _now: None,
        impact: Callable[[Device], Facts | None] = lambda _device: None,
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._metrics = metrics
        self._members = members
        self._planned_until = planned_until
        self._impact = impact
        self.link: Callable[[Alert], str] = lambda _alert: ""
        """Returns where people say that they have what an alert is about; empty: nowhere."""
        self.taken_at_start: Callable[[], tuple[list[Taken], list[Taken]]] = lambda: ([], [])
        """Returns who has what, and what outlasted the time of who had it."""
        self.on_over: Callable[[Taken, float], None] = lambda _taken, _at: None
        """Called when what somebody has, or had, is over."""
        self.on_silences: Callable[[Sequence[Silence]], None] = lambda _silences: None
        """Called with the silences of others that an Alertmanager has."""
        self.alerts = self._no_alerts()
        self._loaded = False
        self._outboxes: list[Outbox] = []
        self.on_acknowledged: list[Callable[[Alert], None]] = []
        """Called when an Alertmanager first takes an alert that fires; must not raise."""
        self._silences: list[Silences] = []
        self._wake = Wake()
        recorder.subscribe(self._changed)
        self._count_from_zero()

    @property
    def enabled(self) -> bool:
        """Whether there is anybody to tell."""
        return self._way() is not None

    @property
    def outboxes(self) -> Sequence[Outbox]:
        """One for each Alertmanager; none while direct alerts are turned off."""
        return self._outboxes if self.enabled else ()

    def delivered(self, now: float) -> Iterator[tuple[Device, float]]:
        """Yield the gauge device_alert_delivered: devices down past their threshold."""
        way = self._way()
        if way is None:
            return
        oldest = now - DELIVERED_FOR * way.settings.resend_interval
        for (name, device_id), alert in list(self.alerts.firing.items()):
            device = self._recorder.fleet.devices.get(device_id)
            if name == ALERT_DEVICE_DOWN and device is not None:
                yield device, float(alert.acknowledged_at is not None and alert.acknowledged_at >= oldest)

    # -- who has what -------------------------------------------------------------------------------------------------

    def take(self, taken: Taken) -> None:
        """Let somebody have an outage: tell everybody, silence it, and hold its escalation."""
        if self._loaded:
            self.alerts.taken.take(taken, self._recorder.clock())
        self._taken_changed()

    def give_back(self, taken: Taken, at: float) -> None:
        """Let nobody have it after all, since a time."""
        if self._loaded:
            self.alerts.taken.give_back(taken, at, self._recorder.clock())
        self._taken_changed()

    def run_out(self, taken: Taken) -> None:
        """Tell everybody that an outage outlasts the time of who had it."""
        if self._loaded:
            self.alerts.run_out(taken, self._recorder.clock())
        self._taken_changed()

    def _taken_changed(self) -> None:
        if self._loaded:
            self.alerts.reconsider(self._recorder.clock())
        for silences in self._silences:
            silences.reconsider()
        self._wake.set()

    # -- life ---------------------------------------------------------------------------------------------------------

    def reconsider(self) -> None:
        """Take the changed configuration into use: policies, windows, Alertmanagers."""
        if self._loaded:
            self.alerts.reconsider(self._recorder.clock())
        self._count_from_zero()
        self._wake.set()

    async def run(self) -> None:
        """Post until cancelled, with the settings that hold at the time."""
        while True:
            way = self._way()
            if way is not None:
                await self._run_with(way)
            else:
                self._loaded = False
                self.alerts = self._no_alerts()
                await self._wake.wait()

    async def _run_with(self, way: _Way) -> None:
        """Post until the settings or the members are others."""
        async with session(way.settings) as client, asyncio.TaskGroup() as tasks:
            clients = [Client(one.url, client, one.server_name) for one in way.members]
            self._silences = [self._silences_of(client, place) for place, client in enumerate(clients)]
            self._outboxes = [self._outbox(*pair) for pair in zip(clients, self._silences, strict=True)]
            if not self._loaded:
                await self._load()
            self._repeat()
            works = [*(one.run for one in self._outboxes), *(one.run for one in self._silences)]
            running = [tasks.create_task(work()) for work in works]
            await self._keep_posting(way)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if not self.enabled:
                firing = list(self.alerts.firing.values())
                await asyncio.gather(*(outbox.hand_over(firing, HAND_OVER) for outbox in self._outboxes))

    async def _load(self) -> None:
        now = self._recorder.clock()
        disconnects = await self._recorder.read(lambda reader: reader.disconnects_since(int(now - LOOK_BACK)))
        self.alerts = self._no_alerts()
        self.alerts.taken.load(*self.taken_at_start(), now)
        self.alerts.load(now, disconnects, LIFE)
        self.alerts.taken.tidy(now)
        self._loaded = True

    async def _keep_posting(self, way: _Way) -> None:
        clock, interval = self._recorder.clock, way.settings.resend_interval
        now = clock()
        next_resend = now + interval
        while self._way() == way:
            before, now = now, clock()
            if now < before:
                self.alerts.turned_back(now)
                next_resend = now
            self._post(self.alerts.advance(now))
            if now >= next_resend:
                next_resend = now + interval
                self.alerts.tidy(now)
                self._post(self.alerts.advance(now))
                self._repeat()
            due = self.alerts.next_due(now)
            await self._wake.wait(max(0.0, min(next_resend, next_resend if due is None else due) - now))

    def _way(self) -> _Way | None:
        """Return where to post; None: nowhere."""
        config = self._config()
        if not config.alerts.direct or not config.alertmanager.urls:
            return None
        return _Way(config.alertmanager, self._members())

    def _outbox(self, client: Client, silences: Silences) -> Outbox:
        return Outbox(
            client,
            lambda: self._config().alerts,
            self._metrics,
            self._recorder.clock,
            self._adopt,
            self._told,
            lambda: self._recorder.following.fresh,
            silences,
        )

    def _silences_of(self, client: Client, place: int) -> Silences:
        def wanted() -> dict[Key, Taken] | None:
            return self.alerts.taken.active if self._config().pages.listen_address is not None else None

        def quiet(taken: Taken) -> Quiet:
            return quiet_of(taken, self._steps_of(taken))

        def tell(key: Key) -> None:
            fires = (key, (ALERT_DEVICE_FLAPPING, key[1]), *self.alerts.firing.about_outage(key[1]))
            firing = self.alerts.firing
            self._outboxes[place].put([firing[one] for one in dict.fromkeys(fires) if one in firing])

        return Silences(
            client,
            wanted,
            quiet,
            self._recorder.clock,
            self._metrics,
            self.on_silences,
            tell=tell,
            told_within=lambda: self._config().alertmanager.told_within,
            delay=GOSSIP * place,
        )

    def _steps_of(self, taken: Taken) -> list[str]:
        """Return whom the escalations are for that are left out while an outage is taken."""
        device = self._recorder.fleet.devices.get(taken.key[1]) if taken.of_device else None
        policy = None if device is None else self._config().policies.for_engine(device.identity.engine)
        return [step.to for step in policy.steps if step.unless] if policy is not None else []

    def _no_alerts(self) -> FleetAlerts:
        alerts = FleetAlerts(
            self._recorder.fleet,
            lambda: self._config().policies,
            planned_until=self._planned_until,
            impact=self._impact,
            link=self.link,
        )
        alerts.taken.over = self.on_over
        return alerts

    def _count_from_zero(self) -> None:
        """Let the counters exist before they count: an increase from nothing is no increase."""
        for url in (*self._config().alertmanager.urls, *(one.url for one in self._members())):
            for result in ("ok", "error"):
                self._metrics.pushes.labels(url, result)
            self._metrics.silence_failures.labels(url)

    def _told(self, alert: Alert) -> None:
        alert.muted_by = self.alerts.muting(alert)
        for listener in self.on_acknowledged:
            listener(alert)

    def _adopt(self, standing: list[Standing]) -> None:
        now = self._recorder.clock()
        for alert in standing:
            self.alerts.adopt(alert.labels, alert.starts_at.timestamp(), now, alert.beside)
        self._wake.set()

    def _changed(self, change: Change) -> None:
        if self._loaded:
            self.alerts.change(change, self._recorder.clock())
            self._wake.set()

    def _post(self, alerts: list[Alert]) -> None:
        if alerts:
            for outbox in self._outboxes:
                outbox.put(alerts)

    def _repeat(self) -> None:
        standing = self.alerts.standing()
        for outbox in self._outboxes:
            outbox.put(standing)
        for silences in self._silences:
            silences.reconsider()
