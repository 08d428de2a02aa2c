CREATE TABLE failover_state (
    channel_id TEXT NOT NULL, backup_channel_id TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (channel_id, backup_channel_id)) WITHOUT ROWID;
CREATE TABLE failover_group (
    channel_id TEXT NOT NULL, backup_channel_id TEXT NOT NULL, state TEXT NOT NULL,
    PRIMARY KEY (channel_id, backup_channel_id)) WITHOUT ROWID;
