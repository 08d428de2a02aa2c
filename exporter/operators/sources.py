"""What the pages ask other parts of the exporter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from exporter.conventions import ACTION_ANNOTATION, REASON_ANNOTATION, RESCAN_ANNOTATION

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.lib.words import Language
    from exporter.maintenance.service import Maintenance
    from exporter.recording.recorder import Recorder


class Why(msgspec.Struct, frozen=True):
    """Why a device is down, and what helps; empty texts where nothing is known."""

    reason: str = ""
    """A class of reasons."""
    remedy: str = ""
    rescan_url: str = ""


@dataclass(frozen=True)
class Sources:
    """Everything that the pages show comes from here."""

    recorder: Recorder
    config: Callable[[], Config]
    maintenance: Maintenance
    explain: Callable[[Device], dict[str, str]]
    """The annotations that an alert about a down device would have: reason and remedy."""
    holder: Callable[[str], str]
    """Who works on the outage of a device, by its id; empty: nobody said so."""
    ack_url: Callable[[str], str]
    """Where somebody says that they work on the outage of a device; empty: nowhere."""
    last_messages: Callable[[str], tuple[str, int, int]]
    """When a channel last had a message from outside and one to there, after its id; 0: none is known."""

    def why(self, device: Device, language: Language) -> Why:
        """Return why a device is down."""
        if device.timeline.up:
            return Why()
        said = self.explain(device)
        remedy = said.get(ACTION_ANNOTATION if language == "en" else f"{ACTION_ANNOTATION}_id", "")
        return Why(said.get(REASON_ANNOTATION, ""), remedy, said.get(RESCAN_ANNOTATION, ""))
