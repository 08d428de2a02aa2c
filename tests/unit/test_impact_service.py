"""Impact in the running exporter: what is fixed at a disconnect, and what a restart remembers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.config.schema import Impact
from exporter.errors import JournalUnavailable
from exporter.gateways.csku.parse import MessageEvent
from exporter.impact.service import ImpactService
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
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


def _unavailable(_: object) -> None:
    raise JournalUnavailable("broken on purpose")
