"""Every preset: what its gateway's bodies mean, and that nothing secret of them is kept."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from exporter.config.gateways import preset_names
from exporter.errors import ConfigError, InvalidEvent
from exporter.gateways.again import proven, rebuilt
from exporter.gateways.events import SessionEvent
from exporter.simulate.fleet import make_fleet
from exporter.simulate.gateways import GATEWAYS, headers, path, translator
from exporter.simulate.payloads import connection_test, device_event
from tests.tools import ROOT
from tests.unit.gateway_site import NOW, SECRET, configured, gateway

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.gateways.preset import Preset

SAMPLES = sorted((ROOT / "tests" / "gateways").glob("*/*.json"))
NAMES = preset_names()


def _id(file: Path) -> str:
    """Return the sample's name, or the thread that asked for it."""
    about = json.loads(file.read_text())["about"].partition(":")[0]
    return f"{file.parent.name}-{about if '#' in about else file.stem}"


def read(preset: Preset, body: bytes, *, path: str = "", now: float = NOW) -> list[SessionEvent]:
    seen = preset.read(body, now=now, latest=now + 300, known=lambda _: None, path=path)
    return [one for one in seen if isinstance(one, SessionEvent)]


@pytest.mark.parametrize("file", [pytest.param(file, id=_id(file)) for file in SAMPLES])
def test_a_body_means_what_its_gateway_means(file, tmp_path):
    sample = json.loads(file.read_text())
    preset = gateway(tmp_path, file.parent.name, **sample.get("settings", {}))

    found = read(preset, json.dumps(sample["body"]).encode(), path=sample.get("path", ""))

    shown = [
        {
            "state": event.state,
            "session": preset.session_of(event.identity.device_id),
            "at_ms": event.at_ms,
            "reason": event.reason,
            "shift": event.shift,
            "name": event.identity.device_name,
            "engine": event.identity.engine,
            "business": event.identity.business_id,
            "business_name": event.identity.business_name,
        }
        for event in found
    ]
    for event, one in zip(found, shown, strict=True):
        assert (event.identity.gateway, event.identity.device_id) == ("gw", f"gw:{one['session']}")
    wanted = [{"shift": 0} | one for one in sample["expected"]]
    assert [{key: one[key] for key in want} for one, want in zip(shown, wanted, strict=True)] == wanted


@pytest.mark.parametrize("file", [pytest.param(file, id=_id(file)) for file in SAMPLES])
def test_the_quarantine_keeps_no_secret_of_a_body(file, tmp_path):
    sample = json.loads(file.read_text())
    body = json.dumps(sample["body"]).encode()

    kept, digest = gateway(tmp_path, file.parent.name, **sample.get("settings", {})).redact(body)

    assert kept is not None
    assert b"CANARY" not in kept
    assert len(kept) < 600
    assert digest == hashlib.sha256(body).hexdigest()


def test_every_preset_has_samples_and_a_file():
    presets = {file.stem for file in (ROOT / "exporter" / "gateways" / "presets").glob("*.yaml")}

    assert presets == set(NAMES)
    assert {file.parent.name for file in SAMPLES} == set(NAMES) - {"gowa"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"event": {"a": []}}', b"null"])
def test_no_body_does_harm(name, body, tmp_path):
    preset = gateway(tmp_path, name)
    with suppress(InvalidEvent):
        assert read(preset, body) == []
    preset.redact(body)


@pytest.mark.parametrize(
    ("preset", "auth"), [("evolution", "header"), ("evolution", "jwt"), ("fonnte", "path"), ("waha", "hmac")]
)
def test_a_body_from_the_quarantine_means_the_same_once_more_and_is_proved(preset, auth, tmp_path):
    door = gateway(tmp_path, preset, auth=auth)
    mapping = configured(tmp_path, {"gw": {"preset": preset, "secret": SECRET, "auth": auth}})["gw"].reading
    assert mapping is not None
    for file in sorted((ROOT / "tests" / "gateways" / preset).glob("*.json")):
        sample = json.loads(file.read_text())
        if "settings" in sample or mapping.split:
            continue
        kept, _ = door.redact(json.dumps(sample["body"]).encode())
        assert kept is not None

        body = rebuilt(json.loads(kept))
        path, headers = proven(auth, mapping.proof, SECRET, body, NOW)

        assert door.proves(path.strip("/"), headers, body, SECRET), file
        told = [(event.state, event.at_ms, event.reason) for event in read(door, body, path="cs")]
        assert told == [(one["state"], one["at_ms"], one.get("reason", told[0][2])) for one in sample["expected"]]


def test_a_session_that_was_deleted_is_down_or_forgotten_as_the_configuration_says(tmp_path):
    body = json.dumps({"event": "remove.instance", "instance": "cs", "data": {}}).encode()
    override = {"state": {"is": {"remove.instance": "gone"}}}

    assert [event.state for event in read(gateway(tmp_path, "evolution"), body)] == ["hard"]
    assert [event.state for event in read(gateway(tmp_path, "evolution", mapping=override), body)] == ["gone"]


@pytest.mark.parametrize("session", ["", "a" * 300, "a\nb", "a\ufffdb", " ", "\u3164"])
def test_a_session_that_cannot_be_an_id_is_refused(session, tmp_path):
    with pytest.raises(InvalidEvent):
        read(gateway(tmp_path, "generic"), json.dumps({"session": session, "state": "up"}).encode())


def test_a_form_field_can_hold_the_json(tmp_path):
    preset = gateway(tmp_path, "generic", mapping={"body": "form:jsonData"})
    body = b"userID=u9&jsonData=" + quote('{"session": "u9", "state": "up"}').encode()

    assert [event.identity.device_id for event in read(preset, body)] == ["gw:u9"]
    assert "application/x-www-form-urlencoded" in preset.media_types


def test_half_a_character_in_a_name_costs_no_event(tmp_path):
    body = rb'{"event": "connection.update", "instance": "cs", "data": {"state": "open", "profileName": "Toko \ud83d"}}'

    [event] = read(gateway(tmp_path, "evolution"), body)

    assert (event.state, event.identity.device_name) == ("up", "Toko \ufffd")


def test_a_name_that_is_not_told_now_stays(tmp_path):
    preset = gateway(tmp_path, "evolution")
    opened = {"event": "connection.update", "instance": "cs", "data": {"state": "open", "profileName": "Toko"}}
    [first] = read(preset, json.dumps(opened).encode())
    connecting = {"event": "connection.update", "instance": "cs", "data": {"state": "connecting"}}

    [again] = preset.read(json.dumps(connecting).encode(), now=NOW, latest=NOW, known=lambda _: first.identity, path="")

    assert isinstance(again, SessionEvent)
    assert again.identity is first.identity


# Proof of the sender ------------------------------------------------------------------------------------------
def signed(body: bytes, *, secret: str = SECRET, algorithm: str = "sha512", prefix: str = "") -> str:
    return prefix + hmac.digest(secret.encode(), body, algorithm).hex()


def token(*, secret: str = SECRET, expires: float = NOW + 600, algorithm: str = "HS256") -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    text = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part({'iat': expires - 600, 'exp': expires})}"
    digest = hmac.digest(secret.encode(), text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


BODY = b'{"event": "session.status"}'
ACCEPTED = [
    pytest.param("evolution", {}, "", {"Authorization": SECRET}, id="the header"),
    pytest.param("evolution", {}, "connection-update", {"Authorization": SECRET}, id="the header, byEvents"),
    pytest.param("green-api", {}, "", {"Authorization": f"Bearer {SECRET}"}, id="a bearer token"),
    pytest.param("wwebjs", {}, "", {"x-api-key": SECRET}, id="the gateway's own header"),
    pytest.param("fonnte", {}, SECRET, {}, id="the path"),
    pytest.param("evolution", {"auth": "path"}, f"{SECRET}/connection-update", {}, id="the path, byEvents"),
    pytest.param("waha", {}, "", {"X-Webhook-Hmac": signed(BODY)}, id="SHA-512"),
    pytest.param(
        "openwa", {}, "", {"X-OpenWA-Signature": signed(BODY, algorithm="sha256", prefix="sha256=")}, id="SHA-256"
    ),
    pytest.param("evolution", {"auth": "jwt"}, "", {"Authorization": f"Bearer {token()}"}, id="a token"),
    pytest.param(
        "evolution", {"auth": "jwt"}, "", {"Authorization": f"Bearer {token(expires=NOW - 1700)}"}, id="a retry's token"
    ),
]
REFUSED = [
    pytest.param("evolution", {}, "", {}, id="nothing"),
    pytest.param("evolution", {}, SECRET, {}, id="the secret in the path of a header gateway"),
    pytest.param("evolution", {}, "", {"Authorization": SECRET.lower()}, id="another case"),
    pytest.param("fonnte", {}, SECRET.lower(), {}, id="the path in another case"),
    pytest.param("fonnte", {}, "", {"Authorization": SECRET}, id="the secret in a header of a path gateway"),
    pytest.param("fonnte", {}, f"x/{SECRET}", {}, id="the secret further down the path"),
    pytest.param("waha", {}, "", {"X-Webhook-Hmac": signed(b"{}")}, id="the signature of another body"),
    pytest.param("waha", {}, "", {"X-Webhook-Hmac": signed(BODY, secret="x")}, id="another key"),
    pytest.param("waha", {}, "", {"X-Webhook-Hmac": signed(BODY, algorithm="sha256")}, id="another hash"),
    pytest.param("waha", {}, "", {"Authorization": SECRET}, id="the key itself"),
    pytest.param("waha", {}, "", {"X-Webhook-Hmac": "é" * 128}, id="no hex"),
    *(
        pytest.param("evolution", {"auth": "jwt"}, "", {"Authorization": f"Bearer {text}"}, id=name)
        for name, text in {
            "an old token": token(expires=NOW - 1900),
            "a token of another key": token(secret="x"),
            "a token without algorithm": token(algorithm="none"),
            "half a token": token()[:40],
            "no token": "..",
            "a token in other letters": "é.é.é",
        }.items()
    ),
]


@pytest.mark.parametrize(("preset", "settings", "path", "headers"), ACCEPTED)
def test_who_knows_the_secret_is_let_in(preset, settings, path, headers, tmp_path):
    assert gateway(tmp_path, preset, **settings).proves(path, headers, BODY, SECRET)


@pytest.mark.parametrize(("preset", "settings", "path", "headers"), [*REFUSED, *ACCEPTED])
def test_a_stranger_is_not(preset, settings, path, headers, tmp_path, request):
    secret = SECRET if request.node.callspec.id in {p.id for p in REFUSED} else ""  # an empty one is nobody's

    assert not gateway(tmp_path, preset, **settings).proves(path, headers, BODY, secret)


# Configuration ------------------------------------------------------------------------------------------------
BAD = [
    ({"a_b": {"preset": "generic", "secret": "x"}}, "gateways.a_b: a gateway's name has 1 to 32 of a-z, 0-9 and -"),
    ({"csku": {"preset": "generic", "secret": "x"}}, "gateways.csku: "),
    ({"g": {"preset": "evolutoin", "secret": "x"}}, "gateways.g.preset: expected one of evolution, evolution-go, "),
    ({"g": {"secret": "x"}}, "gateways.g.preset: is required"),
    ({"g": {"preset": "waha"}}, "gateways.g.secret_file: is required"),
    ({"g": {"preset": "fonnte", "secret": "short"}}, "gateways.g.secret: stands in a path: expected at least 16"),
    ({"g": {"preset": "fonnte", "secret": "a/b-0123456789abcdef"}}, "gateways.g.secret: stands in a path"),
    ({"g": {"preset": "fonnte", "secret": SECRET, "auth": "hmac"}}, "gateways.g.auth: the preset fonnte signs nothing"),
    ({"g": {"preset": "gowa"}}, "gateways.g.state: is required: gowa sends no webhooks"),
    ({"g": {"preset": "generic", "secret": "x", "state": {"url": "http://a"}}}, "gateways.g.state: the preset generic"),
    ({"g": {"preset": "gowa", "state": {"url": "http://u:p@a"}}}, "gateways.g.state.url: expected a URL without"),
    ({"g": {"preset": "gowa", "state": {"url": "http://a", "every": "1s"}}}, "gateways.g.state.every: must be at lea"),
    ({"g": {"preset": "generic", "secret": "x", "timezone": "Jakarta"}}, "gateways.g.timezone: 'Jakarta' is no time"),
    ({"g": {"preset": "generic", "secret": "x", "soft_after": "2h"}}, "gateways.g.soft_after: must be at most 1h"),
    ({"g": {"preset": "generic", "secret": "x", "mapping": {"stat": {}}}}, "gateways.g.mapping: Object contains unkn"),
    (
        {"g": {"preset": "generic", "secret": "x", "mapping": {"session": "id"}}},
        "gateways.g.mapping.session: expected a pointer such as /data/state, got 'id'",
    ),
    (
        {"g": {"preset": "generic", "secret": "x", "mapping": {"state": {"is": {"up": "down"}}}}},
        "gateways.g.mapping.state.is.up: expected up, hard, soft, gone, ignored",
    ),
    (
        {"g": {"preset": "generic", "secret": "x", "mapping": {"state": {"is": {"x": "hard tired"}}}}},
        "gateways.g.mapping.state.is.x: expected up, hard",
    ),
]


@pytest.mark.parametrize(("gateways", "message"), BAD)
def test_a_mistake_is_named_with_its_place(gateways, message, tmp_path):
    with pytest.raises(ConfigError) as error:
        configured(tmp_path, gateways)

    assert f"exporter.yml: {message}" in str(error.value)


def test_what_is_left_out_comes_from_the_preset(tmp_path):
    gateways = configured(tmp_path, {"g": {"preset": "green-api", "secret": "x", "state": {"url": "http://a"}}})

    found = gateways["g"]
    assert (found.auth, found.soft_after, found.state and found.state.every) == ("header", 300, 60)


# The simulator ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", GATEWAYS)
def test_what_the_simulator_sends_is_understood_and_proved(name, tmp_path):
    preset, [first, *_] = gateway(tmp_path, name), make_fleet(3, 1)
    told = [
        device_event(first.identity, int(NOW) - 900 + second, up=up) for second in range(40) for up in (False, True)
    ]
    bodies = [json.dumps(body).encode() for payload in told for body in translator(name)(payload)]

    events = [event for body in bodies for event in read(preset, body)]

    assert all(
        preset.proves(path(name, SECRET).strip("/"), headers(name, body, SECRET), body, SECRET) for body in bodies
    )
    assert {event.state for event in events} == ({"up", "hard"} if name == "fonnte" else {"up", "hard", "soft"})
    assert {event.identity.device_id for event in events} == {f"gw:{first.identity.device_id}"}
    assert {event.at_ms // 1000 for event in events} >= {payload["timestamp"] for payload in told}
    assert translator(name)(connection_test(int(NOW))) == []
