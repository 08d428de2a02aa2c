"""What messages say, in Indonesian and English. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.conventions import (
    ALERT_BUSINESS_OUTAGE,
    ALERT_DEVICE_ACKNOWLEDGED,
    ALERT_DEVICE_FLAPPING,
    ALERT_DEVICE_STILL_DOWN,
    ALERT_ENGINE_OUTAGE,
    ALERT_GATEWAY_OUTAGE,
    ALERT_MANY_DEVICES_DOWN,
)

if TYPE_CHECKING:
    from exporter.lib.words import Language


class Phrases(msgspec.Struct, frozen=True):
    """One language. Texts with braces are formats."""

    down: str
    up: str
    forgotten: str
    """Of a device that is watched no longer."""
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
    take: str
    """The link by which somebody says that they have it."""
    test: str
    limit: str
    over_names: dict[str, str]
    """Of alerts that are over."""
    alert_names: dict[str, str]


PHRASES: Final[dict[Language, Phrases]] = {
    "id": Phrases(
        down="MATI",
        up="PULIH",
        forgotten="TIDAK DIPANTAU LAGI",
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
        take=" Tangani: {}",
        test="UJI COBA device-exporter: pesan ke {} berhasil, {}",
        limit="BATAS SMS: sudah {} dalam satu jam. Berikutnya ditahan sampai {}. Lihat chat, surel, atau halaman.",
        over_names={
            ALERT_ENGINE_OUTAGE: "GANGGUAN MASSAL SELESAI",
            ALERT_GATEWAY_OUTAGE: "GATEWAY PULIH",
            ALERT_BUSINESS_OUTAGE: "BISNIS PULIH",
            ALERT_MANY_DEVICES_DOWN: "BANYAK PERANGKAT MATI: SELESAI",
            ALERT_DEVICE_FLAPPING: "STABIL LAGI",
        },
        alert_names={
            ALERT_ENGINE_OUTAGE: "GANGGUAN MASSAL",
            ALERT_GATEWAY_OUTAGE: "GATEWAY MATI",
            ALERT_DEVICE_STILL_DOWN: "MASIH MATI",
            ALERT_DEVICE_ACKNOWLEDGED: "DITANGANI",
            ALERT_BUSINESS_OUTAGE: "BISNIS MATI",
            ALERT_MANY_DEVICES_DOWN: "BANYAK PERANGKAT MATI",
            ALERT_DEVICE_FLAPPING: "TIDAK STABIL",
        },
    ),
    "en": Phrases(
        down="DOWN",
        up="BACK",
        forgotten="NO LONGER WATCHED",
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
        take=" Take it: {}",
        test="TEST of device-exporter: message to {} arrived, {}",
        limit="SMS LIMIT: {} within an hour. Further ones are held back until {}. See chat, mail or the incident page.",
        over_names={
            ALERT_ENGINE_OUTAGE: "MASS OUTAGE OVER",
            ALERT_GATEWAY_OUTAGE: "GATEWAY BACK",
            ALERT_BUSINESS_OUTAGE: "BUSINESS BACK",
            ALERT_MANY_DEVICES_DOWN: "MANY DEVICES DOWN: OVER",
            ALERT_DEVICE_FLAPPING: "STABLE AGAIN",
        },
        alert_names={
            ALERT_ENGINE_OUTAGE: "MASS OUTAGE",
            ALERT_GATEWAY_OUTAGE: "GATEWAY DOWN",
            ALERT_DEVICE_STILL_DOWN: "STILL DOWN",
            ALERT_DEVICE_ACKNOWLEDGED: "TAKEN",
            ALERT_BUSINESS_OUTAGE: "BUSINESS DOWN",
            ALERT_MANY_DEVICES_DOWN: "MANY DEVICES DOWN",
            ALERT_DEVICE_FLAPPING: "UNSTABLE",
        },
    ),
}
