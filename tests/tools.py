"""
Find the real programs that tests run: prometheus, promtool, alertmanager, amtool and what a test may need besides.

A missing program skips the test with a reason on a laptop and fails it when `CI=true`, so that nothing is
silently untested where it counts. `make tools` fetches those of FETCHED.
"""

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(os.environ.get("TOOLS_DIR", ROOT / ".tools")) / "bin"
FETCHED = frozenset({"prometheus", "promtool", "alertmanager", "amtool", "helm", "caddy", "axe"})


def find(program: str) -> Path | None:
    """Path of the program in `.tools/bin`, else on PATH, else None."""
    own = TOOLS / program
    if os.access(own, os.X_OK):
        return own
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    return Path(found) if found else None


def require(program: str) -> Path:
    """Path of the program; without it the calling test is skipped, or fails when `CI=true`."""
    path = find(program)
    if path is not None:
        return path
    how = "run make tools" if program in FETCHED else "install it and put it on PATH"
    reason = f"{program} is missing: {how}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
