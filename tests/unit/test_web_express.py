"""The express lane: faster, and otherwise not to be told from the general way."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest

from exporter.errors import JournalUnavailable, Overloaded
from exporter.web.connections import GuardedConnection
from exporter.web.public import Webhook
from tests.unit.web_site import EVENT, MESSAGE, SECRET, connected, exchange, post, read_answer, running

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
    return answer.status, headers, answer.body, site.all_counted(), len(site.engine.quarantined), len(site.messages)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("request_bytes", REQUESTS)
async def test_both_ways_give_the_same_answer_and_counts(request_bytes, failure, caplog):
    caplog.set_level(logging.CRITICAL)
    seen = []
    for express in (True, False):
        async with running(express=express) as site:
            site.engine.failure = failure
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
        site.engine.hold = asyncio.Event()
        writer.write(post(GOOD))
        await asyncio.sleep(0.05)
        writer.write(post(b"{}") + post(OTHER))
        await asyncio.sleep(0.05)
        assert site.all_counted() == {}
        site.engine.hold.set()

        assert [(await read_answer(reader)).status for _ in range(3)] == [200, 400, 200]
        assert [event.timestamp for event in site.engine.submitted] == [1738056000, 1738056001]


async def test_a_client_that_goes_away_before_its_answer_leaves_nothing_behind(caplog):
    async with running() as site:
        site.engine.hold = asyncio.Event()
        async with connected(site.public) as (_, writer):
            writer.write(post(GOOD))
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.05)
        site.engine.hold.set()
        await asyncio.sleep(0.05)

        assert len(site.engine.submitted) == 1
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


# Heads that repeat ------------------------------------------------------------------------------------------------
@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record the pieces that are parsed."""
    pieces: list[bytes] = []
    parse = GuardedConnection.data_received

    def record(self, data):
        if data:
            pieces.append(data)
        parse(self, data)

    monkeypatch.setattr(GuardedConnection, "data_received", record)
    return pieces


async def answers_to(site: Site, *pieces: bytes) -> list[int]:
    """Send pieces one after the other on one connection, each after the answer to the one before."""
    statuses = []
    async with connected(site.public) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            statuses.append((await asyncio.wait_for(read_answer(reader), 5)).status)
    return statuses


async def test_a_head_that_was_judged_on_the_connection_is_not_parsed_again(parsed):
    other = post(OTHER, X_Request_Id="7")
    async with running() as site:
        assert await answers_to(site, post(GOOD), post(OTHER), other, post(GOOD), other) == [200] * 5
        assert len(site.engine.submitted) == 5

    assert parsed == [post(GOOD), other]


async def test_a_known_head_with_a_bad_event_is_refused_and_the_next_one_is_taken(general):
    bad = GOOD.replace(b"wa", b"\x00a")
    async with running() as site:
        assert await answers_to(site, post(GOOD), post(bad), post(GOOD)) == [200, 400, 200]

    assert general == [bad]


async def test_a_changed_secret_counts_for_heads_that_were_judged_before():
    async with running() as site, connected(site.public) as (reader, writer):
        statuses = []
        for secret in (SECRET, "another", SECRET):
            site.settings.secret = secret
            writer.write(post(GOOD))
            statuses.append((await read_answer(reader)).status)

    assert statuses == [200, 401, 200]


async def test_a_lowered_limit_counts_for_heads_that_were_judged_before():
    async with running() as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD))
        assert (await read_answer(reader)).status == 200
        site.settings.max_body = 10
        writer.write(post(GOOD))
        assert (await read_answer(reader)).status == 413


@pytest.mark.parametrize("split", [1, 30, 60], ids=["in the request line", "in a header", "in another"])
async def test_the_rest_of_a_head_is_never_taken_for_a_head(split):
    """A later piece that looks like a whole request may be no more than the end of one."""
    whole = post(GOOD).replace(b"Content-Type", b"X-Rest: 1\r\nContent-Type")
    unsigned = post(GOOD, secret=None)
    signed_start = b"POST /webhook HTTP/1.1\r\nAuthorization: %b\r\nX-Rest: " % SECRET.encode()
    async with running() as site, connected(site.public) as (reader, writer):
        for pieces in ((signed_start, unsigned), (whole[:split], whole[split:])):
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.05)
            assert (await read_answer(reader)).status == 200
        writer.write(unsigned)

        assert (await read_answer(reader)).status == 401


async def test_a_connection_remembers_few_heads(parsed, monkeypatch):
    monkeypatch.setattr("exporter.web.express._HEADS", 3)
    first, second, third, fourth = (post(GOOD, X_Request_Id=str(number)) for number in range(4))
    async with running() as site:
        assert set(await answers_to(site, first, second, third, third, fourth, third, fourth)) == {200}

    assert parsed == [first, second, third, fourth, third]
