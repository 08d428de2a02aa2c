"""The JSON bodies of the platform's events, from a simulated device. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exporter.conventions import CONNECTED_EVENT, DISCONNECTED_EVENT, TEST_EVENT

if TYPE_CHECKING:
    from random import Random

    from exporter.domain.identity import Identity

Payload = dict[str, Any]

QUESTIONS = (
    "Halo, apakah stoknya masih ada?",
    "Pesanan saya sudah dikirim?",
    "Jam bukanya sampai pukul berapa?",
    "Bisa bayar di tempat?",
    "Mohon info harga, ya.",
)
ANSWERS = (
    "Halo, stoknya masih ada.",
    "Pesanan sudah kami kirim pagi ini.",
    "Kami buka sampai pukul 21.00 WIB.",
    "Bisa, silakan.",
    "Baik, kami kirim daftar harganya.",
)


def device_event(identity: Identity, timestamp: int, *, up: bool) -> Payload:
    """Return a `device.connected` or `device.disconnected` body."""
    return {
        "event": CONNECTED_EVENT if up else DISCONNECTED_EVENT,
        "timestamp": timestamp,
        "device": {"id": identity.device_id, "name": identity.device_name, **_owner(identity)},
        "status": "connected" if up else "disconnected",
    }


def message_event(identity: Identity, timestamp: int, event: str, conversation: int, rng: Random) -> Payload:
    """Return a message body of one conversation of the device's channel. Customers are numbers, never names."""
    message: Payload = {
        "id": f"msg_{rng.getrandbits(48):012x}",
        "sender_name": f"Pelanggan {conversation}",
        **_owner(identity),
        "content": {"type": "text", "text": rng.choice(QUESTIONS)},
    }
    if event != "channel.message_in":
        message["content"]["text"] = rng.choice(ANSWERS)
        message.update(
            {"agent": {"name": identity.user_name}}
            if event == "agent.message_out"
            else {"ai": {"id": "ai_1", "name": "AI"}}
        )
    return {
        "event": event,
        "timestamp": timestamp,
        "conversation_id": f"{identity.channel_id}_conversation_{conversation}",
        "conversation_label": f"Percakapan {conversation}",
        "need_human": int(event == "channel.message_in" and rng.random() < 0.12),
        "message": message,
    }


def connection_test(timestamp: int) -> Payload:
    """Return the body of the platform's connection test."""
    return {"event": TEST_EVENT, "timestamp": timestamp}


def _owner(identity: Identity) -> Payload:
    return {
        "channel": {"id": identity.channel_id, "name": identity.channel_name, "engine": identity.engine},
        "bisnis": {"id": identity.business_id, "name": identity.business_name},
        "user": {"id": identity.user_id, "name": identity.user_name},
    }
