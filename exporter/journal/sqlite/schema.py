"""The SQLite schema: a list of forward migrations. `PRAGMA user_version` counts those that were applied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3

MIGRATIONS: Final = (
    # 1: events, checkpoints, blindness, quarantine
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE device (id INTEGER PRIMARY KEY, device_id TEXT NOT NULL UNIQUE, identity INTEGER, base TEXT);
    CREATE TABLE identity (
        id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, device_name TEXT NOT NULL, engine TEXT NOT NULL,
        channel_id TEXT NOT NULL, channel_name TEXT NOT NULL, business_id TEXT NOT NULL, business_name TEXT NOT NULL,
        user_id TEXT NOT NULL, user_name TEXT NOT NULL);
    CREATE INDEX identity_device ON identity (device_id);
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY, device INTEGER NOT NULL, timestamp INTEGER NOT NULL, kind INTEGER NOT NULL,
        identity INTEGER NOT NULL, received_ms INTEGER NOT NULL, exposed_ms INTEGER NOT NULL);
    CREATE UNIQUE INDEX event_identity ON event (device, timestamp, kind);
    CREATE TABLE saved_device (device INTEGER PRIMARY KEY, state TEXT NOT NULL);
    CREATE TABLE saved_group (engine TEXT, business_id TEXT, state TEXT NOT NULL,
        PRIMARY KEY (engine, business_id)) WITHOUT ROWID;
    CREATE TABLE saved_histogram (engine TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE blind (start_ms INTEGER PRIMARY KEY, end_ms INTEGER NOT NULL);
    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY AUTOINCREMENT, received_ms INTEGER NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE, payload BLOB, times INTEGER NOT NULL);
    """,
    # 2: conversations, what outages affected, what the relay sent
    """
    CREATE TABLE conversation (
        channel_id TEXT NOT NULL, conversation INTEGER NOT NULL, engine TEXT NOT NULL, business_id TEXT NOT NULL,
        previous INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, need_human INTEGER NOT NULL,
        PRIMARY KEY (channel_id, conversation)) WITHOUT ROWID;
    CREATE TABLE outage_impact (
        device_id TEXT NOT NULL, start INTEGER NOT NULL, affected INTEGER NOT NULL, waiting INTEGER NOT NULL,
        PRIMARY KEY (device_id, start)) WITHOUT ROWID;
    CREATE TABLE notify_delivery (key BLOB PRIMARY KEY, sent_at REAL NOT NULL) WITHOUT ROWID;
    CREATE INDEX notify_delivery_sent_at ON notify_delivery (sent_at);
    """,
    # 3: incidents; `entry.key` is unique in an incident, so that writing a step twice changes nothing
    """
    CREATE TABLE incident (
        number INTEGER PRIMARY KEY AUTOINCREMENT, device_id TEXT NOT NULL, outage INTEGER NOT NULL,
        started_at INTEGER NOT NULL, opened_at REAL NOT NULL, resolved_at REAL, resolution TEXT NOT NULL DEFAULT '',
        status TEXT NOT NULL, severity TEXT NOT NULL, affected INTEGER, waiting INTEGER, device_name TEXT NOT NULL,
        engine TEXT NOT NULL, channel_id TEXT NOT NULL, channel_name TEXT NOT NULL, business_id TEXT NOT NULL,
        business_name TEXT NOT NULL, UNIQUE (device_id, outage));
    CREATE INDEX incident_open ON incident (device_id) WHERE resolved_at IS NULL;
    CREATE TABLE incident_entry (
        incident INTEGER NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
        author TEXT NOT NULL, PRIMARY KEY (incident, key)) WITHOUT ROWID;
    CREATE TABLE incident_early (
        device_id TEXT NOT NULL, key TEXT NOT NULL, at REAL NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
        PRIMARY KEY (device_id, key)) WITHOUT ROWID;
    """,
    # 4: failover's states and the settled sums of its groups
    """
    CREATE TABLE failover_state (
        channel_id TEXT NOT NULL, backup_channel_id TEXT NOT NULL, state TEXT NOT NULL,
        PRIMARY KEY (channel_id, backup_channel_id)) WITHOUT ROWID;
    CREATE TABLE failover_group (
        channel_id TEXT NOT NULL, backup_channel_id TEXT NOT NULL, state TEXT NOT NULL,
        PRIMARY KEY (channel_id, backup_channel_id)) WITHOUT ROWID;
    """,
    # 5: maintenance windows that operators gave
    """
    CREATE TABLE maintenance (
        number INTEGER PRIMARY KEY AUTOINCREMENT, created_at REAL NOT NULL, ended_at REAL, spec TEXT NOT NULL);
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, each migration in one transaction. ConfigError if the file is of a newer version."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise ConfigError(
            f"storage.url: the database has schema version {version}, this program knows up to {len(MIGRATIONS)}; "
            "use the version that wrote it, or a newer one"
        )
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;")
