"""Stand-ins for a running program, so that methods and built-ins are tested without a compiler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from palaver.csml.failures import BudgetExceeded
from palaver.csml.limits import Limits
from palaver.csml.nodes import Closure
from palaver.csml.source import NOWHERE, Position
from palaver.csml.stdlib.table import Arguments, Builtins, Method
from palaver.csml.texts import from_json, to_json
from palaver.csml.values import ClosureData, Items, Members, Value, null_because
from palaver.effects import HostAnswer, HostCall

HERE = Position(7, 7)
"""Where calls made by these helpers stand."""


class FakeHost:
    """A host without surprises. Args: picks: what `below` answers, in turn; then always 0."""

    def __init__(self, picks: Iterable[int] = (), answers: Iterable[HostAnswer] = ()) -> None:
        self.picks = list(picks)
        self.answers = list(answers)
        self.calls: list[HostCall] = []
        self.now = 1_700_000_000_000
        self.memory = 0

    def now_ms(self) -> int:
        return self.now

    def random(self) -> float:
        return 0.5

    def below(self, limit: int) -> int:
        pick = self.picks.pop(0) if self.picks else 0
        assert 0 <= pick < limit
        return pick

    def uuid(self, version: int) -> str:
        return f"00000000-0000-{version}000-8000-000000000000"

    def memory_bytes(self) -> int:
        return self.memory

    def call(self, request: HostCall) -> HostAnswer:
        self.calls.append(request)
        return self.answers.pop(0)


class FakeScope:
    """The scope handed out by `closure_scope`; `variables` live as long as it does."""

    def __init__(self, closure: ClosureData | None) -> None:
        self.closure = closure
        self.variables: dict[str, Value] = {}


class FakeRun:
    """A turn that records. A closure's body is the Python function given to `closure`."""

    def __init__(self, host: FakeHost | None = None, limits: Limits | None = None) -> None:
        self.host = host or FakeHost()
        self.limits = limits or Limits()
        self.spent = 0
        self.made = 0
        self.said: list[str] = []
        self.names: set[str] = set()
        self.scopes: list[FakeScope] = []
        self.event: Value = Value("")

    def spend(self, amount: int) -> None:
        assert amount >= 0
        self.spent += amount
        if self.spent > self.limits.instructions:
            raise BudgetExceeded("the turn needs more than max_instructions", "max_instructions")

    toil = spend

    def give_way(self, members: int) -> None:
        assert members >= 0

    def soft(self, text: str, at: Position, info: dict[str, Value] | None = None) -> Value:
        self.said.append(text)
        return null_because(text, at, info)

    def exists(self, name: str) -> bool:
        return name in self.names

    def closure_scope(self, closure: ClosureData | None) -> FakeScope:
        self.scopes.append(FakeScope(closure))
        return self.scopes[-1]

    def call(
        self, closure: ClosureData, values: list[Value], at: Position, scope: Any = None
    ) -> Value:
        body: Any = closure.code
        result: Value = body(scope, *values)
        return result


def closure(body: Callable[..., Value], *parameters: str) -> Value:
    """A closure whose body is a Python function of the scope and the values it is called with."""
    node = Closure(parameters, None, NOWHERE, "() {}")  # type: ignore[arg-type]
    return Value(ClosureData(node, {}, body), HERE)


def value(given: Any) -> Value:
    """A value from Python data; values (also inside lists and dicts) stay as they are."""
    if isinstance(given, Value):
        return given
    if isinstance(given, list):
        return Value(Items([value(item) for item in given]), HERE)
    if isinstance(given, dict):
        return Value(Members({key: value(item) for key, item in given.items()}), HERE)
    return from_json(given, HERE)


def plain(given: Any) -> Any:
    """The JSON form of a result, whether bare data or a value."""
    return to_json(given if isinstance(given, Value) else Value(given))


def call(methods: Mapping[str, Method], name: str, this: Any, *args: Any, run: Any = None) -> Any:
    """A method's result, called as the dispatcher would: counts are not checked."""
    receiver = value(this)
    return methods[name].function(run or FakeRun(), receiver, tuple(map(value, args)), HERE)


def accepts_count(methods: Mapping[str, Method], name: str, count: int) -> bool:
    """Whether a method takes so many arguments."""
    return methods[name].low <= count <= methods[name].high


def arguments(*positional: Any, **named: Any) -> Arguments:
    """A call's arguments; the positional ones stand first."""
    by_name = {f"arg{index}": value(given) for index, given in enumerate(positional)}
    by_name.update({name: value(given) for name, given in named.items()})
    return Arguments(by_name, is_named=bool(named))


def call_builtin(
    builtins: Builtins, name: str, /, *positional: Any, run: Any = None, **named: Any
) -> Any:
    """A built-in's result."""
    return builtins[name].function(run or FakeRun(), arguments(*positional, **named), HERE)
