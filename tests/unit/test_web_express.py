"""The express lane: faster, and otherwise not to be told from the general way."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from exporter.errors import JournalUnavailable, Overloaded
from exporter.web.public import Webhook
from tests.unit.web_site import EVENT, MESSAGE, connected, exchange, post, read_answer, running

if TYPE_CHECKING:
    from tests.unit.web_site import Answer, Site

GOOD = json.dumps(EVENT).encode()
OTHER = json.dumps(EVENT | {"timestamp": EVENT["timestamp"] + 1}).encode()

REQUESTS = [
    pytest.param(post(GOOD), id="a device event"),
    pytest.param(post(json.dumps(MESSAGE).encode()), id="a message event"),
    pytest.param(post(b'{"event":"webhook.test","timestamp":1738056000}'), id="the connection test"),
    pytest.param(post(b'{"event":"channel.archived"}'), id="an unknown event"),
    pytest.param(post(b"{}"), id="no event"),
    pytest.param(post(b""), id="no body"),
    pytest.param(post(GOOD.replace(b"1738056000", b"1738056000000")), id="milliseconds"),
    pytest.param(post(GOOD, secret="wrong"), id="a wrong secret"),
    pytest.param(post(GOOD, secret=None), id="no secret"),
    pytest.param(post(GOOD, content_type="text/plain"), id="plain text"),
    pytest.param(post(GOOD, content_type="application/json; charset=utf-8"), id="a parameter of the media type"),
    pytest.param(post(GOOD, Content_Encoding="gzip"), id="compressed, it says"),
    pytest.param(post(GOOD, Connection="close"), id="a connection that is to be closed"),
    pytest.param(post(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0"), id="HTTP/1.0"),
    pytest.param(post(b" " * 70_000), id="too large"),
    pytest.param(post(GOOD).replace(b"/webhook", b"/web%68ook"), id="an escaped path"),
    pytest.param(post(GOOD).replace(b"/webhook", b"/other"), id="another path"),
    pytest.param(post(GOOD).replace(b"POST", b"PUT"), id="another method"),
]
FAILURES = [
    pytest.param(None, id="all is well"),
    pytest.param(JournalUnavailable("no disk"), id="the journal fails"),
    pytest.param(Overloaded("too many"), id="too many wait"),
    pytest.param(RuntimeError("a bug"), id="a bug"),
]


def shown(answer: Answer, site: Site) -> object:
    """Return all that can be told from outside but for the time."""
    headers = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status, headers, answer.body, site.all_counted(), len(site.recorder.quarantined), len(site.messages)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("request_bytes", REQUESTS)
async def test_both_ways_give_the_same_answer_and_counts(request_bytes, failure, caplog):
    caplog.set_level(logging.CRITICAL)
    seen = []
    for express in (True, False):
        async with running(express=express) as site:
            site.recorder.failure = failure
            seen.append(shown(await exchange(site.public, request_bytes), site))

    assert seen[0] == seen[1]


@pytest.fixture
def general(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record the requests that go the general way."""
    taken: list[bytes] = []
    answer = Webhook.answer

    async def record(self, request):
        taken.append(await request.read())
        return await answer(self, request)

    monkeypatch.setattr(Webhook, "answer", record)
    return taken


@pytest.mark.parametrize("event", [EVENT, MESSAGE], ids=["device", "message"])
async def test_a_usual_request_takes_the_express_lane(event, general):
    async with running() as site, connected(site.public) as (reader, writer):
        for _ in range(3):
            writer.write(post(json.dumps(event).encode()))
            assert (await read_answer(reader)).status == 200

    assert general == []


async def test_what_is_not_taken_reaches_the_general_way_whole(general):
    async with running() as site:
        assert (await exchange(site.public, post(b'{"event": 1}'))).status == 400

    assert general == [b'{"event": 1}']


async def test_requests_that_come_while_one_is_under_way_wait_for_their_turn():
    async with running() as site, connected(site.public) as (reader, writer):
        site.recorder.hold = asyncio.Event()
        writer.write(post(GOOD))
        await asyncio.sleep(0.05)
        writer.write(post(b"{}") + post(OTHER))
        await asyncio.sleep(0.05)
        assert site.all_counted() == {}
        site.recorder.hold.set()

        assert [(await read_answer(reader)).status for _ in range(3)] == [200, 400, 200]
        assert [event.timestamp for event in site.recorder.submitted] == [1738056000, 1738056001]


async def test_a_client_that_goes_away_before_its_answer_leaves_nothing_behind(caplog):
    async with running() as site:
        site.recorder.hold = asyncio.Event()
        async with connected(site.public) as (_, writer):
            writer.write(post(GOOD))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        site.recorder.hold.set()
        await asyncio.sleep(0.05)

        assert len(site.recorder.submitted) == 1
        assert [task for task in asyncio.all_tasks() if "RequestHandler.start" in repr(task)] == []
    assert caplog.records == []


async def test_a_connection_may_change_between_both_ways(general):
    async with running() as site, connected(site.public) as (reader, writer):
        statuses = []
        for body in (GOOD, b"{}", OTHER, b"[]", GOOD):
            writer.write(post(body))
            statuses.append((await read_answer(reader)).status)

    assert statuses == [200, 400, 200, 400, 200]
    assert general == [b"{}", b"[]"]
