"""Memories of a client over the engine's REST API. Spec: csml-engine-runtime §9.5, §19."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from palaver.errors import Malformed
from palaver.http.dialects.base import Route
from palaver.http.dialects.engine_rest import decode, describe, encode
from palaver.http.request import Request, Response, empty_response, json_response
from palaver.http.wire import encode_json
from palaver.model import Client
from palaver.types import expiry

if TYPE_CHECKING:
    from palaver.http.dialects.engine_rest import EngineRest

_CREATED: Final = Response(b"", 201, None)


class Memories:
    """The routes' handlers. Args: rest: who tells callers and clients apart."""

    def __init__(self, rest: EngineRest) -> None:
        self._rest = rest
        self._services = rest.services

    def routes(self) -> tuple[Route, ...]:
        one = "/memories/{key}"
        return (
            Route("GET", "/memories", self.memories, describes=describe.MEMORIES),
            Route(
                "POST",
                "/memories",
                self.create_memory,
                idempotent=True,
                describes=describe.CREATE_MEMORY,
            ),
            Route("DELETE", "/memories", self.delete_memories, describes=describe.DELETE_MEMORIES),
            Route("GET", one, self.memory, describes=describe.MEMORY),
            Route("DELETE", one, self.delete_memory, describes=describe.DELETE_MEMORY),
        )

    async def memories(self, request: Request) -> Response:
        """All memories, sorted by key, in their stored form."""
        asked = self._rest.asked_by_query(request)
        found = await self._services.storage.list_memories(asked.client, request.received_at)
        return json_response([encode.memory_object(memory) for memory in found])

    async def memory(self, request: Request) -> Response:
        """One memory, or null."""
        asked = self._rest.asked_by_query(request)
        found = await self._services.storage.find_memory(
            asked.client, request.params["key"], request.received_at
        )
        return json_response(None if found is None else encode.memory_object(found))

    async def create_memory(self, request: Request) -> Response:
        """Writes a memory. Spec: §9.5."""
        shown = decode.client_of_query(request.query)
        body = await decode.decode_body(request, decode.MEMORY)
        self._rest.authenticate(request)
        decode.check_memory_key(body.key)
        now = request.received_at
        expires_at = expiry(now, self._services.settings.ttl_days)
        client = self._rest.asked(shown).client
        async with self._services.chat.exclusively(client):
            await self._check_room(client, body, now)
            await self._services.storage.save_memory(
                client, body.key, body.value, now=now, expires_at=expires_at
            )
        return _CREATED

    async def _check_room(self, client: Client, body: decode.MemoryBody, now: datetime) -> None:
        """Raises Malformed when the client's memories would need too much room (product §7)."""
        limit = self._services.settings.max_memory_bytes
        size = len(body.key) + len(encode_json(body.value))
        if size <= limit:
            others = await self._services.storage.list_memories(client, now)
            size += sum(len(m.key) + len(encode_json(m.value)) for m in others if m.key != body.key)
        if size > limit:
            raise Malformed(
                f"The memories of this client would need more than {limit} bytes "
                "(setting max_memory_bytes)."
            )

    async def delete_memory(self, request: Request) -> Response:
        """Removes one memory; an unknown one is no error."""
        asked = self._rest.asked_by_query(request)
        async with self._services.chat.exclusively(asked.client):
            await self._services.storage.delete_memories(asked.client, request.params["key"])
        return empty_response()

    async def delete_memories(self, request: Request) -> Response:
        """Removes all memories of the client."""
        asked = self._rest.asked_by_query(request)
        async with self._services.chat.exclusively(asked.client):
            await self._services.storage.delete_memories(asked.client, None)
        return empty_response()
