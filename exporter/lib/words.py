"""The words of a text in Indonesian and English. Pure.

Durations keep two units. Clock times are local and name their zone; the date is added when it is not today.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from exporter.conventions import ALERT_DEVICE_FLAPPING, ALERT_ENGINE_OUTAGE

if TYPE_CHECKING:
    from datetime import tzinfo

Language = Literal["id", "en"]

ENGINE_NAMES: Final = {
    "wa": "WhatsApp",
    "telegram": "Telegram",
    "slack": "Slack",
    "intercom": "Intercom",
    "instagram": "Instagram",
    "facebook": "Facebook",
}


class Words(msgspec.Struct, frozen=True):
    """One language. Texts with braces are formats."""

    down: str
    up: str
    escalated: str
    devices_down: str
    devices_up: str
    alerts: str
    since: str
    lasted: str
    took: str
    longest: str
    others: str
    recovered: str
    affected: tuple[str, str]
    """For one conversation, for several."""
    affected_short: tuple[str, str]
    waiting: str
    test: str
    alert_names: dict[str, str]
    units: tuple[str, str, str, str]
    """Day, hour, minute, second."""
    clock: str
    months: tuple[str, ...]


WORDS: Final[dict[Language, Words]] = {
    "id": Words(
        down="MATI",
        up="PULIH",
        escalated="ESKALASI",
        devices_down="{} perangkat mati",
        devices_up="{} perangkat pulih",
        alerts="{} peringatan",
        since="sejak {}",
        lasted="Mati selama {}",
        took="Berlangsung {}",
        longest="Paling lama {}",
        others="+{} lainnya",
        recovered="{} sudah pulih",
        affected=("{} percakapan terdampak", "{} percakapan terdampak"),
        affected_short=("{} percakapan", "{} percakapan"),
        waiting="{} menunggu",
        test="UJI COBA device-exporter: pesan ke {} berhasil, {}",
        alert_names={ALERT_ENGINE_OUTAGE: "GANGGUAN MASSAL", ALERT_DEVICE_FLAPPING: "KONEKSI TIDAK STABIL"},
        units=("hari", "jam", "mnt", "dtk"),
        clock="%H.%M",
        months=("Jan", "Feb", "Mar", "Apr", "Mei", "Jun", "Jul", "Agu", "Sep", "Okt", "Nov", "Des"),
    ),
    "en": Words(
        down="DOWN",
        up="BACK",
        escalated="ESCALATED",
        devices_down="{} devices down",
        devices_up="{} devices back",
        alerts="{} alerts",
        since="since {}",
        lasted="Down for {}",
        took="Lasted {}",
        longest="Longest {}",
        others="+{} more",
        recovered="{} back",
        affected=("{} conversation affected", "{} conversations affected"),
        affected_short=("{} conversation", "{} conversations"),
        waiting="{} waiting",
        test="TEST of device-exporter: message to {} arrived, {}",
        alert_names={ALERT_ENGINE_OUTAGE: "MASS OUTAGE", ALERT_DEVICE_FLAPPING: "UNSTABLE CONNECTION"},
        units=("d", "h", "min", "s"),
        clock="%H:%M",
        months=("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    ),
}


def duration(seconds: float, words: Words) -> str:
    """Return a duration in its two largest units, such as `2 jam 5 mnt`; never less than a second."""
    minutes, second = divmod(max(1, int(seconds)), 60)
    hours, minute = divmod(minutes, 60)
    day, hour = divmod(hours, 24)
    parts = list(zip((day, hour, minute, second), words.units, strict=True))
    first = next(index for index, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)


def clock_time(at: float, now: float, zone: tzinfo, words: Words) -> str:
    """Return a local time of day with its zone, and the day of the month where that is not today."""
    local, today = _local(at, zone), _local(now, zone)
    text = local.strftime(words.clock)
    if local.date() != today.date():
        text = f"{local.day} {words.months[local.month - 1]} {text}"
    return f"{text} {_zone_name(local)}"


def clock_range(start: float, end: float, now: float, zone: tzinfo, words: Words) -> str:
    """Return one time where both show the same minute, else `10.02-10.07 WIB`."""
    first, last = clock_time(start, now, zone, words), clock_time(end, now, zone, words)
    if first == last:
        return first
    return f"{first.rsplit(' ', 1)[0]}-{last}"


def _local(at: float, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(at, UTC).astimezone(zone)


def _zone_name(local: datetime) -> str:
    name = local.tzname() or "UTC"
    return f"UTC{name}" if name[0] in "+-" else name
