"""The ASGI application: finds the route, calls its handler, turns what it raises into an answer.

All that costs a turn happens in `_serve` and `_send`; keep them short. Dialects say what exists
(`routes`) and how errors look (`render_error`); this module adds what the product promises for
all of them: HEAD, 405, CORS, prefixes, the shape of answers to unknown paths (product §4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Final, TypeAlias

from palaver.asgi import Receive, Scope, Send
from palaver.errors import NotFound
from palaver.http.dialects.base import Cors, Dialect
from palaver.http.errors import MethodNotAllowed, problem_of
from palaver.http.request import JSON_TYPE, BodyLimits, Request, Response, empty_response
from palaver.http.routing import Endpoint, Entry, Table
from palaver.http.wire import ClientGone
from palaver.logs import begin_request
from palaver.types import Clock

logger = logging.getLogger(__name__)

Lifespan: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]
"""Entered before the first request, left after the last one."""

Headers: TypeAlias = list[tuple[bytes, bytes]]

_CORS_HEADERS: Final = (
    "Authorization, Content-Type, Accept, X-Api-Key, X-Api-Signature, Idempotency-Key"
)

_JSON_HEADER: Final = (b"content-type", JSON_TYPE.encode())


class Application:
    """The whole HTTP surface as one ASGI callable.

    Args:
        dialects: in the order of precedence; the first one's error shape is the default.
        limits: of bodies (`max_body_bytes`, `max_json_depth`).
        cors_origins: origins whose pages may call every route, beside the public ones.
        lifespan: opens what the services need and closes it.
        on_error: told of every error that is answered.
    """

    def __init__(
        self,
        dialects: Sequence[Dialect],
        *,
        clock: Clock,
        limits: BodyLimits | None = None,
        cors_origins: Iterable[str] = (),
        lifespan: Lifespan | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        self.table = Table(dialects)
        self._dialects = tuple(dialects)
        self._clock = clock
        self._limits = limits or BodyLimits()
        self._cors_origins = frozenset(cors_origins)
        self._lifespan = lifespan
        self._on_error = on_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            begin_request()
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:  # no websockets yet: refusing before accepting is answered with 403
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        found = self.table.find(path, scope.get("raw_path"))
        if found is None:
            await self._serve_other(scope, receive, send)
            return
        entry = found.entry
        method: str = scope["method"]
        endpoint = entry.endpoints.get("GET" if method == "HEAD" else method)
        request = Request(
            scope,
            receive,
            received_at=self._clock.now(),
            path=path[entry.prefix_length :] if entry.prefix_length else path,
            params=dict(zip(endpoint.names, found.values, strict=True)) if endpoint else None,
            limits=self._limits,
        )
        if endpoint is None:
            await self._serve_wrong_method(request, entry, send)
            return
        await self._answer(request, endpoint, send)

    async def _answer(self, request: Request, endpoint: Endpoint, send: Send) -> None:
        dialect, route, _ = endpoint
        try:
            dialect.check_request(request)
            response = await route.handler(request)
        except ClientGone:
            return
        except Exception as error:
            response = self._render(dialect, request, error)
        await self._send(send, request, response, self._cors_of(dialect, request))

    # --- what no handler answers ---------------------------------------------------------------

    async def _serve_other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A path in no table: perhaps a known one with a slash too many, else 404."""
        path: str = scope["path"]
        if path.endswith("/") and len(path) > 1:
            raw_path: bytes | None = scope.get("raw_path")
            found = self.table.find(path[:-1], raw_path[:-1] if raw_path else None)
            if found is not None and found.entry.dialect.tolerates_slash:
                raw = {"raw_path": raw_path[:-1]} if raw_path else {}
                await self._serve({**scope, "path": path[:-1], **raw}, receive, send)
                return
        dialect, prefix_length = self._dialect_of(path)
        request = Request(
            scope, receive, received_at=self._clock.now(), path=path[prefix_length:] or "/"
        )
        error: Exception = NotFound(f"There is nothing at {path[:200]}.")
        try:
            dialect.check_request(request)
        except Exception as refusal:
            error = refusal
        response = self._render(dialect, request, error)
        await self._send(send, request, response, self._cors_of(dialect, request))

    async def _serve_wrong_method(self, request: Request, entry: Entry, send: Send) -> None:
        dialect = entry.dialect
        cors = self._cors_of(dialect, request)
        methods = entry.methods()
        response: Response
        if request.method == "OPTIONS" and cors is not None:
            response = empty_response(
                204,
                (
                    ("access-control-allow-methods", ", ".join(methods)),
                    ("access-control-allow-headers", cors.headers),
                    ("access-control-max-age", "86400"),
                ),
            )
        else:
            error: Exception = MethodNotAllowed(request.method, methods)
            if all(endpoint.dialect.hides_methods for endpoint in entry.endpoints.values()):
                error = NotFound(f"There is no {request.method} {request.path[:200]}.")
            try:
                dialect.check_request(request)
            except Exception as refusal:
                error = refusal
            response = self._render(dialect, request, error)
        await self._send(send, request, response, cors)

    def _dialect_of(self, path: str) -> tuple[Dialect, int]:
        """Who answers for an unknown path, and how long the prefix is."""
        for dialect in self._dialects:
            if dialect.prefix and _is_below(path, dialect.prefix):
                return dialect, len(dialect.prefix)
        for dialect in self._dialects:
            if any(_is_below(path, root) for root in dialect.roots):
                return dialect, 0
        return self._dialects[0], 0

    def _cors_of(self, dialect: Dialect, request: Request) -> Cors | None:
        cors = dialect.cors_of(request.path)
        if cors is None and self._cors_origins:
            origin = request.headers.get("origin")
            if origin in self._cors_origins:
                return Cors(_CORS_HEADERS, origin)
        return cors

    # --- going out -----------------------------------------------------------------------------

    def _render(self, dialect: Dialect, request: Request, error: Exception) -> Response:
        if self._on_error is not None:
            self._on_error(error)
        where = f"{request.method} {request.scope['path']}"
        problem = problem_of(error, dialect.statuses, where=where)
        response = dialect.render_error(request, problem)
        return Response(
            response.body,
            response.status,
            response.content_type,
            (*response.headers, *problem.headers),
        )

    async def _send(
        self, send: Send, request: Request, response: Response, cors: Cors | None
    ) -> None:
        body = response.body
        headers: Headers = [(b"content-length", str(len(body)).encode())]
        if response.status == 204:
            headers.clear()
        if response.content_type == JSON_TYPE:
            headers.append(_JSON_HEADER)
        elif response.content_type is not None:
            headers.append((b"content-type", response.content_type.encode()))
        if cors is not None:
            headers.append((b"access-control-allow-origin", cors.origin.encode("latin-1")))
            if cors.origin != "*":
                headers.append((b"vary", b"Origin"))
        for name, value in response.headers:
            headers.append((name.encode("latin-1"), value.encode("latin-1", "replace")))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        is_head = request.scope["method"] == "HEAD"
        await send({"type": "http.response.body", "body": b"" if is_head else body})

    # --- life ----------------------------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        async with AsyncExitStack() as stack:
            await receive()
            try:
                if self._lifespan is not None:
                    await stack.enter_async_context(self._lifespan())
            except Exception as error:
                logger.error("the server cannot start: %s", error)
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
            await receive()
            try:
                await stack.aclose()
            except Exception as error:
                logger.exception("the server did not stop cleanly")
                await send({"type": "lifespan.shutdown.failed", "message": str(error)})
                return
        await send({"type": "lifespan.shutdown.complete"})


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")
