"""What the platform sends for a fleet, and when: events with the delays, duplicates and late arrivals of a real sender.

`generate` is pure: the same fleet, seed, window and profile give the same sendings in the same order. Its memory is
proportional to the devices, not to the window. Times are Unix seconds.
"""

from __future__ import annotations

import heapq
import math
from itertools import chain, count
from typing import TYPE_CHECKING

import msgspec

from exporter.conventions import MESSAGE_EVENTS
from exporter.simulate.chance import dice
from exporter.simulate.outages import BUSY_HOURS, DAY, MassOutage, device_outages, hour_of
from exporter.simulate.payloads import Payload, device_event, message_event

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

    from exporter.simulate.fleet import SimulatedDevice

Timed = tuple[int, Payload]
"""(event time, body)"""


class Profile(msgspec.Struct, frozen=True):
    """How a fleet behaves. Probabilities are per event."""

    severity: float = 1.0
    """Factor on how often devices fail by themselves."""
    mass_per_month: float = 1.0
    """Mass outages an engine."""
    duplicated: float = 0.02
    """The receiver answered too late: the platform sends again though the event had arrived."""
    delayed: float = 0.01
    """The first one to three attempts got lost: it arrives 30 to 90 s late, maybe after the event that follows it."""
    resent: float = 0.001
    """It failed for good; an operator sends it again by hand hours or days later."""
    repeated: float = 0.01
    """The platform says twice, at different times, that a device is down."""
    messages_per_day: float = 0.0
    """Message events a device."""


PROFILES = {
    "calm": Profile(severity=0.4, mass_per_month=0.3),
    "normal": Profile(),
    "stormy": Profile(severity=4.0, mass_per_month=6.0, duplicated=0.05, delayed=0.05, resent=0.005, repeated=0.03),
}

RETRY_AFTER = 30.0
"""Seconds between the platform's attempts (its documentation: up to three more tries, about 30 seconds apart)."""


class Sending(msgspec.Struct, frozen=True):
    """One body that the platform sends at a time."""

    send_at: float
    payload: Payload


def generate(
    fleet: Sequence[SimulatedDevice],
    *,
    seed: int,
    start: float,
    end: float,
    profile: Profile,
    incidents: Sequence[MassOutage] = (),
    live_from: float | None = None,
) -> Iterator[Sending]:
    """Yield what is sent for events in [start, end), in the order of sending; `end` may be infinite.

    Sendings after `end` are left out, as an operator's resend may lie days ahead. What lies before `live_from`
    (default: `end` where it is finite) is history: in a long one some devices join late, and message events only come
    in its last day, because a receiver looks back no further.
    """
    if live_from is None:
        live_from = start if math.isinf(end) else end
    streams = []
    for device in fleet:
        events = _events(device, seed, start, live_from, end, profile, incidents)
        streams.append(_in_order_of_sending(events, dice(seed, device.identity.device_id, "send"), profile))
    if profile.messages_per_day > 0:
        begin = max(start, live_from - DAY)
        streams += [_plainly(_messages(device, seed, begin, end, profile.messages_per_day)) for device in fleet]
    order = heapq.merge(*streams, key=lambda sending: sending.send_at)
    for sending in order:
        if sending.send_at >= end:
            return
        yield sending


def _events(
    device: SimulatedDevice,
    seed: int,
    start: float,
    live_from: float,
    end: float,
    profile: Profile,
    incidents: Sequence[MassOutage],
) -> Iterator[Timed]:
    """Yield a device's events in order of time: it connects for the first time, then goes down and comes back.

    In an incident that runs already it does not connect: it is said to be down, again or for the first time.
    """
    rng = dice(seed, device.identity.device_id, "events")
    begun = _first_connect(rng, start, live_from)
    spans = device_outages(
        device,
        seed=seed,
        start=begun + 1,
        severity=profile.severity,
        mass_per_month=profile.mass_per_month,
        incidents=incidents,
    )
    first = next(spans, None)
    if first is None or first[0] > begun:
        yield int(begun), device_event(device.identity, int(begun), up=True)
    for down, back in chain([] if first is None else [first], spans):
        for at, up in ((max(down, begun), False), (back, True)):
            if at >= end:
                return
            yield int(at), device_event(device.identity, int(at), up=up)
            if rng.random() < profile.repeated and not up and at + 5 < min(back, end):
                yield int(at) + 5, device_event(device.identity, int(at) + 5, up=up)


def _first_connect(rng: Random, start: float, live_from: float) -> float:
    """Return when a device joins: nearly all at the start, some in the course of a long history."""
    past = live_from - start
    if past > 2 * DAY and rng.random() < 0.12:
        return start + rng.uniform(0, 0.6) * past
    return start + rng.uniform(0, 600 if past > 2 * DAY else 3)


def _in_order_of_sending(events: Iterable[Timed], rng: Random, profile: Profile) -> Iterator[Sending]:
    """Yield one device's sendings in order; holds back only what is sent after a later event."""
    number = count()
    waiting: list[tuple[float, int, Payload]] = []
    for timestamp, payload in events:
        while waiting and waiting[0][0] <= timestamp:
            at, _, body = heapq.heappop(waiting)
            yield Sending(at, body)
        for at in _arrivals(rng, timestamp, profile):
            heapq.heappush(waiting, (at, next(number), payload))
    while waiting:
        at, _, body = heapq.heappop(waiting)
        yield Sending(at, body)


def _arrivals(rng: Random, timestamp: int, profile: Profile) -> list[float]:
    """Return when one event is sent: once, mostly a moment after it happened."""
    at = timestamp + rng.uniform(1.0, 1.8)
    fate = rng.random()
    if fate < profile.resent:
        return [at + rng.uniform(1, 40) * 3_600]
    fate -= profile.resent
    if fate < profile.delayed:
        return [at + RETRY_AFTER * rng.randint(1, 3)]
    fate -= profile.delayed
    return [at, at + RETRY_AFTER] if fate < profile.duplicated else [at]


def _messages(device: SimulatedDevice, seed: int, start: float, end: float, per_day: float) -> Iterator[Timed]:
    """Yield message events: more by day, each in one of the channel's recent conversations."""
    rng = dice(seed, device.identity.device_id, "messages")
    peak, at = max(BUSY_HOURS), start
    while True:
        at += rng.expovariate(per_day * peak / DAY)
        if at >= end:
            return
        if rng.random() * peak > BUSY_HOURS[hour_of(at)]:
            continue
        event = rng.choices(MESSAGE_EVENTS, (55, 15, 30))[0]
        conversation = int(at // 3_600) % 1_000 * 4 + rng.randrange(6)
        yield int(at), message_event(device.identity, int(at), event, conversation, rng)


def _plainly(events: Iterable[Timed]) -> Iterator[Sending]:
    """Yield events as they come, a moment after they happened: messages in a row, without loss."""
    for timestamp, payload in events:
        yield Sending(timestamp + 1.0, payload)
