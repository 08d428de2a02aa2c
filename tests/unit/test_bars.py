from __future__ import annotations

import re

import pytest

from exporter.look.bars import HEIGHT, Cell, bars, heights

HOSTILE = '</title><script>alert(1)</script>"'


def cell(**times: float) -> Cell:
    grade = "full" if not times.get("down") else "far"
    return Cell("a day", *(times.get(name, 0.0) for name in ("up", "down", "planned", "unknown")), grade)


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        pytest.param(cell(up=50, down=50), [("far", 20), ("full", 20)], id="by the shares of the day"),
        pytest.param(cell(up=99, down=1), [("far", 20), ("full", 20)], id="a bad day has a notch of half its height"),
        pytest.param(cell(up=99, down=1)._replace(grade="within"), [("within", 6), ("full", 34)], id="a good one less"),
        pytest.param(cell(down=100), [("far", 40)], id="down all day"),
        pytest.param(cell(unknown=100), [("unknown", 40)], id="unknown is not up"),
        pytest.param(cell(up=50, planned=25, unknown=25), [("planned", 10), ("unknown", 10), ("full", 20)], id="parts"),
    ],
)
def test_a_day_s_segments(day, expected):
    assert heights(day) == [(kind, pytest.approx(tall)) for kind, tall in expected]


def test_no_day_is_taller_than_its_cell():
    assert sum(tall for _, tall in heights(cell(up=1, down=60, planned=1, unknown=1))) == pytest.approx(HEIGHT)


def test_days_that_were_up_are_one_path_and_every_other_one_says_what_it_was():
    days = [cell(up=1), cell(up=1), cell(up=1, down=1), cell(), cell(up=1)]
    svg = bars(days, "90 days")
    assert svg.count("<path") == 1
    assert svg.count("<title>a day</title>") == 2
    assert 'class="before"' in svg
    assert 'role="img" aria-label="90 days"' in svg


def test_without_titles_all_segments_of_a_kind_are_one_path():
    days = [cell(up=1, down=1), cell(up=1), cell(down=1), cell(up=1, unknown=1), cell(planned=1), cell()]
    svg = bars(days, "90 days", first=False, titles=False)
    assert "<title>" not in svg
    drawn = re.findall(r'<path class="(\w+)"[^>]* d="([^"]*)"', svg)
    shapes = {kind: path.count("M") for kind, path in drawn}
    assert shapes == {"run": 1, "far": 2, "unknown": 1, "full": 1, "planned": 1, "before": 1}


def test_titles_and_labels_are_escaped():
    svg = bars([cell(down=1)._replace(title=HOSTILE)], HOSTILE)
    assert "<script" not in svg
    assert re.findall(r"<title>(.*?)</title>", svg) == ["&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;&#34;"]
