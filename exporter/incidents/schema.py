"""The incidents' piece of the schema. A line's key is unique in an incident: a step written twice is one line."""

from __future__ import annotations

from typing import Final

from exporter.journal.port import Piece

PIECE: Final = Piece(
    "incidents",
    (
        """
        CREATE TABLE incident (
            number {serial}, device_id TEXT NOT NULL, outage {bigint} NOT NULL, started_at {bigint} NOT NULL,
            opened_at {real} NOT NULL, resolved_at {real}, resolution TEXT NOT NULL DEFAULT '', status TEXT NOT NULL,
            severity TEXT NOT NULL, affected {bigint}, waiting {bigint}, device_name TEXT NOT NULL,
            engine TEXT NOT NULL, channel_id TEXT NOT NULL, channel_name TEXT NOT NULL, business_id TEXT NOT NULL,
            business_name TEXT NOT NULL, UNIQUE (device_id, outage));
        CREATE INDEX incident_open ON incident (device_id) WHERE resolved_at IS NULL;
        CREATE TABLE incident_entry (
            incident {bigint} NOT NULL, key TEXT NOT NULL, at {real} NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
            author TEXT NOT NULL, PRIMARY KEY (incident, key)) {without_rowid};
        CREATE TABLE incident_early (
            device_id TEXT NOT NULL, key TEXT NOT NULL, at {real} NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
            PRIMARY KEY (device_id, key)) {without_rowid};
        """,
        # journals of before have this table by a migration of their own, which knew where the two values were
        """
        CREATE TABLE IF NOT EXISTS incident_progress (
            id {bigint} PRIMARY KEY CHECK (id = 1), since {real} NOT NULL, seq {bigint} NOT NULL);
        """,
        """
        ALTER TABLE incident ADD COLUMN part_of {bigint};
        ALTER TABLE incident ADD COLUMN shared TEXT NOT NULL DEFAULT '';
        ALTER TABLE incident ADD COLUMN gateway TEXT NOT NULL DEFAULT '';
        CREATE INDEX incident_started ON incident (started_at);
        CREATE INDEX incident_part ON incident (part_of) WHERE part_of IS NOT NULL;
        """,
        # whether a note is for everybody: on status pages
        "ALTER TABLE incident_entry ADD COLUMN public {bigint} NOT NULL DEFAULT 0;",
        """
        ALTER TABLE incident ADD COLUMN acknowledged_at {real};
        ALTER TABLE incident ADD COLUMN acknowledged_by TEXT NOT NULL DEFAULT '';
        """,
        # by when a note promises the next one
        "ALTER TABLE incident_entry ADD COLUMN next_update_at {real};",
        # those that began about when another one did and are in no mass outage: a few beside ten thousands that are
        "CREATE INDEX incident_alone ON incident (started_at) WHERE shared = '';",
        # what is open of each mass outage, one after the other
        """
        CREATE INDEX incident_gateway ON incident (gateway, (COALESCE(part_of, number)))
            WHERE shared = 'gateway' AND resolved_at IS NULL;
        CREATE INDEX incident_engine ON incident (engine, (COALESCE(part_of, number)))
            WHERE shared = 'engine' AND resolved_at IS NULL;
        CREATE INDEX incident_business ON incident (business_id, (COALESCE(part_of, number)))
            WHERE shared = 'business_id' AND resolved_at IS NULL;
        """,
    ),
)
