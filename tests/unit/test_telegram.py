"""Telegram with buttons: what stands in the chat, who may press, what comes of it. Telegram is on loopback here."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from exporter.config.schema import Secret, Telegram
from exporter.journal.storage import open_reader
from tests.patience import eventually
from tests.unit.acknowledge_site import Desk, desk_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CHAT, SARI, STRANGER = -1001, 7, 8


@dataclass
class FakeTelegram:
    """Keeps the messages of a chat as they stand; tests press their buttons."""

    url: str = ""
    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False

    async def call(self, request: web.Request) -> web.Response:
        body, method = await request.json(), request.match_info["method"]
        if self.away or request.match_info["token"] != "1:secret":
            return web.json_response({"ok": False, "description": "Unauthorized"}, status=401)
        result: Any = True
        if method == "sendMessage":
            number = len(self.messages) + 1
            self.messages[number] = body
            result = {"message_id": number, "chat": {"id": body["chat_id"]}}
        elif method == "editMessageText":
            self.messages[body["message_id"]] = body
        elif method == "answerCallbackQuery":
            self.answers.append(body["text"])
        elif method == "getUpdates":
            self.updates = [one for one in self.updates if one["update_id"] >= body["offset"]]
            result = list(self.updates)
            if not result:
                await asyncio.sleep(0.05)
        return web.json_response({"ok": True, "result": result})

    def buttons(self, number: int = 1) -> dict[str, str]:
        """Return the buttons of a message, text and data."""
        rows = self.messages[number]["reply_markup"]["inline_keyboard"]
        return {button["text"]: button["callback_data"] for row in rows for button in row}

    def press(self, label: str, *, user: int = SARI, chat: int = CHAT, number: int = 1) -> None:
        self.updates.append(
            {
                "update_id": len(self.updates) + 100 + len(self.answers),
                "callback_query": {
                    "id": "q",
                    "from": {"id": user, "first_name": "Sari", "last_name": "<b>"},
                    "message": {"message_id": number, "chat": {"id": chat}},
                    "data": self.buttons(number)[label],
                },
            }
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeTelegram]:
        app = web.Application()
        app.router.add_post("/bot{token}/{method}", self.call)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


@pytest.fixture
async def telegram() -> AsyncIterator[FakeTelegram]:
    async with FakeTelegram().running() as found:
        yield found


@asynccontextmanager
async def botted(desk: Desk, telegram: FakeTelegram, token: str = "1:secret") -> AsyncIterator[None]:
    """Let the bot work."""
    bot = Telegram(token=Secret(token), chats=(CHAT,), users=(SARI,), api_url=telegram.url)
    notify = msgspec.structs.replace(desk.config.notify, telegram=bot)
    desk.config = msgspec.structs.replace(desk.config, notify=notify)
    tasks = [asyncio.create_task(task.run()) for task in desk.features.telegram.tasks()]  # type: ignore[arg-type]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def text_of(telegram: FakeTelegram, number: int = 1) -> str:
    return str(telegram.messages.get(number, {}).get("text", ""))


async def test_one_message_tells_the_outage_who_has_it_and_that_it_is_over(
    tmp_path: Path, telegram: FakeTelegram
) -> None:
    async with desk_of(tmp_path) as desk, botted(desk, telegram):
        await desk.down()
        await eventually(lambda: telegram.messages, "the message")
        assert text_of(telegram) == "🔴 <b>Front desk (WhatsApp) mati</b>\nBelum ada yang menangani"
        assert all(len(data) <= 64 for data in telegram.buttons().values())
        telegram.press("Saya tangani 1 jam")
        await eventually(lambda: "\nDitangani oleh Sari &lt;b&gt;" in text_of(telegram))
        assert text_of(telegram).startswith("✋ <b>Front desk")
        assert telegram.answers == ["Tercatat: Anda yang menangani."]
        assert desk.service.active["DeviceDown", "d1"].author == "Sari <b>"
        telegram.press("Urungkan")
        await eventually(lambda: "Belum ada yang menangani" in text_of(telegram))
        telegram.press("Saya tangani 4 jam")
        await eventually(lambda: "Ditangani oleh" in text_of(telegram))
        await desk.up()
        over = "🟢 Sudah pulih\n<s><b>Front desk (WhatsApp) mati</b></s>"
        await eventually(lambda: text_of(telegram) == over)
        assert telegram.buttons() == {}
        assert len(telegram.messages) == 1


async def test_a_device_that_is_watched_no_longer_is_not_back(tmp_path: Path, telegram: FakeTelegram) -> None:
    async with desk_of(tmp_path) as desk, botted(desk, telegram):
        await desk.down()
        await eventually(lambda: telegram.messages, "the message")
        await desk.site.recorder.forget("d1")
        await eventually(
            lambda: text_of(telegram) == "🟢 Tidak dipantau lagi\n<s><b>Front desk (WhatsApp) mati</b></s>"
        )


async def test_who_is_not_on_the_list_changes_nothing_and_is_told_so(tmp_path: Path, telegram: FakeTelegram) -> None:
    async with desk_of(tmp_path) as desk, botted(desk, telegram):
        await desk.down()
        await eventually(lambda: telegram.messages)
        telegram.press("Saya tangani 1 jam", user=STRANGER)
        await eventually(lambda: len(telegram.answers) == 1)
        telegram.press("Saya tangani 1 jam", chat=-5)
        await eventually(lambda: len(telegram.answers) == 2)
        assert set(telegram.answers) == {"Anda tidak terdaftar untuk tombol ini."}
        assert desk.service.active == {}


def kept(desk: Desk) -> list[tuple[object, ...]]:
    """Return what the journal knows of messages."""
    with open_reader(f"sqlite:///{desk.site.path}") as reader:
        return reader.rows("SELECT message FROM telegram_message")


async def test_a_restart_goes_on_with_the_message_that_stands_there(tmp_path: Path, telegram: FakeTelegram) -> None:
    async with desk_of(tmp_path) as desk:
        async with botted(desk, telegram):
            path = await desk.down()
            await eventually(lambda: telegram.messages)
            await eventually(lambda: kept(desk))  # a message that was sent and not yet noted is sent again
        await desk.take(path, by="Budi")
        await desk.site.kill()
        async with Desk(desk.site, desk.alertmanager).running() as again, botted(again, telegram):
            await eventually(lambda: "Ditangani oleh Budi" in text_of(telegram))
            assert len(telegram.messages) == 1


async def test_a_telegram_that_refuses_is_counted_and_no_token_is_logged(
    tmp_path: Path, telegram: FakeTelegram, caplog: pytest.LogCaptureFixture
) -> None:
    async with desk_of(tmp_path) as desk, botted(desk, telegram, token="2:wrong"):
        await desk.down()
        failures = "telegram_failures_total"
        await eventually(lambda: (desk.site.sample(failures) or 0) >= 1)
    assert "2:wrong" not in caplog.text
