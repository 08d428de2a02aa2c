"""What is due, the earliest first."""

from __future__ import annotations

from exporter.lib.agenda import Agenda


def agenda(*entries: tuple[float, str]) -> Agenda[str]:
    found: Agenda[str] = Agenda()
    for at, item in entries:
        found.add(at, item)
    return found


def test_what_is_due_comes_out_by_its_time_and_then_by_its_turn() -> None:
    due = agenda((3, "late"), (1, "first"), (2, "b"), (2, "a"))
    assert due.next_at() == 1
    assert [due.pop_due(2) for _ in range(4)] == ["first", "b", "a", None]
    assert due.next_at() == 3
    assert due.pop_due(3) == "late"
    assert due.next_at() is None


def test_thinning_keeps_one_of_each_key_in_order_of_time_and_none_without_a_key() -> None:
    due = agenda((5, "over"), (4, "a"), (3, "b"), (2, "a"), (1, "over"))
    due.thin(lambda item: item if item != "over" else None)
    assert len(due) == 2
    assert sorted(filter(None, (due.pop_due(9) for _ in range(3)))) == ["a", "b"]


def test_a_cleared_agenda_is_empty() -> None:
    due = agenda((1, "a"))
    due.clear()
    assert (len(due), due.next_at(), due.pop_due(9)) == (0, None, None)
