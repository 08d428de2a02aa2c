"""The platform's example bodies, and events of the example's device under other ids."""

from __future__ import annotations

from typing import Any

DEVICE_EVENT: dict[str, Any] = {
    "event": "device.disconnected",
    "timestamp": 1738056000,
    "device": {
        "id": "device_7f3a",
        "name": "Front desk WhatsApp",
        "channel": {"id": "channel_11", "name": "WhatsApp Business", "engine": "wa"},
        "bisnis": {"id": "biz_9", "name": "Toko Makmur"},
        "user": {"id": "merchant_2", "name": "Ibu Sari"},
    },
    "status": "disconnected",
}
MESSAGE_EVENT: dict[str, Any] = {
    "event": "channel.message_in",
    "timestamp": 1738056000,
    "conversation_id": "conversation_5",
    "conversation_label": "Pelanggan Budi",
    "need_human": 1,
    "message": {
        "id": "message_1",
        "sender_name": "Pelanggan Budi",
        "channel": {"id": "channel_11", "name": "WhatsApp Business", "engine": "wa"},
        "bisnis": {"id": "biz_9", "name": "Toko Makmur"},
        "user": {"id": "merchant_2", "name": "Ibu Sari"},
        "content": {"type": "text", "text": "nomor kartu saya 4111"},
    },
}


def device_event(device_id: str, timestamp: int, *, up: bool, **changed: object) -> dict[str, Any]:
    """Return an event of the example's device under another id, with changed fields; `timestamp` in Unix seconds."""
    status = "connected" if up else "disconnected"
    device = DEVICE_EVENT["device"] | {"id": device_id} | changed
    return {"event": f"device.{status}", "timestamp": timestamp, "device": device, "status": status}
