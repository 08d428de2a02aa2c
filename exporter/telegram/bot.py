"""Telegram's Bot API over HTTPS, as far as it is needed: see core.telegram.org/bots/api.

The token is part of each URL: no URL goes into an error or a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import aiohttp
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.config.schema import Telegram

POLL: Final = 25
"""Seconds that one question for updates waits."""
_PATIENCE: Final = 10.0


class Failed(Exception):
    """Telegram did not do it. `gone`: and never will."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


class Person(msgspec.Struct, frozen=True):
    """A user."""

    id: int
    first_name: str = ""
    last_name: str = ""
    username: str = ""

    @property
    def name(self) -> str:
        """What others call them."""
        return " ".join(part for part in (self.first_name, self.last_name) if part) or self.username or str(self.id)


class _Chat(msgspec.Struct, frozen=True):
    id: int


class _Message(msgspec.Struct, frozen=True):
    message_id: int
    chat: _Chat


class Pressed(msgspec.Struct, frozen=True):
    """Somebody pressed a button."""

    id: str
    person: Person = msgspec.field(name="from")
    message: _Message | None = None
    data: str = ""


class Update(msgspec.Struct, frozen=True):
    """Something happened."""

    update_id: int
    callback_query: Pressed | None = None


class _Answer(msgspec.Struct, frozen=True):
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    description: str = ""


class Bot:
    """One bot; `settings` are asked anew for each call."""

    def __init__(self, session: aiohttp.ClientSession, settings: Callable[[], Telegram]) -> None:
        self._session = session
        self._settings = settings

    async def send(self, chat: int, text: str, buttons: list[tuple[str, str]]) -> int:
        """Send a message with buttons (text, data) in one row; return its number. Raises Failed."""
        result = await self._call("sendMessage", chat_id=chat, **_look(text, buttons))
        return msgspec.json.decode(result, type=_Message).message_id

    async def edit(self, chat: int, message: int, text: str, buttons: list[tuple[str, str]]) -> None:
        """Put another text and other buttons in the place of a message's. Raises Failed."""
        await self._call("editMessageText", chat_id=chat, message_id=message, **_look(text, buttons))

    async def answer(self, pressed: str, text: str) -> None:
        """Tell who pressed a button what came of it. Raises Failed."""
        await self._call("answerCallbackQuery", callback_query_id=pressed, text=text)

    async def updates(self, offset: int) -> list[Update]:
        """Wait for what happens from a number on. Raises Failed."""
        asked = {"offset": offset, "timeout": POLL, "allowed_updates": ["callback_query"]}
        return msgspec.json.decode(await self._call("getUpdates", _PATIENCE + POLL, **asked), type=list[Update])

    async def _call(self, method: str, patience: float = _PATIENCE, /, **arguments: Any) -> msgspec.Raw:  # noqa: ANN401
        settings = self._settings()
        url = f"{settings.api_url.rstrip('/')}/bot{settings.token}/{method}"
        timeout = aiohttp.ClientTimeout(total=patience)
        try:
            async with self._session.post(url, json=arguments, timeout=timeout) as found:
                answer = msgspec.json.decode(await found.read(), type=_Answer)
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.DecodeError) as error:
            raise Failed(type(error).__name__) from None
        if not answer.ok:
            raise Failed(f"{method}: {answer.description[:200]}", gone=found.status in (400, 403))
        return answer.result


def _look(text: str, buttons: list[tuple[str, str]]) -> dict[str, Any]:
    keyboard = [[{"text": label, "callback_data": data} for label, data in buttons]] if buttons else []
    return {
        "text": text,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "reply_markup": {"inline_keyboard": keyboard},
    }
