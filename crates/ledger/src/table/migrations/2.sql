-- When a program took calls for this ledger: from its start to its last sign of life, Unix milliseconds. What lies between
-- two rows is time in which nobody counted.
CREATE TABLE runs (
  began_at INTEGER PRIMARY KEY,
  last_at INTEGER NOT NULL
);
