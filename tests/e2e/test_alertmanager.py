"""What the real Alertmanager sends to people with the shipped configuration: which way, how often, which words."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from scripts.alertmanager_config import templates_with
from scripts.settings import read_settings
from tests.e2e.harness import (
    Alertmanager,
    Device,
    Sinks,
    engine_outage,
    posted,
    request,
    running,
    shipped_config,
    sinks,
)
from tests.patience import wait_for
from tests.tools import ROOT

pytestmark = pytest.mark.binaries

ONCE = {"slack": 1, "email": 1, "sms": 1, "management": 1}


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Sinks]:
    with sinks(tmp_path) as found:
        yield found


@pytest.fixture
def alertmanager(tmp_path: Path, where: Sinks) -> Iterator[Alertmanager]:
    program = Alertmanager(tmp_path / "alertmanager", shipped_config(where))
    with running(program):
        yield program


def flushed(alertmanager: Alertmanager, where: Sinks, marker: str) -> None:
    """Return when the groups that exist now have been looked at again: a new alert of its own has come through twice.

    It comes, and two group intervals later its end comes, so whatever was due in between has been sent before.
    """
    labels = {"alertname": marker, "severity": "critical"}
    alertmanager.post(posted(labels, time.time(), None, {"summary": marker}))
    wait_for(lambda: any(marker in text for text in where.slack()), f"{marker} on Slack")
    alertmanager.post(posted(labels, time.time() - 1, time.time(), {"summary": marker}))
    wait_for(lambda: sum(marker in text for text in where.slack()) >= 2, f"the end of {marker} on Slack")


def told(alertmanager: Alertmanager, where: Sinks, alert: dict) -> None:
    """Post an alert and return when people have heard of it.

    Alertmanager acknowledges before its inhibitor has seen the alert: what comes a moment later may slip through.
    """
    heard = len(where.slack()) + len(where.management())
    alertmanager.post(alert)
    wait_for(lambda: len(where.slack()) + len(where.management()) > heard, f"{alert['labels']['alertname']} is told")


def about(name: str, texts: list[str]) -> list[str]:
    return [text for text in texts if name in text]


# Ways --------------------------------------------------------------------------------------------------------
def test_a_critical_device_is_told_on_every_way_and_to_management_once_each(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    device = Device()

    alertmanager.post(device.alert(), device.alert("DeviceDownEscalated"))
    wait_for(lambda: where.counts() == ONCE, "one message on each way")
    alertmanager.post(device.alert(), device.alert("DeviceDownEscalated"))  # re-sent, as the exporter does
    flushed(alertmanager, where, "Marker")

    assert len(about("Front desk", where.slack())) == 1
    assert len(about("Front desk", where.management())) == 1
    assert len(about("Front desk", [str(body) for body in where.sms()])) == 1
    assert len(about("Front desk", [message["subject"] for message in where.emails()])) == 1
    assert where.http.at("/api/v1/notify/sms")[0].headers["Authorization"] == "Bearer relay-token"
    programs = [post.json["groupLabels"]["alertname"] for post in where.http.at("/automation")]
    assert sorted(programs) == ["DeviceDown", "DeviceDownEscalated"]


def test_a_device_that_comes_back_is_told_once_with_how_long_it_was_away(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    device = Device(since=int(time.time()) - 3900)
    alertmanager.post(device.alert(), device.alert("DeviceDownEscalated"))
    wait_for(lambda: where.counts() == ONCE, "one message on each way")
    ended = device.since + 3900

    for _ in range(3):  # the exporter repeats the resolved alert
        alertmanager.post(device.alert(ended=ended), device.alert("DeviceDownEscalated", ended=ended))
    wait_for(lambda: set(where.counts().values()) == {2}, "a second message on each way")
    flushed(alertmanager, where, "Marker")

    [_, back] = about("Front desk", where.slack())
    assert "PULIH: Front desk WhatsApp (Toko Makmur), mati 1 jam 5 menit\n" in back
    assert "setelah mati 1 jam 5 menit." in back
    assert "setelah mati 1 jam 5 menit." in about("Front desk", where.management())[1]


def test_a_device_that_is_forgotten_while_it_is_down_is_no_longer_watched_and_not_back(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    device = Device(since=int(time.time()) - 3900)
    alertmanager.post(device.alert())
    wait_for(lambda: where.slack() and where.telegram() and where.emails() and where.sms(), "it is told")

    alertmanager.post(device.alert(ended=device.since + 3900, forgotten="true"))
    wait_for(lambda: len(where.slack()) == len(where.telegram()) == len(where.emails()) == 2, "its end is told")

    for text in (where.slack()[1], where.telegram()[1], str(where.emails()[1].get_body(("plain",)).get_content())):
        assert "tidak dipantau lagi; saat itu sudah mati 1 jam 5 menit." in text
        assert "pulih" not in text.lower()
    assert "TIDAK DIPANTAU LAGI: Front desk WhatsApp" in where.slack()[1]
    assert "TIDAK DIPANTAU LAGI" in where.emails()[1]["subject"]


def test_a_warning_goes_to_slack_and_mail_with_the_devices_of_one_business_together(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    devices = [Device(f"d{n}", f"Kasir {n}", "slack", "warning", since=time.time()) for n in range(3)]

    alertmanager.post(*(device.alert() for device in devices))
    wait_for(lambda: where.slack() and where.emails(), "a warning")
    flushed(alertmanager, where, "Marker")

    [text] = about("Kasir", where.slack())
    assert text.startswith("🟠 3 perangkat mati (Toko Makmur)\n")
    assert all(f"Kasir {n} (Slack" in text for n in range(3))
    assert about("Kasir", [str(body) for body in where.sms()]) == []


def test_at_night_a_warning_waits_and_a_critical_alert_does_not(tmp_path: Path, where: Sinks) -> None:
    program = Alertmanager(tmp_path / "alertmanager", shipped_config(where, quiet_hours=True))
    with running(program):
        program.post(Device("d1", "Kasir", "slack", "warning").alert())
        program.post(Device().alert())
        wait_for(lambda: about("Front desk", where.slack()), "the critical alert")
        flushed(program, where, "Marker")

        assert about("Kasir", where.slack()) == []
        assert program.alerts("device_id=d1") != []


def test_a_warning_of_the_rules_that_ends_at_night_is_over_by_mail_and_the_next_one_is_told_everywhere(
    tmp_path: Path, where: Sinks
) -> None:
    day, night = (shipped_config(where, quiet_hours=quiet).replace("7h30m", "2s") for quiet in (False, True))
    labels, texts = {"alertname": "WebhookSilent", "severity": "warning"}, {"summary": "No webhook"}
    program = Alertmanager(tmp_path / "alertmanager", day)

    def reload(config: str) -> None:
        (program.folder / "alertmanager.yml").write_text(config, encoding="utf-8")
        request(f"{program.url}/-/reload", method="POST")

    with running(program):
        program.post(posted(labels, time.time(), None, texts))
        wait_for(lambda: where.slack() and where.emails(), "the warning")

        reload(night)
        chats, mails = len(where.slack()), len(where.emails())
        program.post(posted(labels, time.time() - 1, time.time(), texts))
        wait_for(lambda: len(where.emails()) > mails, "its end by mail")
        assert len(where.slack()) == chats

        reload(day)
        program.post(posted(labels, time.time(), None, texts))
        wait_for(lambda: len(where.slack()) > chats, "the next one in the chat")


def test_the_watchdog_goes_to_the_dead_mans_switch_again_and_again(alertmanager: Alertmanager, where: Sinks) -> None:
    alertmanager.post(posted({"alertname": "Watchdog", "severity": "none"}, time.time()))

    wait_for(lambda: len(where.http.at("/deadman")) >= 2, "two pings")
    assert where.slack() == []


@pytest.mark.slow  # it waits for many intervals
def test_the_dead_mans_switch_is_pinged_at_every_interval(tmp_path: Path, where: Sinks) -> None:
    """The shipped minute in 2 seconds and its repeat in proportion: gaps of one interval, not of two."""
    config = yaml.safe_load(shipped_config(where, quick=False))
    [watchdog] = [route for route in config["route"]["routes"] if route["receiver"] == "deadman"]
    for key in ("group_interval", "repeat_interval"):
        watchdog[key] = f"{seconds(watchdog[key]) * 1000 // 30}ms"
    program = Alertmanager(tmp_path / "alertmanager", yaml.safe_dump(config))
    with running(program):
        program.post(posted({"alertname": "Watchdog", "severity": "none"}, time.time()))
        wait_for(lambda: len(where.http.at("/deadman")) >= 6, "six pings", 60)

    times = [post.at for post in where.http.posts if post.path == "/deadman"][:6]
    assert times[-1] - times[0] < 5 * 2 * 1.5, times


def seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


# Inhibition --------------------------------------------------------------------------------------------------
def test_a_mass_outage_mutes_its_devices_and_lets_those_speak_that_remain(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    devices = [Device(f"d{n}", f"Kasir {n}") for n in range(50)]
    told(alertmanager, where, engine_outage())
    alertmanager.post(*(d.alert() for d in devices), *(d.alert("DeviceDownEscalated") for d in devices))
    other = Device("t1", "Telegram satu", "telegram")
    alertmanager.post(other.alert())
    wait_for(lambda: about("Telegram satu", where.slack()), "the other engine's device")
    flushed(alertmanager, where, "Marker")

    assert about("Kasir", where.slack() + where.management()) == []
    assert len(about("GANGGUAN MASSAL: WhatsApp", where.slack())) == 1
    assert len(about("GANGGUAN MASSAL: WhatsApp", where.management())) == 1
    assert set(alertmanager.muted_by("device_id=d7")) == {"EngineOutage"}

    for device in devices[1:]:
        alertmanager.post(device.alert(ended=time.time()), device.alert("DeviceDownEscalated", ended=time.time()))
    flushed(alertmanager, where, "Second marker")
    alertmanager.post(engine_outage(ended=time.time()))
    wait_for(lambda: about("MATI: Kasir 0", where.slack()), "the device that is still down")
    wait_for(lambda: about("ESKALASI: Kasir 0", where.management()), "its escalation")

    assert len(about("Kasir", where.slack())) == 1


def test_the_rules_mass_outage_mutes_devices_as_the_direct_one_does(alertmanager: Alertmanager, where: Sinks) -> None:
    told(alertmanager, where, engine_outage(source="prometheus"))
    alertmanager.post(Device(source="exporter").alert(), Device(device_id="d2", source="prometheus").alert())
    flushed(alertmanager, where, "Marker")

    assert about("Front desk", where.slack()) == []
    assert len(about("GANGGUAN MASSAL", where.slack())) == 1


def test_a_device_that_flaps_is_told_of_once(alertmanager: Alertmanager, where: Sinks) -> None:
    device = Device()
    told(alertmanager, where, device.alert("DeviceFlapping", description="Six times within 30 minutes."))
    for flap in range(4):
        since = int(time.time()) - 40 + 10 * flap
        device.since = since
        alertmanager.post(device.alert(), device.alert("DeviceDownEscalated"))
        alertmanager.post(device.alert(ended=since + 5), device.alert("DeviceDownEscalated", ended=since + 5))
    flushed(alertmanager, where, "Marker")

    [text] = about("Front desk", where.slack())
    assert "TIDAK STABIL: Front desk WhatsApp (Toko Makmur)" in text
    assert where.management() == []


@pytest.mark.parametrize("name", ["DeviceDown", "DeviceDownEscalated", "DeviceFlapping"])
def test_the_direct_alert_of_a_device_mutes_the_rules_alert_of_it(
    alertmanager: Alertmanager, where: Sinks, name: str
) -> None:
    told(alertmanager, where, Device().alert(name))
    alertmanager.post(Device(source="prometheus").alert(name), Device("d2", "Kasir", source="prometheus").alert(name))
    everywhere = where.management if name == "DeviceDownEscalated" else where.slack
    wait_for(lambda: about("Kasir", everywhere()), "the alert that only the rule has")
    flushed(alertmanager, where, "Marker")

    assert len(about("Front desk", everywhere())) == 1
    assert alertmanager.muted_by(f"alertname={name}", "source=prometheus", "device_id=device_7f3a") == [name]


def test_the_direct_mass_outage_mutes_the_rules_one(alertmanager: Alertmanager, where: Sinks) -> None:
    told(alertmanager, where, engine_outage())
    alertmanager.post(engine_outage(source="prometheus"))
    flushed(alertmanager, where, "Marker")

    assert len(about("GANGGUAN MASSAL", where.slack())) == 1


def test_a_rules_alert_whose_device_the_direct_path_takes_over_ends_with_one_message(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    net = Device(source="prometheus").alert(down_since="28/01 16.20 WIB")
    alertmanager.post(net)
    wait_for(lambda: about("Front desk", where.slack()), "the rule's alert")
    alertmanager.post(Device().alert())
    alertmanager.post(net | {"endsAt": Device().alert(ended=time.time())["endsAt"]})
    flushed(alertmanager, where, "Marker")

    assert about("PULIH", where.slack()) == []
    assert len(about("MATI: Front desk", where.slack())) <= 2


def test_a_silence_quiets_the_direct_alert_too(alertmanager: Alertmanager, where: Sinks) -> None:
    silence = alertmanager.silence(device_id="device_7f3a")
    wait_for(lambda: alertmanager.metric("alertmanager_silences") > 0, "the silence is known")

    alertmanager.post(Device().alert(), Device().alert("DeviceDownEscalated"))
    flushed(alertmanager, where, "Marker")

    assert about("Front desk", where.slack() + where.management()) == []
    assert set(alertmanager.muted_by("device_id=device_7f3a")) == {silence}


# Restarts and clusters ---------------------------------------------------------------------------------------
def test_an_alertmanager_that_restarts_tells_nothing_twice_and_ends_nothing(
    alertmanager: Alertmanager, where: Sinks
) -> None:
    device = Device()
    alertmanager.post(device.alert())
    wait_for(lambda: about("Front desk", where.slack()), "the alert")
    flushed(alertmanager, where, "First marker")  # what is killed between sending and noting sends again

    alertmanager.stop()
    alertmanager.start()
    assert alertmanager.alerts() == []  # its memory is empty until the exporter re-sends
    alertmanager.post(device.alert())
    flushed(alertmanager, where, "Marker")
    assert len(about("Front desk", where.slack())) == 1

    alertmanager.post(device.alert(ended=time.time()))
    wait_for(lambda: about("PULIH", where.slack()), "the end")


def test_two_alertmanagers_in_a_cluster_send_at_least_one_message_and_not_all_of_them_twice(
    tmp_path: Path, where: Sinks
) -> None:
    first = Alertmanager(tmp_path / "am-a", shipped_config(where), peers=[])
    second = Alertmanager(tmp_path / "am-b", shipped_config(where), peers=[first])
    with running(first, second):
        for program in (first, second):
            wait_for(lambda one=program: one.metric("alertmanager_cluster_members") == 2, "two members")
        device = Device()
        for program in (first, second):
            program.post(device.alert(), device.alert("DeviceDownEscalated"))
        wait_for(lambda: min(where.counts().values()) >= 1, "one message on each way")
        # The second waits for the first for the peer timeout; an end within that time would be a new state to it.
        wait_for(
            lambda: min(p.metric("alertmanager_nflog_queries_total") for p in (first, second)) >= 14, "both looked"
        )
        for program in (first, second):
            program.post(device.alert(ended=time.time()), device.alert("DeviceDownEscalated", ended=time.time()))
        wait_for(lambda: min(where.counts().values()) >= 2, "its end on each way", 30)
        wait_for(
            lambda: all(one.metric("alertmanager_dispatcher_aggregation_groups") == 0 for one in (first, second)),
            "both have done with it",
            60,
        )

        counts = where.counts()  # at least once is the promise; two that know nothing of each other send 4 on each way
        assert min(counts.values()) >= 2
        assert sum(counts.values()) < 4 * len(counts)


# Words -------------------------------------------------------------------------------------------------------
GOLDEN = Path(__file__).parent / "golden"


def every_kind(start: float, ended: float | None = None) -> list[dict]:
    """One alert of each kind, each of its own device and engine, so that none mutes another."""
    counts = {"affected_conversations": "14", "waiting_conversations": "3", "user_name": "Ibu Sari"}
    counts |= {"action": "Call Ibu Sari: is the phone on?", "action_id": "Hubungi Ibu Sari: apakah ponselnya hidup?"}
    sums = {
        "devices_down": "4",
        "devices": "5",
        "businesses": "Warung Sari (4 devices)",
        "businesses_id": "Warung Sari (4 perangkat)",
        "down_devices": "Kasir 1, Kasir 2, +2",
    }
    sums |= {"description": "4 of 5 devices are disconnected.", "description_id": "4 dari 5 perangkat terputus."}
    sums |= {"action": "Call them.", "action_id": "Hubungi mereka.", "business_name": "Warung Sari"}
    critical = {"severity": "critical", "source": "exporter"}
    flaps = {"description": "Front desk flapped.", "description_id": "Front desk tidak stabil."}
    gone = sums | ({} if ended is None else {"forgotten": "true"})
    journal = {"summary": "The journal fails", "summary_id": "Jurnal gagal", "description": "It cannot append."}
    return [
        Device(since=start).alert(ended=ended, **counts),
        Device("d2", "Kasir Timur", since=start).alert("DeviceDownEscalated", ended=ended, **counts),
        Device("d3", "Kasir Barat", since=start, source="prometheus").alert(ended=ended, down_since="28/01 16.20 WIB"),
        Device("d4", "Kasir Utara", "telegram", since=start).alert("DeviceFlapping", ended=ended, **flaps),
        Device("d5", "Kasir Selatan", "instagram", "warning", since=start).alert(ended=ended),
        engine_outage("facebook", since=start, ended=ended),
        posted({"alertname": "BusinessOutage", "business_id": "biz_5", **critical}, start, ended, sums),
        posted({"alertname": "GatewayOutage", "gateway": "evo-jkt", **critical}, start, ended, sums),
        posted({"alertname": "GatewayOutage", "gateway": "waha-sby", **critical}, start, ended, gone),
        posted({"alertname": "ManyDevicesDown", **critical}, start, ended, sums),
        posted({"alertname": "JournalFailing", "severity": "critical"}, start, ended, journal),
    ]


@pytest.mark.parametrize("language", ["id", "en"])
def test_the_words_are_these(tmp_path: Path, where: Sinks, language: str) -> None:
    """The times are fixed and past, so that only how long it has been until now is cut off."""
    program = Alertmanager(tmp_path / "alertmanager", shipped_config(where, language=language))
    start, end = 1738056000, 1738056000 + 93784

    with running(program):
        program.post(*every_kind(start))
        wait_for(lambda: heard(where) == (10, 6, 10, 10), "each kind", 40)
        program.post(*every_kind(start, end))
        wait_for(lambda: heard(where) == (20, 12, 20, 20), "each end", 40)

    mail = [
        f"{m['subject']}\n{m.get_body(('plain',)).get_content()}"
        for m in where.emails()
        if any(name in m["subject"] for name in ("Front desk", "Warung", "MANY", "BANYAK", "waha-sby"))
    ]
    texts = [*sorted(where.slack()), *sorted(where.management()), *sorted(mail), *sorted(where.telegram())]
    (tmp_path / "texts.txt").write_text(without_now("\n\n".join(texts)), encoding="utf-8")
    assert without_now("\n\n".join(texts)) == (GOLDEN / f"messages.{language}.txt").read_text(encoding="utf-8")


def heard(where: Sinks) -> tuple[int, int, int, int]:
    return len(where.slack()), len(where.management()), len(where.emails()), len(where.telegram())


def without_now(text: str) -> str:
    """Without how long it has been until now, and without white space at the ends of lines."""
    lines = [re.sub(r", (sudah|for) \d[^.;]*(?=[.;]|$)", "", line).rstrip() for line in text.splitlines()]
    return "\n".join(lines).strip() + "\n"


def test_a_telegram_message_says_what_whose_since_when_and_how_bad_with_links_that_can_be_opened(
    tmp_path: Path, where: Sinks
) -> None:
    """The templates are rendered as the stack renders them, for a stack with an address."""
    settings = read_settings({"PUBLIC_URL": "https://alerts.toko.id"})
    config = shipped_config(where)
    for path in (ROOT / "alertmanager/templates").glob("*.tmpl"):
        rendered = tmp_path / path.name
        rendered.write_text(templates_with(path.read_text(encoding="utf-8"), settings), encoding="utf-8")
        config = config.replace(str(path), str(rendered))
    program = Alertmanager(tmp_path / "alertmanager", config)
    device = Device(device_name="Kasir <b>& Co", since=int(time.time()) - 125)

    with running(program):
        program.post(device.alert(affected_conversations="14", waiting_conversations="3"))
        wait_for(where.telegram, "the message")

    [text] = where.telegram()
    first, second, third = text.strip().splitlines()
    title = "<b>🔴 MATI: Kasir \u2039b\u203a&amp; Co (Toko Makmur), sejak "
    assert first.startswith(title)
    assert first.endswith(" WIB, 14 percakapan</b>")
    assert re.fullmatch(
        r"sejak \d\d/\d\d \d\d\.\d\d WIB, sudah 2 menit \d detik; 14 percakapan terdampak, 3 menunggu petugas", second
    )
    assert '<a href="https://alerts.toko.id/grafana/d/devices-device-id?var-device=device_7f3a">Dasbor</a>' in third
    assert '<a href="https://alerts.toko.id/devices/device_7f3a">Halaman perangkat</a>' in third
    assert "localhost" not in text


def test_a_name_cannot_call_everybody_on_slack(alertmanager: Alertmanager, where: Sinks) -> None:
    alertmanager.post(Device(device_name="<!channel> & *Co* ~x~", business_name="<https://example.com|x>").alert())
    wait_for(lambda: where.slack() and where.emails(), "the alert")

    [text] = where.slack()
    assert "\u2039!channel\u203a & \u2217Co\u2217 \u223cx\u223c" in text
    assert "<!channel>" not in text
    assert "<https://example.com|x>" not in text
    html = where.emails()[0].get_body(("html",)).get_content()
    assert "\u2039!channel\u203a &amp; \u2217Co\u2217" in html


@pytest.mark.parametrize("name", ["A" * 512, "\U0001f600" * 250, "Kasir\nBcc: b@example.com", "\u202eevil"])
def test_whatever_a_device_is_called_mail_servers_take_its_mail(
    alertmanager: Alertmanager, where: Sinks, name: str
) -> None:
    """They refuse a line beyond 998 bytes, as RFC 5321 has it; encoding makes 12 bytes of one emoji."""
    alertmanager.post(Device(device_name=name, business_name=name).alert())
    wait_for(lambda: where.slack() and where.emails(), "the alert")

    subject = where.emails()[0]["subject"]
    assert name[:20].replace("\n", " ").replace("\u202e", "") in subject
    assert "\n" not in subject
    assert "\u202e" not in subject


def test_ids_in_a_title_cannot_call_everybody_on_slack(alertmanager: Alertmanager, where: Sinks) -> None:
    alert = Device(engine="<!here>").alert()
    alert["labels"]["alertname"] = "NoBackupAvailable"
    alert["annotations"] |= {"summary": "<!channel> is down", "summary_id": "<!channel> terputus"}
    alertmanager.post(alert)
    wait_for(where.slack, "the alert")

    [text] = where.slack()
    assert "<!channel>" not in text
    assert "\u2039!channel\u203a terputus" in text


def test_a_long_list_is_cut_and_says_how_many_there_are(alertmanager: Alertmanager, where: Sinks) -> None:
    devices = [Device(f"d{n}", f"Kasir {n:02}", "slack", "warning", since=time.time()) for n in range(25)]
    alertmanager.post(*(device.alert() for device in devices))
    wait_for(lambda: about("25 perangkat mati", where.slack()), "the list")

    text = about("25 perangkat mati", where.slack())[0]
    assert text.count("Kasir") == 10
    assert "jumlah seluruhnya 25." in text


def test_nothing_of_it_makes_alertmanager_complain(alertmanager: Alertmanager, where: Sinks) -> None:
    device = Device()
    alertmanager.post(device.alert(), device.alert("DeviceDownEscalated"), engine_outage("telegram"))
    alertmanager.post(posted({"alertname": "ExporterDown", "severity": "critical"}, time.time()))
    flushed(alertmanager, where, "Marker")

    assert alertmanager.metric("alertmanager_notifications_failed_total") == 0
    assert "level=ERROR" not in alertmanager.log
