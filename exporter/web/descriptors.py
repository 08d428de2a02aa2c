"""File descriptors, and how many of them each listener may take.

Whoever holds all of a process's descriptors takes away its journal, its alerts and its metrics. So the public listener
gets what is left after those, and the admin and the pages listener have shares of their own.
"""

from __future__ import annotations

import logging
import resource
from typing import Final

from exporter.lib.logs import fields
from exporter.web.limits import Limits

log = logging.getLogger(__name__)

RESERVED: Final = 192
"""For files, the journal's readers, what alerts and hooks open, and connections that are being closed."""
USUAL: Final = Limits().max_connections


def raised() -> int:
    """Return how many descriptors this process may have, after raising its limit as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft
    return hard


def limits(descriptors: int, *, pages: bool = False) -> tuple[Limits, Limits, Limits]:
    """Return the bounds of the public, the admin and the pages listener: none can starve another, or the rest."""
    free = max(32, descriptors - RESERVED) if descriptors != resource.RLIM_INFINITY else 2 * USUAL
    admin = min(USUAL, free // 4)
    outside = admin if pages else 0
    public = min(USUAL, free - admin - outside)
    if public < USUAL:
        log.warning("few file descriptors", extra=fields(limit=descriptors, public=public, admin=admin, pages=outside))
    return Limits(max_connections=public), Limits(max_connections=admin), Limits(max_connections=outside)
