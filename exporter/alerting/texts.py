"""What alerts say in English and, with the suffix _id, in Indonesian: what, whose, how bad, and one step. Pure.

The step is what a person can do at once; the runbook has the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from exporter.alerting.alert import SUBJECT_LABELS
from exporter.alerting.extent import Extent
from exporter.alerting.flapping import FLAP_WINDOW, FLAPS
from exporter.alerting.taken import NO_ENDS
from exporter.conventions import (
    ALERT_BUSINESS_OUTAGE,
    ALERT_DEVICE_DOWN_ESCALATED,
    ALERT_DEVICE_FLAPPING,
    ALERT_DEVICE_STILL_DOWN,
    ALERT_ENGINE_OUTAGE,
    ALERT_GATEWAY_OUTAGE,
    ESCALATION_LABEL,
)
from exporter.domain.policy import MANAGEMENT
from exporter.lib.words import ENGINE_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from exporter.alerting.alert import Alert, Facts

_MINUTES: Final = int(FLAP_WINDOW / 60)
_STILL: Final = "Alerts of its single devices are muted until it ends."
_MORE: Final = "+{} more"
_MORE_ID: Final = "+{} lainnya"
_STILL_ID: Final = "Peringatan per perangkat dibisukan sampai gangguan ini selesai."


class _Text(NamedTuple):
    summary: str
    summary_id: str
    description: str
    description_id: str
    action: str = ""
    action_id: str = ""


def texts(alert: Alert) -> dict[str, str]:
    """Return the annotations; an empty step is left out."""
    return {name: text for name, text in _text(alert)._asdict().items() if text}


def listed(names: Sequence[str], others: int, more: str = "+{}") -> str:
    """Return names in one line, and how many are not among them."""
    return ", ".join([*names, *([more.format(others)] if others > 0 and names else [])])


def _text(alert: Alert) -> _Text:
    subject = _Subject(alert)
    match alert.name:
        case name if name in SUBJECT_LABELS:
            return _mass(alert, subject, alert.extent or Extent())
        case name if name == ALERT_DEVICE_FLAPPING:
            return _flapping(subject)
        case name if name in NO_ENDS:
            of_taken = _still_down if name == ALERT_DEVICE_STILL_DOWN else _acknowledged
            return of_taken(subject, alert.facts or {})
        case _:
            escalated = alert.name == ALERT_DEVICE_DOWN_ESCALATED
            return _device_down(subject, to=alert.labels.get(ESCALATION_LABEL, MANAGEMENT) if escalated else "")


def _mass(alert: Alert, subject: _Subject, extent: Extent) -> _Text:
    match alert.name:
        case name if name == ALERT_ENGINE_OUTAGE:
            return _engine_outage(subject.engine, extent)
        case name if name == ALERT_GATEWAY_OUTAGE:
            return _gateway_outage(alert.labels.get("gateway", ""), extent)
        case name if name == ALERT_BUSINESS_OUTAGE:
            return _business_outage(subject.business, extent)
        case _:
            return _many_devices_down(extent)


class _Subject:
    """What an alert is about, as people call it."""

    def __init__(self, alert: Alert) -> None:
        labels = {**alert.labels, **alert.names}
        self.engine = ENGINE_NAMES.get(labels.get("engine", ""), labels.get("engine", ""))
        self.who = labels.get("device_name") or labels.get("device_id", self.engine)
        self.business = labels.get("business_name") or labels.get("business_id", "")
        self.user = labels.get("user_name", "")
        self.whose = f"{self.who} ({self.engine})" + (f" of {self.business}" if self.business else "")
        self.whose_id = f"{self.who} ({self.engine})" + (f" milik {self.business}" if self.business else "")
        self.what = self.who or self.business or labels.get("gateway") or "several devices"
        if "device_id" not in labels:
            self.whose = self.whose_id = self.what


def _device_down(subject: _Subject, *, to: str) -> _Text:
    """Return what is said of a device that is down; `to` is whom it escalates to, empty: nobody."""
    to_id = "manajemen" if to == MANAGEMENT else to
    whom, whom_id = subject.user or "its owner", subject.user or "pemiliknya"
    return _Text(
        f"{subject.who} ({subject.engine}) is down",
        f"{subject.who} ({subject.engine}) mati",
        f"{subject.whose} has been disconnected for longer than the policy lets pass without {to}."
        if to
        else f"{subject.whose} is disconnected.",
        f"{subject.whose_id} terputus melewati batas eskalasi ke {to_id}." if to else f"{subject.whose_id} terputus.",
        f"Call {whom}: is the phone on and online? If so, link it to {subject.engine} again.",
        f"Hubungi {whom_id}: apakah ponselnya hidup dan ada internet? Jika ya, tautkan lagi ke {subject.engine}.",
    )


def _acknowledged(subject: _Subject, facts: Facts) -> _Text:
    by, until, until_id = facts.get("acked_by", ""), facts.get("acked_until", ""), facts.get("acked_until_id", "")
    if facts.get("undone"):
        return _Text(
            f"{by} does not have {subject.what} after all",
            f"{by} tidak jadi menangani {subject.what}",
            f"Nobody has {subject.whose} now.",
            f"{subject.whose_id} belum ada yang menangani.",
        )
    return _Text(
        f"{by} has {subject.what}. Reminder {until}",
        f"{by} menangani {subject.what}. Pengingat {until_id}",
        f"{by} has {subject.whose}. If it is still down at {until} everybody is told again.",
        f"{by} menangani {subject.whose_id}. Kalau pada {until_id} masih mati, semua diberi tahu lagi.",
    )


def _still_down(subject: _Subject, facts: Facts) -> _Text:
    by = facts.get("acked_by", "")
    return _Text(
        f"{subject.what} is still down; {by} had it",
        f"{subject.what} masih mati; tadi ditangani {by}",
        f"{subject.whose} is still disconnected. {by} had it, the time for that is over, and nobody has it now.",
        f"{subject.whose_id} masih terputus. {by} sempat menanganinya, waktunya habis, dan sekarang belum ada lagi.",
        f"Ask {by} how far it is, or take it over.",
        f"Tanya {by} sudah sampai mana, atau ambil alih.",
    )


def _flapping(subject: _Subject) -> _Text:
    whom, whom_id = subject.user or "its owner", subject.user or "pemiliknya"
    return _Text(
        f"{subject.who} keeps disconnecting",
        f"Koneksi {subject.who} tidak stabil",
        f"{subject.whose} disconnected more than {FLAPS} times within {_MINUTES} minutes. "
        f"Its single outages are muted until {_MINUTES} minutes have none.",
        f"{subject.whose_id} terputus lebih dari {FLAPS} kali dalam {_MINUTES} menit. "
        f"Peringatan tiap gangguannya dibisukan sampai {_MINUTES} menit tanpa putus.",
        f"Ask {whom}: weak signal, battery saver, or a second login?",
        f"Tanya {whom_id}: sinyal lemah, penghemat baterai, atau login di tempat lain?",
    )


def _engine_outage(engine: str, extent: Extent) -> _Text:
    most, most_id = _most_affected(extent)
    return _Text(
        f"{engine}: {extent.down} of {extent.of} devices down",
        f"{engine}: {extent.down} dari {extent.of} perangkat mati",
        f"{extent.down} of {extent.of} {engine} devices {_are(extent)} disconnected.{most} {_STILL}",
        f"{extent.down} dari {extent.of} perangkat {engine} terputus.{most_id} {_STILL_ID}",
        f"Check {engine}'s status page and the platform's connection to it; tell the businesses before they ask.",
        f"Periksa halaman status {engine} dan koneksi platform ke sana; beri tahu bisnisnya sebelum mereka bertanya.",
    )


def _gateway_outage(gateway: str, extent: Extent) -> _Text:
    most, most_id = _most_affected(extent)
    return _Text(
        f"{gateway}: {extent.down} of {extent.of} devices down",
        f"{gateway}: {extent.down} dari {extent.of} perangkat mati",
        f"{extent.down} of {extent.of} devices of the gateway {gateway} {_are(extent)} disconnected.{most} {_STILL}",
        f"{extent.down} dari {extent.of} perangkat gateway {gateway} terputus.{most_id} {_STILL_ID}",
        f"Check the gateway {gateway}: does its server run, is there room on its disk, was it just updated? "
        "If it hangs, restart it.",
        f"Periksa gateway {gateway}: apakah servernya hidup, disknya masih longgar, baru diperbarui? "
        "Kalau macet, restart.",
    )


def _business_outage(business: str, extent: Extent) -> _Text:
    names, names_id = _names(extent)
    return _Text(
        f"{business}: {extent.down} of {extent.of} devices down",
        f"{business}: {extent.down} dari {extent.of} perangkat mati",
        f"{extent.down} of {extent.of} devices of {business} {_are(extent)} disconnected"
        f"{names and f': {names}'}. {_STILL}",
        f"{extent.down} dari {extent.of} perangkat {business} terputus{names_id and f': {names_id}'}. {_STILL_ID}",
        f"Call {business}: is there power and internet at their place?",
        f"Hubungi {business}: apakah listrik dan internet di tempat mereka menyala?",
    )


def _many_devices_down(extent: Extent) -> _Text:
    (names, names_id), (most, most_id) = _names(extent), _most_affected(extent)
    summary, summary_id = f"{extent.down} more {_plural(extent.down)} down", f"{extent.down} perangkat lagi mati"
    left, left_id = "", ""
    if extent.of:  # some of them are back
        left, left_id = ". Still down", ". Masih mati"
        summary = f"{extent.down} of {extent.of} devices still down"
        summary_id = f"{extent.down} dari {extent.of} perangkat masih mati"
    return _Text(
        summary,
        summary_id,
        f"Too many devices went down to tell of each{left}: {names or 'none'}.{most} "
        "Each speaks for itself again when few are left.",
        f"Terlalu banyak perangkat mati untuk dikabarkan satu per satu{left_id}: {names_id or 'tidak ada'}.{most_id} "
        "Kalau tinggal sedikit, masing-masing dikabarkan lagi.",
        "Look for what they share: a server, a network, an update. The page lists all of them.",
        "Cari kesamaannya: server, jaringan, pembaruan. Semuanya ada di halaman.",
    )


def _names(extent: Extent) -> tuple[str, str]:
    others = extent.down - len(extent.devices)
    return listed(extent.devices, others, _MORE), listed(extent.devices, others, _MORE_ID)


def hit(extent: Extent) -> tuple[str, str]:
    """Return the most affected businesses with their devices that are down, and how many other businesses there are."""
    found = ["", ""]
    more = f"+{{}} more business{'es' if extent.other_businesses != 1 else ''}"
    for language, other in enumerate((more, "+{} bisnis lain")):
        counts = [str(count) for _, count in extent.businesses]
        counts[:1] = [_devices(count)[language] for _, count in extent.businesses[:1]]  # the first says what is counted
        names = [f"{name} ({count})" for (name, _), count in zip(extent.businesses, counts, strict=True)]
        found[language] = listed(names, extent.other_businesses, other)
    return found[0], found[1]


def _most_affected(extent: Extent) -> tuple[str, str]:
    """Return a sentence of whom it hits, with the space before it."""
    found, found_id = hit(extent)
    return found and f" Most affected: {found}.", found_id and f" Paling terdampak: {found_id}."


def _devices(count: int) -> tuple[str, str]:
    return f"{count} {_plural(count)}", f"{count} perangkat"


def _plural(count: int) -> str:
    return "device" if count == 1 else "devices"


def _are(extent: Extent) -> str:
    return "is" if extent.down == 1 else "are"
