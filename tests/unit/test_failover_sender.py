"""Calls of the failover hook, against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.config.schema import Failover, Hook, Secret
from exporter.failover.machine import Order
from exporter.failover.sender import Answer, HookSender
from tests.tools import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "hook-secret-7d1f"
ORDER = Order("switch", "key1", 7, 1000.4, 990)


class Sink:
    """Verifies what it gets as docs/failover.md tells hooks to."""

    def __init__(self) -> None:
        self.answer: web.Response | float = web.Response(status=204)
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.verified: list[bool] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((dict(request.headers), body))
        signed = request.headers["X-Failover-Timestamp"].encode() + b"." + body
        expected = "sha256=" + hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
        self.verified.append(hmac.compare_digest(expected, request.headers["X-Failover-Signature"]))
        if isinstance(self.answer, float):
            await asyncio.sleep(self.answer)
            return web.Response()
        return self.answer


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    found = Sink()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    server = TestServer(app)
    await server.start_server()
    found.url = str(server.make_url("/hook?token=in-the-url"))
    yield found
    await server.close()


@pytest.fixture
async def sender() -> AsyncIterator[HookSender]:
    found = HookSender(lambda: 1_790_000_000.9, timeout=0.3)
    yield found
    await found.close()


def rule(url: str) -> Failover:
    return Failover(channel="channel_a", backup="channel_b", hook=Hook(url=url, secret=Secret(SECRET)))


async def test_a_call_says_what_to_do_and_its_signature_can_be_verified(sink: Sink, sender: HookSender) -> None:
    assert (await sender.send(rule(sink.url), ORDER)).accepted
    ((headers, body),) = sink.requests
    assert json.loads(body) == {
        "action": "switch",
        "channel": "channel_a",
        "backup": "channel_b",
        "at": 1000,
        "reason": "channel_down",
        "since": 990,
        "sequence": 7,
    }
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == "key1"
    assert headers["X-Failover-Timestamp"] == "1790000000"
    assert sink.verified == [True]


@pytest.mark.parametrize("page", ["failover.md", "failover.id.md"])
async def test_the_documented_verification_takes_a_genuine_call_and_no_other(sink: Sink, page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def is_genuine" in block]
    names: dict[str, Any] = {}
    exec(code, names)
    sender = HookSender(time.time)
    await sender.send(rule(sink.url), ORDER)
    await sender.close()
    ((headers, body),) = sink.requests
    secret, genuine = SECRET.encode(), names["is_genuine"]
    assert genuine(headers, body, secret)
    assert not genuine(headers, body + b" ", secret)
    assert not genuine(headers, body, b"other")
    assert not genuine(headers | {"X-Failover-Timestamp": "1790000001"}, body, secret)


async def test_another_secret_makes_another_signature(sink: Sink, sender: HookSender) -> None:
    other = Failover("channel_a", "channel_b", Hook(url=sink.url, secret=Secret("other")))
    await sender.send(other, ORDER)
    assert sink.verified == [False]


async def test_a_retry_has_the_same_body_and_key(sink: Sink, sender: HookSender) -> None:
    await sender.send(rule(sink.url), ORDER)
    await sender.send(rule(sink.url), ORDER)
    (first, first_body), (second, second_body) = sink.requests
    assert (first["Idempotency-Key"], first_body) == (second["Idempotency-Key"], second_body)


@pytest.mark.parametrize(
    ("status", "accepted", "perhaps_done"),
    [
        pytest.param(200, True, False, id="200 is done"),
        pytest.param(299, True, False, id="299 is done"),
        pytest.param(302, False, False, id="a redirect is not done"),
        pytest.param(401, False, False, id="a refusal is not done"),
        pytest.param(500, False, True, id="a failure may be done"),
    ],
)
async def test_a_status_means(sink: Sink, sender: HookSender, status: int, accepted: bool, perhaps_done: bool) -> None:
    sink.answer = web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})
    assert await sender.send(rule(sink.url), ORDER) == Answer(accepted, f"status {status}", perhaps_done)
    assert len(sink.requests) == 1


async def test_a_hook_that_does_not_answer_in_time_may_have_done_it(sink: Sink, sender: HookSender) -> None:
    sink.answer = 2.0
    assert await sender.send(rule(sink.url), ORDER) == Answer(False, "timeout", True)


async def test_a_hook_that_hangs_up_may_have_done_it(sender: HookSender) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert await sender.send(rule(f"http://127.0.0.1:{port}/"), ORDER) == Answer(False, "connection lost", True)


async def test_a_hook_that_cannot_be_reached_did_nothing(sender: HookSender, unused_tcp_port: int) -> None:
    assert await sender.send(rule(f"http://127.0.0.1:{unused_tcp_port}/"), ORDER) == Answer(
        False, "no connection", False
    )


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "//127.0.0.1/", "unix:///run/docker.sock"])
async def test_what_is_not_http_is_refused(sender: HookSender, url: str) -> None:
    assert await sender.send(rule(url), ORDER) == Answer(False, "no http url", False)


async def test_no_secret_reaches_a_log_or_an_answer(
    sink: Sink, sender: HookSender, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [await sender.send(rule(sink.url), ORDER)]
    answers.append(await sender.send(rule(f"http://user:pa55@127.0.0.1:{unused_tcp_port}/?token=in-the-url"), ORDER))
    ours = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]  # the server's
    said = repr([ours, answers])
    assert not [secret for secret in (SECRET, "in-the-url", "pa55") if secret in said]
