"""
All benchmarks one after the other, one table of their rows, saved as docs/benchmarks.md.

    python -m bench [--quick] [--only NAME...]

Exit status 1 if a row does not hold. A quick run, or one of some benchmarks, saves nothing.
"""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import rows
from bench.processes import ROOT, workplace

BENCHMARKS = (
    "webhook",
    "exposition",
    "scraped",
    "start",
    "alerts",
    "pushgateway",
    "rules",
    "dashboards",
    "postgres",
    "gateways",
    "pages",
    "strangers",
)
LONG = ("soak",)
"""Only if they are named: half an hour each."""
PAGE = ROOT / "docs" / "benchmarks.md"
GENERATED = "<!-- What follows is written by `make bench`. -->\n"


def main() -> int:
    arguments = rows.parser(__doc__)
    arguments.add_argument("--only", nargs="+", choices=BENCHMARKS + LONG, default=BENCHMARKS, metavar="NAME")
    chosen = arguments.parse_args()
    began, load = datetime.now(UTC), os.getloadavg()[0]
    failed = []
    with tempfile.TemporaryDirectory() as directory:
        file = chosen.rows or Path(directory) / "rows"
        file.touch()
        for name in chosen.only:
            print(f"== {name}", flush=True)
            command = [sys.executable, "-m", f"bench.bench_{name}", "--rows", str(file)]
            if subprocess.run([*command, *(["--quick"] if chosen.quick else [])], cwd=ROOT, check=False).returncode:
                failed.append(name)
        found = rows.read(file)
    print(f"\n{rows.text_table(found)}\n\n" + "\n".join(f"- {fact}" for fact in machine(began, load)))
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    if not chosen.quick and set(chosen.only) == set(BENCHMARKS):
        save(found, machine(began, load))
        print(f"saved as {PAGE.relative_to(ROOT)}")
    return 0 if chosen.quick else int(any(row.holds is False for row in found))


def machine(began: datetime, load: float) -> list[str]:
    """Return what the figures depend on."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")), "processor")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "uvloop", "msgspec", "prometheus-client"))
    return [
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB of memory, {platform.system()} {platform.release()}",
        f"the journal on {file_system()}, WAL, `synchronous=FULL`: each commit is on disk before its answers",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}",
        f"{began:%Y-%m-%d %H:%M} UTC, load average at the beginning {load:.2f}",
    ]


def file_system() -> str:
    """Return the file system of the benchmarks' journals."""
    with workplace() as directory:
        fields = subprocess.run(
            ["stat", "-f", "-c", "%T", str(directory)], capture_output=True, text=True, check=False
        ).stdout.strip()
    return fields.replace("ext2/ext3", "ext4") or "an unknown file system"


def save(found: list[rows.Row], facts: list[str]) -> None:
    """Replace the generated part of the page."""
    notes = [f"- **{row.key}** {row.note}" for row in found if row.note]
    text = "\n".join([*(f"- {fact}" for fact in facts), "", rows.markdown_table(found), "", *notes, ""])
    before = PAGE.read_text().partition(GENERATED)[0]
    PAGE.write_text(f"{before}{GENERATED}\n{text}")


if __name__ == "__main__":
    sys.exit(main())
