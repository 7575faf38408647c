-- What copies of PostgreSQL ask besides reading and writing whole tables (pgsession.py).
-- `%s` is a parameter of psycopg's; tables and columns that only the schema knows are put in there.

-- name: jobs
-- Jobs as SQLite has them. Periodic ones are left out: procrastinate makes them itself.
SELECT id, task_name::text AS task, args ->> 'arguments' AS arguments,
       CASE status WHEN 'failed' THEN 'dead' ELSE 'waiting' END AS status,
       attempts, (args ->> 'max_attempts')::bigint AS max_attempts, queue_name::text AS queue,
       lock, CASE status WHEN 'todo' THEN queueing_lock END AS key,
       (extract(epoch FROM scheduled_at) * 1000000)::bigint AS run_at, args ->> 'error' AS error
  FROM procrastinate_jobs WHERE status IN ('todo', 'doing', 'failed') AND args ? 'arguments';

-- name: add_jobs
-- Jobs from the table that was copied to, as procrastinate has them.
INSERT INTO procrastinate_jobs (id, queue_name, task_name, lock, queueing_lock, args, status,
                                scheduled_at, attempts)
SELECT id, queue, task, lock, key,
       jsonb_build_object('arguments', arguments, 'max_attempts', max_attempts)
         || CASE WHEN error IS NULL THEN '{}' ELSE jsonb_build_object('error', error) END,
       CASE status WHEN 'dead' THEN 'failed' ELSE 'todo' END::procrastinate_job_status,
       'epoch'::timestamptz + run_at * interval '1 microsecond', attempts
  FROM palaver_jobs;

-- name: numbered_turns
-- Turns with numbers that are unique in the whole database, as SQLite wants them; here they are
-- unique for a client, and grow by gaps. The order of each client's turns is kept.
SELECT row_number() OVER (ORDER BY id, client) AS id,
       client, began_at, ended_at, messages, expires_at FROM turn;

-- name: raise_fences
-- A client's next turn must have a higher number than its last one.
UPDATE client SET fence = turns.id
  FROM (SELECT client, max(id) AS id FROM turn GROUP BY client) AS turns
 WHERE turns.client = client.client AND client.fence < turns.id;

-- name: schema_number
-- The schema, or nothing.
SELECT number FROM palaver_schema;

-- name: has_schema
-- Whether the database is one of ours.
SELECT to_regclass('palaver_schema') IS NOT NULL;

-- name: begin_move
-- Nobody serves the database until `end_move`.
UPDATE palaver_schema SET number = number + %s;

-- name: end_move
-- The move has ended, well or badly.
UPDATE palaver_schema SET number = number - %s;

-- name: make_mark
-- Says which move it is.
CREATE TABLE palaver_move (source text NOT NULL, run text NOT NULL);

-- name: set_mark
-- Says which move it is.
INSERT INTO palaver_move VALUES (%s, %s);

-- name: read_mark
-- Which move has not ended.
SELECT source, run FROM palaver_move;

-- name: drop_mark
-- There is no move any more.
DROP TABLE palaver_move;

-- name: our_tables
-- All tables, procrastinate's included, in the order in which they are locked.
SELECT relname::text FROM pg_class
 WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
   AND NOT starts_with(relname, 'palaver_') ORDER BY relname;

-- name: keys
-- The columns of every primary key, in order.
SELECT c.relname::text, array_agg(a.attname::text ORDER BY array_position(i.indkey, a.attnum))
  FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
 WHERE i.indisprimary AND c.relnamespace = current_schema()::regnamespace
 GROUP BY c.relname;

-- name: columns
-- Every column of every table.
SELECT c.relname::text, a.attname::text
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'
   AND a.attnum > 0 AND NOT a.attisdropped;

-- name: names
-- Tables, indexes, triggers and functions that there are.
SELECT relname::text FROM pg_class WHERE relnamespace = current_schema()::regnamespace
UNION SELECT t.tgname::text FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
       WHERE c.relnamespace = current_schema()::regnamespace
UNION SELECT proname::text FROM pg_proc WHERE pronamespace = current_schema()::regnamespace;

-- name: sequences
-- Columns that number themselves: table, column, sequence.
SELECT t.relname::text, a.attname::text, s.relname::text
  FROM pg_class s
  JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
                  AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
  JOIN pg_class t ON t.oid = d.refobjid
  JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
 WHERE s.relkind = 'S' AND s.relnamespace = current_schema()::regnamespace
 ORDER BY t.relname;

-- name: users
-- Servers and workers that are connected: how many.
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = %s;

-- name: workers
-- Workers that gave a sign of life within the last seconds: how many.
SELECT count(*) FROM procrastinate_workers
 WHERE last_heartbeat > now() - make_interval(secs => %s);

-- name: size
-- Bytes of the whole database.
SELECT pg_database_size(current_database());
