"""Bots ready to run: builds with their compiled scenarios, cached by content."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Final

import msgspec

from palaver.csml.diagnostics import Diagnostic
from palaver.csml.kept import Kept
from palaver.engine.scenario import Scenario
from palaver.errors import EngineError
from palaver.model import Bot, Flow, OtherBot


class BotInvalid(EngineError):
    """The bot does not parse or check; `diagnostics` say where. Spec: engine §3, step 4."""

    def __init__(self, message: str, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__(message)
        self.diagnostics = diagnostics


@dataclass(frozen=True, slots=True)
class RunnableBot:
    """What a turn runs: the build, its scenario, and what each run gives anew.

    Attributes:
        version_id: the stored build; None for a bot that came with the request.
        on_new_build: where a conversation that holds on another build goes on: "reference",
            "finish" or "restart" (product.md §2); `restart_text` is what the last one says.
        step_limit: the bot's own, for events that bring none; None for the server's.
    """

    bot: Bot
    scenario: Scenario
    apps_endpoint: str | None = None
    multibot: tuple[OtherBot, ...] = ()
    version_id: str | None = None
    on_new_build: str = "reference"
    restart_text: str = ""
    step_limit: int | None = None


LARGE: Final = 16 * 1024
"""Characters of source from which a bot is compiled beside the turns: some 0.1 s of work."""

BUILDERS: Final = 2
"""Threads for that. The computing they take from the turns is shared fairly, so few do."""


class Scenarios:
    """Compiled bots by content, the most recently used ones kept.

    Args:
        build: compiles a bot; raises BotInvalid. For large ones it is called in a thread.
        capacity: how many are kept.
    """

    def __init__(self, build: Callable[[Bot], Scenario], capacity: int = 256) -> None:
        self._build = build
        self._kept: Kept[bytes, Scenario] = Kept(capacity)
        self._running: dict[bytes, asyncio.Task[Scenario]] = {}
        self._builders = asyncio.Semaphore(BUILDERS)

    async def get(self, bot: Bot) -> Scenario:
        """The bot's scenario; several who want the same wait for one. Raises: BotInvalid."""
        key = content_key(bot)
        scenario = self._kept.get(key)
        if scenario is not None:
            return scenario
        size = sum(len(flow.content) for flow in _sources(bot))
        if size < LARGE:
            scenario = self._build(bot)
        else:
            scenario = await asyncio.shield(self._started(key, bot))
        self._kept.put(key, scenario, size)
        return scenario

    def _started(self, key: bytes, bot: Bot) -> asyncio.Task[Scenario]:
        """The building of a large bot, which goes on when whoever asked for it goes away."""
        building = self._running.get(key)
        if building is None:
            building = asyncio.get_running_loop().create_task(self._build_beside(bot))
            self._running[key] = building

            def done(finished: asyncio.Task[Scenario]) -> None:
                del self._running[key]
                if not finished.cancelled():
                    finished.exception()  # looked at, for perhaps nobody waits for it any more

            building.add_done_callback(done)
        return building

    async def _build_beside(self, bot: Bot) -> Scenario:
        async with self._builders:
            return await _in_thread(partial(self._build, bot))


async def _in_thread(work: Callable[[], Scenario]) -> Scenario:
    """Does the work in a thread for which a process that ends does not wait."""
    finished: Future[Scenario] = Future()
    finished.set_running_or_notify_cancel()  # whoever waits may go away; the thread goes on

    def run() -> None:
        try:
            made = work()
        except Exception as error:
            finished.set_exception(error)
        else:
            finished.set_result(made)

    Thread(target=run, name="palaver-build", daemon=True).start()
    return await asyncio.wrap_future(finished)


def _sources(bot: Bot) -> Iterator[Flow]:
    yield from bot.flows
    yield from (module.flow for module in bot.modules if module.flow is not None)


def content_key(bot: Bot) -> bytes:
    """A digest of all that compilation sees; env, endpoints and names of the bot are not in it."""
    seen = (
        bot.kind,
        bot.default_flow,
        bot.flows,
        bot.modules,
        bot.custom_components,
        bot.native_components,
    )
    return hashlib.blake2b(msgspec.msgpack.encode(seen), digest_size=16).digest()
