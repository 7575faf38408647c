"""Where a conversation on hold goes on when a new build comes (product.md §2, `on_new_build`)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import anyio
import pytest

from palaver.csml.limits import Limits
from palaver.engine.ask import Ask
from palaver.engine.bots import Scenarios
from palaver.engine.csml_scenario import CsmlScenario
from palaver.engine.engine import Engine, EngineSettings
from palaver.engine.outbound import Outbound
from palaver.model import Bot, Client, Event, Flow, Turn
from palaver.services.bots import Bots
from palaver.storage.memory import MemoryStorage
from palaver.types import SystemClock

ANNA = Client("b", "c", "anna")

OLD = """start:
  say "first question"
  hold
  say "first answer {{event}}"
  goto next

next:
  say "first next"
  hold
  say "first end"
"""

NEW = OLD.replace("first", "new")

SAME_STEP = OLD.replace('say "first next"', 'say "new next"')


def bot(content: str, *commands: str) -> Bot:
    return Bot("b", "b", (Flow("f", "Default", content, commands),), "Default")


class World:
    """An engine on stored builds of one bot."""

    def __init__(self, bots: Bots, engine: Engine) -> None:
        self.bots = bots
        self.engine = engine

    async def push(self, content: str, *commands: str) -> str:
        version = await self.bots.create_version(bot(content, *commands))
        return version.version_id

    async def say(self, text: str, policy: str = "reference") -> list[str]:
        runnable = await self.bots.runnable_from_request(
            bot=None, bot_id="b", version_id=None, apps_endpoint=None, multibot=()
        )
        runnable = replace(runnable, on_new_build=policy, restart_text="Sorry.")

        async def prepare() -> Ask:
            event = Event("text", {"text": text}, text)
            return Ask(runnable, ANNA, event, "r", datetime.now(UTC))

        said: list[str] = []

        def encode(turn: Turn) -> bytes:
            said.extend(str(m.payload["content"]["text"]) for m in turn.messages)  # type: ignore[index,call-overload]
            return b""

        await self.engine.handle(ANNA, prepare, encode)
        return said


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    storage, outbound, clock = MemoryStorage(), Outbound(), SystemClock()
    await storage.open()
    scenarios = Scenarios(lambda made: CsmlScenario(made, Limits()))
    bots = Bots(storage, scenarios, outbound, clock)
    engine = Engine(
        storage,
        outbound,
        clock,
        EngineSettings(),
        load_other=bots.other,
        load_build=bots.build,
        chance=random.Random(1),
    )
    try:
        yield World(bots, engine)
    finally:
        await outbound.aclose()
        await storage.close()


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("reference", ["new question"]),
        ("finish", ["first answer yes", "first next"]),
        ("restart", ["Sorry.", "new question"]),
    ],
)
def test_a_changed_step(policy: str, expected: list[str]) -> None:
    async def play() -> None:
        async with world() as w:
            await w.push(OLD)
            assert await w.say("hi", policy) == ["first question"]
            await w.push(NEW)
            assert await w.say("yes", policy) == expected

    anyio.run(play)


def test_an_unchanged_step_goes_on_in_the_new_build_by_default() -> None:
    async def play() -> None:
        async with world() as w:
            await w.push(OLD)
            await w.say("hi")
            await w.push(SAME_STEP)
            assert await w.say("yes") == ["first answer yes", "new next"]

    anyio.run(play)


def test_finish_stays_on_its_build_until_the_end() -> None:
    async def play() -> None:
        async with world() as w:
            await w.push(OLD)
            await w.say("hi", "finish")
            await w.push(NEW)
            assert await w.say("yes", "finish") == ["first answer yes", "first next"]
            assert await w.say("and", "finish") == ["first end"]
            assert await w.say("again", "finish") == ["new question"]

    anyio.run(play)


def test_finish_looks_commands_up_in_the_newest_build() -> None:
    async def play() -> None:
        async with world() as w:
            await w.push(OLD)
            await w.say("hi", "finish")
            await w.push(NEW, "/go")
            assert await w.say("/go", "finish") == ["new question"]

    anyio.run(play)


def test_finish_falls_back_to_the_hash_rule_when_its_build_is_gone() -> None:
    async def play() -> None:
        async with world() as w:
            old = await w.push(OLD)
            await w.say("hi", "finish")
            await w.push(NEW)
            await w.bots._storage.delete_versions("b", old)
            w.bots._by_version.clear()
            assert await w.say("yes", "finish") == ["new question"]

    anyio.run(play)


def test_an_unchanged_bot_pushed_again_is_a_new_version() -> None:
    async def play() -> None:
        async with world() as w:
            assert await w.push(OLD) != await w.push(OLD)

    anyio.run(play)
