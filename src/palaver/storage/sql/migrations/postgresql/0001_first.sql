-- The first schema: clients, their conversations, memories and turns, answers, bots, people.

CREATE TABLE palaver_schema (
  number integer NOT NULL
);

CREATE TABLE client (
  client bytea NOT NULL PRIMARY KEY,
  bot_id text COLLATE "C" NOT NULL,
  channel_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  conversation_id text COLLATE "C",
  hold bytea,
  held_at bigint,
  previous_bot bytea,
  expires_at bigint,
  fence bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
  lease_owner bytea,
  lease_request bytea,
  lease_began bigint,
  lease_until bigint
) WITH (fillfactor = 70);

CREATE INDEX client_bot ON client (bot_id);
CREATE INDEX client_expiry ON client (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE conversation (
  client bytea NOT NULL,
  id text COLLATE "C" NOT NULL,
  flow_id text COLLATE "C" NOT NULL,
  step_id text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  last_interaction_at bigint NOT NULL,
  expires_at bigint,
  PRIMARY KEY (client, id)
) WITH (fillfactor = 70);

CREATE INDEX conversation_expiry ON conversation (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE memory (
  client bytea NOT NULL,
  key text COLLATE "C" NOT NULL,
  value text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  expires_at bigint,
  PRIMARY KEY (client, key)
) WITH (fillfactor = 80);

CREATE INDEX memory_expiry ON memory (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE turn (
  client bytea NOT NULL,
  id bigint NOT NULL,
  began_at bigint NOT NULL,
  ended_at bigint NOT NULL,
  messages bytea NOT NULL,
  expires_at bigint,
  PRIMARY KEY (client, id)
);

CREATE INDEX turn_expiry ON turn (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE answer (
  scope bytea NOT NULL,
  key text COLLATE "C" NOT NULL,
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  client bytea,
  fingerprint text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY (scope, key)
);

CREATE INDEX answer_client ON answer (client);
CREATE INDEX answer_age ON answer (created_at);

CREATE TABLE version (
  id bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  bot_id text COLLATE "C" NOT NULL,
  version_id text COLLATE "C" NOT NULL,
  engine_version text COLLATE "C" NOT NULL,
  created_at bigint NOT NULL,
  bot bytea NOT NULL,
  env bytea NOT NULL
);

CREATE UNIQUE INDEX version_key ON version (bot_id, version_id);

CREATE TABLE person (
  id text COLLATE "C" NOT NULL PRIMARY KEY,
  bot_id text COLLATE "C" NOT NULL,
  channel_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  attributes bytea NOT NULL,
  created_at bigint NOT NULL,
  last_seen_at bigint,
  secret text COLLATE "C"
);

CREATE UNIQUE INDEX person_user ON person (bot_id, channel_id, user_id);

CREATE TABLE session (
  id text COLLATE "C" NOT NULL PRIMARY KEY,
  number bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
  bot_id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  person_id text COLLATE "C" NOT NULL,
  started_at bigint NOT NULL,
  last_active_at bigint NOT NULL,
  first_message text COLLATE "C",
  data bytea NOT NULL
);

CREATE INDEX session_name ON session (bot_id, name, started_at);
CREATE INDEX session_person ON session (person_id, started_at);

CREATE TABLE credential (
  bot_id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  PRIMARY KEY (bot_id, name)
);

CREATE TABLE folder (
  bot_id text COLLATE "C" NOT NULL PRIMARY KEY,
  digest text COLLATE "C" NOT NULL
);
