"""CHANGELOG.md at a release: `python -m scripts.changelog notes|check|fold X.Y.Z`.

notes  prints the version's section, which becomes the release's notes
check  fails unless the code, the chart and the changelog agree on the version, and nothing is left under Unreleased
fold   puts what stands under Unreleased into the version's section, kind by kind, and dates it today
"""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from exporter import __version__

ROOT: Final = Path(__file__).resolve().parent.parent
CHANGELOG: Final = ROOT / "CHANGELOG.md"
CHART: Final = ROOT / "deploy/helm/device-exporter/Chart.yaml"
KINDS: Final = ("Changed", "Added", "Deprecated", "Removed", "Fixed", "Security")
"""In this order: what users must act upon comes first."""
_HEADING: Final = re.compile(r"(?m)^## \[([^\]]+)\](.*)$")
_KIND: Final = re.compile(r"(?m)^### (\w+)$")


def section(text: str, name: str) -> str:
    """Return what stands below a version's heading; "" where there is none."""
    parts = _HEADING.split(text)
    return dict(zip(parts[1::3], parts[3::3], strict=True)).get(name, "").strip()


def kinds_of(body: str) -> dict[str, str]:
    """Return the entries of a section by their kind; what comes before the first one has the key ""."""
    parts = _KIND.split(body)
    found = {"": parts[0].strip()}
    for kind, entries in zip(parts[1::2], parts[2::2], strict=True):
        found[kind] = "\n".join(filter(None, (found.get(kind, ""), entries.strip())))
    return found


def folded(text: str, version: str, day: str) -> str:
    """Return the changelog with everything under Unreleased in the version's section, each kind once."""
    start = _HEADING.search(text)
    if start is None:
        raise ValueError("the changelog has no sections")
    merged = kinds_of(section(text, version))
    for kind, entries in kinds_of(section(text, "Unreleased")).items():
        merged[kind] = "\n".join(filter(None, (merged.get(kind, ""), entries)))
    parts = [f"## [{version}] - {day}", merged.pop("")]
    parts += [f"### {kind}\n{_joined(merged[kind])}" for kind in sorted(merged, key=KINDS.index)]
    rest = [part for part in _sections(text) if not part.startswith(("## [Unreleased]", f"## [{version}]"))]
    new = "\n\n".join(filter(None, (text[: start.start()].strip(), "## [Unreleased]", *parts, *rest)))
    return f"{new}\n"


def _joined(entries: str) -> str:
    """Return a list without gaps."""
    return re.sub(r"\n\s*\n(?=- )", "\n", entries)


def _sections(text: str) -> list[str]:
    places = [found.start() for found in _HEADING.finditer(text)]
    return [text[start:end].strip() for start, end in zip(places, [*places[1:], len(text)], strict=True)]


def problems(version: str) -> list[str]:
    """Return what does not agree with the version."""
    text = CHANGELOG.read_text(encoding="utf-8")
    chart = dict(re.findall(r'(?m)^(version|appVersion): "?([^"\n]+)"?$', CHART.read_text(encoding="utf-8")))
    checks = {
        f"exporter/__init__.py says {__version__}": __version__ == version,
        f"Chart.yaml says {chart['version']} and {chart['appVersion']}": {chart["version"], chart["appVersion"]}
        == {version},
        "CHANGELOG.md has no section of it with a date": bool(re.search(rf"(?m)^## \[{version}\] - \d{{4}}-", text)),
        "CHANGELOG.md has entries under Unreleased": not section(text, "Unreleased"),
    }
    return [problem for problem, holds in checks.items() if not holds]


def main() -> int:
    """Do one of the three."""
    parser = argparse.ArgumentParser(description="the changelog at a release")
    parser.add_argument("action", choices=("notes", "check", "fold"))
    parser.add_argument("version")
    arguments = parser.parse_args()
    text = CHANGELOG.read_text(encoding="utf-8")
    if arguments.action == "notes":
        print(section(text, arguments.version))
    elif arguments.action == "fold":
        today = datetime.now(UTC).date().isoformat()
        CHANGELOG.write_text(folded(text, arguments.version, today), encoding="utf-8")
    elif found := problems(arguments.version):
        print("\n".join(found), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
