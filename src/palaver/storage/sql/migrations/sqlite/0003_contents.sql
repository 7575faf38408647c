-- A build's content is stored once, by its digest; a version is a row that points at it.
-- `sha256` is the program's (migrate.py). Contents stay as they are: plain, and so is their digest.

CREATE TABLE content (
  digest BLOB NOT NULL PRIMARY KEY,
  body BLOB NOT NULL                 -- JSON of the bot without `env`
);

INSERT OR IGNORE INTO content (digest, body) SELECT sha256(bot), bot FROM version;

DROP INDEX version_key;
ALTER TABLE version RENAME TO version_before;

CREATE TABLE version (
  id INTEGER NOT NULL PRIMARY KEY,
  bot_id TEXT NOT NULL,
  version_id TEXT NOT NULL,
  engine_version TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  content BLOB NOT NULL,             -- its digest
  env BLOB NOT NULL
);

INSERT INTO version (id, bot_id, version_id, engine_version, created_at, content, env)
SELECT id, bot_id, version_id, engine_version, created_at, sha256(bot), env FROM version_before;

DROP TABLE version_before;

CREATE UNIQUE INDEX version_key ON version (bot_id, version_id);
CREATE INDEX version_content ON version (content);
