"""The built-in gateway: the platform's device and message events, a shared secret in the `Authorization` header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.gateways.csku.bodies import EVENT_TYPES, event_type
from exporter.gateways.csku.parse import parse
from exporter.gateways.csku.redaction import redact
from exporter.gateways.gateway import JSON, same

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.gateways.events import Known, Seen


class Csku:
    """Implements Gateway."""

    name = "csku"
    event_types = frozenset(EVENT_TYPES)
    media_types = JSON
    signs_body = False
    refuses_invalid = True

    def proves(self, path: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:  # noqa: ARG002
        """See Gateway."""
        return not path and same(headers.get("Authorization", ""), secret)

    def read(self, body: bytes, *, now: float, latest: float, known: Known, path: str) -> Sequence[Seen]:  # noqa: ARG002
        """See Gateway."""
        return (parse(body, latest=latest, known=known),)

    def type_of(self, body: bytes) -> str:
        """See Gateway."""
        return event_type(body)

    def redact(self, body: bytes) -> tuple[bytes | None, str]:
        """See Gateway."""
        return redact(body)
