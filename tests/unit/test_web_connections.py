"""Bodies, heads and connections that are slow, large, broken or many."""

from __future__ import annotations

import asyncio
import json
import logging
import socket

import pytest

from exporter.lib.address import Address
from exporter.lib.logs import RateLimited
from exporter.metrics.own import SelfMetrics
from exporter.web.instruments import WebInstruments
from exporter.web.limits import Limits
from exporter.web.listeners import Listener, Listeners, Listening
from exporter.web.public import public_app
from tests.patience import patient
from tests.unit.web_site import EVENT, SECRET, Site, connected, exchange, post, read_answer, running

GOOD = json.dumps(EVENT).encode()
OTHER = json.dumps(EVENT | {"timestamp": EVENT["timestamp"] + 1}).encode()
QUICK = Limits(head_timeout=0.3, stall_timeout=0.3, sweep_interval=0.05, linger=0.2)


def chunked(*chunks: bytes, end: bool = True, secret: str = SECRET) -> bytes:
    """Return a chunked POST."""
    head = post(b"", secret=secret, Content_Length="", Transfer_Encoding="chunked")
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + (b"0\r\n\r\n" if end else b"")


async def closed_within(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """Return what still comes until the server closes; TimeoutError if it does not."""
    received = b""
    try:
        async with asyncio.timeout(patient(seconds)):
            while chunk := await reader.read(65536):
                received += chunk
    except ConnectionError:
        pass  # a reset, because we sent on; what came before it counts
    return received


# Bodies -----------------------------------------------------------------------------------------------------------
async def test_a_chunked_body_is_taken():
    async with running() as site:
        assert (await exchange(site.public, chunked(GOOD[:50], GOOD[50:]))).status == 200


async def test_a_body_that_comes_in_pieces_is_taken():
    request = post(GOOD)
    async with running() as site, connected(site.public) as (reader, writer):
        for begin in range(0, len(request), 40):
            writer.write(request[begin : begin + 40])
            await asyncio.sleep(0.001)

        assert (await read_answer(reader)).status == 200


@pytest.mark.parametrize("size", [65_536, 65_537], ids=["the largest allowed", "one byte more"])
@pytest.mark.parametrize("transfer", ["announced", "chunked"])
async def test_the_limit_of_a_body_is_exact(size, transfer):
    body = GOOD + b" " * (size - len(GOOD))
    async with running() as site:
        answer = await exchange(
            site.public, post(body) if transfer == "announced" else chunked(body[:9000], body[9000:])
        )

        assert answer.status == (200 if size == 65_536 else 413)
        assert site.counted("too_large") == (0 if size == 65_536 else 1)


@pytest.mark.parametrize("transfer", ["announced", "chunked"])
async def test_a_strangers_body_is_a_strangers_however_long_it_is(transfer):
    body = b"x" * 70_000
    async with running() as site:
        request = post(body, secret="wrong") if transfer == "announced" else chunked(body, secret="wrong")
        answer = await exchange(site.public, request)

        assert (answer.status, answer.code) == (401, "unauthorized")
        assert (site.counted("unauthorized"), site.counted("too_large")) == (1, 0)


async def test_ten_mebibytes_are_refused_before_they_are_sent():
    async with running(limits=QUICK) as site:
        answer = await exchange(site.public, post(b"", Content_Length=str(10 << 20)))

        assert (answer.status, answer.code) == (413, "too_large")


@pytest.mark.parametrize("transfer", ["announced", "chunked"])
async def test_a_client_that_sends_ten_mebibytes_at_once_gets_to_read_why_not(transfer):
    body = b"x" * (10 << 20)
    request = (
        post(body) if transfer == "announced" else chunked(*(body[i : i + 65536] for i in range(0, len(body), 65536)))
    )
    async with running() as site:
        answer = await exchange(site.public, request)

        assert (answer.status, answer.code) == (413, "too_large")
        assert site.recorder.quarantined == []


async def test_a_body_that_drips_is_answered_with_408_and_the_connection_closed():
    async with running(limits=QUICK, body_timeout=0.3) as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD)[:-100])
        drip = asyncio.create_task(dripping(writer, b" "))
        answer = await read_answer(reader)

        assert (answer.status, answer.code, answer.headers["connection"]) == (408, "timeout", "close")
        await closed_within(reader, 5)
        drip.cancel()
        assert site.counted("invalid") == 1
        assert site.recorder.quarantined == []


async def dripping(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Send a piece every few milliseconds until the server closes."""
    while not writer.is_closing():
        writer.write(piece)
        await asyncio.sleep(0.05)


async def test_a_stranger_with_a_slow_body_does_not_wait_for_the_time_out():
    async with running(limits=QUICK, body_timeout=60) as site:
        answer = await exchange(site.public, post(GOOD, secret="wrong")[:-100])

        assert answer.status == 401


@pytest.mark.parametrize(
    "chunk",
    [b"zz\r\nhello\r\n", b"5\r\nhelloXX\r\n", b"ffffffffffffffffffff\r\n", b"-5\r\nhello\r\n"],
    ids=["no size", "a chunk longer than its size", "an endless size", "a negative size"],
)
async def test_broken_chunks_are_refused(chunk):
    async with running(limits=QUICK) as site:
        answer = await exchange(site.public, chunked(b'{"event":', end=False) + chunk)

        assert (answer.status, answer.code) == (400, "bad_request")


async def test_a_client_that_goes_away_within_its_body_leaves_nothing_behind():
    async with running(limits=QUICK) as site:
        async with connected(site.public) as (_, writer):
            writer.write(post(GOOD)[:-10])
            await writer.drain()
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)

        assert site.recorder.submitted == []
        assert (await exchange(site.public, post(GOOD))).status == 200


async def test_a_client_that_waits_for_100_continue_is_invited_once_it_is_known():
    head, body = post(GOOD, Expect="100-continue").split(b"\r\n\r\n", 1)
    async with running() as site, connected(site.public) as (reader, writer):
        writer.write(head + b"\r\n\r\n")
        invitation = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), patient(5))
        writer.write(body)

        assert invitation == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await read_answer(reader)).status == 200


async def test_a_stranger_is_not_invited_to_send_his_body():
    head = post(GOOD, secret="wrong", Expect="100-continue").split(b"\r\n\r\n")[0]
    async with running(limits=QUICK) as site:
        assert (await exchange(site.public, head + b"\r\n\r\n")).status == 401


async def test_an_unknown_expectation_is_refused():
    async with running(limits=QUICK) as site:
        assert (await exchange(site.public, post(GOOD, Expect="a-miracle")[:-5])).status == 417


# Heads ------------------------------------------------------------------------------------------------------------
BAD_HEADS = [
    pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "bad_request", id="TLS on a plain port"),
    pytest.param(b"hello\r\n\r\n", 400, "bad_request", id="no HTTP"),
    pytest.param(b"GET / HTTP/9.9\r\n\r\n", 400, "bad_request", id="an unknown version"),
    pytest.param(b"GET / HTTP/1.1\r\nHost x\r\n\r\n", 400, "bad_request", id="a header without a colon"),
    pytest.param(b"GET / HTTP/1.1\r\nA\x00: b\r\n\r\n", 400, "bad_request", id="a NUL in a header's name"),
    pytest.param(post(b"", Content_Length="-1"), 400, "bad_request", id="a negative length"),
    pytest.param(post(b"", Content_Length="1e3"), 400, "bad_request", id="a length that is no number"),
    pytest.param(post(b"", Content_Length="5", content_length="6"), 400, "bad_request", id="two lengths"),
    pytest.param(
        post(b"", Transfer_Encoding="chunked", Content_Length="5"), 400, "bad_request", id="chunked and a length"
    ),
    pytest.param(
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 431, "headers_too_large", id="a URL of 9,000 characters"
    ),
    pytest.param(
        b"GET / HTTP/1.1\r\nA: " + b"a" * 9000 + b"\r\n\r\n",
        431,
        "headers_too_large",
        id="a header of 9,000 bytes",
    ),
    pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 400, "bad_request", id="200 headers"),
]


@pytest.mark.parametrize(("request_bytes", "status", "code"), BAD_HEADS)
async def test_a_bad_head_gets_the_json_error_and_the_connection_is_closed(request_bytes, status, code, caplog):
    async with running(limits=QUICK) as site, connected(site.public) as (reader, writer):
        writer.write(request_bytes)
        answer = await asyncio.wait_for(read_answer(reader), patient(5))

        assert (answer.status, answer.code) == (status, code)
        assert await closed_within(reader, 5) == b""
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize(
    "beginning", [b"", b"P", b"POST /webhook HTTP/1.1\r\nX: "], ids=["nothing", "a letter", "half a head"]
)
async def test_a_head_that_does_not_come_is_given_up(beginning):
    async with running(limits=QUICK) as site, connected(site.public) as (reader, writer):
        writer.write(beginning)
        drip = asyncio.create_task(dripping(writer, b"x")) if len(beginning) > 1 else None

        rest = await closed_within(reader, 5)

        assert rest.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert json.loads(rest.split(b"\r\n\r\n")[1])["code"] == "timeout"
        assert site.closed("slow_head") == 1
        if drip:
            drip.cancel()


async def test_a_slow_head_after_good_requests_is_given_up_too():
    async with running(limits=QUICK) as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD))
        assert (await read_answer(reader)).status == 200
        writer.write(b"POST ")

        assert (await closed_within(reader, 5)).startswith(b"HTTP/1.1 408 ")


async def test_a_connection_may_idle_between_requests_longer_than_a_head_may_take():
    async with running(limits=QUICK) as site, connected(site.public) as (reader, writer):
        for _ in range(2):
            writer.write(post(GOOD))
            assert (await read_answer(reader)).status == 200
            await asyncio.sleep(0.6)

        assert site.closed("slow_head") == 0


async def test_an_idle_connection_is_closed_in_the_end():
    limits = Limits(idle_timeout=0.2)
    async with running(limits=limits) as site, connected(site.public) as (reader, writer):
        writer.write(post(GOOD))
        await read_answer(reader)

        assert await closed_within(reader, 5) == b""


async def test_a_request_in_progress_is_not_taken_for_a_slow_head():
    async with running(limits=QUICK) as site, connected(site.public) as (reader, writer):
        site.recorder.hold = asyncio.Event()
        writer.write(post(GOOD))
        await asyncio.sleep(0.6)
        site.recorder.hold.set()

        assert (await read_answer(reader)).status == 200


async def test_a_client_that_never_reads_is_cut_off():
    loop = asyncio.get_running_loop()
    async with running(limits=QUICK) as site:
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.setblocking(False)
            await loop.sock_connect(client, tuple(site.public))
            with pytest.raises(ConnectionError):
                await asyncio.wait_for(loop.sock_sendall(client, post(GOOD) * 50_000), patient(60))

        assert site.closed("stalled") == 1
        assert len(site.recorder.submitted) < 50_000


# Many -------------------------------------------------------------------------------------------------------------
async def test_at_the_limit_a_new_connection_takes_the_place_of_the_longest_waiting_one():
    async with running(limits=Limits(max_connections=2)) as site, connected(site.public) as (oldest, _):
        async with connected(site.public) as (younger, writer):
            await asyncio.sleep(0.05)
            assert (await exchange(site.public, post(GOOD))).status == 200

            assert await closed_within(oldest, 5) == b""
            writer.write(post(GOOD))
            assert (await read_answer(younger)).status == 200
        assert site.closed("evicted") == 1


async def test_when_all_connections_are_busy_a_new_one_is_refused_with_503():
    async with running(limits=Limits(max_connections=2)) as site:
        site.recorder.hold = asyncio.Event()
        async with connected(site.public) as (first, one), connected(site.public) as (second, two):
            for writer in (one, two):
                writer.write(post(GOOD))
            await asyncio.sleep(0.1)
            refused = await exchange(site.public)

            assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "unavailable", "30")
            assert site.closed("refused") == 1
            site.recorder.hold.set()
            assert [(await read_answer(reader)).status for reader in (first, second)] == [200, 200]
        await asyncio.sleep(0.05)
        assert (await exchange(site.public, post(GOOD))).status == 200


async def test_pipelined_requests_are_answered_in_order():
    requests = post(GOOD) + post(b"{}") + post(GOOD, secret="wrong") + post(GOOD)
    async with running() as site, connected(site.public) as (reader, writer):
        writer.write(requests)

        assert [(await read_answer(reader)).status for _ in range(4)] == [200, 400, 401, 200]


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


async def test_http_1_0_and_connection_close_are_honoured():
    old = post(GOOD).replace(b"HTTP/1.1", b"HTTP/1.0")
    async with running() as site:
        for request in (old, post(GOOD, Connection="close")):
            async with connected(site.public) as (reader, writer):
                writer.write(request)
                answer = await read_answer(reader)

                assert (answer.status, answer.body) == (200, b"OK")
                assert await closed_within(reader, 5) == b""


async def test_a_thousand_requests_on_one_connection_are_counted_one_by_one():
    async with running() as site, connected(site.public) as (reader, writer):
        for _ in range(10):
            writer.write(post(GOOD) * 20)
            for _ in range(20):
                assert (await read_answer(reader)).status == 200

        labels = {"listener": "public", "code": "200"}
        assert site.counted("accepted", "device.disconnected") == 200
        assert site.registry.get_sample_value("device_exporter_request_duration_seconds_count", labels) == 200


# Stopping ---------------------------------------------------------------------------------------------------------
async def test_a_stop_lets_a_request_in_progress_finish_and_takes_no_new_one():
    async with running(drain=5) as site, connected(site.public) as (reader, writer):
        site.recorder.hold = asyncio.Event()
        writer.write(post(GOOD))
        await asyncio.sleep(0.05)

        stopping = asyncio.create_task(site.listeners.stop())
        await asyncio.sleep(0.1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*site.public)
        site.recorder.hold.set()

        assert (await asyncio.wait_for(read_answer(reader), patient(5))).status == 200
        await asyncio.wait_for(stopping, patient(5))


async def test_a_stop_does_not_wait_longer_than_its_time_for_a_request():
    async with running(drain=0.2) as site, connected(site.public) as (reader, writer):
        site.recorder.hold = asyncio.Event()
        writer.write(post(GOOD))
        await asyncio.sleep(0.05)

        await asyncio.wait_for(site.listeners.stop(), patient(5))

        assert await closed_within(reader, 5) == b""


async def test_if_one_listener_cannot_start_none_does():
    site = Site()
    metrics = WebInstruments(SelfMetrics(site.registry), ())
    warn = RateLimited(logging.getLogger("exporter.web"))
    handler = public_app(site.recorder, {}, metrics, warn)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        parts = [
            Listener(Listening(name, Address("127.0.0.1", wanted), handler), metrics, warn)
            for name, wanted in (("public", 0), ("admin", port))
        ]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            await Listeners(parts).start()

        assert parts[0].address.port != port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*parts[0].address)


@pytest.mark.parametrize("when", ["before the answer", "within it"])
async def test_a_scraper_that_goes_away_is_no_error_in_the_log(when, caplog):
    rendered = asyncio.Event()

    async def slow_render(_now, **_):
        rendered.set()
        await asyncio.sleep(0.1)
        return [b"x" * (4 << 20)] * 4

    caplog.set_level(logging.DEBUG, "exporter.web.protocol")
    async with running() as site:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(
                "exporter.metrics.exposition.Exposition.render", lambda _self, now, **how: slow_render(now, **how)
            )
            async with connected(site.admin) as (reader, writer):
                writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                await rendered.wait()
                if when == "within it":
                    await reader.readexactly(100)
                writer.transport.abort()
            for _ in range(500):
                await asyncio.sleep(0 if caplog.records else 0.01)

    assert {(record.levelname, record.message) for record in caplog.records} == {("DEBUG", "the client went away")}


async def test_a_crash_in_a_handler_is_a_json_500_that_tells_nothing(caplog):
    async with running() as site:
        site.recorder.failure = RuntimeError(f"the secret is {SECRET}")
        caplog.set_level(logging.CRITICAL)

        answer = await exchange(site.public, post(GOOD))

        assert (answer.status, answer.code) == (500, "internal")
        assert SECRET not in answer.body.decode()
        labels = {"listener": "public", "code": "500"}
        assert site.registry.get_sample_value("device_exporter_request_duration_seconds_count", labels) == 1
