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
