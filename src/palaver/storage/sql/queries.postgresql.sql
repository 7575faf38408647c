-- What PostgreSQL says otherwise than queries.sql, and what only it needs: locks and leases.

-- name: load_client
-- All that a turn reads: hold, previous bot, the current conversation and all memories, in a row.
SELECT c.hold, c.previous_bot, c.expires_at,
       v.id, v.flow_id, v.step_id, v.status,
       v.created_at, v.updated_at, v.last_interaction_at, v.expires_at,
       (SELECT coalesce(json_object_agg(m.key, m.value), '{}') FROM memory m
         WHERE m.client = ?1 AND (m.expires_at IS NULL OR m.expires_at > ?2))
  FROM client c
  LEFT JOIN conversation v ON v.client = ?1 AND v.id = c.conversation_id
 WHERE c.client = ?1;

-- name: save_client
-- A turn's state, as everywhere; the turn is numbered anew, and whatever lease there was ends.
INSERT INTO client (client, bot_id, channel_id, user_id, conversation_id,
                    hold, held_at, previous_bot, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (client) DO UPDATE SET
  conversation_id = coalesce(excluded.conversation_id, client.conversation_id),
  hold = excluded.hold, held_at = excluded.held_at,
  previous_bot = excluded.previous_bot, expires_at = excluded.expires_at,
  fence = client.fence + 1, lease_owner = NULL, lease_request = NULL,
  lease_began = NULL, lease_until = NULL;

-- name: append_turn
-- One turn's messages as one document, numbered by the client's fence.
INSERT INTO turn (client, id, began_at, ended_at, messages, expires_at)
SELECT client, fence, ?2::bigint, ?3::bigint, ?4::bytea, ?5::bigint
  FROM client WHERE client = ?1;

-- name: lock_client
-- Waits for a client's row and holds it; its lease, its line, and the database's clock.
-- A statement of its own: what the next one reads is what was there after the wait.
SELECT fence, lease_owner, lease_request, lease_began, lease_until, line,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  FROM client WHERE client = ?1 FOR UPDATE;

-- name: save_line
-- Who waits for the client's turn.
UPDATE client SET line = ?2 WHERE client = ?1;

-- name: lock_clients_of_bot
-- Waits for all clients of a bot, in the order in which everybody does.
SELECT client FROM client WHERE bot_id = ?1 ORDER BY client FOR UPDATE;

-- name: change_counter
-- Grows with every change of builds and keys.
SELECT number FROM change;

-- name: lock_contents
-- One process at a time stores or deletes builds: a content must not go while a build comes.
LOCK TABLE content IN SHARE ROW EXCLUSIVE MODE;

-- name: take_lease
-- Marks that a turn of this client calls the outside, for ?4 microseconds from now. A row that is
-- of this turn (?5 is 1) has expired until the turn is stored: nobody may come back for it.
UPDATE client SET fence = fence + 1, lease_owner = ?2, lease_request = ?3,
  expires_at = CASE ?5::integer WHEN 1 THEN 0 ELSE expires_at END,
  lease_began = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
  lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + ?4
 WHERE client = ?1;

-- name: extend_lease
-- The lease goes on for ?3 microseconds from now, if it is still held.
UPDATE client
   SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + ?3
 WHERE client = ?1 AND fence = ?2;

-- name: check_fence
-- Fails (a division by zero) when the lease was lost; after lock_client, in the same transaction.
SELECT 1 / count(*) FROM client WHERE client = ?1 AND fence = ?2;

-- name: drop_lease
-- A turn that is not stored gives its lease back.
UPDATE client SET lease_owner = NULL, lease_request = NULL, lease_began = NULL, lease_until = NULL
 WHERE client = ?1 AND fence = ?2;

-- name: drop_new_client
-- The row of a client who was new and of whom nothing was stored.
DELETE FROM client c WHERE c.client = ?1 AND c.fence = ?2
   AND NOT EXISTS (SELECT 1 FROM conversation v WHERE v.client = ?1)
   AND NOT EXISTS (SELECT 1 FROM memory m WHERE m.client = ?1)
   AND NOT EXISTS (SELECT 1 FROM turn t WHERE t.client = ?1)
   AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.scope = ?1 OR a.client = ?1);

-- name: purge_conversations
-- Some of the expired conversations.
DELETE FROM conversation WHERE (client, id) IN (
  SELECT client, id FROM conversation WHERE expires_at <= ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED);

-- name: purge_turns
-- Some of the expired messages.
DELETE FROM turn WHERE (client, id) IN (
  SELECT client, id FROM turn WHERE expires_at <= ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED);

-- name: purge_memories
-- Some of the expired memories.
DELETE FROM memory WHERE (client, key) IN (
  SELECT client, key FROM memory WHERE expires_at <= ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED);

-- name: purge_states
-- Some of the expired holds and previous bots.
UPDATE client SET hold = NULL, held_at = NULL, previous_bot = NULL WHERE client IN (
  SELECT client FROM client
   WHERE expires_at <= ?1 AND (hold IS NOT NULL OR previous_bot IS NOT NULL) LIMIT ?2
     FOR UPDATE SKIP LOCKED);

-- name: purge_answers
-- Some of the answers created before ?1.
DELETE FROM answer WHERE (scope, key) IN (
  SELECT scope, key FROM answer WHERE created_at < ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED);

-- name: purge_clients
-- Some of the clients of whom nothing else is left, and who are in no turn: a lease that was over
-- an hour ago is of a process that died.
DELETE FROM client WHERE client IN (
  SELECT c.client FROM client c
   WHERE c.expires_at <= ?1
     AND (c.lease_until IS NULL OR c.lease_until <
          (extract(epoch FROM clock_timestamp() - interval '1 hour') * 1000000)::bigint)
     AND NOT EXISTS (SELECT 1 FROM conversation v WHERE v.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM memory m WHERE m.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM turn t WHERE t.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM answer a WHERE a.scope = c.client OR a.client = c.client)
     AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs j
                      WHERE j.lock = 'client ' || encode(c.client, 'hex'))
   LIMIT ?2 FOR UPDATE OF c SKIP LOCKED);

-- name: add_job
-- Enqueues a job, unless one waits under its key; its id.
SELECT (procrastinate_defer_jobs_v1(ARRAY[ROW(
    ?4::text, ?1::text, 0, ?5::text, ?6::text,
    jsonb_build_object('arguments', ?2::text, 'max_attempts', ?3::integer),
    to_timestamp(?7::bigint / 1000000.0))::procrastinate_job_to_defer_v1]))[1]
 WHERE ?6::text IS NULL OR NOT EXISTS (
   SELECT 1 FROM procrastinate_jobs WHERE queueing_lock = ?6::text AND status = 'todo');

-- name: list_jobs
-- Jobs in one status, or in any ('').
SELECT id, task_name::text, coalesce(args ->> 'arguments', '{}'),
       CASE status WHEN 'todo' THEN 'waiting' WHEN 'doing' THEN 'running' ELSE 'dead' END,
       attempts, (args ->> 'max_attempts')::integer, queue_name::text, lock, queueing_lock,
       (extract(epoch FROM scheduled_at) * 1000000)::bigint, args ->> 'error'
  FROM procrastinate_jobs
 WHERE status IN ('todo', 'doing', 'failed')
   AND (?1::text = '' OR status =
        CASE ?1::text WHEN 'waiting' THEN 'todo' WHEN 'running' THEN 'doing' ELSE 'failed' END
        ::procrastinate_job_status)
   AND id > ?2 ORDER BY id LIMIT ?3;

-- name: revive_job
-- A dead job waits again, with all its attempts.
UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL,
  worker_id = NULL, abort_requested = false, queueing_lock = NULL
 WHERE id = ?1 AND status = 'failed';

-- name: abort_job
-- A job that runs is to be stopped by its worker.
UPDATE procrastinate_jobs SET abort_requested = true WHERE id = ?1 AND status = 'doing';

-- name: cancel_job
-- A job that is not to be run.
DELETE FROM procrastinate_jobs WHERE id = ?1 AND status IN ('todo', 'failed');

-- name: take_over_jobs
-- Jobs whose workers gave no sign for ?1 seconds wait again, or die when they have failed enough.
UPDATE procrastinate_jobs AS j SET
  status = CASE WHEN j.attempts + 1 >= coalesce((j.args ->> 'max_attempts')::integer, ?2::integer)
    OR j.abort_requested THEN 'failed' ELSE 'todo' END::procrastinate_job_status,
  args = CASE WHEN j.attempts + 1 >= coalesce((j.args ->> 'max_attempts')::integer, ?2::integer)
    THEN j.args || jsonb_build_object('error', 'its workers died') ELSE j.args END,
  attempts = j.attempts + 1, scheduled_at = NULL, worker_id = NULL, abort_requested = false,
  queueing_lock = NULL
 WHERE j.status = 'doing' AND (j.worker_id IS NULL OR EXISTS (
   SELECT 1 FROM procrastinate_workers AS w
    WHERE w.id = j.worker_id AND w.last_heartbeat < now() - make_interval(secs => ?1::integer)));

-- name: mend_heartbeats
-- Signs of life from beyond ?1 seconds ahead: the database's clock was set back.
UPDATE procrastinate_workers SET last_heartbeat = now()
 WHERE last_heartbeat > now() + make_interval(secs => ?1::integer);

-- name: mend_retries
-- Retries further ahead than ?1 seconds, which nobody sets, are due.
UPDATE procrastinate_jobs SET scheduled_at = NULL
 WHERE status = 'todo' AND attempts > 0
   AND scheduled_at > now() + make_interval(secs => ?1::integer);

-- name: purge_jobs
-- Jobs that were cancelled while they ran.
DELETE FROM procrastinate_jobs WHERE status IN ('succeeded', 'cancelled', 'aborted');

-- name: note_job_error
-- Why a job failed; the time, by the clock that says when jobs are due.
UPDATE procrastinate_jobs SET args = args || jsonb_build_object('error', ?2::text) WHERE id = ?1
RETURNING (extract(epoch FROM now()) * 1000000)::bigint;

-- name: free_job_key
-- A job that runs no longer waits under its key, nor when it is to be tried again.
UPDATE procrastinate_jobs SET queueing_lock = NULL WHERE id = ?1;

-- name: job_figures
-- Of every queue: how many jobs wait, run and are dead, and since when one is due, in microseconds.
-- Of those without a time the first one counts, and what was last noted of it.
WITH figures AS (
  SELECT queue_name, count(*) FILTER (WHERE status = 'todo') AS waiting,
         count(*) FILTER (WHERE status = 'doing') AS running,
         count(*) FILTER (WHERE status = 'failed') AS dead,
         min(scheduled_at) FILTER (WHERE status = 'todo') AS due_at,
         min(id) FILTER (WHERE status = 'todo' AND scheduled_at IS NULL) AS first
    FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed') GROUP BY queue_name)
SELECT queue_name::text, waiting, running, dead,
       (greatest(0, extract(epoch FROM now() - least(due_at,
         (SELECT max(at) FROM procrastinate_events WHERE job_id = first)))) * 1000000)::bigint
  FROM figures ORDER BY queue_name;

-- name: jobs_of_client
-- The jobs under a lock.
SELECT id, task_name::text, coalesce(args ->> 'arguments', '{}'),
       CASE status WHEN 'todo' THEN 'waiting' WHEN 'doing' THEN 'running' ELSE 'dead' END,
       attempts, (args ->> 'max_attempts')::integer, queue_name::text, lock, queueing_lock,
       (extract(epoch FROM scheduled_at) * 1000000)::bigint, args ->> 'error'
  FROM procrastinate_jobs
 WHERE lock = ?1 AND status IN ('todo', 'doing', 'failed') ORDER BY id;

-- name: count_jobs_of_client
-- How many jobs a client has.
SELECT count(*) FROM procrastinate_jobs WHERE lock = 'client ' || encode(?1::bytea, 'hex');

-- name: delete_jobs_of_client
-- Erases a client's jobs.
DELETE FROM procrastinate_jobs WHERE lock = 'client ' || encode(?1::bytea, 'hex');

-- name: delete_jobs_of_bot
-- Erases the jobs of all clients of a bot.
DELETE FROM procrastinate_jobs WHERE lock IN (
  SELECT 'client ' || encode(client, 'hex') FROM client WHERE bot_id = ?1);
