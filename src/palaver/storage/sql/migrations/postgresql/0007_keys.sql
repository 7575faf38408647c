-- Which keys sealed something, so that one that is missing is told of at the start. What is known of
-- those from before: the ones that sealed builds.

CREATE TABLE sealing_key (
  id text COLLATE "C" NOT NULL PRIMARY KEY
);

INSERT INTO sealing_key (id)
SELECT encode(substr(body, 4, 4), 'hex') FROM content WHERE substr(body, 1, 3) = '\x005031'
 UNION
SELECT encode(substr(env, 4, 4), 'hex') FROM version WHERE substr(env, 1, 3) = '\x005031';
