"""Talking to a bot: `POST /interlocutors/{id}/reply` (clustaar §2.7)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from palaver.http.dialects.base import Dialect
from palaver.http.dialects.clustaar.auth import CHANNEL, Gate
from palaver.http.dialects.clustaar.decode import Input, read_input
from palaver.http.dialects.clustaar.encode import Encoded, encode_messages
from palaver.http.dialects.clustaar.interlocutors import Interlocutors
from palaver.http.dialects.memories import plain
from palaver.http.request import Request, Response
from palaver.http.wire import encode_json
from palaver.model import Client, Event, Person, Turn
from palaver.services.chat import Ask
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from palaver.services.bots import LoadedBot


class _Reply(NamedTuple):
    """One accepted request. `person` as it was when the request came."""

    bot: LoadedBot
    person: Person
    input: Input
    is_debug: bool
    received_at: datetime

    @property
    def client(self) -> Client:
        return Client(self.bot.id, CHANNEL, self.person.user_id)

    def seen(self, person: Person) -> Person:
        """The person's record after this reply."""
        attributes = person.attributes
        if self.input.location is not None:
            attributes = {**attributes, "location": self.input.location}
        return replace(person, last_seen_at=self.received_at, attributes=attributes)


class Replies:
    """The route's handler."""

    def __init__(self, dialect: Dialect, gate: Gate, interlocutors: Interlocutors) -> None:
        self._dialect = dialect
        self._services = dialect.services
        self._gate = gate
        self._interlocutors = interlocutors

    async def reply(self, request: Request) -> Response:
        """Takes one turn."""
        caller = await self._gate.caller(request)
        bot, person = await self._interlocutors.find(request)
        caller.may_talk(bot, person)
        said = read_input(await request.json_object(), bot)
        is_debug = request.query.get("debug") == "1"
        reply = _Reply(bot, person, said, is_debug, request.received_at)
        if said.event is None:
            about = (reply.client,)
            return await self._dialect.once(request, caller.token, lambda: self._note(reply), about)
        return await self._talk(request, reply, said.event, caller.token)

    async def _talk(self, request: Request, reply: _Reply, event: Event, token: str) -> Response:
        storage = self._services.storage
        seen = reply.person

        async def prepare() -> Ask:
            nonlocal seen
            seen = reply.seen(await storage.person(reply.person.id) or reply.person)
            return Ask(
                bot=reply.bot.runnable,
                client=reply.client,
                event=event,
                request_id=str(uuid4()),
                received_at=request.received_at,
                memories=reply.input.memories,
                persons=(seen,),
            )

        def encode(turn: Turn) -> bytes:
            said_by = self._services.bots.find(turn.client.bot_id) or reply.bot
            encoded = encode_messages(turn.messages, said_by)
            source = None if turn.is_dropped else _source(turn, said_by)
            return _body(reply, seen, encoded, source, turn.memories)

        repeat = await self._dialect.repeat_of(request, credential=token)
        answer = await self._services.chat.answer(reply.client, prepare, encode, repeat=repeat)
        if answer.turn is not None and answer.turn.is_dropped:
            return await self._nothing(reply, seen)
        return Response(answer.body)

    async def _note(self, reply: _Reply) -> Response:
        """An input nothing answers: only its time, and perhaps a place, is kept (§1.10)."""
        storage = self._services.storage
        async with self._services.chat.exclusively(reply.client):
            seen = reply.seen(await storage.person(reply.person.id) or reply.person)
            await storage.save_person(seen)
            return await self._nothing(reply, seen)

    async def _nothing(self, reply: _Reply, seen: Person) -> Response:
        """An empty fulfillment, with the values as they are."""
        now = self._services.clock.now()
        memories = await self._services.storage.list_memories(reply.client, now)
        values = {memory.key: memory.value for memory in memories}
        return Response(_body(reply, seen, Encoded([], []), None, values))


def _source(turn: Turn, bot: LoadedBot) -> JsonObject:
    """The last step executed."""
    step: JsonObject = {"type": "step", "id": bot.step_hex(turn.flow, turn.step), "name": turn.step}
    return {"type": "step_actions", "step": step}


def _body(
    reply: _Reply,
    seen: Person,
    encoded: Encoded,
    source: Json,
    memories: Mapping[str, Json],
) -> bytes:
    """The answer. Spec: clustaar §2.7.5, §2.7.6."""
    debug: Json = None
    if reply.is_debug:
        debug = {"intentDetections": [], "webhookCalls": [], "logs": list(encoded.logs)}
    data: JsonObject = {
        "fulfillment": {"actions": list(encoded.actions), "source": source},
        "session": {"values": {key: plain(value) for key, value in memories.items()}},
        "interlocutor": {
            "type": "interlocutor",
            "id": seen.id,
            "location": seen.attributes.get("location"),
        },
        "input": reply.input.shown,
        "debug": debug,
    }
    return encode_json({"data": data})
