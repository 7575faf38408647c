"""The REST API of the CSML engine's server. Spec: csml-engine-runtime §19.

Bodies are decoded before the key is looked at (an undecodable request without a key is 400).
A `bot_id` may be a folder bot's id or its UUID: inside there is one id, answers show what was
sent (dialects §1).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec

from palaver import __version__
from palaver.errors import (
    BotNotFound,
    EventRejected,
    Forbidden,
    Malformed,
    NotFound,
    StorageError,
    Unauthenticated,
    VersionNotFound,
)
from palaver.http.dialects.base import (
    Dialect,
    Problem,
    Route,
    Services,
    digest,
)
from palaver.http.dialects.engine_rest import decode, describe, encode
from palaver.http.dialects.engine_rest.memories import Memories
from palaver.http.dialects.events import event_from_payload
from palaver.http.keys import api_key
from palaver.http.request import Request, Response, empty_response, json_response
from palaver.model import BotVersion, Client, Repeat
from palaver.services.chat import Ask, Prepare
from palaver.types import Json

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

_EMPTY_OK: Final = Response(b"", 200, None)
_LEVELS: Final = {10: "debug", 20: "info", 30: "warn", 40: "error", 50: "error"}


class Asked(NamedTuple):
    """A client as it was sent, and the one that storage knows."""

    shown: Client
    client: Client

    def show(self, client: Client) -> Client:
        """A turn's client for the answer: the sent id, unless the bot was switched."""
        if client.bot_id == self.client.bot_id:
            return client._replace(bot_id=self.shown.bot_id)
        return client


class EngineRest(Dialect):
    """The engine's own wire."""

    name = "engine"
    prefix = "/engine"
    hides_methods = True
    surface = describe.SURFACE
    statuses: ClassVar[Mapping[type[Exception], int]] = {
        Unauthenticated: 403,
        EventRejected: 500,
        BotNotFound: 500,
        VersionNotFound: 500,
    }

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self._memories = Memories(self)

    def routes(self) -> tuple[Route, ...]:
        version = "/bots/{bot_id}/versions/{version_id}"
        return (
            Route("GET", "/status", self.status, describes=describe.STATUS),
            Route("POST", "/run", self.run, idempotent=True, describes=describe.RUN),
            Route("POST", "/validate", self.validate, describes=describe.VALIDATE),
            Route("POST", "/bots", self.create_bot, idempotent=True, describes=describe.CREATE_BOT),
            Route("GET", "/bots/{bot_id}", self.latest_version, describes=describe.LATEST_VERSION),
            Route(
                "DELETE", "/bots/{bot_id}", self.delete_versions, describes=describe.DELETE_VERSIONS
            ),
            Route("GET", "/bots/{bot_id}/versions", self.versions, describes=describe.VERSIONS),
            Route("GET", version, self.one_version, describes=describe.ONE_VERSION),
            Route("DELETE", version, self.delete_version, describes=describe.DELETE_VERSION),
            Route(
                "POST",
                "/conversations/open",
                self.open_conversation,
                describes=describe.OPEN_CONVERSATION,
            ),
            Route(
                "POST",
                "/conversations/close",
                self.close_conversations,
                idempotent=True,
                describes=describe.CLOSE_CONVERSATIONS,
            ),
            Route("GET", "/conversations", self.conversations, describes=describe.CONVERSATIONS),
            Route("GET", "/messages", self.messages, describes=describe.MESSAGES),
            Route("GET", "/state", self.state, describes=describe.STATE),
            *self._memories.routes(),
            Route("DELETE", "/data/clients", self.delete_client, describes=describe.DELETE_CLIENT),
            Route("DELETE", "/data/bots/{bot_id}", self.delete_bot, describes=describe.DELETE_BOT),
            Route("POST", "/data/cleanup", self.cleanup, describes=describe.CLEANUP),
        )

    def render_error(self, request: Request, problem: Problem) -> Response:
        return json_response({"code": problem.status, "message": problem.message}, problem.status)

    def check_request(self, request: Request) -> None:
        """Pages of other origins may not call, unless `cors_origins` names theirs."""
        origin = request.headers.get("origin")
        if origin is None or origin in self.services.settings.cors_origins:
            return
        if urlsplit(origin).netloc != request.headers.get("host"):
            raise Malformed("Origin is not allowed to make this request")

    # --- who calls, and whom it is about -------------------------------------------------------

    def authenticate(self, request: Request) -> LoadedBot | None:
        """The bot whose key opened the door; None for a server's key or an open door.

        Raises: Forbidden.
        """
        access = self.services.access
        if access.engine_is_open:
            return None
        given = api_key(request)
        if given is not None:
            bot = access.find("engine_key", given.text)
            if bot is not None:
                return bot
            if access.opens_engine(given.text):
                return None
        raise Forbidden("The X-Api-Key is missing or is not one of this server's.")

    def _canonical(self, bot_id: str) -> str:
        decode.check_bot_id(bot_id)
        loaded = self.services.bots.find(bot_id)
        return bot_id if loaded is None else loaded.id

    def asked(self, shown: Client) -> Asked:
        """The client that storage knows. Raises: Malformed."""
        return Asked(shown, shown._replace(bot_id=self._canonical(shown.bot_id)))

    def asked_by_query(self, request: Request) -> Asked:
        """The client of the query, once the key is found good."""
        shown = decode.client_of_query(request.query)
        self.authenticate(request)
        return self.asked(shown)

    # --- running -------------------------------------------------------------------------------

    async def status(self, request: Request) -> Response:
        """What runs here. Spec: §19.1."""
        services = self.services
        database = services.storage.kind
        is_ready = True
        try:
            await services.storage.check()
        except StorageError as error:
            is_ready, database = False, f"Setup error: {error.public}"
        level = logging.getLogger("palaver").getEffectiveLevel()
        return json_response(
            {
                "server_ready": is_ready,
                "database_type": database,
                "server_port": services.settings.port,
                "server_auth_enabled": not services.access.engine_is_open,
                "encryption_enabled": bool(services.settings.secret_key),
                "debug_mode_enabled": "DEBUG" in os.environ,  # whatever its value (§19.1)
                "csml_log_level": _LEVELS.get(level, "info"),
                "engine_version": __version__,
            }
        )

    async def run(self, request: Request) -> Response:
        """One event for one client. Spec: §2."""
        body = await decode.decode_body(request, decode.RUN)
        in_request = decode.bot_in(body)
        self.authenticate(request)
        if in_request is None and body.bot_id is None:
            raise Malformed("Invalid bot_opt format")
        asked = self.asked(Client(*msgspec.structs.astuple(body.event.client)))
        answer = await self.services.chat.answer(
            asked.client,
            self._preparation(request, body, in_request, asked),
            lambda turn: encode.run_answer(turn, asked.show(turn.client)),
            repeat=await self._repeat_of_run(request, body, asked.client),
        )
        return Response(answer.body)

    def _preparation(
        self,
        request: Request,
        body: decode.RunBody,
        in_request: decode.BotBody | None,
        asked: Asked,
    ) -> Prepare:
        told = body.event
        event = event_from_payload(told.payload)

        async def prepare() -> Ask:
            bot_id = None if body.bot_id is None else self._canonical(body.bot_id)
            runnable = await self.services.bots.runnable_from_request(
                bot=None if in_request is None else decode.bot_from_body(in_request),
                bot_id=bot_id,
                version_id=body.version_id,
                apps_endpoint=decode.endpoint_of(body),
                multibot=decode.other_bots(body.multibot),
            )
            low_data = told.low_data_mode
            return Ask(
                bot=runnable,
                client=asked.client,
                event=event,
                request_id=request_id,
                received_at=request.received_at,
                metadata=decode.metadata_of(told),
                callback_url=told.callback_url,
                notice_retries=self._notice_retries(asked.client) if told.callback_url else 0,
                step_limit=told.step_limit,
                ttl_days=decode.days(told.ttl_duration),
                low_data=low_data if isinstance(low_data, bool) else None,
                shown_bot_id=asked.shown.bot_id,
            )

        request_id = str(uuid4()) if told.request_id is msgspec.UNSET else told.request_id
        return prepare

    def _notice_retries(self, client: Client) -> int:
        """A served bot's folder says whether callbacks are tried again (product.md §6)."""
        served = self.services.bots.find(client.bot_id)
        return served.settings.studio.webhook_retries if served is not None else 0

    async def _repeat_of_run(
        self, request: Request, body: decode.RunBody, client: Client
    ) -> Repeat | None:
        key = request.headers.get("x-api-key", "")
        repeat = await self.repeat_of(request, credential=key)
        told = body.event
        if repeat is not None or told.request_id is msgspec.UNSET:
            return repeat
        raw = bytes(body.bot)
        if raw and raw != b"null":
            bot = digest(raw)
        else:
            bot = f"{self._canonical(body.bot_id or '')} {body.version_id}"
        metadata = decode.metadata_of(told)
        return self.repeat_of_event(client, told.request_id, told.payload, metadata, bot)

    async def validate(self, request: Request) -> Response:
        """What is wrong with a bot; needs no key. Spec: §16."""
        body = await decode.decode_body(request, decode.BOT)
        found = await self.services.bots.validate(decode.bot_from_body(body))
        return json_response(encode.validation_answer(found))

    # --- versions ------------------------------------------------------------------------------

    async def create_bot(self, request: Request) -> Response:
        """Stores a version. Spec: §15."""
        body = await decode.decode_body(request, decode.BOT)
        self.authenticate(request)
        return await self.once(
            request, request.headers.get("x-api-key", ""), lambda: self._store(body)
        )

    async def _store(self, body: decode.BotBody) -> Response:
        bot = replace(decode.bot_from_body(body), id=self._canonical(body.id))
        version = await self.services.bots.create_version(bot)
        answer = {"version_id": version.version_id, "engine_version": version.engine_version}
        return json_response(answer, 201)

    async def latest_version(self, request: Request) -> Response:
        """The newest version, flattened."""
        opener = self.authenticate(request)
        bot_id = request.params["bot_id"]
        version = await self.services.storage.latest_version(self._canonical(bot_id))
        return self._flat(version, bot_id, opener)

    async def one_version(self, request: Request) -> Response:
        """One version, flattened."""
        opener = self.authenticate(request)
        bot_id = request.params["bot_id"]
        version = await self.services.storage.find_version(
            self._canonical(bot_id), request.params["version_id"]
        )
        return self._flat(version, bot_id, opener)

    def _flat(
        self, version: BotVersion | None, shown_id: str, opener: LoadedBot | None
    ) -> Response:
        if version is None:
            raise NotFound(f"There is no such version of a bot {shown_id[:200]}.")
        loaded = self.services.bots.find(shown_id)
        # Another bot's key opens this door too, but not what its owner's env holds (§15).
        is_owner = opener is None or loaded is None or loaded.id == opener.id
        return json_response(
            encode.flat_version(version, shown_id, engine_version=__version__, shows_env=is_owner)
        )

    async def versions(self, request: Request) -> Response:
        """All versions, newest first, without flows."""
        limit = decode.limit_of(request.query)
        self.authenticate(request)
        shown_id = request.params["bot_id"]
        if limit == 0:
            return json_response(encode.page("bots", [], None))
        found = await self.services.storage.list_versions(
            self._canonical(shown_id), limit=limit, after=_page_key(request)
        )
        items: list[Json] = [encode.listed_version(item, shown_id) for item in found.items]
        return json_response(encode.page("bots", items, found.next_key))

    async def delete_version(self, request: Request) -> Response:
        """Removes one version; unknown ones are no error."""
        self.authenticate(request)
        bot_id = self._canonical(request.params["bot_id"])
        await self.services.storage.delete_versions(bot_id, request.params["version_id"])
        await self.services.bots.renew(bot_id)
        return empty_response()

    async def delete_versions(self, request: Request) -> Response:
        """Removes all versions of a bot."""
        self.authenticate(request)
        bot_id = self._canonical(request.params["bot_id"])
        await self.services.storage.delete_versions(bot_id, None)
        await self.services.bots.renew(bot_id)
        return empty_response()

    # --- conversations, messages, state --------------------------------------------------------

    async def open_conversation(self, request: Request) -> Response:
        """The open conversation, or an empty body."""
        asked = await self._asked_by_body(request)
        found = await self.services.storage.open_conversation(asked.client, request.received_at)
        if found is None:
            return _EMPTY_OK
        return json_response(encode.conversation_object(found, asked.shown))

    async def close_conversations(self, request: Request) -> Response:
        """Closes all conversations of the client and drops its hold. Spec: §5.4."""
        client = (await self._asked_by_body(request)).client

        async def close() -> Response:
            async with self.services.chat.exclusively(client):
                await self.services.storage.close_conversations(client, request.received_at)
            return _EMPTY_OK

        await self.once(request, request.headers.get("x-api-key", ""), close, about=(client,))
        return _EMPTY_OK

    async def _asked_by_body(self, request: Request) -> Asked:
        body = await decode.decode_body(request, decode.CLIENT)
        self.authenticate(request)
        return self.asked(Client(*msgspec.structs.astuple(body)))

    async def conversations(self, request: Request) -> Response:
        """A page of the client's conversations, newest first."""
        limit = decode.limit_of(request.query)
        asked = self.asked_by_query(request)
        if limit == 0:
            return json_response(encode.page("conversations", [], None))
        found = await self.services.storage.list_conversations(
            asked.client, limit=limit, after=_page_key(request), now=request.received_at
        )
        items: list[Json] = [encode.conversation_object(c, asked.shown) for c in found.items]
        return json_response(encode.page("conversations", items, found.next_key))

    async def messages(self, request: Request) -> Response:
        """A page of the client's messages of both directions, newest first."""
        limit = decode.limit_of(request.query)
        since, until = decode.dates_of(request.query)
        asked = self.asked_by_query(request)
        if limit == 0:
            return json_response(encode.page("messages", [], None))
        found = await self.services.storage.list_messages(
            asked.client,
            limit=limit,
            after=_page_key(request),
            since=since,
            until=until,
            now=request.received_at,
        )
        items: list[Json] = [encode.message_object(m, asked.shown) for m in found.items]
        return json_response(encode.page("messages", items, found.next_key))

    async def state(self, request: Request) -> Response:
        """The pending hold, or null."""
        asked = self.asked_by_query(request)
        found = await self.services.storage.hold_of(asked.client, request.received_at)
        if found is None:
            return json_response(None)
        return json_response(encode.state_object(*found, asked.shown))

    # --- data ----------------------------------------------------------------------------------

    async def delete_client(self, request: Request) -> Response:
        """Removes everything about one client. Spec: §17.5."""
        asked = self.asked_by_query(request)
        async with self.services.chat.exclusively(asked.client):
            await self.services.storage.delete_client(asked.client)
        return empty_response()

    async def delete_bot(self, request: Request) -> Response:
        """Removes a bot's versions and everything about its clients."""
        self.authenticate(request)
        bot_id = self._canonical(request.params["bot_id"])
        await self.services.storage.delete_bot(bot_id)
        await self.services.bots.renew(bot_id)
        return empty_response()

    async def cleanup(self, request: Request) -> Response:
        """Purges what has expired; needs no key."""
        await self.services.storage.delete_expired(self.services.clock.now())
        return _EMPTY_OK


def _page_key(request: Request) -> str | None:
    """`pagination_key`; an empty one is none."""
    return request.query.get("pagination_key") or None
