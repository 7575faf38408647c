-- Since when a job without a time of its own has waited, and an index that counts jobs.

DROP INDEX job_key;
DROP INDEX job_lock;
DROP INDEX job_status;
ALTER TABLE job RENAME TO job_before;

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
  queued_at INTEGER,
  owner BLOB,                        -- the worker that has it, until `lease_until`
  lease_until INTEGER,
  error TEXT
);

INSERT INTO job (id, task, arguments, status, attempts, max_attempts, queue, lock, key, run_at,
                 owner, lease_until, error)
SELECT id, task, arguments, status, attempts, max_attempts, queue, lock, key, run_at,
       owner, lease_until, error FROM job_before;

-- Ids go on where they were, also of a table that is empty.
DELETE FROM sqlite_sequence WHERE name = 'job';
UPDATE sqlite_sequence SET name = 'job' WHERE name = 'job_before';
DROP TABLE job_before;

CREATE UNIQUE INDEX job_key ON job (key) WHERE status = 'waiting' AND key IS NOT NULL;
CREATE INDEX job_lock ON job (lock) WHERE lock IS NOT NULL;
CREATE INDEX job_status ON job (status, id);
CREATE INDEX job_figures ON job (queue, status, run_at, queued_at);
