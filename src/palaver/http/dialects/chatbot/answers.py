"""The bodies of answers: envelopes, users, and a turn's `result`. Pure.

Spec: chatbot-com §3.1 (envelope, two date spellings), §3.4 (user), §4.2 (result); dialects §4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from palaver.http.dialects.chatbot.decode import Query
from palaver.http.dialects.chatbot.encode import encode_messages
from palaver.http.dialects.chatbot.parts import text_of
from palaver.http.dialects.chatbot.people import profile_of
from palaver.http.dialects.memories import plain
from palaver.model import Chosen, Person, Session, Turn
from palaver.types import Json, JsonObject, iso_ms

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

USER_NAMES: Final = (
    "default_email",
    "default_name",
    "default_url",
    "default_avatar",
    "default_language",
    "default_timezone",
    "default_gender",
    "default_ip",
    "default_city",
    "default_region",
    "default_country",
    "default_referrer",
    "default_username",
)
"""List U: what a user shows even where unset. Spec: §1.3."""

SESSION_NAMES: Final = (
    "default_email",
    "default_name",
    "default_url",
    "default_id",
    "default_avatar",
    "default_language",
    "default_timezone",
    "default_gender",
    "default_ip",
    "default_city",
    "default_country",
    "default_referrer",
    "default_real_name",
)
"""List S: what `sessionParameters` shows even where unset. Spec: §1.3."""

TYPES: Final[Mapping[int, str]] = {
    200: "success",
    400: "bad_request",
    401: "unauthorized",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    422: "key_reused",
    429: "too_many_requests",
    500: "internal_error",
    503: "unavailable",
}
"""`status.type` by status."""


def envelope(now: datetime, *, made: str | None = None) -> JsonObject:
    """What every write answers. Args: made: the id of what was created."""
    head: JsonObject = {} if made is None else {"id": made}
    return {**head, "timestamp": iso_ms(now), "status": status(200)}


def error_envelope(now: datetime, code: int, message: str) -> JsonObject:
    """The body of a refusal."""
    return {"timestamp": iso_ms(now), "status": {**status(code), "message": message}}


def status(code: int) -> JsonObject:
    return {"code": code, "type": TYPES.get(code, "error")}


def spaced(moment: datetime) -> str:
    """The second date spelling, inside user objects: a space instead of the T."""
    return iso_ms(moment).replace("T", " ")


# --- attributes --------------------------------------------------------------------------------


def with_defaults(names: Iterable[str], values: Mapping[str, str]) -> JsonObject:
    """The named ones first, null where unset, then all others that are set."""
    listed: JsonObject = {name: values.get(name) for name in names}
    return listed | {name: value for name, value in values.items() if name not in listed}


def memory_texts(memories: Mapping[str, Json]) -> dict[str, str]:
    """Stored memories as texts; those that hold nothing are left out. Spec: dialects §4."""
    shown = {name: plain(value) for name, value in memories.items()}
    return {name: text_of(value) for name, value in shown.items() if value is not None}


def user_object(
    person: Person, sessions: Iterable[Session], session_attributes: Mapping[str, str]
) -> JsonObject:
    """One user in full. Spec: §3.4.

    Args:
        sessions: newest first.
        session_attributes: of the live session.
    """
    profile = profile_of(person)
    return {
        "id": person.id,
        "userId": person.user_id,
        "banned": profile.banned,
        "attributes": with_defaults(USER_NAMES, profile.attributes),
        "sessionAttributes": {**session_attributes},
        "conversations": [_conversation(session) for session in sessions],
        "segments": [{"id": segment} for segment in profile.segments],
        "createdAt": spaced(person.created_at),
        "lastSeen": spaced(person.last_seen_at or person.created_at),
    }


def _conversation(session: Session) -> JsonObject:
    began = spaced(session.started_at)
    return {
        "id": session.id,
        "date": began,
        "createdAt": began,
        "firstMessage": session.first_message,
    }


# --- a turn ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where a turn ended, as `interaction` and `contexts` show it."""

    story_id: str
    interaction: JsonObject
    contexts: list[Json]


def place_of(turn: Turn, bot: LoadedBot) -> Place:
    """The last step; it is the one context unless the conversation is over. Spec: dialects §4."""
    if turn.is_dropped:  # nothing happened: as with a disabled fallback (§5.7)
        nowhere: JsonObject = {"id": None, "name": "", "action": ""}
        return Place(bot.flow_hex(_default_flow(bot)), nowhere, [])
    step: JsonObject = {"id": bot.step_hex(turn.flow, turn.step), "name": turn.step, "action": ""}
    contexts: list[Json] = [] if turn.conversation_end else [{**step, "parameters": {}}]
    return Place(bot.flow_hex(turn.flow), step, contexts)


def _default_flow(bot: LoadedBot) -> str:
    reference = bot.runnable.bot.default_flow
    return bot.find_flow(reference) or reference


def query_answer(
    turn: Turn, query: Query, bot: LoadedBot, person: Person, now: datetime
) -> JsonObject:
    """The answer to `POST /query`.

    Args:
        bot: the one that the turn ended in.
        person: whose attributes stand behind the memories.
    """
    place = place_of(turn, bot)
    values = profile_of(person).attributes | memory_texts(turn.memories)
    result: JsonObject = {"source": "custom", "resolvedQuery": query.query or ""}
    if query.trigger is not None:
        result["trigger"] = query.trigger
    result |= {
        "confidence": as_written(query.confidence),
        "score": 0 if turn.is_dropped or turn.chosen is Chosen.DEFAULT else 1,
        "lifespan": query.lifespan,
        "incomplete": False,
        "storyId": place.story_id,
        "interaction": place.interaction,
        "parameters": {},
        "sessionParameters": with_defaults(SESSION_NAMES, values),
        "contexts": place.contexts,
        "fulfillment": [
            *encode_messages((message.payload for message in turn.messages), bot, debug=query.debug)
        ],
    }
    return {
        "result": result,
        "sessionId": query.session_id,
        "timestamp": iso_ms(now),
        "status": status(200),
    }


def as_written(number: float) -> float:
    """A number as the API writes it: whole ones without `.0`."""
    return int(number) if number == int(number) else number
