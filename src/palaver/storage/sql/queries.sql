-- Every statement, named and described; `queries.py` loads them by name. `?1` numbers a parameter.
-- Statements of a turn name the client's key first.

-- name: load_client
-- All that a turn reads: hold, previous bot, the current conversation and all memories, in a row.
SELECT c.hold, c.previous_bot, c.expires_at,
       v.id, v.flow_id, v.step_id, v.status,
       v.created_at, v.updated_at, v.last_interaction_at, v.expires_at,
       (SELECT json_group_object(m.key, m.value) FROM memory m
         WHERE m.client = ?1 AND (m.expires_at IS NULL OR m.expires_at > ?2))
  FROM client c
  LEFT JOIN conversation v ON v.client = ?1 AND v.id = c.conversation_id
 WHERE c.client = ?1;

-- name: save_client
-- A turn's state: hold and previous bot are replaced, the current conversation stays if none came.
INSERT INTO client (client, bot_id, channel_id, user_id, conversation_id,
                    hold, held_at, previous_bot, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (client) DO UPDATE SET
  conversation_id = coalesce(excluded.conversation_id, client.conversation_id),
  hold = excluded.hold, held_at = excluded.held_at,
  previous_bot = excluded.previous_bot, expires_at = excluded.expires_at;

-- name: ensure_client
-- The client's row, for data written outside of turns.
INSERT INTO client (client, bot_id, channel_id, user_id)
VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (client) DO NOTHING;

-- name: ensure_client_of_job
-- The client's row, for a job: one that was not there expires with the last job of the client.
INSERT INTO client (client, bot_id, channel_id, user_id, expires_at)
VALUES (?1, ?2, ?3, ?4, 0)
ON CONFLICT (client) DO NOTHING;

-- name: save_conversation
-- Inserts a conversation or replaces the one with its id.
INSERT INTO conversation (client, id, flow_id, step_id, status,
                          created_at, updated_at, last_interaction_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
ON CONFLICT (client, id) DO UPDATE SET
  flow_id = excluded.flow_id, step_id = excluded.step_id, status = excluded.status,
  created_at = excluded.created_at, updated_at = excluded.updated_at,
  last_interaction_at = excluded.last_interaction_at, expires_at = excluded.expires_at;

-- name: save_memory
-- Inserts or overwrites; `created_at` (?4, which is now) stays that of the first time.
INSERT INTO memory (client, key, value, created_at, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (client, key) DO UPDATE SET
  value = excluded.value, expires_at = excluded.expires_at,
  created_at = CASE WHEN memory.expires_at <= excluded.created_at
                    THEN excluded.created_at ELSE memory.created_at END;

-- name: append_turn
-- One turn's messages as one document.
INSERT INTO turn (client, began_at, ended_at, messages, expires_at)
VALUES (?1, ?2, ?3, ?4, ?5);

-- name: make_room_for_answer
-- Drops what the scope kept under the key, and all but its newest 19 answers.
DELETE FROM answer
 WHERE scope = ?1
   AND (key = ?2 OR id <= (SELECT id FROM answer WHERE scope = ?1 AND key <> ?2
                            ORDER BY id DESC LIMIT 1 OFFSET 19));

-- name: save_answer
-- Keeps an answer, after room was made for it.
INSERT INTO answer (scope, key, client, fingerprint, created_at, body)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: find_answer
-- The answer kept under a key, if it is younger than ?3.
SELECT fingerprint, created_at, body FROM answer
 WHERE scope = ?1 AND key = ?2 AND created_at >= ?3;

-- name: find_current_conversation
-- The conversation last written, open or not.
SELECT v.id, v.flow_id, v.step_id, v.status,
       v.created_at, v.updated_at, v.last_interaction_at, v.expires_at
  FROM client c JOIN conversation v ON v.client = ?1 AND v.id = c.conversation_id
 WHERE c.client = ?1;

-- name: close_conversations
-- Closes every open conversation of a client.
UPDATE conversation SET status = 'CLOSED', updated_at = ?2
 WHERE client = ?1 AND status = 'OPEN';

-- name: clear_state
-- Drops a client's hold and previous bot.
UPDATE client SET hold = NULL, held_at = NULL, previous_bot = NULL WHERE client = ?1;

-- name: list_conversations
-- A client's conversations before a position, newest first.
SELECT id, flow_id, step_id, status, created_at, updated_at, last_interaction_at, expires_at
  FROM conversation
 WHERE client = ?1 AND (created_at, id) < (?2, ?3)
   AND (expires_at IS NULL OR expires_at > ?4)
 ORDER BY created_at DESC, id DESC LIMIT ?5;

-- name: list_turns
-- A client's turns up to a position with a message between two moments, newest first.
SELECT id, messages FROM turn
 WHERE client = ?1 AND id <= ?2 AND ended_at >= ?3 AND began_at <= ?4
   AND (expires_at IS NULL OR expires_at > ?5)
 ORDER BY id DESC LIMIT ?6;

-- name: find_hold
-- The pending hold and when it was stored.
SELECT hold, held_at FROM client
 WHERE client = ?1 AND hold IS NOT NULL AND (expires_at IS NULL OR expires_at > ?2);

-- name: list_memories
-- A client's memories by key.
SELECT key, value, created_at FROM memory
 WHERE client = ?1 AND (expires_at IS NULL OR expires_at > ?2) ORDER BY key;

-- name: find_memory
-- One memory.
SELECT key, value, created_at FROM memory
 WHERE client = ?1 AND key = ?2 AND (expires_at IS NULL OR expires_at > ?3);

-- name: delete_memory
-- Forgets one memory.
DELETE FROM memory WHERE client = ?1 AND key = ?2;

-- name: delete_memories
-- Forgets all memories of a client.
DELETE FROM memory WHERE client = ?1;

-- name: delete_conversations
-- Erases the conversations of a client.
DELETE FROM conversation WHERE client = ?1;

-- name: delete_turns
-- Erases the messages of a client.
DELETE FROM turn WHERE client = ?1;

-- name: delete_answers
-- Erases the answers kept for a client.
DELETE FROM answer WHERE scope = ?1 OR client = ?1;

-- name: delete_client
-- Erases the client's row, which goes last.
DELETE FROM client WHERE client = ?1;

-- name: clients_of_user
-- A user's clients on all channels of a bot.
SELECT bot_id, channel_id, user_id FROM client
 WHERE bot_id = ?1 AND user_id = ?2 ORDER BY channel_id;

-- name: count_client
-- How much there is of a client, expired or not.
SELECT (SELECT count(*) FROM conversation WHERE client = ?1),
       (SELECT count(*) FROM turn WHERE client = ?1),
       (SELECT count(*) FROM memory WHERE client = ?1),
       (SELECT count(hold) + count(previous_bot) FROM client WHERE client = ?1),
       (SELECT count(*) FROM answer WHERE scope = ?1 OR client = ?1);

-- name: delete_memories_of_bot
-- Erases the memories of all clients of a bot.
DELETE FROM memory WHERE client IN (SELECT client FROM client WHERE bot_id = ?1);

-- name: delete_conversations_of_bot
-- Erases the conversations of all clients of a bot.
DELETE FROM conversation WHERE client IN (SELECT client FROM client WHERE bot_id = ?1);

-- name: delete_turns_of_bot
-- Erases the messages of all clients of a bot.
DELETE FROM turn WHERE client IN (SELECT client FROM client WHERE bot_id = ?1);

-- name: delete_answers_of_bot
-- Erases the answers kept for all clients of a bot.
DELETE FROM answer WHERE scope IN (SELECT client FROM client WHERE bot_id = ?1)
   OR client IN (SELECT client FROM client WHERE bot_id = ?1);

-- name: delete_clients_of_bot
-- Erases the rows of all clients of a bot, which go last.
DELETE FROM client WHERE bot_id = ?1;

-- name: save_content
-- What a build consists of, unless it is there.
INSERT INTO content (digest, body) VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING;

-- name: save_version
-- Stores a build as the newest, after `delete_version` and `save_content`.
INSERT INTO version (bot_id, version_id, engine_version, created_at, content, env)
VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- name: drop_contents
-- Contents that no build points at any more.
DELETE FROM content WHERE NOT EXISTS (SELECT 1 FROM version v WHERE v.content = content.digest);

-- name: list_versions
-- A bot's builds before a position, newest first.
SELECT v.id, v.version_id, v.engine_version, v.created_at, c.body, v.env
  FROM version v JOIN content c ON c.digest = v.content
 WHERE v.bot_id = ?1 AND v.id < ?2 ORDER BY v.id DESC LIMIT ?3;

-- name: find_version
-- One build.
SELECT v.id, v.version_id, v.engine_version, v.created_at, c.body, v.env
  FROM version v JOIN content c ON c.digest = v.content
 WHERE v.bot_id = ?1 AND v.version_id = ?2;

-- name: delete_version
-- Deletes one build.
DELETE FROM version WHERE bot_id = ?1 AND version_id = ?2;

-- name: delete_versions
-- Deletes all builds of a bot.
DELETE FROM version WHERE bot_id = ?1;

-- name: bot_ids
-- Bots with a build.
SELECT DISTINCT bot_id FROM version ORDER BY bot_id;

-- name: create_person
-- Inserts a person unless the user has one.
INSERT INTO person (id, bot_id, channel_id, user_id, attributes, created_at, last_seen_at, secret)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT DO NOTHING;

-- name: save_person
-- Inserts a person or replaces the one with its id.
INSERT INTO person (id, bot_id, channel_id, user_id, attributes, created_at, last_seen_at, secret)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (id) DO UPDATE SET
  bot_id = excluded.bot_id, channel_id = excluded.channel_id, user_id = excluded.user_id,
  attributes = excluded.attributes, created_at = excluded.created_at,
  last_seen_at = excluded.last_seen_at, secret = excluded.secret;

-- name: find_person
-- The person of a user.
SELECT id, bot_id, channel_id, user_id, attributes, created_at, last_seen_at, secret FROM person
 WHERE bot_id = ?1 AND channel_id = ?2 AND user_id = ?3;

-- name: person
-- The person with an id.
SELECT id, bot_id, channel_id, user_id, attributes, created_at, last_seen_at, secret FROM person
 WHERE id = ?1;

-- name: persons_of_user
-- A user's persons on all channels of a bot.
SELECT id, bot_id, channel_id, user_id, attributes, created_at, last_seen_at, secret FROM person
 WHERE bot_id = ?1 AND user_id = ?2 ORDER BY channel_id;

-- name: delete_person
-- Erases a person.
DELETE FROM person WHERE id = ?1;

-- name: delete_sessions_of_person
-- Erases a person's sessions.
DELETE FROM session WHERE person_id = ?1;

-- name: delete_persons_of_bot
-- Erases a bot's people.
DELETE FROM person WHERE bot_id = ?1;

-- name: save_session
-- Inserts a session or replaces the one with its id.
INSERT INTO session (id, bot_id, name, person_id,
                     started_at, last_active_at, first_message, data)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (id) DO UPDATE SET
  bot_id = excluded.bot_id, name = excluded.name, person_id = excluded.person_id,
  started_at = excluded.started_at, last_active_at = excluded.last_active_at,
  first_message = excluded.first_message, data = excluded.data;

-- name: newest_session
-- The session that counts under a name.
SELECT id, bot_id, name, person_id, started_at, last_active_at, first_message, data FROM session
 WHERE bot_id = ?1 AND name = ?2 ORDER BY started_at DESC, number DESC LIMIT 1;

-- name: sessions_of
-- A person's sessions, newest first.
SELECT id, bot_id, name, person_id, started_at, last_active_at, first_message, data FROM session
 WHERE person_id = ?1 ORDER BY started_at DESC, number DESC;

-- name: delete_sessions_of_bot
-- Erases a bot's sessions.
DELETE FROM session WHERE bot_id = ?1;

-- name: keys_of
-- A bot's keys by name.
SELECT name, key FROM credential WHERE bot_id = ?1 ORDER BY name;

-- name: add_key
-- A key under a name that has none.
INSERT INTO credential (bot_id, name, key) VALUES (?1, ?2, ?3)
ON CONFLICT (bot_id, name) DO NOTHING;

-- name: replace_key
-- A key under a name, whatever was there.
INSERT INTO credential (bot_id, name, key) VALUES (?1, ?2, ?3)
ON CONFLICT (bot_id, name) DO UPDATE SET key = excluded.key;

-- name: sealing_keys
-- The ids of all keys that sealed something.
SELECT id FROM sealing_key ORDER BY id;

-- name: add_sealing_key
-- A key that seals from now on.
INSERT INTO sealing_key (id) VALUES (?1) ON CONFLICT (id) DO NOTHING;

-- name: newest_versions
-- The newest build of every bot.
SELECT bot_id, version_id FROM version
 WHERE id IN (SELECT max(id) FROM version GROUP BY bot_id);

-- name: all_keys
-- The keys of every bot, as they are stored.
SELECT bot_id, name, key FROM credential ORDER BY bot_id, name;

-- name: folder_digest
-- The digest of the folder a bot was last loaded from.
SELECT digest FROM folder WHERE bot_id = ?1;

-- name: save_folder_digest
-- Remembers from what a bot was loaded.
INSERT INTO folder (bot_id, digest) VALUES (?1, ?2)
ON CONFLICT (bot_id) DO UPDATE SET digest = excluded.digest;

-- name: delete_folder_digest
-- A bot without builds is loaded anew.
DELETE FROM folder WHERE bot_id = ?1;

-- name: purge_conversations
-- Some of the expired conversations.
DELETE FROM conversation WHERE (client, id) IN (
  SELECT client, id FROM conversation WHERE expires_at <= ?1 LIMIT ?2);

-- name: purge_turns
-- Some of the expired messages.
DELETE FROM turn WHERE id IN (SELECT id FROM turn WHERE expires_at <= ?1 LIMIT ?2);

-- name: purge_memories
-- Some of the expired memories.
DELETE FROM memory WHERE (client, key) IN (
  SELECT client, key FROM memory WHERE expires_at <= ?1 LIMIT ?2);

-- name: purge_states
-- Some of the expired holds and previous bots.
UPDATE client SET hold = NULL, held_at = NULL, previous_bot = NULL WHERE client IN (
  SELECT client FROM client
   WHERE expires_at <= ?1 AND (hold IS NOT NULL OR previous_bot IS NOT NULL) LIMIT ?2);

-- name: purge_answers
-- Some of the answers created before ?1.
DELETE FROM answer WHERE id IN (SELECT id FROM answer WHERE created_at < ?1 LIMIT ?2);
