"""A gateway's own word: two reads that agree mend what webhooks lost, and nothing else changes anything."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from exporter.config.gateways import preset_of, state_reader
from exporter.domain.identity import Identity
from exporter.errors import ConfigError
from exporter.gateways.events import SessionEvent
from exporter.report.availability import availability
from exporter.sessions import client, store
from exporter.sessions.poller import Poller
from exporter.simulate.fleet import make_fleet
from exporter.simulate.gateways import GATEWAYS, translator
from exporter.simulate.payloads import device_event
from exporter.simulate.state_api import GatewaySessions
from tests.fake_gateway import KEY, WORDS, FakeGateway, serving
from tests.unit.gateway_site import SECRET, configured
from tests.unit.test_sessions import SOFT_AFTER, T, sessioned

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.unit.test_sessions import Sessioned

EVERY = 60.0


class Polled:
    """A gateway whose one session `cs` is known to be up, and its poller."""

    def __init__(self, one: Sessioned, fake: FakeGateway, poller: Poller, session: Any) -> None:
        self.one, self.fake, self.poller, self._session = one, fake, poller, session
        self.corrected: list[str] = []
        self.blinded: list[int] = []

    async def ask(self, at: float) -> None:
        """Ask at T + `at` seconds."""
        await self.one.at(at)
        await self.poller.round(self._session)

    async def tell(self, kind: str, at: float) -> None:
        """Let a webhook come in."""
        who = Identity("gw:cs", "cs", "wa", "gw:cs", "cs", "biz", "", "", "", "gw")
        await self.one.sessions.take(SessionEvent(round((T + at) * 1000), kind, who))

    def state(self, session: str = "cs") -> tuple[str, int] | None:
        """Return the state and since when, relative to T."""
        device = self.one.recorder.fleet.devices.get(f"gw:{session}")
        if device is None:
            return None
        return "up" if device.timeline.up else "down", device.timeline.since - T

    async def blind(self) -> list[tuple[str, int, int]]:
        rows = await self.one.recorder.read(
            lambda reader: reader.rows('SELECT device_id, start, "end" FROM session_blind')
        )
        return [(device_id, start - T, end - T) for device_id, start, end in rows]


@asynccontextmanager
async def polled(
    tmp_path: Path, kind: str, *, path: str = "", known: bool = True, silent_after: str = ""
) -> AsyncIterator[Polled]:
    fake = FakeGateway(kind)
    folder = tmp_path / "data"
    folder.mkdir()
    async with sessioned(folder) as one, serving(fake) as url, client.client() as session:
        state = {"url": url + path, "key": KEY} | ({"silent_after": silent_after} if silent_after else {})
        settings = {"preset": kind, "secret": SECRET, "state": state}
        gateway = configured(tmp_path, {"gw": settings})["gw"]
        reader = state_reader(gateway)
        assert reader is not None
        assert gateway.reading is not None
        assert gateway.state is not None
        found = Polled(one, fake, None, session)  # type: ignore[arg-type]
        found.poller = Poller(
            preset_of("gw", gateway, one.site.clock),
            reader,
            one.recorder,
            one.sessions,
            every=EVERY,
            poll_only=not gateway.reading.webhook,
            corrected=found.corrected.append,
            blind=found.blinded.append,
            silent_after=gateway.state.silent_after or 0.0,
        )
        if known:
            fake.sessions["cs"] = "up"
            await found.tell("up", 0)
            await found.ask(10)
        yield found


ALL = [*((kind, "") for kind in WORDS), ("evolution", "/metrics")]


@pytest.mark.parametrize(("kind", "path"), ALL)
async def test_a_lost_webhook_is_mended_by_the_second_read_that_agrees(kind, path, tmp_path):
    """evolution-manager#12: nobody has to look; and two intervals are enough."""
    async with polled(tmp_path, kind, path=path) as site:
        site.fake.sessions["cs"] = "hard"
        await site.ask(70)
        assert site.state() == ("up", 0)

        await site.ask(130)

        assert site.state() == ("down", 130)
        assert await site.blind() == [("gw:cs", 10, 130)]
        assert site.corrected == ([] if kind == "gowa" else ["down"])
        site.fake.sessions["cs"] = "up"
        await site.ask(190)
        await site.ask(250)
        assert site.state() == ("up", 250)


async def test_the_blind_time_of_a_correction_is_the_same_in_metrics_and_report(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["cs"] = "hard"
        await site.ask(70)
        await site.ask(130)

        [row] = await site.one.recorder.read(
            lambda reader: availability(reader.histories(), blind=[], start=T, end=T + 200, by="device")
        )

    assert (row.observed_seconds, row.blind_seconds, row.downtime_seconds) == (80, 120, 70)
    assert sum(site.blinded) == row.blind_seconds
    assert row.outages == 1


async def test_a_clock_that_was_ahead_makes_no_blind_time_and_holds_up_no_correction(tmp_path):
    async with polled(tmp_path, "waha", known=False) as site:
        site.fake.sessions["cs"] = "up"
        await site.tell("up", 7200)
        await site.ask(7210)
        site.fake.sessions["cs"] = "hard"
        await site.ask(7270)  # and what is suspected by that clock is not waited for

        for at in (70, 130):  # it is set right
            await site.ask(at)

        assert site.state() == ("down", 7201)
        assert await site.blind() == []
        assert site.blinded == []
        site.fake.sessions["cs"] = "up"
        for at in (190, 250):
            await site.ask(at)
        assert site.state()[0] == "up"


async def test_a_start_survives_a_blind_time_that_ends_before_it_begins(tmp_path):
    async with polled(tmp_path, "waha") as site:
        wrong = partial(store.save_blind, device_id="gw:cs", start=T + 7200, end=T + 20)  # as a former version noted it
        await site.one.recorder.transact(store.PIECE.name, wrong)

        seconds = await site.one.recorder.transact(store.PIECE.name, store.blind_seconds)

        assert seconds == {}
        [row] = await site.one.recorder.read(
            lambda reader: availability(reader.histories(), blind=[], start=T, end=T + 200, by="device")
        )
        assert (row.observed_seconds, row.blind_seconds) == (200, 0)


async def test_the_gateways_own_time_counts_where_it_lies_in_the_blind_time(tmp_path):
    async with polled(tmp_path, "evolution") as site:
        site.fake.sessions["cs"] = "hard"
        site.fake.down_at["cs"] = "2026-09-21T13:57:25.000Z"  # T + 45
        await site.ask(70)
        await site.ask(130)

        assert site.state() == ("down", 45)


@pytest.mark.parametrize("thread", ["waha#2073", "one read"])
async def test_a_state_of_a_moment_changes_nothing(thread, tmp_path):
    async with polled(tmp_path, "waha") as site:
        for number in range(6):
            site.fake.sessions["cs"] = "hard" if number % 2 == 0 else "up"
            await site.ask(70 + number * 60)

        assert site.state() == ("up", 0), thread


async def test_two_reads_too_close_together_are_one(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["cs"] = "hard"
        for second in range(70, 100, 10):
            await site.ask(second)

        assert site.state() == ("up", 0)


async def test_a_session_that_had_an_event_meanwhile_is_left_alone(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["cs"] = "hard"
        await site.ask(70)
        await site.tell("up", 100)
        await site.ask(130)

        assert site.state() == ("up", 0)


async def test_a_session_that_waits_softly_is_left_alone(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["cs"] = "hard"
        await site.ask(70)
        await site.one.at(120)
        await site.tell("soft", 120)
        await site.ask(130)

        assert site.state() == ("up", 0)


async def test_a_session_that_hangs_in_a_soft_state_is_found(tmp_path):
    """evolution-api#2257, evolution-api#2401, evolution-api#2665."""
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["cs"] = "soft"
        await site.ask(70)
        await site.ask(130)
        assert site.state() == ("up", 0)

        await site.ask(130 + SOFT_AFTER)

        assert site.state() == ("down", 70)


async def test_a_soft_state_that_only_the_api_told_ends_with_the_first_read_that_says_so(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["cs"] = "soft"
        await site.ask(70)
        await site.ask(130)
        site.fake.sessions["cs"] = "up"
        await site.ask(180)
        await site.ask(400)

        assert site.state() == ("up", 0)


async def test_an_outage_whose_connect_was_lost_heals(tmp_path):
    """evolution-go#187, evolution-api#2420."""
    async with polled(tmp_path, "evolution") as site:
        await site.tell("hard", 20)
        await site.ask(70)
        await site.ask(130)

        assert site.state() == ("up", 130)
        assert site.corrected == ["up"]


async def test_a_gateway_without_webhooks_makes_its_sessions_known_when_they_are_up(tmp_path):
    """go-whatsapp-web-multidevice#430."""
    async with polled(tmp_path, "gowa", known=False) as site:
        site.fake.sessions |= {"cs-1": "up", "cs-2": "hard", "cs-3": "soft"}
        await site.ask(10)
        await site.ask(70)

        assert [site.state(name) for name in ("cs-1", "cs-2", "cs-3")] == [("up", 70), None, None]


async def test_a_correction_leaves_a_device_with_the_business_that_its_gateway_named(tmp_path):
    async with polled(tmp_path, "waha") as site:
        for at, word in ((70, "hard"), (130, "hard"), (190, "up"), (250, "up")):
            site.fake.sessions["cs"] = word
            await site.ask(at)
            assert site.one.recorder.fleet.devices["gw:cs"].identity.business_id == "biz"

        assert site.corrected == ["down", "up"]


LISTS = [(kind, path) for kind, path in ALL if kind not in ("green-api", "z-api", "wppconnect")]


@pytest.mark.parametrize(("kind", "path"), LISTS)
async def test_a_session_that_the_list_has_no_more_was_stopped(kind, path, tmp_path):
    async with polled(tmp_path, kind, path=path) as site:
        site.fake.sessions["other"] = "up"
        await site.ask(70)
        await site.ask(130)
        del site.fake.sessions["cs"]
        await site.ask(190)
        assert site.state() == ("up", 0)

        await site.ask(250)

        device = site.one.recorder.fleet.down["gw:cs"]
        assert (site.state(), site.state("other")) == (("down", 250), ("up", 130))
        assert site.one.sessions.reasons.of(device) == "stopped"
        assert await site.blind() == [("gw:cs", 130, 250)]
        site.fake.sessions["cs"] = "up"
        await site.ask(310)
        await site.ask(370)
        assert site.state() == ("up", 370)


async def test_the_only_session_of_a_gateway_can_be_stopped(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions.clear()
        await site.ask(70)
        await site.ask(130)

        assert site.state() == ("down", 130)


async def test_an_empty_list_stops_nothing_while_several_sessions_are_up(tmp_path, caplog):
    async with polled(tmp_path, "waha") as site:
        site.fake.sessions["other"] = "up"
        await site.ask(70)
        await site.ask(130)
        site.fake.sessions.clear()
        for at in (190, 250, 310):
            await site.ask(at)

        assert (site.state(), site.state("other"), site.poller.up) == (("up", 0), ("up", 130), False)
        assert any("list of sessions is empty, but 2 are up" in str(vars(record)) for record in caplog.records)


async def test_a_session_that_the_list_never_had_is_left_to_its_webhooks(tmp_path):
    async with polled(tmp_path, "waha", known=False) as site:
        site.fake.sessions["other"] = "up"
        await site.tell("up", 0)
        for at in (10, 70, 130, 190):
            await site.ask(at)

        assert site.state() == ("up", 0)


async def test_a_session_that_is_listed_in_a_state_that_nobody_knows_is_not_missing(tmp_path):
    async with polled(tmp_path, "evolution", path="/metrics") as site:
        lines = [f'evolution_instance_state{{instance="cs",state="{state}"}} 0' for state in ("open", "close")]
        site.fake.answer = "\n".join(lines).encode()
        for at in (70, 130, 190):
            await site.ask(at)

        assert (site.state(), site.poller.up) == (("up", 0), True)


BROKEN = [
    pytest.param({"status": 500}, id="a failure"),
    pytest.param({"status": 302}, id="a redirect"),
    pytest.param({"status": 401}, id="a wrong key"),
    pytest.param({"answer": b"<html>"}, id="no JSON"),
    pytest.param({"answer": b'{"status": false, "reason": "invalid"}'}, id="no list"),
]


@pytest.mark.parametrize("how", BROKEN)
async def test_a_gateway_that_does_not_answer_is_not_down(how, tmp_path):
    async with polled(tmp_path, "waha") as site:
        for name, value in how.items():
            setattr(site.fake, name, value)
        asked = len(site.fake.requests)
        for at in (70, 130, 190):
            await site.ask(at)

        assert (site.state(), site.poller.up, site.poller.read_at) == (("up", 0), False, T + 10)
        assert not any("elsewhere" in request for request in site.fake.requests)
        assert len(site.fake.requests) > asked
        assert EVERY < site.poller.pause <= 2 * EVERY
        site.fake.status, site.fake.answer = 200, None
        await site.ask(250)
        assert site.poller.up is True


async def test_a_gateway_that_is_gone_is_unreachable(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.poller._reader._base = "http://127.0.0.1:1"
        await site.ask(70)

        assert (site.poller.up, site.state()) == (False, ("up", 0))


async def test_an_answer_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "LARGEST", 1000)
    async with polled(tmp_path, "waha") as site:
        site.fake.answer = b"[" + b" " * 5000 + b"]"
        await site.ask(70)

        assert site.poller.up is False


@pytest.mark.parametrize("kind", ["evolution", "waha"])
async def test_webhook_settings_that_are_gone_are_seen(kind, tmp_path):
    """evolution-api#2694, evolution-api#2027, waha#1539."""
    async with polled(tmp_path, kind) as site:
        assert site.poller.configured is None
        site.fake.webhooks["cs"] = "https://mon.example/webhook/gw/x"
        await site.ask(70)
        assert site.poller.configured is True

        site.fake.webhooks.clear()
        await site.ask(130)

        assert site.poller.configured is False


async def test_one_request_asks_for_all_sessions_of_a_gateway(tmp_path):
    async with polled(tmp_path, "fonnte") as site:
        site.fake.sessions |= {f"62814{number}": "up" for number in range(100)}
        site.fake.requests.clear()
        await site.ask(70)

        assert site.fake.requests == ["/get-devices"]


async def test_each_session_can_have_its_own_key(tmp_path):
    gateway = configured(
        tmp_path,
        {
            "g": {
                "preset": "green-api",
                "secret": "x",
                "state": {"url": "https://a", "key": "1101 token-a\n1102 token-b\n"},
            }
        },
    )["g"]
    reader = state_reader(gateway)
    assert reader is not None

    assert reader.call("1102").url == "https://a/waInstance1102/getStateInstance/token-b"


@pytest.mark.parametrize("kind", WORDS)
async def test_no_token_of_an_answer_reaches_a_disk_or_a_log(kind, tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    async with polled(tmp_path, kind) as site:
        site.fake.sessions["cs"] = "hard"
        await site.ask(70)
        await site.ask(130)
        site.fake.answer = b'{"CANARY-TOKEN'
        await site.ask(190)
        site.fake.answer, site.fake.status = None, 500
        await site.ask(250)

        kept = b"".join(file.read_bytes() for file in (tmp_path / "data").iterdir() if file.is_file())
    assert b"gw:cs" in kept
    logs = " ".join(
        record.getMessage() for record in caplog.records if record.name != "aiohttp.access"
    )  # the fake's own
    for place in (kept, logs.encode()):
        assert b"CANARY" not in place
        assert KEY.encode() not in place


# The simulator's ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", GATEWAYS)
async def test_the_simulators_state_api_mends_what_its_webhooks_lost_although_it_lies(kind, tmp_path):
    [first, *_] = make_fleet(1, 1)
    up = [device_event(first.identity, T, up=True)]
    down = [device_event(first.identity, T + 100, up=False)]
    lost = GatewaySessions(kind, translator(kind), lost=1.0, lies=0.5, seed=1)
    assert [told for payload in (*up, *down) for told in lost(payload)] == []
    async with polled(tmp_path, kind, known=False) as site:

        async def asked(first_at: float) -> str:
            for minute in range(30):
                site.fake.answer = bytes((await lost.handle(None)).body)  # type: ignore[arg-type, attr-defined]
                await site.ask(first_at + 60 * minute)
            return (site.state(first.identity.device_id) or ("none", 0))[0]

        assert await asked(100) == "none"  # a session that was never told of and is down
        lost(device_event(first.identity, T + 2000, up=True))
        assert await asked(2000) == "up"
        lost(device_event(first.identity, T + 4000, up=False))
        assert await asked(4000) == "down"


SILENT = ("evolution-api#1398", "evolution-api#2403", "evolution-api#2443", "evolution-api#1153")
SILENT_WAHA = ("waha#137", "waha#215", "waha#223", "waha#1931", "waha#925", "waha#2151")


@pytest.mark.parametrize(("kind", "threads"), [("evolution", SILENT), ("waha", SILENT_WAHA)], ids=["evolution", "waha"])
async def test_a_session_that_is_called_connected_and_has_no_message_is_silent_and_not_down(
    kind, threads, tmp_path, caplog
):
    async with polled(tmp_path, kind, silent_after="1h") as site:
        site.fake.messages["cs"] = 100
        await site.ask(60)
        await site.ask(3600)
        assert list(site.poller.silence.silent()) == [], threads

        await site.ask(3660)
        await site.ask(3720)

        assert list(site.poller.silence.silent()) == [("cs", T + 60)], threads
        assert site.state() == ("up", 0)
        assert sum("no message goes through" in record.message for record in caplog.records) == 1
        site.fake.messages["cs"] = 101
        await site.ask(3780)
        assert list(site.poller.silence.silent()) == []


async def test_a_session_that_is_not_connected_or_gone_is_not_silent(tmp_path):
    async with polled(tmp_path, "waha", silent_after="1h") as site:
        site.fake.messages.update(cs=1, gone=1)
        site.fake.sessions["gone"] = "up"
        await site.ask(60)
        await site.ask(3660)
        assert [session for session, _ in site.poller.silence.silent()] == ["cs", "gone"]

        site.fake.sessions["cs"] = "hard"
        del site.fake.sessions["gone"]
        await site.ask(3720)

        assert list(site.poller.silence.silent()) == []


async def test_nobody_is_silent_unless_it_was_asked_for(tmp_path):
    async with polled(tmp_path, "waha") as site:
        site.fake.messages["cs"] = 1
        await site.ask(60)
        await site.ask(400_000)

        assert list(site.poller.silence.silent()) == []


def test_silence_is_refused_where_the_gateway_does_not_tell_of_messages(tmp_path):
    state = {"url": "http://gowa:3000", "silent_after": "6h"}
    with pytest.raises(ConfigError, match="does not tell whether a session has messages"):
        configured(tmp_path, {"gw": {"preset": "gowa", "state": state}})
