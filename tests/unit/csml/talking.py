"""Short conversations with programs, without an engine: what the tests of the language speak.

    assert said("say 1 + 1") == ["2"]

    talk = Talk("start:\\n  hold\\n  say event")
    talk("hi")
    assert talk("there") == ["there"]

A text message is shown as its text, an error as `! ` and its text, anything else as a pair of
content type and content. Holds and memories pass through JSON text between two events, as they do
in a database.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from palaver.csml import program as program_module
from palaver.csml.limits import Limits
from palaver.csml.program import FlowText, Program
from palaver.csml.run import Inputs, run
from palaver.effects import (
    Effect,
    End,
    Fail,
    Forget,
    Goto,
    Hold,
    Host,
    Log,
    Remember,
    Say,
    SwitchBot,
)
from tests.unit.csml.fakes import FakeHost


def nothing() -> None:
    """An `on_slice` that never complains."""


class Talk:
    """A conversation of one client with a program.

    Args:
        flows: one flow's text (named `main`), or name → text; the first one is the default flow.
            The id of a flow is its name with `id-` before it.
        is_forgetful: build the program anew, from nothing, for every event.
    """

    def __init__(
        self,
        flows: str | Mapping[str, str],
        *,
        modules: Mapping[str, str] | None = None,
        components: dict[str, Any] | None = None,
        memories: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        host: Host | None = None,
        env: Any = None,
        metadata: Any = None,
        has_apps: bool = False,
        is_forgetful: bool = False,
        on_slice: Callable[[], None] = nothing,
    ) -> None:
        self.flows = {"main": flows} if isinstance(flows, str) else dict(flows)
        self.modules = dict(modules or {})
        self.components = components or {}
        self.memories = {name: json.dumps(value) for name, value in (memories or {}).items()}
        self.limits = limits or Limits()
        self.host = host or FakeHost()
        self.env = env
        self.metadata = metadata
        self.has_apps = has_apps
        self.is_forgetful = is_forgetful
        self.on_slice = on_slice
        self.effects: list[Effect] = []
        self.hold: str | None = None
        self.program = self._build()
        self.default = next(iter(self.flows))
        self.flow, self.step = self.default, "start"

    def _build(self) -> Program:
        return Program(
            [FlowText(f"id-{name}", name, text) for name, text in self.flows.items()],
            next(iter(self.flows)),
            modules=[FlowText(f"id-{n}", n, text) for n, text in self.modules.items()],
            custom_components=self.components,
        )

    def edit(self, **flows: str) -> None:
        """Replaces flows between two events."""
        self.flows.update(flows)
        self.program = self._build()

    def __call__(self, text: str = "hi", **inputs: Any) -> list[Any]:
        """An event in, the messages out. Args: inputs: whatever else `Inputs` may have."""
        if self.is_forgetful:
            program_module.PARSED.clear()
            program_module._closure_node.cache_clear()
            self.program = self._build()
        record = json.loads(self.hold) if self.hold is not None else None
        given: dict[str, Any] = {
            "flow": self.flow,
            "step": self.step,
            "content_type": "text",
            "content": {"text": text},
            "value": text,
            "memories": self.memories,
            "hold": record,
            "secure": bool(record and record["secure"]),
            "metadata": self.metadata,
            "env": self.env,
            "bot_id": "bot",
            "has_apps": self.has_apps,
        }
        given.update(inputs)
        effects = run(self.program, Inputs(**given), self.host, self.limits, self.on_slice)
        self.effects = effects
        self.hold = None
        for effect in effects:
            self._apply(effect)
        return [shown(effect) for effect in effects if isinstance(effect, Say | Fail)]

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Goto(flow, step):
                self.step = step
                self.flow = (flow or f"id-{self.flow}").removeprefix("id-")
            case Hold(record):
                self.hold = json.dumps(record)
            case End() | Fail():
                self.flow, self.step = self.default, "start"
            case Remember(name, value):
                self.memories[name] = json.dumps(value)
            case Forget(None):
                self.memories.clear()
            case Forget(names):
                for name in names or ():
                    self.memories.pop(name, None)

    # --- looking ---------------------------------------------------------------------------

    @property
    def position(self) -> str:
        return f"{self.step}@{self.flow}"

    @property
    def record(self) -> Any:
        """The pending hold."""
        return json.loads(self.hold) if self.hold is not None else None

    @property
    def locals(self) -> Any:
        """The step's variables, as the pending hold keeps them."""
        return self.record["step_vars"]

    @property
    def remembered(self) -> dict[str, Any]:
        return {name: json.loads(text) for name, text in self.memories.items()}

    @property
    def has_ended(self) -> bool:
        return any(isinstance(effect, End | Fail) for effect in self.effects)

    @property
    def failure(self) -> Fail | None:
        return next((effect for effect in self.effects if isinstance(effect, Fail)), None)

    @property
    def limit(self) -> str | None:
        """The limit that the last event exceeded."""
        return self.failure.limit if self.failure is not None else None

    @property
    def logs(self) -> list[Log]:
        return [effect for effect in self.effects if isinstance(effect, Log)]

    @property
    def switch(self) -> SwitchBot | None:
        return next((effect for effect in self.effects if isinstance(effect, SwitchBot)), None)


def shown(effect: Say | Fail) -> Any:
    """A message in short."""
    if isinstance(effect, Fail):
        return f"!! {effect.text}"
    kind, content = effect.payload["content_type"], effect.payload["content"]
    assert isinstance(content, dict | list)
    if isinstance(content, dict):
        if kind == "text" and content.keys() == {"text"}:
            return content["text"]
        if kind == "error":
            return f"! {content['error']}"
    return kind, content


def said(body: str, text: str = "hi", **options: Any) -> list[Any]:
    """What the statements say, standing at line 1 of the step `start` of the flow `main`."""
    return Talk(f"start: {body}", **options)(text)


def without_places(messages: list[Any]) -> list[Any]:
    """Errors without ` at line …`."""
    return [m.partition(" at line ")[0] if isinstance(m, str) else m for m in messages]
