"""Calls by name: components, built-ins, functions, closures. Spec: csml-language §5.3, §5.4.

The first three kinds are known before the program runs. Only a name that is none of them is
looked for among the variables, for a closure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, Final, TypeAlias

from palaver.csml import nodes
from palaver.csml.compiler.fixed import is_fixed, kept
from palaver.csml.compiler.names import looked_at
from palaver.csml.constants import interval
from palaver.csml.failures import BudgetExceeded, RunError, SoftError
from palaver.csml.memory import Memories
from palaver.csml.source import Position
from palaver.csml.state import Callee, Frame, Run, Unit
from palaver.csml.stdlib.components import build
from palaver.csml.stdlib.library import BUILTINS
from palaver.csml.stdlib.methods import finish, located, soften
from palaver.csml.stdlib.table import Arguments
from palaver.csml.values import ClosureData, Value, share

Evaluate: TypeAlias = Callable[[Frame], Value]
Gather: TypeAlias = Callable[[Frame], Arguments]

BAD_LIST: Final = "expression can't be converted to Literal"
TOO_FEW: Final = "function arguments are not valid"

NOTHING: Final = Memories({}, lambda source, at: (_ for _ in ()).throw(ValueError(source)))
"""The memories a function sees: none (§7.2). Functions never write any."""


def compile_call(node: nodes.Call, unit: Unit, replaced: str = "") -> Evaluate:
    """`name(arguments)`; the first hit of §5.3 wins.

    Args:
        replaced: the local that gets the result. A function that it is passed to takes it over,
            so `do list = add(list, x)` copies nothing.
    """
    name = node.name
    descriptor = unit.program.native_components.get(name)
    if descriptor is not None:
        return _component(node, unit, descriptor)
    if name in BUILTINS:
        return _builtin(node, unit)
    try:
        unit.function(name)
    except KeyError:  # also an import from nowhere
        return _closure_by_name(node, unit)
    return _function(node, unit, replaced)


# --- arguments ---------------------------------------------------------------------------------


def compile_arguments(
    arguments: tuple[nodes.Argument, ...], *, quiet: bool = False
) -> Callable[[Unit, Position], Gather]:
    """A maker of functions that evaluate an argument list, left to right (§5.3)."""

    def make(unit: Unit, at: Position) -> Gather:
        is_named = any(argument.name is not None for argument in arguments)
        evaluated = compile_each(arguments, unit, quiet=quiet)
        parts = tuple(
            (argument.name or f"arg{number}", evaluate)
            for number, (argument, evaluate) in enumerate(zip(arguments, evaluated, strict=True))
        )
        return lambda frame: Arguments(
            {name: evaluate(frame) for name, evaluate in parts}, is_named=is_named
        )

    return make


def compile_each(
    arguments: tuple[nodes.Argument, ...], unit: Unit, *, quiet: bool
) -> tuple[Evaluate, ...]:
    """Each argument's value. One that stands where none may is fatal when its turn comes."""
    misplaced = _misplaced(arguments)
    return tuple(
        _refuse(interval(argument.value)[0])
        if number == misplaced
        else unit.expression(argument.value, quiet=quiet)
        for number, argument in enumerate(arguments)
    )


def _misplaced(arguments: tuple[nodes.Argument, ...]) -> int | None:
    """Which positional argument is one too many: behind the first named one only one may stand,
    and only if there was none before."""
    positional, has_named = 0, False
    for number, argument in enumerate(arguments):
        if argument.name is not None:
            has_named = True
        elif has_named and positional:
            return number
        else:
            positional += 1
    return None


def _refuse(at: Position) -> Evaluate:
    def refuse(frame: Frame) -> Value:
        raise RunError(BAD_LIST, at)

    return refuse


# --- components and built-ins ------------------------------------------------------------------


def _component(node: nodes.Call, unit: Unit, descriptor: Any) -> Evaluate:
    at, name = node.at, node.name
    gather = compile_arguments(node.arguments)(unit, at)

    def component(frame: Frame) -> Value:
        arguments = gather(frame)
        try:
            result = build(descriptor, name, arguments, at, frame.run)
        except SoftError as error:
            return soften(frame.run, error, at, arguments)
        except BudgetExceeded as error:
            raise located(error, at) from None
        return finish(result, at, None, arguments)

    return kept(component) if is_fixed(node, unit) else component


def _builtin(node: nodes.Call, unit: Unit) -> Evaluate:
    at = node.at
    function = BUILTINS[node.name].function
    if node.name == "Length" and len(node.arguments) == 1:
        gather = _looking(node.arguments[0], unit)
    else:
        gather = compile_arguments(node.arguments, quiet=node.name == "Or")(unit, at)

    def builtin(frame: Frame) -> Value:
        arguments = gather(frame)
        run = frame.run
        run.scope = frame
        try:
            result = function(run, arguments, at)
        except SoftError as error:
            return soften(run, error, at, arguments)
        except BudgetExceeded as error:
            raise located(error, at) from None
        return finish(result, at, None, arguments)

    return builtin


def _looking(argument: nodes.Argument, unit: Unit) -> Gather:
    """The one argument of a built-in that keeps nothing of it (`names.looked_at`)."""
    evaluate = looked_at(argument.value, unit, quiet=False)
    name, is_named = argument.name or "arg0", argument.name is not None
    return lambda frame: Arguments({name: evaluate(frame)}, is_named=is_named)


# --- functions ---------------------------------------------------------------------------------


class FunctionCode:
    """A function's parameters and body, compiled when it is first called."""

    __slots__ = ("_body", "node", "parameters", "unit")

    def __init__(self, node: nodes.Function, unit: Unit) -> None:
        self.node = node
        self.unit = unit
        self.parameters = node.parameters
        self._body: Callable[[Frame], int] | None = None

    def run(self, run: Run, variables: dict[str, Value], at: Position) -> Value:
        """Runs the body in a fresh scope (§7.2). Null without `return`, at `fn` (§12.3)."""
        body = self._body
        if body is None:
            body = self._body = self.unit.function_body(self.node.body)
        frame = Frame(run, self.unit, NOTHING, variables, True)
        depth = run.depth
        run.left -= CALL_COST
        run.depth += 1
        if run.left < 0 or run.depth > run.limits.depth:
            check_call(run, at)
        try:
            body(frame)
        finally:  # a condition may swallow what failed in here
            run.depth = depth
        return frame.result or Value(None, self.node.at)


CALL_COST: Final = 4
"""Instructions that a call costs besides what its body does."""


def check_call(run: Run, at: Position) -> None:
    """A budget is used up: which one? Raises: BudgetExceeded past `limits.depth`."""
    if run.depth > run.limits.depth:
        raise BudgetExceeded(
            f"calls are nested deeper than max_depth ({run.limits.depth})", "max_depth", at
        )
    run.refill(at)


def _function(node: nodes.Call, unit: Unit, replaced: str) -> Evaluate:
    if any(argument.name is not None for argument in node.arguments):
        return _function_with_names(node, unit)
    at, name = node.at, node.name
    taken = replaced if _is_read_once(replaced, node, unit) else ""
    arguments = tuple(_argument(argument.value, unit, taken) for argument in node.arguments)
    given = len(arguments)
    if given == 1:
        return _function_of_one(name, arguments[0], unit, at)

    def function(frame: Frame) -> Value:
        code = unit.function(name)
        parameters = code.parameters
        variables = dict(zip(parameters, [a(frame) for a in arguments], strict=False))
        if given < len(parameters):
            raise RunError(TOO_FEW, at)
        return code.run(frame.run, variables, at)

    return function


def _is_read_once(name: str, node: nodes.Call, unit: Unit) -> bool:
    """Whether nothing in a call can see the variable but the one argument that is it."""
    if not name or name in unit.constant_nodes:
        return False
    parts = list(parts_in(node.arguments))
    if any(isinstance(part, nodes.Call | nodes.Closure) for part in parts):
        return False  # an `App` may answer with a text that reads any variable
    seen = [part.name for part in parts if isinstance(part, nodes.Name)]
    return seen.count(name) == 1 and "_memory" not in seen


def _argument(node: nodes.Expression, unit: Unit, taken: str) -> Evaluate:
    """An argument of a function; the variable `taken` is moved, not shared."""
    evaluate = unit.expression(node)
    if not taken or not isinstance(node, nodes.Name) or node.name != taken:
        return evaluate

    def take(frame: Frame) -> Value:
        variables = frame.locals
        if taken not in variables or frame.run.event.is_secure:
            return evaluate(frame)  # a secret result is refused, and the variable stays as it was
        value = variables[taken]
        variables[taken] = MOVED
        return value

    return take


MOVED: Final = Value(None)
"""Keeps the place of a variable that is about to get its new value."""


def _function_of_one(name: str, argument: Evaluate, unit: Unit, at: Position) -> Evaluate:
    """The commonest call, without a list to build."""
    code: Callee | None = None

    def function(frame: Frame) -> Value:
        nonlocal code
        if code is None:
            code = unit.function(name)
        value = argument(frame)
        parameters = code.parameters
        if len(parameters) > 1:
            raise RunError(TOO_FEW, at)
        return code.run(frame.run, {parameters[0]: value} if parameters else {}, at)

    return function


def _function_with_names(node: nodes.Call, unit: Unit) -> Evaluate:
    at, name = node.at, node.name
    gather = compile_arguments(node.arguments)(unit, at)

    def function(frame: Frame) -> Value:
        code = unit.function(name)
        arguments = gather(frame)
        return code.run(frame.run, bind(code.parameters, arguments, at), at)

    return function


def bind(parameters: tuple[str, ...], arguments: Arguments, at: Position) -> dict[str, Value]:
    """Parameter → value. Raises: RunError when one has none."""
    bound = {}
    for index, parameter in enumerate(parameters):
        value = arguments.get(parameter, index)
        if value is None:
            raise RunError(TOO_FEW, at)
        bound[parameter] = value
    return bound


# --- closures ----------------------------------------------------------------------------------


class ClosureCode:
    """A closure's body, compiled when it is first called, and the names it mentions."""

    __slots__ = ("_body", "mentioned", "node", "sees_everything", "unit")

    def __init__(self, node: nodes.Closure, unit: Unit) -> None:
        self.node = node
        self.unit = unit
        self.mentioned = frozenset(names_in(node.body))
        self.sees_everything = "_memory" in self.mentioned
        self._body: Callable[[Frame], int] | None = None

    def capture(self, frame: Frame) -> dict[str, Value]:
        """Copies of the variables the body mentions; locals win over memories (§5.4)."""
        if self.sees_everything:
            names = dict.fromkeys((*frame.memories, *frame.locals))
        else:
            names = dict.fromkeys(sorted(self.mentioned))
        captured = {}
        for name in names:
            value = frame.locals.get(name)
            if value is None:
                value = frame.memories.get(name)
            if value is not None and not (
                self.sees_everything and value.data.__class__ is ClosureData
            ):
                captured[name] = share(value)
        return captured

    def run(self, frame: Frame, at: Position) -> Value:
        """Runs the body in the frame given. Null without `return`, at the parenthesis."""
        body = self._body
        if body is None:
            body = self._body = self.unit.function_body(self.node.body)
        run = frame.run
        depth = run.depth
        run.left -= CALL_COST
        run.depth += 1
        if run.left < 0 or run.depth > run.limits.depth:
            check_call(run, at)
        frame.result = None
        try:
            body(frame)
        finally:
            run.depth = depth
        return frame.result or Value(None, self.node.at)


def recaptured(value: Value, frame: Frame) -> Value:
    """A closure being assigned captures anew; names missing now keep their old value (§5.4)."""
    data = value.data
    if not isinstance(data, ClosureData):
        return value
    code = code_of(data, frame.run)
    captured = {**data.captured, **code.capture(frame)}
    return Value(ClosureData(data.node, captured, code), value.position, value.meta)


def code_of(data: ClosureData, run: Run) -> ClosureCode:
    """The compiled closure; a restored one belongs to the flow that runs."""
    code = data.code
    if not isinstance(code, ClosureCode):
        code = data.code = ClosureCode(data.node, run.flow)
    return code


def _closure_by_name(node: nodes.Call, unit: Unit) -> Evaluate:
    at, name = node.at, node.name
    gather = compile_arguments(node.arguments)(unit, at)

    def closure(frame: Frame) -> Value:
        data = _find_closure(frame, name)
        if data is None:
            gather(frame)
            return frame.run.soft(f"Unknown builtin [{name}]", at)
        code = code_of(data, frame.run)
        arguments = gather(frame)
        variables = {**data.captured, **bind(data.node.parameters, arguments, at)}
        scope = Frame(frame.run, code.unit, NOTHING, variables, True)
        return code.run(scope, at)

    return closure


def _find_closure(frame: Frame, name: str) -> ClosureData | None:
    """A local, else a memory, else a constant of that name, if it is a closure."""
    for value in (
        frame.locals.get(name),
        frame.memories.get(name),
        frame.unit.constants.get(name),
    ):
        if value is not None and isinstance(value.data, ClosureData):
            return value.data
    return None


def names_in(node: object) -> Iterator[str]:
    """Every variable name a piece of the tree reads or calls."""
    return (
        part.name
        for part in parts_in(node)
        if isinstance(part, nodes.Name | nodes.Call | nodes.Assign)
    )


def parts_in(node: object) -> Iterator[object]:
    """A piece of the tree and everything in it."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, tuple):
            waiting.extend(current)
        elif is_dataclass(current):
            yield current
            waiting.extend(getattr(current, field.name) for field in fields(current))
