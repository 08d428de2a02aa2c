CREATE TABLE conversation (
    channel_id TEXT NOT NULL, conversation INTEGER NOT NULL, engine TEXT NOT NULL, business_id TEXT NOT NULL,
    previous INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, need_human INTEGER NOT NULL,
    PRIMARY KEY (channel_id, conversation)) WITHOUT ROWID;
CREATE TABLE outage_impact (
    device_id TEXT NOT NULL, start INTEGER NOT NULL, affected INTEGER NOT NULL, waiting INTEGER NOT NULL,
    PRIMARY KEY (device_id, start)) WITHOUT ROWID;
CREATE TABLE notify_delivery (key BLOB PRIMARY KEY, sent_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX notify_delivery_sent_at ON notify_delivery (sent_at);
