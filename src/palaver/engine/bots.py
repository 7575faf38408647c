"""Bots ready to run: builds with their compiled scenarios, cached by content."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from palaver.csml.diagnostics import Diagnostic
from palaver.engine.scenario import Scenario
from palaver.errors import EngineError
from palaver.model import Bot, OtherBot


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


class Scenarios:
    """Compiled bots by content, the most recently used ones kept.

    Args:
        build: compiles a bot; raises BotInvalid.
        capacity: how many are kept.
    """

    def __init__(self, build: Callable[[Bot], Scenario], capacity: int = 256) -> None:
        self._build = build
        self._capacity = capacity
        self._kept: OrderedDict[bytes, Scenario] = OrderedDict()

    def get(self, bot: Bot) -> Scenario:
        """The bot's scenario. Raises: BotInvalid."""
        key = content_key(bot)
        scenario = self._kept.get(key)
        if scenario is None:
            scenario = self._build(bot)
            self._kept[key] = scenario
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return scenario


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
