"""A second sender, made up: other shapes, another proof, other answers, served by the same listener."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.domain.identity import Identity
from exporter.errors import InvalidEvent, JournalUnavailable, Overloaded
from exporter.gateways.events import DeviceEvent, IgnoredEvent
from exporter.web.public import Door
from tests.unit.web_site import EVENT, NOW, Settings, exchange, post, running

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from exporter.gateways.events import Known, Seen
    from tests.unit.web_site import Answer

KEY = "kunci-7"


class Ayam:
    """Signs the bytes of a form or of JSON, tells of several sessions at once in milliseconds, fears 4xx."""

    name = "ayam"
    event_types = frozenset(("device.connected", "device.disconnected", "session"))
    media_types = frozenset(("application/json", "application/x-www-form-urlencoded"))
    signs_body = True
    refuses_invalid = False

    def proves(self, path: str, headers: Mapping[str, str], body: bytes, secret: str) -> bool:
        expected = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
        given = headers.get("x-signature", "").encode("utf-8", "surrogateescape")
        return bool(secret) and path in ("", "state") and hmac.compare_digest(given, expected.encode())

    def read(self, body: bytes, *, now: float, latest: float, known: Known, path: str) -> Sequence[Seen]:  # noqa: ARG002
        try:
            told = msgspec.json.decode(body, type=list[tuple[str, str, int]])
        except msgspec.MsgspecError:
            raise InvalidEvent("invalid_json", "is no list of sessions") from None
        return [self._event(session, state, at) for session, state, at in told]

    def _event(self, session: str, state: str, at: int) -> Seen:
        if state not in ("on", "off"):
            return IgnoredEvent()
        identity = Identity(f"ayam:{session}", "", "wa", f"ayam:{session}", "", "biz_3", "", "", "")
        return DeviceEvent(at // 1000, state == "on", identity)

    def type_of(self, body: bytes) -> str:
        return "session" if b"session" in body else "other"

    def redact(self, body: bytes) -> tuple[bytes | None, str]:
        return b'{"kept": true}', hashlib.sha256(body).hexdigest()


DOORS = {"/webhook/ayam": Door(Ayam(), lambda: Settings(secret=KEY, max_body=200_000))}


def told(*sessions: tuple[str, str, int]) -> bytes:
    return json.dumps(sessions).encode()


def signed(body: bytes, path: str = "/webhook/ayam", *, secret: str = KEY, **headers: str) -> bytes:
    """Return a request as this sender makes it."""
    signature = hmac.digest(secret.encode(), body, hashlib.sha256).hex()
    return post(body, secret=None, X_Signature=signature, **headers).replace(b"/webhook", path.encode(), 1)


ONE = told(("cs-1", "off", 1738056000123))


@pytest.mark.parametrize("path", ["/webhook/ayam", "/webhook/ayam/state", "/webhook/ayam?x=1", "/webhook/%61yam"])
async def test_its_events_are_taken_where_it_sends_them(path):
    async with running(doors=DOORS) as site:
        answer = await exchange(site.public, signed(ONE, path))

        assert (answer.status, answer.body) == (200, b"OK")
        assert [(e.identity.device_id, e.timestamp, e.up) for e in site.recorder.submitted] == [
            ("ayam:cs-1", 1738056000, False)
        ]
        assert site.counted("accepted", "device.disconnected") == 1


async def test_several_events_of_one_body_are_stored_in_their_order_and_counted_one_by_one():
    body = told(("cs-1", "off", 1738056000000), ("cs-2", "pairing", 0), ("cs-1", "on", 1738056001000))
    async with running(doors=DOORS) as site:
        assert (await exchange(site.public, signed(body))).status == 200

        assert [(e.identity.device_id, e.up) for e in site.recorder.submitted] == [
            ("ayam:cs-1", False),
            ("ayam:cs-1", True),
        ]
        assert site.all_counted() == {
            ("device.disconnected", "accepted"): 1,
            ("device.connected", "accepted"): 1,
            ("other", "ignored"): 1,
        }


async def test_a_body_that_tells_nothing_is_ignored():
    async with running(doors=DOORS) as site:
        assert (await exchange(site.public, signed(b"[]"))).status == 200
        assert site.all_counted() == {("other", "ignored"): 1}


@pytest.mark.parametrize("failure", [JournalUnavailable("no disk"), Overloaded("too many")])
async def test_a_body_of_which_something_is_not_stored_must_come_again(failure):
    body = told(("cs-2", "pairing", 0), ("cs-1", "off", 1738056000000))
    async with running(doors=DOORS) as site:
        site.recorder.failure = failure
        answer = await exchange(site.public, signed(body))

        assert (answer.status, answer.code, answer.headers["retry-after"]) == (503, failure.code, "30")


async def test_what_cannot_be_understood_is_quarantined_and_answered_with_success():
    async with running(doors=DOORS) as site:
        answer = await exchange(site.public, signed(b'{"session": 1}'))

        assert (answer.status, json.loads(answer.body)) == (200, {"quarantined": "invalid_json"})
        [(code, _, payload, _)] = site.recorder.quarantined
        assert (code, payload) == ("invalid_json", b'{"kept": true}')
        assert site.all_counted() == {("session", "invalid"): 1, ("session", "quarantined"): 1}


async def test_what_cannot_be_kept_either_must_come_again():
    async with running(doors=DOORS) as site:
        site.recorder.failure = JournalUnavailable("no disk")

        assert (await exchange(site.public, signed(b"{}"))).status == 503


STRANGERS = [
    pytest.param(signed(ONE, secret="wrong"), id="another secret"),
    pytest.param(signed(ONE).replace(b"cs-1", b"cs-2"), id="a changed body"),
    pytest.param(signed(ONE, "/webhook/ayam/elsewhere"), id="a path that it does not use"),
    pytest.param(post(ONE, secret=KEY).replace(b"/webhook", b"/webhook/ayam", 1), id="the secret itself"),
    pytest.param(post(json.dumps(EVENT).encode()).replace(b"/webhook", b"/webhook/ayam", 1), id="another's secret"),
]


@pytest.mark.parametrize("request_bytes", STRANGERS)
async def test_only_its_own_proof_counts(request_bytes):
    async with running(doors=DOORS) as site:
        answer = await exchange(site.public, request_bytes)

        assert (answer.status, answer.code) == (401, "unauthorized")
        assert site.recorder.submitted == []
        assert site.recorder.quarantined == []


async def test_each_gateway_has_its_own_bound_and_media_types():
    large = told(*(("cs-1", "pairing", 0) for _ in range(5000)))
    async with running(doors=DOORS) as site:

        async def status(request: bytes) -> int:
            return (await exchange(site.public, request)).status

        assert len(large) > site.settings.max_body
        assert await status(signed(large)) == 200
        assert await status(post(large)) == 413
        form: dict[str, Any] = {"content_type": "application/x-www-form-urlencoded"}
        assert await status(signed(ONE, **form)) == 200
        assert await status(post(json.dumps(EVENT).encode(), **form)) == 415


@pytest.mark.parametrize("path", ["/webhook/bebek", "/webhook/", "/webhook//ayam", "/webhook/ayam2", "/ayam"])
async def test_nobody_is_behind_other_paths(path):
    async with running(doors=DOORS) as site:
        answer: Answer = await exchange(site.public, signed(ONE, path))
        assert (answer.status, answer.code) == (404, "not_found")


async def test_the_built_in_gateway_is_as_it_was_beside_it():
    async with running(doors=DOORS) as site:
        assert (await exchange(site.public, post(json.dumps(EVENT).encode()))).status == 200
        assert (await exchange(site.public, post(b"{}"))).status == 400
        assert (await exchange(site.public, post(json.dumps(EVENT).encode(), secret=KEY))).status == 401
        assert site.recorder.submitted[0].timestamp < NOW
