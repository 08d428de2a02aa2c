"""A sender cannot make series without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.domain.ceilings import Ceilings
from exporter.errors import InvalidEvent
from tests.unit.journal_site import NOW, Site, event

if TYPE_CHECKING:
    from pathlib import Path

CEILINGS = Ceilings(max_devices=3, max_engines=2, max_groups=2)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        pytest.param({"device_id": "d4"}, "too_many_devices", id="a device"),
        pytest.param({"device_id": "d1", "engine": "line"}, "too_many_engines", id="an engine"),
        pytest.param({"device_id": "d1", "business": "b9"}, "too_many_groups", id="a business"),
    ],
)
async def test_one_too_many_is_refused_and_what_is_there_goes_on(site: Site, given: dict[str, str], code: str) -> None:
    recorder = await site.start()
    recorder.ceilings = CEILINGS
    for device_id, engine in (("d1", "wa"), ("d2", "telegram"), ("d3", "wa")):
        await recorder.submit(event(NOW, up=True, device_id=device_id, engine=engine))
    with pytest.raises(InvalidEvent, match=f"fleet.max_{code.removeprefix('too_many_')}") as refused:
        await recorder.submit(event(NOW + 1, up=False, **given))
    assert refused.value.code == code
    assert await recorder.submit(event(NOW + 1, up=False)) == "accepted"
    assert len(recorder.fleet.devices) == 3
    await recorder.stop()
