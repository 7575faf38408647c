"""`POST /query`: one event of a person in, all that the bot says out. Spec: chatbot-com §4."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import uuid4

from palaver.errors import PalaverError
from palaver.http.dialects.chatbot.answers import query_answer
from palaver.http.dialects.chatbot.decode import Query, decode_query, read_event
from palaver.http.dialects.chatbot.people import (
    Visit,
    client_of,
    find_visit,
    has_expired,
    new_session,
    touched,
)
from palaver.http.request import Request, Response
from palaver.http.wire import encode_json
from palaver.model import Client, Person, Repeat, Session, Turn
from palaver.services.chat import Answer, Ask

if TYPE_CHECKING:
    from palaver.http.dialects.chatbot import Chatbot
    from palaver.services.bots import LoadedBot


class _Relinked(PalaverError):
    """While the request waited, its session was begun by another user's request."""


class QueryApi:
    """The endpoint's handler."""

    def __init__(self, dialect: Chatbot) -> None:
        self._dialect = dialect
        self._services = dialect.services

    async def query(self, request: Request) -> Response:
        """Takes one turn."""
        bot, token = self._dialect.open(request, clients_too=True)
        query = decode_query(await request.json_object(), bot.settings)
        repeat = await self._dialect.repeat_of(request, credential=token)
        while True:
            try:
                answer = await self._answer(request, query, bot, repeat)
            except _Relinked:
                continue
            return Response(answer.body)

    async def _answer(
        self, request: Request, query: Query, bot: LoadedBot, repeat: Repeat | None
    ) -> Answer:
        """The turn, if the session still belongs to the same user when it begins.

        Where a session or a user begins, others that would begin it too wait until it is stored.
        """
        storage = self._services.storage
        now = request.received_at
        visit = await find_visit(storage, bot, query.session_id, query.user_id, now)
        async with AsyncExitStack() as stack:
            if visit.session is None:
                beginning = self._dialect.beginning("session", bot, query.session_id)
                await stack.enter_async_context(beginning)
            if visit.is_new:
                beginning = self._dialect.beginning("user", bot, visit.person.user_id)
                await stack.enter_async_context(beginning)
            client = client_of(bot, visit.person.user_id)
            preparation = _Preparation(self._dialect, request, query, bot, client)
            return await self._services.chat.answer(
                client, preparation.prepare, preparation.encode, repeat=repeat
            )


class _Preparation:
    """Makes the Ask of one request, and encodes the turn it led to."""

    def __init__(
        self, dialect: Chatbot, request: Request, query: Query, bot: LoadedBot, client: Client
    ) -> None:
        self._services = dialect.services
        self._now = request.received_at
        self._query = query
        self._bot = bot
        self._client = client
        self._person: Person | None = None

    async def prepare(self) -> Ask:
        """Raises: _Relinked, NotFound; nothing is stored then."""
        storage, query, bot, now = self._services.storage, self._query, self._bot, self._now
        visit = await find_visit(storage, bot, query.session_id, query.user_id, now)
        if visit.person.user_id != self._client.user_id:
            raise _Relinked
        said = read_event(query, bot)
        self._person = replace(visit.person, last_seen_at=now)
        return Ask(
            bot=bot.runnable,
            client=self._client,
            event=said.event,
            request_id=str(uuid4()),
            received_at=now,
            closes_first=said.closes_first or await has_expired(storage, visit, bot, now),
            memories=said.memories,
            persons=(self._person,),
            sessions=(self._session_of(visit),),
        )

    def _session_of(self, visit: Visit) -> Session:
        session = visit.session
        if session is None:
            name, before = self._query.session_id, visit.before
            session = new_session(self._bot, name, visit.person, self._now, before=before)
        return touched(session, self._now, self._query.query)

    def encode(self, turn: Turn) -> bytes:
        """The answer; the turn may have ended in another bot."""
        if self._person is None:
            raise RuntimeError("a turn was taken that nobody prepared")
        bot = self._services.bots.find(turn.client.bot_id) or self._bot
        now = self._services.clock.now()
        return encode_json(query_answer(turn, self._query, bot, self._person, now))
