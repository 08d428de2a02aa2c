"""The JSON that an Alertmanager gets, alert by alert."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from exporter.alerting.alert import Alert, device_labels, device_names, mass_labels
from exporter.alerting.extent import Extent, extent_of
from exporter.alerting.payload import payload
from exporter.config.schema import Alerts
from exporter.domain.identity import Identity
from tests.unit.alerting_site import NOW, identity

GOLDEN = Path(__file__).parent / "golden" / "alert_payloads.json"
LINKS = Alerts(dashboard_url="https://grafana.example.com/d/x?var-device={device_id}", runbook_url="https://e.com/r.md")
FACTS = {"affected_conversations": 14, "waiting_conversations": 3}


def alert_of(name: str, *, ended: float | None = None, **facts: int) -> Alert:
    labels = device_labels(name, identity(), "critical", "management" if name == "DeviceDownEscalated" else "")
    ends_at = None if ended is None else NOW + ended
    return Alert(labels, NOW, NOW, NOW, device_names(identity()), ends_at=ends_at, facts=facts or None)


def every_kind() -> dict[str, object]:
    """Return each kind of alert, sent 65 seconds after its start."""
    businesses = (("Toko Makmur", 40), ("Warung Sari", 12))
    extents = {
        "EngineOutage": ("wa", Extent(412, 1000, ("Kasir 1", "Kasir 2"), businesses, 3)),
        "GatewayOutage": ("evo-jkt", Extent(20, 24, ("Kasir 1", "Kasir 2"), businesses, 3)),
        "BusinessOutage": ("biz_9", Extent(4, 5, ("Kasir 1", "Kasir 2"), (("Toko Makmur", 4),))),
        "ManyDevicesDown": ("critical", Extent(2, 0, ("Kasir 1", "Kasir 2"), businesses[:1])),
    }
    alerts = {
        "down": alert_of("DeviceDown", **FACTS),
        "down without numbers": alert_of("DeviceDown", affected_conversations=0),
        "back": alert_of("DeviceDown", ended=3900, **FACTS),
        "forgotten": alert_of("DeviceDown", ended=600),
        "escalated": alert_of("DeviceDownEscalated"),
        "flapping": alert_of("DeviceFlapping"),
    }
    for name, (subject, extent) in extents.items():
        alerts[name] = Alert(mass_labels(name, subject), NOW, NOW, NOW, extent=extent)
    alerts["BusinessOutage"].names = {"business_name": "Toko Makmur"}
    alerts["forgotten"].forgotten = True
    return {name: payload(alert, NOW + 65, 3600, Alerts()) for name, alert in alerts.items()}


def test_the_payloads_are_these() -> None:
    assert every_kind() == json.loads(GOLDEN.read_text(encoding="utf-8"))


def of_business(name: str, number: int) -> Identity:
    return msgspec.structs.replace(identity(f"{name}-{number}", business=name), business_name=name)


def said(name: str, subject: str, extent: Extent) -> tuple[str, str, str, str]:
    """Return (headline, sentence) in English and in Indonesian, without what is said of muted alerts."""
    annotations = payload(Alert(mass_labels(name, subject), NOW, NOW, NOW, extent=extent), NOW, 60, Alerts())
    found = annotations["annotations"]
    texts = (found[key] for key in ("summary", "description", "summary_id", "description_id"))
    english, more, indonesian, more_id = (text.split(" Alerts of")[0].split(" Peringatan per")[0] for text in texts)
    return english, more, indonesian, more_id


def test_the_numbers_of_a_mass_outage_add_up_and_say_what_they_count() -> None:
    whose = {"Toko Makmur": 5, "Warung Sari": 4, "Apotek Sehat": 2}
    down = [of_business(name, number) for name, count in whose.items() for number in range(count)]
    assert said("EngineOutage", "telegram", extent_of(down, 30)) == (
        "Telegram: 11 of 30 devices down",
        (
            "11 of 30 Telegram devices are disconnected. "
            "Most affected: Toko Makmur (5 devices), Warung Sari (4), Apotek Sehat (2)."
        ),
        "Telegram: 11 dari 30 perangkat mati",
        (
            "11 dari 30 perangkat Telegram terputus. "
            "Paling terdampak: Toko Makmur (5 perangkat), Warung Sari (4), Apotek Sehat (2)."
        ),
    )
    down += [of_business(f"Z{number}", 0) for number in range(4)]
    sentence = "Toko Makmur (5 devices), Warung Sari (4), Apotek Sehat (2), Z0 (1), Z1 (1), +2 more businesses."
    assert said("GatewayOutage", "evo", extent_of(down, 30))[1].endswith(f" Most affected: {sentence}")


def test_one_device_that_is_left_is_one() -> None:
    one = extent_of([identity("d1")], 11)
    assert said("EngineOutage", "wa", one)[:2] == (
        "WhatsApp: 1 of 11 devices down",
        "1 of 11 WhatsApp devices is disconnected. Most affected: Toko Makmur (1 device).",
    )
    assert said("BusinessOutage", "biz_9", one)[1] == "1 of 11 devices of biz_9 is disconnected: Front desk."
    few = (
        "1 of 11 devices still down",
        (
            "Too many devices went down to tell of each. Still down: Front desk. "
            "Most affected: Toko Makmur (1 device). Each speaks for itself again when few are left."
        ),
        "1 dari 11 perangkat masih mati",
        (
            "Terlalu banyak perangkat mati untuk dikabarkan satu per satu. Masih mati: Front desk. "
            "Paling terdampak: Toko Makmur (1 perangkat). Kalau tinggal sedikit, masing-masing dikabarkan lagi."
        ),
    )
    assert said("ManyDevicesDown", "critical", one) == few
    first = said("ManyDevicesDown", "critical", one._replace(of=0))
    assert first[::2] == ("1 more device down", "1 perangkat lagi mati")


def test_links_are_those_of_the_configuration_with_the_id_escaped() -> None:
    labels = device_labels("DeviceDown", identity("a/b&c d"), "critical")
    annotations = payload(Alert(labels, NOW, NOW, NOW), NOW, 60, LINKS)["annotations"]
    assert annotations["dashboard_url"] == "https://grafana.example.com/d/x?var-device=a%2Fb%26c%20d"
    assert annotations["runbook_url"] == "https://e.com/r.md#devicedown"


def test_an_escalation_names_whom_it_is_for() -> None:
    alert = Alert(device_labels("DeviceDownEscalated", identity(), "critical", "director"), NOW, NOW, NOW)
    annotations = payload(alert, NOW, 60, Alerts())["annotations"]
    assert annotations["description"].endswith("than the policy lets pass without director.")
    assert annotations["description_id"].endswith("melewati batas eskalasi ke director.")


@pytest.mark.parametrize("name", ["DeviceDown", "DeviceDownEscalated", "DeviceFlapping"])
def test_a_device_without_names_is_called_by_its_id(name: str) -> None:
    nameless = Identity("d1", "", "line", "c1", "", "", "", "", "")
    sent = payload(Alert(device_labels(name, nameless, "critical"), NOW, NOW, NOW), NOW, 60, Alerts())
    assert "" not in sent["labels"].values()
    assert all("d1" in sent["annotations"][key] for key in ("summary", "summary_id", "description", "description_id"))
    assert " of " not in sent["annotations"]["description"].split("(")[0]
    assert "milik" not in sent["annotations"]["description_id"]


def test_the_first_second_has_no_duration() -> None:
    assert "downtime" not in payload(alert_of("DeviceDown"), NOW + 0.9, 60, Alerts())["annotations"]


def test_an_alert_says_why_and_what_helps() -> None:
    alert = alert_of("DeviceDown")
    alert.facts = {
        "affected_conversations": 3,
        "reason": "logged_out",
        "remedy": "Scan.",
        "action": "Scan.",
        "rescan_url": "",
    }

    annotations = payload(alert, NOW, 60, LINKS)["annotations"]

    assert (annotations["reason"], annotations["remedy"], annotations["action"]) == ("logged_out", "Scan.", "Scan.")
    assert "rescan_url" not in annotations
