-- Jobs of the process that serves. Ids are never used again: they tell a job run twice.

CREATE TABLE job (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL,
  arguments TEXT NOT NULL,           -- JSON, sealed when a secret key is set
  status TEXT NOT NULL,              -- waiting, running, dead
  attempts INTEGER NOT NULL,
  max_attempts INTEGER,
  queue TEXT NOT NULL,
  lock TEXT,                         -- one at a time; "client …" for those of a client
  key TEXT,                          -- at most one waits under it
  run_at INTEGER,
  owner BLOB,                        -- the worker that has it, until `lease_until`
  lease_until INTEGER,
  error TEXT
);

CREATE UNIQUE INDEX job_key ON job (key) WHERE status = 'waiting' AND key IS NOT NULL;
CREATE INDEX job_lock ON job (lock) WHERE lock IS NOT NULL;
CREATE INDEX job_status ON job (status, id);
