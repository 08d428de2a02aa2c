"""The SQLite schema: forward migrations of the journal's own tables, then those of each feature's piece.

`PRAGMA user_version` counts the journal's that were applied, the table `piece` those of each piece.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from exporter.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from exporter.journal.port import Piece

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
    # 2, 3, 4, 5: the tables of features, which are pieces of the schema now (see 6)
    "",
    "",
    "",
    "",
    # 6: which pieces there are, and in which version; those that 2 to 5 made are noted. How far the incidents know the
    # journal moves out of `meta` into a table of theirs, which their own migration makes where this one found none
    """
    CREATE TABLE piece (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO piece SELECT column1, 1
    FROM (VALUES ('impact', 'outage_impact'), ('notify', 'notify_delivery'), ('incidents', 'incident'),
                 ('failover', 'failover_state'), ('maintenance', 'maintenance'))
    WHERE column2 IN (SELECT name FROM sqlite_master WHERE type = 'table');
    CREATE TABLE incident_progress (id INTEGER PRIMARY KEY CHECK (id = 1), since REAL NOT NULL, seq INTEGER NOT NULL);
    INSERT INTO incident_progress SELECT 1, since.value, seq.value FROM meta since, meta seq
    WHERE since.key = 'incidents_since' AND seq.key = 'incidents_seq';
    DELETE FROM meta WHERE key IN ('incidents_since', 'incidents_seq');
    """,
    # 7: which gateway tells of a device; there was one only
    "ALTER TABLE identity ADD COLUMN gateway TEXT NOT NULL DEFAULT 'csku';",
    # 8: a checkpoint is written in pieces, beside what it replaces (see `saved.steps`)
    """
    ALTER TABLE saved_device RENAME TO former_device;
    ALTER TABLE saved_group RENAME TO former_group;
    CREATE TABLE saved_device (device INTEGER, generation INTEGER DEFAULT 0, state TEXT,
        PRIMARY KEY (device, generation)) WITHOUT ROWID;
    CREATE TABLE saved_group (engine TEXT, business_id TEXT, generation INTEGER DEFAULT 0, state TEXT NOT NULL,
        PRIMARY KEY (engine, business_id, generation)) WITHOUT ROWID;
    INSERT INTO saved_device SELECT device, 0, state FROM former_device;
    INSERT INTO saved_group SELECT engine, business_id, 0, state FROM former_group;
    DROP TABLE former_device;
    DROP TABLE former_group;
    """,
)
_TYPES: Final = {
    "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "bigint": "INTEGER",
    "real": "REAL",
    "bytes": "BLOB",
    "without_rowid": "WITHOUT ROWID",
}
"""What stands for the placeholders of a `Piece`."""


def migrate(connection: sqlite3.Connection, pieces: Iterable[Piece] = ()) -> None:
    """Bring the schema and those pieces of it up to date, each migration in one transaction.

    A piece that the database has and nobody names is left as it is. ConfigError if the file is of a newer version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    _check("schema", version, len(MIGRATIONS))
    for number, migration in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {migration} PRAGMA user_version = {number}; COMMIT;")
    known: dict[str, int] = dict(connection.execute("SELECT name, version FROM piece"))
    for piece in pieces:
        _migrate_piece(connection, piece, known.get(piece.name, 0))


def _migrate_piece(connection: sqlite3.Connection, piece: Piece, version: int) -> None:
    _check(f"{piece.name} schema", version, len(piece.migrations))
    for number, migration in enumerate(piece.migrations[version:], version + 1):
        noted = f"INSERT OR REPLACE INTO piece VALUES ('{piece.name}', {number})"  # noqa: S608 - constants
        connection.executescript(f"BEGIN IMMEDIATE; {migration.format_map(_TYPES)} {noted}; COMMIT;")


def _check(what: str, version: int, known: int) -> None:
    if version > known:
        raise ConfigError(
            f"storage.url: the database has {what} version {version}, this program knows up to {known}; "
            "use the version that wrote it, or a newer one"
        )
