"""What a dialect is: its routes, its error bodies, and what its handlers share.

A dialect decodes requests into service calls and encodes what comes back. `http/app.py` collects
the routes of all of them, mounts each at the root and under its prefix, and turns whatever a
handler raises into the dialect's error body: a handler raises `palaver.errors`, never builds an
error answer itself.

    class Chatbot(Dialect):
        name = "chatbot"
        prefix = "/chatbot"
        roots = ("/query", "/users")

        def routes(self) -> tuple[Route, ...]:
            return (Route("POST", "/query", self.query), Route("GET", "/users/{id}", self.user))

        def render_error(self, request: Request, problem: Problem) -> Response:
            return json_response({"status": {"code": problem.status, ...}}, problem.status)

        async def query(self, request: Request) -> Response:
            bot, token = self.authenticate(request)
            body = await request.json_object()
            ...
            repeat = await self.repeat_of(request, credential=token)
            answer = await self.services.chat.answer(client, prepare, encode, repeat=repeat)
            return Response(answer.body)
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias
from uuid import UUID

from palaver.config import ServerSettings
from palaver.errors import KeyReused
from palaver.http.describe import Operation, Surface
from palaver.http.request import Request, Response
from palaver.http.wire import encode_json, encode_sorted
from palaver.model import Client, Repeat
from palaver.services.chat import Chat
from palaver.storage.protocol import Storage, StoredAnswer, TurnWrite
from palaver.types import Clock, Json

if TYPE_CHECKING:
    from palaver.services.access import Access
    from palaver.services.bots import Bots

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
"""Answers one request, or raises a `PalaverError`."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path with a handler.

    Attributes:
        method: upper case. A GET route answers HEAD as well.
        path: from the root, without the prefix; `{name}` stands for one non-empty segment:
            `/users/{id}`. A literal segment wins over a parameter.
        idempotent: whether an `Idempotency-Key` is honoured (by `Chat.answer`'s repeat or
            `Dialect.once`). All POST routes that change something should be.
        describes: the route in /openapi.json; every route has one.
    """

    method: str
    path: str
    handler: Handler
    idempotent: bool = False
    describes: Operation | None = None


class Problem(NamedTuple):
    """An error on its way out.

    `message` is for people; `problems` one `(path, text)` a field, where the error has them;
    `headers` must be on the answer (`allow`, `retry-after`); `app.py` adds them itself.
    """

    status: int
    message: str
    problems: tuple[tuple[tuple[str, ...], str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


class Cors(NamedTuple):
    """What a page of another origin may send. The methods are those of the path's routes."""

    headers: str = "Authorization, Content-Type, Accept"
    origin: str = "*"


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a dialect may call or ask. Made by `wiring`.

    `metrics` writes the page of /metrics.
    """

    chat: Chat
    bots: Bots
    access: Access
    storage: Storage
    clock: Clock
    settings: ServerSettings
    metrics: Callable[[], Awaitable[bytes]] | None = None


class Dialect(ABC):
    """One HTTP surface over the services."""

    name: ClassVar[str]
    """`studio`, `chatbot` …"""

    prefix: ClassVar[str]
    """Where the same routes are found a second time: `/studio`. Empty: at the root only."""

    roots: ClassVar[tuple[str, ...]] = ()
    """First parts of root paths that are this dialect's: an unknown path below one of them is
    answered in its error shape (`/users` covers `/users/x/y`). Spec: product §4."""

    tolerates_slash: ClassVar[bool] = False
    """Whether a slash at the end of a known path is overlooked."""

    hides_methods: ClassVar[bool] = False
    """A wrong method on a path that only such dialects have is 404 instead of 405."""

    statuses: ClassVar[Mapping[type[Exception], int]] = {}
    """Where this dialect's statuses differ from `http.errors.STATUSES`; subclasses inherit:
    `{Invalid: 422}`."""

    surface: ClassVar[Surface | None] = None
    """What /openapi.json says of all its routes."""

    def __init__(self, services: Services) -> None:
        self.services = services

    @abstractmethod
    def routes(self) -> tuple[Route, ...]:
        """All routes, asked once at start."""

    @abstractmethod
    def render_error(self, request: Request, problem: Problem) -> Response:
        """The dialect's error body with `problem.status`. Must not raise."""

    def cors_of(self, path: str) -> Cors | None:
        """What pages of other origins may do at a path (without the prefix); None: nothing.

        With a `Cors`, `OPTIONS` at every known path is answered (204) without asking a handler,
        and every answer, errors included, may be read by a page.
        """
        return None

    def check_request(self, request: Request) -> None:  # noqa: B027 - optional hook
        """Called before every handler, unknown paths included. May raise a `RequestError`."""

    async def repeat_of(
        self, request: Request, *, credential: str, route: str | None = None
    ) -> Repeat | None:
        """The key of `Idempotency-Key`, None without that header. Reads the body.

        The scope is the credential and the route with its parameters' values; the fingerprint
        digests query and body; strict. Spec: dialects §1.

        Args:
            credential: what opened the door: the key or token as text (only a digest is kept).
            route: `request.path` with the method when None.
        """
        key = request.headers.get("idempotency-key", "").strip()
        if not key:
            return None
        return Repeat(
            scope=f"key:{self.name}:{digest(credential)[:32]}:{route or _route_of(request)}",
            key=key if len(key) <= 200 else digest(key),
            fingerprint=self.services.access.fingerprint(
                request.query_string, b"\n", await request.body()
            ),
            strict=True,
        )

    def repeat_of_event(
        self, client: Client, request_id: str, payload: Json, metadata: Json, *more: str
    ) -> Repeat | None:
        """The repeat of a request id that is a UUID; None for any other id. Spec: dialects §1.

        Args:
            more: what else must be equal: at `POST /run` the bot's digest, or its version.
        """
        if not is_uuid(request_id):
            return None
        event = encode_sorted([payload, metadata, *more])
        fingerprint = self.services.access.fingerprint(event)
        # It is part of the key: another event under the same id leaves this one's answer alone.
        return Repeat(
            scope=scope_of_client(client),
            key=f"{request_id.lower()} {fingerprint[:32]}",
            fingerprint=fingerprint,
            strict=False,
        )

    async def once(
        self,
        request: Request,
        credential: str,
        handle: Callable[[], Awaitable[Response]],
        about: Sequence[Client] = (),
    ) -> Response:
        """Runs `handle` unless its answer is already kept under the request's `Idempotency-Key`.

        For routes that are no turn (`POST /users`); turns pass `repeat_of` to `Chat.answer`.
        Only answers with status 200 are kept, for 24 hours; simultaneous repeats wait, also those
        that come to other processes. One whose process died before its answer was kept runs again.

        Args:
            about: filled by `handle`: the client with whom the answer is erased.

        Raises:
            KeyReused: the key came before with another body.
            ConversationBusy: the first request takes too long.
        """
        repeat = await self.repeat_of(request, credential=credential)
        if repeat is None:
            return await handle()
        storage = self.services.storage
        # A client that nobody is, whose turn is that of the key: the engine keeps turns apart.
        nobody = Client("", "", digest(repeat.scope, "\n", repeat.key))
        async with self.services.chat.exclusively(nobody):
            found = await storage.find_answer(repeat.scope, repeat.key, request.received_at)
            if found is not None:
                if found.fingerprint != repeat.fingerprint:
                    raise KeyReused("This Idempotency-Key was used with another request.")
                return Response(found.body)
            response = await handle()
            if response.status == 200:
                now = self.services.clock.now()
                answer = StoredAnswer(
                    repeat.scope, repeat.key, repeat.fingerprint, response.body, now
                )
                answered = about[0] if about else None
                await storage.commit_turn(TurnWrite((), answer, answered=answered))
            return response


def scope_of_client(client: Client) -> str:
    """The repeat scope of one client."""
    return "client:" + encode_json(tuple(client)).decode()


def is_uuid(text: str) -> bool:
    """Whether the text is a UUID in its usual spelling, 36 characters with hyphens."""
    if len(text) != 36:
        return False
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def digest(*parts: bytes | str) -> str:
    """SHA-256 of the parts put together, hexadecimal."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part.encode() if isinstance(part, str) else part)
    return state.hexdigest()


def _route_of(request: Request) -> str:
    return f"{request.method} {request.path}"
