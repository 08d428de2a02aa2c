"""The availability that Prometheus records over a month is the report's."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from exporter import conventions as names
from exporter.journal.storage import open_reader
from exporter.report.availability import availability
from tests.integration.history import backfill, fill, load, prometheus
from tests.patience import wait_for
from tests.tools import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.binaries, pytest.mark.slow]

MONTH = 30 * 86_400
BEFORE = 3_600  # seconds of history before the month, so that the month is whole
RULES = ROOT / "prometheus" / "rules" / "slo.yml"
TOLERANCE = 0.0001  # 0.01 percentage points


def quick_rules(directory: Path) -> Path:
    """Return the recording rules as they are, but evaluated each second."""
    rules = directory / "slo.yml"
    rules.write_text(RULES.read_text().replace("interval: 30s", "interval: 1s"))
    return rules


@pytest.mark.timeout(600)  # thirty days are looked through at each evaluation
def test_a_simulated_months_recorded_availability_is_the_reports(tmp_path: Path) -> None:
    now = time.time()
    journal, text = tmp_path / "exporter.db", tmp_path / "history.txt"
    fill(journal, now - MONTH - BEFORE, now, devices=40, profile="normal")
    only = ("--only", f"{names.FLEET_DOWNTIME_KNOWN},{names.FLEET_OBSERVED_KNOWN}")
    backfill(journal, text, now - MONTH - BEFORE, now, 60, *only)
    load(text, tmp_path / "data", "--max-block-duration=30d")  # without it promtool reads the file once every 2 h
    with prometheus(tmp_path, quick_rules(tmp_path)) as server:
        ratio = "engine:fleet_availability:ratio_increase30d"
        recorded = wait_for(lambda: server.query(ratio, int(time.time())), "the rules record", 240, every=0.5)
    with open_reader(f"sqlite:///{journal}") as reader:
        rows = availability(reader.histories(), blind=[], start=now - MONTH, end=now, by="engine")
    expected = {f"engine:fleet_availability:ratio_increase30d,{row.key}": row.availability_ratio for row in rows}
    assert min(row.downtime_seconds for row in rows) > 0
    assert recorded == pytest.approx(expected, abs=TOLERANCE, rel=0)
