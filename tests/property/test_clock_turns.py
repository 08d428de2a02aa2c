"""The wall clock is set ahead and back: no counter of any exposition decreases, and the true account is untouched."""

from __future__ import annotations

import asyncio
from collections import defaultdict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.domain import checkpoint
from exporter.domain.applying import Applier
from exporter.domain.checkpoint import Snapshot
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.records import Checkpoint, DeviceHistory, Record
from exporter.domain.timeline import Kind, fold
from exporter.lib.pace import Pace

START = 1_790_000_000

numbers = st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("event"), numbers, st.booleans(), st.integers(-40, 0)),
    st.tuples(st.just("wait"), st.integers(1, 60)),
    st.tuples(st.just("scrape")),
    st.tuples(st.just("set"), st.sampled_from([0, 0, 600, -600, 7 * 3600, 86_400])),
    st.tuples(st.just("restart")),
)


class Site:
    """A fleet behind an applier whose clock can be wrong; `exposed_ms` goes by the clock, as the journal's marks do."""

    def __init__(self) -> None:
        self.truth = START
        self.wrong_by = 0
        self.exposed_ms = 0
        self.events: dict[str, list[tuple[int, Kind]]] = defaultdict(list)
        self.shown: dict[object, tuple[float, ...]] = {}
        self.saved: list[Checkpoint] = []
        self.since_saved: list[tuple[Record, DeviceHistory | None]] = []
        self.fleet = Fleet()
        self.applier = Applier(self.fleet, pytest.fail)

    @property
    def now_ms(self) -> int:
        return (self.truth + self.wrong_by) * 1000

    def set(self, wrong_by: int) -> None:
        self.wrong_by = wrong_by

    def wait(self, seconds: int) -> None:
        self.truth += seconds

    def event(self, number: int, up: bool, offset: int) -> None:
        event = (self.truth + offset, Kind.CONNECTED if up else Kind.DISCONNECTED)
        device_id = f"d{number}"
        if event in self.events[device_id]:
            return
        identity = Identity(device_id, "", "wa", "", "", f"b{number % 2}", "", "", "")
        record = Record(identity, *event, self.now_ms, self.exposed_ms)
        late = self.applier.is_late(record)
        self.events[device_id].append(event)
        history = DeviceHistory(list(self.events[device_id]), None) if late else None
        self.since_saved.append((record, history))
        self.applier.apply(record, history, live=True)

    def scrape(self) -> None:
        self.truth += 2
        self.exposed_ms = self.now_ms
        self.applier.exposed(self.exposed_ms)
        now = self.now_ms / 1000
        for key, group in self.fleet.groups.items():
            self._shows(key, group.downtime(now), group.observed(now))
        for device_id, device in self.fleet.devices.items():
            self._shows(device_id, device.exposed_downtime(now))

    def _shows(self, key: object, *values: float) -> None:
        assert all(value >= old for value, old in zip(values, self.shown.get(key, values), strict=True)), key
        self.shown[key] = values

    def restart(self) -> None:
        """Come back from the checkpoints, and from the records after the newest one if a mark came after that."""
        self.saved.append(asyncio.run(Snapshot(self.fleet, 0, self.exposed_ms or self.now_ms).complete(Pace())))
        devices = {state.identity.device_id: state for saved in self.saved for state in saved.devices}
        groups = {(state.engine, state.business_id): state for saved in self.saved for state in saved.groups}
        newest = self.saved[-1]
        merged = Checkpoint(0, newest.saved_ms, list(devices.values()), [], list(groups.values()), newest.histograms)
        self.fleet = Fleet()
        checkpoint.restore(self.fleet, msgspec.json.decode(msgspec.json.encode(merged), type=Checkpoint), {})
        self.applier = Applier(self.fleet, pytest.fail)
        self.applier.exposed(newest.saved_ms)


@given(st.lists(steps, min_size=10, max_size=50))
def test_no_counter_decreases_and_the_truth_is_what_the_events_say(history: list[tuple]) -> None:
    site = Site()
    for name, *arguments in history:
        getattr(site, name)(*arguments)
        site.scrape() if name == "set" and site.exposed_ms else None
    for device_id, device in site.fleet.devices.items():
        timeline = fold(site.events[device_id])
        assert timeline is not None
        assert device.timeline.downtime(site.truth) == timeline.downtime(site.truth)


@pytest.mark.parametrize("ahead", [600, 7 * 3600, 86_400])
def test_an_outage_of_four_seconds_beside_a_clock_that_was_ahead_is_one_of_four_seconds(ahead: int) -> None:
    site = Site()
    site.event(1, True, 0)
    site.wrong_by = ahead
    site.scrape()
    site.wrong_by = 0
    site.event(1, False, 0)
    site.wait(4)
    site.event(1, True, 0)
    site.scrape()
    device = site.fleet.devices["d1"]
    assert device.exposed_downtime(site.now_ms / 1000) == 4
    assert site.fleet.group("wa", "b1").downtime(site.now_ms / 1000) == 4


def test_downtime_that_was_exposed_ahead_stands_until_the_true_one_has_caught_up() -> None:
    site = Site()
    site.event(1, False, 0)
    site.wrong_by = 600
    site.scrape()
    site.wrong_by = 0
    shown = []
    for _ in range(3):
        site.wait(298)
        site.scrape()
        shown.append(site.shown["d1"][0])
    assert shown == [602, 602, 902]
