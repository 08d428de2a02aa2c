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
