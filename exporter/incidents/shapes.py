"""What the API of incidents takes and gives, shared by the server and the command line."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from exporter.incidents.model import NOTE_LENGTH, STATUSES

PATH: Final = "/api/v1/incidents"
OPEN: Final = "open"
STATUS_FILTERS: Final = (OPEN, *STATUSES)
MOST: Final = 1000
USUAL: Final = 100

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_LENGTH)]
Key = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
