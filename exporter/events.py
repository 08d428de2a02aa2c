"""Bytes of a webhook body in, one typed event out. Strict, pure, and on the hot path.

Guarantees: `parse` raises nothing but InvalidEvent, whatever the bytes. Types are strict: a number in a string is
not a number, `true` is not 1. Unknown fields are ignored, an unknown `event` is an IgnoredEvent. Where a key is
repeated the last one counts, as in common JSON decoders. Nothing of a message but its conversation, channel and
business is ever decoded, so no content or customer's name can leave this module.

The sender promises all fields of a device event. Ids of device, channel, engine and business are required here, because
without them an event belongs to nothing; names and the user are not: missing or null becomes "".
"""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal, NoReturn

import msgspec
from msgspec import Meta

from exporter.conventions import (
    CONNECTED_EVENT,
    DISCONNECTED_EVENT,
    EVENT_TYPES,
    MESSAGE_EVENTS,
    OTHER_EVENT,
    TEST_EVENT,
)
from exporter.errors import InvalidEvent
from exporter.identity import Identity

EARLIEST: Final = 1_420_070_400
"""2015-01-01T00:00:00Z in Unix seconds; nothing of the platform is older."""
ID_LENGTH: Final = 256
NAME_LENGTH: Final = 512
ENGINE_LENGTH: Final = 64


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
    """An event type that this version does not know."""


WebhookEvent = DeviceEvent | MessageEvent | TestEvent | IgnoredEvent

# What is decoded of a body ------------------------------------------------------------------------------------
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


class _User(msgspec.Struct, gc=False):
    id: OptionalId = None
    name: Name = None


class _Device(msgspec.Struct, gc=False):
    id: Id
    channel: _Channel
    bisnis: _Business
    name: Name = None
    user: _User | None = None


class _MessageChannel(msgspec.Struct, gc=False):
    id: Id
    engine: Engine


class _MessageBusiness(msgspec.Struct, gc=False):
    id: Id


class _Message(msgspec.Struct, gc=False):
    channel: _MessageChannel
    bisnis: _MessageBusiness


class _DeviceBody(msgspec.Struct, gc=False):
    timestamp: int
    device: _Device
    status: str | None = None


class _MessageBody(msgspec.Struct, gc=False):
    timestamp: int
    conversation_id: Id
    message: _Message
    need_human: Literal[0, 1] = 0


class _TestBody(msgspec.Struct, gc=False):
    timestamp: int


class _Envelope(msgspec.Struct, gc=False):
    event: str


class _Disconnected(_DeviceBody, tag_field="event", tag=DISCONNECTED_EVENT, gc=False):
    pass


class _Connected(_DeviceBody, tag_field="event", tag=CONNECTED_EVENT, gc=False):
    pass


class _MessageIn(_MessageBody, tag_field="event", tag=MESSAGE_EVENTS[0], gc=False):
    pass


class _AgentOut(_MessageBody, tag_field="event", tag=MESSAGE_EVENTS[1], gc=False):
    pass


class _AiOut(_MessageBody, tag_field="event", tag=MESSAGE_EVENTS[2], gc=False):
    pass


class _Test(_TestBody, tag_field="event", tag=TEST_EVENT, gc=False):
    pass


_Body = _DeviceBody | _MessageBody | _TestBody

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
_device_decoder = msgspec.json.Decoder(_DeviceBody)
_message_decoder = msgspec.json.Decoder(_MessageBody)
_test_decoder = msgspec.json.Decoder(_TestBody)


def _decode_as(name: str, text: str) -> _Body | None:
    """Return the body of an event of this type, or None for an unknown type."""
    if name in (DISCONNECTED_EVENT, CONNECTED_EVENT):
        return _device_decoder.decode(text)
    if name in MESSAGE_EVENTS:
        return _message_decoder.decode(text)
    return _test_decoder.decode(text) if name == TEST_EVENT else None


def parse(body: bytes, *, now: float, max_future_skew: float) -> WebhookEvent:
    """Return the event of a webhook body. `now` in Unix seconds, `max_future_skew` in seconds.

    Raises InvalidEvent, whose `code` is stable and whose `path` is written as the sender writes its fields.
    """
    try:
        known = _decode_known(body.decode())
    except (ValueError, RecursionError):  # msgspec's errors and UnicodeDecodeError are ValueErrors
        return _parse_slowly(body, now, max_future_skew)
    return _event(_TYPE_OF[type(known)], known, now + max_future_skew)


def event_label(event: WebhookEvent | bytes) -> str:
    """Return a bounded label value for metrics: one of EVENT_TYPES, or OTHER_EVENT for everything else."""
    match event:
        case DeviceEvent(up=up):
            return CONNECTED_EVENT if up else DISCONNECTED_EVENT
        case MessageEvent(event=name):
            return name
        case TestEvent():
            return TEST_EVENT
        case IgnoredEvent():
            return OTHER_EVENT
    try:
        name = _decode_envelope(event).event
    except (ValueError, RecursionError):
        return OTHER_EVENT
    return name if name in EVENT_TYPES else OTHER_EVENT


def _event(name: str, body: _Body, latest: float) -> WebhookEvent:
    if isinstance(body, _DeviceBody):
        return _device_event(name, body, latest)
    if isinstance(body, _MessageBody):
        return _message_event(name, body, latest)
    return TestEvent(body.timestamp)  # any time will do: the test must be answered with success


def _device_event(name: str, body: _DeviceBody, latest: float) -> DeviceEvent:
    if not EARLIEST <= body.timestamp <= latest:
        _refuse_time(body.timestamp)
    up = name == CONNECTED_EVENT
    if body.status is not None and body.status != ("connected" if up else "disconnected"):
        raise InvalidEvent("status_mismatch", f"contradicts the event {name}", "status")
    device = body.device
    channel, business, user = device.channel, device.bisnis, device.user or _NO_USER
    identity = Identity(
        device.id,
        device.name or "",
        _shared(channel.engine),
        _shared(channel.id),
        _shared(channel.name or ""),
        _shared(business.id),
        _shared(business.name or ""),
        _shared(user.id or ""),
        _shared(user.name or ""),
    )
    ids = device.id + channel.engine + channel.id + business.id + identity.user_id
    names = identity.device_name + identity.channel_name + identity.business_name + identity.user_name
    if not (ids.isprintable() and names.isprintable()) or _REPLACED in ids:
        _check_device_text(identity)
    return DeviceEvent(body.timestamp, up, identity)


def _message_event(name: str, body: _MessageBody, latest: float) -> MessageEvent:
    if not EARLIEST <= body.timestamp <= latest:
        _refuse_time(body.timestamp)
    channel, business_id = body.message.channel, body.message.bisnis.id
    ids = body.conversation_id + channel.id + channel.engine + business_id
    if not ids.isprintable() or _REPLACED in ids:
        _check_id(body.conversation_id, "conversation_id")
        _check_id(channel.id, "message.channel.id")
        _check_id(channel.engine, "message.channel.engine")
        _check_id(business_id, "message.bisnis.id")
    return MessageEvent(
        name,
        body.timestamp,
        body.conversation_id,
        body.need_human == 1,
        _shared(channel.id),
        _shared(channel.engine),
        _shared(business_id),
    )


_NO_USER: Final = _User()
_SHARED_LIMIT: Final = 16_384
_known_texts: dict[str, str] = {}


def _shared(text: str) -> str:
    """Return an equal string that other events hold already, so that a fleet's repeated names cost memory once."""
    found = _known_texts.get(text)
    if found is not None:
        return found
    if len(_known_texts) >= _SHARED_LIMIT:
        _known_texts.clear()  # what identities hold stays shared; only later ones get a new copy
    _known_texts[text] = text
    return text


# Text ---------------------------------------------------------------------------------------------------------
_REPLACED: Final = "\ufffd"
_NOT_IN_IDS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _check_device_text(identity: Identity) -> None:
    _check_id(identity.device_id, "device.id")
    _check_id(identity.engine, "device.channel.engine")
    _check_id(identity.channel_id, "device.channel.id")
    _check_id(identity.business_id, "device.bisnis.id")
    _check_id(identity.user_id, "device.user.id")
    _check_name(identity.device_name, "device.name")
    _check_name(identity.channel_name, "device.channel.name")
    _check_name(identity.business_name, "device.bisnis.name")
    _check_name(identity.user_name, "device.user.name")


def _check_id(text: str, path: str) -> None:
    found = _NOT_IN_IDS.search(text)
    if found:
        raise InvalidEvent("invalid_id", f"contains the character U+{ord(found[0]):04X}, which no id may have", path)


def _check_name(text: str, path: str) -> None:
    found = _NOT_IN_NAMES.search(text)
    if found:
        code = f"U+{ord(found[0]):04X}"
        raise InvalidEvent("invalid_name", f"contains the control character {code}; only newline and tab may be", path)


# Refusals -----------------------------------------------------------------------------------------------------
def _refuse_time(timestamp: int) -> NoReturn:
    if timestamp < EARLIEST:
        raise InvalidEvent("timestamp_too_old", "is before 2015-01-01; expected Unix time in seconds", "timestamp")
    for unit, low in (("nanoseconds", 10**17), ("microseconds", 10**14), ("milliseconds", 10**11)):
        if low <= timestamp < low * 1000:
            message = f"looks like {unit}; expected Unix time in seconds"
            raise InvalidEvent("timestamp_milliseconds", message, "timestamp")
    raise InvalidEvent("timestamp_in_future", "is further in the future than max_future_skew allows", "timestamp")


def _parse_slowly(body: bytes, now: float, max_future_skew: float) -> WebhookEvent:
    """Parse what the one-pass decoder refused: an unknown event, a repeated key, half an emoji, or no event at all."""
    try:
        text = _mend_surrogates(body.decode())
        name = _decode_envelope(text).event
        known = _decode_as(name, text)
    except UnicodeDecodeError as error:
        raise InvalidEvent("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidEvent("too_deep", "the body is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise _translated(str(error)) from None
    except msgspec.DecodeError as error:
        raise InvalidEvent("invalid_json", f"the body is not JSON: {_reason(str(error))}") from None
    return IgnoredEvent() if known is None else _event(name, known, now + max_future_skew)


_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def _mend_surrogates(text: str) -> str:
    r"""Replace escaped halves of a character (`\ud83d` alone) by U+FFFD.

    Senders that cut a text in the middle of an emoji write them. A customer's half emoji must not cost an outage.
    """
    if "\\u" not in text:
        return text
    return _ESCAPE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)


_PLACE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_EXPECTED: Final = {
    "int": "an integer",
    "str": "a string",
    "str | null": "a string",
    "object": "an object",
    "object | null": "an object",
}


def _translated(text: str) -> InvalidEvent:
    """Return our error for msgspec's message, such as "Expected `str`, got `int` - at `$.device.id`"."""
    found = _PLACE.fullmatch(text)
    what, path = (found["what"], found["path"] or "") if found else (text, "")
    quoted = re.findall(r"`([^`]*)`", what)
    if "missing required field" in what:
        return InvalidEvent("missing_field", "is missing", f"{path}.{quoted[0]}" if path else quoted[0])
    if "of length" in what:
        code = "invalid_name" if path.endswith("name") else "invalid_id"
        bound = "is empty" if ">=" in what else f"is longer than {what.rsplit(' ', 1)[1]} characters"
        return InvalidEvent(code, bound, path)
    if "out of range" in what:
        return InvalidEvent("timestamp_in_future", "is not a Unix time in seconds", path)
    if path == "need_human":
        return InvalidEvent("invalid_type", "expected 0 or 1", path)
    expected = _EXPECTED.get(quoted[0] if quoted else "", what)
    return InvalidEvent("invalid_type", f"expected {expected}", path or "body")


def _reason(text: str) -> str:
    return text.removeprefix("JSON is malformed: ")
