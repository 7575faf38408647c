-- The scope of most answers is their client's key; an index of these has nothing to add.

UPDATE answer SET client = NULL WHERE client = scope;
DROP INDEX answer_client;
CREATE INDEX answer_client ON answer (client) WHERE client IS NOT NULL;
