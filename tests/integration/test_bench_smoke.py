"""Every benchmark runs, in its quick version: what it measures in that second means nothing."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench import rows
from bench.__main__ import BENCHMARKS, LONG
from tests.patience import patient
from tests.postgres import binaries
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from pathlib import Path

NEEDS = {
    "webhook": ("wrk",),
    "gateways": ("wrk",),
    "scraped": ("wrk",),
    "pushgateway": ("wrk", "prometheus-pushgateway"),
    "alerts": ("prometheus", "alertmanager"),
    "rules": ("prometheus", "promtool"),
    "dashboards": ("prometheus", "promtool"),
    "pages": ("wrk",),
    "postgres": ("wrk",),
    "soak": ("wrk",),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS + LONG)
def test_a_benchmark_runs_and_gives_its_rows(name: str, tmp_path: Path) -> None:
    for program in NEEDS.get(name, ()):
        require(program)
    if name == "postgres":
        binaries()
    file = tmp_path / "rows"
    command = [sys.executable, "-m", f"bench.bench_{name}", "--quick", "--rows", str(file)]

    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=patient(150))

    assert done.returncode == 0, done.stderr[-3000:]
    found = rows.read(file)
    assert found
    assert all(row.what and row.ours for row in found)
    assert rows.text_table(found) in done.stdout


def test_every_benchmark_can_be_chosen() -> None:
    found = sorted(path.stem for path in (ROOT / "bench").glob("bench_*.py"))

    assert found == sorted(f"bench_{name}" for name in BENCHMARKS + LONG)


def test_the_table_is_in_the_order_of_its_keys(tmp_path: Path) -> None:
    file = tmp_path / "rows"
    made = [rows.Row(key, f"what {key}", "1/s", **rows.at_least(2, 3)) for key in ("10", "2", "1b", "1")]
    rows.report(made, file)

    read = rows.read(file)

    assert [row.key for row in read] == ["1", "1b", "2", "10"]
    assert rows.markdown_table(read).splitlines()[2] == "| 1 | what 1 | 1/s |  | 2 | ≥ 3 | NO |"
