"""An engine on memory storage, bots from texts, and a world that answers what it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from palaver.csml.limits import Limits
from palaver.effects import AppCall, CallFailed, HostAnswer, HttpAnswer, HttpRequest, Mail
from palaver.engine.ask import Answer, Ask
from palaver.engine.bots import RunnableBot
from palaver.engine.csml_scenario import CsmlScenario
from palaver.engine.engine import Engine, EngineSettings
from palaver.errors import BotNotFound
from palaver.model import Bot, Client, Event, Flow, OtherBot, Repeat, Turn
from palaver.storage.memory import MemoryStorage

NOW = datetime(2026, 1, 5, 9, 30, tzinfo=UTC)
ANN = Client("bot", "web", "ann")
BEN = Client("bot", "web", "ben")

numbers = count()


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def pass_by(self, **units: float) -> None:
        self.moment += timedelta(**units)


class Outside:
    """Answers calls; `wait` may hold one up."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.answer: HostAnswer = HttpAnswer(200, {}, '{"data": "answered"}')
        self.wait: Callable[[], Awaitable[None]] | None = None

    async def _called(self, call: Any) -> Any:
        self.calls.append(call)
        if self.wait is not None:
            await self.wait()
        return self.answer

    async def send(self, call: HttpRequest, timeout_s: float = 0) -> Any:
        return await self._called(call)

    async def app(
        self, endpoint: str | None, call: AppCall, client: Client, timeout_s: float
    ) -> Any:
        return await self._called((endpoint, call, client))

    async def mail(self, call: Mail, timeout_s: float) -> Any:
        answer = await self._called(call)
        return answer if isinstance(answer, CallFailed) else None


def make_bot(flows: str | Mapping[str, str], *, commands: Mapping[str, Any] | None = None,
             id: str = "bot", **options: Any) -> Bot:  # fmt: skip
    """A bot; its flows' ids are their names with `id-` before them."""
    texts = {"main": flows} if isinstance(flows, str) else flows
    made = tuple(
        Flow(f"id-{name}", name, text, tuple((commands or {}).get(name, ())))
        for name, text in texts.items()
    )
    return Bot(
        id, options.pop("name", id), made, options.pop("default_flow", made[0].name), **options
    )


def runnable(
    flows: str | Mapping[str, str] | Bot, *, apps: str | None = None, others: tuple[str, ...] = (),
    limits: Limits | None = None, **options: Any,
) -> RunnableBot:  # fmt: skip
    bot = flows if isinstance(flows, Bot) else make_bot(flows, **options)
    multibot = tuple(OtherBot(other) for other in others)
    return RunnableBot(bot, CsmlScenario(bot, limits or Limits()), apps, multibot)


def text(said: str, *, secure: bool = False) -> Event:
    return Event("text", {"text": said}, said, secure)


def trigger(flow: str, step: str | None = None) -> Event:
    content: Any = {"flow_id": flow} | ({"step_id": step} if step else {})
    return Event("flow_trigger", content, msgspec.json.encode(content).decode())


def encode(turn: Turn) -> bytes:
    """An answer that shows what matters."""
    return msgspec.json.encode(
        {"said": shown(turn), "end": turn.conversation_end, "conversation": turn.conversation_id}
    )


def shown(turn: Turn) -> list[Any]:
    """The messages of a turn: texts as they are, errors behind `! `, else type and content."""
    found: list[Any] = []
    for message in turn.messages:
        content: Any = message.payload["content"]
        if message.payload["content_type"] == "text":
            found.append(content["text"])
        elif message.payload["content_type"] == "error":
            found.append("! " + content["error"].partition(" at line")[0])
        else:
            found.append((message.payload["content_type"], content))
    return found


class House:
    """Everything a test of the engine needs."""

    def __init__(
        self, bot: RunnableBot | str, *others: RunnableBot, settings: EngineSettings | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        self.bot = runnable(bot) if isinstance(bot, str) else bot
        self.others = {other.bot.id: other for other in others}
        self.storage = MemoryStorage()
        with suppress(StopIteration):  # opening memory never waits
            self.storage.open().send(None)
        self.clock = Clock()
        self.outside = Outside()
        self.told: list[Any] = []
        self.engine = Engine(
            self.storage,
            self.outside,  # type: ignore[arg-type]
            self.clock,
            settings or EngineSettings(),
            load_other=self._other,
            chance=random.Random(1),
            after=lambda ask, result: self.told.append(result),
            **options,
        )

    async def _other(self, bot_id: str, version_id: str | None, left: Bot) -> RunnableBot:
        if bot_id not in self.others:
            raise BotNotFound(bot_id)
        return self.others[bot_id]

    def ask(self, event: Event | str, client: Client = ANN, **options: Any) -> Ask:
        said = text(event) if isinstance(event, str) else event
        bot = options.pop("bot", self.bot)
        return Ask(bot, client, said, f"request-{next(numbers)}", self.clock.now(), **options)

    async def answer(
        self, event: Event | str, client: Client = ANN, *, repeat: Repeat | None = None,
        **options: Any,
    ) -> Answer:  # fmt: skip
        async def prepare() -> Ask:
            return self.ask(event, client, **options)

        return await self.engine.handle(client, prepare, encode, repeat=repeat)

    async def turn(self, event: Event | str, client: Client = ANN, **options: Any) -> Turn:
        answer = await self.answer(event, client, **options)
        assert answer.turn is not None
        return answer.turn

    async def said(self, event: Event | str, client: Client = ANN, **options: Any) -> list[Any]:
        return shown(await self.turn(event, client, **options))

    async def memories(self, client: Client = ANN) -> dict[str, Any]:
        found = await self.storage.list_memories(client, self.clock.now())
        return {memory.key: memory.value for memory in found}

    async def messages(self, client: Client = ANN) -> list[Any]:
        """All recorded payloads, oldest first."""
        page = await self.storage.list_messages(
            client, limit=100, after=None, since=None, until=None, now=self.clock.now()
        )
        return [message.payload for message in reversed(page.items)]

    async def conversations(self, client: Client = ANN) -> list[Any]:
        """Flow, step and status, oldest first."""
        page = await self.storage.list_conversations(
            client, limit=100, after=None, now=self.clock.now()
        )
        return [(c.flow_id, c.step_id, str(c.status)) for c in reversed(page.items)]

    async def hold(self, client: Client = ANN) -> Any:
        found = await self.storage.hold_of(client, self.clock.now())
        return found[0] if found is not None else None


async def settled(turns: int = 20) -> None:
    """Lets everything else go on for a while."""
    for _ in range(turns):
        await asyncio.sleep(0)
