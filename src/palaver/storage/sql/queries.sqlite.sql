-- What only SQLite is asked: jobs, above all; on PostgreSQL they are procrastinate's.

-- name: change_counter
-- Grows when another process wrote.
SELECT data_version FROM pragma_data_version;

-- name: add_job
-- Enqueues a job, unless one waits under its key.
INSERT INTO job (task, arguments, status, attempts, max_attempts, queue, lock, key, run_at,
                 queued_at)
VALUES (?1, ?2, 'waiting', 0, ?3, ?4, ?5, ?6, ?7,
        CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000)
ON CONFLICT DO NOTHING;

-- name: list_jobs
-- Jobs in one status, or in any ('').
SELECT id, task, arguments, status, attempts, max_attempts, queue, lock, key, run_at, error FROM job
 WHERE (?1 = '' OR status = ?1) AND id > ?2 ORDER BY id LIMIT ?3;

-- name: due_job
-- The first job that a worker may take: due or abandoned, and no other of its lock is before it.
-- A lease beyond ?3, or a retry beyond ?4, is further than anybody sets: the clock was set back.
SELECT id, task, arguments, status, attempts, max_attempts, queue, lock, key, run_at, error
  FROM job AS j
 WHERE ((status = 'waiting'
         AND (run_at IS NULL OR run_at <= ?1 OR (attempts > 0 AND run_at > ?4)))
        OR (status = 'running' AND (lease_until <= ?1 OR lease_until > ?3) AND owner <> ?2))
   AND NOT EXISTS (
     SELECT 1 FROM job AS o WHERE o.lock = j.lock AND o.id <> j.id
        AND (o.status = 'running' OR (o.status = 'waiting' AND o.id < j.id)))
 ORDER BY id LIMIT 1;

-- name: take_job
-- A job as it was found becomes the worker's; taken over from a dead one, an attempt has failed.
UPDATE job SET attempts = attempts + (status = 'running'), status = 'running', key = NULL,
  owner = ?2, lease_until = ?3
 WHERE id = ?1
   AND (status = 'waiting' OR (status = 'running' AND (lease_until <= ?4 OR lease_until > ?3)));

-- name: next_job
-- When the next job is due or the next lease ends, after now.
SELECT min(at) FROM (
  SELECT min(run_at) AS at FROM job WHERE status = 'waiting' AND run_at > ?1
   UNION ALL
  SELECT min(lease_until) FROM job WHERE status = 'running' AND lease_until > ?1);

-- name: extend_job
-- The worker goes on.
UPDATE job SET lease_until = ?3 WHERE id = ?1 AND owner = ?2 AND status = 'running';

-- name: finish_job
-- A job that succeeded.
DELETE FROM job WHERE id = ?1 AND owner = ?2 AND status = 'running';

-- name: postpone_job
-- A job waits again; with an error, one attempt has failed.
UPDATE job SET status = 'waiting', attempts = attempts + (?4 IS NOT NULL), run_at = ?3,
  error = coalesce(?4, error), owner = NULL, lease_until = NULL
 WHERE id = ?1 AND owner = ?2 AND status = 'running';

-- name: bury_job
-- A job that failed for good.
UPDATE job SET status = 'dead', attempts = attempts + 1, error = ?3, owner = NULL,
  lease_until = NULL
 WHERE id = ?1 AND owner = ?2 AND status = 'running';

-- name: revive_job
-- A dead job waits again, with all its attempts.
UPDATE job SET status = 'waiting', attempts = 0, run_at = NULL,
  queued_at = CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) * 1000
 WHERE id = ?1 AND status = 'dead';

-- name: cancel_job
-- A job that is not to be run; a worker that runs it notices.
DELETE FROM job WHERE id = ?1;

-- name: job_figures
-- Of every queue: how many jobs wait, run and are dead, and since when one is due, in microseconds.
SELECT queue, sum(status = 'waiting'), sum(status = 'running'), sum(status = 'dead'),
       max(0, coalesce(max(CASE WHEN status = 'waiting' THEN ?1 - coalesce(run_at, queued_at) END),
                       0))
  FROM job GROUP BY queue ORDER BY queue;

-- name: jobs_of_client
-- The jobs under a lock.
SELECT id, task, arguments, status, attempts, max_attempts, queue, lock, key, run_at, error FROM job
 WHERE lock = ?1 ORDER BY id;

-- name: count_jobs_of_client
-- How many jobs a client has.
SELECT count(*) FROM job WHERE lock = 'client ' || lower(hex(?1));

-- name: delete_jobs_of_client
-- Erases a client's jobs.
DELETE FROM job WHERE lock = 'client ' || lower(hex(?1));

-- name: delete_jobs_of_bot
-- Erases the jobs of all clients of a bot.
DELETE FROM job WHERE lock IN (
  SELECT 'client ' || lower(hex(client)) FROM client WHERE bot_id = ?1);

-- name: purge_clients
-- Some of the clients of whom nothing else is left.
DELETE FROM client WHERE client IN (
  SELECT c.client FROM client c
   WHERE c.expires_at <= ?1
     AND NOT EXISTS (SELECT 1 FROM conversation v WHERE v.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM memory m WHERE m.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM turn t WHERE t.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.scope = c.client OR a.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM job j WHERE j.lock = 'client ' || lower(hex(c.client)))
   LIMIT ?2);
