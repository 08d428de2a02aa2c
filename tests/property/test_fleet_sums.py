"""Group sums equal a recount over all stays of all devices, and no exposed counter ever decreases."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from exporter.domain.accounts import Device
from exporter.domain.fleet import Fleet
from exporter.domain.identity import Identity
from exporter.domain.timeline import Kind, fold

START = 1_738_056_000

devices, businesses = st.integers(1, 4), st.integers(1, 3)
steps = st.one_of(
    st.tuples(st.just("event"), devices, st.booleans(), st.integers(-120, 5), businesses),
    st.tuples(st.just("forget"), devices),
    st.tuples(st.just("wait"), st.integers(0, 100_000)),
    st.tuples(st.just("scrape")),
)


@cache
def identity(number, business):
    """Return the one object for what is equal, as the recorder does."""
    return Identity(f"d{number}", "", "wa", "", "", f"b{business}", "", "", "")


@dataclass
class Stay:
    """A device's time in one group: what it had when it came, and, once it left, what it left behind."""

    group: tuple[str, str]
    device: Device
    downtime_before: float = 0.0
    outages_before: int = 0
    entered: float = 0.0
    left: tuple[float, float, int] | None = None

    def sums(self, now):
        """Return (downtime, observed, outages) of this stay."""
        if self.left is not None:
            return self.left
        timeline = self.device.timeline
        observed = max(0.0, now - self.observed_from())
        return timeline.downtime(now) - self.downtime_before, observed, timeline.outages - self.outages_before

    def observed_from(self):
        return max(self.entered, self.device.timeline.first_seen)


class Recount:
    """Feeds a fleet and keeps every stay."""

    def __init__(self):
        self.fleet = Fleet()
        self.events = defaultdict(set)
        self.stays = []
        self.gone = 0.0  # the downtime of forgotten devices
        self.now_ms = START * 1000
        self.exposed_at = 0.0
        self.exposed = {}

    @property
    def now(self):
        return self.now_ms / 1000

    def present(self, device):
        return next((stay for stay in self.stays if stay.device is device and stay.left is None), None)

    def event(self, number, up, offset, business):
        timestamp = int(self.now) + offset
        self.events[number].add((timestamp, Kind.CONNECTED if up else Kind.DISCONNECTED))
        timeline = fold(self.events[number])
        if timeline is None:
            return
        who = identity(number, business)
        device = self.fleet.put(who, timestamp, timeline, received_at=self.now, exposed_at=self.exposed_at)
        stay, group = self.present(device), ("wa", device.identity.business_id)
        if stay is None:
            self.stays.append(Stay(group, device))
        elif stay.group != group:
            stay.left = stay.sums(self.now)
            since = max(stay.observed_from(), self.now)
            entered = 0.0 if since == timeline.first_seen else since  # still in its first second: all of it is here
            self.stays.append(Stay(group, device, timeline.downtime(self.now), timeline.outages, entered))

    def forget(self, number):
        device = self.fleet.devices.get(f"d{number}")
        if device is not None:
            self.events[number].add((device.timeline.newest, Kind.FORGOTTEN))
            stay = self.present(device)
            stay.left = stay.sums(self.now)
            self.gone += device.timeline.downtime(self.now)
            self.fleet.forget(device, received_at=self.now, exposed_at=self.exposed_at)

    def wait(self, milliseconds):
        self.now_ms += milliseconds

    def scrape(self):
        now = self.now
        self.exposed_at = max(now, self.exposed_at) + 0.001  # as the recorder does after each exposition
        shown = {}
        for key, group in self.fleet.groups.items():
            shown[key] = (group.downtime(now), group.observed(now), group.outages)
        for device in self.fleet.devices.values():
            shown[device] = (device.exposed_downtime(now), device.timeline.outages)
        for key, values in shown.items():
            before = self.exposed.get(key, values)
            assert all(value >= old for value, old in zip(values, before, strict=True)), key
        self.exposed = shown

    def check(self, now):
        for key, group in self.fleet.groups.items():
            stays = [stay for stay in self.stays if stay.group == key]
            sums = [stay.sums(now) for stay in stays]
            downtime, observed, outages = (sum(column) for column in zip(*sums, strict=True))
            assert group.true_downtime_ms(now) == round(downtime * 1000)
            assert group.true_observed_ms(now) == round(observed * 1000)
            assert group.outages == outages
            here = [stay.device.timeline.up for stay in stays if stay.left is None]
            assert (group.up, group.down) == (sum(here), len(here) - sum(here))


@given(st.lists(steps, max_size=40))
def test_group_sums_equal_a_recount_and_counters_never_decrease(history):
    recount = Recount()
    for name, *arguments in history:
        getattr(recount, name)(*arguments)
        recount.check(recount.now)
    recount.check(recount.now + 1000)


@given(st.lists(steps, max_size=40))
def test_no_second_is_lost_or_counted_twice_by_moving(history):
    recount = Recount()
    for name, *arguments in history:
        getattr(recount, name)(*arguments)

    present = sum(device.timeline.downtime(recount.now) for device in recount.fleet.devices.values())
    total = sum(group.true_downtime_ms(recount.now) for group in recount.fleet.groups.values())
    assert total == round((recount.gone + present) * 1000)
