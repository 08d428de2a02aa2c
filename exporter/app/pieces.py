"""The features' pieces of the schema: what the journal is built with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.failover.store import PIECE as FAILOVER
from exporter.impact.store import PIECE as IMPACT
from exporter.incidents.schema import PIECE as INCIDENTS
from exporter.maintenance.store import PIECE as MAINTENANCE
from exporter.notify.deliveries import PIECE as NOTIFY

if TYPE_CHECKING:
    from exporter.journal.port import Piece

PIECES: Final[tuple[Piece, ...]] = (IMPACT, NOTIFY, INCIDENTS, FAILOVER, MAINTENANCE)
"""They do not build on each other; their names are also the operations under which their failures are counted."""
