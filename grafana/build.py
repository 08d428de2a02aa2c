"""Write all dashboards in all languages: `python -m grafana.build` writes grafana/dashboards/LANGUAGE/NAME.json."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.source import device, exporter_health, fleet_overview, incidents, slo
from grafana.source.translation import LANGUAGES

FOLDER: Final = Path(__file__).parent / "dashboards"
MAKERS: Final = {
    "fleet-overview": fleet_overview.make,
    "device": device.make,
    "slo": slo.make,
    "incidents": incidents.make,
    "exporter-health": exporter_health.make,
}


def render_all() -> dict[str, str]:
    """Return the text of each file by its path below grafana/dashboards."""
    encoder = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False)
    return {
        f"{language}/{name}.json": encoder.encode(make(language)) + "\n"
        for language in LANGUAGES
        for name, make in MAKERS.items()
    }


def write_all() -> None:
    """Write the files."""
    for path, text in render_all().items():
        (FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
        (FOLDER / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_all()
