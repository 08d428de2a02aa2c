"""The built-in gateway: the platform's device and message events, a shared secret in the `Authorization` header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.errors import InvalidEvent
from exporter.gateways.csku.bodies import EVENT_TYPES, event_type
from exporter.gateways.csku.parse import parse
from exporter.gateways.csku.redaction import redact
from exporter.gateways.events import DeviceEvent
from exporter.gateways.gateway import JSON, same

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from exporter.gateways.events import Known, Seen


class Csku:
    """Implements Gateway. `others` are the names of the configured gateways, whose devices it cannot tell of."""

    name = "csku"
    event_types = frozenset(EVENT_TYPES)
    media_types = JSON
    signs_body = False
    refuses_invalid = True

    def __init__(self, others: Collection[str] = ()) -> None:
        self._others = frozenset(others)

    def proves(self, path: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:  # noqa: ARG002
        """See Gateway."""
        return not path and same(headers.get("Authorization", ""), secret)

    def read(self, body: bytes, *, now: float, latest: float, known: Known, path: str) -> Sequence[Seen]:  # noqa: ARG002
        """See Gateway."""
        event = parse(body, latest=latest, known=known)
        if isinstance(event, DeviceEvent):
            name, colon, _ = event.identity.device_id.partition(":")
            if colon and name in self._others:
                raise InvalidEvent("other_gateway", "is of another gateway, which has its own path", "device.id")
        return (event,)

    def type_of(self, body: bytes) -> str:
        """See Gateway."""
        return event_type(body)

    def redact(self, body: bytes) -> tuple[bytes | None, str]:
        """See Gateway."""
        return redact(body)
