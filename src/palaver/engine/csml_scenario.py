"""A CSML program as a scenario: which flow an event goes to, and running it.

Spec: csml-engine-runtime §4.
"""

from __future__ import annotations

from collections.abc import Callable

from palaver.csml.checker import lint_errors
from palaver.csml.diagnostics import SourceError
from palaver.csml.limits import Limits
from palaver.csml.program import FlowText, FlowUnit, Program
from palaver.csml.run import Inputs, allow_depth, run
from palaver.csml.stdlib.regex import compile_pattern
from palaver.effects import Effect, Host
from palaver.engine.scenario import Entry, Place, TurnInput
from palaver.model import Bot, Chosen, Event
from palaver.types import JsonObject

START = "start"


class CsmlScenario:
    """One build of a CSML bot. Raises SourceError for what does not parse or is refused by the
    linter (csml-language §13.1)."""

    def __init__(
        self, bot: Bot, limits: Limits, shared_components: JsonObject | None = None
    ) -> None:
        self.program = Program(
            (FlowText(flow.id, flow.name, flow.content) for flow in bot.flows),
            bot.default_flow,
            modules=(
                FlowText(module.flow.id, module.name, module.flow.content)
                for module in bot.modules
                if module.flow is not None
            ),
            custom_components=bot.custom_components,
            native_components={**(shared_components or {}), **bot.native_components},
        )
        errors = lint_errors(
            self.program.parsed_flows,
            self.program.parsed_modules,
            bot.default_flow,
            native=self.program.native_components,
        )
        if errors:
            raise SourceError(errors)
        self._limits = limits
        allow_depth(limits)
        self._commands: dict[str, list[FlowUnit]] = {}
        self._command_lists: list[tuple[FlowUnit, tuple[str, ...]]] = []
        for flow in bot.flows:
            unit = self.program.flows[flow.name]
            self._command_lists.append((unit, flow.commands))
            for command in dict.fromkeys(command.lower() for command in flow.commands):
                self._commands.setdefault(command, []).append(unit)

    # --- choosing --------------------------------------------------------------------------

    def choose(self, event: Event, place: Place, pick: Callable[[int], int]) -> Entry:
        """A trigger, else a command, else the open conversation, else the default flow (§4.4)."""
        if event.content_type == "flow_trigger":
            return self._triggered(event)
        unit = self._commanded(event, pick)
        if unit is not None:
            return Entry(unit.name, unit.id, START, Chosen.COMMAND)
        if place.flow is None:
            return self.begin()
        return self.resume(place) or self.begin()._replace(closes=True)

    def resume(self, place: Place) -> Entry | None:
        unit = self.program.find_flow(place.flow) if place.flow is not None else None
        if unit is None or place.step is None:
            return None
        chosen = Chosen.CONVERSATION if place.hold is None else Chosen.HOLD
        return Entry(unit.name, unit.id, place.step, chosen, place.hold)

    def begin(self) -> Entry:
        default = self._default()
        return Entry(default.name, default.id, START, Chosen.DEFAULT)

    def _default(self) -> FlowUnit:
        unit = self.program.find_flow(self.program.default_flow)
        if unit is None:  # refused when the bot was validated
            raise KeyError(self.program.default_flow)
        return unit

    def _triggered(self, event: Event) -> Entry:
        reference, step = event.content.get("flow_id"), event.content.get("step_id")
        unit = self.program.first_flow(str(reference))
        if unit is None:
            default = self._default()
            return Entry(default.name, default.id, START, Chosen.TRIGGER)
        name = step if isinstance(step, str) else START
        return Entry(unit.name, unit.id, name, Chosen.TRIGGER)

    def _commanded(self, event: Event, pick: Callable[[int], int]) -> FlowUnit | None:
        """One of the flows with a matching command, by chance (§4.2, §4.3)."""
        if event.content_type == "regex":
            found = self._matching(event.value)
        else:
            found = self._commands.get(event.value.lower(), [])
        if len(found) < 2:
            return found[0] if found else None
        return found[pick(len(found))]

    def _matching(self, expression: str) -> list[FlowUnit]:
        try:
            pattern = compile_pattern(expression)
        except ValueError:
            return []
        return [
            unit
            for unit, commands in self._command_lists
            if any(pattern.is_in(command) for command in commands)
        ]

    # --- looking ---------------------------------------------------------------------------

    def find_step(self, flow: str, step: str) -> bool:
        unit = self.program.find_flow(flow)
        return unit is not None and (step in unit.step_nodes or step in unit.inserts)

    def flow_steps(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        return tuple(
            (unit.id, unit.name, tuple(unit.step_nodes)) for unit in self.program.flows.values()
        )

    # --- running ---------------------------------------------------------------------------

    def run(self, turn: TurnInput, host: Host, on_slice: Callable[[], None]) -> list[Effect]:
        event, entry = turn.event, turn.entry
        inputs = Inputs(
            flow=entry.flow,
            step=entry.step,
            content_type=event.content_type,
            content=event.content,
            value=event.value,
            memories=turn.memories,
            hold=entry.hold,
            secure=event.secure,
            metadata=turn.metadata,
            env=turn.env,
            bot_id=turn.bot_id,
            step_limit=turn.step_limit,
            previous_bot=turn.previous_bot,
            has_apps=turn.has_apps,
        )
        return run(self.program, inputs, host, self._limits, on_slice)
