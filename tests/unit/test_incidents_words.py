from __future__ import annotations

import csv
import io
import re
from zoneinfo import ZoneInfo

import pytest

from exporter.alerting.alert import INHIBITORS
from exporter.incidents.api import clean
from exporter.incidents.export import Export, markdown
from exporter.incidents.model import KINDS, STATUSES, TYPE, Entry, Incident
from exporter.incidents.wording import TEXTS, Wording
from exporter.lib.safe_text import cell, harmless
from exporter.look.language import accepted_language
from exporter.look.wording import TEXTS as COMMON
from tests.unit.incident_site import BEGIN

ZONE = ZoneInfo("Asia/Jakarta")
HOSTILE = "<script>alert(1)</script> [x](javascript:y) *b* `c` | =1+1 #5 www.evil.example https://evil.example"


def incident(**values: object) -> Incident:
    fields: dict[str, object] = {
        "number": 7,
        "type": TYPE,
        "status": "resolved",
        "resolution": "connected",
        "severity": "critical",
        "device_id": "device_7f3a",
        "device_name": "Front desk",
        "engine": "wa",
        "channel_id": "channel_11",
        "channel_name": "",
        "business_id": "biz_9",
        "business_name": "Toko Makmur",
        "started_at": BEGIN,
        "opened_at": BEGIN + 300.5,
        "resolved_at": float(BEGIN + 7500),
        "duration_seconds": 7500.0,
        "affected_conversations": 1234,
        "waiting_conversations": None,
    }
    return Incident(**(fields | values))  # type: ignore[arg-type]


@pytest.mark.parametrize("texts", [TEXTS, COMMON])
def test_both_languages_have_the_same_texts_with_the_same_places(texts):
    assert texts["id"].keys() == texts["en"].keys()
    for name, text in texts["id"].items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", texts["en"][name])), name


@pytest.mark.parametrize("language", ["id", "en"])
def test_every_status_kind_and_severity_has_words(language):
    names = TEXTS[language] | COMMON[language]
    assert all(f"status_{status}" in names for status in (*STATUSES, "open"))
    assert all(f"kind_{kind}" in names for kind in KINDS)
    assert all(f"severity_{severity}" in names for severity in ("critical", "warning", "info"))


@pytest.mark.parametrize(
    ("language", "time", "duration", "number", "none", "two"),
    [
        pytest.param(
            "id",
            "28 Jan 2025 16.20.00 WIB",
            "2\u00a0jam\u00a05\u00a0mnt",
            "1.234",
            "Tidak ada insiden yang berlangsung",
            "2 insiden berlangsung",
            id="Indonesian",
        ),
        pytest.param(
            "en",
            "28 Jan 2025 16:20:00 WIB",
            "2\u00a0h\u00a05\u00a0min",
            "1,234",
            "No open incidents",
            "2 open incidents",
            id="English",
        ),
    ],
)
def test_times_durations_and_numbers_are_written_as_readers_of_the_language_write_them(
    language, time, duration, number, none, two
):
    words = Wording(language, ZONE)
    assert words.time(BEGIN, seconds=True) == time
    assert words.duration(7500) == duration
    assert words.number(1234) == number
    assert (words.counted("open", 0), words.counted("open", 2)) == (none, two)


def test_a_zone_without_letters_is_written_as_its_distance_from_utc():
    assert Wording("en", ZoneInfo("Asia/Kathmandu")).time(BEGIN).endswith(" UTC+0545")


def test_corrections_name_both_times():
    entry = Entry(BEGIN, "start_corrected", f"{BEGIN} {BEGIN - 60}", "")
    expected = "Start corrected from 28 Jan 2025 16:20:00 WIB to 28 Jan 2025 16:19:00 WIB"
    assert Wording("en", ZONE).headline(entry) == expected
    assert Wording("en", ZONE).details(entry) == ""


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        pytest.param("alerted", "", "Alert handed to Alertmanager", id="taken by Alertmanager, which is no person"),
        pytest.param("muted", "EngineOutage", "Muted: part of the mass outage that is told of", id="muted"),
        pytest.param("muted", "NewAlert", "Muted: NewAlert", id="muted by what has no words"),
        pytest.param("escalated", "", "Escalation to management handed to Alertmanager", id="escalated"),
        pytest.param("escalated", "director", "Escalation to director handed to Alertmanager", id="the next step"),
        pytest.param("sent", "sms", "Message sent (sms)", id="sent"),
    ],
)
def test_what_was_told_is_said_as_far_as_it_is_known(kind, text, expected):
    words = Wording("en", ZONE)
    assert (words.headline(Entry(BEGIN, kind, text, "")), words.details(Entry(BEGIN, kind, text, ""))) == (expected, "")


def test_every_alert_that_mutes_others_has_words_in_the_timeline():
    for language in ("id", "en"):
        words = Wording(language, ZONE)
        assert all(words.known("muted", name) != name for name in INHIBITORS)


def test_an_unknown_kind_stands_for_itself():
    assert Wording("id", ZONE).headline(Entry(BEGIN, "moonrise", "full", "")) == "moonrise"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        pytest.param("", None, id="nothing said"),
        pytest.param("id-ID,id;q=0.9,en-US;q=0.8,en;q=0.7", "id", id="an Indonesian browser"),
        pytest.param("en-GB", "en", id="a region"),
        pytest.param("in-ID", "id", id="the old code of Indonesian"),
        pytest.param("fr, en;q=0.1", "en", id="the only one of ours"),
        pytest.param("en;q=0.3, id;q=0.8", "id", id="the heavier one"),
        pytest.param("en;q=0, fr", None, id="one that is not wanted"),
        pytest.param("en;q=x, id;q=0.1", "id", id="a weight that is none"),
        pytest.param("ide, *", None, id="a longer name"),
    ],
)
def test_the_language_that_a_browser_asks_for(header, language):
    assert accepted_language(header) == language


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        pytest.param("  one\r\ntwo\rthree  ", "one\ntwo\nthree", id="line ends"),
        pytest.param("a\x00b\x1b[31mc\u202ed", "ab[31mcd", id="control characters and turned direction"),
        pytest.param("a\u00a0b\tc", "a b c", id="spaces"),
        pytest.param("👩\u200d🔧 ok", "👩\u200d🔧 ok", id="an emoji of two"),
        pytest.param("\ud83d", "", id="half an emoji"),
        pytest.param(" \n\t ", "", id="nothing but white space"),
    ],
)
def test_what_is_kept_of_a_note(text, kept):
    assert clean(text) == kept


def test_texts_cannot_turn_their_direction_or_steer_a_terminal():
    assert harmless("a\u202egnp.exe\x1b[2J") == "a\ufffdgnp.exe\ufffd[2J"


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "|cmd", "%x", " =1", "\t=1", "\n=1", "\uff1d1"),
    ],
)
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text):
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["Front desk", "a=b", 5, -5, 0.5])
def test_other_cells_stay_as_they_are(value):
    assert cell(value) == value


def test_csv_has_one_row_an_incident_with_times_that_name_their_zone():
    export = Export("csv", Wording("id", ZONE), BEGIN)
    entries = [
        Entry(BEGIN, "down", "", ""),
        Entry(BEGIN + 1, "note", '=HYPERLINK("x"),\nsecond line', "budi"),
    ]
    text = export.head() + export.incident(incident(device_name="=cmd|' /C calc'!A0"), entries)
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert row["device_name"] == "'=cmd|' /C calc'!A0"
    assert row["started_at"] == "2025-01-28T09:20:00Z"
    assert row["duration_seconds"] == "7500.0"
    assert row["waiting_conversations"] == ""
    assert row["notes"] == '2025-01-28T09:20:01Z =HYPERLINK("x"),\nsecond line'
    assert export.headers()["Content-Disposition"] == 'attachment; filename="incidents-20250128T092000Z.csv"'


def test_markdown_shows_hostile_texts_as_they_are():
    export = Export("markdown", Wording("en", ZONE), BEGIN)
    entries = [Entry(BEGIN + 1, "note", f"{HOSTILE}\n\n1. x\n- y\n    z\n---", HOSTILE)]
    text = export.head() + export.incident(incident(device_name=f"a\nb {HOSTILE}"), entries)
    plain = re.sub(r"\\(.)", r"\1", text)
    assert "<script>" not in text
    assert HOSTILE in plain
    without_escapes = re.sub(r"\\.", "", text)
    for markup in ("<", "[", "`", "|", "_", "https://", "www."):
        assert markup not in without_escapes, markup
    quoted = [line for line in text.split("\n") if line.startswith("  > ")]
    assert quoted[-4:] == ["  > 1\\. x", "  > \\- y", "  > z", "  > \\---"]


def test_markdown_of_one_incident():
    export = Export("markdown", Wording("id", ZONE), BEGIN)
    entries = [Entry(BEGIN, "down", "", ""), Entry(BEGIN + 7500, "up", "", "")]
    assert export.incident(incident(), entries) == (
        "\n## \\#7 Front desk\n\n"
        "- **Status:** Selesai\n"
        "- **Tingkat:** Kritis\n"
        "- **Perangkat:** Front desk (device\\_7f3a)\n"
        "- **Channel:** channel\\_11\n"
        "- **Jenis channel:** WhatsApp\n"
        "- **Bisnis:** Toko Makmur (biz\\_9)\n"
        "- **Mulai terputus:** 28 Jan 2025 16.20.00 WIB\n"
        "- **Lama gangguan:** 2 jam 5 mnt\n"
        "- **Percakapan terdampak:** 1.234\n"
        "- **Menunggu balasan petugas:** tidak diketahui\n"
        "- **Ditangani setelah:** belum ada\n"
        "\n### Kronologi\n\n"
        "- **28 Jan 2025 16.20.00 WIB** Perangkat terputus\n"
        "- **28 Jan 2025 18.25.00 WIB** Perangkat tersambung lagi\n"
    )


@pytest.mark.parametrize("text", ["123456789. x", "12) x", "+ x", "- x"])
def test_no_text_begins_a_list(text):
    assert re.match(r"(\d+[.)]|[-+]) ", markdown(text)) is None


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("acknowledged", "1790001000 Sari\non the phone", "Sari"),
        ("silenced", "1790001000 Budi", "Budi"),
        ("start_corrected", "1790001000 1790002000", ""),
    ],
)
def test_a_terminal_shows_times_for_people(kind, text, said):
    shown = Wording("en", ZONE).plain(Entry(float(BEGIN), kind, text, ""))
    assert "179000" not in shown
    assert said in shown
    assert "on the phone" in shown or "on the phone" not in text
