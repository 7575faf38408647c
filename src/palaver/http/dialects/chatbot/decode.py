"""`POST /query` as it was sent, and what it asks of a bot. Spec: chatbot-com §4.1, dialects §2.

body → `Query` (400 where a field breaks its rule) → `Said` (404 where it names nothing).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from palaver.config import BotSettings
from palaver.errors import NotFound
from palaver.http.describe import Schema, record
from palaver.http.dialects.chatbot import fields
from palaver.http.dialects.events import jump_event
from palaver.http.dialects.jumps import jump_of
from palaver.model import Event
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

WELCOME = "welcome"
"""The trigger that starts a conversation."""


@dataclass(frozen=True, slots=True)
class Query:
    """A checked request.

    Attributes:
        query, trigger, goto: at least one was sent; of several only the one that decides is here.
        confidence, lifespan: those in force: the request's, else the bot's.
        parameters: None forgets one.
        user_id: whom a new session belongs to (Palaver's extension).
    """

    session_id: str
    query: str | None
    trigger: str | None
    goto: str | None
    confidence: float
    lifespan: int
    reset: bool
    story_id: str | None
    parameters: Mapping[str, str | None]
    debug: bool
    user_id: str | None


QUERY: Final[Schema] = {
    **record(
        {"sessionId": fields.text_schema(10, 64)},
        optional={
            "query": fields.optional(fields.text_schema(1, 256)),
            "trigger": fields.optional(fields.text_schema(1, 50)),
            "goto": fields.optional(fields.text_schema(24, 24)),
            "confidence": fields.optional(fields.number_schema(0.1, 1)),
            "lifespan": fields.optional(fields.number_schema(1, 10, whole=True)),
            "reset": fields.optional(fields.BOOLEAN),
            "storyId": fields.optional(fields.text_schema(24, 24)),
            "parameters": fields.optional(fields.attributes_schema(0, fields.LONGEST_VALUE)),
            "debug": fields.optional(fields.BOOLEAN),
            "userId": fields.optional(fields.text_schema(1, 256)),
        },
    ),
    "anyOf": [
        {"required": [name], "properties": {name: {"type": "string"}}}
        for name in ("query", "trigger", "goto")
    ],
}
"""What `decode_query` takes."""


def decode_query(body: JsonObject, settings: BotSettings) -> Query:
    """Checks every field, in the order of the document. Raises: Malformed."""
    session_id = fields.required_text(body, "sessionId", 10, 64)
    query = fields.text(body, "query", 1, 256)
    trigger = fields.text(body, "trigger", 1, 50)
    goto = fields.text(body, "goto", 24, 24)
    if query is None and trigger is None and goto is None:
        fields.refuse("query", "one of query, trigger and goto is required")
    confidence = fields.number(body, "confidence", 0.1, 1.0)
    lifespan = fields.whole(body, "lifespan", 1, 10)
    parameters = body.get("parameters")
    return Query(
        session_id=session_id,
        query=query if goto is None and trigger is None else None,
        trigger=trigger if goto is None else None,
        goto=goto,
        confidence=settings.confidence if confidence is None else confidence,
        lifespan=settings.lifespan if lifespan is None else lifespan,
        reset=fields.boolean(body, "reset"),
        story_id=fields.text(body, "storyId", 24, 24),
        parameters=fields.attributes(
            {} if parameters is None else parameters,
            "parameters",
            fewest=0,
            longest_name_value=fields.LONGEST_VALUE,
        ),
        debug=fields.boolean(body, "debug"),
        user_id=fields.text(body, "userId", 1, 256),
    )


class Said(NamedTuple):
    """What a request asks of a bot: the event, memories to write first, a fresh start."""

    event: Event
    memories: Mapping[str, Json]
    closes_first: bool


def read_event(query: Query, bot: LoadedBot) -> Said:
    """The event of a request. Raises: NotFound, when `storyId` or `goto` names nothing."""
    flow = bot.runnable.bot.default_flow
    if query.story_id is not None:
        found = bot.find_flow(query.story_id)
        if found is None:
            raise NotFound(f"storyId: there is no story {query.story_id}.")
        flow = found
    memories: Mapping[str, Json] = query.parameters
    if query.goto is not None:
        return Said(_goto(query.goto, bot), memories, query.reset)
    if query.trigger == WELCOME:
        return Said(jump_event(flow, None, {"close_flows": True}), memories, closes_first=True)
    if query.trigger is not None:
        payload = query.trigger
        return Said(Event("payload", {"payload": payload}, payload), memories, query.reset)
    text = query.query or ""
    jump = jump_of(text, bot)
    if jump is not None:
        return Said(jump.event(), {**jump.values, **memories}, query.reset)
    return Said(Event("text", {"text": text}, text), memories, query.reset)


def _goto(target: str, bot: LoadedBot) -> Event:
    place = bot.find_step(target)
    if place is None:
        raise NotFound(f"goto: there is no interaction {target}.")
    return jump_event(*place)
