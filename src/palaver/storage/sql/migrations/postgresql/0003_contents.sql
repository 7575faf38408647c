-- A build's content is stored once, by its digest; a version is a row that points at it.
-- Contents stay as they are: plain, and so is their digest. Before the deploy: an older program
-- cannot work with this schema.

CREATE TABLE content (
  digest bytea NOT NULL PRIMARY KEY,
  body bytea NOT NULL
);

INSERT INTO content (digest, body)
SELECT sha256(bot), bot FROM version ON CONFLICT DO NOTHING;

ALTER TABLE version ADD COLUMN content bytea;
UPDATE version SET content = sha256(bot);
ALTER TABLE version DROP COLUMN bot;
ALTER TABLE version ALTER COLUMN content SET NOT NULL;

CREATE INDEX version_content ON version (content);
