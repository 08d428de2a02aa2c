"""The silence of what somebody has, at one Alertmanager. What is in the journal counts; a silence only follows it.

Guarantees:
- A silence of ours ends `AHEAD` seconds from now at most, and never after its time: an exporter that dies keeps nobody
  in the dark. It is renewed while it is wanted, and found again after a restart, by its matchers and its comment.
- A silence that is wanted no longer is ended, whoever made it longer in the meantime.
- One is made only after Alertmanager had the time to tell people what it silences, also after a start of either: an
  Alertmanager tells the end of nothing that it told nobody of before.
- `lift` ends the silences of what ended, before its end is posted: so everybody hears of it.
- Silences of others are told to `seen`, and left alone.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from exporter.alerting.alert import SUBJECT_LABELS
from exporter.alerting.client import Matcher, Refused, Silence, Unavailable
from exporter.alerting.taken import scope_of
from exporter.conventions import (
    ALERT_DEVICE_FLAPPING,
    ESCALATION_LABEL,
)
from exporter.domain.thresholds import OF_ALERTS
from exporter.lib.logs import fields
from exporter.lib.times import local, rfc3339
from exporter.lib.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from exporter.alerting.alert import Alert, Key
    from exporter.alerting.client import Client
    from exporter.alerting.taken import Taken
    from exporter.metrics.own import SelfMetrics

log = logging.getLogger(__name__)

AHEAD: Final = 600.0
RENEW: Final = 300.0
"""A silence with less than this left is renewed."""
INTERVAL: Final = 60.0
"""Seconds between two looks."""
GOSSIP: Final = 1.0
"""Seconds that a silence of one member of a cluster needs to the others."""
PATIENCE: Final = 2.0
"""Seconds that an end waits for its silence."""
COMMENT: Final = "ACK device-exporter"
_BACKOFF: Final = (0.5, 10.0)


class Quiet(NamedTuple):
    """What is to be silenced."""

    key: Key
    matchers: tuple[Matcher, ...]
    by: str
    about: str
    """For the comment."""
    until: float


def quiet_of(taken: Taken, steps: Sequence[str]) -> Quiet:
    """Return what is silenced while somebody has an outage; `steps` are whom the escalations are for that are left out.

    What is told of the acknowledgement itself gets through, and so do escalations that nothing holds up.
    """
    name, subject = taken.key
    if not taken.of_device:
        whole = (Matcher("alertname", name), Matcher(SUBJECT_LABELS[name], subject))
        return Quiet(taken.key, whole, taken.by, f"{name} {subject}", taken.until)
    to = "|".join(["", *map(re.escape, sorted(steps))])
    matchers = (
        Matcher("device_id", subject),
        Matcher("alertname", "|".join((*OF_ALERTS, ALERT_DEVICE_FLAPPING)), True),
        Matcher(ESCALATION_LABEL, to, True),
    )
    return Quiet(taken.key, matchers, taken.by, f"#{taken.number}", taken.until)


def _matchers_of(key: Key, silences: Mapping[frozenset[Matcher], object]) -> frozenset[Matcher]:
    """Return the matchers of a silence of ours from before this start."""
    name, subject = key
    about = Matcher(SUBJECT_LABELS.get(name, "device_id"), subject)
    return next((matchers for matchers in silences if about in matchers), frozenset())


class _Telling(NamedTuple):
    """What an Alertmanager was asked to tell."""

    run: str
    """Which run of Alertmanager it was: one that starts again may know nothing of it."""
    taken_at: float | None = None


class Silences:
    """Keeps the silences of one Alertmanager. `delay` lets the others of a cluster be first.

    `wanted` returns who has what, None where nobody can have anything: then this Alertmanager is not asked. `tell`
    posts once more what fires of an outage; people have been told of it `told_within` seconds after `took`.
    """

    def __init__(
        self,
        client: Client,
        wanted: Callable[[], Mapping[Key, Taken] | None],
        quiet_of: Callable[[Taken], Quiet],
        clock: Callable[[], float],
        metrics: SelfMetrics,
        seen: Callable[[Sequence[Silence]], None],
        *,
        tell: Callable[[Key], None],
        told_within: Callable[[], float],
        delay: float = 0.0,
    ) -> None:
        self._client = client
        self._wanted = wanted
        self._quiet_of = quiet_of
        self._clock = clock
        self._failures = metrics.silence_failures.labels(client.url)
        self._seen = seen
        self._tell = tell
        self._told_within = told_within
        self._delay = delay
        self._wake = Wake()
        self._lock = asyncio.Lock()
        self._ours: dict[frozenset[Matcher], list[Silence]] | None = None  # None: never listed
        self._keys: dict[Key, frozenset[Matcher]] = {}
        self._telling: dict[Key, _Telling] = {}
        self._failing = False

    def reconsider(self) -> None:
        """Look at once: what is wanted is another."""
        self._wake.set()

    async def run(self) -> None:
        """Let the silences follow what is wanted, for ever."""
        backoff = 0.0
        while True:
            try:
                async with self._lock:
                    await self._follow(self._wanted())
                backoff, self._failing = 0.0, False
                await self._wake.wait(self._next_look())
            except (Unavailable, Refused) as error:
                self._failed(error)
                backoff = min(_BACKOFF[1], backoff * 2 or _BACKOFF[0])
                await self._wake.wait(backoff)
            if self._delay:
                await asyncio.sleep(self._delay)

    def took(self, alerts: Iterable[Alert]) -> None:
        """Note what Alertmanager took."""
        for alert in alerts if self._telling else ():
            telling = self._telling.get(scope_of(alert))
            if telling is not None and telling.taken_at is None and alert.ends_at is None:
                self._telling[scope_of(alert)] = telling._replace(taken_at=self._clock())
                self._wake.set()

    async def lift(self, ended: Iterable[Alert]) -> None:
        """End the silences of alerts that ended; give up after `PATIENCE` seconds. Never raises."""
        if (wanted := self._wanted()) is None:
            return
        keys = {scope_of(alert) for alert in ended}
        for key in keys - wanted.keys():
            self._telling.pop(key, None)
        if self._ours is not None and not keys & self._keys.keys():
            return
        try:
            async with asyncio.timeout(PATIENCE), self._lock:
                await self._list()  # somebody may have made one longer, which gives it another id
                for key in keys - wanted.keys():
                    await self._end(self._keys.pop(key, frozenset()) or _matchers_of(key, self._ours or {}))
        except (Unavailable, TimeoutError) as error:
            self._failed(error)

    async def _follow(self, taken: Mapping[Key, Taken] | None) -> None:
        if taken is None:
            return
        await self._list()
        wanted = {frozenset(quiet.matchers): quiet for quiet in map(self._quiet_of, list(taken.values()))}
        for matchers in list(self._ours or ()):
            if matchers not in wanted:
                await self._end(matchers)
        self._telling = {key: telling for key, telling in self._telling.items() if key in taken}
        run = await self._client.run() if wanted.keys() - (self._ours or {}).keys() else ""
        for matchers, quiet in wanted.items():
            now = self._clock()
            if quiet.key not in taken or quiet.until <= now:  # it may have ended while others were renewed
                continue
            if (self._ours or {}).get(matchers) or self._is_told(quiet.key, run, now):
                await self._keep(quiet, matchers, now)

    def _is_told(self, key: Key, run: str, now: float) -> bool:
        """Return whether this run of Alertmanager had the time to tell of an outage; ask it to if nobody did."""
        telling = self._telling.get(key)
        if telling is None or telling.run != run:
            self._telling[key] = _Telling(run)
            self._tell(key)
            return False
        return telling.taken_at is not None and telling.taken_at + self._told_within() <= now

    def _next_look(self) -> float:
        now, within = self._clock(), self._told_within()
        due = (one.taken_at + within - now for one in self._telling.values() if one.taken_at is not None)
        return min([INTERVAL, *(seconds for seconds in due if seconds > 0)])

    async def _list(self) -> None:
        found = await self._client.silences()
        self._ours = {}
        others = []
        for silence in found:
            if silence.comment.startswith(COMMENT):
                self._ours.setdefault(frozenset(silence.matchers), []).append(silence)
            else:
                others.append(silence)
        self._seen(others)

    async def _keep(self, quiet: Quiet, matchers: frozenset[Matcher], now: float) -> None:
        """Make a silence, or renew the one that lasts longest."""
        self._keys[quiet.key] = matchers
        ours = (self._ours or {}).get(matchers, [])
        longest = max(ours, key=lambda silence: silence.ends_at, default=None)
        end = min(now + AHEAD, quiet.until)
        left = longest.ends_at.timestamp() - now if longest is not None else 0.0
        if longest is not None and longest.created_by == quiet.by and left > min(RENEW, quiet.until - now - 1):
            return
        begin, end = longest.starts_at.timestamp() if longest is not None else now, max(end, now + left)
        body: dict[str, Any] = {
            "matchers": [matcher.plain() for matcher in quiet.matchers],
            "startsAt": rfc3339(begin, timespec="milliseconds"),
            "endsAt": rfc3339(end, timespec="milliseconds"),
            "createdBy": quiet.by,
            "comment": f"{COMMENT} {quiet.about}",
        }
        if longest is not None:
            body["id"] = longest.id
        number = await self._client.silence(body)
        made = Silence(number, list(quiet.matchers), local(begin, UTC), local(end, UTC))
        others = [silence for silence in ours if silence.id != number]
        self._ours = {**(self._ours or {}), matchers: [*others, made]}

    async def _end(self, matchers: frozenset[Matcher]) -> None:
        for silence in (self._ours or {}).pop(matchers, []):
            await self._client.end_silence(silence.id)

    def _failed(self, error: Exception) -> None:
        self._failures.inc()
        if not self._failing:
            self._failing = True
            told = fields(alertmanager=self._client.url, reason=str(error) or type(error).__name__)
            log.warning("a silence could not follow an acknowledgement", extra=told)
