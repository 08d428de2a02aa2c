"""What a webhook tells, whichever sender it came from. Pure.

A sender's own words end at its gateway: the rest of the exporter knows these types and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from exporter.conventions import CONNECTED_EVENT, DISCONNECTED_EVENT, OTHER_EVENT, TEST_EVENT
from exporter.domain.identity import Identity

Known = Callable[[str], Identity | None]
"""The identity that a device has by now; None if it is unknown. An equal one of an event should be that very object."""


class DeviceEvent(msgspec.Struct, frozen=True, gc=False):
    """A device went down or came up."""

    timestamp: int
    up: bool
    identity: Identity


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


Seen = DeviceEvent | MessageEvent | TestEvent | IgnoredEvent


def label_of(seen: Seen) -> str:
    """Return the label of an event in metrics: one of its gateway's `event_types`, or OTHER_EVENT."""
    if isinstance(seen, DeviceEvent):
        return CONNECTED_EVENT if seen.up else DISCONNECTED_EVENT
    if isinstance(seen, MessageEvent):
        return seen.event
    return TEST_EVENT if isinstance(seen, TestEvent) else OTHER_EVENT
