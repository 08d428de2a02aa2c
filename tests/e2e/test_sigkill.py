"""SIGKILL in the middle of a burst, again and again, on one journal: what was acknowledged is there, once."""

from __future__ import annotations

import json
import random
import sqlite3
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from exporter.domain.timeline import Kind, Timeline, fold
from tests.bodies import device_event
from tests.e2e.process import Client, ExporterProcess
from tests.patience import wait_for

if TYPE_CHECKING:
    from pathlib import Path

SENDERS = 4
DEVICES = 3  # of each sender
LONGEST_BURST = 120  # events

Sent = tuple[str, int, bool]  # device id, Unix seconds, up


class Sender:
    """Posts events of its own devices, one after another, until the exporter is gone.

    What it got no answer for it sends again after the restart, as the platform does, but for every fourth of them.
    """

    def __init__(self, number: int, start: int) -> None:
        self.acknowledged: set[Sent] = set()
        self.sent: list[Sent] = []
        self._unanswered: list[Sent] = []
        self._random = random.Random(number)
        self._devices = [f"s{number}-d{device}" for device in range(DEVICES)]
        self._now = start

    def run(self, client: Client) -> None:
        """Send until the connection breaks."""
        again, self._unanswered = self._unanswered, []
        while True:
            event = again.pop() if again else self._next()
            self.sent.append(event)
            device_id, timestamp, up = event
            try:
                answer = client.call("POST", "/webhook", json.dumps(device_event(device_id, timestamp, up=up)).encode())
            except ConnectionError:
                self._unanswered = [*again, *([event] if len(self.sent) % 4 else [])]
                return
            assert answer.status == 200, answer
            self.acknowledged.add(event)

    def _next(self) -> Sent:
        kind = self._random.random()
        if kind < 0.15 and self.sent:
            return self._random.choice(self.sent)  # a duplicate
        self._now += self._random.choice((0, 1, 1, 3))
        timestamp = self._now if kind < 0.8 else self._now - self._random.randrange(50)  # late, or in a used second
        return self._random.choice(self._devices), timestamp, self._random.random() < 0.5


class Site:
    """The exporter, the senders and what a scraper has seen."""

    def __init__(self, folder: Path) -> None:
        self.exporter = ExporterProcess(folder)
        start = int(time.time()) - 400_000
        self.senders = [Sender(number, start) for number in range(SENDERS)]
        self.counters: dict[str, float] = {}

    def burst(self, size: int) -> None:
        """Let all senders send, and kill the exporter once about `size` more events are acknowledged."""
        before = self._acknowledgements()
        platform = [self.exporter.platform() for _ in self.senders]
        threads = [
            threading.Thread(target=sender.run, args=(client,))
            for sender, client in zip(self.senders, platform, strict=True)
        ]
        for thread in threads:
            thread.start()
        self.scrape()
        wait_for(lambda: self._acknowledgements() >= before + size or not threads[0].is_alive(), "a burst", 60)
        self.exporter.kill()
        for thread in threads:
            thread.join()
        for client in platform:
            client.close()

    def _acknowledgements(self) -> int:
        return sum(len(sender.acknowledged) for sender in self.senders)

    def scrape(self) -> None:
        """Scrape; no counter of a device or the fleet may be less than it ever was."""
        for name, samples in self.exporter.samples().items():
            counter = name.endswith(("_total", "_bucket", "_count", "_sum"))
            if not counter or not name.startswith(("device_disconnect_total", "device_downtime", "fleet_")):
                continue
            for labels, value in samples:
                key = f"{name}{sorted(labels.items())}"
                assert value >= self.counters.get(key, 0), key
                self.counters[key] = value

    def check(self) -> dict[str, Timeline]:
        """Compare the journal with what was sent and acknowledged, and the exporter with the journal."""
        events = self._journalled()
        stored = set(events)
        assert len(events) == len(stored), "an event is there twice"
        acknowledged = set[Sent]().union(*(sender.acknowledged for sender in self.senders))
        assert acknowledged - stored == set()
        assert stored <= {event for sender in self.senders for event in sender.sent}
        timelines = _timelines(events)
        shown = {device["device_id"]: device for device in self.exporter.api("devices?limit=1000")["devices"]}
        assert {device_id: _shown(device) for device_id, device in shown.items()} == {
            device_id: _expected(timeline) for device_id, timeline in timelines.items()
        }
        return timelines

    def _journalled(self) -> list[Sent]:
        with closing(sqlite3.connect(f"{self.exporter.database.as_uri()}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            query = "SELECT d.device_id, e.timestamp, e.kind FROM event e JOIN device d ON d.id = e.device"
            return [(device_id, timestamp, bool(kind)) for device_id, timestamp, kind in connection.execute(query)]


@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_kills_in_bursts_lose_no_acknowledged_event_and_apply_none_twice(tmp_path: Path, kills: int) -> None:
    site = Site(tmp_path / "exporter")
    chance = random.Random(kills)
    try:
        for _ in range(kills):
            site.exporter.start()
            site.check()
            site.burst(chance.randrange(1, LONGEST_BURST))
        site.exporter.start()
        timelines = site.check()
        samples = site.exporter.samples()
        # sums kept event by event: an event that was applied twice would show
        assert samples["fleet_disconnect_total"][0][1] == sum(timeline.outages for timeline in timelines.values())
        assert samples["fleet_devices"][0][1] + samples["fleet_devices"][1][1] == len(timelines) == SENDERS * DEVICES
        by_device = {labels["device_id"]: value for labels, value in samples["device_disconnect_total"]}
        assert by_device == {device_id: timeline.outages for device_id, timeline in timelines.items()}
        assert site.exporter.stop() == 0
        site.exporter.start()  # and from the checkpoint of a clean stop
        assert site.check() == timelines
    finally:
        site.exporter.__exit__()


def _timelines(events: list[Sent]) -> dict[str, Timeline]:
    by_device: dict[str, list[tuple[int, Kind]]] = {}
    for device_id, timestamp, up in events:
        by_device.setdefault(device_id, []).append((timestamp, Kind.CONNECTED if up else Kind.DISCONNECTED))
    folded = {device_id: fold(own) for device_id, own in by_device.items()}
    return {device_id: timeline for device_id, timeline in folded.items() if timeline is not None}


def _shown(device: dict[str, Any]) -> tuple[object, ...]:
    closed = device["downtime_seconds"] if device["state"] == "up" else None
    return device["state"], device["since"], device["first_seen"], device["disconnects"], closed


def _expected(timeline: Timeline) -> tuple[object, ...]:
    closed = timeline.closed_downtime if timeline.up else None
    return "up" if timeline.up else "down", timeline.since, timeline.first_seen, timeline.outages, closed
