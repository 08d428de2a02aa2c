"""What strangers may hold of a listener: heads, their sum, connections, handshakes, descriptors."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest
import trustme

from exporter.web.limits import Limits
from tests.unit.test_web_config import TLS, certificate, client_context, get, written
from tests.unit.test_web_connections import closed_within
from tests.unit.web_site import EVENT, Site, connected, exchange, post, read_answer, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GOOD = json.dumps(EVENT).encode()
STRANGER = post(GOOD, secret="wrong")
QUICK = Limits(head_timeout=0.3, sweep_interval=0.05, linger=0.2)
PATIENT = Limits(head_timeout=60, sweep_interval=0.05)


def headers(count: int, size: int = 4000) -> bytes:
    return b"".join(b"X-%d: %s\r\n" % (number, b"a" * size) for number in range(count))


# Heads ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("end", [b"\r\n", b""], ids=["whole", "without end"])
@pytest.mark.parametrize("before", [b"", b"\r\n\r\n\r\n"], ids=["at the start", "after empty lines"])
async def test_headers_have_32_kib_together(end, before):
    async with running(limits=PATIENT) as site:
        answer = await exchange(site.public, before + b"POST /webhook HTTP/1.1\r\n" + headers(9) + end)

        assert (answer.status, answer.code) == (431, "headers_too_large")
        assert site.closed("large_head") == 1


async def test_headers_that_come_in_pieces_have_32_kib_together_too():
    head = b"POST /webhook HTTP/1.1\r\n" + headers(30)
    async with running(limits=PATIENT) as site, connected(site.public) as (reader, writer):
        for begin in range(0, len(head), 1000):
            if not writer.is_closing():
                writer.write(head[begin : begin + 1000])
            await asyncio.sleep(0)
        await closed_within(reader, 5)

        assert site.closed("large_head") == 1


async def test_a_large_head_within_the_bound_is_taken_also_in_pieces():
    request = post(GOOD).replace(b"Host: exporter\r\n", b"Host: exporter\r\n" + headers(7))
    async with running(limits=PATIENT) as site, connected(site.public) as (reader, writer):
        for begin in range(0, len(request), 999):
            writer.write(request[begin : begin + 999])
            await asyncio.sleep(0.001)

        assert (await asyncio.wait_for(read_answer(reader), 5)).status == 200


async def test_a_head_without_end_behind_another_request_is_bounded_too():
    async with running(limits=PATIENT) as site, connected(site.public) as (reader, writer):
        writer.write(STRANGER + b"POST /webhook HTTP/1.1\r\n" + headers(30))
        assert (await read_answer(reader)).status == 401

        assert (await closed_within(reader, 5)).startswith(b"HTTP/1.1 431 ")


async def test_a_head_whose_rest_never_comes_behind_another_request_is_given_up():
    async with running(limits=QUICK) as site, connected(site.public) as (reader, writer):
        writer.write(STRANGER + b"POST /webhook HTTP/1.1\r\n")
        assert (await read_answer(reader)).status == 401

        assert (await closed_within(reader, 5)).startswith(b"HTTP/1.1 408 ")


async def test_all_unfinished_heads_together_are_bounded_and_the_oldest_go_first():
    limits = Limits(head_timeout=60, max_unread=50_000)
    async with running(limits=limits) as site, AsyncExitStack() as held:
        readers = []
        for _ in range(3):
            reader, writer = await held.enter_async_context(connected(site.public))
            writer.write(b"POST /webhook HTTP/1.1\r\n" + headers(5))
            await asyncio.sleep(0.05)
            readers.append(reader)

        assert await closed_within(readers[0], 5) == b""
        assert site.closed("evicted") == 1
        assert (await exchange(site.public, post(GOOD))).status == 200


async def test_bodies_do_not_count_as_heads():
    limits = Limits(max_unread=50_000)
    body = GOOD + b" " * 60_000
    async with running(limits=limits) as site, connected(site.public) as (reader, writer):
        for _ in range(3):
            writer.write(post(body))
            assert (await read_answer(reader)).status == 200


@pytest.mark.parametrize("version", [b"HTTP/2.0", b"HTTP/0.9"])
async def test_another_version_of_http_is_refused(version):
    async with running() as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD).replace(b"HTTP/1.1", version))
        answer = await read_answer(reader)

        assert (answer.status, answer.code) == (505, "http_version")
        assert await closed_within(reader, 5) == b""
        assert site.recorder.submitted == []


@pytest.mark.parametrize("listener", ["public", "admin"])
async def test_two_proofs_of_who_sends_are_refused(listener):
    async with running() as site:
        request = post(GOOD, authorization="wrong")
        answer = await exchange(getattr(site, listener), request)

        assert (answer.status, answer.code) == (400, "bad_request")
        assert site.recorder.submitted == []


# Ends -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("slow", [False, True], ids=["at once", "while it is stored"])
async def test_a_client_that_closes_its_own_side_gets_its_answer(slow):
    async with running() as site, connected(site.public) as (reader, writer):
        site.recorder.hold = asyncio.Event()
        writer.write(post(GOOD))
        if slow:
            await asyncio.sleep(0.05)
        writer.write_eof()
        await asyncio.sleep(0.05)
        site.recorder.hold.set()

        assert (await asyncio.wait_for(read_answer(reader), 5)).status == 200
        assert await closed_within(reader, 5) == b""


async def test_requests_in_a_row_before_the_client_closes_its_side_are_all_answered():
    async with running() as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD) * 3)
        writer.write_eof()

        assert [(await asyncio.wait_for(read_answer(reader), 5)).status for _ in range(3)] == [200, 200, 200]
        assert await closed_within(reader, 5) == b""


@pytest.mark.parametrize("cut", [10, len(GOOD) + 20], ids=["within the body", "within the head"])
async def test_nobody_waits_for_what_a_closed_side_will_never_send(cut):
    async with running(limits=PATIENT, body_timeout=60) as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD)[:-cut])
        writer.write_eof()

        await closed_within(reader, 5)
        assert site.recorder.submitted == []


# Connections ------------------------------------------------------------------------------------------------------
async def test_strangers_make_room_before_a_sender_that_is_known():
    async with running(limits=Limits(max_connections=3)) as site, connected(site.public) as (known, writer):
        writer.write(post(GOOD))
        assert (await read_answer(known)).status == 200
        async with AsyncExitStack() as held:
            for _ in range(5):
                await held.enter_async_context(connected(site.public))
            await asyncio.sleep(0.05)

            writer.write(post(GOOD))
            assert (await read_answer(known)).status == 200
        assert site.closed("evicted") == 3


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Let nobody open anything meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_what_the_system_cannot_accept_is_logged_and_counted_and_accepted_later(caplog):
    loop = asyncio.get_running_loop()
    async with running() as site:
        with socket.socket() as client:
            client.setblocking(False)
            with no_descriptor_left():
                await loop.sock_connect(client, tuple(site.public))
                for _ in range(500):
                    await asyncio.sleep(0 if site.closed("accept_error") else 0.01)
            await loop.sock_sendall(client, post(GOOD))

            assert (await asyncio.wait_for(loop.sock_recv(client, 100), 10)).startswith(b"HTTP/1.1 200 ")
    assert "a connection could not be accepted" in {record.message for record in caplog.records}


# Handshakes -------------------------------------------------------------------------------------------------------
@pytest.fixture
async def encrypted(tmp_path, request) -> AsyncIterator[tuple[Site, trustme.CA]]:
    """A site whose admin listener speaks TLS, within the limits that the test gives."""
    authority = trustme.CA()
    certificate(tmp_path, authority)
    async with running(admin={"web_config": written(tmp_path, TLS)}, limits=request.param) as site:
        yield site, authority


@pytest.mark.parametrize("encrypted", [Limits(max_connections=2)], indirect=True)
async def test_handshakes_count_as_connections_and_make_room(encrypted):
    site, authority = encrypted
    async with connected(site.admin) as (first, _), connected(site.admin):
        await asyncio.sleep(0.05)

        assert (await get(site, client_context(authority))).status == 200
        assert await closed_within(first, 5) == b""
        assert site.closed("evicted", "admin") == 1


@pytest.mark.parametrize("encrypted", [QUICK], indirect=True)
async def test_a_handshake_that_does_not_come_is_given_up(encrypted):
    site, _ = encrypted
    async with connected(site.admin) as (reader, _):
        assert await closed_within(reader, 5) == b""
    assert site.closed("handshake", "admin") + site.closed("slow_handshake", "admin") == 1


@pytest.mark.parametrize("encrypted", [Limits()], indirect=True)
async def test_a_handshake_that_fails_is_counted(encrypted):
    site, _ = encrypted
    async with connected(site.admin) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        await closed_within(reader, 5)
    for _ in range(500):
        await asyncio.sleep(0 if site.closed("handshake", "admin") else 0.01)
    assert site.closed("handshake", "admin") == 1
