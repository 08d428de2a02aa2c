"""The door behind which a sender of webhooks stands: what it proves, what it says, what of it may be kept. Pure.

A new sender is one folder beside `csku` with an implementation of `Gateway`, and the place where the configuration
makes it. The listener asks these questions in their order and knows no sender's shapes.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.gateways.events import Known, Seen

JSON: Final = frozenset(("application/json",))


class Gateway(Protocol):
    """One kind of sender. Nothing here waits, and nothing but InvalidEvent is raised."""

    @property
    def name(self) -> str:
        """What it is called in the configuration and in a path."""

    @property
    def event_types(self) -> frozenset[str]:
        """All labels that its events can have in metrics: those of `events.label_of` and of `type_of`."""

    @property
    def media_types(self) -> frozenset[str]:
        """What a body may be, without parameters; text is UTF-8."""

    @property
    def signs_body(self) -> bool:
        """Whether the proof needs the body. Else a stranger's body is not even read."""

    @property
    def refuses_invalid(self) -> bool:
        """Whether a body that cannot be understood is answered with 400.

        Else with 200 and `{"quarantined": code}`: there are senders that give up, block or repeat after a 4xx.
        """

    def proves(self, path: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        """Return whether a request comes from somebody who knows the secret, in constant time.

        `path` is what follows the gateway's own, `headers` are looked up in any case; the body is empty unless
        `signs_body`. An empty secret proves nothing.
        """

    def read(self, body: bytes, *, now: float, latest: float, known: Known, path: str) -> Sequence[Seen]:
        """Return what a body tells, in its order; InvalidEvent if it cannot be understood.

        `path` is what follows the gateway's own. It was received at `now`; times after `latest` are refused; both
        are Unix seconds.
        """

    def type_of(self, body: bytes) -> str:
        """Return the label of a body that cannot be understood: one of `event_types`, or OTHER_EVENT."""

    def redact(self, body: bytes) -> tuple[bytes | None, str]:
        """Return what the quarantine may keep of a body (None: nothing), and the SHA-256 of all of it in hex."""


def same(given: str, secret: str) -> bool:
    """Return whether what was given is the secret, in constant time. An empty secret is nobody's."""
    expected = secret.strip().encode()
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape").strip(), expected) and bool(expected)
