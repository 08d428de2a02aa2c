"""Make a stack the demo's: refuse a journal that holds a real fleet (status 1), and write the demo's settings.

Runs before the other services, after their own settings are written.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporter.journal.storage import open_reader
from scripts.demo_settings import device_ids
from scripts.render import SQLITE, render

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS: Final = re.compile(r"device_\d{4} channel_\d+ biz_\d+")
"""Device, channel and business of the simulated fleet."""
IDENTITIES: Final = "SELECT device_id, channel_id, business_id FROM identity"


def strangers(identities: Iterable[tuple[str, str, str]]) -> list[str]:
    """Return the devices that no demo made."""
    ours = device_ids()
    return sorted({one[0] for one in identities if one[0] not in ours and not OURS.fullmatch(" ".join(one))})


def main() -> int:
    """Look at the journal of this stack, and make it the demo's."""
    found: list[tuple[str, str, str]] = []
    if Path(SQLITE.removeprefix("sqlite:///")).exists():
        with open_reader(SQLITE) as reader:
            found = reader.rows(IDENTITIES)
    if strange := strangers(found):
        print(
            f"the demo refuses this journal: it holds {len(strange)} devices that no demo made, such as {strange[0]}. "
            "Use a clone of its own, or another project: COMPOSE_PROJECT_NAME=demo",
            file=sys.stderr,
        )
        return 1
    render(Path("/rendered"), Path("/run/secrets"), Path("/data"), demo=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
