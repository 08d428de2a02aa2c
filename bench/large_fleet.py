"""A made-up fleet of 100,000 devices: its /metrics of now, and as much of its past as dashboards look at."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from exporter import conventions as c
from grafana.source.queries import DOWNTIME
from prometheus import slo_rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    Value = Callable[[int], float]

ENGINES: Final = ("wa", "telegram", "instagram", "facebook")
_TARGET: Final = ',instance="a:9877",job="device-exporter"'
_DAY: Final = 86_400
_HEAD: Final = 40 * 60
"""Seconds until now that are in memory: more than a rule about devices looks back. In life it is 2 hours at least."""


class LargeFleet(NamedTuple):
    """Device `n` belongs to business `n % businesses`, whose devices all have one engine; `down` of them are down.

    A third of those that are down went down within the last hour. Everything else happened as time goes on.
    """

    devices: int
    businesses: int
    down: int
    end: int

    def engine(self, business: int) -> str:
        return ENGINES[business % len(ENGINES)]

    def labels(self, n: int) -> str:
        business = n % self.businesses
        engine = self.engine(business)
        return f'business_id="biz_{business}",channel_id="channel_{n}",device_id="device_{n:06}",engine="{engine}"'

    def names(self, n: int, *, recorded: bool = False) -> str:
        business = n % self.businesses
        user = "" if recorded else f',user_id="u{business}",user_name="Ibu Sari"'
        names = f'business_name="Toko Makmur {business}",channel_name="Customer care {n}",device_name="Front desk {n}"'
        return f"{self.labels(n)},{names}{user}"

    def down_devices(self) -> range:
        return range(0, self.devices, max(1, self.devices // self.down))

    def since(self, n: int) -> int:
        """Return when a device that is down went down."""
        place = n // max(1, self.devices // self.down)
        return self.end - (place + 1) * 3 - (_DAY if place % 3 else 0)

    def groups(self) -> list[str]:
        return [f'business_id="biz_{n}",engine="{self.engine(n)}"' for n in range(self.businesses)]

    # -- now ----------------------------------------------------------------------------------------------------------

    def now(self) -> bytes:
        """Return what is scraped."""
        return "".join(self._now()).encode()

    def _now(self) -> Iterator[str]:
        every, down = range(self.devices), self.down_devices()
        gone = set(down)
        per_device = self.devices // self.businesses
        yield from _family(c.DEVICE_UP, "gauge", ((self.labels(n), n not in gone) for n in every))
        yield from _family(c.DEVICE_DISCONNECTS, "counter", ((self.labels(n), 1 + n % 5) for n in every))
        yield from _family(c.DEVICE_DOWNTIME, "counter", ((self.labels(n), self._downtime(n)) for n in every))
        changes = ((self.labels(n), self.since(n) if n in gone else self.end - 90_000 - n) for n in every)
        yield from _family(c.DEVICE_STATE_CHANGE, "gauge", changes)
        yield from _family(c.DEVICE_FIRST_SEEN, "gauge", ((self.labels(n), self.end - 40 * _DAY) for n in every))
        yield from _family(c.DEVICE_INFO, "gauge", ((self.names(n), 1) for n in every))
        yield from _family(c.DEVICE_DOWN_SINCE, "gauge", ((self.names(n), self.since(n)) for n in down))
        yield from _family(c.DEVICE_ALERT_DELIVERED, "gauge", ((self.labels(n), 1) for n in down))
        yield from _family(c.DEVICE_AFFECTED_CONVERSATIONS, "gauge", ((self.labels(n), n % 7) for n in down))
        for metric, value in self._sums(per_device):
            kind = "counter" if metric.endswith("_total") else "gauge"
            yield from _family(metric, kind, ((group, value(self.end)) for group in self.groups()))
        states = ((f'{group},state="{s}"', v) for group in self.groups() for s, v in self._states(per_device))
        yield from _family(c.FLEET_DEVICES, "gauge", states)
        engines = [f'engine="{engine}"' for engine in ENGINES]
        for metric, value in ((c.POLICY_ALERT_AFTER, 300), (c.POLICY_ESCALATE_AFTER, 900), (c.POLICY_OBJECTIVE, 0.995)):
            yield from _family(metric, "gauge", ((labels, value) for labels in engines))
        yield from _family(c.POLICY_SEVERITY, "gauge", ((f'{labels},severity="critical"', 1) for labels in engines))
        yield f'{c.SELF_PREFIX}_build_info{{version="1"}} 1\n'
        yield f'{c.SELF_PREFIX}_alert_pushes_total{{alertmanager="a",result="ok"}} 1\n'
        yield f"{c.SELF_PREFIX}_blind_seconds_total 0\n{c.SELF_PREFIX}_last_event_timestamp_seconds {self.end}\n"

    def _downtime(self, n: int) -> int:
        return n % 977

    def _states(self, per_device: int) -> Iterable[tuple[str, int]]:
        return ("up", per_device - self.down // self.businesses), ("down", self.down // self.businesses)

    def _sums(self, per_device: int) -> list[tuple[str, Value]]:
        def down(at: int) -> float:
            return (at - self.end + 40 * _DAY) * 0.3

        def seen(at: int) -> float:
            return (at - self.end + 40 * _DAY) * per_device

        return [
            (c.FLEET_DOWNTIME_KNOWN, down),
            (c.FLEET_OBSERVED_KNOWN, seen),
            (c.FLEET_DOWNTIME, down),
            (c.FLEET_OBSERVED, seen),
            (c.FLEET_DISCONNECTS, lambda at: (at - self.end + 40 * _DAY) // 700),
        ]

    # -- before -------------------------------------------------------------------------------------------------------

    def write_past(self, file: Path, days: int) -> None:
        """Write what Prometheus keeps in blocks: groups every hour for `days` and every minute of the last day."""
        hours = range(self.end - days * _DAY, self.end - _DAY, 3600)
        minutes = range(self.end - _DAY, self.end - _HEAD, 60)
        with file.open("w") as out:
            out.writelines(self._before((*hours, *minutes), self.end - _DAY))

    def recent(self, now: int) -> bytes:
        """Return what it keeps in memory, where the rules about devices look: every minute since, as a late scrape.

        Of devices it is what rules find that are evaluated between a few seconds and four minutes after `now`.
        """
        minutes = range(self.end - _HEAD, self.end - 30, 60)
        return "".join(self._before(minutes, now - 31 * 60, now - 5 * 60)).encode()

    def _before(self, times: Sequence[int], *looks: int) -> Iterator[str]:
        """Yield OpenMetrics: of groups at all `times`, of devices' counters at `looks`."""
        minutes = [at for at in times if at >= self.end - _DAY]
        per_device = self.devices // self.businesses
        for metric, value in self._sums(per_device):
            yield f"# TYPE {metric.removesuffix('_total')} {'counter' if '_total' in metric else 'gauge'}\n"
            tail = "".join(f"%s {value(at)} {at}\n" for at in times)
            for group in self.groups():
                yield tail.replace("%s", f"{metric}{{{group}{_TARGET}}}")
        yield f"# TYPE {c.FLEET_DEVICES} gauge\n"
        for state, number in self._states(per_device):
            tail = "".join(f"%s {number} {at}\n" for at in minutes)
            for group in self.groups():
                yield tail.replace("%s", f'{c.FLEET_DEVICES}{{{group},state="{state}"{_TARGET}}}')
        yield f"# TYPE {c.SELF_PREFIX}_build_info gauge\n"
        yield from (f'{c.SELF_PREFIX}_build_info{{version="1"{_TARGET}}} 1 {at}\n' for at in times)
        yield f"# TYPE {c.DEVICE_DOWN_SINCE} gauge\n"
        for n in self.down_devices():
            since = self.since(n)
            head = f"{c.DEVICE_DOWN_SINCE}{{{self.names(n)}{_TARGET}}} {since} "
            yield from (f"{head}{at}\n" for at in minutes if at >= since)
        yield f"# TYPE {DOWNTIME} gauge\n"
        for n in self.down_devices():  # as the rules would have recorded it
            head = f"{DOWNTIME}{{{self.names(n, recorded=True)}}} 300 "
            yield from (f"{head}{at}\n" for at in minutes if at >= self.since(n) and not at % 300)
        yield from self._recorded(times)
        for metric in (c.DEVICE_DOWNTIME, c.DEVICE_DISCONNECTS):
            yield f"# TYPE {metric.removesuffix('_total')} counter\n"
            for n in range(self.devices):
                yield from (f"{metric}{{{self.labels(n)}{_TARGET}}} 0 {at}\n" for at in looks)
        yield "# EOF\n"

    def _recorded(self, times: Sequence[int]) -> Iterator[str]:
        """Yield what the SLO rules would have recorded of each business: all of the last hour, one window before."""
        near = [at for at in times if at > self.end - 3600]
        for window in slo_rules.WINDOWS:
            name = window.name
            chosen = times if name == "6h" else near
            for series in (slo_rules.downtime(name), slo_rules.observed(name), slo_rules.burn("engine_business", name)):
                yield from self._alike(series, chosen)
        yield from self._alike(slo_rules.budget_remaining("engine_business"), near)

    def _alike(self, series: str, times: Iterable[int]) -> Iterator[str]:
        tail = "".join(f"%s 0.5 {at}\n" for at in times)
        yield f"# TYPE {series} gauge\n"
        yield from (tail.replace("%s", f"{series}{{{group}}}") for group in self.groups())


def _family(name: str, kind: str, samples: Iterable[tuple[str, float]]) -> Iterator[str]:
    yield f"# TYPE {name} {kind}\n"
    for labels, value in samples:
        yield f"{name}{{{labels}}} {float(value):.12g}\n"


def made(devices: int, businesses: int, down: int) -> LargeFleet:
    return LargeFleet(devices, businesses, down, int(time.time()) // 60 * 60)
