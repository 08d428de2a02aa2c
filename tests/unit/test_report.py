"""The report: its period, its days, and every form of it."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from exporter.cli import report as cli
from exporter.cli.main import parse
from exporter.domain.identity import Identity
from exporter.domain.records import Append
from exporter.domain.timeline import Kind, Outage
from exporter.errors import ConfigError, ExporterError
from exporter.report.document import Day, Document, compile_report
from exporter.report.formats import as_csv, as_json, print_table, verdict_of
from exporter.report.history import History
from exporter.report.page import MOST_ROWS, as_html
from exporter.report.plots import grade
from exporter.report.texts import METHOD, METHOD_IN_SHORT, TEXTS
from exporter.report.windows import Period, between, month, timezone, unix_time, window
from exporter.report.wording import Wording
from tests.unit.journal_site import open_database

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

DAY = 86_400
OCTOBER = int(datetime.fromisoformat("2025-10-01T00:00+07:00").timestamp())
NOVEMBER = OCTOBER + 31 * DAY
PERIOD = Period(OCTOBER, NOVEMBER, "Asia/Jakarta")


def history(device: str, *outages: tuple[int, int | None], engine: str = "wa", name: str = "Kasir") -> History:
    identity = Identity(device, name, engine, "c1", "WhatsApp", "b1", "Toko Makmur", "u1", "Pemilik Toko")
    return History(identity, [Outage(*outage) for outage in outages], [(OCTOBER, None)])


class FakeSource:
    def __init__(self, *histories: History, blind: Sequence[tuple[float, float]] = ()) -> None:
        self._histories, self._blind = histories, blind

    def device_count(self) -> int:
        return len(self._histories)

    def histories(self) -> Iterator[History]:
        return iter(self._histories)

    def blind_intervals(self) -> Sequence[tuple[float, float]]:
        return self._blind


def report(
    *histories: History, by: str = "device", period: Period = PERIOD, blind: Sequence[tuple[float, float]] = ()
) -> Document:
    source = FakeSource(*histories, blind=blind)
    return compile_report(source, period, by, now=NOVEMBER, objective=lambda _: 0.99)


# Periods ------------------------------------------------------------------------------------------------------


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


NOW = at("2025-11-24T12:00+07:00")
JAKARTA = "Asia/Jakarta"
PERIODS: dict[str, tuple[Period, str, str]] = {
    "a month begins and ends at local midnight": (
        month("2025-10", NOW, JAKARTA),
        "2025-10-01T00:00+07:00",
        "2025-11-01T00:00+07:00",
    ),
    "December ends in the next year": (
        month("2024-12", NOW, JAKARTA),
        "2024-12-01T00:00+07:00",
        "2025-01-01T00:00+07:00",
    ),
    "the running month ends now": (month("2025-11", NOW, JAKARTA), "2025-11-01T00:00+07:00", "2025-11-24T12:00+07:00"),
    "a month with a change of the clock has its true length": (
        month("2025-03", NOW, "Europe/Amsterdam"),
        "2025-03-01T00:00+01:00",
        "2025-04-01T00:00+02:00",
    ),
    "a window ends now": (window(2 * DAY, NOW, JAKARTA), "2025-11-22T12:00+07:00", "2025-11-24T12:00+07:00"),
    "dates are local midnights": (
        between("2025-10-05", "2025-10-07", NOW, JAKARTA),
        "2025-10-05T00:00+07:00",
        "2025-10-07T00:00+07:00",
    ),
    "without an end it is now": (
        between("2025-10-05T08:00Z", None, NOW, JAKARTA),
        "2025-10-05T15:00+07:00",
        "2025-11-24T12:00+07:00",
    ),
    "an end in the future is now": (
        between("2025-10-05", "2026-10-05", NOW, JAKARTA),
        "2025-10-05T00:00+07:00",
        "2025-11-24T12:00+07:00",
    ),
}


@pytest.mark.parametrize(("period", "start", "end"), PERIODS.values(), ids=PERIODS.keys())
def test_periods(period: Period, start: str, end: str) -> None:
    assert (period.start, period.end) == (at(start), at(end))


@pytest.mark.parametrize("text", ["2025-13", "2025-00", "2025", "25-10", "Oktober", "\u0662\u0660\u0662\u0665-10"])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a month such as"):
        month(text, NOW, JAKARTA)


def test_a_period_in_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="lies in the future"):
        month("2025-12", NOW, JAKARTA)


def test_a_period_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="must end after"):
        between("2025-10-07", "2025-10-05", NOW, JAKARTA)


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="such as Asia/Jakarta"):
        timezone("Asia/Atlantis")


@pytest.mark.parametrize("text", ["", "yesterday", "2025-10-32", "12"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time such as"):
        unix_time(text)


def test_days_are_local_and_the_first_and_last_may_be_parts() -> None:
    period = Period(at("2025-10-30T18:00+07:00"), at("2025-11-02T06:00+07:00"), JAKARTA)
    hours = [(b - a) / 3_600 for a, b in zip(period.days(), period.days()[1:], strict=False)]
    assert hours == [6, 24, 24, 6]


def test_a_day_on_which_the_clock_changes_is_shorter() -> None:
    period = Period(at("2025-03-29T00:00+01:00"), at("2025-04-01T00:00+02:00"), "Europe/Amsterdam")
    hours = [(b - a) / 3_600 for a, b in zip(period.days(), period.days()[1:], strict=False)]
    assert hours == [24, 23, 24]


# Content ------------------------------------------------------------------------------------------------------


def test_days_add_up_to_the_total() -> None:
    document = report(
        history("d1", (OCTOBER + DAY - 600, OCTOBER + DAY + 300), (OCTOBER + 5 * DAY, OCTOBER + 8 * DAY)),
        history("d2", (OCTOBER + 40, OCTOBER + 50)),
        blind=[(OCTOBER + 6 * DAY, OCTOBER + 6 * DAY + 3_600)],
    )
    assert sum(day.downtime_seconds for day in document.days) == document.total.downtime_seconds
    assert sum(day.observed_seconds for day in document.days) == document.total.observed_seconds
    assert [day.downtime_seconds for day in document.days_by_key["d1"][:2]] == [600, 300]
    assert sum(row.downtime_seconds for row in document.rows) == document.total.downtime_seconds


def test_the_worst_row_stands_first_and_rows_without_an_answer_last() -> None:
    document = report(history("d1", (OCTOBER, OCTOBER + 60)), history("d2"), history("d3", (OCTOBER, OCTOBER + 600)))
    rows = [*document.rows, msgspec.structs.replace(document.rows[0], key="d0", availability_ratio=None)]
    ordered = msgspec.structs.replace(document, rows=rows).worst_first()
    assert [row.key for row in ordered] == ["d3", "d1", "d2", "d0"]


def test_only_blind_intervals_of_the_window_are_listed() -> None:
    document = report(
        history("d1"), blind=[(OCTOBER - 9, OCTOBER), (OCTOBER - 1, OCTOBER + 1), (NOVEMBER, NOVEMBER + 1)]
    )
    assert document.blind == [(OCTOBER - 1, OCTOBER + 1)]


# Wording ------------------------------------------------------------------------------------------------------

WORDS: dict[str, tuple[str, str]] = {
    "thousands and decimals": (Wording("en").number(1_234_567.5, 1), "1,234,567.5"),
    "thousands and decimals in Indonesian": (Wording("id").number(1_234_567.5, 1), "1.234.567,5"),
    "two units of a duration": (Wording("en").duration(2 * DAY + 3 * 3_600 + 59), "2 d 3 h"),
    "two units of a duration in Indonesian": (Wording("id").duration(3_900), "1 jam 5 mnt"),
    "a second unit of nothing is left out": (Wording("en").duration(DAY + 59), "1 d"),
    "nothing is no seconds": (Wording("en").duration(0), "0 s"),
    "a debt": (Wording("en").duration(-90), "-1 min 30 s"),
    "what is unknown": (Wording("en").duration(None), "\N{EN DASH}"),
    "nearly all is not all": (Wording("en").availability(0.9999999), "99.99999%"),
    "what is nearer to all than can be shown": (Wording("en").availability(0.9999999999), "99.99999%"),
    "all is all": (Wording("en").availability(1.0), "100.000%"),
    "nearly nothing is not nothing": (Wording("en").availability(0.00000012), "0.00001%"),
    "just below the objective": (Wording("en").availability(0.9949977, 0.995), "99.4998%"),
    "just above the objective": (Wording("id").availability(0.9950004, 0.995), "99,50004%"),
    "nearer to the objective than can be shown": (Wording("en").availability(0.99499999999, 0.995), "99.49999%"),
    "the objective itself": (Wording("en").availability(0.995, 0.995), "99.500%"),
    "an objective": (Wording("en").objective(0.995), "99.50%"),
    "an objective with more digits": (Wording("en").objective(0.99995), "99.995%"),
    "a budget that is just spent": (Wording("en").near(0.0, 0.0), "0%"),
    "a budget that is just overdrawn": (Wording("en").near(-0.0003, 0.0), "-0.03%"),
    "a budget that is overdrawn by next to nothing": (Wording("en").near(-1e-9, 0.0), "-0.00001%"),
    "a budget that is all there but for noise": (Wording("en").near(-1e-17, 0.0), "0.0%"),
    "just over a limit": (Wording("en").near(1.004, 1.0), "100.4%"),
    "far from a limit": (Wording("en").near(0.754, 1.0), "75%"),
    "a small share": (Wording("en").share(0.00042), "0.042%"),
    "a time in Indonesian": (Wording("id").time(OCTOBER, PERIOD), "1 Oktober 2025 00.00 WIB"),
    "a time in English": (Wording("en").time(OCTOBER, PERIOD), "1 October 2025 00:00 WIB"),
}


@pytest.mark.parametrize(("found", "expected"), WORDS.values(), ids=WORDS.keys())
def test_wording(found: str, expected: str) -> None:
    assert found == expected


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["id"].keys() == TEXTS["en"].keys()
    for name, text in TEXTS["en"].items():
        assert re.findall(r"\{\w+\}", text) == re.findall(r"\{\w+\}", TEXTS["id"][name])
    assert all(TEXTS["id"][name] != TEXTS["en"][name] for name in METHOD)


GRADES: dict[str, tuple[float, float, str]] = {
    "not observed": (0, 0, "unknown"),
    "never down": (1_000, 0, "full"),
    "just what is allowed": (1_000, 10, "within"),
    "more than is allowed": (1_000, 11, "below"),
    "four times what is allowed": (1_000, 40, "below"),
    "more than four times": (1_000, 41, "far"),
}


@pytest.mark.parametrize(("observed", "down", "expected"), GRADES.values(), ids=GRADES.keys())
def test_days_are_graded_by_the_objective(observed: float, down: float, expected: str) -> None:
    assert grade(Day(0, DAY, observed, down), round(0.99, 12)) == expected


# Forms --------------------------------------------------------------------------------------------------------

HOSTILE = '<script>alert(1)</script> [bold]"&'


def test_csv_has_a_line_a_row_with_the_apis_names_and_the_method() -> None:
    lines = list(csv.DictReader(io.StringIO(as_csv(report(history("d1", (OCTOBER, OCTOBER + 60)), history("d2"))))))
    assert [line["key"] for line in lines] == ["d1", "d2"]
    assert float(lines[0]["downtime_seconds"]) == 60
    assert lines[1]["mttr_seconds"] == ""
    assert lines[0]["start"] == "2025-10-01T00:00:00+07:00"
    assert {line["method"] for line in lines} == {METHOD_IN_SHORT}


@pytest.mark.parametrize("name", ["=1+1", "+62 811", "-Kasir", "@SUM(A1)", " =1+1", "\t=1", "\r=1", "\uff1d1+1"])
def test_csv_never_holds_a_formula(name: str) -> None:
    (line,) = csv.DictReader(io.StringIO(as_csv(report(history("d1", name=name))), newline=""))
    assert line["name"] == f"'{name}"


def test_csv_leaves_negative_numbers_alone() -> None:
    (line,) = csv.DictReader(io.StringIO(as_csv(report(history("d1", (OCTOBER, OCTOBER + 20 * DAY))))))
    assert float(line["budget_left_seconds"]) < 0


def test_json_has_the_apis_shape_and_more() -> None:
    content = json.loads(as_json(report(history("d1", (OCTOBER, OCTOBER + 60)), blind=[(OCTOBER + 90, OCTOBER + 100)])))
    assert (content["start"], content["end"], content["by"]) == (OCTOBER, NOVEMBER, "device")
    (row,) = content["rows"]
    assert row["downtime_seconds"] == content["total"]["downtime_seconds"] == 60
    assert content["blind"] == [[OCTOBER + 90, OCTOBER + 100]]
    assert len(content["days"]) == 31
    assert content["method"] == [TEXTS["en"][name] for name in METHOD]


def table(document: Document, language: str, width: int = 500) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        print_table(document, console, Wording(language))  # type: ignore[arg-type]
    return capture.get()


def test_the_table_prints_names_as_they_are_and_no_control_characters() -> None:
    text = table(report(history("d1", name=f"{HOSTILE}\x1b[31m")), "en")
    assert HOSTILE in text
    assert "\x1b" not in text


@pytest.mark.parametrize("language", ["id", "en"])
def test_the_method_stands_under_every_table_and_on_every_page(language: str) -> None:
    document = report(history("d1", (OCTOBER, OCTOBER + 60)))
    page = as_html(document, language)  # type: ignore[arg-type]
    for name in METHOD:
        assert TEXTS[language][name] in table(document, language)  # type: ignore[index]
        assert TEXTS[language][name] in page  # type: ignore[index]


def test_planned_time_has_a_column_only_where_there_was_some() -> None:
    source = FakeSource(msgspec.structs.replace(history("d1"), planned=[(OCTOBER, OCTOBER + 60)]))
    planned = compile_report(source, PERIOD, "device", now=NOVEMBER)
    assert "Planned" in table(planned, "en")
    assert "Planned" not in table(report(history("d1")), "en").partition("Device availability")[2].partition("•")[0]


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_narrow_table_leaves_out_what_matters_least_and_breaks_no_number(width: int) -> None:
    document = report(*(history(f"device_{n}", (OCTOBER, OCTOBER + 90_000 + n), name=f"Kasir {n}") for n in range(3)))
    text = table(document, "en", width)

    assert max(map(len, text.partition("•")[0].splitlines())) <= width
    assert "Availability" in text
    assert "Not shown for want of room: " in " ".join(text.split())
    assert "MTBF" in text.partition("Not shown")[2]
    assert len(re.findall(r"\(device_\d\) │ +9\d\.\d{3}%", text)) == 3


def test_the_verdict_counts_what_missed_its_objective_and_names_the_worst() -> None:
    document = report(history("d1", (OCTOBER, OCTOBER + 9 * DAY)), history("d2"), history("d3", (OCTOBER, None)))
    assert verdict_of(document, Wording("en")) == (
        "2 of 3 missed the objective; the worst is Kasir: 0.000%, where 99.00% is the objective."
    )
    assert verdict_of(report(history("d1")), Wording("id")) == "Semua mencapai target."
    assert "2 dari 3 tidak mencapai target" in as_html(document, "id")


@pytest.mark.parametrize(("language", "words"), [("en", "logged out on the phone 2"), ("id", "logout dari ponsel 2")])
def test_a_report_says_why_devices_went_down_where_their_gateway_told(language: str, words: str) -> None:
    told = {OCTOBER: "logged_out", OCTOBER + 90: "logged_out", OCTOBER + 180: "banned"}
    found = history("d1", *((at, at + 60) for at in told), (OCTOBER + 300, None))
    document = report(msgspec.structs.replace(found, reasons=told))

    assert words in " ".join(table(document, language).split())
    assert words in as_html(document, language)  # type: ignore[arg-type]
    assert "logged_out 2, banned 1" in as_csv(document)


def test_only_so_many_rows_are_shown_and_the_total_is_of_all() -> None:
    whole = report(*(history(f"d{n}", (OCTOBER, OCTOBER + 60 * n + 60)) for n in range(5)))
    document = msgspec.structs.replace(whole, top=2)

    assert [row.key for row in document.worst_first()] == ["d4", "d3"]
    assert "3 more rows are not shown" in table(document, "en")
    assert "3 more rows are not shown" in as_html(document, "en")
    content = json.loads(as_json(document))
    assert [row["key"] for row in content["rows"]] == ["d4", "d3"]
    assert content["total"]["devices"] == 5
    assert len(as_csv(document).splitlines()) == 3


def test_many_devices_are_grouped_by_business_on_a_page() -> None:
    def of(number: int) -> History:
        found = history(f"d{number}", (OCTOBER, OCTOBER + DAY * (number % 2)))
        business = f"b{number % 2}"
        identity = msgspec.structs.replace(found.identity, business_id=business, business_name=f"Toko {business}")
        return msgspec.structs.replace(found, identity=identity)

    page = as_html(report(*map(of, range(60))), "en")

    assert re.findall(r"<b(?: class=.missed.)?>(Toko b\d)</b>", page) == ["Toko b1", "Toko b0"]
    assert "30 below the objective" in page
    assert "all met their objective" in page
    assert "prefers-color-scheme: dark" in page


def svgs(page: str) -> list[ET.Element]:
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]


def test_the_page_is_self_contained() -> None:
    page = as_html(report(history("d1", (OCTOBER, OCTOBER + 60))), "id")
    assert not re.findall(r"(?:src|href)\s*=|url\(|@import", page)
    assert "<script" not in page
    assert '<html lang="id">' in page


def test_the_page_escapes_names_everywhere() -> None:
    page = as_html(report(history('d"<1', (OCTOBER, OCTOBER + 60), name=HOSTILE)), "en")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 2


def test_plots_are_well_formed_and_have_a_bar_a_day() -> None:
    document = report(history("d1", (OCTOBER, OCTOBER + 60)), history("d2"))
    daily, budget, *strips = svgs(as_html(document, "en"))
    assert len(daily.findall("rect")) == 31
    assert len(budget.findall("rect")) == 2
    assert [len(strip.findall("rect")) for strip in strips] == [31, 31]


def test_a_page_without_rows_says_so() -> None:
    assert TEXTS["id"]["empty"] in as_html(report(), "id")


def test_a_page_has_at_most_so_many_rows_and_says_how_many_more_there_are() -> None:
    document = report(
        *(history(f"d{number}") for number in range(MOST_ROWS + 3)), period=Period(OCTOBER, OCTOBER + DAY, JAKARTA)
    )
    page = as_html(document, "en")
    assert page.count("<tr><td>") == MOST_ROWS + 1  # and the total
    assert "3 more rows" in page


# The command --------------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> str:
    path = tmp_path / "exporter.db"
    writer = open_database(path)
    identity = history("device_7f3a").identity
    for timestamp, kind in [
        (OCTOBER, Kind.CONNECTED),
        (OCTOBER + 50, Kind.DISCONNECTED),
        (OCTOBER + 110, Kind.CONNECTED),
    ]:
        writer.append([Append(identity, timestamp, kind)], 0)
    writer.close()
    return f"sqlite:///{path}"


def command(journal: str, *options: str) -> argparse.Namespace:
    return parse(["report", "--storage.url", journal, *options])


@pytest.mark.parametrize("form", cli.FORMATS)
def test_every_form_is_written_to_a_file(journal: str, form: str, tmp_path: Path) -> None:
    output = tmp_path / "report"
    options = ["--month", "2025-10", "--by", "device", "--format", form, "--output", str(output)]
    assert cli.run(command(journal, *options)) == 0
    assert "device_7f3a" in output.read_text()


def test_the_report_counts_what_the_journal_holds(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(journal, "--month", "2025-10", "--format", "json")) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["key"], row["downtime_seconds"], row["observed_seconds"], row["outages"]) == ("wa", 60, 31 * DAY, 1)
    assert row["objective_ratio"] == pytest.approx(0.995)


@pytest.mark.parametrize("business", ["b1", "toko makmur"])
def test_a_report_can_be_of_some_businesses(journal: str, business: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(journal, "--month", "2025-10", "--json", "--business", business)) == 0
    assert json.loads(capsys.readouterr().out)["total"]["devices"] == 1
    with pytest.raises(ExporterError, match="no device belongs to a business 'b2'"):
        cli.run(command(journal, "--month", "2025-10", "--business", "b1", "--business", "b2"))


def test_a_table_in_indonesian_is_the_default(journal: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(command(journal, "--month", "2025-10")) == 0
    assert TEXTS["id"]["title"] in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--window", "1d", "--month", "2025-10"], "exclude each other", id="two periods"),
        pytest.param(["--to", "2025-10-01"], "--to needs --from", id="an end without a start"),
        pytest.param(["--window", "1 fortnight"], "expected a duration", id="no duration"),
        pytest.param(["--timezone", "Asia/Atlantis"], "is no time zone", id="no time zone"),
    ],
)
def test_wrong_options_are_refused(journal: str, options: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cli.run(command(journal, *options))


def test_the_default_is_the_last_30_days() -> None:
    now = datetime(2025, 11, 24, tzinfo=UTC).timestamp()
    period = cli.period_of(command("sqlite:///x.db"), now, JAKARTA)
    assert (period.start, period.end) == (now - 30 * DAY, now)
