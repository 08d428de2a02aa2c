"""Windows and the journal kept in step: boundaries, stops, new and renamed devices, a full disk, API and command."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from aiohttp import web

from exporter.alerting.fleet_alerts import FleetAlerts
from exporter.cli.main import main
from exporter.cli.maintenance import _when
from exporter.config.schema import Config, Match
from exporter.config.schema import Maintenance as Configured
from exporter.domain.policy import Policies, Policy
from exporter.domain.thresholds import running_due
from exporter.errors import JournalUnavailable
from exporter.incidents.open_incidents import OpenIncidents
from exporter.maintenance.api import MaintenanceApi
from exporter.maintenance.api_types import MaintenanceWindow, Which
from exporter.maintenance.service import Maintenance
from exporter.maintenance.windows import Window
from exporter.web.admin import _typed_errors
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from exporter.domain.fleet import Change
    from exporter.recording.recorder import Recorder


class Desk:
    """A recorder and its maintenance; the test says when time passes."""

    def __init__(self, folder: Path) -> None:
        self.site = Site(folder)
        self.config = Config()
        self.changes = 0

    async def start(self) -> Recorder:
        recorder = await self.site.start()
        self.maintenance = Maintenance(recorder, lambda: self.config)
        self.maintenance.on_change.append(self._changed)
        await self.maintenance.start()
        await recorder.heartbeat()
        return recorder

    def _changed(self) -> None:
        self.changes += 1

    def plan(self, *windows: Configured) -> None:
        self.config = msgspec.structs.replace(self.config, maintenance=windows)

    async def at(self, seconds: float) -> None:
        """Let the time come at which the task would wake."""
        self.site.clock.now = NOW + seconds
        await self.maintenance.advance()

    async def planned(self, device_id: str = "d1") -> list[tuple[int, int | None]]:
        history = await self.site.recorder.history(device_id)
        assert history is not None
        return [(start - NOW, None if end is None else end - NOW) for start, end in history.planned]

    async def kill(self) -> None:
        await self.site.kill()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    made = Desk(tmp_path)
    yield made
    if made.site.recorder.ready:
        await made.site.recorder.stop()


def once(start: int, end: int, **match: str) -> Configured:
    return Configured(Match(**match), timezone="UTC", start_at=NOW + start, end_at=NOW + end)


async def test_each_boundary_is_journalled_with_its_own_time(desk: Desk) -> None:
    desk.plan(once(10, 20), once(15, 30, engine="wa"))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await recorder.submit(event(NOW, up=True, device_id="d2", engine="slack"))
    await desk.at(9.9)
    assert recorder.fleet.planned == {}
    await desk.at(10.2)
    assert set(recorder.fleet.planned) == {"d1", "d2"}
    await desk.at(45.5)
    assert await desk.planned("d1") == [(10, 30)]
    assert await desk.planned("d2") == [(10, 20)]


async def test_the_task_wakes_at_a_boundary(desk: Desk) -> None:
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    task = asyncio.create_task(desk.maintenance.run())
    await desk.maintenance.add(Window(Match(), "UTC", start_at=NOW, end_at=NOW + 100))
    assert set(recorder.fleet.planned) == {"d1"}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_window_that_passed_while_the_exporter_was_away_is_made_up_for(desk: Desk) -> None:
    desk.plan(once(100, 200), once(290, 400))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await desk.kill()
    desk.site.clock.now = NOW + 300
    await desk.start()
    assert await desk.planned() == [(100, 200), (290, None)]


async def test_a_boundary_that_is_in_the_journal_already_is_not_written_again(desk: Desk) -> None:
    desk.plan(once(5, 20))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await desk.at(7)
    await desk.at(25)
    await desk.kill()  # the heartbeat is from before the window
    recorder = await desk.start()
    assert await desk.planned() == [(5, 20)]
    assert recorder.fleet.planned == {}


async def test_a_window_taken_out_of_the_file_ends_now_and_what_was_planned_stays_planned(desk: Desk) -> None:
    desk.plan(once(10, 1000))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await desk.at(10)
    desk.plan()
    desk.site.clock.now = NOW + 60
    await desk.maintenance.reload()
    assert await desk.planned() == [(10, 60)]
    assert desk.changes == 1


async def test_a_window_that_is_given_with_a_start_in_the_past_begins_now(desk: Desk) -> None:
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    desk.site.clock.now = NOW + 500
    desk.plan(once(100, 1000))
    await desk.maintenance.reload()
    assert await desk.planned() == [(500, None)]


async def test_a_device_that_is_new_in_a_window_is_inside_from_its_first_event(desk: Desk) -> None:
    desk.plan(once(10, 1000))
    recorder = await desk.start()
    await desk.at(10)
    desk.site.clock.now = NOW + 65
    await recorder.submit(event(NOW + 60, up=False))
    await desk.at(65)
    assert await desk.planned() == [(60, None)]
    assert running_due(recorder.fleet.devices["d1"].timeline, 0) is None


class Listening:
    """The alerts and the incidents of a desk's fleet, which hear of an event before its window is marked."""

    def __init__(self, desk: Desk, recorder: Recorder, alert_after: float) -> None:
        policies = Policies({"default": Policy(alert_after=alert_after)})
        planned_until = desk.maintenance.planned_until
        self.clock = desk.site.clock
        self.incidents = OpenIncidents(
            recorder.fleet, lambda: policies, planned_until=lambda device: planned_until(device, self.clock.now)
        )
        self.alerts = FleetAlerts(recorder.fleet, lambda: policies, planned_until=planned_until)
        recorder.subscribe(self._heard)

    def _heard(self, change: Change) -> None:
        self.incidents.change(change, self.clock.now)
        self.alerts.change(change, self.clock.now)

    def told(self) -> tuple[list[str], list[str]]:
        """Return what alerts fire and of whom incidents are open."""
        self.incidents.advance(self.clock.now)
        self.alerts.advance(self.clock.now)
        return [name for name, _ in self.alerts.firing], list(self.incidents.by_device)


NOBODY: tuple[list[str], list[str]] = ([], [])
EVERYBODY = (["DeviceDown"], ["d1"])


async def begun(desk: Desk, by: str, start: int, alert_after: float) -> Listening:
    """Start a desk whose window begins at `start`, by the file or by the API, and lasts until 10,000."""
    if by == "file":
        desk.plan(once(start, 10_000, business_id="b1"))
    recorder = await desk.start()
    listening = Listening(desk, recorder, alert_after)
    await desk.at(start)
    if by == "API":
        await desk.maintenance.add(Window(Match(business_id="b1"), "UTC", start_at=NOW + start, end_at=NOW + 10_000))
    return listening


@pytest.mark.parametrize("by", ["file", "API"])
@pytest.mark.parametrize("alert_after", [0.0, 900.0])
@pytest.mark.parametrize("ago", [0, 1000])
async def test_a_device_whose_first_event_is_a_disconnect_inside_a_window_is_told_at_its_end(
    desk: Desk, by: str, alert_after: float, ago: int
) -> None:
    listening = await begun(desk, by, 10, alert_after)
    desk.site.clock.now = NOW + 2000
    await desk.site.recorder.submit(event(NOW + 2000 - ago, up=False))
    assert listening.told() == NOBODY  # the window's task has not run yet
    await desk.at(9999)
    assert listening.told() == NOBODY
    await desk.at(10_000 + alert_after)
    assert listening.told() == EVERYBODY


@pytest.mark.parametrize("by", ["file", "API"])
@pytest.mark.parametrize("alert_after", [0.0, 900.0])
async def test_a_first_disconnect_that_was_long_before_the_window_is_an_outage_inside_it(
    desk: Desk, by: str, alert_after: float
) -> None:
    listening = await begun(desk, by, 1000, alert_after)
    await desk.site.recorder.submit(event(NOW + 1, up=False))
    await desk.at(1010)
    listening.told()
    await desk.at(1200)  # people hear of old news only if its end does not come
    assert listening.told() == EVERYBODY


async def test_a_device_that_moves_into_a_window_and_goes_down_with_one_event_is_inside(desk: Desk) -> None:
    listening = await begun(desk, "file", 10, 0.0)
    recorder = desk.site.recorder
    await recorder.submit(event(NOW, up=True, business="b2"))
    desk.site.clock.now = NOW + 50
    await recorder.submit(event(NOW + 50, up=False))
    assert listening.told() == NOBODY
    await desk.at(51)
    assert listening.told() == NOBODY
    await recorder.submit(event(NOW + 51, up=True))
    assert listening.told() == NOBODY


async def test_a_device_that_changes_its_business_goes_in_and_out_with_that_event(desk: Desk) -> None:
    desk.plan(once(10, 1000, business_id="b2"))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await desk.at(20)
    await recorder.submit(event(NOW + 20, up=False, business="b2"))
    await desk.at(21)
    assert await desk.planned() == [(20, None)]
    desk.site.clock.now = NOW + 40
    await recorder.submit(event(NOW + 40, up=True, business="b1"))
    await desk.at(41)
    assert await desk.planned() == [(20, 40)]


async def test_two_boundaries_within_one_second_end_in_the_right_state(desk: Desk) -> None:
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await desk.at(50)
    number = await desk.maintenance.add(Window(Match(), "UTC", start_at=NOW + 50, end_at=NOW + 90))
    assert await desk.maintenance.end(number)
    await desk.at(52)
    assert recorder.fleet.planned == {}
    assert not await desk.maintenance.end(number)


async def test_while_the_journal_cannot_be_written_the_boundary_waits(desk: Desk) -> None:
    desk.plan(once(10, 1000))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    with desk.site.full_disk(), pytest.raises(JournalUnavailable):
        await desk.at(12)
    await desk.at(60)
    assert await desk.planned() == [(10, None)]


async def test_windows_of_operators_survive_a_kill(desk: Desk) -> None:
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    await desk.maintenance.add(Window(Match(engine="wa"), "UTC", start_at=NOW + 10, end_at=NOW + 99, comment="x"))
    over = await desk.maintenance.add(Window(Match(), "UTC", start_at=NOW + 50, end_at=NOW + 99))
    await desk.maintenance.end(over)
    await desk.kill()
    await desk.start()
    assert [(key, window.comment) for key, window in desk.maintenance.listed()] == [("1", "x")]


async def test_a_thousand_devices_are_a_few_transactions(desk: Desk) -> None:
    desk.plan(once(10, 1000))
    recorder = await desk.start()
    await asyncio.gather(*(recorder.submit(event(NOW, up=True, device_id=f"d{n}")) for n in range(1000)))
    commits = desk.site.sample("journal_commit_duration_seconds_count") or 0
    await desk.at(10)
    assert len(recorder.fleet.planned) == 1000
    assert (desk.site.sample("journal_commit_duration_seconds_count") or 0) - commits <= 3


async def test_the_gauges_say_who_is_inside_and_from_when_thresholds_count(desk: Desk) -> None:
    desk.plan(once(10, 100))
    recorder = await desk.start()
    for device_id in ("d1", "d2"):
        await recorder.submit(event(NOW, up=True, device_id=device_id, engine="telegram"))
    await desk.at(10)
    await recorder.submit(event(NOW + 20, up=False, engine="telegram"))
    maintenance = desk.maintenance
    assert sorted(d.identity.device_id for d, value in maintenance.inside(NOW) if value == 1) == ["d1", "d2"]
    assert list(maintenance.outlasted(NOW)) == []
    await desk.at(100)
    assert list(maintenance.inside(NOW)) == []
    assert [(d.identity.device_id, value) for d, value in maintenance.outlasted(NOW)] == [("d1", NOW + 100)]


# The API and the command -------------------------------------------------------------------------------------------
@asynccontextmanager
async def listening(desk: Desk) -> AsyncIterator[str]:
    api = MaintenanceApi(desk.maintenance, desk.site.recorder, lambda: "Asia/Jakarta")
    app = web.Application(middlewares=[_typed_errors])
    app.add_routes(operation.route() for operation in api.operations())
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def command(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["maintenance", *arguments])


async def test_a_window_for_nobody_is_planned_with_a_warning(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    await desk.start()
    async with listening(desk) as url:
        assert await command("add", "--url", url, "--device", "d7", "--duration", "2h") == 0
        shown = capsys.readouterr()
        assert shown.out.endswith("(2h), for 0 devices\n")
        assert "no device matches by now" in shown.err
        assert await command("list", "--json", "--url", url) == 0
        (window,) = json.loads(capsys.readouterr().out)
    assert (window["matching"], window["active"], window["match"]) == (0, True, {"device_id": "d7"})


async def test_the_command_plans_lists_and_ends(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.plan(once(-10, 7200, engine="slack"))
    recorder = await desk.start()
    await recorder.submit(event(NOW, up=True))
    async with listening(desk) as url:
        added = await command("add", "--url", url, "--business", "b1", "--duration", "2h", "--comment", "Ganti ponsel")
        assert (added, capsys.readouterr().out) == (0, "window 1: 2026-09-21 21:13-23:13 WIB (2h), for 1 device\n")
        cron = ("--cron", "0 2 * * 0", "--duration", "1h", "--timezone", "Europe/Berlin")
        assert await command("add", "--url", url, "--all", *cron) == 0
        capsys.readouterr()
        assert await command("list", "--url", url) == 0
        assert capsys.readouterr().out == LISTED
        assert await command("end", "--url", url, "1") == 0
        desk.site.clock.now = NOW + 5
        await desk.at(5)
        assert recorder.fleet.planned == {}
        assert await command("end", "--url", url, "1") == 1
        assert await command("end", "--url", url, "file-1") == 1
    errors = capsys.readouterr().err.splitlines()
    assert "no such window, or it is over" in errors[0]
    assert "is in the configuration file" in errors[1]


LISTED = """\
ID      STATE    WHEN                                                   DEVICES  WHICH           COMMENT
file-1  active   2026-09-21 14:13-16:13 UTC (2h 10s)                    0        engine=slack
1       active   2026-09-21 21:13-23:13 WIB (2h)                        1        business_id=b1  Ganti ponsel
2       planned  2026-09-27 02:00-03:00 CEST (1h, repeated: 0 2 * * 0)  1        every device
"""


REFUSED: dict[str, dict[str, Any]] = {
    "neither end nor duration": {"match": {}},
    "both": {"match": {}, "end": "2030-01-01", "duration": "1h"},
    "an end before the start": {"match": {}, "start": "2030-01-02", "end": "2030-01-01"},
    "a window in the past": {"match": {}, "start": "2020-01-01", "end": "2020-01-02"},
    "an end beyond every calendar": {"match": {}, "start": "9999-12-31 23:59", "duration": "1h"},
    "no match": {"duration": "1h"},
    "a field that there is not": {"match": {"device": "d1"}, "duration": "1h"},
    "no such zone": {"match": {}, "duration": "1h", "timezone": "Mars/Olympus"},
    "cron without duration": {"match": {}, "cron": "0 2 * * *"},
    "cron with a start": {"match": {}, "cron": "0 2 * * *", "duration": "1h", "start": "2030-01-01"},
    "a day that never comes": {"match": {}, "cron": "0 2 30 2 *", "duration": "1h"},
    "no time": {"match": {}, "start": "tomorrow", "duration": "1h"},
    "a line break": {"match": {}, "duration": "1h", "comment": "a\nb"},
    "a duration of nothing": {"match": {}, "duration": "0s"},
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_planned_is_refused_with_the_reason(desk: Desk, body: dict[str, Any]) -> None:
    import aiohttp  # noqa: PLC0415

    await desk.start()
    async with listening(desk) as url, aiohttp.ClientSession() as client:
        answer = await client.post(f"{url}/api/v1/maintenance", json=body)
        assert answer.status == 400
        assert (await answer.json())["code"] == "bad_parameter"
        found = await (await client.get(f"{url}/api/v1/maintenance")).json()
    assert found == {"windows": []}


@pytest.mark.parametrize("which", [(), ("--all", "--engine", "wa")], ids=["nothing", "all and something"])
def test_the_command_wants_to_know_which_devices(which: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["maintenance", "add", *which, "--duration", "1h"]) == 2
    assert "--all alone" in capsys.readouterr().err


def test_a_window_across_a_change_of_the_clocks_names_both_offsets() -> None:
    window = MaintenanceWindow(
        id="4",
        source="operator",
        match=Which(device_id="d1"),
        timezone="America/New_York",
        cron=None,
        duration_seconds=None,
        start=1825565400,
        end=1825569000,
        active=False,
        devices=0,
        matching=0,
        comment="",
    )
    assert _when(window) == "2027-11-07 01:30 EDT-01:30 EST (1h)"
