"""A bot that is served, with all its second names looked up in advance (dialects.md §1)."""

from __future__ import annotations

from dataclasses import dataclass, field

from palaver.config import BotSettings
from palaver.engine.bots import RunnableBot
from palaver.services.aliases import bot_hex, bot_uuid, hex_alias, uuid_alias


@dataclass(frozen=True, slots=True)
class LoadedBot:
    """One served bot.

    Attributes:
        id: its own id: `Client.bot_id` everywhere inside.
        uuid, hex_id: its ids in the Studio, and in the ChatBot.com and Clustaar dialects.
        channel_uuid: its API channel's id in the Studio.
        version_id: the build in force.
    """

    id: str
    name: str
    description: str | None
    settings: BotSettings
    runnable: RunnableBot
    version_id: str
    uuid: str = field(init=False)
    hex_id: str = field(init=False)
    channel_uuid: str = field(init=False)
    _flows: dict[str, str] = field(init=False, repr=False)
    _steps: dict[str, tuple[str, str]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "uuid", bot_uuid(self.id))
        put(self, "hex_id", bot_hex(self.id))
        put(self, "channel_uuid", uuid_alias("channel", self.id))
        flows: dict[str, str] = {}
        steps: dict[str, tuple[str, str]] = {}
        listed = self.runnable.scenario.flow_steps()
        for flow_id, name, step_names in listed:
            flows[self.flow_hex(name)] = name
            for step in step_names:
                steps[self.step_hex(name, step)] = (name, step)
            flows.setdefault(flow_id.lower(), name)
        for _, name, _ in listed:
            flows.setdefault(name.lower(), name)
        put(self, "_flows", flows)
        put(self, "_steps", steps)

    def flow_hex(self, flow: str) -> str:
        """A flow's 24-digit id, by its name."""
        return hex_alias("flow", f"{self.id}/{flow}")

    def step_hex(self, flow: str, step: str) -> str:
        """A step's 24-digit id, by the names of its flow and itself."""
        return hex_alias("step", f"{self.id}/{flow}/{step}")

    def find_flow(self, reference: str) -> str | None:
        """A flow's name by id, 24-digit id or name (letter case ignored)."""
        return self._flows.get(reference.lower())

    def find_step(self, reference: str) -> tuple[str, str] | None:
        """Flow and step names by the step's 24-digit id."""
        return self._steps.get(reference)
