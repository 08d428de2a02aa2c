"""What of a rejected body may be kept: a whitelisted copy for the quarantine, and a digest. Pure.

Guarantees: nothing but the type, time and status of an event and the ids and names of its device, channel, business
and the merchant's user is copied, and of those only scalars. So no message, no sender's name and no conversation label
can reach a disk. A text is cut after 256 characters and marked with "…", which makes a cut id too long to be taken for
a real one when the copy is fed in again.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final, get_args

import msgspec

from exporter.gateways.csku.bodies import DeviceBody
from exporter.gateways.every_sender import mend_surrogates

KEPT_LENGTH: Final = 256


def _fields_of(kind: object) -> dict[str, Any] | None:
    """Return the fields of a body: None for a scalar, a mapping for an object of which only these are kept."""
    for option in get_args(kind) or (kind,):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            return {field.encode_name: _fields_of(field.type) for field in msgspec.structs.fields(option)}
    return None


_KEPT: Final = {"event": None, **(_fields_of(DeviceBody) or {})}
"""The whitelist: what a device event is read for."""


def redact(body: bytes) -> tuple[bytes | None, str]:
    """Return (redacted JSON, SHA-256 of the whole body in hex); None where the body is no JSON object."""
    digest = hashlib.sha256(body).hexdigest()
    try:
        decoded = msgspec.json.decode(mend_surrogates(body.decode()))
    except (ValueError, RecursionError):
        return None, digest
    if not isinstance(decoded, dict):
        return None, digest
    return msgspec.json.encode(_whitelisted(decoded, _KEPT)), digest


def _whitelisted(source: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, inner in kept.items():
        value = source.get(name)
        if inner is not None and isinstance(value, dict):
            result[name] = _whitelisted(value, inner)
        elif name in source and inner is None and not isinstance(value, (dict, list)):
            result[name] = _shortened(value)
    return result


def _shortened(value: Any) -> Any:  # noqa: ANN401 - any JSON scalar
    if isinstance(value, int) and not -(2**63) <= value < 2**64:  # JSON encoders of other programs cannot hold it
        value = str(value)
    if isinstance(value, str) and len(value) > KEPT_LENGTH:
        return value[:KEPT_LENGTH] + "…"
    return value
