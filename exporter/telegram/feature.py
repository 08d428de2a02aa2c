"""Telegram with buttons as a feature: long polling, so that no door has to be open for it. One exporter does it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, ClassVar, Final

import aiohttp
from prometheus_client import Counter

from exporter.conventions import SELF_PREFIX
from exporter.errors import JournalUnavailable, Overloaded
from exporter.lib.logs import fields
from exporter.lib.tasks import Task
from exporter.lib.times import zone_of
from exporter.lib.words import read_texts
from exporter.look.wording import Wording
from exporter.telegram.bot import Bot, Failed
from exporter.telegram.desk import Desk
from exporter.telegram.store import PIECE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from prometheus_client import CollectorRegistry

    from exporter.acknowledge.links import Scope
    from exporter.acknowledge.service import Acknowledgements
    from exporter.alerting.direct import DirectAlerts
    from exporter.config import Config
    from exporter.journal.port import Piece
    from exporter.recording.recorder import Recorder

log = logging.getLogger(__name__)

LOOK: Final = 1.0
"""Seconds between two comparisons of what stands in the chats with what holds."""
RETRY: Final = 5.0
_TEXTS: Final = read_texts("exporter.telegram")


class TelegramFeature:
    """Idle without a token, chats and a link in alerts."""

    name: ClassVar[str] = PIECE.name
    piece: ClassVar[Piece] = PIECE

    def __init__(
        self,
        recorder: Recorder,
        config: Callable[[], Config],
        registry: CollectorRegistry,
        *,
        alerts: DirectAlerts,
        service: Acknowledgements,
        find: Callable[[str], Scope | None],
    ) -> None:
        self._config = config
        self._offset = 0
        self._failing = False
        self._failures = Counter(
            f"{SELF_PREFIX}_telegram_failures_total", "Calls of Telegram that failed.", registry=registry
        )

        def wording() -> Wording:
            settings = config().alerts
            return Wording(settings.language, zone_of(settings.timezone), _TEXTS)

        self._desk = Desk(recorder, lambda: config().notify.telegram, alerts, service, find, wording)

    def tasks(self) -> list[Task]:
        """Keep the messages true, and hear of buttons, on one exporter."""
        return [
            Task("telegram_messages", lambda: self._forever(self._follow), leading=True),
            Task("telegram_buttons", lambda: self._forever(self._poll), leading=True),
        ]

    async def _forever(self, work: Callable[[Bot], Awaitable[None]]) -> None:
        async with aiohttp.ClientSession() as session:
            bot = Bot(session, lambda: self._config().notify.telegram)
            while True:
                settings = self._config().notify.telegram
                if not settings.token or not settings.chats:
                    await asyncio.sleep(LOOK)
                    continue
                try:
                    await work(bot)
                    self._failing = False
                except (Failed, JournalUnavailable, Overloaded) as error:
                    self._fail(str(error))
                    await asyncio.sleep(RETRY)

    async def _follow(self, bot: Bot) -> None:
        await self._desk.follow(bot)
        await asyncio.sleep(LOOK)

    async def _poll(self, bot: Bot) -> None:
        for update in await bot.updates(self._offset):
            self._offset = update.update_id + 1
            if update.callback_query is not None:
                await self._desk.pressed(bot, update.callback_query)

    def _fail(self, reason: str) -> None:
        self._failures.inc()
        if not self._failing:
            self._failing = True
            log.warning("Telegram does not do what it is asked", extra=fields(reason=reason))
