"""Impact in the running exporter: what is fixed at a disconnect, and what a restart remembers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from exporter.config.schema import Impact
from exporter.domain.fleet import Fleet
from exporter.errors import JournalUnavailable
from exporter.gateways.events import MessageEvent
from exporter.impact.heard import LastMessages
from exporter.impact.service import BATCH, HEARD_FOR, PRUNE_EVERY, ImpactService
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def message(conversation: str, timestamp: int, *, need_human: bool = False, channel: str = "c1") -> MessageEvent:
    return MessageEvent(
        event="channel.message_in",
        timestamp=timestamp,
        conversation_id=conversation,
        need_human=need_human,
        channel_id=channel,
        engine="wa",
        business_id="b1",
    )


async def started(site: Site) -> ImpactService:
    await site.start()
    service = ImpactService(site.recorder, Impact(window=600.0), lambda text: hash(text) & 0x7FFFFFFF)
    await service.start()
    return service


async def test_a_disconnect_fixes_the_conversations_active_on_its_channel_at_that_time(site: Site) -> None:
    service = await started(site)
    service.message(message("one", NOW - 100, need_human=True), NOW)
    service.message(message("two", NOW - 50), NOW)
    service.message(message("elsewhere", NOW - 50, channel="c2"), NOW)
    await site.recorder.submit(event(NOW, up=False))
    device = site.recorder.fleet.devices["d1"]
    service.message(message("after", NOW + 5), NOW + 5)
    assert service.facts_of(device) == {"affected_conversations": 2, "waiting_conversations": 1}
    assert list(service.affected(NOW)) == [(device, 2)]
    await site.recorder.stop()


async def test_a_restart_says_the_same_of_a_running_outage(site: Site) -> None:
    service = await started(site)
    service.message(message("one", NOW - 100), NOW)
    await site.recorder.submit(event(NOW, up=False))
    await service.save()
    await site.kill()
    service = await started(site)
    facts = service.facts_of(site.recorder.fleet.devices["d1"])
    assert facts == {"affected_conversations": 1, "waiting_conversations": 0}
    assert [(labels, value) for labels, value in service.active(NOW)] == [(("c1", "wa", "b1"), 1)]
    await site.recorder.stop()


async def test_the_last_message_each_way_is_known_of_a_channel_and_survives_a_restart(site: Site) -> None:
    service = await started(site)
    assert service.last_messages.of("c1") == ("c1", 0, 0)
    for at, kind in ((NOW - 50, "channel.message_in"), (NOW - 90, "channel.message_in"), (NOW, "agent.message_out")):
        service.message(msgspec.structs.replace(message("one", at), event=kind), NOW)
    assert service.last_messages.of("c1") == ("c1", NOW - 50, NOW)
    await service.save()
    await site.kill()
    service = await started(site)
    assert service.last_messages.of("c1") == ("c1", NOW - 50, NOW)
    await site.recorder.stop()


def test_no_more_channels_are_kept_than_may_be_and_those_of_the_newest_messages() -> None:
    last = LastMessages(2)
    for number, channel in enumerate(("a", "b", "a", "c"), 1):
        last.note(channel, number, inward=True)
    assert [last.of(channel).last_in for channel in "abc"] == [3, 0, 4]
    assert [row.channel_id for row in last.take_changes(9)] == ["a", "c"]


async def test_a_reconnect_ends_it_and_the_next_outage_counts_anew(site: Site) -> None:
    service = await started(site)
    service.message(message("one", NOW - 100), NOW)
    await site.recorder.submit(event(NOW, up=False))
    await site.recorder.submit(event(NOW + 10, up=True))
    assert service.facts_of(site.recorder.fleet.devices["d1"]) is None
    await site.recorder.submit(event(NOW + 800, up=False))
    facts = service.facts_of(site.recorder.fleet.devices["d1"])
    assert facts == {"affected_conversations": 0, "waiting_conversations": 0}
    await site.recorder.stop()


async def test_what_cannot_be_written_now_is_written_the_next_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await started(site)
    service.message(message("one", NOW - 100), NOW)
    await site.recorder.submit(event(NOW, up=False))
    with monkeypatch.context() as broken:
        broken.setattr(site.journal, "transact", _unavailable)
        with pytest.raises(JournalUnavailable):
            await service.save()
    await service.save()
    await site.kill()
    service = await started(site)
    assert service.facts_of(site.recorder.fleet.devices["d1"]) is not None
    await site.recorder.stop()


# -- conversations ----------------------------------------------------------------------------------------------------


class FakeRecorder:
    """Remembers what the tables were told; fails while `broken`."""

    def __init__(self) -> None:
        self.now = float(NOW)
        self.fleet = Fleet()
        self.following = SimpleNamespace(shared=False)
        self.statements: list[tuple[str, list[Any]]] = []
        self.broken = False

    def clock(self) -> float:
        return self.now

    def subscribe(self, _: object) -> None: ...

    async def transact(self, operation: str, job: Callable[[Any], Any]) -> Any:
        assert operation == "impact"
        if self.broken:
            raise JournalUnavailable("disk full")
        return job(self)

    def many(self, table: str, _columns: object, rows: list[Any], *, key: object) -> None:
        assert key
        self.statements.append((table, list(rows)))

    def run(self, sql: str, values: tuple[Any, ...]) -> int:
        self.statements.append((sql, list(values)))
        return 0

    def rows(self, _sql: str, _values: object = ()) -> list[tuple[Any, ...]]:
        return [(0,)]

    def batches(self) -> list[list[Any]]:
        return [rows for table, rows in self.statements if table == "conversation"]


class Bench:
    def __init__(self) -> None:
        self.recorder = FakeRecorder()
        settings = Impact(window=100.0, max_conversations=5000)
        self.service = ImpactService(self.recorder, settings, int)  # type: ignore[arg-type]

    def say(self, *conversations: int) -> None:
        now = self.recorder.now
        for conversation in conversations:
            self.service.message(message(str(conversation), int(now)), now)


async def test_only_what_changed_is_saved_in_batches() -> None:
    bench = Bench()
    bench.say(*range(2 * BATCH + 1))
    await bench.service.save()
    bench.recorder.now += 1
    bench.say(7)
    bench.say(7)
    await bench.service.save()
    assert [len(batch) for batch in bench.recorder.batches()] == [BATCH, BATCH, 1, 1]
    assert bench.recorder.batches()[-1][0][6] == NOW + 1


async def test_a_message_that_changes_nothing_is_not_saved_again() -> None:
    bench = Bench()
    for _ in range(2):
        bench.say(1)
        await bench.service.save()
    assert len(bench.recorder.batches()) == 1


async def test_what_could_not_be_saved_is_saved_later_with_its_newest_state() -> None:
    bench = Bench()
    bench.say(1, 2)
    bench.recorder.broken = True
    with pytest.raises(JournalUnavailable):
        await bench.service.save()
    bench.recorder.now += 5
    bench.say(1)
    bench.recorder.broken = False
    await bench.service.save()
    (batch,) = bench.recorder.batches()
    assert sorted((row[3], row[6]) for row in batch) == [(1, NOW + 5), (2, NOW)]


async def test_the_table_is_pruned_from_time_to_time() -> None:
    bench = Bench()
    bench.recorder.now += PRUNE_EVERY - 1
    await bench.service.save()
    assert bench.recorder.statements == []
    bench.recorder.now += 1
    await bench.service.save()
    await bench.service.save()
    oldest = int(NOW + PRUNE_EVERY - HEARD_FOR)
    assert [values for _, values in bench.recorder.statements] == [[int(NOW + PRUNE_EVERY - 150)], [oldest, oldest]]


def _unavailable(_: object) -> None:
    raise JournalUnavailable("broken on purpose")
