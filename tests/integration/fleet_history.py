"""A made-up fleet with an exact account of what happened to it, as OpenMetrics with timestamps.

`Fleet` knows every outage, so a test can compute what a query must return; `write` gives the same history as the
exporter would have exposed it: every 5 minutes for a month, every minute for the last 6 hours. Deterministic.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, TextIO

from exporter import conventions as c

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DAY = 86400
MONTH = 30 * DAY
BUSINESSES = {"biz_1": "Toko Makmur", "biz_2": "Kopi Nusantara", "biz_3": "Klinik Sehat"}
OBJECTIVES = {"wa": 0.995, "telegram": 0.995, "slack": 0.99}
ALERT_AFTER = {"wa": 0, "telegram": 300, "slack": 900}
SPOTS = ("Kasir", "Pesanan", "Layanan", "Gudang", "Promo", "Antar")


@dataclass(frozen=True)
class Device:
    """A device with its outages in order, (start, end) in Unix seconds; an end after the history's end: still down."""

    device_id: str
    name: str
    engine: str
    business_id: str
    first_seen: int
    outages: tuple[tuple[int, int], ...]

    @property
    def channel_id(self) -> str:
        return self.device_id.replace("dev", "chn")

    def downtime(self, time: float) -> float:
        return sum(min(end, time) - start for start, end in self.outages if start < time)

    def begun(self, time: float) -> int:
        return sum(start <= time for start, _ in self.outages)

    def observed(self, time: float) -> float:
        return max(0, time - self.first_seen)

    def up(self, time: float) -> bool:
        return not any(start <= time < end for start, end in self.outages)

    def since(self, time: float) -> int:
        return max([self.first_seen, *(t for span in self.outages for t in span if t <= time)])


class Fleet:
    """14 devices of 3 businesses. At `end` two are down: dev_01 since 45 minutes, dev_08 since 3 hours."""

    def __init__(self, end: int) -> None:
        self.end = end
        self.start = end - MONTH - 2 * DAY
        plan = [("wa", "biz_1")] * 4 + [("wa", "biz_2")] * 2 + [("telegram", "biz_2")] * 3
        plan += [("telegram", "biz_1"), ("telegram", "biz_3"), ("slack", "biz_1"), ("slack", "biz_3"), ("wa", "biz_3")]
        self.devices = [self._device(number, *kind) for number, kind in enumerate(plan, 1)]

    def _device(self, number: int, engine: str, business: str) -> Device:
        random = Random(number)
        first = self.end - 5 * DAY if number == 14 else self.start - 10 * DAY
        outages = []
        time = max(first, self.start) + random.randrange(DAY)
        while time < self.end - DAY // 4:
            length = random.choice((7, 40, 90, 240, 600, 1800, 5400))
            outages.append((time, time + length))
            time += length + random.randrange(DAY // 3, 5 * DAY)
        if engine == "telegram":  # all of an engine at once, ten days ago
            mass = (self.end - 10 * DAY, self.end - 10 * DAY + 2400)
            outages = [span for span in outages if span[1] < mass[0] or span[0] > mass[1]] + [mass]
        outages = [span for span in outages if span[1] < self.end - 6 * 3600]
        outages += {1: [(self.end - 2700, self.end + DAY)], 8: [(self.end - 10800, self.end + DAY)]}.get(number, [])
        name = f"{SPOTS[number % len(SPOTS)]} {number}"
        return Device(f"dev_{number:02}", name, engine, business, first, tuple(sorted(outages)))

    def of(self, engine: str | None = None, business: str | None = None) -> list[Device]:
        return [d for d in self.devices if engine in {None, d.engine} and business in {None, d.business_id}]

    def groups(self) -> list[tuple[str, str]]:
        return sorted({(device.engine, device.business_id) for device in self.devices})

    def availability(self, seconds: int, engine: str | None = None, business: str | None = None) -> float:
        chosen, then = self.of(engine, business), self.end - seconds
        down = sum(d.downtime(self.end) - d.downtime(then) for d in chosen)
        return 1 - down / sum(d.observed(self.end) - d.observed(then) for d in chosen)

    def times(self) -> list[int]:
        near = self.end - 6 * 3600
        return [*range(self.start + 6 * 3600, near, 300), *range(near, self.end + 1, 60)]

    def scraped_before(self, time: float) -> int:
        """Return when what a query sees at `time` was scraped."""
        times = self.times()
        return times[bisect_right(times, time) - 1]


Series = "tuple[str, Callable[[int], float | None], bool]"


class Writer:
    """Writes families one after another; `recent` ones only for the last 6 hours."""

    def __init__(self, fleet: Fleet, out: TextIO) -> None:
        self.out = out
        self.times = fleet.times()
        self.recent = [time for time in self.times if time >= fleet.end - 6 * 3600]

    def family(self, name: str, kind: str, series: Iterable[Series], *, recent: bool = False) -> None:
        base = name.removesuffix("_total")
        self.out.write(f"# TYPE {base} {kind}\n")
        for labels, value in series:
            suffix = "" if labels.startswith("{") else labels[: labels.index("{")]
            head = f"{name if kind == 'counter' else base}{labels}" if not suffix else f"{base}{labels}"
            for time in self.recent if recent else self.times:
                number = value(time)
                if number is not None:
                    self.out.write(f"{head} {number:.10g} {time}\n")


def _labels(**labels: str) -> str:
    every = {**labels, "instance": "exporter:9877", "job": "device-exporter"}
    return "{" + ",".join(f'{name}="{value}"' for name, value in every.items()) + "}"


def write(fleet: Fleet, out: TextIO) -> None:
    """Write the whole history."""
    writer = Writer(fleet, out)
    _devices(fleet, writer)
    _groups(fleet, writer)
    _histograms(fleet, writer)
    _exporter(fleet, writer)
    out.write("# EOF\n")


def _seen(device: Device, value: Callable[[int], float]) -> Callable[[int], float | None]:
    return lambda time: value(time) if time >= device.first_seen else None


def _in_maintenance(device: Device) -> Callable[[int], float]:
    return lambda _: float(device.device_id == "dev_12")


def _devices(fleet: Fleet, writer: Writer) -> None:
    def ids(d: Device) -> dict[str, str]:
        return {"device_id": d.device_id, "engine": d.engine, "channel_id": d.channel_id, "business_id": d.business_id}

    def each(
        value: Callable[[Device], Callable[[int], float]], chosen: Iterable[Device] = fleet.devices
    ) -> list[Series]:
        return [(_labels(**ids(d)), _seen(d, value(d))) for d in chosen]

    down = [d for d in fleet.devices if not d.up(fleet.end)]
    writer.family(c.DEVICE_UP, "gauge", each(lambda d: lambda t: float(d.up(t))))
    writer.family(c.DEVICE_DISCONNECTS, "counter", each(lambda d: d.begun))
    writer.family(c.DEVICE_DOWNTIME, "counter", each(lambda d: d.downtime))
    writer.family(c.DEVICE_FIRST_SEEN, "gauge", each(lambda d: lambda _: d.first_seen))
    writer.family(c.DEVICE_STATE_CHANGE, "gauge", each(lambda d: d.since), recent=True)
    names = [
        _labels(
            **ids(d), device_name=d.name, channel_name=f"{d.engine} {d.name}", business_name=BUSINESSES[d.business_id],
            user_id="merchant_2", user_name="Ibu Sari",
        )
        for d in fleet.devices
    ]  # fmt: skip
    writer.family(
        c.DEVICE_INFO, "gauge", [(n, _seen(d, lambda _: 1)) for n, d in zip(names, fleet.devices, strict=True)]
    )
    named_down = [n for n, d in zip(names, fleet.devices, strict=True) if d in down]
    since = [(n, lambda t, d=d: None if d.up(t) else d.since(t)) for n, d in zip(named_down, down, strict=True)]
    writer.family(c.DEVICE_DOWN_SINCE, "gauge", since, recent=True)
    affected = [(_labels(**ids(d)), lambda t, d=d: None if d.up(t) else 12.0 - int(d.device_id[-1])) for d in down]
    writer.family(c.DEVICE_AFFECTED_CONVERSATIONS, "gauge", affected, recent=True)
    told = [(_labels(**ids(d)), lambda t, d=d: None if d.up(t) else float(d.device_id == "dev_01")) for d in down]
    writer.family(c.DEVICE_ALERT_DELIVERED, "gauge", told, recent=True)
    writer.family(c.DEVICE_MAINTENANCE, "gauge", each(_in_maintenance), recent=True)
    talk = [
        (
            _labels(channel_id=d.channel_id, engine=d.engine, business_id=d.business_id),
            lambda t: 20 + t // 3600 % 7,
        )
        for d in fleet.devices
    ]
    writer.family(c.CHANNEL_ACTIVE_CONVERSATIONS, "gauge", talk, recent=True)
    switched = [(_labels(channel_id="chn_01", backup_channel_id="chn_02"), lambda t: float(not down[0].up(t)))]
    writer.family(c.CHANNEL_FAILOVER_ACTIVE, "gauge", switched, recent=True)
    pair = _labels(channel_id="chn_01", backup_channel_id="chn_02")
    for metric in (c.CHANNEL_FAILOVER_PENDING, c.CHANNEL_FAILOVER_FAILED, c.CHANNEL_FAILOVER_NO_BACKUP):
        writer.family(metric, "gauge", [(pair, lambda _: 0)], recent=True)
    writer.family(c.FAILOVER_GROUP_DOWNTIME, "counter", [(pair, lambda t: 0 if t < fleet.end - DAY else 36)])
    writer.family(c.FAILOVER_GROUP_OBSERVED, "counter", [(pair, lambda t: t - fleet.start)])


def _groups(fleet: Fleet, writer: Writer) -> None:
    def each(value: Callable[[Device, int], float]) -> list[Series]:
        found = []
        for engine, business in fleet.groups():
            chosen = fleet.of(engine, business)
            labels = _labels(engine=engine, business_id=business)
            found.append((labels, _group(chosen, value)))
        return found

    writer.family(c.FLEET_DOWNTIME, "counter", each(lambda d, t: d.downtime(t)))
    writer.family(c.FLEET_OBSERVED, "counter", each(lambda d, t: d.observed(t)))
    writer.family(c.FLEET_DOWNTIME_KNOWN, "gauge", each(lambda d, t: d.downtime(t)))
    writer.family(c.FLEET_OBSERVED_KNOWN, "gauge", each(lambda d, t: d.observed(t)))
    writer.family(c.FLEET_DISCONNECTS, "counter", each(lambda d, t: d.begun(t)))
    states = []
    for engine, business in fleet.groups():
        for state in ("up", "down"):
            value = _group(fleet.of(engine, business), lambda d, t, s=state: float(d.up(t) == (s == "up")))
            states.append((_labels(engine=engine, business_id=business, state=state), value))
    writer.family(c.FLEET_DEVICES, "gauge", states)
    for metric, values in (
        (c.POLICY_OBJECTIVE, OBJECTIVES),
        (c.POLICY_ALERT_AFTER, ALERT_AFTER),
        (c.POLICY_ESCALATE_AFTER, {"wa": 0, "telegram": 1800}),
    ):
        writer.family(metric, "gauge", [(_labels(engine=e), lambda _, v=v: v) for e, v in values.items()], recent=True)


def _group(chosen: list[Device], value: Callable[[Device, int], float]) -> Callable[[int], float | None]:
    first = min(d.first_seen for d in chosen)
    return lambda t: sum(value(d, t) for d in chosen if t >= d.first_seen) if t >= first else None


def _histograms(fleet: Fleet, writer: Writer) -> None:
    series = []
    for engine in OBJECTIVES:
        finished = sorted((end, end - start) for d in fleet.of(engine) for start, end in d.outages if end <= fleet.end)
        for bound in (*c.OUTAGE_BUCKETS, float("inf")):
            ends = [end for end, length in finished if length <= bound]
            le = "+Inf" if bound == float("inf") else f"{bound:.10g}"
            series.append((f"_bucket{_labels(engine=engine, le=le)}", lambda t, ends=ends: bisect_right(ends, t)))
        ends = [end for end, _ in finished]
        series.append((f"_count{_labels(engine=engine)}", lambda t, ends=ends: bisect_right(ends, t)))
        series.append((f"_sum{_labels(engine=engine)}", lambda t, f=finished: sum(n for end, n in f if end <= t)))
    writer.family(c.FLEET_OUTAGE_DURATION, "histogram", series)


def _exporter(fleet: Fleet, writer: Writer) -> None:
    def own(name: str, kind: str, *series: tuple[dict[str, str], Callable[[int], float]], recent: bool = True) -> None:
        found = [(_labels(**labels), value) for labels, value in series]
        writer.family(f"{c.SELF_PREFIX}_{name}", kind, found, recent=recent)

    def growing(rate: float) -> Callable[[int], float]:
        return lambda t: (t - fleet.start) * rate

    own("build_info", "gauge", ({"version": "1.0.0", "pythonversion": "3.13.1"}, lambda _: 1), recent=False)
    own("blind_seconds_total", "counter", ({}, lambda t: 0 if t < fleet.end - 14400 else 42.5), recent=False)
    own("last_event_timestamp_seconds", "gauge", ({}, lambda t: t - t % 120))
    own("config_last_reload_successful", "gauge", ({}, lambda _: 1))
    own("config_last_reload_success_timestamp_seconds", "gauge", ({}, lambda _: fleet.end - 100_000))
    own("devices", "gauge", ({}, lambda _: len(fleet.devices)))
    own("quarantine_entries", "gauge", ({}, lambda _: 2))
    own("device_moves_total", "counter", ({}, growing(0.0001)))
    own("clock_jumps_total", "counter", ({}, growing(0.00001)))
    own("fleet_fullness_ratio", "gauge", *(({"of": what}, lambda _: 0.2) for what in ("devices", "engines", "groups")))
    own("notification_ways", "gauge", ({"alertmanager": "alertmanager:9093"}, lambda _: 3))
    writer.family(c.GATEWAY_STATE_READ, "gauge", [(_labels(gateway="evo-jkt"), lambda t: t - 20)], recent=True)
    silent = _labels(device_id="evo-jkt:cs-1", gateway="evo-jkt")
    writer.family(c.GATEWAY_SILENT_SINCE, "gauge", [(silent, lambda _: fleet.end - 30_000)], recent=True)
    for name in (c.GATEWAY_UP, c.GATEWAY_WEBHOOK_CONFIGURED):
        writer.family(name, "gauge", [(_labels(gateway="evo-jkt"), lambda _: 1)], recent=True)
    engine = {"engine": "wa", "gateway": "evo-jkt"}
    for name, labels in (
        (c.DEVICE_RECONNECTS, engine),
        (c.DEVICE_DISCONNECT_REASONS, {"engine": "wa", "reason": "logged_out"}),
        (c.GATEWAY_CORRECTIONS, {"gateway": "evo-jkt", "direction": "down"}),
        (c.GATEWAY_BLIND, {"gateway": "evo-jkt"}),
    ):
        writer.family(name, "counter", [(_labels(**labels), growing(0.001))], recent=True)
    own("journal_queue_depth", "gauge", ({}, lambda t: t // 60 % 3))
    own("journal_oldest_wait_seconds", "gauge", ({}, lambda t: t // 60 % 7))
    outcomes = [
        (c.MESSAGE_EVENTS[0], c.ACCEPTED, 2.5),
        (c.MESSAGE_EVENTS[2], c.ACCEPTED, 1.5),
        (c.DISCONNECTED_EVENT, c.LATE, 0.01),
    ]
    outcomes += [
        (c.DISCONNECTED_EVENT, c.ACCEPTED, 0.02),
        (c.OTHER_EVENT, c.INVALID, 0.002),
        (c.CONNECTED_EVENT, c.OVERLOADED, 0),
    ]
    own("events_total", "counter", *(({"event": e, "outcome": o}, growing(rate)) for e, o, rate in outcomes))
    own(
        "journal_failures_total",
        "counter",
        ({"operation": "append"}, growing(0)),
        ({"operation": "read"}, growing(0.0003)),
    )
    own(
        "alert_pushes_total",
        "counter",
        *(
            ({"alertmanager": "alertmanager:9093", "result": r}, growing(v))
            for r, v in (("ok", 0.03), ("error", 0.001))
        ),
    )
    own(
        "notify_total",
        "counter",
        *(({"target": "sms", "result": r}, growing(v)) for r, v in (("ok", 0.01), ("error", 0))),
    )
    own("task_failures_total", "counter", ({"task": "resend"}, growing(0.0005)))
    own("telegram_failures_total", "counter", ({}, growing(0.0001)))
    own("silence_failures_total", "counter", ({"alertmanager": "alertmanager:9093"}, growing(0.0001)))
    own("time_seconds", "gauge", ({}, lambda t: t + 0.5))
    for name, value in (("leading", 1.0), ("journal_lag_seconds", 0.05), ("journal_synchronous_standbys", 1.0)):
        own(name, "gauge", ({}, lambda _, v=value: v))
    for name, rate, centre, labels in (
        ("request_duration_seconds", 4, 0.002, {"listener": "public", "code": "200"}),
        ("journal_commit_duration_seconds", 2, 0.001, {}),
        ("journal_batch_size", 2, 2, {}),
        ("alert_push_latency_seconds", 0.03, 0.004, {}),
        ("scrape_duration_seconds", 0.06, 0.003, {}),
        ("loop_lag_seconds", 1, 0.0008, {}),
        (c.INCIDENT_ACKNOWLEDGE, 0.01, 120, {}),
    ):
        series = []
        bounds = (1, 2, 5, 10, 100) if centre >= 1 else (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1)
        for bound in (*bounds, float("inf")):
            share = 1 - 0.5 ** (bound / centre)
            le = "+Inf" if bound == float("inf") else f"{bound:.10g}"
            series.append((f"_bucket{_labels(**labels, le=le)}", growing(rate * share)))
        series += [
            (f"_count{_labels(**labels)}", growing(rate)),
            (f"_sum{_labels(**labels)}", growing(rate * centre * 1.5)),
        ]
        whole = name if name == c.INCIDENT_ACKNOWLEDGE else f"{c.SELF_PREFIX}_{name}"
        writer.family(whole, "histogram", series, recent=True)
