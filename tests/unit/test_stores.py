"""Every function with which a feature reads or writes its tables, on real databases by way of a `Transaction`."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from exporter.app.features import PIECES
from exporter.domain.timeline import Kind
from exporter.failover.accounts import Sums
from exporter.failover.machine import State
from exporter.failover.store import CHANNELS, Store
from exporter.impact import store as impact
from exporter.impact.conversations import Row
from exporter.impact.heard import Heard
from exporter.incidents import folding
from exporter.incidents import store as incidents
from exporter.incidents.listing import Listing
from exporter.incidents.model import (
    CONNECTED,
    CORRECTED,
    DOWN,
    INVESTIGATING,
    MERGED,
    NOTE,
    REOPENED,
    RESOLVED,
    STATUS,
    TOO_SHORT,
    UP,
    Add,
    Close,
    Entry,
    Held,
    Merge,
    Move,
    Open,
    Reopen,
)
from exporter.incidents.view import Filter, View
from exporter.journal.postgres.events import Events
from exporter.journal.postgres.schema import migrate
from exporter.journal.postgres.transaction import in_transaction
from exporter.journal.sqlite.reader import SqliteReader
from exporter.journal.sqlite.transaction import SLICE
from exporter.journal.storage import open_reader
from exporter.maintenance import store as maintenance
from exporter.maintenance.windows import Match, Window
from exporter.notify import deliveries
from tests.postgres import shared_cluster
from tests.tools import ROOT
from tests.unit.journal_site import NOW, FakeClock, append, identity, open_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from exporter.domain.records import Append
    from exporter.journal.port import Transaction


FEATURES = ("alerting", "failover", "impact", "incidents", "maintenance", "notify")
STORES = (deliveries, impact, incidents, maintenance)
"""Modules of functions whose first argument is a transaction; failover's store is a class."""


class PostgresDatabase:
    """A database of a server as its journal's threads use it."""

    def __init__(self, clock: FakeClock) -> None:
        self.url = shared_cluster().database()
        self._clock = clock
        self._connection = psycopg.connect(self.url, autocommit=True)
        self._events = Events("test")
        migrate(self._connection, PIECES)

    def append(self, batch: list[Append], after: int) -> None:
        self._events.append(self._connection, batch, after, int(self._clock.now * 1000), ended=False)

    def transact(self, job: Callable[[Transaction], Any]) -> Any:
        return in_transaction(self._connection, "on", job)

    def rows(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with open_reader(self.url) as reader:  # a reader is a snapshot
            return reader.rows(sql, values)

    def close(self) -> None:
        self._connection.close()


class Tables:
    """A journal; each call of a store's function is one transaction of it, and is remembered."""

    def __init__(self, journal: Any, reader: Any, clock: FakeClock) -> None:
        self.journal, self.reader, self.clock = journal, reader, clock

    def __call__(self, function: Callable[..., Any], *values: Any, **named: Any) -> Any:
        CALLED.add(function)
        return self.journal.transact(lambda transaction: function(transaction, *values, **named))

    async def transact(self, operation: str, job: Callable[[Transaction], Any]) -> Any:
        assert operation in {piece.name for piece in PIECES}
        return self.journal.transact(job)


CALLED: set[Callable[..., Any]] = set()


@pytest.fixture(params=["sqlite", "postgres"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tables]:
    clock = FakeClock()
    if request.param == "postgres":
        database = PostgresDatabase(clock)
        yield Tables(database, database, clock)
        database.close()
        return
    path = tmp_path / "exporter.db"
    found = Tables(open_database(path, PIECES, clock), SqliteReader(path), clock)
    yield found
    found.reader.close()
    found.journal.close()


# -- many rows --------------------------------------------------------------------------------------------------------


def many(transaction: Transaction, rows: list[tuple[Any, ...]], **options: bool) -> list[tuple[Any, ...]]:
    transaction.many("thing", ("a", "b", "c"), rows, key=("a", "b"), **options)
    return transaction.rows("SELECT a, b, c FROM thing ORDER BY a, b")


@pytest.fixture
def things(tables: Tables) -> Callable[..., Any]:
    tables.journal.transact(lambda rows: rows.run("CREATE TABLE thing (a INTEGER, b TEXT, c REAL, PRIMARY KEY (a, b))"))
    return lambda *values, **named: tables.journal.transact(lambda transaction: many(transaction, *values, **named))


def test_many_rows_of_any_number_are_there_with_their_types(things: Callable[..., Any]) -> None:
    rows = [(number, "x'\"; \u00e9\u200d", None if number % 2 else number / 4) for number in range(2 * SLICE + 1)]
    assert things(rows) == rows
    assert things([]) == rows


def test_a_row_that_is_there_is_replaced_or_left_as_asked(things: Callable[..., Any]) -> None:
    things([(1, "x", 1.0), (2, "x", 2.0)])
    assert things([(1, "x", 5.0), (2, "y", 6.0)]) == [(1, "x", 5.0), (2, "x", 2.0), (2, "y", 6.0)]
    assert things([(1, "x", 9.0), (3, "x", 3.0)], replace=False)[0::3] == [(1, "x", 5.0), (3, "x", 3.0)]


# -- incidents --------------------------------------------------------------------------------------------------------


def opened(at: int = NOW, device_id: str = "d1") -> Open:
    return Open(identity(device_id), at, at + 60.0, "critical", 3, None)


def view(tables: Tables) -> View:
    return View(tables.reader)


def kinds(tables: Tables, number: int = 1) -> list[str]:
    return [entry.kind for entry in view(tables).timelines([number])[number]]


def test_incidents_begin_once_and_know_how_far_they_came(tables: Tables) -> None:
    tables.journal.append([append(NOW, Kind.DISCONNECTED)], 0)
    tables.clock.now = NOW + 1
    tables.journal.append([append(NOW + 1, Kind.DISCONNECTED, "d2")], 1)
    assert tables(incidents.begin, NOW + 0.5) == (NOW + 0.5, 1, [])
    assert tables(incidents.begin, NOW + 99.0) == (NOW + 0.5, 1, [])
    assert tables(incidents.devices_after, 1) == ["d2"]
    tables(incidents.save_progress, 9)
    tables(incidents.save_progress, 5)
    tables(incidents.apply, [opened()])
    assert tables(incidents.begin, 0.0) == (NOW + 0.5, 9, [("d1", Held(NOW, NOW, NOW + 60.0))])
    assert tables(incidents.fresh_times, "d2", NOW + 0.5) == {NOW + 1}
    assert tables(incidents.fresh_times, "d1", NOW + 0.5) == set()


def test_steps_written_twice_are_one_incident_with_each_line_once(tables: Tables) -> None:
    steps = [
        Add("d1", None, "alerted", NOW + 1.0, "alerted", "", early=True),
        Add("d1", None, "alerted", NOW + 1.0, "alerted", "again", early=True),
        opened(),
        opened(),
        Add("d1", NOW, "a", NOW + 2.0, NOTE, "text", early=False),
        Add("d1", NOW, "a", NOW + 2.0, NOTE, "other", early=False),
        Add("d1", None, "b", NOW + 3.0, NOTE, "later", early=False),
        Add("d9", None, "b", NOW + 3.0, NOTE, "of nobody", early=False),
    ]
    tables(incidents.apply, steps)
    tables(incidents.apply, steps)
    assert [one.number for one in view(tables).page(Filter(), NOW)] == [1]
    entries = view(tables).timelines([1])[1]
    assert [(entry.kind, entry.text) for entry in entries] == [
        (DOWN, ""),
        ("alerted", ""),
        (NOTE, "text"),
        (NOTE, "later"),
    ]


def test_an_incident_closes_moves_merges_and_opens_again(tables: Tables) -> None:
    tables(incidents.apply, [opened(), Move("d1", NOW, NOW - 5, NOW, NOW + 61.0)])
    tables(incidents.apply, [Close("d1", NOW, NOW + 90.0, CONNECTED, NOW + 90.0)])
    (held,) = tables(incidents.held, "d1")
    assert held == Held(NOW, NOW - 5, NOW + 60.0, NOW + 90.0, CONNECTED)
    assert UP in kinds(tables)
    tables(incidents.apply, [Reopen("d1", NOW, NOW + 95.0)])
    assert UP not in kinds(tables)
    assert REOPENED in kinds(tables)
    tables(incidents.apply, [Merge("d1", NOW, NOW + 99.0, NOW + 99.0)])
    assert MERGED in kinds(tables)
    tables(incidents.apply, [Close("d1", NOW, NOW + 100.0, "corrected", NOW + 100.0, NOW + 99.0)])
    assert TOO_SHORT in kinds(tables)
    tables(incidents.apply, [Close("d7", NOW, 0.0, CONNECTED, 0.0), Reopen("d7", NOW, 0.0), Move("d7", 1, 2, 3, 0.0)])


def test_notes_and_the_status_are_kept_under_their_keys(tables: Tables) -> None:
    tables(incidents.apply, [opened()])
    assert tables(incidents.note, 47, "k", Entry(1.0, NOTE, "text", "")) is None
    first = tables(incidents.note, 1, "k", Entry(1.0, NOTE, "text", "ibu"))
    assert tables(incidents.note, 1, "k", Entry(2.0, NOTE, "other", "")) == first == Entry(1.0, NOTE, "text", "ibu")
    lines = [Entry(3.0, STATUS, "identified", "")]
    assert tables(incidents.set_status, 47, "identified", "s", lines) is None
    assert tables(incidents.set_status, 1, "identified", "s", lines) == INVESTIGATING
    assert tables(incidents.set_status, 1, "identified", "t", lines) == "identified"
    assert kinds(tables).count(STATUS) == 1
    tables(incidents.apply, [Close("d1", NOW, NOW + 90.0, CONNECTED, NOW + 90.0)])
    assert tables(incidents.set_status, 1, "monitoring", "u", lines) == RESOLVED


def test_old_incidents_go_with_their_lines(tables: Tables) -> None:
    tables(incidents.apply, [opened(), opened(device_id="d2"), Close("d1", NOW, NOW + 90.0, CONNECTED, 0.0)])
    tables(incidents.apply, [Add("d3", None, "a", 5.0, NOTE, "", early=True)])
    tables(incidents.prune, NOW + 91.0, 6.0)
    assert [one.device_id for one in view(tables).page(Filter(), NOW)] == ["d2"]
    assert view(tables).one(1, NOW) is None
    count = "SELECT (SELECT count(*) FROM incident_entry), (SELECT count(*) FROM incident_early)"
    assert tables.journal.transact(lambda rows: rows.rows(count)) == [(1, 0)]


def test_incidents_are_read_by_filters_pages_and_choices(tables: Tables) -> None:
    tables(incidents.apply, [opened(NOW + number, f"d{number}") for number in range(4)])
    tables(incidents.apply, [Close("d0", NOW, NOW + 90.0, CONNECTED, 0.0)])
    shown = view(tables)
    assert [one.number for one in shown.page(Filter(), NOW, before=4, limit=2)] == [3, 2]
    assert [one.device_id for one in shown.page(Filter(status=RESOLVED, engine="wa", business_id="b1"), NOW)] == ["d0"]
    assert [one.device_id for one in shown.page(Filter(status="open", since=NOW + 2.0), NOW)] == ["d3", "d2"]
    assert [one.number for one in shown.page(Filter(device_id="d2"), NOW)] == [3]
    assert shown.choices("engine") == [("wa", "wa")]
    assert shown.choices("business_id") == [("b1", "Toko Makmur")]
    assert shown.timelines([]) == {}


def test_incidents_that_belong_together_are_one_line_and_a_head_that_was_none_makes_room(tables: Tables) -> None:
    together = [opened(NOW + number, f"d{number}") for number in range(5)]
    short = Close("d9", NOW + 5000, NOW + 5010.0, CONNECTED, 0.0)
    tables(incidents.apply, [*together, opened(NOW + 5000, "d9"), short])
    tables(folding.fold, together, lambda *_: 10)
    tables(folding.fold, together, lambda *_: 10)
    listing = Listing(tables.reader, NOW + 9000.0, 60.0)
    assert [(line.head.number, line.parts, line.devices) for line in listing.page(Filter(), None, 9)] == [(1, 4, 5)]
    assert (listing.totals().listed, listing.totals().hidden) == (1, 1)
    assert [one.number for one in listing.parts(1)] == [5, 4, 3, 2]
    tables(incidents.apply, [Close("d0", NOW, NOW + 1.0, CORRECTED, 0.0)])
    tables(folding.leave, 1)
    assert [(line.head.number, line.parts) for line in listing.page(Filter(engine="wa"), None, 9)] == [(4, 3)]
    tables.journal.transact(lambda rows: rows.run("DELETE FROM incident WHERE number = 4"))
    tables(folding.tidy)
    assert [(line.head.number, line.parts) for line in listing.page(Filter(search="FRONT"), None, 9)] == [(3, 2)]


# -- the others -------------------------------------------------------------------------------------------------------


def test_conversations_and_what_outages_affected_are_replaced_and_pruned(tables: Tables) -> None:
    rows = [Row("c1", "wa", "b1", 2**63 - number, -5, NOW, NOW + number, number % 2 == 0) for number in range(1, 5)]
    tables(impact.save, rows)
    tables(impact.save, [rows[0]._replace(need_human=True)])
    assert tables(impact.load) == [rows[0]._replace(need_human=True), *rows[1:]]
    assert sorted(tables(impact.load_since, rows[1].last)) == sorted(rows[1:])
    tables(impact.prune, NOW + 2, 2)
    assert tables(impact.load) == rows[2:]
    tables(impact.save_affected, [("d1", NOW, 3, 1), ("d1", NOW + 9, 1, 0)])
    tables(impact.save_affected, [("d1", NOW, 4, 1)])
    assert sorted(tables(impact.load_affected)) == [("d1", NOW, 4, 1), ("d1", NOW + 9, 1, 0)]


def test_channels_are_known_by_their_last_messages_until_they_are_old(tables: Tables) -> None:
    old, new = Heard("c2", last_in=NOW - 9, last_out=NOW - 9), Heard("c1", last_in=NOW + 9)
    tables(impact.save_heard, [old, Heard("c1", last_out=NOW)])
    tables(impact.save_heard, [new])
    assert tables(impact.load_heard) == [old, new]
    assert tables(impact.load_heard, NOW + 5) == [new]
    tables(impact.prune_heard, NOW + 5)
    assert tables(impact.load_heard) == [new]


def test_windows_have_rising_numbers_and_end_once(tables: Tables) -> None:
    window = Window(Match(device_id="d1"), "UTC", start_at=NOW, end_at=NOW + 9)
    assert [tables(maintenance.add, window, NOW + 0.5) for _ in range(2)] == [1, 2]
    tables(maintenance.end, 1, NOW + 3.5)
    tables(maintenance.end, 1, NOW + 4.5)
    assert tables(maintenance.load) == [maintenance.Stored(1, window, NOW + 3.5), maintenance.Stored(2, window)]


def test_deliveries_are_bounded_and_forgotten(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_DELIVERIES", 2)
    for number in (1, 2, 3, 1):
        tables(deliveries.insert, bytes([number, 0]), NOW + number + 0.5)
    tables(deliveries.insert, b"\x02\x00", NOW + 9.5)
    assert tables(deliveries.load, NOW + 3.0) == [(b"\x03\x00", NOW + 3.5), (b"\x02\x00", NOW + 9.5)]
    assert tables(deliveries.load, NOW + 4.0) == [(b"\x02\x00", NOW + 9.5)]


def test_a_delivery_is_claimed_by_one_at_a_time_and_known_to_all_once_it_was_made(tables: Tables) -> None:
    key, before = b"\x07", NOW - 600.0
    assert tables(deliveries.claim, key, before, NOW) is False
    with pytest.raises(deliveries.SentElsewhere):
        tables(deliveries.claim, key, before, NOW + 1.0)
    tables(deliveries.release, key)
    assert tables(deliveries.claim, key, before, NOW + 2.0) is False
    assert tables(deliveries.claim, key, before, NOW + 2.0 + deliveries.CLAIM) is False  # whoever had it is gone
    tables(deliveries.insert, key, NOW + 40.0)
    assert tables(deliveries.claim, key, before, NOW + 50.0) is True
    assert tables(deliveries.claim, key, NOW + 40.0, NOW + 700.0) is False  # long enough ago


async def test_failover_keeps_states_and_sums_and_finds_the_devices_of_channels(tables: Tables) -> None:
    tables.journal.append([append(NOW, Kind.DISCONNECTED), append(NOW, Kind.DISCONNECTED, "d2")], 0)
    store, pair = Store(tables.transact, tables.transact), ("c1", "c2")
    await store.save_state(pair, State(side="backup"))
    await store.save_state(pair, State(side="main", changed_at=5.0))
    assert await store.states() == {pair: State(side="main", changed_at=5.0)}
    await store.save_sums({pair: Sums(until=1), ("c3", "c4"): Sums()})
    await store.save_sums({pair: Sums(until=2)})
    assert await store.sums() == {pair: Sums(until=2), ("c3", "c4"): Sums()}
    channels = [f"c-{number}" for number in range(2 * CHANNELS)]
    assert await store.devices_of([*channels, "c1"]) == [("c1", "d1"), ("c1", "d2")]
    assert await store.devices_of([]) == []


# -- the wall ---------------------------------------------------------------------------------------------------------


def test_every_function_of_a_store_was_run_above() -> None:
    public = {
        function
        for module in STORES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and not name.startswith("_")
        and next(iter(inspect.signature(function).parameters)) == "transaction"
    }
    assert public - CALLED == set()
    assert len(public) > 15


@pytest.mark.parametrize("feature", FEATURES)
def test_no_feature_knows_which_database_it_is(feature: str) -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "exporter" / feature).rglob("*.py"))
    foreign = r"sqlite3|journal\.sqlite|psycopg|INSERT OR|lastrowid|json_each|json_extract|PRAGMA|AUTOINCREMENT"
    assert re.findall(foreign, text) == []
