"""The text of a notification in both languages. 09:20:00 UTC is 16.20 in Jakarta."""

from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.lib.words import WORDS, clock_range, clock_time, duration
from exporter.notify.sms import measure
from exporter.notify.text import Style, render, render_test
from exporter.notify.webhook import Alert, Notification, parse

NOW = 1738056600.0  # 2025-01-28 09:30:00 UTC
JAKARTA = ZoneInfo("Asia/Jakarta")
CONVERSATIONS = {"affected_conversations": "12", "waiting_conversations": "3"}
UNKNOWN = "0001-01-01T00:00:00Z"


def alert(name, status="firing", *, start="09:20:00", end="09:25:12", annotations=None, **labels):
    base = {"alertname": "DeviceDown", "device_id": name, "engine": "wa"}
    names = {"device_name": name, "business_name": "Toko Makmur"}
    names |= {key: labels.pop(key) for key in names.keys() & labels.keys()}
    ends_at = f"2025-01-28T{end}Z" if status == "resolved" else UNKNOWN
    return {
        "status": status,
        "labels": base | labels,
        "annotations": names | (annotations or {}),
        "startsAt": f"2025-01-28T{start}Z",
        "endsAt": ends_at,
        "fingerprint": f"{name}{labels}{names}",
    }


def notification(*alerts, truncated=0):
    firing = any(entry["status"] == "firing" for entry in alerts)
    body = {"version": "4", "groupKey": "g", "status": "firing" if firing else "resolved", "alerts": alerts}
    return parse(msgspec.json.encode(body | {"truncatedAlerts": truncated}))


def text(*alerts, language="id", truncated=0, parts=1):
    return render(notification(*alerts, truncated=truncated), Style(language, JAKARTA, parts), NOW)


def kasir(count, **kwargs):
    return [alert(f"Kasir nomor {number}", **kwargs) for number in range(1, count + 1)]


OUTAGE = {"alertname": "EngineOutage", "device_id": "", "device_name": "", "business_name": ""}
GATEWAY = OUTAGE | {"alertname": "GatewayOutage", "gateway": "evo"}
BUSINESS = {
    "alertname": "BusinessOutage",
    "device_id": "",
    "device_name": "",
    "engine": "",
    "business_name": "Warung Sari",
}
BUSINESS_TEXT = {
    "summary": "Warung Sari: 4 of 5 devices down",
    "summary_id": "Warung Sari: 4 dari 5 perangkat mati",
    "businesses": "Warung Sari (4 devices)",
    "businesses_id": "Warung Sari (4 perangkat)",
}
DIGEST = {"alertname": "ManyDevicesDown", "device_id": "", "device_name": "", "engine": "", "business_name": ""}
DIGEST_TEXT = {
    "summary": "24 more devices down",
    "summary_id": "24 perangkat lagi mati",
    "businesses": "Toko Makmur (9 devices), +15 more businesses",
    "businesses_id": "Toko Makmur (9 perangkat), +15 bisnis lain",
}
CHINESE = alert("前台微信设备一号", annotations=CONVERSATIONS, business_name="东方大酒店有限公司")

CASES = [
    pytest.param(
        [alert("Front desk WhatsApp", annotations=CONVERSATIONS)],
        "MATI: Front desk WhatsApp (Toko Makmur), WhatsApp, sejak 16.20 WIB. 12 percakapan terdampak, 3 menunggu.",
        "DOWN: Front desk WhatsApp (Toko Makmur), WhatsApp, since 16:20 WIB. 12 conversations affected, 3 waiting.",
        id="a device is down",
    ),
    pytest.param(
        [alert("Kasir", annotations={"affected_conversations": "1"}, engine="line")],
        "MATI: Kasir (Toko Makmur), line, sejak 16.20 WIB. 1 percakapan terdampak.",
        "DOWN: Kasir (Toko Makmur), line, since 16:20 WIB. 1 conversation affected.",
        id="one conversation, an engine that is not known",
    ),
    pytest.param(
        [alert("Kasir", "resolved")],
        "PULIH: Kasir (Toko Makmur), WhatsApp. Mati selama 5 mnt 12 dtk (16.20-16.25 WIB).",
        "BACK: Kasir (Toko Makmur), WhatsApp. Down for 5 min 12 s (16:20-16:25 WIB).",
        id="a device is back, and how long it was away",
    ),
    pytest.param(
        [alert("Kasir", "resolved", annotations={"forgotten": "true"})],
        "TIDAK DIPANTAU LAGI: Kasir (Toko Makmur), WhatsApp. Mati selama 5 mnt 12 dtk (16.20-16.25 WIB).",
        "NO LONGER WATCHED: Kasir (Toko Makmur), WhatsApp. Down for 5 min 12 s (16:20-16:25 WIB).",
        id="a device is watched no longer",
    ),
    pytest.param(
        [alert("", "resolved", annotations={"forgotten": "true"}, **GATEWAY)],
        "TIDAK DIPANTAU LAGI: evo. Berlangsung 5 mnt 12 dtk.",
        "NO LONGER WATCHED: evo. Lasted 5 min 12 s.",
        id="the devices of a gateway are watched no longer",
    ),
    pytest.param(
        [alert("Kasir", alertname="DeviceDownEscalated", escalation="management")],
        "ESKALASI, MATI 10 mnt: Kasir (Toko Makmur), WhatsApp, sejak 16.20 WIB.",
        "ESCALATED, DOWN 10 min: Kasir (Toko Makmur), WhatsApp, since 16:20 WIB.",
        id="an escalation says how long it has lasted",
    ),
    pytest.param(
        [alert("Kasir"), alert("Kasir", alertname="DeviceDownEscalated"), alert("Kasir", source="prometheus")],
        "ESKALASI, MATI 10 mnt: Kasir (Toko Makmur), WhatsApp, sejak 16.20 WIB.",
        "ESCALATED, DOWN 10 min: Kasir (Toko Makmur), WhatsApp, since 16:20 WIB.",
        id="several alerts of one device are one",
    ),
    pytest.param(
        [CHINESE],
        "MATI: 前台微信设备一号, WhatsApp, sejak 16.20 WIB. 12 percakapan, 3 menunggu.",
        "DOWN: 前台微信设.., WhatsApp, since 16:20 WIB. 12 conversations, 3 waiting.",
        id="in 70 units names give way before facts",
    ),
    pytest.param(
        kasir(5),
        "5 perangkat mati (WhatsApp): Kasir nomor 1, Kasir nomor 2, Kasir nomor 3, Kasir nomor 4, Kasir nomor 5,"
        " sejak 16.20 WIB.",
        "5 devices down (WhatsApp): Kasir nomor 1, Kasir nomor 2, Kasir nomor 3, Kasir nomor 4, Kasir nomor 5,"
        " since 16:20 WIB.",
        id="several devices are one text",
    ),
    pytest.param(
        [
            alert("A", annotations=CONVERSATIONS),
            alert("B", start="09:24:59", annotations=CONVERSATIONS, engine="x"),
        ],
        "2 perangkat mati: A, B, sejak 16.20-16.24 WIB. 24 percakapan terdampak, 6 menunggu.",
        "2 devices down: A, B, since 16:20-16:24 WIB. 24 conversations affected, 6 waiting.",
        id="conversations are summed and engines that differ left out",
    ),
    pytest.param(
        kasir(50),
        "50 perangkat mati (WhatsApp): Kasir nomor 1, Kasir nomor 2, Kasir nomor 3, Kasir nomor 4, Kasir nomor 5,"
        " Kasir nomor 6, +44 lainnya, sejak 16.20 WIB.",
        "50 devices down (WhatsApp): Kasir nomor 1, Kasir nomor 2, Kasir nomor 3, Kasir nomor 4, Kasir nomor 5,"
        " Kasir nomor 6, Kasir nomor 7, +43 more, since 16:20 WIB.",
        id="the names that do not fit are counted",
    ),
    pytest.param(
        [alert("A", "resolved"), alert("B", "resolved", end="09:21:00")],
        "2 perangkat pulih (WhatsApp): A, B. Paling lama 5 mnt 12 dtk.",
        "2 devices back (WhatsApp): A, B. Longest 5 min 12 s.",
        id="several are back",
    ),
    pytest.param(
        [alert("A"), alert("B", "resolved")],
        "MATI: A (Toko Makmur), WhatsApp, sejak 16.20 WIB. 1 sudah pulih (mati selama 5 mnt 12 dtk).",
        "DOWN: A (Toko Makmur), WhatsApp, since 16:20 WIB. 1 back (down for 5 min 12 s).",
        id="one is down and another of its group is back",
    ),
    pytest.param(
        [alert("EO", **OUTAGE, annotations={"summary": "40 dari 100 perangkat WhatsApp mati."})],
        "GANGGUAN MASSAL: 40 dari 100 perangkat WhatsApp mati, sejak 16.20 WIB.",
        "MASS OUTAGE: 40 dari 100 perangkat WhatsApp mati, since 16:20 WIB.",
        id="a mass outage carries the alert's own summary",
    ),
    pytest.param(
        [alert("EO", **OUTAGE, annotations={"summary": "wa: 9 devices down", "summary_id": "wa: 9 perangkat mati"})],
        "GANGGUAN MASSAL WhatsApp: 9 perangkat mati, sejak 16.20 WIB.",
        "MASS OUTAGE WhatsApp: 9 devices down, since 16:20 WIB.",
        id="a summary in the text's own language wins, and does not repeat the engine",
    ),
    pytest.param(
        [alert("EO", "resolved", **OUTAGE, annotations={"summary": "40 dari 100 perangkat WhatsApp mati."})],
        "GANGGUAN MASSAL SELESAI: WhatsApp. Berlangsung 5 mnt 12 dtk.",
        "MASS OUTAGE OVER: WhatsApp. Lasted 5 min 12 s.",
        id="a mass outage is over",
    ),
    pytest.param(
        [alert("BO", **BUSINESS, annotations=BUSINESS_TEXT)],
        "BISNIS MATI: Warung Sari: 4 dari 5 perangkat mati, sejak 16.20 WIB.",
        "BUSINESS DOWN: Warung Sari: 4 of 5 devices down, since 16:20 WIB.",
        id="a business",
    ),
    pytest.param(
        [alert("BO", "resolved", **BUSINESS, annotations=BUSINESS_TEXT)],
        "BISNIS PULIH: Warung Sari. Berlangsung 5 mnt 12 dtk.",
        "BUSINESS BACK: Warung Sari. Lasted 5 min 12 s.",
        id="a business is back",
    ),
    pytest.param(
        [alert("MD", **DIGEST, annotations=DIGEST_TEXT)],
        "BANYAK PERANGKAT MATI: 24 perangkat lagi mati, sejak 16.20 WIB. Toko Makmur (9 perangkat), +15 bisnis lain.",
        "MANY DEVICES DOWN: 24 more devices down, since 16:20 WIB. Toko Makmur (9 devices), +15 more businesses.",
        id="a digest names whom it hits",
    ),
    pytest.param(
        [alert("Kasir", alertname="DeviceFlapping", annotations={"summary": "6 kali putus"})],
        "TIDAK STABIL Kasir: 6 kali putus, sejak 16.20 WIB.",
        "UNSTABLE Kasir: 6 kali putus, since 16:20 WIB.",
        id="a summary without the device's name gets it",
    ),
    pytest.param(
        [alert("A", alertname="DeviceFlapping"), alert("B", alertname="DeviceFlapping")],
        "TIDAK STABIL (2): A, B, sejak 16.20 WIB.",
        "UNSTABLE (2): A, B, since 16:20 WIB.",
        id="several alerts of one kind name their devices",
    ),
    pytest.param(
        [alert("A", alertname="JournalFailing"), alert("B", alertname="ExporterBlind")],
        "2 peringatan: JournalFailing, ExporterBlind, sejak 16.20 WIB.",
        "2 alerts: JournalFailing, ExporterBlind, since 16:20 WIB.",
        id="alerts of different kinds are named",
    ),
    pytest.param(
        [{"status": "firing", "labels": {}, "startsAt": UNKNOWN, "fingerprint": "f"}],
        "?, sejak 16.30 WIB.",
        "?, since 16:30 WIB.",
        id="an alert that says nothing at all",
    ),
    pytest.param(
        [alert("Kasir\r\nBcc: x\u202e\x1b[0m", business_name="", engine="")],
        "MATI: Kasir Bcc: x [0m, sejak 16.20 WIB.",
        "DOWN: Kasir Bcc: x [0m, since 16:20 WIB.",
        id="a hostile name stays on its line",
    ),
    pytest.param(
        [alert("{} %s {0}", business_name="{x}")],
        "MATI: {} %s {0} ({x}), WhatsApp, sejak 16.20 WIB.",
        "DOWN: {} %s {0} ({x}), WhatsApp, since 16:20 WIB.",
        id="a name is never taken for a format",
    ),
]


@pytest.mark.parametrize(("alerts", "indonesian", "english"), CASES)
def test_a_notification_becomes_one_text(alerts, indonesian, english):
    assert text(*alerts) == indonesian
    assert text(*alerts, language="en") == english


@pytest.mark.parametrize(("alerts", "indonesian", "english"), CASES)
def test_every_text_of_the_table_fits_one_sms(alerts, indonesian, english):
    assert [measure(indonesian).parts, measure(english).parts] == [1, 1]


def test_alerts_that_alertmanager_truncated_are_counted():
    assert text(alert("A"), truncated=9) == "10 perangkat mati (WhatsApp): A, +9 lainnya, sejak 16.20 WIB."


def test_whom_a_mass_outage_hits_takes_no_letter_of_what_it_is():
    hits = ", ".join(["Toko Makmur (1 perangkat)", *["Toko Makmur (1)"] * 4, "+995 bisnis lain"])
    told = {"summary_id": "WhatsApp: 1000 dari 1000 perangkat mati", "businesses_id": hits}
    outage = alert("EO", **OUTAGE, annotations=told)

    assert text(outage) == "GANGGUAN MASSAL: WhatsApp: 1000 dari 1000 perangkat mati, sejak 16.20 WIB."
    assert text(outage, parts=2).endswith(f"sejak 16.20 WIB. {hits}.")


def test_a_target_that_takes_two_messages_gets_more_names():
    assert text(*kasir(50), parts=2).count("Kasir") > text(*kasir(50)).count("Kasir")


def test_an_unusable_number_of_conversations_is_left_out():
    odd = alert("A", annotations={"affected_conversations": "12\N{ARABIC-INDIC DIGIT ONE}"})

    assert text(odd) == "MATI: A (Toko Makmur), WhatsApp, sejak 16.20 WIB."


@pytest.mark.parametrize(
    ("seconds", "indonesian", "english"),
    [
        pytest.param(-5, "1 dtk", "1 s", id="never negative"),
        pytest.param(0.9, "1 dtk", "1 s", id="less than a second"),
        pytest.param(59, "59 dtk", "59 s", id="seconds"),
        pytest.param(60, "1 mnt", "1 min", id="a whole minute"),
        pytest.param(3599, "59 mnt 59 dtk", "59 min 59 s", id="two units"),
        pytest.param(3601, "1 jam", "1 h", id="the third unit is left out"),
        pytest.param(90061, "1 hari 1 jam", "1 d 1 h", id="days"),
    ],
)
def test_a_duration_keeps_two_units(seconds, indonesian, english):
    assert [duration(seconds, WORDS["id"]), duration(seconds, WORDS["en"])] == [indonesian, english]


def test_another_day_is_named():
    assert clock_time(NOW - 86400, NOW, JAKARTA, WORDS["id"]) == "27 Jan 16.30 WIB"
    assert clock_range(NOW - 86400, NOW, NOW, JAKARTA, WORDS["en"]) == "27 Jan 16:30-16:30 WIB"
    assert clock_time(NOW + 365 * 86400, NOW, JAKARTA, WORDS["id"]) == "28 Jan 2026 16.30 WIB"


def test_the_day_is_that_of_the_zone():
    midnight = NOW + 7.5 * 3600  # 17:00 UTC, 00.00 in Jakarta

    assert clock_time(midnight - 60, midnight, JAKARTA, WORDS["id"]) == "28 Jan 23.59 WIB"
    assert clock_time(midnight, midnight, JAKARTA, WORDS["id"]) == "00.00 WIB"


def test_a_zone_without_a_name_shows_its_offset():
    assert clock_time(NOW, NOW, ZoneInfo("Asia/Dubai"), WORDS["id"]) == "13.30 UTC+04"


def test_the_test_text_says_that_it_is_one():
    assert render_test("sms", Style("id", JAKARTA), NOW) == (
        "UJI COBA device-exporter: pesan ke sms berhasil, 16.30 WIB."
    )
    assert (
        render_test("sms", Style("en", JAKARTA), NOW) == "TEST of device-exporter: message to sms arrived, 16:30 WIB."
    )


names = st.text(max_size=80)
alerts = st.builds(
    lambda status, labels, annotations, start, end, fingerprint: Alert(
        status, labels, start, fingerprint, annotations, end
    ),
    st.sampled_from(["firing", "resolved"]),
    st.dictionaries(
        st.sampled_from(["alertname", "device_id", "device_name", "engine", "business_name", "escalation"]),
        st.one_of(names, st.sampled_from(["DeviceDown", "EngineOutage", "wa"])),
    ),
    st.dictionaries(st.sampled_from(["summary", "affected_conversations"]), st.one_of(names, st.just("99999"))),
    st.datetimes(timezones=st.timezones()),
    st.none() | st.datetimes(timezones=st.timezones()),
    st.text(min_size=1, max_size=4),
)


@given(
    found=st.lists(alerts, min_size=1, max_size=8),
    truncated=st.integers(0, 10**6),
    language=st.sampled_from(["id", "en"]),
    parts=st.integers(1, 3),
)
def test_whatever_arrives_the_text_is_one_line_that_fits(found, truncated, language, parts):
    given_one = Notification("4", "firing", found, "g", truncated=truncated)

    shown = render(given_one, Style(language, JAKARTA, parts), NOW)

    assert shown
    assert shown.isprintable() or "\u200c" in shown or "\u200d" in shown
    assert measure(shown).parts <= parts
