"""The simulated fleet: repeatable, believable, and sent as the platform sends."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from exporter.cli import simulate as cli
from exporter.cli.main import main
from exporter.cli.main import parse as parse_arguments
from exporter.domain.timeline import Kind, fold
from exporter.gateways.csku.parse import parse
from exporter.gateways.events import DeviceEvent, MessageEvent, TestEvent
from exporter.simulate.fleet import make_fleet
from exporter.simulate.outages import DAY, WIB, MassOutage, mass_outages
from exporter.simulate.payloads import connection_test
from exporter.simulate.sender import HttpTransport, Sender
from exporter.simulate.speed import Pace
from exporter.simulate.traffic import PROFILES, RETRY_AFTER, Profile, Sending, generate

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

START = 1_760_000_000
MONTH = 30 * DAY
QUIET = Profile(severity=0, mass_per_month=0, duplicated=0, delayed=0, resent=0, repeated=0)


def month(profile: Profile = PROFILES["normal"], seed: int = 1, devices: int = 60) -> list[Sending]:
    fleet = make_fleet(devices, seed)
    return list(generate(fleet, seed=seed, start=START, end=START + MONTH, profile=profile))


def key(sending: Sending) -> tuple[str, str, int]:
    return sending.payload["event"], sending.payload["device"]["id"], sending.payload["timestamp"]


def test_the_same_seed_gives_the_same_sendings() -> None:
    assert month(seed=7) == month(seed=7)


def test_another_seed_gives_other_sendings() -> None:
    assert month(seed=7) != month(seed=8)


def test_sendings_come_in_the_order_in_which_they_are_sent() -> None:
    times = [sending.send_at for sending in month(PROFILES["stormy"])]
    assert times == sorted(times)


def test_nothing_is_sent_before_it_happened_or_outside_the_window() -> None:
    for sending in month(PROFILES["stormy"]):
        assert START <= sending.payload["timestamp"] <= sending.send_at < START + MONTH


def test_every_body_is_an_event_of_the_platform() -> None:
    chatty = Profile(messages_per_day=40)
    fleet = make_fleet(30, 1)
    sendings = list(generate(fleet, seed=1, start=START, end=START + DAY, profile=chatty))
    kinds = {type(parse(json.dumps(s.payload).encode(), latest=s.send_at)) for s in sendings}
    assert kinds == {DeviceEvent, MessageEvent}
    test = json.dumps(connection_test(START)).encode()
    assert isinstance(parse(test, latest=START), TestEvent)


def test_a_month_has_duplicates_and_events_out_of_order() -> None:
    sendings = month()
    assert max(Counter(map(key, sendings)).values()) > 1
    newest: dict[str, int] = defaultdict(int)
    late = 0
    for sending in sendings:
        device, timestamp = sending.payload["device"]["id"], sending.payload["timestamp"]
        late += timestamp < newest[device]
        newest[device] = max(newest[device], timestamp)
    assert late > 0


def test_some_events_repeat_what_is_known_at_another_time() -> None:
    by_device: dict[str, dict[int, str]] = defaultdict(dict)
    for sending in month(PROFILES["stormy"]):
        by_device[sending.payload["device"]["id"]][sending.payload["timestamp"]] = sending.payload["status"]
    repeated = sum(
        a == b == "disconnected"
        for statuses in by_device.values()
        for (_, a), (_, b) in itertools.pairwise(sorted(statuses.items()))
    )
    assert repeated > 0


def test_a_months_availability_is_believable() -> None:
    events: dict[str, set[tuple[int, Kind]]] = defaultdict(set)
    for sending in month(devices=200):
        kind = Kind.CONNECTED if sending.payload["status"] == "connected" else Kind.DISCONNECTED
        events[sending.payload["device"]["id"]].add((sending.payload["timestamp"], kind))
    timelines = [timeline for timeline in map(fold, events.values()) if timeline is not None]
    down = sum(timeline.downtime(START + MONTH) for timeline in timelines)
    observed = sum(START + MONTH - timeline.first_seen for timeline in timelines)
    assert len(timelines) == 200
    assert 0.98 < 1 - down / observed < 0.9995
    assert sum(timeline.outages <= 4 for timeline in timelines) > 50
    assert max(timeline.outages for timeline in timelines) > 30


def test_outages_are_more_frequent_by_day_than_at_midnight() -> None:
    starts = Counter(
        (s.payload["timestamp"] + WIB) % DAY // 3_600
        for s in month(Profile(mass_per_month=0, duplicated=0), devices=200)
        if s.payload["status"] == "disconnected"
    )
    assert sum(starts[hour] for hour in (8, 9, 10, 11)) > 2 * sum(starts[hour] for hour in (22, 23, 0, 1))


def test_a_mass_outage_takes_most_of_one_engine_down_within_its_onset() -> None:
    incident = MassOutage("wa", START + 3_600, 1_800, fraction=0.9, onset=60)
    fleet = make_fleet(100, 1)
    sendings = list(generate(fleet, seed=1, start=START, end=START + DAY, profile=QUIET, incidents=[incident]))
    wa = {device.identity.device_id for device in fleet if device.identity.engine == "wa"}
    down = {
        s.payload["device"]["id"]: s.payload["timestamp"] for s in sendings if s.payload["status"] == "disconnected"
    }
    assert down.keys() <= wa
    assert 0.75 * len(wa) < len(down) < len(wa)
    assert all(incident.start - 1 <= at <= incident.start + 60 for at in down.values())


def test_an_incident_that_began_before_goes_on_in_the_next_run_with_the_same_devices() -> None:
    split = START + DAY
    incident = MassOutage("wa", split - 900, 3_600, fraction=0.8, onset=20)
    fleet = make_fleet(100, 1)

    def run(start: int, end: int) -> list[tuple[str, str, int]]:
        sent = generate(fleet, seed=1, start=start, end=end, profile=QUIET, incidents=[incident])
        return [(s.payload["device"]["id"], s.payload["status"], s.payload["timestamp"]) for s in sent]

    past, live = run(START, split), run(split, split + DAY)
    down = {device for device, status, _ in past if status == "disconnected"}
    still_down = {device for device, status, at in live if status == "disconnected" and at < split + 10}
    assert len(down) > 10
    assert still_down == down
    first = {device: status for device, status, _ in reversed(live)}
    assert {device for device, status in first.items() if status == "disconnected"} == down
    back = [at for device, status, at in live if device in down and status == "connected"]
    assert len(back) == len(down)
    assert min(back) >= split + 2_700


def test_an_incident_that_is_over_leaves_no_trace() -> None:
    over = MassOutage("wa", START - 4_000, 60, fraction=1.0, onset=20)
    fleet = make_fleet(40, 1)
    with_it, without = (
        list(generate(fleet, seed=1, start=START, end=START + DAY, profile=QUIET, incidents=given))
        for given in ([over], [])
    )
    assert with_it == without


def test_mass_outages_depend_on_the_day_and_not_on_the_run() -> None:
    days = range(20_000, 20_400)
    found = [outage for day in days for outage in mass_outages("wa", day, per_month=1.0, seed=1)]
    again = [outage for day in reversed(days) for outage in mass_outages("wa", day, per_month=1.0, seed=1)]
    assert found == again[::-1]
    assert 5 < len(found) < 30


@pytest.mark.parametrize("devices", [1, 7, 500])
def test_a_fleet_has_as_many_devices_as_asked_for(devices: int) -> None:
    fleet = make_fleet(devices, 3)
    assert len({device.identity.device_id for device in fleet}) == len(fleet) == devices


def test_a_channel_belongs_to_one_engine_and_one_business() -> None:
    owners = defaultdict(set)
    for device in make_fleet(500, 3):
        owners[device.identity.channel_id].add((device.identity.engine, device.identity.business_id))
    assert {len(owner) for owner in owners.values()} == {1}


def test_a_long_history_starts_with_most_devices_and_gains_the_rest() -> None:
    first: dict[str, int] = {}
    for sending in month(devices=200):
        at = sending.payload["timestamp"]
        first[sending.payload["device"]["id"]] = min(at, first.get(sending.payload["device"]["id"], at))
    late = sum(at > START + DAY for at in first.values())
    assert 5 < late < 50


def test_an_endless_simulation_begins_at_once() -> None:
    sendings = generate(make_fleet(20, 1), seed=1, start=START, end=float("inf"), profile=PROFILES["normal"])
    first = list(itertools.islice(sendings, 20))
    assert {s.payload["status"] for s in first} == {"connected"}
    assert len({s.payload["device"]["id"] for s in first}) == 20


# Sending ------------------------------------------------------------------------------------------------------


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class FakeReceiver:
    """Answers with the given errors one after the other, then accepts."""

    def __init__(self, *errors: str) -> None:
        self.errors = list(errors)
        self.bodies: list[dict[str, object]] = []

    async def __call__(self, body: bytes) -> str:
        self.bodies.append(json.loads(body))
        return self.errors.pop(0) if self.errors else ""


def sending(at: float, device: str = "d1", status: str = "connected") -> Sending:
    return Sending(at, {"event": f"device.{status}", "timestamp": int(at), "device": {"id": device}, "status": status})


async def send(receiver: FakeReceiver, pace: Pace, *sendings: Sending, now: float = START) -> tuple[Sender, FakeTime]:
    clock = FakeTime(now)
    sender = Sender(receiver, pace, clock=clock, sleep=clock.sleep, lanes=2)
    await sender.run(sendings)
    return sender, clock


async def test_history_is_sent_without_waiting() -> None:
    receiver = FakeReceiver()
    _, clock = await send(receiver, Pace(START), sending(START - 500), sending(START - 100))
    assert clock.slept == []
    assert [body["timestamp"] for body in receiver.bodies] == [START - 500, START - 100]


async def test_live_events_wait_for_their_time() -> None:
    _, clock = await send(FakeReceiver(), Pace(START), sending(START + 10), sending(START + 30))
    assert clock.slept == [10, 20]


async def test_live_time_passes_faster_and_the_bodies_carry_the_real_time() -> None:
    receiver = FakeReceiver()
    _, clock = await send(receiver, Pace(START, speed=60), sending(START - 60), sending(START + 600))
    assert clock.slept == [10]
    assert [body["timestamp"] for body in receiver.bodies] == [START - 60, START + 10]


@pytest.mark.parametrize(
    ("errors", "tries", "sent", "failed"),
    [
        pytest.param([], 1, 1, 0, id="a 2xx is not repeated"),
        pytest.param(["503"], 2, 1, 0, id="one failure is tried again"),
        pytest.param(["503"] * 3, 4, 1, 0, id="the third retry may succeed"),
        pytest.param(["503"] * 4, 4, 0, 1, id="after the third retry it is given up"),
    ],
)
async def test_failures_are_retried_as_the_platform_does(errors: list[str], tries: int, sent: int, failed: int) -> None:
    receiver = FakeReceiver(*errors)
    sender, clock = await send(receiver, Pace(START, speed=10), sending(START - 5))
    assert (len(receiver.bodies), sender.tally.sent, sender.tally.failed) == (tries, sent, failed)
    assert sender.tally.retries == tries - 1
    assert clock.slept == [RETRY_AFTER / 10] * (tries - 1)


async def test_a_live_event_does_not_wait_for_the_retry_of_another() -> None:
    receiver = FakeReceiver("timed out")
    clock = FakeTime(START)
    sender = Sender(receiver, Pace(START - 1), clock=clock, sleep=clock.sleep, lanes=1)
    await sender.run([sending(START), sending(START, status="disconnected")])
    assert [body["status"] for body in receiver.bodies] == ["connected", "disconnected", "connected"]


async def test_the_secret_and_the_content_type_are_sent_and_the_answers_judged() -> None:
    seen: list[tuple[str | None, str]] = []

    async def handle(request: web.Request) -> web.Response:
        seen.append((request.headers.get("Authorization"), request.content_type))
        return web.Response(status=204 if len(seen) == 1 else 503, text=None if len(seen) == 1 else "journal is away")

    app = web.Application()
    app.router.add_post("/webhook", handle)
    async with (
        TestServer(app) as server,
        HttpTransport(str(server.make_url("/webhook")), lambda _: {"Authorization": "s3cret"}, connections=2) as post,
    ):
        assert await post(b"{}") == ""
        assert await post(b"{}") == "503 journal is away"
    assert seen == [("s3cret", "application/json")] * 2


async def test_a_receiver_that_is_away_is_an_error_and_not_an_exception(unused_tcp_port: int) -> None:
    async with HttpTransport(f"http://127.0.0.1:{unused_tcp_port}/webhook", lambda _: {}, connections=1) as post:
        assert "Cannot connect" in await post(b"{}")


# The command --------------------------------------------------------------------------------------------------


def arguments(*options: str) -> argparse.Namespace:
    return parse_arguments(["simulate", *options])


INF = float("inf")
PLANS: dict[str, tuple[list[str], tuple[float, float, float]]] = {
    "without options it runs live until interrupted": ([], (START, START, INF)),
    "a duration ends it": (["--duration", "1h"], (START, START, START + 3_600)),
    "live time passes faster": (["--duration", "1m", "--speed", "60x"], (START, START, START + 3_600)),
    "history stops at now": (["--history", "30d"], (START - MONTH, START, START)),
    "history with a duration goes on live": (
        ["--history", "1d", "--duration", "10m"],
        (START - DAY, START, START + 600),
    ),
    "history with duration 0 goes on until interrupted": (
        ["--history", "1d", "--duration", "0"],
        (START - DAY, START, INF),
    ),
    "a gateway that signs tells of its last hours": (
        ["--gateway", "waha", "--history", "23h"],
        (START - 23 * 3_600, START, START),
    ),
    "a gateway that does not sign tells of a month": (
        ["--gateway", "fonnte", "--history", "30d"],
        (START - MONTH, START, START),
    ),
    "a window in the past is history": (
        ["--from", str(START - 500), "--to", str(START - 100)],
        (START - 500, START - 100, START - 100),
    ),
}


@pytest.mark.parametrize(("options", "expected"), PLANS.values(), ids=PLANS.keys())
def test_options_make_a_plan(options: list[str], expected: tuple[float, float, float]) -> None:
    plan = cli.make_plan(arguments(*options), now=START)
    assert (plan.start, plan.live_from, plan.end) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--history", "1d", "--from", "2025-01-01"], "exclude", id="two starts"),
        pytest.param(["--to", str(START - 100)], "needs --from", id="an end without a start"),
        pytest.param(["--from", str(START - 9), "--to", str(START + 9)], "future", id="an end in the future"),
        pytest.param(["--from", str(START - 9), "--to", str(START - 10)], "must end after", id="an end before start"),
        pytest.param(["--gateway", "waha", "--history", "1d"], "replay: at most --history 23h", id="signed, a day ago"),
    ],
)
def test_plans_that_contradict_themselves_are_refused(options: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cli.make_plan(arguments(*options), now=START)


def test_a_file_of_json_lines_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    window = ["--from", str(START), "--to", str(START + 3 * DAY), "--devices", "12"]
    texts = []
    for name in ("a", "b"):
        args = arguments(*window, "--output", str(tmp_path / name))
        assert cli.run(args) == 0
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1]
    lines = [json.loads(line) for line in texts[0].splitlines()]
    assert len({line["payload"]["device"]["id"] for line in lines}) == 12
    assert [line["send_at"] for line in lines] == sorted(line["send_at"] for line in lines)


def test_without_a_secret_nothing_is_sent(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv(cli.SECRET_VARIABLE, raising=False)
    monkeypatch.delenv(f"{cli.SECRET_VARIABLE}_FILE", raising=False)
    assert main(["simulate", "--duration", "1s"]) == 2
    assert "no webhook secret" in capsys.readouterr().err
