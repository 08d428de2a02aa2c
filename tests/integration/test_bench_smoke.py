"""The benchmarks run: their quick form ends and measures. What the figures are is nobody's business here."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bench.rows import read
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.binaries
def test_the_benchmark_of_alerts_measures_both_ways(tmp_path: Path) -> None:
    for program in ("alertmanager", "prometheus"):
        require(program)
    file = tmp_path / "rows"
    command = [sys.executable, "-m", "bench.bench_alerts", "--quick", "--rows", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert [row.key for row in read(file)] == ["7", "7b", "7c"]
