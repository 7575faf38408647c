"""The dialect of CSML Studio's API. Spec: csml-studio-api.

Public endpoints open with the key alone and to pages of any origin; private ones want a fresh
signature. So far: the Chat API.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import ClassVar, Final

from palaver.errors import BotNotFound, VersionNotFound
from palaver.http.describe import INTEGER, Surface, record, text
from palaver.http.dialects.base import Cors, Dialect, Problem, Route, Services
from palaver.http.dialects.studio.auth import Gate
from palaver.http.dialects.studio.chat import CHAT, ChatApi
from palaver.http.request import Request, Response, json_response

BASES: Final = ("/v1/api", "/prod/api")
"""The base path, and the one of older clients. Spec: §2.1."""

PUBLIC: Final = frozenset(base + path for base in BASES for path in ("/chat", "/broadcasts"))

_CORS: Final = Cors("Content-Type, Accept, X-Api-Key, X-Api-Signature, Idempotency-Key")


class Studio(Dialect):
    """The Studio's wire."""

    name = "studio"
    prefix = "/studio"
    roots = ("/v1", "/prod")
    surface: ClassVar[Surface | None] = Surface(
        "CSML Studio's API.",
        record({"statusCode": INTEGER, "error": text(), "message": text()}),
        {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
    )
    statuses: ClassVar[Mapping[type[Exception], int]] = {BotNotFound: 500, VersionNotFound: 500}

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        self.gate = Gate(services)
        self.chat = ChatApi(self, self.gate)

    def routes(self) -> tuple[Route, ...]:
        return tuple(
            Route("POST", f"{base}/chat", self.chat.chat, idempotent=True, describes=CHAT)
            for base in BASES
        )

    def cors_of(self, path: str) -> Cors | None:
        return _CORS if path in PUBLIC else None

    def render_error(self, request: Request, problem: Problem) -> Response:
        """`{statusCode, error, message}`. Spec: §2.7."""
        return json_response(
            {
                "statusCode": problem.status,
                "error": HTTPStatus(problem.status).phrase,
                "message": problem.message,
            },
            problem.status,
        )
