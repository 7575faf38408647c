"""One request and one response, as dialect handlers see them.

In: an ASGI scope and its `receive`. Out: `Request` (path parameters, query, headers, body) and
`Response`. Leaner than a framework's, for every turn pays for them. Knows no dialect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec

from palaver.asgi import Receive, Scope
from palaver.errors import Malformed
from palaver.http import wire
from palaver.types import Json, JsonObject

T = TypeVar("T")

JSON_TYPE: Final = "application/json; charset=utf-8"


class BodyLimits(NamedTuple):
    """What a body may be. Spec: product §7."""

    max_bytes: int = 8 * 1024 * 1024
    max_nesting: int = 64


class Request:
    """What came in.

    Attributes:
        method: upper case; a HEAD request arrives here as the GET it stands for.
        path: without the dialect's prefix, percent-decoded: `/run` for `/engine/run` too.
        params: values of the path template's parameters, percent-decoded.
        received_at: when the request's head was read.
    """

    __slots__ = (
        "_body",
        "_headers",
        "_limits",
        "_query",
        "_receive",
        "method",
        "params",
        "path",
        "received_at",
        "scope",
    )

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        *,
        received_at: datetime,
        path: str = "",
        params: Mapping[str, str] | None = None,
        limits: BodyLimits | None = None,
    ) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self.path = path or scope["path"]
        self.params: Mapping[str, str] = params or {}
        self.received_at = received_at
        self._receive = receive
        self._limits = limits or BodyLimits()
        self._headers: dict[str, str] | None = None
        self._query: dict[str, str] | None = None
        self._body: bytes | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        """All headers, names in lower case; of equal ones the last."""
        if self._headers is None:
            self._headers = {
                name.decode("latin-1").lower(): value.decode("latin-1")
                for name, value in self.scope["headers"]
            }
        return self._headers

    @property
    def query_string(self) -> bytes:
        """The raw query, without the question mark."""
        query: bytes = self.scope.get("query_string", b"")
        return query

    @property
    def query(self) -> Mapping[str, str]:
        """Query parameters, decoded; of equal ones the last; an empty value stays, as ""."""
        if self._query is None:
            raw = self.query_string.decode("latin-1")
            try:
                pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=200) if raw else []
            except ValueError as error:
                raise Malformed(f"The query cannot be read: {error}.") from error
            self._query = dict(pairs)
        return self._query

    async def body(self) -> bytes:
        """The whole body, read once.

        Raises:
            TooLarge: more than `max_body_bytes`.
            wire.ClientGone: the connection was closed before the end.
        """
        if self._body is None:
            self._body = await wire.read_body(
                self._receive, self.headers.get("content-length"), self._limits.max_bytes
            )
        return self._body

    async def json(self) -> Json:
        """The body as JSON, whatever its content type says.

        Raises:
            Malformed: empty, not UTF-8, not JSON, or nested too deeply.
        """
        return wire.decode_json(await self.body(), self._limits.max_nesting)

    async def json_object(self) -> JsonObject:
        """The body as a JSON object. Raises: Malformed, also for any other JSON."""
        value = await self.json()
        if not isinstance(value, dict):
            raise Malformed(f"The body must be a JSON object, not {wire.kind_of(value)}.")
        return value

    async def json_as(self, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as the decoder's type. Raises: Malformed, naming the field."""
        return wire.decode_as(decoder, await self.body(), self._limits.max_nesting)


@dataclass(frozen=True, slots=True)
class Response:
    """What goes out. `headers` are added to content type and length; names in lower case."""

    body: bytes = b""
    status: int = 200
    content_type: str | None = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


def json_response(
    value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()
) -> Response:
    """A JSON answer. Args: value: anything msgspec encodes."""
    return Response(wire.encode_json(value), status, JSON_TYPE, headers)


def empty_response(status: int = 204, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """An answer without a body."""
    return Response(b"", status, None, headers)
