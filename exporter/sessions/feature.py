"""Sessions of gateways as a feature: states in, connects and disconnects out."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final
from urllib.parse import quote

from exporter.conventions import (
    ACTION_ANNOTATION,
    GATEWAY_LABELS,
    GATEWAY_SILENT_SINCE,
    GATEWAY_STATE_READ,
    GATEWAY_UP,
    GATEWAY_WEBHOOK_CONFIGURED,
    REASON_ANNOTATION,
    REMEDY_ANNOTATION,
    RESCAN_ANNOTATION,
)
from exporter.gateways.reasons import SCAN_HELPS, UNKNOWN
from exporter.lib.tasks import Task
from exporter.lib.words import read_texts
from exporter.metrics.gauges import Gauge, OfLabels
from exporter.sessions import store
from exporter.sessions.polling import Polling
from exporter.sessions.service import Sessions
from exporter.sessions.store import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry

    from exporter.config import Config
    from exporter.domain.accounts import Device
    from exporter.domain.identity import Identity
    from exporter.journal.port import Piece
    from exporter.metrics.exposition.gauges import Values
    from exporter.recording.recorder import Recorder

_TEXTS: Final = read_texts("exporter.sessions")
SOFT_AFTER: Final = 60.0
"""Seconds, of a gateway that the configuration does not know any more."""
ADOPT: Final = 15.0
"""Seconds until the exporter that leads knows of a soft state that another one heard."""
PRUNE_INTERVAL: Final = 86_400.0
FIRST_PRUNE: Final = 600.0


class SessionsFeature:
    """`service.take` is told of each state."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(self, recorder: Recorder, config: Callable[[], Config], registry: CollectorRegistry) -> None:
        self._config = config
        self._recorder = recorder
        self.service = Sessions(recorder, self._soft_after, registry)
        self._polling = Polling(recorder, config, self.service, registry)

    async def start(self) -> None:
        """Load what waits, and how long nothing was known."""
        await self.service.start()
        await self._polling.start()

    def tasks(self) -> list[Task]:
        """Let soft states count, on every exporter what it heard; ask the gateways, on one exporter."""
        tasks = [
            Task("sessions", self.service.run),
            Task("outage_reasons", self.service.reasons.run),
            Task("gateway_states", self._polling.run, leading=True),
            Task("session_retention", self._prune, PRUNE_INTERVAL, FIRST_PRUNE, leading=True),
        ]
        if self._recorder.following.shared:
            tasks.append(Task("soft_states", self.service.adopt, ADOPT, leading=True))
        return tasks

    async def _prune(self) -> None:
        """Drop what is kept of events that retention drops. JournalUnavailable, NotLeading."""
        before = int(self._recorder.clock() - self._config().storage.retention)
        down = [(device_id, device.timeline.since) for device_id, device in self._recorder.fleet.down.items()]
        job = partial(store.prune, before=before, down=down)
        await self._recorder.transact_leading(PIECE.name, job)

    async def stop(self) -> None:
        """Keep the last reasons."""
        await self.service.reasons.save()

    def gauges(self) -> list[Gauge]:
        """Show how the gateways' own word is."""
        polling = self._polling
        return [
            OfLabels(GATEWAY_UP, GATEWAY_LABELS, self._if_asked_here(polling.up)),
            OfLabels(GATEWAY_STATE_READ, GATEWAY_LABELS, self._if_asked_here(polling.read_at)),
            OfLabels(GATEWAY_WEBHOOK_CONFIGURED, GATEWAY_LABELS, self._if_asked_here(polling.configured)),
            OfLabels(GATEWAY_SILENT_SINCE, ("device_id", *GATEWAY_LABELS), self._if_asked_here(polling.silent)),
        ]

    def _if_asked_here(self, values: Values) -> Values:
        """Return values that there are only where this exporter leads, and asks the gateways."""
        return lambda now: values(now) if self._recorder.leading.leads else ()

    async def reload(self, _: Config) -> None:
        """Ask the gateways of the new configuration."""
        self._polling.reconfigure()

    def explain(self, device: Device) -> dict[str, str]:
        """Return the annotations of a down device's outage: its reason, and what helps; nothing where none is known."""
        reason, config, identity = self.service.reasons.of(device), self._config(), device.identity
        if reason == UNKNOWN:
            return {}
        url = config.policies.for_engine(identity.engine).rescan_url
        return {
            REASON_ANNOTATION: reason,
            REMEDY_ANNOTATION: _TEXTS[config.alerts.language][reason],
            ACTION_ANNOTATION: _TEXTS["en"][reason],  # in the place of the step that is right where no reason is known
            f"{ACTION_ANNOTATION}_id": _TEXTS["id"][reason],
            RESCAN_ANNOTATION: _filled(url, identity) if reason in SCAN_HELPS else "",
        }

    def _soft_after(self, gateway: str) -> float:
        found = self._config().gateways.get(gateway)
        return SOFT_AFTER if found is None or found.soft_after is None else found.soft_after


def _filled(url: str, identity: Identity) -> str:
    own = {
        "device_id": identity.device_id,
        "session": identity.device_id.removeprefix(f"{identity.gateway}:"),
        "gateway": identity.gateway,
    }
    for name, text in own.items():
        url = url.replace(f"{{{name}}}", quote(text, safe=""))
    return url
