"""One short text for one notification. Pure: time, zone, language and room are arguments.

Facts rank first: how many devices, which engine, since when or how long, how many conversations suffer. Names are
shortened before a fact is, and of many names those that do not fit become `+3 lainnya`.
"""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.conventions import (
    AFFECTED_ANNOTATION,
    ALERT_DEVICE_DOWN_ESCALATED,
    ALERT_ENGINE_OUTAGE,
    ALERT_GATEWAY_OUTAGE,
    BUSINESSES_ANNOTATION,
    FORGOTTEN_ANNOTATION,
    SUMMARY_ANNOTATION,
    WAITING_ANNOTATION,
)
from exporter.domain.thresholds import OF_ALERTS
from exporter.lib.words import ENGINE_NAMES, WORDS, Language, clock_range, clock_time, duration
from exporter.notify.phrases import PHRASES
from exporter.notify.sms import Line, Name, fit, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exporter.notify.webhook import Alert, Notification

_MOST_NAMES: Final = 12
_LISTED_FLOOR: Final = 14  # names of one business often differ at their end: fewer, but readable
_LONGEST_SUMMARY: Final = 240


class Style(msgspec.Struct, frozen=True):
    """How a target wants its texts."""

    language: Language
    zone: tzinfo
    parts: int = 1
    """SMS messages that one text may fill."""


def render(notification: Notification, style: Style, now: float) -> str:
    """Return the text; it fits `style.parts` SMS messages."""
    return _Rendering(style, now).text(notification)


def render_test(target: str, style: Style, now: float) -> str:
    """Return the text of `notify-test`."""
    at = clock_time(now, now, style.zone, WORDS[style.language])
    before, after = PHRASES[style.language].test.split("{}", 1)
    return fit([[before, Name(plain(target)), after.format(at), "."]], style.parts)


def render_limit(limit: int, until: float, style: Style, now: float) -> str:
    """Return the text that says that the next ones are held back until then."""
    at = clock_time(until, now, style.zone, WORDS[style.language])
    return fit([[PHRASES[style.language].limit.format(limit, at)]], style.parts)


class _Rendering:
    def __init__(self, style: Style, now: float) -> None:
        self.language = style.language
        self.words = WORDS[style.language]
        self.phrases = PHRASES[style.language]
        self.zone = style.zone
        self.parts = style.parts
        self.now = now

    def text(self, notification: Notification) -> str:
        alerts = _one_per_device(notification.alerts)
        firing = [alert for alert in alerts if alert.firing]
        resolved = [alert for alert in alerts if not alert.firing]
        shown = firing or resolved
        devices = all(_alertname(alert) in OF_ALERTS for alert in shown)
        if len(shown) == 1 and not notification.truncated:
            variants = self._device(shown[0]) if devices else self._other(shown[0])
        else:
            variants = self._group(shown, len(shown) + notification.truncated, devices=devices)
        if firing and resolved:
            variants = [[*line, *self._recovered(resolved)] for line in variants]
        plain_ends: list[Line] = [[*line, "."] for line in variants]
        if not (link := notification.ack_url):
            return fit(plain_ends, self.parts)
        linked: list[Line] = [[*line, self.phrases.take.format(link)] for line in plain_ends]
        return fit([*linked, *plain_ends], self.parts)

    # One device ----------------------------------------------------------------------------------------------

    def _device(self, alert: Alert) -> list[Line]:
        """Return the variants: with the business and long wording; short wording; without the business."""
        named: Line = [Name(_device_name(alert))]
        business = _first_of(alert, ("business_name",))
        with_business: Line = [*named, " (", Name(business), ")"] if business else named
        head, facts, short = self._headline(alert), self._facts(alert), self._facts(alert, short=True)
        engine = f", {_engine(alert)}" if _engine(alert) else ""
        return [
            [head, *with_business, engine, *facts],
            [head, *with_business, engine, *short],
            [head, *named, engine, *short],
        ]

    def _headline(self, alert: Alert) -> str:
        if not alert.firing:
            return f"{self.phrases.forgotten if alert.annotations.get(FORGOTTEN_ANNOTATION) else self.phrases.up}: "
        if not _escalated(alert):
            return f"{self.phrases.down}: "
        return f"{self.phrases.escalated}, {self.phrases.down} {self._lasted(alert)}: "

    def _facts(self, alert: Alert, *, short: bool = False) -> Line:
        if not alert.firing:
            times = f" ({self._times(alert)})" if not short else ""
            return [". ", self.phrases.lasted.format(self._lasted(alert)), times]
        return [", ", self._since([alert]), self._conversations([alert], short=short)]

    # Several devices or alerts -------------------------------------------------------------------------------

    def _group(self, alerts: Sequence[Alert], total: int, *, devices: bool) -> list[Line]:
        """Return the variants: with all names, then with fewer and fewer, at last with the count alone."""
        first = alerts[:_MOST_NAMES]
        kinds = list(map(self._kind, dict.fromkeys(map(_alertname, alerts))))
        if devices:
            head, names, hidden = self._devices_headline(alerts, total), list(map(_device_name, first)), total
        elif len(kinds) == 1:
            head, names, hidden = f"{kinds[0]} ({total})", [_subject(alert) or "?" for alert in first], total
        else:
            head, names, hidden = self.phrases.alerts.format(total), kinds, len(kinds)
        if not devices and not alerts[0].firing:
            head = f"{self.phrases.up}: {head}"
        facts, short = self._group_facts(alerts), self._group_facts(alerts, short=True)
        counts = range(min(_MOST_NAMES, len(names)), 0, -1)
        listed = [[head, ": ", *self._list(names[:count], hidden - count), *facts] for count in counts]
        return [*listed, [head, *short]]

    def _devices_headline(self, alerts: Sequence[Alert], total: int) -> str:
        words = self.phrases
        head = (words.devices_down if alerts[0].firing else words.devices_up).format(total)
        engines = {alert.labels.get("engine", "") for alert in alerts}
        engine = f" ({_engine(alerts[0])})" if len(engines) == 1 and _engine(alerts[0]) else ""
        escalated = f"{words.escalated}: " if alerts[0].firing and all(map(_escalated, alerts)) else ""
        return f"{escalated}{head}{engine}"

    def _list(self, names: Sequence[str], hidden: int) -> Line:
        line: Line = []
        for name in names:
            line += [", ", Name(name, _LISTED_FLOOR)] if line else [Name(name, _LISTED_FLOOR)]
        if hidden > 0:
            line += [", ", self.phrases.others.format(hidden)]
        return line

    def _group_facts(self, alerts: Sequence[Alert], *, short: bool = False) -> Line:
        if not alerts[0].firing:
            return [". ", self._longest(alerts)]
        return [", ", self._since(alerts), self._conversations(alerts, short=short)]

    def _recovered(self, resolved: Sequence[Alert]) -> Line:
        return [". ", self.phrases.recovered.format(len(resolved)), " (", self._longest(resolved).lower(), ")"]

    # Other alerts --------------------------------------------------------------------------------------------

    def _other(self, alert: Alert) -> list[Line]:
        subject = _subject(alert)
        kind = self._kind(_alertname(alert))
        head: Line = [kind if _alertname(alert) in self.phrases.alert_names else Name(kind)]
        with_subject: Line = [*head, " ", Name(subject)] if subject else head
        if not alert.firing:
            over = self.phrases.over_names.get(_alertname(alert))
            if alert.annotations.get(FORGOTTEN_ANNOTATION):
                over = self.phrases.forgotten
            told = (
                [over, *([": ", Name(subject)] if subject else [])] if over else [f"{self.phrases.up}: ", *with_subject]
            )
            return [[*told, ". ", self.phrases.took.format(self._lasted(alert))]]
        summary = self._summary(alert)
        since: Line = [", ", self._since([alert])]
        if not summary:
            return [[*with_subject, *since]]
        text: Line = [*(head if subject in summary else with_subject), ": ", Name(summary), *since]
        hit = plain(self._in_language(alert, BUSINESSES_ANNOTATION), _LONGEST_SUMMARY)
        if not hit or (subject and subject in hit):
            return [text]
        whole = [part._replace(floor=len(part.text)) if isinstance(part, Name) else part for part in text]
        return [[*whole, ". ", Name(hit, len(hit))], text]  # whom it hits is worth no letter of what it is

    def _summary(self, alert: Alert) -> str:
        engine = alert.labels.get("engine", "")
        found = self._in_language(alert, SUMMARY_ANNOTATION).removeprefix(f"{engine}: ")
        return plain(found, _LONGEST_SUMMARY).rstrip(".")

    def _in_language(self, alert: Alert, annotation: str) -> str:
        return alert.annotations.get(f"{annotation}_{self.language}") or alert.annotations.get(annotation, "")

    def _kind(self, alertname: str) -> str:
        return self.phrases.alert_names.get(alertname) or plain(alertname) or "?"

    # Facts ---------------------------------------------------------------------------------------------------

    def _start(self, alert: Alert) -> float:
        return alert.start or self.now

    def _end(self, alert: Alert) -> float:
        return self.now if alert.firing else alert.end or self.now

    def _times(self, alert: Alert) -> str:
        return clock_range(self._start(alert), self._end(alert), self.now, self.zone, self.words)

    def _lasted(self, alert: Alert) -> str:
        return duration(self._end(alert) - self._start(alert), self.words)

    def _longest(self, alerts: Sequence[Alert]) -> str:
        longest = max(self._end(alert) - self._start(alert) for alert in alerts)
        words = self.phrases.longest if len(alerts) > 1 else self.phrases.lasted
        return words.format(duration(longest, self.words))

    def _since(self, alerts: Sequence[Alert]) -> str:
        starts = [self._start(alert) for alert in alerts]
        return self.phrases.since.format(clock_range(min(starts), max(starts), self.now, self.zone, self.words))

    def _conversations(self, alerts: Iterable[Alert], *, short: bool) -> str:
        counts = [(_count(alert, AFFECTED_ANNOTATION), _count(alert, WAITING_ANNOTATION)) for alert in alerts]
        affected, waiting = sum(count for count, _ in counts), sum(count for _, count in counts)
        if not affected:
            return ""
        one, several = self.phrases.affected_short if short else self.phrases.affected
        text = f". {(one if affected == 1 else several).format(affected)}"
        return f"{text}, {self.phrases.waiting.format(waiting)}" if waiting else text


def _one_per_device(alerts: Iterable[Alert]) -> list[Alert]:
    """Keep one alert of each device and status: the escalated one, as it says more; order is kept."""
    found: dict[tuple[str, str], Alert] = {}
    for alert in alerts:
        is_down = _alertname(alert) in OF_ALERTS
        device = alert.labels.get("device_id") if is_down else None
        key = (alert.status, f"device {device}" if device else alert.fingerprint)
        if key not in found or _escalated(alert):
            found[key] = alert
    return list(found.values())


def _alertname(alert: Alert) -> str:
    return alert.labels.get("alertname", "")


def _escalated(alert: Alert) -> bool:
    return bool(alert.labels.get("escalation")) or _alertname(alert) == ALERT_DEVICE_DOWN_ESCALATED


def _device_name(alert: Alert) -> str:
    return _first_of(alert, ("device_name", "device_id", "instance")) or "?"


def _subject(alert: Alert) -> str:
    if _alertname(alert) == ALERT_ENGINE_OUTAGE:
        return _engine(alert)
    if _alertname(alert) == ALERT_GATEWAY_OUTAGE:
        return plain(alert.labels.get("gateway", ""))
    return _first_of(alert, ("device_name", "device_id", "business_name", "business_id")) or _engine(alert)


def _first_of(alert: Alert, keys: Iterable[str]) -> str:
    """Return the first that is not empty; names are annotations, ids are labels."""
    names = (plain(alert.annotations.get(key) or alert.labels.get(key, "")) for key in keys)
    return next((name for name in names if name), "")


def _engine(alert: Alert) -> str:
    engine = alert.labels.get("engine", "")
    return ENGINE_NAMES.get(engine) or plain(engine, 20)


def _count(alert: Alert, annotation: str) -> int:
    value = alert.annotations.get(annotation, "").strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 9 else 0
