"""Makes a real process see a disk or a clock that is not well: a few lines of C before the C library's own."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.patience import patient
from tests.tools import ROOT, require

if TYPE_CHECKING:
    from pathlib import Path


def preloaded(name: str, folder: Path) -> dict[str, str]:
    """Compile `NAME.c` beside this file; return the variable that loads it into a process."""
    if sys.platform != "linux":
        pytest.skip("needs a loader that takes LD_PRELOAD")
    library = folder / f"{name}.so"
    source = ROOT / "tests" / "e2e" / f"{name}.c"
    command = [require("cc"), "-shared", "-fPIC", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True, timeout=patient(60))
    return {"LD_PRELOAD": str(library)}
