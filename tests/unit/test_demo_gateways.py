"""The demo's gateways: something is down whenever one looks, and a webhook that is lost is known to the state API."""

from __future__ import annotations

import json
import time

from scripts.demo_gateways import TURN, Story, down_at
from scripts.demo_settings import GATEWAYS, device_ids, fleet


def test_whenever_one_looks_a_session_is_down_and_never_many():
    for now in range(1_788_000_000, 1_788_000_000 + 8 * TURN, 7):
        for gateway in GATEWAYS.values():
            down = down_at(now, gateway.sessions)
            assert 1 <= len(down) <= 2
            assert all(now - 2 * TURN < since <= now for since in down.values())


def test_each_session_has_a_turn():
    turns = {number for now in range(0, 6 * TURN, TURN) for number in down_at(now, 6)}
    assert turns == set(range(6))


def test_sessions_have_names_of_their_own():
    assert len(device_ids()) == sum(gateway.sessions for gateway in GATEWAYS.values())


async def test_the_state_api_knows_what_a_lost_webhook_did_not_tell():
    sent = []

    async def transport(body: bytes) -> str:
        sent.append(json.loads(body))
        return ""

    gateway = GATEWAYS["evolution-jkt"]
    story = Story(gateway, transport, loses=True)
    last = len(fleet(gateway)) - 1
    for state in ("up", "hard"):
        await story._tell(last, state, int(time.time()))

    assert [body["data"]["state"] for body in sent] == ["open"]
    told = json.loads((await story.sessions.handle(None)).body)  # type: ignore[arg-type, attr-defined]
    assert [one["connectionStatus"] for one in told] == ["close"]


async def test_what_could_not_be_sent_is_told_again():
    async def refused(_: bytes) -> str:
        return "503"

    story = Story(GATEWAYS["waha-bdg"], refused, loses=False)
    await story._tell(0, "hard", int(time.time()))
    assert story._up == {}
