CREATE TABLE maintenance (
    number INTEGER PRIMARY KEY AUTOINCREMENT, created_at REAL NOT NULL, ended_at REAL, spec TEXT NOT NULL);
