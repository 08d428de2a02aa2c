"""The parts put together: the order of the features, one loop for each thing that they do, what a reload reaches."""

from __future__ import annotations

import gc
import logging
import sys
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
import pytest

from exporter.app.app import Exporter
from exporter.app.feature import MEMBERS, Keeps, Stops, Works
from exporter.app.features import ORDER, PIECES, Features
from exporter.app.messages import announce
from exporter.config.schema import (
    Alertmanager,
    Alerts,
    Config,
    Impact,
    Incidents,
    Log,
    Notify,
    Secret,
    Storage,
    Web,
    Webhook,
)
from exporter.domain.ceilings import Ceilings
from exporter.domain.policy import Policies, Policy
from exporter.errors import JournalUnavailable
from exporter.gateways.events import MessageEvent
from exporter.incidents.view import Filter, View
from exporter.lib.tasks import Task
from tests.patience import eventually
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from exporter.recording.recorder import Recorder

AT_ONCE = Policies({"default": Policy(alert_after=0.0)})


def features_of(site: Site, recorder: Recorder, config: Config) -> Features:
    return Features(recorder, lambda: config, site.metrics, conversation_key=bytes(32), authenticated=lambda: False)


@pytest.mark.parametrize("external", ["https://exporter.example.com", "https://exporter.example.com/"])
def test_the_page_that_is_named_at_the_start_has_one_slash_at_its_end(
    external: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings: Any = SimpleNamespace(secret_path="", current=lambda: Config(web=Web(external_url=external)))
    with caplog.at_level(logging.INFO):
        announce(settings, webhook="http://a/webhook", admin="http://a")
    assert [record.fields["page"] for record in caplog.records] == ["https://exporter.example.com/"]  # type: ignore[attr-defined]


# -- the order --------------------------------------------------------------------------------------------------------


async def test_features_stand_in_the_order_that_is_written_down_with_its_reasons(tmp_path: Path) -> None:
    site = Site(tmp_path)
    features = features_of(site, await site.start(), Config())
    assert [feature.name for feature in features.all] == list(ORDER)
    await site.recorder.stop()


async def test_an_incident_that_opens_with_its_event_knows_what_the_outage_affects(tmp_path: Path) -> None:
    site = Site(tmp_path)
    recorder = await site.start()
    features = features_of(site, recorder, Config(policies=AT_ONCE))
    for feature in (features.impact, features.incidents):
        await feature.start()
    said = {"conversation_id": "one", "need_human": True, "channel_id": "c1", "engine": "wa", "business_id": "b1"}
    features.impact.service.message(MessageEvent(event="channel.message_in", timestamp=NOW - 9, **said), NOW)
    await recorder.submit(event(NOW, up=False))
    await features.incidents.service.flush()
    (incident,) = await recorder.read(lambda reader: View(reader).page(Filter(), NOW))
    assert (incident.affected_conversations, incident.waiting_conversations) == (1, 1)
    await recorder.stop()


# -- the members ------------------------------------------------------------------------------------------------------


async def test_a_feature_has_no_member_that_nobody_asks_for(tmp_path: Path) -> None:
    site = Site(tmp_path)
    features = features_of(site, await site.start(), Config())
    known = {name for member in MEMBERS for name in vars(member) if not name.startswith("_")} | {"name", "service"}
    joined = {"acknowledged", "explained", "switched", "explain", "on_sent", "sent", "ways", "author", "renderer"}
    joined |= {"link", "holder", "ack_url", "find", "members"}
    for feature in features.all:
        public = {name for name in dir(feature) if not name.startswith("_")}
        assert public - known - joined == set(), feature.name
    await site.recorder.stop()


async def test_what_the_journal_is_built_with_is_what_the_features_keep(tmp_path: Path) -> None:
    site = Site(tmp_path)
    features = features_of(site, await site.start(), Config())
    kept = {feature.piece for feature in features.all if isinstance(feature, Keeps)}
    assert kept == set(PIECES)
    tasks = [task for feature in features.all if isinstance(feature, Works) for task in feature.tasks()]
    assert len({task.name for task in tasks}) == len(tasks)
    await site.recorder.stop()


# -- the exporter -----------------------------------------------------------------------------------------------------


class Part:
    """A feature that tells what is done to it."""

    def __init__(self, name: str, told: list[str], *, broken: str = "") -> None:
        self.name = name
        self._told = told
        self._broken = broken

    async def start(self) -> None:
        self._tell("start")

    def tasks(self) -> list[Task]:
        async def work() -> None:
            self._tell("work")

        return [Task(f"task of {self.name}", work, 0.01, 0.0)]

    async def reload(self, _: Config) -> None:
        self._tell("reload")

    async def stop(self) -> None:
        self._tell("stop")

    def _tell(self, what: str) -> None:
        if what == self._broken:
            raise JournalUnavailable("broken on purpose")
        if f"{self.name} {what}" not in self._told:
            self._told.append(f"{self.name} {what}")


def config_of(folder: Path, **sections: Any) -> Config:
    """Return a configuration of which every section is an object of its own."""
    own = {
        "webhook": Webhook(listen_address="127.0.0.1:0", secret=Secret("secret")),
        "web": Web(listen_address="127.0.0.1:0"),
        "log": Log(),
        "storage": Storage(url=Secret(f"sqlite:///{folder}/exporter.db")),
        "alertmanager": Alertmanager(),
        "policies": Policies({"default": Policy()}),
        "fleet": Ceilings(),
        "impact": Impact(),
        "incidents": Incidents(),
        "notify": Notify(),
        "alerts": Alerts(),
    }
    return Config(**(own | sections))


class Running:
    """An exporter in this process, with the configuration that a reload would read."""

    def __init__(self, folder: Path) -> None:
        self.config = config_of(folder)
        self.exporter = Exporter(lambda: self.config)

    def sample(self, name: str, **labels: str) -> float | None:
        return self.exporter.registry.get_sample_value(f"device_exporter_{name}", labels)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    gc.unfreeze()


@asynccontextmanager
async def started(running: Running) -> AsyncIterator[Exporter]:
    await running.exporter.start()
    try:
        yield running.exporter
    finally:
        await running.exporter.stop()


async def test_parts_start_in_their_order_work_are_reloaded_and_stop_in_the_reverse_one(tmp_path: Path) -> None:
    running, told = Running(tmp_path), list[str]()
    running.exporter.features.all = (Part("a", told), Part("b", told), Part("c", told))
    async with started(running) as exporter:
        assert told[:3] == ["a start", "b start", "c start"]
        await eventually(lambda: {"a work", "b work", "c work"} <= set(told))
        await exporter.reload()
    assert [line for line in told if "reload" in line] == ["a reload", "b reload", "c reload"]
    assert told[-3:] == ["c stop", "b stop", "a stop"]


async def test_features_are_told_when_the_journal_was_last_in_use_before_this_start(tmp_path: Path) -> None:
    heard, between = list[float | None](), list[float]()
    for _ in range(2):
        running = Running(tmp_path)
        recorder = running.exporter.recorder

        class Asking(Part):
            async def start(self) -> None:
                heard.append(recorder.heard_until)  # noqa: B023 - this run's

        running.exporter.features.all = (Asking("a", []),)
        async with started(running):
            pass
        between.append(time.time())
    assert heard[0] is None
    assert heard[1] is not None
    assert heard[1] <= between[0]
    assert next(iter(ORDER)) == "maintenance"


async def test_a_part_that_cannot_finish_keeps_no_other_from_it(tmp_path: Path) -> None:
    running, told = Running(tmp_path), list[str]()
    running.exporter.features.all = (Part("a", told), Part("b", told, broken="stop"), Part("c", told))
    async with started(running) as exporter:
        pass
    assert told[-2:] == ["c stop", "a stop"]
    assert not exporter.recorder.ready


async def test_a_start_that_fails_stops_what_had_started(tmp_path: Path) -> None:
    running, told = Running(tmp_path), list[str]()
    running.exporter.features.all = (Part("a", told), Part("b", told, broken="start"), Part("c", told))
    with pytest.raises(JournalUnavailable, match="on purpose"):
        await running.exporter.start()
    assert told == ["a start", "a stop"]
    assert not running.exporter.recorder.ready


async def test_failures_of_every_feature_are_visible_before_the_first_one(tmp_path: Path) -> None:
    running = Running(tmp_path)
    async with started(running):
        for piece in PIECES:
            assert running.sample("journal_failures_total", operation=piece.name) == 0
        tasks = {task.name for task in running.exporter.tasks()}
        assert {"heartbeat", "maintenance", "impact", "incidents", "failover", "alerts"} <= tasks
        for task in tasks:
            assert running.sample("task_failures_total", task=task) == 0


async def test_a_device_that_moves_to_another_business_is_counted_and_a_line_of_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exporter.app.messages")
    running = Running(tmp_path)
    async with started(running) as exporter:
        at = int(time.time()) - 100
        for step, business in enumerate(("b1", "b2", "b2", "b1")):
            await exporter.recorder.submit(event(at + step, up=True, business=business))
        assert running.sample("device_moves_total") == 2
    assert [record.getMessage() for record in caplog.records].count("device moved") == 2


async def test_every_real_feature_that_has_something_to_finish_is_stopped(tmp_path: Path) -> None:
    site = Site(tmp_path)
    features = features_of(site, await site.start(), Config())
    stopped = [one.name for one in features.all if isinstance(one, Stops)]
    assert stopped == ["sessions", "impact", "notify", "failover", "incidents"]
    await site.recorder.stop()


# -- a reload ---------------------------------------------------------------------------------------------------------


async def test_nobody_keeps_a_part_of_a_former_configuration(tmp_path: Path) -> None:
    running = Running(tmp_path)
    parts = {name: getattr(running.config, name) for name in Config.__struct_fields__ if name != "failover"}
    parts["webhook"] = running.exporter.settings.current().webhook
    parts["pages"] = running.exporter.settings.current().pages
    del parts["maintenance"]  # like failover an empty tuple, of which there is only one
    async with started(running) as exporter:
        running.config = config_of(tmp_path)
        await exporter.reload()
        await eventually(lambda: not {name: n for name in parts if (n := sys.getrefcount(parts[name])) > 2})


async def test_a_reload_reaches_the_log_the_recorder_the_heartbeat_and_the_address_of_the_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    running = Running(tmp_path)
    async with started(running) as exporter, aiohttp.ClientSession() as session:
        url, headers = f"{exporter.admin.url}/-/reload", {"Origin": "https://ops.example"}
        async with session.post(url, headers=headers) as answer:
            assert answer.status == 403
        running.config = config_of(
            tmp_path,
            web=Web(listen_address="127.0.0.1:0", external_url="https://ops.example/x"),
            log=Log(level="warning", format="json"),
            storage=msgspec.structs.replace(running.config.storage, retry_span=47.0, heartbeat_interval=0.01),
        )
        await exporter.reload()
        async with session.post(url, headers=headers) as answer:
            assert answer.status == 200
        heartbeat = next(task for task in exporter.tasks() if task.name == "heartbeat")
        assert callable(heartbeat.interval)
        assert heartbeat.interval() == 0.01
        assert exporter.recorder.retry_span == 47.0
        capsys.readouterr()
        logging.getLogger("exporter").info("not to be seen")
        logging.getLogger("exporter").warning("to be seen")
    assert [line[:8] for line in capsys.readouterr().err.splitlines() if "seen" in line] == ['{"time":']
