"""The dialect of ChatBot.com. Spec: chatbot-com; for bots that are no stories, dialects §2–§4.

Two bearer tokens: the developer's opens everything, the client's only `POST /query`, which pages
of any origin may call. So far: chat, users one by one, session attributes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from palaver.engine.locks import Turnstile
from palaver.errors import BotNotFound, Unauthenticated, VersionNotFound
from palaver.http.describe import Surface
from palaver.http.dialects.base import Cors, Dialect, Problem, Route, Services
from palaver.http.dialects.chatbot import describe
from palaver.http.dialects.chatbot.answers import error_envelope
from palaver.http.dialects.chatbot.query import QueryApi
from palaver.http.dialects.chatbot.users import UsersApi
from palaver.http.keys import bearer_token
from palaver.http.request import Request, Response, json_response

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

PUBLIC: Final = "/query"
"""The path of the client token, and of pages."""

_CORS: Final = Cors("Authorization, Content-Type, Accept, Idempotency-Key")


class Chatbot(Dialect):
    """ChatBot.com's wire."""

    name = "chatbot"
    prefix = "/chatbot"
    surface: ClassVar[Surface | None] = describe.SURFACE
    roots = ("/query", "/users", "/sessions", "/stories", "/entities", "/webhooks", "/segments")
    statuses: ClassVar[Mapping[type[Exception], int]] = {BotNotFound: 500, VersionNotFound: 500}

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._beginning = Turnstile(services.settings.turn_wait_s)
        self._query = QueryApi(self)
        self._users = UsersApi(self)

    def routes(self) -> tuple[Route, ...]:
        users = self._users
        of_user = users.update_session_of_user
        of_user_told = describe.UPDATE_SESSION_OF_USER
        return (
            Route("POST", PUBLIC, self._query.query, idempotent=True, describes=describe.QUERY),
            Route("POST", "/users", users.create, idempotent=True, describes=describe.CREATE_USER),
            Route("GET", "/users/{id}", users.show, describes=describe.SHOW_USER),
            Route(
                "PUT",
                "/users/{id}/sessionAttributes",
                of_user,
                idempotent=True,
                describes=of_user_told,
            ),
            Route("PUT", "/users/{id}/session", of_user, idempotent=True, describes=of_user_told),
            Route(
                "PUT",
                "/sessions/{sessionId}/attributes",
                users.update_session,
                idempotent=True,
                describes=describe.UPDATE_SESSION,
            ),
        )

    def cors_of(self, path: str) -> Cors | None:
        return _CORS if path == PUBLIC else None

    def render_error(self, request: Request, problem: Problem) -> Response:
        """The envelope, with a message. Spec: §3.1."""
        now = self.services.clock.now()
        return json_response(error_envelope(now, problem.status, problem.message), problem.status)

    # --- what the handlers share -----------------------------------------------------------

    def open(self, request: Request, *, clients_too: bool = False) -> tuple[LoadedBot, str]:
        """The bot that the request's token opens, and the token. Spec: §1.1.

        Args:
            clients_too: whether the client token will do.

        Raises: Unauthenticated.
        """
        token = bearer_token(request)
        if token is None:
            raise Unauthenticated("Authorization: Bearer <token> is missing.")
        access = self.services.access
        bot = access.find("chatbot_developer", token)
        if bot is None and clients_too:
            bot = access.find("chatbot_client", token)
        if bot is None:
            raise Unauthenticated("The token does not open this.")
        return bot, token

    @asynccontextmanager
    async def beginning(
        self, kind: Literal["session", "user"], bot: LoadedBot, name: str
    ) -> AsyncIterator[None]:
        """Held while a session or a user may come into being, by `sessionId` or `userId`.

        The client's turn does not do for this: whose client it is, is not known before, and
        `POST /users` takes no turn. Who needs both takes the session first.
        """
        async with self._beginning.turn((kind, bot.id, name)):
            yield
