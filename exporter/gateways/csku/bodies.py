"""The shapes of webhook bodies and their decoders. Bytes in, one decoded body out; values are judged elsewhere.

One pass decodes a known event; what that refuses is decoded again in two steps, which tell apart an unknown event, a
repeated `event` key (the last one counts, as in common JSON decoders), half an emoji, and no event at all.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from exporter.conventions import (
    CONNECTED_EVENT,
    DISCONNECTED_EVENT,
    MESSAGE_EVENTS,
    OTHER_EVENT,
    TEST_EVENT,
)
from exporter.domain.identity import ENGINE_LENGTH, ID_LENGTH, NAME_LENGTH
from exporter.errors import InvalidEvent
from exporter.gateways.csku.refusals import refusal_of_json, refusal_of_type
from exporter.gateways.every_sender import mend_surrogates

EVENT_TYPES: Final = (DISCONNECTED_EVENT, CONNECTED_EVENT, *MESSAGE_EVENTS, TEST_EVENT)

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH)]
OptionalId = Annotated[str, Meta(max_length=ID_LENGTH)] | None
Name = Annotated[str, Meta(max_length=NAME_LENGTH)] | None
Engine = Annotated[str, Meta(min_length=1, max_length=ENGINE_LENGTH)]


class _Channel(msgspec.Struct, gc=False):
    id: Id
    engine: Engine
    name: Name = None


class _Business(msgspec.Struct, gc=False):
    id: Id
    name: Name = None


class User(msgspec.Struct, gc=False):
    """The merchant's user; wholly optional."""

    id: OptionalId = None
    name: Name = None


class Device(msgspec.Struct, gc=False):
    """Ids are required, names are not."""

    id: Id
    channel: _Channel
    bisnis: _Business
    name: Name = None
    user: User | None = None


class _MessageChannel(msgspec.Struct, gc=False):
    id: Id
    engine: Engine


class _MessageBusiness(msgspec.Struct, gc=False):
    id: Id


class Message(msgspec.Struct, gc=False):
    """Only what tells where a conversation is active."""

    channel: _MessageChannel
    bisnis: _MessageBusiness


class DeviceBody(msgspec.Struct, gc=False):
    """A device event."""

    timestamp: int
    device: Device
    status: str | None = None


class MessageBody(msgspec.Struct, gc=False):
    """A message event."""

    timestamp: int
    conversation_id: Id
    message: Message
    need_human: Literal[0, 1] = 0


class TestBody(msgspec.Struct, gc=False):
    """The connection test."""

    timestamp: int


class _Envelope(msgspec.Struct, gc=False):
    event: str


class _Disconnected(DeviceBody, tag_field="event", tag=DISCONNECTED_EVENT, gc=False):
    pass


class _Connected(DeviceBody, tag_field="event", tag=CONNECTED_EVENT, gc=False):
    pass


class _MessageIn(MessageBody, tag_field="event", tag=MESSAGE_EVENTS[0], gc=False):
    pass


class _AgentOut(MessageBody, tag_field="event", tag=MESSAGE_EVENTS[1], gc=False):
    pass


class _AiOut(MessageBody, tag_field="event", tag=MESSAGE_EVENTS[2], gc=False):
    pass


class _Test(TestBody, tag_field="event", tag=TEST_EVENT, gc=False):
    pass


Body = DeviceBody | MessageBody | TestBody

_decode_known = msgspec.json.Decoder(_Disconnected | _Connected | _MessageIn | _AgentOut | _AiOut | _Test).decode
_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_TYPE_OF: Final[dict[type, str]] = {
    _Disconnected: DISCONNECTED_EVENT,
    _Connected: CONNECTED_EVENT,
    _MessageIn: MESSAGE_EVENTS[0],
    _AgentOut: MESSAGE_EVENTS[1],
    _AiOut: MESSAGE_EVENTS[2],
    _Test: TEST_EVENT,
}
_device_decoder = msgspec.json.Decoder(DeviceBody)
_message_decoder = msgspec.json.Decoder(MessageBody)
_test_decoder = msgspec.json.Decoder(TestBody)


def decode(body: bytes) -> tuple[str, Body] | None:
    """Return (event, body) of a webhook body, or None for an event type that this version does not know.

    Raises InvalidEvent.
    """
    try:
        known = _decode_known(body.decode())
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return _decode_in_steps(body)
    return _TYPE_OF[type(known)], known


def event_type(body: bytes) -> str:
    """Return the body's event type if it is one of EVENT_TYPES, else OTHER_EVENT; never raises."""
    try:
        name = _decode_envelope(mend_surrogates(body.decode())).event
    except (ValueError, RecursionError):
        return OTHER_EVENT
    return name if name in EVENT_TYPES else OTHER_EVENT


def _decode_in_steps(body: bytes) -> tuple[str, Body] | None:
    try:
        text = mend_surrogates(body.decode())
        name = _decode_envelope(text).event
        known = _decode_as(name, text)
    except UnicodeDecodeError as error:
        raise InvalidEvent("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidEvent("too_deep", "the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise refusal_of_type(str(error)) from None
    except msgspec.DecodeError as error:
        raise refusal_of_json(str(error)) from None
    return None if known is None else (name, known)


def _decode_as(name: str, text: str) -> Body | None:
    """Return the body of an event of this type, or None for an unknown type."""
    if name in (DISCONNECTED_EVENT, CONNECTED_EVENT):
        return _device_decoder.decode(text)
    if name in MESSAGE_EVENTS:
        return _message_decoder.decode(text)
    return _test_decoder.decode(text) if name == TEST_EVENT else None
