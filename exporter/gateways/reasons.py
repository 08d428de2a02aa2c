"""Why a session is down: the classes that every gateway's own words are brought to."""

from __future__ import annotations

from typing import Final

LOGGED_OUT: Final = "logged_out"
NEEDS_SCAN: Final = "needs_scan"
BANNED: Final = "banned"
REPLACED: Final = "replaced"
CONNECTION_LOST: Final = "connection_lost"
GATEWAY_DOWN: Final = "gateway_down"
STOPPED: Final = "stopped"
UNKNOWN: Final = "unknown"

REASONS: Final = (
    *(LOGGED_OUT, NEEDS_SCAN, BANNED, REPLACED, CONNECTION_LOST, GATEWAY_DOWN, STOPPED),
    UNKNOWN,
)
SCAN_HELPS: Final = frozenset((LOGGED_OUT, NEEDS_SCAN, REPLACED, UNKNOWN))
"""Where a new scan of the QR code is what brings the device back."""
