"""The quarantine keeps ids and names of devices, and nothing that a customer wrote."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import InvalidEvent
from exporter.gateways.csku.parse import parse
from exporter.gateways.csku.redaction import KEPT_LENGTH, redact
from tests.bodies import DEVICE_EVENT

DEVICE = DEVICE_EVENT["device"]
SECRET = "Kartu-Kredit-4111"


def redacted(body: object) -> dict:
    payload, _ = redact(json.dumps(body).encode())
    assert payload is not None
    return json.loads(payload)


def test_a_device_event_is_kept_whole_so_that_it_can_be_fed_in_again():
    assert redacted(DEVICE_EVENT) == DEVICE_EVENT


def test_the_digest_is_of_the_body_as_it_came():
    assert redact(b'{"event": "test"}')[1] == hashlib.sha256(b'{"event": "test"}').hexdigest()


def test_a_message_event_keeps_its_type_and_time_only():
    body = {
        "event": "channel.message_in",
        "timestamp": 1738056000,
        "conversation_id": "c-1",
        "conversation_label": SECRET,
        "message": {"id": "m", "sender_name": SECRET, "content": {"type": "text", "text": SECRET}},
    }

    assert redacted(body) == {"event": "channel.message_in", "timestamp": 1738056000}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="an empty body"),
        pytest.param(b'{"event": "' + SECRET.encode(), id="cut-off JSON"),
        pytest.param(b'"' + SECRET.encode() + b'"', id="a bare string"),
        pytest.param(b'["' + SECRET.encode() + b'"]', id="a list"),
        pytest.param(b'{"event": "\xff"}', id="no UTF-8"),
        pytest.param(b'{"a": ' + b"[" * 100_000, id="bottomless nesting"),
        pytest.param(b'{"timestamp": NaN}', id="a number that JSON does not have"),
    ],
)
def test_nothing_is_kept_of_what_is_no_json_object(body):
    payload, digest = redact(body)

    assert payload is None
    assert digest == hashlib.sha256(body).hexdigest()


def test_objects_and_lists_in_the_place_of_a_name_are_dropped():
    device = {**DEVICE, "name": {"text": SECRET}, "user": [SECRET], "channel": SECRET}

    assert redacted({"event": [SECRET], "device": device}) == {
        "device": {"id": "device_7f3a", "bisnis": {"id": "biz_9", "name": "Toko Makmur"}}
    }


def test_a_cut_id_is_still_refused_when_it_is_fed_in_again():
    payload, _ = redact(
        json.dumps(
            {"event": "device.connected", "timestamp": 1738056000, "device": {**DEVICE, "id": "x" * 300}}
        ).encode()
    )
    assert payload is not None
    assert json.loads(payload)["device"]["id"] == "x" * KEPT_LENGTH + "…"

    with pytest.raises(InvalidEvent) as refused:
        parse(payload, latest=1738056000)

    assert refused.value.code == "invalid_id"


def test_numbers_too_large_for_other_programs_become_text():
    assert redacted({"timestamp": 10**30, "event": 2**64}) == {"timestamp": "1" + "0" * 30, "event": str(2**64)}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
PRIVATE = ("conversation_id", "conversation_label", "message", "content", "sender_name", "text", "data")


def planted(secret: str) -> st.SearchStrategy:
    """Return JSON values that hold the secret somewhere, as a text or as a key."""
    return st.recursive(
        st.just(secret) | st.just({secret: 1}),
        lambda inner: (
            st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.sampled_from(PRIVATE), inner, min_size=1)
        ),
        max_leaves=4,
    )


@given(
    private=st.dictionaries(st.sampled_from(PRIVATE), planted(SECRET)),
    in_device=st.dictionaries(st.sampled_from(PRIVATE), planted(SECRET)),
    in_names=planted(SECRET).filter(lambda value: not isinstance(value, str)),
    base=st.dictionaries(st.sampled_from(["event", "timestamp", "status"]), json_values),
    escaped=st.booleans(),
)
def test_no_secret_outside_the_whitelist_survives(private, in_device, in_names, base, escaped):
    body = {
        **base,
        **private,
        "device": {**DEVICE, **in_device, "name": in_names, "channel": {**in_device, "id": in_names}},
    }
    text = json.dumps(body)
    if escaped:
        text = text.replace(SECRET, "".join(f"\\u{ord(character):04x}" for character in SECRET))

    payload, _ = redact(text.encode())

    assert payload is not None
    assert SECRET not in payload.decode()


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_redaction_takes_any_bytes_and_gives_json(body):
    payload, digest = redact(body)

    assert len(digest) == 64
    assert payload is None or isinstance(json.loads(payload), dict)
