"""The application with small fakes behind it, called in process."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import httpx

from palaver.config import ServerSettings, StudioSettings
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.source import Position
from palaver.engine.bots import BotInvalid
from palaver.errors import BotNotFound, KeyReused, VersionNotFound
from palaver.http.app import Application
from palaver.http.dialects import make_dialect
from palaver.http.dialects.base import Dialect, Services
from palaver.http.operations import Operations
from palaver.http.request import BodyLimits
from palaver.model import (
    Bot,
    BotVersion,
    Chosen,
    Client,
    Conversation,
    Direction,
    Memory,
    Message,
    Repeat,
    Status,
    Turn,
)
from palaver.services.chat import Answer, Ask
from palaver.storage.protocol import Page, StoredAnswer, TurnWrite

NOW = datetime(2026, 1, 5, 9, 30, 0, 123000, UTC)
UUID_BOT = "0b50ddf9-052b-4dd6-9901-459caa15ed33"
WEBHOOK = "http://127.0.0.1:9/hook"
CHANNEL = "dd446008-3768-41df-9be9-f6ea0371f920"


class FrozenClock:
    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment


@dataclass
class FakeBot:
    """As services.bots.LoadedBot."""

    id: str = "pizza"
    uuid: str = UUID_BOT
    hex_id: str = "5c418eb73bb708000bd10001"
    name: str = "Pizza & <Co>"
    channel_uuid: str = CHANNEL
    runnable: Any = "runnable pizza"
    rate: int = 1000
    relaunch: bool = True
    retries: int = 0

    @property
    def settings(self) -> Any:
        studio = StudioSettings(
            webhook=WEBHOOK,
            rate=self.rate,
            relaunch=self.relaunch,
            webhook_retries=self.retries,
        )
        return SimpleNamespace(studio=studio)

    def find_flow(self, ref: str) -> str | None:
        return {"f" * 24: "Order"}.get(ref)

    def find_step(self, ref: str) -> tuple[str, str] | None:
        return {"a" * 24: ("Order", "size")}.get(ref)


class FakeAccess:
    def __init__(self, bot: FakeBot) -> None:
        self.engine_is_open = False
        self._bots = {("studio_key", "KEY"): bot, ("engine_key", "engine-key"): bot}

    def find(self, kind: str, token: str) -> FakeBot | None:
        return self._bots.get((kind, token))

    def opens_engine(self, token: str) -> bool:
        return token == "server-key"

    def secret(self, bot: FakeBot, name: str) -> str:
        return "SECRET"

    def fingerprint(self, *parts: bytes | str) -> str:
        return hashlib.sha256(repr(parts).encode()).hexdigest()


class FakeBots:
    def __init__(self, bot: FakeBot) -> None:
        self.bot = bot
        self.versions: dict[str, BotVersion] = {}
        self.asked: list[dict[str, Any]] = []
        self.forgotten: list[str] = []

    def find(self, ref: str) -> FakeBot | None:
        return self.bot if ref in (self.bot.id, self.bot.uuid, self.bot.hex_id) else None

    def loaded(self) -> tuple[FakeBot, ...]:
        return (self.bot,)

    async def runnable_from_request(self, **asked: Any) -> Any:
        self.asked.append(asked)
        if asked["bot"] is None and asked["bot_id"] == "none":
            raise BotNotFound("bot (none) not found in db")
        if asked["version_id"] == "none":
            raise VersionNotFound("bot version (none) not found in db")
        return SimpleNamespace(**asked)

    async def validate(self, bot: Bot) -> tuple[Diagnostic, ...]:
        return tuple(
            Diagnostic(
                "syntax", "error", flow.name, Position(3, 3), None, "'break'", "at line 3,\n'break'"
            )
            for flow in bot.flows
            if "break" in flow.content
        )

    async def renew(self, bot_id: str) -> None:
        self.forgotten.append(bot_id)

    async def create_version(self, bot: Bot) -> BotVersion:
        if await self.validate(bot):
            raise BotInvalid("invalid bot: 'break'", ())
        version = BotVersion(f"v{len(self.versions) + 1}", bot, "0.1.0", NOW)
        self.versions[version.version_id] = version
        return version


@dataclass
class FakeChat:
    """Echoes; keeps answers of repeats as the real one does."""

    asks: list[Ask] = field(default_factory=list)
    kept: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    fails: Exception | None = None
    dropped: bool = False
    locks: dict[Client, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def exclusively(self, client: Client) -> AbstractAsyncContextManager[None]:
        return self.locks[client]

    async def answer(
        self, client: Client, prepare: Any, encode: Any, *, repeat: Repeat | None = None
    ) -> Answer:
        if self.fails is not None:
            raise self.fails
        if repeat is not None and (repeat.scope, repeat.key) in self.kept:
            fingerprint, body = self.kept[repeat.scope, repeat.key]
            if fingerprint == repeat.fingerprint:
                return Answer(body, None)
            if repeat.strict:
                raise KeyReused("This Idempotency-Key was used with another request.")
        ask: Ask = await prepare()
        assert ask.client == client
        self.asks.append(ask)
        turn = self.turn_of(ask)
        body = encode(turn)
        if repeat is not None:
            self.kept[repeat.scope, repeat.key] = (repeat.fingerprint, body)
        return Answer(body, turn)

    def turn_of(self, ask: Ask) -> Turn:
        payload = {
            "content_type": "text",
            "content": {"text": f"{len(self.asks)}: {ask.event.value}"},
            "native": {"type": "text"},
        }
        said = Message("conv", "Default", "start", Direction.SEND, payload, 0, 0, ask.received_at)  # type: ignore[arg-type]
        return Turn(
            request_id=ask.request_id,
            client=ask.client,
            received_at=ask.received_at,
            conversation_id="conv",
            messages=() if self.dropped else (said,),
            conversation_end=True,
            interaction_order=2,
            chosen=Chosen.DEFAULT,
            flow="Default",
            flow_id="Default",
            step="start",
            is_held=False,
            memories={},
            is_dropped=self.dropped,
        )


class FakeStorage:
    """What the dialects ask of storage, in dictionaries; the last `calls` are noted."""

    kind = "memory"

    def __init__(self, bots: FakeBots) -> None:
        self.bots = bots
        self.broken: Exception | None = None
        self.memories: dict[tuple[Client, str], Memory] = {}
        self.answers: dict[tuple[str, str], StoredAnswer] = {}
        self.calls: list[tuple[Any, ...]] = []

    async def check(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def find_answer(self, scope: str, key: str, now: datetime) -> StoredAnswer | None:
        return self.answers.get((scope, key))

    async def commit_turn(self, write: TurnWrite) -> None:
        assert write.answer is not None
        self.answers[write.answer.scope, write.answer.key] = write.answer

    async def latest_version(self, bot_id: str) -> BotVersion | None:
        found = [v for v in self.bots.versions.values() if v.bot.id == bot_id]
        return found[-1] if found else None

    async def find_version(self, bot_id: str, version_id: str) -> BotVersion | None:
        found = self.bots.versions.get(version_id)
        return found if found is not None and found.bot.id == bot_id else None

    async def list_versions(
        self, bot_id: str, *, limit: int, after: str | None
    ) -> Page[BotVersion]:
        self.calls.append(("list_versions", bot_id, limit, after))
        found = [v for v in self.bots.versions.values() if v.bot.id == bot_id]
        return Page(tuple(reversed(found))[:limit], "more" if len(found) > limit else None)

    async def delete_versions(self, bot_id: str, version_id: str | None) -> None:
        self.calls.append(("delete_versions", bot_id, version_id))

    async def delete_bot(self, bot_id: str) -> None:
        self.calls.append(("delete_bot", bot_id))

    async def open_conversation(self, client: Client, now: datetime) -> Conversation | None:
        if client.user_id == "nobody":
            return None
        return Conversation("conv", "Default", "start", Status.OPEN, NOW, NOW, NOW)

    async def close_conversations(self, client: Client, now: datetime) -> None:
        self.calls.append(("close", client))

    async def list_conversations(
        self, client: Client, *, limit: int, after: str | None, now: datetime
    ) -> Page[Conversation]:
        self.calls.append(("conversations", client, limit, after))
        return Page((Conversation("conv", "Default", "start", Status.OPEN, NOW, NOW, NOW),), "p2")

    async def list_messages(self, client: Client, **asked: Any) -> Page[Message]:
        self.calls.append(("messages", client, asked))
        payload: Any = {"content_type": "text", "content": {"text": "hi"}}
        message = Message("conv", "Default", "start", Direction.RECEIVE, payload, 0, 0, NOW)
        return Page((message,))

    async def hold_of(
        self, client: Client, now: datetime
    ) -> tuple[dict[str, Any], datetime] | None:
        if client.user_id == "nobody":
            return None
        return {"hash": "abc", "step_vars": {"a": 1}, "build": "private"}, NOW

    async def list_memories(self, client: Client, now: datetime) -> tuple[Memory, ...]:
        return tuple(m for (owner, _), m in sorted(self.memories.items()) if owner == client)

    async def find_memory(self, client: Client, key: str, now: datetime) -> Memory | None:
        return self.memories.get((client, key))

    async def save_memory(
        self,
        client: Client,
        key: str,
        value: Any,
        *,
        now: datetime,
        expires_at: datetime | None,
    ) -> None:
        self.memories[client, key] = Memory(key, value, now)

    async def delete_memories(self, client: Client, key: str | None) -> None:
        for owner, name in list(self.memories):
            if owner == client and key in (None, name):
                del self.memories[owner, name]

    async def delete_client(self, client: Client) -> None:
        self.calls.append(("delete_client", client))

    async def delete_expired(self, now: datetime) -> int:
        self.calls.append(("delete_expired",))
        return 0


class Caller:
    """The application and what is behind it; `send` is one HTTP call."""

    def __init__(
        self, more: Callable[[Services], tuple[Dialect, ...]] = lambda _: (), workers: int = 1
    ) -> None:
        self.clock = FrozenClock()
        self.bot = FakeBot()
        self.bots = FakeBots(self.bot)
        self.access = FakeAccess(self.bot)
        self.chat = FakeChat()
        self.storage = FakeStorage(self.bots)
        settings = ServerSettings(workers=workers)
        make: Any = Services
        self.services: Services = make(
            self.chat, self.bots, self.access, self.storage, self.clock, settings
        )
        self.dialects = (
            make_dialect("engine", self.services),
            Operations(self.services),
            make_dialect("studio", self.services),
            *more(self.services),
        )
        self.app = self.make_app()

    def make_app(self, **options: Any) -> Application:
        return Application(self.dialects, clock=self.clock, limits=BodyLimits(), **options)

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """One call; `body` is sent as JSON. Args: key: the X-Api-Key."""
        given = {"x-api-key": key} if key else {}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            given["content-type"] = "application/json"
        return asyncio.run(self._send(method, path, raw, {**given, **(headers or {})}))

    async def _send(
        self, method: str, path: str, raw: bytes | None, headers: dict[str, str]
    ) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, content=raw, headers=headers)
