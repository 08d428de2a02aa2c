"""Refuse to put the demo's devices beside a real fleet: status 1 where the journal holds a device that no demo made."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from urllib.request import Request, urlopen

OURS = {"device_id": r"device_\d{4}", "channel_id": r"channel_\d+", "business_id": r"biz_\d+"}


def devices(url: str, password: str) -> list[dict[str, str]]:
    """Return every device that the exporter knows."""
    login = {"Authorization": f"Basic {base64.b64encode(f'admin:{password}'.encode()).decode()}"}
    found, cursor = [], ""
    while cursor is not None:
        query = f"?cursor={cursor}" if cursor else ""
        with urlopen(Request(f"{url}/api/v1/devices{query}", headers=login)) as answer:
            page = json.load(answer)
        found += page["devices"]
        cursor = page["next"]
    return found


def main() -> int:
    """Look at the exporter of this stack."""
    password = Path("/rendered/exporter-password").read_text().strip()
    strange = [
        device["device_id"]
        for device in devices("http://exporter:9877", password)
        if any(not re.fullmatch(pattern, str(device[key])) for key, pattern in OURS.items())
    ]
    if strange:
        print(
            f"the demo refuses this journal: it holds {len(strange)} devices that no demo made, such as {strange[0]}. "
            "Use a clone of its own, or another project: COMPOSE_PROJECT_NAME=demo",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
