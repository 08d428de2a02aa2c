"""Backfilled history in a real Prometheus: queries over the window return what the journal knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.domain.policy import Policies
from exporter.journal.storage import open_reader
from exporter.report.availability import availability
from exporter.simulate.fleet import make_fleet
from tests.integration.history import Prometheus, backfill, fill, load, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.binaries

STEP = 60
START = 1_760_000_040 // STEP * STEP
HOURS = 12
END = START + HOURS * 3_600
DEVICES = 24
TARGET = ("job=device-exporter", "instance=exporter-admin:9877")


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("journal") / "exporter.db"
    fill(path, START, END, devices=DEVICES, profile="stormy")
    return path


@pytest.fixture(scope="module")
def server(journal: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    directory = tmp_path_factory.mktemp("prometheus")
    backfill(journal, directory / "history.txt", START, END, STEP, *(f"--label={label}" for label in TARGET))
    load(directory / "history.txt", directory / "data")
    with prometheus(directory) as running:
        yield running


LAST = END - STEP
"""The last backfilled time: queries there see the whole window."""


@pytest.mark.parametrize(("by", "labels"), [("engine", "engine"), ("business", "business_id")])
def test_the_fleets_availability_is_the_reports(server: Prometheus, journal: Path, by: str, labels: str) -> None:
    down, observed = (f"sum by ({labels}) (fleet_{name}_seconds_total)" for name in ("downtime", "observed"))
    with open_reader(f"sqlite:///{journal}") as reader:
        rows = availability(reader.histories(), blind=[], start=START, end=LAST, by=by)
    expected = {row.key: row.availability_ratio for row in rows}
    assert server.query(f"1 - {down} / {observed}", LAST) == pytest.approx(expected, abs=1e-9)


def test_every_devices_downtime_is_the_reports(server: Prometheus, journal: Path) -> None:
    with open_reader(f"sqlite:///{journal}") as reader:
        rows = availability(reader.histories(), blind=[], start=START, end=LAST, by="device")
    assert len(rows) == DEVICES
    found = server.query("sum by (device_id) (device_downtime_seconds_total)", LAST)
    assert found == {row.key: row.downtime_seconds for row in rows}
    assert sum(found.values()) > 0


@pytest.mark.parametrize("hours", [1, 6, HOURS - 1])
def test_states_at_any_time_agree_with_the_journal(server: Prometheus, journal: Path, hours: int) -> None:
    at = START + hours * 3_600
    expected = {}
    with open_reader(f"sqlite:///{journal}") as reader:
        for history in reader.histories():
            if history.observed[0][0] <= at:
                down = any(o.start <= at and (o.end is None or at < o.end) for o in history.outages)
                expected[history.identity.device_id] = float(not down)
    assert server.query("sum by (device_id) (device_up)", at) == expected
    assert server.query('sum(fleet_devices{state="up"})', at)[""] == sum(expected.values())


def test_devices_and_fleet_count_the_same_outages(server: Prometheus) -> None:
    by_device = server.query("sum by (engine) (device_disconnect_total)", LAST)
    assert server.query("sum by (engine) (fleet_disconnect_total)", LAST) == by_device
    assert sum(by_device.values()) > DEVICES


def test_the_histogram_counts_every_finished_outage(server: Prometheus, journal: Path) -> None:
    with open_reader(f"sqlite:///{journal}") as reader:
        outages = [outage for history in reader.histories() for outage in history.outages]
    lengths = [outage.end - outage.start for outage in outages if outage.end is not None and outage.end <= LAST]
    assert server.query("sum(fleet_outage_duration_seconds_count)", LAST)[""] == len(lengths)
    assert server.query("sum(fleet_outage_duration_seconds_sum)", LAST)[""] == sum(lengths)
    shorter = server.query('sum(fleet_outage_duration_seconds_bucket{le="60.0"})', LAST)
    assert shorter[""] == sum(length <= 60 for length in lengths)


def test_every_series_is_the_scrape_targets(server: Prometheus) -> None:
    found = server.query('count by (job, instance) ({__name__=~".+"})', LAST)
    assert list(found) == ["exporter-admin:9877,device-exporter"]


def test_budgets_over_the_window_use_the_policys_objectives(server: Prometheus, journal: Path) -> None:
    with open_reader(f"sqlite:///{journal}") as reader:
        rows = availability(reader.histories(), blind=[], start=START, end=LAST, by="engine")
    down, observed = (f"sum by (engine) (fleet_{name}_seconds_total)" for name in ("downtime", "observed"))
    burn = server.query(f"{down} / {observed} / (1 - max by (engine) (policy_slo_objective_ratio))", LAST)
    policies = Policies()
    allowed = {row.key: 1 - policies.for_engine(row.key).objective_ratio for row in rows}
    assert burn == pytest.approx({row.key: (1 - row.availability_ratio) / allowed[row.key] for row in rows}, abs=1e-6)
    everywhere = server.query(f"count_over_time(policy_slo_objective_ratio[{HOURS}h])", LAST)
    assert {int(count) for count in everywhere.values()} == {HOURS * 3_600 // STEP}


def test_names_join_on_every_device(server: Prometheus) -> None:
    joined = server.query("count(device_up * on (device_id) group_left (device_name) device_info)", LAST)
    assert joined == {"": DEVICES}
    names = server.query("count by (device_name) (device_info)", LAST)
    assert set(names) == {device.identity.device_name for device in make_fleet(DEVICES, 5)}


def test_no_sample_is_missing_between_the_first_and_the_last(server: Prometheus) -> None:
    for name in ("device_up", "device_downtime_seconds_total"):
        found = server.query(
            f"count_over_time({name}[{HOURS}h]) - (({LAST} - device_first_seen_timestamp_seconds) / 60)", LAST
        )
        assert len(found) == DEVICES
        assert all(-1 <= difference <= 1 for difference in found.values())
