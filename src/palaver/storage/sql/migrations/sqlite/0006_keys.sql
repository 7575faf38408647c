-- Which keys sealed something, so that one that is missing is told of at the start. What is known of
-- those from before: the ones that sealed builds.

CREATE TABLE sealing_key (
  id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

INSERT INTO sealing_key (id)
SELECT lower(hex(substr(body, 4, 4))) FROM content WHERE substr(body, 1, 3) = X'005031'
 UNION
SELECT lower(hex(substr(env, 4, 4))) FROM version WHERE substr(env, 1, 3) = X'005031';
