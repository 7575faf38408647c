"""The dialect of Clustaar. Spec: clustaar §2; for bots of other kinds dialects §2–§4.

So far: interlocutors and their replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from palaver.errors import Invalid
from palaver.http.describe import Surface
from palaver.http.dialects.base import Cors, Dialect, Problem, Route, Services
from palaver.http.dialects.clustaar import describe
from palaver.http.dialects.clustaar.auth import CHANNEL, Gate
from palaver.http.dialects.clustaar.interlocutors import Interlocutors
from palaver.http.dialects.clustaar.reply import Replies
from palaver.http.request import Request, Response, json_response
from palaver.types import JsonObject

ERROR_TYPES: Final[Mapping[int, str]] = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    422: "validation_error",
}
"""Status to `error.type`; other ones of the caller's are bad requests."""

_CORS: Final = Cors("Authorization, Content-Type, Accept, Idempotency-Key")


class Clustaar(Dialect):
    """Clustaar's wire."""

    name = "clustaar"
    prefix = "/clustaar"
    surface: ClassVar[Surface | None] = describe.SURFACE
    roots = ("/interlocutors",)
    tolerates_slash = True
    statuses: ClassVar[Mapping[type[Exception], int]] = {Invalid: 422}

    def __init__(self, services: Services) -> None:
        super().__init__(services)
        gate = Gate(services)
        self.interlocutors = Interlocutors(self, gate)
        self.replies = Replies(self, gate, self.interlocutors)

    def routes(self) -> tuple[Route, ...]:
        one, of_bot = "/interlocutors/{id}", "/bots/{bot}/interlocutors"
        people = self.interlocutors
        return (
            Route(
                "POST",
                f"{of_bot}/{CHANNEL}",
                people.create,
                idempotent=True,
                describes=describe.CREATE,
            ),
            Route(
                "POST", f"{of_bot}/{{id}}", people.refuse_channel, describes=describe.REFUSE_CHANNEL
            ),
            Route(
                "POST",
                f"{one}/reply",
                self.replies.reply,
                idempotent=True,
                describes=describe.REPLY,
            ),
            *(
                route
                for path in (one, f"{of_bot}/{{id}}")
                for route in (
                    Route("GET", path, people.show, describes=describe.SHOW),
                    Route("PUT", path, people.update, describes=describe.UPDATE),
                )
            ),
        )

    def cors_of(self, path: str) -> Cors | None:
        return _CORS

    def render_error(self, request: Request, problem: Problem) -> Response:
        """`{"error": {type, message}}`, with `details` when the document is invalid (§2.10)."""
        other = "bad_request" if problem.status < 500 else "internal_error"
        error: JsonObject = {
            "type": ERROR_TYPES.get(problem.status, other),
            "message": problem.message,
        }
        if problem.status == 422:
            error["details"] = [
                {"path": list(path), "message": message} for path, message in problem.problems
            ]
        return json_response({"error": error}, problem.status)
