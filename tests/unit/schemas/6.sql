CREATE TABLE piece (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO piece SELECT column1, 1
FROM (VALUES ('impact', 'outage_impact'), ('notify', 'notify_delivery'), ('incidents', 'incident'),
             ('failover', 'failover_state'), ('maintenance', 'maintenance'))
WHERE column2 IN (SELECT name FROM sqlite_master WHERE type = 'table');
CREATE TABLE incident_progress (id INTEGER PRIMARY KEY CHECK (id = 1), since REAL NOT NULL, seq INTEGER NOT NULL);
INSERT INTO incident_progress SELECT 1, since.value, seq.value FROM meta since, meta seq
WHERE since.key = 'incidents_since' AND seq.key = 'incidents_seq';
DELETE FROM meta WHERE key IN ('incidents_since', 'incidents_seq');
