"""How built-ins and methods are declared: a row in a table each, one way to read arguments.

A method is `(run, this, args, at) -> result`, a built-in `(run, args, at) -> result`:

* `run` is the running program (`state.Run`): `run.host` answers for time, chance and calls,
  `run.spend(n)` pays for work that grows with the data, `run.call(closure, values, at)` calls a
  closure.
* `this` is the receiver, `args` its arguments: a tuple of `Value`s for methods (their number is
  already checked against `low` and `high`), `Arguments` for built-ins.
* `at` is the place of the name, where the result counts as created.
* The result is a `Value`, or bare data (None, bool, int, float, str, Items, Members).

Errors are raised as `SoftError(text)`, elsewhere as `SoftError(text, at=args[0].position)`.
A method with `mutates` gets a receiver that it owns: it changes `this.data` in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from palaver.csml.source import Position
from palaver.csml.values import Data, Value

if TYPE_CHECKING:
    from palaver.csml.state import Run

Result: TypeAlias = "Value | Data"
MethodFunction: TypeAlias = "Callable[[Run, Value, tuple[Value, ...], Position], Result]"
BuiltinFunction: TypeAlias = "Callable[[Run, Arguments, Position], Result]"

ANY: Final = 1_000_000
"""`high` of a method that ignores further arguments."""


class Method(NamedTuple):
    """One method: its function, how many arguments it takes, its usage text (behind `usage: `)."""

    name: str
    function: MethodFunction
    low: int
    high: int
    usage: str
    mutates: bool


class Builtin(NamedTuple):
    """One built-in function; `deprecated` is the linter's warning, or empty.

    `low` and `high` bound the arguments that make sense, for the checker only.
    """

    name: str
    function: BuiltinFunction
    low: int
    high: int
    deprecated: str


class Methods(dict[str, Method]):
    """A table of methods by name. `owner` is the word in `[x] is not a method of Owner`."""

    def __init__(self, owner: str) -> None:
        super().__init__()
        self.owner = owner

    def add(
        self, name: str, args: int | tuple[int, int] = 0, usage: str = "", *, mutates: bool = False
    ) -> Callable[[MethodFunction], MethodFunction]:
        """Declares a method. Args: args: exact number of arguments, or (least, most)."""
        low, high = args if isinstance(args, tuple) else (args, args)

        def declare(function: MethodFunction) -> MethodFunction:
            self[name] = Method(name, function, low, high, usage, mutates)
            return function

        return declare


class Builtins(dict[str, Builtin]):
    """The table of built-in functions by name."""

    def add(
        self, name: str, args: tuple[int, int] = (0, ANY), *, deprecated: str = ""
    ) -> Callable[[BuiltinFunction], BuiltinFunction]:
        """Declares a built-in. Args: args: (least, most) sensible arguments, for the checker."""

        def declare(function: BuiltinFunction) -> BuiltinFunction:
            self[name] = Builtin(name, function, args[0], args[1], deprecated)
            return function

        return declare


class Arguments:
    """A call's arguments: `arg<i>` by position in the whole list, or a name. Spec: §5.3."""

    __slots__ = ("by_name", "is_named")

    def __init__(self, by_name: dict[str, Value], *, is_named: bool) -> None:
        self.by_name = by_name
        self.is_named = is_named

    def get(self, name: str, index: int) -> Value | None:
        """Parameter `name`, else the positional argument `index`; None when there is neither."""
        by_name = self.by_name
        if self.is_named and name in by_name:
            return by_name[name]
        return by_name.get(f"arg{index}")

    def positional(self) -> list[Value]:
        """The unnamed ones, in order."""
        return [value for name, value in self.by_name.items() if is_positional(name)]

    def named(self) -> Iterator[tuple[str, Value]]:
        """The named ones, in order; none in a purely positional list."""
        if self.is_named:
            yield from ((n, v) for n, v in self.by_name.items() if not is_positional(n))

    def __len__(self) -> int:
        return len(self.by_name)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.by_name.values())


def is_positional(name: str) -> bool:
    """Whether an argument's key is `arg0`, `arg1`, …"""
    return name.startswith("arg") and name[3:].isdigit()


def texts(args: tuple[Value, ...]) -> Any:
    """The data of arguments when all are strings, else None."""
    found = tuple(arg.data for arg in args)
    return found if all(isinstance(data, str) for data in found) else None
