"""Every benchmark runs, in its quick version: what it measures in that second means nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench import rows
from bench.__main__ import BENCHMARKS, LONG
from bench.processes import on_a_share
from tests.patience import patient
from tests.postgres import binaries
from tests.tools import ROOT, require

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


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


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


def test_a_process_on_a_share_takes_no_more_of_a_processor_and_is_free_afterwards() -> None:
    command = [sys.executable, "-c", "while True: pass"]
    with subprocess.Popen(command) as busy:
        try:
            with on_a_share(busy.pid, 0.1) as held:
                if not held:
                    pytest.skip("it takes root and control groups")
                began, before = time.monotonic(), processor_time(busy.pid)
                time.sleep(0.5)
                taken = (processor_time(busy.pid) - before) / (time.monotonic() - began)
            groups = Path(f"/proc/{busy.pid}/cgroup").read_text()
        finally:
            busy.kill()
    assert taken < 0.3
    assert f"bench-{busy.pid}" not in groups


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
