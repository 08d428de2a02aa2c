"""Real exporters over one PostgreSQL, a front door that tries again, a receiver of hooks, and what must always hold."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from prometheus_client.parser import text_string_to_metric_families

from exporter.domain.timeline import Kind, fold
from tests.e2e.harness import HttpSink
from tests.e2e.process import Client, ExporterProcess, device_event
from tests.patience import patient, wait_for
from tests.ports import LOOPBACK

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SECRET = "the-same-on-all"
COUNTERS = ("device_disconnect", "device_downtime_seconds")
"""Families that must never be seen to fall, as those of the fleet; others begin anew with a process."""
_CONFIG = """
storage: {{url_file: "{url}"}}
webhook: {{secret: "{secret}"}}
alertmanager: {{urls: {alertmanagers}}}
policies: {{wa: {{alert_after: 0s}}}}
failover:
  - {{channel: channel_d0, backup: channel_backup, switch_back_after: 1s, hook: {{url: "{hook}", secret: s}}}}
"""
_MAIN = "from exporter.cli.main import main; sys.exit(main(sys.argv[1:]))"


class Place(NamedTuple):
    """Where an exporter runs and how: words that run a command there, the address, Python that runs first."""

    inside: Sequence[str] = ()
    address: str = LOOPBACK
    before: str = ""


HERE: Final = Place()
AHEAD: Final = Place(before="import time; real = time.time; time.time = lambda: real() + 25")
"""With a clock that is 25 seconds ahead."""


class Node(ExporterProcess):
    """One of several exporters."""

    def __init__(
        self, folder: Path, url: str, hook: str, place: Place = HERE, alertmanagers: Sequence[str] = ()
    ) -> None:
        folder.mkdir(parents=True)
        file, there = folder / "exporter.yml", folder / "storage_url"
        there.write_text(url)
        tell = json.dumps(list(alertmanagers))
        file.write_text(_CONFIG.format(url=there, secret=SECRET, hook=hook, alertmanagers=tell))
        listen = [f"--{listener}.listen-address={place.address}:0" for listener in ("webhook", "web")]
        super().__init__(folder, "--config.file", str(file), *listen)
        self.storage_url = url
        self.place = place

    @property
    def secret(self) -> str:
        return SECRET

    def _storage(self) -> list[str]:
        return []  # the configuration names a file that has it

    def _limited(self) -> list[str]:
        inside = list(self.place.inside)
        if not self.place.before:
            return inside
        # the rest of the command, `python -m exporter …`, is read as the arguments of this one
        script = f"import sys; del sys.argv[1:4]\n{self.place.before}\n{_MAIN}"
        return [*inside, sys.executable, "-c", script]

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def leads(self) -> bool:
        return self.sample("device_exporter_leading") == 1

    def counters(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """Return every counter about devices and groups, by name and labels."""
        text = self.get("/metrics").text
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            if family.type in ("counter", "histogram") and (family.name in COUNTERS or family.name.startswith("fleet_"))
            for sample in family.samples
        }


class Sender:
    """The platform behind a front door: each device's events in their order, each tried until somebody takes it."""

    def __init__(self, nodes: Sequence[Node], devices: int = 12) -> None:
        self.nodes = nodes
        self.acknowledged: list[tuple[str, int, Kind]] = []
        self.times: list[float] = []
        """When each was acknowledged, by a clock that nobody sets."""
        self.refused = 0
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(f"d{number}", number), daemon=True) for number in range(devices)
        ]

    def __enter__(self) -> Sender:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Let every device come up, and stop; may be called again."""
        self._stop.set()
        for thread in self._threads:
            thread.join(patient(60))
            assert not thread.is_alive(), "an event is taken in the end"

    @property
    def longest_gap(self) -> float:
        """The longest time without an acknowledgement, in seconds."""
        return max((later - earlier for earlier, later in pairwise(sorted(self.times))), default=0.0)

    def _send(self, device: str, number: int) -> None:
        self._one("backup", int(time.time()), number, up=True)
        at, up = 0, False
        while not self._stop.is_set() or not up:
            at, up = max(at + 1, int(time.time())), not up
            self._one(device, at, number, up=up)
            self._stop.wait(at + 1 - time.time() + 0.05 * number)  # an event of a device has a second of its own

    def _one(self, device: str, at: int, turn: int, *, up: bool) -> None:
        event = device_event(device, at, up=up)
        event["device"]["channel"] = event["device"]["channel"] | {"id": f"channel_{device}"}
        body = json.dumps(event).encode()
        for attempt in range(10_000):
            node = self.nodes[(turn + attempt) % len(self.nodes)]
            if _post(node, body) == 200:
                self.times.append(time.monotonic())
                self.acknowledged.append((device, at, Kind.CONNECTED if up else Kind.DISCONNECTED))
                return
            self.refused += 1
            time.sleep(0.05)
        raise AssertionError("nobody takes it")


def _post(node: Node, body: bytes) -> int:
    try:
        client = Client(node.public_url, {"Authorization": SECRET, "Content-Type": "application/json"}, timeout=6)
    except KeyError:  # it is just being started, and has no address yet
        return 0
    try:
        return client.call("POST", "/webhook", body).status
    except ConnectionError:
        return 0
    finally:
        client.close()


class Looker:
    """Scrapes each exporter again and again; no counter may be seen to fall, restarts included."""

    def __init__(self, nodes: Sequence[Node], every: float = 0.25) -> None:
        self.scrapes = 0
        self.falls: list[str] = []
        self._nodes = nodes
        self._every = every
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(node,), daemon=True) for node in nodes]

    def __enter__(self) -> Looker:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(patient(30))

    def _look(self, node: Node) -> None:
        seen: dict[Any, float] = {}
        while not self._stop.wait(self._every):
            try:
                found = node.counters()
            except (ConnectionError, KeyError, OSError, ValueError):  # it is away, or ends in the middle
                continue
            self.scrapes += 1
            self.falls += [f"{key}: {seen[key]} -> {value}" for key, value in found.items() if value < seen.get(key, 0)]
            seen |= found


class Hook:
    """Receives the calls of failover; a call that comes again must have the same key and body."""

    def __init__(self) -> None:
        self.sink = HttpSink()

    def __enter__(self) -> Hook:
        self.sink.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.sink.__exit__(*error)

    @property
    def url(self) -> str:
        return f"{self.sink.url}/hook"

    def keys(self) -> dict[int, set[str]]:
        """Return the keys of each sequence."""
        found: dict[int, set[str]] = defaultdict(set)
        for post in self.sink.at("/hook"):
            found[post.json["sequence"]].add(post.headers["Idempotency-Key"])
        return dict(found)

    def check(self) -> None:
        """One key for a sequence, sequences in order, and what comes again says the same."""
        assert {sequence: keys for sequence, keys in self.keys().items() if len(keys) > 1} == {}
        first: dict[int, bytes] = {}
        for post in self.sink.at("/hook"):
            sequence = post.json["sequence"]
            assert not first or sequence >= max(first), "an old sequence after a newer one"
            assert first.setdefault(sequence, post.body) == post.body


def rows(url: str) -> list[tuple[int, str, int, int]]:
    """Return number, device, time and kind of every event, in order."""
    query = "SELECT seq, device_id, timestamp, kind FROM event JOIN device ON device.id = event.device ORDER BY seq"
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(query).fetchall()


def check_events(url: str, sender: Sender) -> None:
    """Nothing that was acknowledged is lost or twice, and the numbers have no gap."""
    found = rows(url)
    numbers = [number for number, *_ in found]
    assert numbers == list(range(1, len(found) + 1))
    events = [(device, at, Kind(kind)) for _, device, at, kind in found]
    assert len(set(events)) == len(events)
    assert set(sender.acknowledged) - set(events) == set()


def check_equal(nodes: Sequence[Node], url: str) -> None:
    """At rest all exporters show the same, and that is what the events say, folded without any exporter's state."""

    # those that have just lost their connection may be some seconds behind, all of them, and are right to be
    def wrong() -> list[tuple[object, ...]]:
        first, *others = [_at_rest(node) for node in nodes]
        every = {key for picture in (first, *others) for key in picture}
        differing = [(*key, "differs") for key in every if any(other.get(key) != first.get(key) for other in others)]
        return [*differing, *_mistaken(first, url)]

    wait_for(lambda: not wrong(), "all exporters show what the events say", 15, shows=wrong, every=0.3)


def _mistaken(picture: dict[tuple[str, str], float], url: str) -> list[tuple[object, ...]]:
    """Return what is shown that is not what the events say: of whom, what is shown, what is right."""
    found: list[tuple[object, ...]] = []
    downtime = 0
    for device, events in _by_device(url):
        timeline = fold(events)
        assert timeline is not None
        outages = picture.get(("device_disconnect_total", device))
        # what was shown of an outage before its end was heard never falls, so this counter may be ahead
        if outages != timeline.outages or picture["device_downtime_seconds_total", device] < timeline.closed_downtime:
            found.append((device, outages, timeline.outages))
        downtime += timeline.closed_downtime
    known = picture.get(("fleet_downtime_known_seconds", "wa biz_9"))
    return found if known == downtime else [*found, ("all", known, downtime)]


def _at_rest(node: Node) -> dict[tuple[str, str], float]:
    samples = node.samples()
    names = ("device_up", "device_disconnect_total", "device_downtime_seconds_total", "fleet_disconnect_total")
    sums = ("fleet_downtime_seconds_total", "fleet_downtime_known_seconds", "fleet_outage_duration_seconds_sum")
    return {
        (name, labels.get("device_id", f"{labels.get('engine')} {labels.get('business_id')}")): value
        for name in (*names, *sums)
        for labels, value in samples.get(name, [])
    }


def _by_device(url: str) -> Iterator[tuple[str, list[tuple[int, Kind]]]]:
    found: dict[str, list[tuple[int, Kind]]] = defaultdict(list)
    for _, device, at, kind in rows(url):
        found[device].append((at, Kind(kind)))
    yield from found.items()


def leader(nodes: Sequence[Node], within: float = 15.0) -> Node:
    """Wait until one of them leads, and return it."""

    def found() -> Node | None:
        leading = []
        for node in nodes:
            try:
                leading += [node] if node.leads() else []
            except (ConnectionError, OSError):
                continue
        return leading[0] if len(leading) == 1 else None

    one = wait_for(found, "one of the exporters leads", within, every=0.05)
    assert one is not None
    return one


def seconds_until_leading(node: Node, within: float = 20.0) -> float:
    """Return after how many seconds from now a node leads."""
    began = time.monotonic()
    wait_for(node.leads, "the other one leads", within, every=0.03)
    return time.monotonic() - began
