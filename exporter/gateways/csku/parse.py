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
from typing import TYPE_CHECKING, Final

import msgspec

from exporter.conventions import CONNECTED_EVENT
from exporter.domain.identity import Identity
from exporter.errors import InvalidEvent
from exporter.gateways.csku.bodies import DeviceBody, MessageBody, User, decode
from exporter.gateways.events import DeviceEvent, IgnoredEvent, MessageEvent, TestEvent
from exporter.gateways.every_sender import EARLIEST, refuse_time
from exporter.lib.visible import shows

if TYPE_CHECKING:
    from exporter.gateways.events import Known, Seen


def _nobody(_device_id: str) -> Identity | None:
    """Know no device."""
    return None


def parse(body: bytes, *, latest: float, known: Known = _nobody) -> Seen:
    """Return the event of a webhook body; `latest` is the last time that is believed, Unix seconds.

    If the event brings an identity that is equal to the known one, that very object is part of the event, and its
    texts are not looked at again.

    Raises InvalidEvent, whose `code` is stable and whose `path` is written as the sender writes its fields.
    """
    decoded = decode(body)
    if decoded is None:
        return IgnoredEvent()
    name, found = decoded
    if isinstance(found, DeviceBody):
        return _device_event(name, found, latest, known)
    if isinstance(found, MessageBody):
        return _message_event(name, found, latest)
    return TestEvent(found.timestamp)  # any time will do: the test must be answered with success


def _device_event(name: str, body: DeviceBody, latest: float, known: Known) -> DeviceEvent:
    if not EARLIEST <= body.timestamp <= latest:
        refuse_time(body.timestamp)
    up = name == CONNECTED_EVENT
    if body.status is not None and body.status != ("connected" if up else "disconnected"):
        raise InvalidEvent("status_mismatch", f"contradicts the event {name}", "status")
    device = body.device
    channel, business, user = device.channel, device.bisnis, device.user or _NO_USER
    identity = Identity(
        device.id,
        device.name or "",
        channel.engine,
        channel.id,
        channel.name or "",
        business.id,
        business.name or "",
        user.id or "",
        user.name or "",
    )
    present = known(device.id)
    return DeviceEvent(body.timestamp, up, present if present == identity else _checked(identity))


def _checked(identity: Identity) -> Identity:
    """Return an equal identity that shares its texts with others; InvalidEvent if one of them cannot be accepted."""
    device_id, device_name, *shared = msgspec.structs.astuple(identity)
    texts = (device_id, device_name, *map(_shared, shared))
    if not all(text.isascii() and text.isprintable() and not text.isspace() for text in texts):
        _check_device_text(identity)
    return Identity(*texts)


def _message_event(name: str, body: MessageBody, latest: float) -> MessageEvent:
    if not EARLIEST <= body.timestamp <= latest:
        refuse_time(body.timestamp)
    channel, business_id = body.message.channel, body.message.bisnis.id
    ids = body.conversation_id + channel.id + channel.engine + business_id
    if not (ids.isascii() and ids.isprintable()) or " " in ids:
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


_NO_USER: Final = User()
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
_NOT_IN_IDS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ufffd]")
_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def _check_device_text(identity: Identity) -> None:
    for field, (check, path) in TEXTS.items():
        check(getattr(identity, field), path)


def _check_id(text: str, path: str) -> None:
    found = _NOT_IN_IDS.search(text)
    if found:
        raise InvalidEvent("invalid_id", f"contains the character U+{ord(found[0]):04X}, which no id may have", path)
    if text and not shows(text):
        raise InvalidEvent("invalid_id", "has no visible character", path)


def _check_name(text: str, path: str) -> None:
    found = _NOT_IN_NAMES.search(text)
    if found:
        code = f"U+{ord(found[0]):04X}"
        raise InvalidEvent("invalid_name", f"contains the control character {code}; only newline and tab may be", path)


TEXTS: Final = {
    "device_id": (_check_id, "device.id"),
    "engine": (_check_id, "device.channel.engine"),
    "channel_id": (_check_id, "device.channel.id"),
    "business_id": (_check_id, "device.bisnis.id"),
    "user_id": (_check_id, "device.user.id"),
    "device_name": (_check_name, "device.name"),
    "channel_name": (_check_name, "device.channel.name"),
    "business_name": (_check_name, "device.bisnis.name"),
    "user_name": (_check_name, "device.user.name"),
}
"""What is checked of each field of an Identity that a sender gives, and where it stands in the body."""
