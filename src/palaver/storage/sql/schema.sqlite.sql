-- The whole schema on SQLite, as the migrations make it (tested to be equal).
--
-- Times are integer microseconds since 1970 UTC; a row with `expires_at` at or before now is as
-- good as gone. `client` is the digest of the triple (bot, channel, user); the triple itself
-- stands once, in the client's row, which is there while anything about the client is.
-- Bodies (BLOB) are JSON, sealed when a secret key is set.

CREATE TABLE client (
  client BLOB NOT NULL PRIMARY KEY,
  bot_id TEXT NOT NULL,
  channel_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  conversation_id TEXT,              -- the one last written
  hold BLOB,
  held_at INTEGER,
  previous_bot BLOB,
  expires_at INTEGER                 -- of hold and previous_bot
) WITHOUT ROWID;

CREATE INDEX client_bot ON client (bot_id);
CREATE INDEX client_expiry ON client (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE conversation (
  client BLOB NOT NULL,
  id TEXT NOT NULL,
  flow_id TEXT NOT NULL,
  step_id TEXT NOT NULL,
  status TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  last_interaction_at INTEGER NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (client, id)
) WITHOUT ROWID;

CREATE INDEX conversation_expiry ON conversation (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE memory (
  client BLOB NOT NULL,
  key TEXT NOT NULL,
  value TEXT NOT NULL,               -- JSON text
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  PRIMARY KEY (client, key)
) WITHOUT ROWID;

CREATE INDEX memory_expiry ON memory (expires_at) WHERE expires_at IS NOT NULL;

-- One row a turn, not one a message: appended at the end of the table.
CREATE TABLE turn (
  id INTEGER NOT NULL PRIMARY KEY,
  client BLOB NOT NULL,
  began_at INTEGER NOT NULL,         -- of its first and last message
  ended_at INTEGER NOT NULL,
  messages BLOB NOT NULL,
  expires_at INTEGER
);

CREATE INDEX turn_client ON turn (client);
CREATE INDEX turn_expiry ON turn (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE answer (
  id INTEGER NOT NULL PRIMARY KEY,
  scope BLOB NOT NULL,               -- a digest
  key TEXT NOT NULL,
  client BLOB,
  fingerprint TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  body BLOB NOT NULL
);

CREATE UNIQUE INDEX answer_key ON answer (scope, key);
-- `client`: whose an answer is, where its scope does not say so.
CREATE INDEX answer_client ON answer (client) WHERE client IS NOT NULL;
CREATE INDEX answer_age ON answer (created_at);

-- What builds consist of, each content once. Its digest is keyed when a secret key is set.
CREATE TABLE content (
  digest BLOB NOT NULL PRIMARY KEY,
  body BLOB NOT NULL                 -- JSON of the bot without `env`
);

-- `env` holds secrets that change by themselves: it stays here, sealed, and has no digest.
CREATE TABLE version (
  id INTEGER NOT NULL PRIMARY KEY,
  bot_id TEXT NOT NULL,
  version_id TEXT NOT NULL,
  engine_version TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  content BLOB NOT NULL,             -- its digest
  env BLOB NOT NULL
);

CREATE UNIQUE INDEX version_key ON version (bot_id, version_id);
CREATE INDEX version_content ON version (content);

CREATE TABLE person (
  id TEXT NOT NULL PRIMARY KEY,
  bot_id TEXT NOT NULL,
  channel_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  attributes BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER,
  secret TEXT
) WITHOUT ROWID;

CREATE UNIQUE INDEX person_user ON person (bot_id, channel_id, user_id);

CREATE TABLE session (
  number INTEGER NOT NULL PRIMARY KEY,
  id TEXT NOT NULL,
  bot_id TEXT NOT NULL,
  name TEXT NOT NULL,
  person_id TEXT NOT NULL,
  started_at INTEGER NOT NULL,
  last_active_at INTEGER NOT NULL,
  first_message TEXT,
  data BLOB NOT NULL
);

CREATE UNIQUE INDEX session_id ON session (id);
CREATE INDEX session_name ON session (bot_id, name, started_at);
CREATE INDEX session_person ON session (person_id, started_at);

CREATE TABLE credential (
  bot_id TEXT NOT NULL,
  name TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (bot_id, name)
) WITHOUT ROWID;

CREATE TABLE folder (
  bot_id TEXT NOT NULL PRIMARY KEY,
  digest TEXT NOT NULL
) WITHOUT ROWID;

-- The ids of keys that sealed something, hexadecimal; one that is missing is told of at the start.
CREATE TABLE sealing_key (
  id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- Ids are never used again: they tell a job run twice.
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

CREATE UNIQUE INDEX job_key ON job (key) WHERE status = 'waiting' AND key IS NOT NULL;
CREATE INDEX job_lock ON job (lock) WHERE lock IS NOT NULL;
CREATE INDEX job_status ON job (status, id);
CREATE INDEX job_figures ON job (queue, status, run_at, queued_at);
