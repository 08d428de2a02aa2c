"""Makes the pictures of README and docs from the running demo, with Chromium: pages, an incident, an alert on a phone.

    make demo                                  # in another terminal, until its incident is told
    python -m scripts.pictures [--previews FOLDER]

Every picture is of the program as it runs; the alert is Alertmanager's own, in a frame that this script draws. Of
dashboards there are none without Grafana: `--previews` takes previews by language, which the docs call what they are.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import json
import tempfile
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exporter.lib.safe_text import one_line
from tests.e2e.browser import PHONE, browser

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
LANGUAGES = ("id", "en")
LARGEST = 150_000
"""Bytes of one picture."""
DESK = (960, 760)
PREVIEW = (860, 620)
WHOLE = '<!doctype html><body style="margin: 0"><img src="{picture}" style="display: block; width: 100%">'
BUBBLE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><style>
body {{ background: #dfe5ec; font: 16px/1.45 system-ui, sans-serif; margin: 0; padding: 3rem 1rem; }}
p {{ background: #fff; border-radius: .9rem; box-shadow: 0 1px 2px #0003; color: #17202b; margin: 0;
padding: .8rem 1rem; white-space: pre-line; overflow-wrap: anywhere; }}</style><p><b>{title}</b>\n{text}</p>"""


def main() -> int:
    """Make them; 1 if one is too large to be kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--admin", default="http://127.0.0.1:9877", help="the demo's admin listener")
    parser.add_argument("--pages", default="http://127.0.0.1:8081", help="its pages listener")
    parser.add_argument("--alertmanager", default="http://127.0.0.1:9093", help="its Alertmanager")
    parser.add_argument("--previews", type=Path, metavar="FOLDER", help="previews to take in: id/, en/")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "pictures", metavar="FOLDER")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, picture in asyncio.run(photograph(list(shots(options, Path(folder))), Path(folder))).items():
            (options.output / name).write_bytes(picture)
    sizes = {file.name: file.stat().st_size for file in sorted(options.output.glob("*.png"))}
    for file, size in sizes.items():
        print(f"{file}: {size / 1000:.0f} kB")
    return int(any(size > LARGEST for size in sizes.values()))


class Shot(NamedTuple):
    """One picture to make: the top of a page."""

    name: str
    language: str
    url: str
    size: tuple[int, int]


def shots(options: argparse.Namespace, folder: Path) -> Iterator[Shot]:
    """Yield what is to be photographed; pages that are drawn here go into the folder."""
    alert = worst(ask(f"{options.alertmanager}/api/v2/alerts?filter=alertname%3DDeviceDown"))
    device = alert["labels"]["device_id"]
    incident = ask(f"{options.admin}/api/v1/incidents?device_id={device}&limit=1")["incidents"][0]["number"]
    for language in LANGUAGES:
        query = f"?lang={language}"
        yield Shot("status", language, f"{options.pages}/s/toko-makmur{query}", PHONE)
        yield Shot("device", language, f"{options.admin}/devices/{device}{query}", DESK)
        yield Shot("incident", language, f"{options.admin}/incidents/{incident}{query}", DESK)
        yield Shot("alert", language, bubble(alert, language, folder), (PHONE[0], 300))
        for preview in sorted((options.previews / language).glob("*.png")) if options.previews else ():
            file = folder / f"{preview.stem}.{language}.html"
            file.write_text(WHOLE.format(picture=preview.resolve().as_uri()))
            yield Shot(f"preview-{preview.stem}", language, file.as_uri(), PREVIEW)


async def photograph(wanted: list[Shot], folder: Path) -> dict[str, bytes]:
    """Return the pictures by their files' names."""
    made = {}
    async with browser(folder / "browser") as tab:
        for shot in wanted:
            width, height = shot.size
            await tab.show(shot.size, language=shot.language)
            await tab.go(shot.url)
            clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
            made[f"{shot.name}.{shot.language}.png"] = await tab.picture(clip)
    return made


def ask(url: str) -> Any:  # noqa: ANN401 - JSON
    """Return what an API answers."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def worst(alerts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the alert to show: the one that has fired for longest."""
    if not alerts:
        raise SystemExit("no DeviceDown fires yet: let the demo run for a minute")
    return min(alerts, key=lambda alert: str(alert["startsAt"]))


def bubble(alert: dict[str, Any], language: str, folder: Path) -> str:
    """Return the address of a page that shows an alert's own words as a phone would."""
    words, suffix = alert["annotations"], "" if language == "en" else f"_{language}"
    lines = [words.get(f"{name}{suffix}") or words.get(name, "") for name in ("description", "action")]
    title = words.get(f"summary{suffix}") or words["summary"]
    text = "\n\n".join(html.escape(one_line(line)) for line in lines if line)
    file = folder / f"alert-{language}.html"
    file.write_text(BUBBLE.format(title=html.escape(title), text=text), encoding="utf-8")
    return file.as_uri()


if __name__ == "__main__":
    raise SystemExit(main())
