"""What stands in the chats: a message for each outage that people are told of, kept true until it is over.

Nothing is pushed: now and then what stands there is compared with what holds, so that a restart, or a Telegram that
was away, leaves no message wrong for long. Buttons are for the chats, and the users, of the configuration alone.
"""

from __future__ import annotations

import html
import logging
from typing import TYPE_CHECKING, Final

from exporter.acknowledge.links import Scope
from exporter.acknowledge.service import OutageOver
from exporter.alerting.alert import SUBJECT_LABELS
from exporter.alerting.texts import texts
from exporter.conventions import ALERT_DEVICE_DOWN
from exporter.errors import JournalUnavailable, Overloaded
from exporter.lib.logs import fields
from exporter.lib.safe_text import one_line
from exporter.telegram import store
from exporter.telegram.bot import Failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from exporter.acknowledge.service import Acknowledgements
    from exporter.alerting.alert import Alert
    from exporter.alerting.direct import DirectAlerts
    from exporter.config.schema import Telegram
    from exporter.look.wording import Wording
    from exporter.recording.recorder import Recorder
    from exporter.telegram.bot import Bot, Pressed
    from exporter.telegram.store import Message

log = logging.getLogger(__name__)

LASTING: Final[dict[str, float | None]] = {"1h": 3600.0, "4h": 4 * 3600.0}
_NAME_LENGTH: Final = 64


class Desk:
    """See the module. `find` returns the outage of a token, `wording` the words of the chats."""

    def __init__(
        self,
        recorder: Recorder,
        settings: Callable[[], Telegram],
        alerts: DirectAlerts,
        service: Acknowledgements,
        find: Callable[[str], Scope | None],
        wording: Callable[[], Wording],
    ) -> None:
        self._recorder = recorder
        self._settings = settings
        self._alerts = alerts
        self._service = service
        self._find = find
        self._wording = wording
        self._messages: dict[tuple[int, str], Message] | None = None

    async def follow(self, bot: Bot) -> None:
        """Send what is missing, and put right what is not true any more. Raises Failed, JournalUnavailable."""
        if self._messages is None:
            found = await self._recorder.transact(store.PIECE.name, store.load)
            self._messages = {(one.chat, one.token): one for one in found}
        for alert in list(self._alerts.alerts.firing.values()):
            token = alert.ack_url.rpartition("/")[2]
            if token and self._is_told(alert):
                for chat in self._settings().chats:
                    if (chat, token) not in self._messages:
                        await self._send(bot, chat, token, alert)
        for key, message in list(self._messages.items()):
            await self._put_right(bot, key, message)

    async def pressed(self, bot: Bot, pressed: Pressed) -> None:
        """Do what a button says, and answer in any case. Raises Failed."""
        await bot.answer(pressed.id, await self._do(pressed))

    async def _do(self, pressed: Pressed) -> str:
        words, settings = self._wording(), self._settings()
        chat = pressed.message.chat.id if pressed.message is not None else 0
        if chat not in settings.chats or (settings.users and pressed.person.id not in settings.users):
            log.warning("a button was pressed by somebody who may not", extra=fields(chat=chat, user=pressed.person.id))
            return words.text("not_allowed")
        what, _, rest = pressed.data.partition("|")
        token, _, lasting = rest.partition("|")
        scope, by = self._find(token), one_line(pressed.person.name)[:_NAME_LENGTH]
        if scope is None:
            return words.text("over")
        try:
            if what == "u" and lasting.isdecimal():
                return words.text("undone" if await self._service.undo(scope, int(lasting)) else "too_late")
            await self._service.take(scope, by, "", LASTING.get(lasting, LASTING["1h"]))
        except OutageOver:
            return words.text("over")
        except (JournalUnavailable, Overloaded):
            return words.text("not_saved")
        return words.text("yours")

    def _is_told(self, alert: Alert) -> bool:
        """Whether people are told of an alert by itself."""
        speaks = alert.name == ALERT_DEVICE_DOWN or alert.name in SUBJECT_LABELS
        return speaks and alert.acknowledged_at is not None and not self._alerts.alerts.muting(alert)

    async def _send(self, bot: Bot, chat: int, token: str, alert: Alert) -> None:
        scope = self._find(token)
        if scope is None or self._messages is None:
            return
        said = texts(alert)
        head = said.get(f"summary_{self._wording().language}") or said["summary"]
        text, buttons, state = self._look(scope, token, f"<b>{html.escape(one_line(head), quote=False)}</b>")
        message = await bot.send(chat, f"{self._icon(scope, state)} {text}", buttons)
        one = store.Message(chat, token, message, *scope.key, scope.anchor, head, state)
        self._messages[chat, token] = one
        await self._recorder.transact(store.PIECE.name, lambda transaction: store.put(transaction, one))

    async def _put_right(self, bot: Bot, key: tuple[int, str], message: Message) -> None:
        scope = Scope((message.alert, message.subject), message.anchor)
        head = f"<b>{html.escape(one_line(message.head), quote=False)}</b>"
        text, buttons, state = self._look(scope, message.token, head)
        if state == message.state or self._messages is None:
            return
        try:
            await bot.edit(message.chat, message.message, f"{self._icon(scope, state)} {text}", buttons)
        except Failed as error:
            if not error.gone:
                raise
        if state == "over":
            del self._messages[key]
            await self._recorder.transact(store.PIECE.name, lambda transaction: store.drop(transaction, message))
            return
        changed = message.with_state(state)
        self._messages[key] = changed
        await self._recorder.transact(store.PIECE.name, lambda transaction: store.put(transaction, changed))

    def _icon(self, scope: Scope, state: str) -> str:
        """Return what Alertmanager's own messages begin with in the same case."""
        alert = self._alerts.alerts.firing.get(scope.key)
        down = "🔴" if alert is None or alert.severity == "critical" else "🟠"
        return {"open": down, "over": "🟢"}.get(state.partition(" ")[0], "✋")

    def _look(self, scope: Scope, token: str, head: str) -> tuple[str, list[tuple[str, str]], str]:
        """Return the text of a message, its buttons, and the name of what it shows."""
        words = self._wording()
        if not self._service.runs(scope):
            how = "gone" if self._alerts.alerts.ended.is_forgotten(scope.key) else "back"
            return f"{words.text(how)}\n<s>{head}</s>", [], "over"
        take = [(words.text(f"take_{name}"), f"a|{token}|{name}") for name in LASTING]
        taken = self._service.active.get(scope.key)
        if taken is not None:
            by = html.escape(one_line(taken.author), quote=False)
            line = words.text("taken", by=by, until=words.clock(taken.until))
            return (
                f"{head}\n{line}",
                [(words.text("undo"), f"u|{token}|{taken.number}"), take[0]],
                f"taken {taken.number}",
            )
        line = words.text("nobody_now" if scope.key in self._service.ran_out else "nobody")
        return f"{head}\n{line}", take, f"open {scope.key in self._service.ran_out}"
