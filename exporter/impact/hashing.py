"""Conversation ids never reach a disk: a keyed hash of 64 bits stands for each.

With 100,000 conversations the chance that any two of them collide is about 3 in 10^10, and then a count is one too low.
Whoever has the key can test a guessed id, so the key is a file of its own with mode 0600, not a row of the database.
"""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from exporter.errors import ConfigError
from exporter.lib.files import write_once

if TYPE_CHECKING:
    from pathlib import Path

KEY_FILE: Final = "conversation-key"
_KEY_BYTES: Final = 32


class ConversationHasher:
    """Call it with a conversation id for its hash, a signed 64-bit integer (SQLite's)."""

    def __init__(self, key: bytes) -> None:
        self._state = blake2b(key=key, digest_size=8, person=b"conversation")

    def __call__(self, conversation_id: str) -> int:
        """Return the hash."""
        state = self._state.copy()
        state.update(conversation_id.encode())
        return int.from_bytes(state.digest(), "big", signed=True)


def ensure_key(data_dir: Path | None, secret: str) -> bytes:
    """Return the key in `data_dir`, made at the first start. Losing it means that known conversations count anew.

    Without a folder it follows from the webhook's secret, so that every exporter has the same. Raises ConfigError.
    """
    if data_dir is None:
        return blake2b(secret.encode(), digest_size=_KEY_BYTES, person=b"conversation-key").digest()
    path = data_dir / KEY_FILE
    try:
        if not path.exists():
            write_once(path, secrets.token_bytes(_KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot use {path}: {error.strerror}") from None
    if len(key) != _KEY_BYTES:
        raise ConfigError(f"{path} does not hold {_KEY_BYTES} bytes; remove it, and a new one is made")
    return key
