-- Jobs of the process that serves.

CREATE TABLE job (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
  task TEXT NOT NULL,
  arguments TEXT NOT NULL,
  status TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  max_attempts INTEGER,
  queue TEXT NOT NULL,
  lock TEXT,
  key TEXT,
  run_at INTEGER,
  owner BLOB,
  lease_until INTEGER,
  error TEXT
);

CREATE UNIQUE INDEX job_key ON job (key) WHERE status = 'waiting' AND key IS NOT NULL;
CREATE INDEX job_lock ON job (lock) WHERE lock IS NOT NULL;
CREATE INDEX job_status ON job (status, id);
