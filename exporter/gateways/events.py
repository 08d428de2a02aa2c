"""What a webhook tells, whichever sender it came from. Pure.

A sender's own words end at its gateway: the rest of the exporter knows these types and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from exporter.conventions import CONNECTED_EVENT, DISCONNECTED_EVENT, OTHER_EVENT, RECONNECTING_EVENT, TEST_EVENT
from exporter.domain.identity import Identity
from exporter.gateways.reasons import UNKNOWN

Known = Callable[[str], Identity | None]
"""The identity that a device has by now; None if it is unknown. An equal one of an event should be that very object."""


class DeviceEvent(msgspec.Struct, frozen=True, gc=False):
    """A device went down or came up."""

    timestamp: int
    up: bool
    identity: Identity


class SessionEvent(msgspec.Struct, frozen=True, gc=False):
    """A session of a gateway said in which state it is: what becomes of a soft state is decided by what follows."""

    at_ms: int
    """Event time, Unix milliseconds."""
    state: Literal["up", "hard", "soft", "gone"]
    """Gone: it was deleted at the gateway, and is watched no longer."""
    identity: Identity
    reason: str = UNKNOWN
    """The class of the reason, of a state that is not up."""
    heard: bool = False
    """Whether nobody told its time, which is when it was heard: then it is later than all that was heard before."""
    shift: int = 0
    """Seconds by which the gateway's own time was wrong, as a wrong time zone makes it; then it is not believed."""


class MessageEvent(msgspec.Struct, frozen=True, gc=False):
    """A conversation was active on a channel. Holds no content and no names."""

    event: str
    timestamp: int
    conversation_id: str
    need_human: bool
    channel_id: str
    engine: str
    business_id: str


class TestEvent(msgspec.Struct, frozen=True, gc=False):
    """The operator's connection test."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    timestamp: int


class IgnoredEvent(msgspec.Struct, frozen=True, gc=False):
    """What nobody here needs to know, such as an event type that this version does not know."""


Seen = DeviceEvent | SessionEvent | MessageEvent | TestEvent | IgnoredEvent


STATE_EVENTS = {"up": CONNECTED_EVENT, "hard": DISCONNECTED_EVENT, "soft": RECONNECTING_EVENT, "gone": OTHER_EVENT}


def label_of(seen: Seen) -> str:
    """Return the label of an event in metrics: one of its gateway's `event_types`, or OTHER_EVENT."""
    if isinstance(seen, DeviceEvent):
        return CONNECTED_EVENT if seen.up else DISCONNECTED_EVENT
    if isinstance(seen, MessageEvent):
        return seen.event
    if isinstance(seen, SessionEvent):
        return STATE_EVENTS[seen.state]
    return TEST_EVENT if isinstance(seen, TestEvent) else OTHER_EVENT
