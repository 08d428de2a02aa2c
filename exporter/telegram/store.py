"""Which messages stand in the chats, so that a restart goes on with them. Texts of alerts, no names of people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from exporter.journal.port import Piece

if TYPE_CHECKING:
    from exporter.journal.port import Transaction

PIECE: Final = Piece(
    "telegram",
    (
        """
        CREATE TABLE telegram_message (
            chat {bigint} NOT NULL, token TEXT NOT NULL, message {bigint} NOT NULL, alert TEXT NOT NULL,
            subject TEXT NOT NULL, anchor {bigint} NOT NULL, head TEXT NOT NULL, state TEXT NOT NULL,
            PRIMARY KEY (chat, token)) {without_rowid};
        """,
    ),
)
_COLUMNS: Final = ("chat", "token", "message", "alert", "subject", "anchor", "head", "state")


class Message(msgspec.Struct, frozen=True):
    """One message about an outage that runs."""

    chat: int
    token: str
    message: int
    alert: str
    subject: str
    anchor: int
    head: str
    state: str

    def with_state(self, state: str) -> Message:
        """Return it showing something else."""
        return msgspec.structs.replace(self, state=state)


def load(transaction: Transaction) -> list[Message]:
    """Return every message."""
    return [Message(*row) for row in transaction.rows(f"SELECT {', '.join(_COLUMNS)} FROM telegram_message")]  # noqa: S608


def put(transaction: Transaction, message: Message) -> None:
    """Keep a message."""
    transaction.many("telegram_message", _COLUMNS, [msgspec.structs.astuple(message)], key=("chat", "token"))


def drop(transaction: Transaction, message: Message) -> None:
    """Forget a message."""
    values = (message.chat, message.token)
    transaction.run("DELETE FROM telegram_message WHERE chat = ? AND token = ?", values)
