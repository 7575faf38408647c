"""A running program: what one turn carries through the evaluation.

`Run` is the turn: the host, the budget, the effects so far. `Frame` is one scope: a step's, a
function's or a closure's variables. Nothing here outlives the turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias

import msgspec

from palaver.csml.bounds import PORTION
from palaver.csml.failures import BudgetExceeded
from palaver.csml.limits import Limits
from palaver.csml.source import NOWHERE, Position
from palaver.csml.values import ClosureData, Members, Value, null_because
from palaver.effects import Effect, Host, Say

if TYPE_CHECKING:
    from palaver.csml import nodes
    from palaver.csml.memory import Memories
    from palaver.types import Json, JsonObject

SLICE: Final = 20_000
"""Instructions between two looks at the clock; some milliseconds of work."""

MANY_TEXTS: Final = 2
"""A turn whose long texts together are so many times `max_value_bytes` is watched …"""

KEPT_VALUES: Final = 16
"""… and may then take so many times `max_value_bytes` of memory."""


class Callee(Protocol):
    """A compiled function."""

    @property
    def parameters(self) -> tuple[str, ...]: ...

    def run(self, run: Run, variables: dict[str, Value], at: Position) -> Value: ...


class Unit(Protocol):
    """One flow as its code sees it (`program.FlowUnit`)."""

    @property
    def name(self) -> str: ...

    @property
    def constant_nodes(self) -> Mapping[str, nodes.Constant]: ...

    @property
    def function_nodes(self) -> Mapping[str, nodes.Function]: ...

    @property
    def imports(self) -> Mapping[str, nodes.Import]: ...

    @property
    def constants(self) -> Mapping[str, Value]: ...

    @property
    def program(self) -> Library: ...

    def function(self, name: str) -> Callee: ...

    def expression(
        self, node: nodes.Expression, *, quiet: bool = False
    ) -> Callable[[Frame], Value]: ...

    def function_body(self, body: nodes.Block) -> Callable[[Frame], int]: ...


class Library(Protocol):
    """A program as its code sees it (`program.Program`)."""

    @property
    def native_components(self) -> Mapping[str, Json]: ...

    @property
    def custom_components(self) -> Mapping[str, Json]: ...

    def closure_scope(self, run: Run, closure: ClosureData | None) -> Frame: ...

    def call_closure(
        self, run: Run, closure: ClosureData, values: list[Value], at: Position, scope: Frame | None
    ) -> Value: ...

    def interpolate(self, frame: Frame, text: str) -> Value: ...


class Held(NamedTuple):
    """The step is left by the hold of this number."""

    number: int
    secure: bool


class Left(NamedTuple):
    """Where `previous` leads: a flow, and the last step that was left with its own flow.

    `record` is the step as the record of a hold tells it (engine §6.1). Spec: csml-language §6.11.
    """

    flow: str
    step: str
    step_flow: str
    record: JsonObject


class Jump(NamedTuple):
    """The step is left by a `goto`; what it does not name is None. Spec: csml-language §6.9."""

    form: str
    step: str | None
    flow: str | None
    bot: str | None


class Back(NamedTuple):
    """The step is left by `previous step` or `previous flow`."""

    kind: str


Exit: TypeAlias = "Held | Jump | Back | None"


class ConversationOver(Exception):
    """`previous` in a function of a conversation without history ends it there (§6.17)."""


class Run:
    """One turn of a program.

    Args:
        on_slice: called every `SLICE` instructions: lets others go on, checks the clock; may
            raise BudgetExceeded.
    """

    __slots__ = (
        "bot_id", "context", "depth", "effects", "env", "event", "event_content", "exit", "flow",
        "has_apps", "home", "host", "left", "limits", "loops", "made", "memories",
        "memory_before", "metadata", "on_slice", "previous", "program", "resumed_loops", "scope",
        "spent", "step", "toiled",
    )  # fmt: skip

    def __init__(
        self, program: Library, host: Host, limits: Limits, on_slice: Callable[[], None]
    ) -> None:
        self.program = program
        self.host = host
        self.limits = limits
        self.on_slice = on_slice
        self.effects: list[Effect] = []
        self.left = min(SLICE, limits.instructions)
        self.spent = 0
        self.made = 0
        """Characters of the long texts made so far (`costs.pay_for_text`)."""
        self.memory_before: int | None = None
        """Memory of the process when these became many; None: they are not yet."""
        self.toiled = 0
        self.depth = 0
        self.exit: Exit = None
        self.loops: list[int] = []
        self.resumed_loops: tuple[int, ...] = ()
        self.flow: Unit
        self.home = ""
        self.step = ""
        self.event: Value
        self.event_content: Value
        self.context: Members
        self.metadata: Value
        self.env: Value
        self.memories: Memories
        self.previous: Left | None = None
        self.bot_id = ""
        self.has_apps = False
        self.scope: Frame
        """The scope of the built-in being called, for those that look at variables."""

    def spend(self, amount: int) -> None:
        """Pays for work. Raises: BudgetExceeded past `limits.instructions`."""
        self.left -= amount
        if self.left < 0:
            self.refill()

    def refill(self, at: Position = NOWHERE) -> None:
        """The slice is used up: look at the clock, start another.

        Raises: BudgetExceeded, at the place given, past a limit.
        """
        self.spent += SLICE - self.left
        if self.spent >= self.limits.instructions:
            limit = self.limits.instructions
            raise BudgetExceeded(
                f"the turn needs more than max_instructions ({limit})", "max_instructions", at
            )
        self.left = SLICE
        if self.made > MANY_TEXTS * self.limits.value_bytes:
            self._look_at_memory(at)
        self._look(at)

    def _look(self, at: Position) -> None:
        try:
            self.on_slice()
        except BudgetExceeded as error:
            raise BudgetExceeded(error.text, error.limit, at) from None

    def _look_at_memory(self, at: Position) -> None:
        """Long texts are made for little, so a turn could keep gigabytes of them.

        What was made and dropped does not count, so the process is asked, and only in turns that
        make very much. Raises: BudgetExceeded.
        """
        now = self.host.memory_bytes()
        if self.memory_before is None:
            self.memory_before = now
        elif now - self.memory_before > KEPT_VALUES * self.limits.value_bytes:
            raise BudgetExceeded(
                f"the turn keeps texts larger than {KEPT_VALUES} times max_value_bytes "
                f"({self.limits.value_bytes}) together",
                "max_value_bytes",
                at,
            )

    def toil(self, amount: int) -> None:
        """`spend` for members that take longer than an instruction, and their container."""
        self.left -= amount
        if self.left < 0:
            self.refill()
        self.toiled += amount + 4
        if self.toiled > PORTION:
            self.toiled = 0
            self._look(NOWHERE)

    def give_way(self, members: int) -> None:
        """Lets others go on after each portion of work that is paid for elsewhere."""
        self.toiled += members
        if self.toiled > PORTION:
            self.toiled = 0
            self._look(NOWHERE)

    def say(self, payload: JsonObject, at: Position = NOWHERE) -> None:
        """A message, within `limits.messages`. Args: at: what an error names as its place."""
        limit = self.limits.messages
        if len(self.effects) >= limit:
            raise BudgetExceeded(
                f"the turn says more than max_messages ({limit})", "max_messages", at
            )
        self.effects.append(Say(payload))

    def note(self, effect: Effect) -> None:
        """Any other effect; within the same limit."""
        if len(self.effects) < self.limits.messages:
            self.effects.append(effect)

    def soft(self, text: str, at: Position, info: Mapping[str, Value] | None = None) -> Value:
        """Says a soft error and gives the Null that stands for the failed value (§12.1)."""
        self.spend(len(text) // 4)  # an error may show a text as long as any
        self.say({"content_type": "error", "content": {"error": self.placed(text, at)}}, at)
        return null_because(text, at, info)

    def placed(self, text: str, at: Position = NOWHERE, flow: str = "") -> str:
        """The text with its place behind it. Spec: csml-language §12.1."""
        return f"{text} at line {at.line}, column {at.column} at flow [{flow or self.flow.name}]"

    def call(
        self, closure: ClosureData, values: list[Value], at: Position, scope: Frame | None = None
    ) -> Value:
        """Calls a closure with positional values; `scope` is reused between calls (§5.4)."""
        return self.program.call_closure(self, closure, values, at, scope)

    def exists(self, name: str) -> bool:
        """Whether the calling scope has a constant, local or memory of that name (`Exists`)."""
        scope = self.scope
        return name in scope.unit.constants or name in scope.locals or name in scope.memories

    def interpolate(self, text: str) -> Value:
        """Evaluates a text as a CSML string in the calling scope (§9.1). Raises: SoftError."""
        return self.program.interpolate(self.scope, text)

    def closure_scope(self, closure: ClosureData | None) -> Frame:
        """A scope for several calls of one closure, with its captured variables (None: without)."""
        return self.program.closure_scope(self, closure)


class Frame(msgspec.Struct, eq=False):
    """One scope's variables. `memories` is empty inside functions and closures (§7.2)."""

    run: Run
    unit: Unit
    memories: Memories
    locals: dict[str, Value]
    in_function: bool = False
    result: Value | None = None
    rebound: tuple[str, ...] | None = None
    """In a scope that serves several calls (`map` …): the names each call binds anew."""

    def gives_up(self, name: str) -> bool:
        """Whether a local returned now is seen by nobody else afterwards."""
        return self.in_function and (self.rebound is None or name in self.rebound)
