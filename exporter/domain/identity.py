"""Who a device is: the ids and names that its newest event gave."""

from __future__ import annotations

from typing import Final

import msgspec

ID_LENGTH: Final = 256  # characters at most, whoever the sender is
NAME_LENGTH: Final = 512
ENGINE_LENGTH: Final = 64
BUILT_IN_GATEWAY: Final = "csku"


class Identity(msgspec.Struct, frozen=True, array_like=True):
    """Ids and names of a device, its channel, business and user. Ids never contain control characters."""

    device_id: str
    device_name: str
    engine: str
    channel_id: str
    channel_name: str
    business_id: str
    business_name: str
    user_id: str
    user_name: str
    gateway: str = BUILT_IN_GATEWAY
    """The name of the gateway that tells of it."""
