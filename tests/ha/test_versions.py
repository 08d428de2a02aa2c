"""Exporters of two versions over one database, one replaced after the other while events come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.e2e.process import run_command
from tests.ha.nodes import HERE, Place
from tests.ha.site import site
from tests.patience import patient, wait_for
from tests.postgres import shared_cluster

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ha.site import Site

pytestmark = pytest.mark.slow

NEXT = """
import exporter.journal.postgres.events as events
import exporter.journal.postgres.schema as schema
schema.MIGRATIONS = (*schema.MIGRATIONS, schema.Migration(({file!r},), {compatible_from}))
events._APPEND = events._APPEND.replace(b"journal_append_1", b"journal_append_2")
"""
"""What makes a program of the next version: one more migration, and an append of its own."""
CHANGE = """
ALTER TABLE event ADD COLUMN note text;
ALTER TABLE turn ADD COLUMN note text;
CREATE FUNCTION journal_append_2(
    p_now bigint, p_who text, p_expose boolean, p_ended boolean, p_after bigint, p_limit int,
    p_device int[], p_timestamp bigint[], p_kind smallint[], p_identity int[])
RETURNS TABLE (seq bigint, device int, "timestamp" bigint, kind smallint, identity int, received_ms bigint,
               exposed_ms bigint, fresh int[])
LANGUAGE sql AS $$
    SELECT * FROM journal_append_1($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
$$;
"""


def of_the_next_version(folder: Path, *, compatible_from: int) -> Place:
    file = folder / "change.sql"
    file.write_text(CHANGE)
    return Place(before=NEXT.format(file=str(file), compatible_from=compatible_from))


def replaced(two: Site, which: int, place: Place) -> None:
    """Stop an exporter and start it in another version; events go on to be taken by both."""
    node = two.nodes[which]
    node.stop()
    node.place = place
    node.start()
    before = len(two.sender.acknowledged)
    wait_for(lambda: len(two.sender.acknowledged) > before + 30, "events are taken")


def test_exporters_are_upgraded_one_after_the_other_without_a_pause_and_back_again(tmp_path: Path) -> None:
    newer = of_the_next_version(tmp_path, compatible_from=1)
    with site(tmp_path, shared_cluster().database()) as two:
        replaced(two, 0, newer)
        time.sleep(3)  # the old one and the new one side by side
        replaced(two, 1, newer)
        replaced(two, 0, HERE)
        two.check()
        assert two.sender.longest_gap < patient(3.0)
        two.figures(f"longest time without an acknowledgement {two.sender.longest_gap:.2f} s")


def test_a_version_that_the_database_no_longer_suits_goes_on_beside_it_but_does_not_start_again(tmp_path: Path) -> None:
    newer = of_the_next_version(tmp_path, compatible_from=2)
    with site(tmp_path, shared_cluster().database()) as two:
        replaced(two, 0, newer)
        two.other.stop()
        flags = [f"--{listener}.listen-address=127.0.0.1:0" for listener in ("webhook", "web")]
        refused = run_command("--config.file", str(two.other.folder / "exporter.yml"), *flags)
        assert "the database has schema version 2" in refused.stderr
        two.other.place = newer
        two.check()
