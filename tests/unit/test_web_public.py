"""The webhook over real sockets: what is accepted, and what bad input gets."""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from typing import Any

import pytest

from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from tests.unit.web_site import EVENT, MESSAGE, NOW, SECRET, connected, exchange, post, read_answer, running


def body_with(path: str, value: Any) -> bytes:
    """Return the example event with one field replaced, or removed where the value is `...`."""
    event = copy.deepcopy(EVENT)
    *parents, last = path.split(".")
    target = event
    for name in parents:
        target = target[name]
    if value is ...:
        del target[last]
    else:
        target[last] = value
    return json.dumps(event).encode()


GOOD = json.dumps(EVENT).encode()


# What is taken ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("outcome", ["accepted", "duplicate", "redundant", "late"])
async def test_a_device_event_is_answered_with_ok_once_the_engine_has_stored_it(outcome):
    async with running() as site:
        site.recorder.outcome = outcome

        answer = await exchange(site.public, post(GOOD))

        assert (answer.status, answer.body) == (200, b"OK")
        assert [event.identity.device_id for event in site.recorder.submitted] == ["device_7f3a"]
        assert site.all_counted() == {("device.disconnected", outcome): 1}


async def test_no_answer_comes_before_the_engine_has_stored_the_event():
    async with running() as site, connected(site.public) as (reader, writer):
        site.recorder.hold = asyncio.Event()
        writer.write(post(GOOD))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)

        site.recorder.hold.set()

        assert (await read_answer(reader)).status == 200


@pytest.mark.parametrize(
    ("event", "label", "outcome"),
    [
        pytest.param({"event": "test", "timestamp": 1}, "test", "accepted", id="the operator's connection test"),
        pytest.param({"event": "device.exploded", "timestamp": 1}, "other", "ignored", id="an unknown event"),
        pytest.param({"event": 'x"\n\\', "timestamp": "?"}, "other", "ignored", id="an unknown event with a wild name"),
        pytest.param(MESSAGE, "channel.message_in", "accepted", id="a customer's message"),
    ],
)
async def test_events_that_are_no_device_events_are_answered_with_ok(event, label, outcome):
    async with running() as site:
        answer = await exchange(site.public, post(json.dumps(event).encode()))

        assert (answer.status, answer.body) == (200, b"OK")
        assert site.all_counted() == {(label, outcome): 1}
        assert site.recorder.submitted == []


async def test_a_message_reaches_the_hook_without_its_content():
    async with running() as site:
        await exchange(site.public, post(json.dumps(MESSAGE).encode()))

        [(event, now)] = site.messages
        assert (event.conversation_id, event.need_human, now) == ("conversation_5", True, NOW)
        assert "Budi" not in repr(event)
        assert "4111" not in repr(event)


async def test_the_time_of_the_last_valid_event_is_a_metric():
    async with running() as site:
        await exchange(site.public, post(GOOD))

        assert site.registry.get_sample_value("device_exporter_last_event_timestamp_seconds") == NOW


# What bad input gets ----------------------------------------------------------------------------------------------
BAD_BODIES = [
    pytest.param(b"", "invalid_json", id="an empty body"),
    pytest.param(GOOD[:-20], "invalid_json", id="truncated JSON"),
    pytest.param(GOOD + b"}", "invalid_json", id="something after the JSON"),
    pytest.param(b"[1, 2]", "invalid_type", id="an array"),
    pytest.param(b"null", "invalid_type", id="null"),
    pytest.param(b"{}", "missing_field", id="no event"),
    pytest.param(b'{"event": 7}', "invalid_type", id="an event that is a number"),
    pytest.param(body_with("timestamp", ...), "missing_field", id="no timestamp"),
    pytest.param(body_with("timestamp", "1738056000"), "invalid_type", id="a timestamp in a string"),
    pytest.param(body_with("timestamp", 1738056000.5), "invalid_type", id="a fraction of a second"),
    pytest.param(body_with("timestamp", True), "invalid_type", id="true as a timestamp"),
    pytest.param(body_with("timestamp", None), "invalid_type", id="null as a timestamp"),
    pytest.param(body_with("timestamp", 1738056000000), "timestamp_milliseconds", id="milliseconds"),
    pytest.param(body_with("timestamp", -5), "timestamp_too_old", id="a negative time"),
    pytest.param(body_with("timestamp", 1_000_000_000), "timestamp_too_old", id="a time before 2015"),
    pytest.param(body_with("timestamp", int(NOW) + 301), "timestamp_in_future", id="a time past the skew"),
    pytest.param(body_with("timestamp", 10**40), "timestamp_in_future", id="a huge number"),
    pytest.param(GOOD.replace(b"1738056000", b"1e999"), "timestamp_in_future", id="a number beyond all floats"),
    pytest.param(GOOD.replace(b"1738056000", b"9" * 5000), "timestamp_in_future", id="a number of 5,000 digits"),
    pytest.param(body_with("device", ...), "missing_field", id="no device"),
    pytest.param(body_with("device", "device_1"), "invalid_type", id="a device that is a string"),
    pytest.param(body_with("device", []), "invalid_type", id="a device that is an array"),
    pytest.param(body_with("device.id", ...), "missing_field", id="no device id"),
    pytest.param(body_with("device.id", ""), "invalid_id", id="an empty id"),
    pytest.param(body_with("device.id", "x" * 10_000), "invalid_id", id="an id of 10,000 characters"),
    pytest.param(body_with("device.id", 5), "invalid_type", id="an id that is a number"),
    pytest.param(body_with("device.id", "a\x00b"), "invalid_id", id="a control character in an id"),
    pytest.param(body_with("device.id", "a\nb"), "invalid_id", id="a newline in an id"),
    pytest.param(body_with("device.name", {"a": 1}), "invalid_type", id="a name that is an object"),
    pytest.param(body_with("device.name", "a\x1b[31m"), "invalid_name", id="a terminal sequence in a name"),
    pytest.param(GOOD.replace(b"Ibu Sari", b"Ibu \xff\xfe"), "invalid_utf8", id="invalid UTF-8 in a name"),
    pytest.param(body_with("device.channel", 1), "invalid_type", id="a channel that is a number"),
    pytest.param(body_with("device.channel.id", None), "invalid_type", id="a channel id that is null"),
    pytest.param(body_with("device.channel.engine", 3), "invalid_type", id="an engine that is a number"),
    pytest.param(body_with("device.channel.name", 3), "invalid_type", id="a channel name that is a number"),
    pytest.param(body_with("device.bisnis", "biz"), "invalid_type", id="a business that is a string"),
    pytest.param(body_with("device.bisnis.id", 9), "invalid_type", id="a business id that is a number"),
    pytest.param(body_with("device.bisnis.name", 9), "invalid_type", id="a business name that is a number"),
    pytest.param(body_with("device.user", "me"), "invalid_type", id="a user that is a string"),
    pytest.param(body_with("device.user.id", 9), "invalid_type", id="a user id that is a number"),
    pytest.param(body_with("device.user.name", []), "invalid_type", id="a user name that is an array"),
    pytest.param(body_with("status", "connected"), "status_mismatch", id="a status that contradicts the event"),
    pytest.param(body_with("status", 0), "invalid_type", id="a status that is a number"),
    pytest.param(b"[" * 60_000, None, id="60,000 arrays deep, never closed"),
    pytest.param(
        b'{"event": "test", "timestamp": 1, "x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", "too_deep", id="20,000 deep"
    ),
]


@pytest.mark.parametrize(("body", "code"), BAD_BODIES)
async def test_a_bad_body_is_refused_with_a_clear_error_counted_and_quarantined(body, code):
    async with running() as site:
        answer = await exchange(site.public, post(body))
        after = await exchange(site.public, post(GOOD))

        assert answer.status == 400
        assert answer.code == code or code is None
        [(kept_code, message, payload, digest)] = site.recorder.quarantined
        assert kept_code == answer.code
        assert message == json.loads(answer.body)["error"]
        assert len(digest) == 64
        assert payload is None or "Ibu Sari" in payload.decode() or b"Ibu Sari" not in body
        counted = {outcome for _, outcome in site.all_counted()}
        assert counted == {"invalid", "quarantined", "accepted"}
        assert after.status == 200


async def test_what_seems_to_come_from_the_future_may_come_again_where_our_clock_has_gone_back():
    future = body_with("timestamp", int(NOW) + 600)
    async with running() as site:
        site.recorder.clock_is_behind = True
        answer = await exchange(site.public, post(future))

        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "clock_behind", "30")
        assert [kept[0] for kept in site.recorder.quarantined] == ["timestamp_in_future"]
        assert {outcome for _, outcome in site.all_counted()} == {"invalid", "quarantined"}
        assert (await exchange(site.public, post(body_with("timestamp", 5)))).status == 400  # wrong by any clock


GOOD_BUT_ODD = [
    pytest.param(body_with("device.id", 'a"b\\c{}/ %2F é 📱'), id="quotes, backslashes and slashes in an id"),
    pytest.param(body_with("device.name", 'line one\nline "two" \\'), id="a newline in a name"),
    pytest.param(body_with("device.user", None), id="no user"),
    pytest.param(body_with("timestamp", int(NOW) + 299), id="a time just within the skew"),
    pytest.param(b'{"event": "device.connected", ' + GOOD[1:], id="a repeated key"),
    pytest.param(b" \r\n\t" + GOOD + b"\n", id="white space around it"),
]


@pytest.mark.parametrize("body", GOOD_BUT_ODD)
async def test_an_odd_but_valid_event_is_taken(body):
    async with running() as site:
        assert (await exchange(site.public, post(body))).status == 200
        assert len(site.recorder.submitted) == 1


async def test_the_error_names_the_place_in_the_body():
    async with running() as site:
        answer = await exchange(site.public, post(body_with("device.channel.engine", 3)))

        assert json.loads(answer.body) == {"error": "device.channel.engine: expected a string", "code": "invalid_type"}


async def test_an_event_that_the_engine_finds_too_old_is_refused_like_a_bad_body():
    async with running() as site:
        site.recorder.failure = InvalidEvent("timestamp_too_old", "is older than the journal", "timestamp")

        answer = await exchange(site.public, post(GOOD))

        assert (answer.status, answer.code) == (400, "timestamp_too_old")


async def test_a_quarantined_copy_has_no_message_and_no_customer():
    message = copy.deepcopy(MESSAGE)
    message["timestamp"] = "wrong"
    async with running() as site:
        answer = await exchange(site.public, post(json.dumps(message).encode()))

        assert answer.status == 400
        [(_, _, payload, _)] = site.recorder.quarantined
        assert b"4111" not in payload
        assert b"Budi" not in payload


async def test_a_refused_body_that_cannot_be_quarantined_is_refused_all_the_same():
    async with running() as site:
        site.recorder.failure = JournalUnavailable("disk full")

        answer = await exchange(site.public, post(b"{}"))

        assert answer.status == 400
        assert (site.counted("invalid"), site.counted("quarantined")) == (1, 0)


@pytest.mark.parametrize(
    ("failure", "code", "outcome"),
    [
        (JournalUnavailable("disk full"), "journal_unavailable", "unavailable"),
        (Overloaded("x"), "overloaded", "overloaded"),
    ],
    ids=["the journal cannot write", "too many requests wait"],
)
async def test_what_cannot_be_stored_now_is_asked_for_again(failure, code, outcome):
    async with running() as site:
        site.recorder.failure = failure

        answer = await exchange(site.public, post(GOOD))

        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, code, "30")
        assert site.all_counted() == {("device.disconnected", outcome): 1}


@pytest.mark.parametrize(
    ("body", "label"),
    [
        (GOOD, "device.disconnected"),
        (json.dumps(MESSAGE).encode(), MESSAGE["event"]),
        (body_with("device.channel", ...), "device.disconnected"),
        (b'{"event": "something.new"}', "other"),
    ],
    ids=["a device event", "a message", "what might be invalid only for want of what is known", "an unknown event"],
)
async def test_nothing_is_taken_or_refused_for_good_before_the_journal_is_loaded(body, label):
    async with running() as site:
        site.recorder.ready = False

        answer = await exchange(site.public, post(body))
        stranger = await exchange(site.public, post(body, secret="wrong"))

        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, "journal_unavailable", "30")
        assert (site.recorder.submitted, site.messages, site.recorder.quarantined) == ([], [], [])
        assert site.counted("unavailable", label) == 1
        assert stranger.status == 401


# The secret -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(None, id="no header"),
        pytest.param("", id="an empty header"),
        pytest.param("wrong", id="a wrong secret"),
        pytest.param(SECRET.lower(), id="another case"),
        pytest.param(SECRET[:-1], id="a prefix"),
        pytest.param(SECRET + "x", id="something appended"),
        pytest.param(f"Bearer {SECRET}", id="a scheme word"),
        pytest.param(b"\xff\xfe\x80", id="bytes that are no UTF-8"),
        pytest.param("é" * 4000, id="a very long one"),
    ],
)
async def test_a_stranger_is_refused_and_his_body_is_neither_kept_nor_parsed(secret):
    async with running() as site:
        answer = await exchange(site.public, post(b"{}", secret=secret))

        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == "Webhook-Secret"
        assert site.recorder.quarantined == []
        assert site.all_counted() == {("other", "unauthorized"): 1}


@pytest.mark.parametrize("configured", [SECRET, f"  {SECRET}\n"], ids=["plain", "with white space around it"])
@pytest.mark.parametrize("sent", [SECRET, f" \t{SECRET}  "], ids=["plain", "with white space around it"])
async def test_white_space_around_the_secret_does_not_matter(configured, sent):
    async with running() as site:
        site.settings.secret = configured

        assert (await exchange(site.public, post(GOOD, secret=sent))).status == 200


@pytest.mark.parametrize("sent", [None, "", "x"], ids=["no header", "an empty header", "any header"])
async def test_without_a_secret_nobody_gets_in(sent):
    async with running() as site:
        site.settings.secret = ""

        assert (await exchange(site.public, post(GOOD, secret=sent))).status == 401


async def test_a_secret_beyond_ascii_works():
    async with running() as site:
        site.settings.secret = "rahasia-é-📱"

        assert (await exchange(site.public, post(GOOD, secret="rahasia-é-📱"))).status == 200


async def test_a_changed_secret_counts_from_the_next_request_on():
    async with running() as site:
        before = await exchange(site.public, post(GOOD))
        site.settings.secret = "another"

        assert before.status == 200
        assert (await exchange(site.public, post(GOOD))).status == 401
        assert (await exchange(site.public, post(GOOD, secret="another"))).status == 200


async def test_a_stranger_is_answered_before_his_body_arrives():
    async with running() as site:
        answer = await exchange(site.public, post(b"", secret="wrong", Content_Length="1000"))

        assert (answer.status, answer.headers["connection"]) == (401, "close")


# Media types and methods ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "application/json; profile=x",
    ],
)
async def test_json_is_taken_with_any_parameters(content_type):
    async with running() as site:
        assert (await exchange(site.public, post(GOOD, content_type=content_type))).status == 200


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/json; charset=latin-1",
        "multipart/form-data; boundary=x",
    ],
)
async def test_anything_but_json_in_utf8_is_refused(content_type):
    async with running() as site:
        answer = await exchange(site.public, post(GOOD, content_type=content_type))

        assert (answer.status, answer.code) == (415, "unsupported_media_type")
        assert site.counted("invalid") == 1


async def test_a_compressed_body_is_refused_and_never_unpacked():
    async with running() as site:
        answer = await exchange(site.public, post(b"\x1f\x8b" + b"0" * 100, Content_Encoding="gzip"))

        assert (answer.status, answer.code) == (415, "unsupported_encoding")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_the_webhook_takes_nothing_but_post(method):
    async with running() as site:
        answer = await exchange(site.public, f"{method} /webhook HTTP/1.1\r\nHost: x\r\n\r\n".encode(), method=method)

        assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/metrics",
        "/webhook/",
        "/webhook2",
        "//webhook",
        "/api/v1/devices",
        "/-/reload",
        "/%00",
        "/../webhook",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_everything_else_is_not_found(method, path):
    async with running() as site:
        answer = await exchange(
            site.public, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode()
        )

        assert (answer.status, answer.code) == (404, "not_found")
        assert site.all_counted() == {}


@pytest.mark.parametrize("target", ["/webhook?x=1", "/%77ebhook", "http://exporter/webhook"])
async def test_the_webhook_is_known_by_its_path_however_it_is_written(target):
    async with running() as site:
        assert (await exchange(site.public, post(GOOD).replace(b" /webhook ", f" {target} ".encode()))).status == 200


async def test_health_is_public_and_says_only_whether_the_writer_lives():
    request = b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running() as site:
        well = await exchange(site.public, request)
        site.recorder.healthy = False
        ill = await exchange(site.public, request)

        assert (well.status, well.body) == (200, b"OK")
        assert (ill.status, ill.code) == (503, "unhealthy")


async def test_a_load_balancer_is_told_when_events_had_better_go_elsewhere():
    request = b"GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n"
    async with running() as site:
        assert (await exchange(site.public, request)).status == 200
        site.recorder.ready = False
        assert (await exchange(site.public, request)).status == 503


# What may be told -------------------------------------------------------------------------------------------------
async def test_logs_tell_neither_secrets_nor_bodies_nor_names(caplog):
    caplog.set_level(logging.DEBUG)
    async with running() as site:
        await exchange(site.public, post(body_with("timestamp", "Toko Makmur")))
        await exchange(site.public, post(GOOD, secret="almost-" + SECRET))
        await exchange(
            site.public, b"POST /webhook?key=" + SECRET.encode() + b" HTTP/1.1\r\nHost: x\r\nBad Header: Makmur\r\n\r\n"
        )
        site.recorder.failure = JournalUnavailable("disk full")
        await exchange(site.public, post(GOOD))

    told = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "unauthorized" in told
    assert "bad_request" in told
    assert SECRET not in told
    assert "Makmur" not in told
    assert "device_7f3a" not in told


async def test_answers_do_not_tell_what_software_this_is():
    async with running() as site:
        answers = [await exchange(site.public, post(body)) for body in (GOOD, b"{}")]
        answers.append(await exchange(site.public, b"nonsense\r\n\r\n"))

        assert {answer.headers["server"] for answer in answers} == {"device-exporter"}
