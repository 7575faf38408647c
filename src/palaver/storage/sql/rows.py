"""Rows ↔ model. Columns stand in the order of `queries.sql`; bodies are already unsealed.

Times are integer microseconds; everything here is on the path of a turn and kept plain.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from palaver.model import (
    Bot,
    BotVersion,
    Client,
    Conversation,
    Direction,
    Flow,
    Message,
    Module,
    OtherBot,
    Person,
    Session,
    Status,
)
from palaver.storage.protocol import CLIENT_SCOPE
from palaver.storage.sql.driver import Parameters, Row

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

json_from_value = msgspec.json.encode
value_from_json = msgspec.json.decode

_MessageRow = tuple[str, str, str, Direction, dict[str, Any], int, int, datetime]
_messages_decoder = msgspec.json.Decoder(list[_MessageRow])
_memories_decoder = msgspec.json.Decoder(dict[str, str])

_triple_decoder = msgspec.json.Decoder(tuple[str, str, str])

memory_texts_from_json = _memories_decoder.decode
"""`{"key": "JSON text"}` → dict."""

_STATUS = {"OPEN": Status.OPEN, "CLOSED": Status.CLOSED}


def us_from_time(moment: datetime) -> int:
    """Exact, where `timestamp()` rounds."""
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def us_from_optional(moment: datetime | None) -> int | None:
    return None if moment is None else us_from_time(moment)


def time_from_us(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def time_from_optional(us: int | None) -> datetime | None:
    return None if us is None else time_from_us(us)


def client_key(client: Client) -> bytes:
    """16 bytes for the triple. Lengths stand in front, so that no two triples read the same."""
    bot, channel, user = client
    bot_id = bot.encode("utf-8", "surrogatepass")
    channel_id = channel.encode("utf-8", "surrogatepass")
    user_id = user.encode("utf-8", "surrogatepass")
    text = b"%d:%d:%b%b%b" % (len(bot_id), len(channel_id), bot_id, channel_id, user_id)
    return blake2b(text, digest_size=16).digest()


def scope_key(scope: str) -> bytes:
    """16 bytes for a scope of answers, which may contain a credential; a client's own key for one
    that is a client."""
    if scope.startswith(CLIENT_SCOPE):
        try:
            return client_key(Client(*_triple_decoder.decode(scope[len(CLIENT_SCOPE) :])))
        except msgspec.MsgspecError:
            pass  # it only begins so
    return blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=16).digest()


# --- conversations and messages ------------------------------------------------------------------


def row_from_conversation(key: bytes, conversation: Conversation) -> Parameters:
    return (
        key,
        conversation.id,
        conversation.flow_id,
        conversation.step_id,
        conversation.status.value,
        us_from_time(conversation.created_at),
        us_from_time(conversation.updated_at),
        us_from_time(conversation.last_interaction_at),
        us_from_optional(conversation.expires_at),
    )


def conversation_from_row(row: Row) -> Conversation:
    return Conversation(
        row[0],
        row[1],
        row[2],
        _STATUS[row[3]],
        time_from_us(row[4]),
        time_from_us(row[5]),
        time_from_us(row[6]),
        time_from_optional(row[7]),
    )


def json_from_messages(messages: tuple[Message, ...]) -> bytes:
    """One document for a turn: an array a message, in the order of Message's fields."""
    return json_from_value(
        [
            (
                m.conversation_id,
                m.flow_id,
                m.step_id,
                m.direction,
                m.payload,
                m.interaction_order,
                m.message_order,
                m.created_at,
            )
            for m in messages
        ]
    )


def messages_from_json(document: bytes) -> list[Message]:
    return [Message(*row) for row in _messages_decoder.decode(document)]


# --- bots ----------------------------------------------------------------------------------------


def json_from_bot(bot: Bot) -> bytes:
    """Without `env`, which is sealed on its own."""
    fields = {name: getattr(bot, name) for name in Bot.__slots__ if name != "env"}
    return json_from_value(fields)


def version_from_row(row: Row, *, bot: bytes, env: bytes) -> BotVersion:
    """`row`: id, version_id, engine_version, created_at."""
    fields = value_from_json(bot)
    fields["flows"] = msgspec.convert(fields["flows"], tuple[Flow, ...])
    fields["modules"] = msgspec.convert(fields["modules"], tuple[Module, ...])
    fields["multibot"] = msgspec.convert(fields["multibot"], tuple[OtherBot, ...])
    made = Bot(**fields, env=value_from_json(env))
    return BotVersion(row[1], made, row[2], time_from_us(row[3]))


# --- people --------------------------------------------------------------------------------------


def row_from_person(person: Person, *, secret: str | None) -> Parameters:
    return (
        person.id,
        person.bot_id,
        person.channel_id,
        person.user_id,
        json_from_value(person.attributes),
        us_from_time(person.created_at),
        us_from_optional(person.last_seen_at),
        secret,
    )


def person_from_row(row: Row, *, secret: str | None) -> Person:
    return Person(
        row[0],
        row[1],
        row[2],
        row[3],
        value_from_json(row[4]),
        time_from_us(row[5]),
        time_from_optional(row[6]),
        secret,
    )


def row_from_session(session: Session, *, first_message: str | None, data: bytes) -> Parameters:
    return (
        session.id,
        session.bot_id,
        session.name,
        session.person_id,
        us_from_time(session.started_at),
        us_from_time(session.last_active_at),
        first_message,
        data,
    )


def session_from_row(row: Row, *, first_message: str | None, data: bytes) -> Session:
    return Session(
        row[0],
        row[1],
        row[2],
        row[3],
        time_from_us(row[4]),
        time_from_us(row[5]),
        first_message,
        value_from_json(data),
    )
