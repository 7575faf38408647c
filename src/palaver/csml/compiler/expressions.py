"""Expressions. Spec: csml-language §4, §5.

`quiet` is the reference's "warnings off" (§5.6): unknown names and missing members give Null
without a message. It is a property of the place in the source, so it is settled here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

from palaver.csml import nodes
from palaver.csml.compiler import calls, names, paths
from palaver.csml.constants import interval
from palaver.csml.failures import BudgetExceeded, RunError
from palaver.csml.matching import matches
from palaver.csml.operators import ARITHMETIC, COMPARISONS, Allowance, Comparison
from palaver.csml.source import Position
from palaver.csml.state import Frame, Run, Unit
from palaver.csml.stdlib.costs import paid_text, pay_for_text
from palaver.csml.stdlib.methods import MUTATING, located
from palaver.csml.texts import to_text
from palaver.csml.values import (
    SECURE,
    SECURE_IN_PARTS,
    ClosureData,
    Items,
    Members,
    Value,
    share,
    truthy,
)

Evaluate: TypeAlias = Callable[[Frame], Value]
Condition: TypeAlias = Callable[[Frame], bool]
T = TypeVar("T")


def compile_expression(node: nodes.Expression, unit: Unit, *, quiet: bool = False) -> Evaluate:
    """A function of a frame giving the expression's value."""
    return _COMPILERS[type(node)](node, unit, quiet)


# --- literals ----------------------------------------------------------------------------------


def _scalar(node: Any, unit: Unit, quiet: bool) -> Evaluate:
    value = Value(getattr(node, "value", None), node.at)
    return lambda frame: value


def literal_value(node: nodes.Expression) -> Value | None:
    """The value of a literal scalar or plain text, which needs no frame; else None."""
    if isinstance(node, nodes.Number | nodes.Boolean):
        return Value(node.value, node.at)
    if isinstance(node, nodes.Null):
        return Value(None, node.at)
    if isinstance(node, nodes.Text) and all(isinstance(part, str) for part in node.parts):
        return Value("".join(str(part) for part in node.parts), node.at)
    return None


def _text(node: nodes.Text, unit: Unit, quiet: bool) -> Evaluate:
    plain = literal_value(node)
    if plain is not None:
        return lambda frame: plain
    at = node.at
    parts = tuple(
        part if isinstance(part, str) else compile_expression(part, unit)
        for part in node.parts
        if part is not None
    )

    is_wide = len(parts) > FEW_PARTS

    def text(frame: Frame) -> Value:
        pieces = []
        secure = None
        for part in parts:
            if part.__class__ is str:
                pieces.append(part)
            else:
                value = part(frame)  # type: ignore[operator]
                data = value.data
                if data.__class__ is str:
                    pieces.append(data)
                elif data.__class__ is Items or data.__class__ is Members:
                    pieces.append(text_at(frame.run, value, at))
                else:
                    pieces.append(to_text(value))
                if value.meta is not None and value.meta.secure:
                    secure = SECURE
        if is_wide and (length := sum(map(len, pieces))) > frame.run.limits.value_bytes:
            pay_at(frame.run, length, at)  # refuses it, before it is made
        joined = "".join(pieces)
        if len(joined) > SHORT_TEXT:
            pay_at(frame.run, len(joined), at)
        return Value(joined, at, secure)

    return text


CHEAP_TEXT: Final = 4096
"""Characters that are compared for nothing."""

FEW_PARTS: Final = 4
"""Parts of a text that are joined before anybody looks how long they are together."""

SHORT_TEXT: Final = 256
"""Characters of a text that is made for nothing."""


def pay_at(run: Run, length: int, at: Position) -> None:
    """Long texts cost instructions, and have a limit. Raises: BudgetExceeded, at the place."""
    try:
        pay_for_text(run, length)
    except BudgetExceeded as error:
        raise located(error, at) from None


def _array(node: nodes.Array, unit: Unit, quiet: bool) -> Evaluate:
    at = node.at
    items = tuple(compile_expression(item, unit, quiet=quiet) for item in node.items)

    def array(frame: Frame) -> Value:
        values = Items([item(frame) for item in items])
        return Value(values, at, SECURE_IN_PARTS if any(map(_is_secret, values)) else None)

    return array


def _object(node: nodes.Object, unit: Unit, quiet: bool) -> Evaluate:
    at = node.at
    members = tuple(
        (key, compile_expression(value, unit, quiet=quiet)) for key, value in node.members
    )

    def object_(frame: Frame) -> Value:
        values = Members({key: member(frame) for key, member in members})
        secure = any(map(_is_secret, values.values()))
        return Value(values, at, SECURE_IN_PARTS if secure else None)

    return object_


def _is_secret(value: Value) -> bool:
    return value.meta is not None and value.meta.secure


def _closure(node: nodes.Closure, unit: Unit, quiet: bool) -> Evaluate:
    at = node.at
    code = calls.ClosureCode(node, unit)
    return lambda frame: Value(ClosureData(node, code.capture(frame), code), at)


# --- names -------------------------------------------------------------------------------------


def _as(node: nodes.As, unit: Unit, quiet: bool) -> Evaluate:
    operand = compile_expression(node.operand, unit, quiet=quiet)
    name = node.name

    def as_(frame: Frame) -> Value:
        value = share(operand(frame))
        frame.locals[name] = value
        return value

    return as_


# --- operators ---------------------------------------------------------------------------------


def _binary(node: nodes.Binary, unit: Unit, quiet: bool) -> Evaluate:
    """The result stands where the left operand's value does."""
    if node.operator in ARITHMETIC:
        return _arithmetic(node, unit)
    if node.operator in ("match", "!match"):
        return _matching(node, unit, lambda is_true, a: Value(is_true, a.position))
    compare = COMPARISONS[node.operator]
    weighed_compare = _weighing(compare, node.at)

    def operation(a: Value, b: Value) -> Value:
        return Value(compare(a, b), a.position)

    def weighed(run: Run, a: Value, b: Value) -> Value:
        return Value(weighed_compare(run, a, b), a.position)

    return _applied(operation, weighed, node, unit)


def _arithmetic(node: nodes.Binary, unit: Unit) -> Evaluate:
    operation = ARITHMETIC[node.operator]
    at = node.at

    def weighed(run: Run, a: Value, b: Value) -> Value:
        pay_for_joining(run, a, b, at)
        return operation(a, b)

    return _applied(operation, weighed, node, unit)


def text_at(run: Run, value: Value, at: Position) -> str:
    """A value's text, paid for. Raises: BudgetExceeded, at the place."""
    try:
        return paid_text(run, value)
    except BudgetExceeded as error:
        raise located(error, at) from None


def pay_for_joining(run: Run, a: Value, b: Value, at: Position) -> None:
    """Pays for what `+` may make of two texts. Raises: BudgetExceeded, at the place."""
    x, y = a.data, b.data
    if x.__class__ is str and y.__class__ is str:
        length = len(x) + len(y)
        if length > SHORT_TEXT:
            pay_at(run, length, at)


def _comparison(node: nodes.Binary, unit: Unit) -> Condition:
    operation = COMPARISONS[node.operator]
    return _applied(operation, _weighing(operation, node.at), node, unit)


def _weighing(operation: Comparison, at: Position) -> Callable[[Run, Value, Value], bool]:
    """The comparison, paid for: long texts and containers as far as they are looked at."""

    def weighed(run: Run, a: Value, b: Value) -> bool:
        x, y = a.data, b.data
        if x.__class__ is str:
            if y.__class__ is str:
                run.spend(min(len(x), len(y)) // CHEAP_TEXT)
            return operation(a, b)
        allowance = Allowance(run.spend)
        try:
            found = operation(a, b, allowance)
            allowance.settle()
        except BudgetExceeded as error:
            raise located(error, at) from None
        return found

    return weighed


HEAVY: Final = frozenset({str, Items, Members})


def _applied(
    operation: Callable[[Value, Value], T],
    weighed: Callable[[Run, Value, Value], T],
    node: nodes.Binary,
    unit: Unit,
) -> Callable[[Frame], T]:
    """`operation(left, right)`; a local on the left and a literal on the right cost no call.

    Args:
        weighed: the same operation for operands whose size matters (`HEAVY`).
    """
    left = compile_expression(node.left, unit, quiet=True)
    name = names.plain_name(node.left, unit)
    constant = literal_value(node.right)
    if constant is None:
        right = names.looked_at(node.right, unit, quiet=True)
        left = _never_alone(left, right, node.right)
        if _changes_in_place(node.right):
            name = None  # `a == [a.pop()]`: the left side is what `a` was before

        def apply(frame: Frame) -> T:
            a = left(frame)
            b = right(frame)
            return weighed(frame.run, a, b) if a.data.__class__ in HEAVY else operation(a, b)

        if name is None:
            return apply
        local = name

        def apply_to_local(frame: Frame) -> T:
            a = frame.locals.get(local) or left(frame)
            b = right(frame)
            return weighed(frame.run, a, b) if a.data.__class__ in HEAVY else operation(a, b)

        return apply_to_local
    if constant.data.__class__ is str and node.operator == "+":
        return lambda frame: weighed(frame.run, left(frame), constant)
    if name is None:
        return lambda frame: operation(left(frame), constant)
    return lambda frame: operation(frame.locals.get(name) or left(frame), constant)


def _never_alone(left: Evaluate, right: Evaluate, node: nodes.Expression) -> Evaluate:
    """The left operand; when it fails, the right one is evaluated all the same (§4.6), and the
    left one's error counts.

    Args:
        node: the right operand. One that nobody can notice is left alone.
    """
    if not any(map(_is_noticed, calls.parts_in(node))):
        return left

    def evaluate(frame: Frame) -> Value:
        try:
            return left(frame)
        except BudgetExceeded:
            raise
        except RunError as error:
            try:
                right(frame)
            except BudgetExceeded:
                raise
            except RunError:
                raise error from None
            raise

    return evaluate


def _is_noticed(part: object) -> bool:
    """Whether evaluating it may say something or change a variable."""
    if isinstance(part, nodes.Text):
        return not all(isinstance(piece, str) for piece in part.parts)
    return isinstance(part, nodes.Call | nodes.MethodCall | nodes.As)


def _changes_in_place(node: nodes.Expression) -> bool:
    """Whether evaluating it may change a variable's container."""
    return any(
        isinstance(part, nodes.MethodCall) and part.name in MUTATING
        for part in calls.parts_in(node)
    )


def _not(node: nodes.Not, unit: Unit, quiet: bool) -> Evaluate:
    condition = raw_condition(node, unit)
    at = interval(node.operand)[0]
    return lambda frame: Value(condition(frame), at)


def compile_condition(node: nodes.Expression, unit: Unit) -> Condition:
    """The condition of `if` and `while`: warnings off, a fatal error inside counts as false."""
    return swallowing(raw_condition(node, unit))


def swallowing(condition: Condition) -> Condition:
    """The condition with fatal errors counted as false (§5.6)."""

    def holds(frame: Frame) -> bool:
        try:
            return condition(frame)
        except BudgetExceeded:
            raise
        except RunError:
            return False

    return holds


def raw_condition(node: nodes.Expression, unit: Unit) -> Condition:
    """The truth of an expression, without making a value of it; errors come through."""
    if isinstance(node, nodes.Not):
        operand = compile_condition(node.operand, unit)
        return lambda frame: not operand(frame)
    if not isinstance(node, nodes.Binary) or node.operator in ARITHMETIC:
        evaluate = names.looked_at(node, unit, quiet=True)
        return lambda frame: truthy(evaluate(frame))
    if node.operator in ("match", "!match"):
        return _matching(node, unit, lambda is_true, a: is_true)
    return _comparison(node, unit)


def _matching(
    node: nodes.Binary, unit: Unit, result: Callable[[bool, Value], T]
) -> Callable[[Frame], T]:
    """`match` or `!match`. Args: result: from the answer and the left operand."""
    right = compile_expression(node.right, unit, quiet=True)
    left = _never_alone(compile_expression(node.left, unit, quiet=True), right, node.right)
    wanted = node.operator == "match"
    at = node.at

    def match(frame: Frame) -> T:
        try:
            a = left(frame)
            return result(matches(a, right(frame), frame.run.spend) is wanted, a)
        except BudgetExceeded as error:
            raise located(error, at) from None

    return match


def _call(node: nodes.Call, unit: Unit, quiet: bool) -> Evaluate:
    return calls.compile_call(node, unit)


def _name(node: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    return names.compile_name(node, unit, quiet=quiet)


def _path(node: nodes.Path, unit: Unit, quiet: bool) -> Evaluate:
    return paths.compile_path(node, unit, quiet=quiet)


_COMPILERS: Final[dict[type, Callable[[Any, Unit, bool], Evaluate]]] = {
    nodes.Number: _scalar,
    nodes.Boolean: _scalar,
    nodes.Null: _scalar,
    nodes.Text: _text,
    nodes.Array: _array,
    nodes.Object: _object,
    nodes.Closure: _closure,
    nodes.Name: _name,
    nodes.Call: _call,
    nodes.Path: _path,
    nodes.As: _as,
    nodes.Binary: _binary,
    nodes.Not: _not,
}
