"""Webhook bodies become typed events, or errors that tell the sender's operator what is wrong."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.conventions import MESSAGE_EVENTS, OTHER_EVENT
from exporter.domain.identity import Identity
from exporter.errors import InvalidEvent
from exporter.gateways.csku import parse as events
from exporter.gateways.csku.bodies import EVENT_TYPES, event_type
from exporter.gateways.csku.parse import TEXTS, parse
from exporter.gateways.events import DeviceEvent, IgnoredEvent, MessageEvent, TestEvent, label_of
from exporter.gateways.every_sender import EARLIEST
from tests.bodies import DEVICE_EVENT, MESSAGE_EVENT

NOW = 1_800_000_000
SKEW = 300.0
DISCONNECTED, MESSAGE = DEVICE_EVENT, MESSAGE_EVENT
MISSING = object()
MICRO = "timestamp: looks like microseconds; expected Unix time in seconds"
NANO = "timestamp: looks like nanoseconds; expected Unix time in seconds"


def parsed(body):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return parse(raw, latest=NOW + SKEW)


def refusal(body) -> InvalidEvent:
    with pytest.raises(InvalidEvent) as refused:
        parsed(body)
    return refused.value


def changed(body, path, value):
    """Return a copy of the body with another value at a dotted path, or without it (MISSING)."""
    result = copy.deepcopy(body)
    *parents, last = path.split(".")
    place = result
    for part in parents:
        place = place[part]
    if value is MISSING:
        del place[last]
    else:
        place[last] = value
    return result


# What is accepted ---------------------------------------------------------------------------------------------
def test_a_disconnect_is_read_with_everything_that_it_says():
    assert parsed(DISCONNECTED) == DeviceEvent(
        1738056000,
        False,
        Identity(
            device_id="device_7f3a",
            device_name="Front desk WhatsApp",
            engine="wa",
            channel_id="channel_11",
            channel_name="WhatsApp Business",
            business_id="biz_9",
            business_name="Toko Makmur",
            user_id="merchant_2",
            user_name="Ibu Sari",
        ),
    )


def test_each_text_that_a_sender_gives_is_checked():
    assert set(TEXTS) == set(Identity.__struct_fields__) - {"gateway"}


def test_a_connect_means_up():
    assert parsed({**DISCONNECTED, "event": "device.connected", "status": "connected"}).up


@pytest.mark.parametrize("event", MESSAGE_EVENTS)
def test_a_message_event_keeps_where_it_happened_and_nothing_that_was_said(event):
    assert parsed({**MESSAGE, "event": event}) == MessageEvent(
        event, 1738056000, "conversation_5", True, "channel_11", "wa", "biz_9"
    )


def test_a_message_that_needs_no_human_says_so():
    assert not parsed({**MESSAGE, "need_human": 0}).need_human
    assert not parsed(changed(MESSAGE, "need_human", MISSING)).need_human


@pytest.mark.parametrize("timestamp", [0, 1738056000, 1738056000000, -5])
def test_a_connection_test_is_accepted_whatever_its_time(timestamp):
    assert parsed({"event": "test", "timestamp": timestamp}) == TestEvent(timestamp)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"event": "device.renamed", "timestamp": 1}, id="an unknown type"),
        pytest.param({"event": "", "device": 7}, id="an empty type with fields of other types"),
        pytest.param({"event": "Device.Connected"}, id="a known type in other letters"),
    ],
)
def test_unknown_event_types_are_ignored(body):
    assert parsed(body) == IgnoredEvent()


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("device.name", "device_name"),
        ("device.channel.name", "channel_name"),
        ("device.bisnis.name", "business_name"),
        ("device.user", "user_name"),
        ("device.user", "user_id"),
        ("device.user.id", "user_id"),
        ("device.user.name", "user_name"),
    ],
)
@pytest.mark.parametrize("value", [MISSING, None], ids=["missing", "null"])
def test_names_and_the_user_may_be_absent(path, field, value):
    assert getattr(parsed(changed(DISCONNECTED, path, value)).identity, field) == ""


@pytest.mark.parametrize("status", [MISSING, None], ids=["missing", "null"])
def test_the_status_may_be_absent(status):
    assert not parsed(changed(DISCONNECTED, "status", status)).up


def test_unknown_fields_are_ignored_on_every_level():
    body = changed(changed(DISCONNECTED, "extra", {"a": [1]}), "device.channel.extra", "x")

    assert parsed(body) == parsed(DISCONNECTED)


def test_unknown_engines_are_accepted():
    assert parsed(changed(DISCONNECTED, "device.channel.engine", "line")).identity.engine == "line"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param('Kasir "2" \\ toko\nlantai\t1', id="quotes, backslash, newline and tab"),
        pytest.param("Café 咖啡 🏪👩‍💻", id="accents, Chinese and joined emoji"),
        pytest.param("x" * 512, id="the longest name"),
        pytest.param("\u202eedoc", id="a change of direction"),
    ],
)
@pytest.mark.parametrize("ascii_only", [True, False], ids=["escaped", "raw"])
def test_a_name_survives_as_it_is(name, ascii_only):
    body = json.dumps(changed(DISCONNECTED, "device.name", name), ensure_ascii=ascii_only).encode()

    assert parsed(body).identity.device_name == name


def test_half_an_emoji_in_a_name_does_not_cost_the_event():
    body = json.dumps(changed(DISCONNECTED, "device.name", "Toko \ud83d \\ud83d \U0001f600")).encode()

    assert parsed(body).identity.device_name == "Toko \ufffd \\ud83d \U0001f600"


def test_half_an_emoji_in_a_message_does_not_cost_the_event():
    assert parsed(changed(MESSAGE, "message.content.text", "cut \ud83d")).conversation_id == "conversation_5"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"event": "test", "event": "device.connected", ', id="a test first"),
        pytest.param(b'{"event": "device.disconnected", "event": "device.connected", ', id="the other kind first"),
        pytest.param(b'{"event": "nothing.known", "event": "device.connected", ', id="an unknown type first"),
        pytest.param(b'{"timestamp": 1500000000, "event": "device.connected", ', id="an earlier time first"),
    ],
)
def test_of_a_repeated_key_the_last_one_counts(body):
    rest = json.dumps({"timestamp": 1738056000, "device": DISCONNECTED["device"]})[1:].encode()

    event = parsed(body + rest)

    assert (event.up, event.timestamp) == (True, 1738056000)
    assert event_type(body + rest) == "device.connected"


def test_a_repeated_event_key_is_the_last_one_for_unknown_types_too():
    assert parsed(b'{"event": "test", "timestamp": 1, "event": "x"}') == IgnoredEvent()


def test_the_order_of_keys_does_not_matter():
    assert parsed(dict(reversed(DISCONNECTED.items()))) == parsed(DISCONNECTED)


@pytest.mark.parametrize(
    "timestamp",
    [
        pytest.param(EARLIEST, id="the first second of 2015"),
        pytest.param(NOW, id="now"),
        pytest.param(NOW + 300, id="as far ahead as the skew allows"),
    ],
)
def test_times_at_the_bounds_are_accepted(timestamp):
    assert parsed({**DISCONNECTED, "timestamp": timestamp}).timestamp == timestamp


# What is refused ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("timestamp", "code", "message"),
    [
        (EARLIEST - 1, "timestamp_too_old", "timestamp: is before 2015-01-01; expected Unix time in seconds"),
        (0, "timestamp_too_old", "timestamp: is before 2015-01-01; expected Unix time in seconds"),
        (-1, "timestamp_too_old", "timestamp: is before 2015-01-01; expected Unix time in seconds"),
        (NOW + 301, "timestamp_in_future", "timestamp: is further in the future than max_future_skew allows"),
        (1738056000000, "timestamp_milliseconds", "timestamp: looks like milliseconds; expected Unix time in seconds"),
        (
            1738056000000000,
            "timestamp_milliseconds",
            MICRO,
        ),
        (
            1738056000 * 10**9,
            "timestamp_milliseconds",
            NANO,
        ),
        (10**30, "timestamp_in_future", "timestamp: is further in the future than max_future_skew allows"),
        (10**4000, "timestamp_in_future", "timestamp: is further in the future than max_future_skew allows"),
        ("1738056000", "invalid_type", "timestamp: expected an integer"),
        (True, "invalid_type", "timestamp: expected an integer"),
        (None, "invalid_type", "timestamp: expected an integer"),
        (1738056000.0, "invalid_type", "timestamp: expected an integer"),
        (1738056000.5, "invalid_type", "timestamp: expected an integer"),
        ([1738056000], "invalid_type", "timestamp: expected an integer"),
        (MISSING, "missing_field", "timestamp: is missing"),
    ],
)
@pytest.mark.parametrize("body", [DISCONNECTED, MESSAGE], ids=["device", "message"])
def test_a_bad_timestamp_is_refused_and_says_why(body, timestamp, code, message):
    error = refusal(changed(body, "timestamp", timestamp))

    assert (error.code, str(error)) == (code, message)


@pytest.mark.parametrize("literal", ["1.738056e9", "1e9", "1E9", "1738056000.0"])
def test_whole_numbers_written_as_floats_are_refused(literal):
    body = json.dumps(DISCONNECTED).replace("1738056000", literal).encode()

    assert refusal(body).code == "invalid_type"


def test_an_endless_integer_is_refused():
    error = refusal(b'{"event": "test", "timestamp": ' + b"9" * 60_000 + b"}")

    assert error.path == "timestamp"
    assert len(str(error)) < 100


@pytest.mark.parametrize(
    ("path", "value", "code", "message"),
    [
        ("event", MISSING, "missing_field", "event: is missing"),
        ("event", 7, "invalid_type", "event: expected a string"),
        ("event", None, "invalid_type", "event: expected a string"),
        ("device", MISSING, "missing_field", "device: is missing"),
        ("device", [], "invalid_type", "device: expected an object"),
        ("device.id", MISSING, "missing_field", "device.id: is missing"),
        ("device.id", 7, "invalid_type", "device.id: expected a string"),
        ("device.id", None, "invalid_type", "device.id: expected a string"),
        ("device.id", "", "invalid_id", "device.id: is empty"),
        ("device.id", "x" * 257, "invalid_id", "device.id: is longer than 256 characters"),
        ("device.id", " ", "invalid_id", "device.id: has no visible character"),
        ("device.id", "\u200b\u200d", "invalid_id", "device.id: has no visible character"),
        ("device.id", "\u3164", "invalid_id", "device.id: has no visible character"),
        ("device.bisnis.id", "\u2800\u115f", "invalid_id", "device.bisnis.id: has no visible character"),
        ("device.bisnis.id", "\ufeff ", "invalid_id", "device.bisnis.id: has no visible character"),
        ("device.id", "a\nb", "invalid_id", "device.id: contains the character U+000A, which no id may have"),
        ("device.id", "a\x85b", "invalid_id", "device.id: contains the character U+0085, which no id may have"),
        ("device.id", "a\ud83d", "invalid_id", "device.id: contains the character U+FFFD, which no id may have"),
        ("device.channel", MISSING, "missing_field", "device.channel: is missing"),
        ("device.channel", None, "invalid_type", "device.channel: expected an object"),
        ("device.channel.id", MISSING, "missing_field", "device.channel.id: is missing"),
        (
            "device.channel.id",
            "\x00",
            "invalid_id",
            "device.channel.id: contains the character U+0000, which no id may have",
        ),
        ("device.channel.engine", MISSING, "missing_field", "device.channel.engine: is missing"),
        ("device.channel.engine", ["wa"], "invalid_type", "device.channel.engine: expected a string"),
        ("device.channel.engine", "x" * 65, "invalid_id", "device.channel.engine: is longer than 64 characters"),
        ("device.bisnis", "biz_9", "invalid_type", "device.bisnis: expected an object"),
        ("device.bisnis.id", MISSING, "missing_field", "device.bisnis.id: is missing"),
        ("device.bisnis.id", "", "invalid_id", "device.bisnis.id: is empty"),
        ("device.user", "merchant_2", "invalid_type", "device.user: expected an object"),
        ("device.user.id", 2, "invalid_type", "device.user.id: expected a string"),
        ("device.user.id", "\x7f", "invalid_id", "device.user.id: contains the character U+007F, which no id may have"),
        ("device.name", 1, "invalid_type", "device.name: expected a string"),
        ("device.name", "x" * 513, "invalid_name", "device.name: is longer than 512 characters"),
        (
            "device.name",
            "a\x00",
            "invalid_name",
            "device.name: contains the control character U+0000; only newline and tab may be",
        ),
        (
            "device.user.name",
            "a\r",
            "invalid_name",
            "device.user.name: contains the control character U+000D; only newline and tab may be",
        ),
        ("status", "connected", "status_mismatch", "status: contradicts the event device.disconnected"),
        ("status", "Disconnected", "status_mismatch", "status: contradicts the event device.disconnected"),
        ("status", 0, "invalid_type", "status: expected a string"),
    ],
)
def test_a_bad_field_of_a_device_event_is_refused_by_its_path(path, value, code, message):
    error = refusal(changed(DISCONNECTED, path, value))

    assert (error.code, str(error)) == (code, message)
    assert path.startswith(error.path)


@pytest.mark.parametrize(
    ("path", "value", "code", "message"),
    [
        ("conversation_id", MISSING, "missing_field", "conversation_id: is missing"),
        ("conversation_id", 5, "invalid_type", "conversation_id: expected a string"),
        (
            "conversation_id",
            "a\tb",
            "invalid_id",
            "conversation_id: contains the character U+0009, which no id may have",
        ),
        ("need_human", 2, "invalid_type", "need_human: expected 0 or 1"),
        ("need_human", True, "invalid_type", "need_human: expected 0 or 1"),
        ("need_human", "1", "invalid_type", "need_human: expected 0 or 1"),
        ("message", MISSING, "missing_field", "message: is missing"),
        ("message.channel.id", "", "invalid_id", "message.channel.id: is empty"),
        ("message.channel.engine", None, "invalid_type", "message.channel.engine: expected a string"),
        ("message.bisnis.id", MISSING, "missing_field", "message.bisnis.id: is missing"),
    ],
)
def test_a_bad_field_of_a_message_event_is_refused_by_its_path(path, value, code, message):
    error = refusal(changed(MESSAGE, path, value))

    assert (error.code, str(error)) == (code, message)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(b"", "invalid_json", id="nothing"),
        pytest.param(b"{", "invalid_json", id="a cut-off object"),
        pytest.param(b"event=test", "invalid_json", id="a form"),
        pytest.param(b'{"event": "test", "timestamp": 01}', "invalid_json", id="a leading zero"),
        pytest.param(b'{"event": "test", "timestamp": NaN}', "invalid_json", id="not a number"),
        pytest.param(b'{"event": "test", "timestamp": 1} x', "invalid_json", id="something after the object"),
        pytest.param(b"\xef\xbb\xbf{}", "invalid_json", id="a byte order mark"),
        pytest.param(b'{"event": "t\x01"}', "invalid_json", id="a raw control character"),
        pytest.param(b"[]", "invalid_type", id="a list"),
        pytest.param(b"null", "invalid_type", id="null"),
        pytest.param(b'"test"', "invalid_type", id="a string"),
        pytest.param(b'{"event": "\xff"}', "invalid_utf8", id="a byte that UTF-8 has not"),
        pytest.param(b'{"event": "x", "extra": "\xff"}', "invalid_utf8", id="the same in a field that is ignored"),
        pytest.param(b'{"event": "test", "timestamp": 1, "extra": "\xff"}', "invalid_utf8", id="the same in a test"),
        pytest.param(b'{"event": "\xed\xa0\x80"}', "invalid_utf8", id="an encoded surrogate"),
        pytest.param("{}".encode("utf-16"), "invalid_utf8", id="UTF-16"),
        pytest.param(b'{"event": "test", "x": ' + b"[" * 30_000, "too_deep", id="bottomless lists"),
        pytest.param(b'{"event": "test", "x": ' + b'{"a":' * 10_000, "too_deep", id="bottomless objects"),
    ],
)
def test_what_is_no_json_object_is_refused(body, code):
    assert refusal(body).code == code


def test_errors_show_nothing_of_the_body():
    private = "Kartu-Kredit-4111"
    bodies = [changed(DISCONNECTED, path, private) for path in ("timestamp", "device", "status", "device.channel")]

    assert all(private not in str(refusal(body)) for body in bodies)


# Labels, memory ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "label"),
    [
        (DISCONNECTED, "device.disconnected"),
        ({**DISCONNECTED, "event": "device.connected", "status": "connected"}, "device.connected"),
        (MESSAGE, "channel.message_in"),
        ({"event": "test", "timestamp": 1}, "test"),
        ({"event": "device.renamed"}, OTHER_EVENT),
    ],
)
def test_an_event_and_its_body_have_the_same_label(body, label):
    assert (label_of(parsed(body)), event_type(json.dumps(body).encode())) == (label, label)


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"event": 1}', b'{"event": "x"' + b"[" * 30_000])
def test_what_has_no_type_is_labelled_other(body):
    assert event_type(body) == OTHER_EVENT


def test_an_invalid_event_of_a_known_type_is_labelled_by_its_type():
    assert event_type(b'{"event": "device.disconnected", "timestamp": "x"}') == "device.disconnected"


def test_texts_that_a_fleet_repeats_are_held_once():
    first, second = parsed(DISCONNECTED).identity, parsed(changed(DISCONNECTED, "device.id", "device_2")).identity

    for field in ("engine", "channel_id", "channel_name", "business_id", "business_name", "user_id", "user_name"):
        assert getattr(first, field) is getattr(second, field)


def test_the_memory_of_shared_texts_is_bounded(monkeypatch):
    monkeypatch.setattr(events, "_SHARED_LIMIT", 10)
    for number in range(50):
        parsed(changed(DISCONNECTED, "device.bisnis.id", f"biz_{number}"))

    assert len(events._known_texts) <= 10


# Properties ---------------------------------------------------------------------------------------------------
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(EVENT_TYPES),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "channel", "engine", "bisnis", "user"]) | st.text(), inner)
    ),
    max_leaves=10,
)


def check_accepted(event):
    match event:
        case DeviceEvent(timestamp=timestamp, identity=identity):
            ids = [identity.device_id, identity.engine, identity.channel_id, identity.business_id]
            names = [identity.device_name, identity.channel_name, identity.business_name, identity.user_name]
            assert all(1 <= len(text) <= 256 for text in ids)
            assert all(len(text) <= 512 for text in names)
            assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in "".join(ids))
            "".join(ids + names).encode()
        case MessageEvent(timestamp=timestamp):
            assert event.event in MESSAGE_EVENTS
        case _:
            return
    assert isinstance(timestamp, int)
    assert EARLIEST <= timestamp <= NOW + SKEW


def parse_or_refuse(body: bytes):
    try:
        event = parsed(body)
    except InvalidEvent as error:
        error.code.encode("ascii")
        str(error).encode()
        return
    check_accepted(event)


@given(st.binary(max_size=300))
def test_any_bytes_give_an_event_or_a_refusal(body):
    parse_or_refuse(body)


@given(json_values)
def test_any_json_gives_an_event_or_a_refusal(body):
    parse_or_refuse(json.dumps(body).encode())


def paths(body, prefix=""):
    for name, value in body.items():
        yield f"{prefix}{name}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{name}.")


@given(
    body=st.sampled_from([DISCONNECTED, MESSAGE]),
    data=st.data(),
    value=json_values,
    event=st.sampled_from(EVENT_TYPES),
    ascii_only=st.booleans(),
)
def test_any_value_in_any_field_gives_an_event_or_a_refusal(body, data, value, event, ascii_only):
    path = data.draw(st.sampled_from(sorted(paths(body))))
    text = json.dumps(changed({**body, "event": event}, path, value), ensure_ascii=ascii_only)

    parse_or_refuse(text.encode("utf-8", "surrogatepass"))


@given(st.text(min_size=1, max_size=60), st.text(max_size=60), st.integers(EARLIEST, NOW))
def test_what_is_accepted_is_what_was_sent(device_id, name, timestamp):
    body = changed(changed(DISCONNECTED, "device.id", device_id), "device.name", name)
    try:
        event = parsed({**body, "timestamp": timestamp})
    except InvalidEvent as error:
        assert error.code in ("invalid_id", "invalid_name")  # noqa: PT017 - both outcomes are right
        return

    assert (event.identity.device_id, event.identity.device_name, event.timestamp) == (device_id, name, timestamp)


@given(st.text(alphabet="\\u d83ceDE0a\ud83d\ude00", max_size=20))
def test_mending_changes_nothing_but_halves_of_characters(text):
    body = changed(DISCONNECTED, "device.name", text)
    joined = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    assert parsed(body).identity.device_name == joined
