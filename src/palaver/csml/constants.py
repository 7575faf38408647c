"""What a constant may be, and what it is.

Takes the expression of a `const` and yields its value, or the first thing in it that no constant
can be. Spec: csml-language §6.16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from palaver.csml.failures import RunError
from palaver.csml.nodes import (
    Array,
    As,
    Binary,
    Boolean,
    Closure,
    Expression,
    Not,
    Null,
    Number,
    Object,
    Path,
    Text,
)
from palaver.csml.operators import ARITHMETIC, COMPARISONS
from palaver.csml.source import Position
from palaver.csml.values import ClosureData, Items, Members, Value, truthy

INVALID_TYPE: Final = (
    "Constant invalid expression type: constants can not be assign this type of expression"
)
INVALID_OPERATION: Final = "invalid operation in constant declaration"


class ConstantError(Exception):
    """An expression that no constant can be.

    Args:
        reason: the bare sentence, which is the whole message (§12.4).
        start: of the offending part; of the left operand for operators.
        end: where the reference gives one.
    """

    def __init__(self, reason: str, start: Position, end: Position | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.start = start
        self.end = end


MakeClosure: TypeAlias = Callable[[Closure], ClosureData]


def without_code(node: Closure) -> ClosureData:
    """A closure that captured nothing and belongs to no flow."""
    return ClosureData(node, {})


def constant_value(expression: Expression, closure: MakeClosure = without_code) -> Value:
    """The value of a constant; every part of it has its place.

    Args:
        closure: makes the closures in it; they capture nothing.

    Raises:
        ConstantError: for a part that no constant may have, and for failing arithmetic (§4.5).
    """
    match expression:
        case Number(value, at) | Boolean(value, at):
            return Value(value, at)
        case Null(at):
            return Value(None, at)
        case Text(parts=(str(text),), at=at):
            return Value(text, at)
        case Closure(at=at):
            return Value(closure(expression), at)
        case Array(items, at):
            return Value(Items([constant_value(item, closure) for item in items]), at)
        case Object(members, at):
            return Value(Members({key: constant_value(one, closure) for key, one in members}), at)
        case Binary():
            return _chain(expression, closure)
        case Not():
            return _negations(expression, closure)
        case _:
            raise ConstantError(INVALID_TYPE, *interval(expression))


def _chain(expression: Binary, closure: MakeClosure) -> Value:
    # `a + b + c …` leans to the left: going down there in a loop keeps long chains off the stack.
    chain = [expression]
    while isinstance(chain[-1].left, Binary):
        chain.append(chain[-1].left)
    value = constant_value(chain[-1].left, closure)
    for link in reversed(chain):
        right = constant_value(link.right, closure)
        value = _calculate(link.operator, value, right, link.at)
    return value


def _calculate(operator: str, left: Value, right: Value, at: Position) -> Value:
    compare = COMPARISONS.get(operator)
    if compare is not None:
        return Value(compare(left, right), left.position)
    calculate = ARITHMETIC.get(operator)
    if calculate is None:
        raise ConstantError(INVALID_OPERATION, at)
    try:
        return calculate(left, right)
    except RunError as error:
        raise ConstantError(error.text, left.position) from error


def _negations(expression: Not, closure: MakeClosure) -> Value:
    # Below `!` nothing is an error: an operand that fails counts as false.
    operand, odd = expression.operand, True
    while isinstance(operand, Not):
        operand, odd = operand.operand, not odd
    try:
        is_true = truthy(constant_value(operand, closure))
    except ConstantError:
        is_true = False
    return Value(is_true is not odd, interval(operand)[0])


def interval(expression: Expression) -> tuple[Position, Position | None]:
    """Where a value is reported: its start, and the end if the reference gives one (§13.1)."""
    while True:
        match expression:
            case Text(at=at, last_literal=end) | Array(at=at, end=end) | Object(at=at, end=end):
                return at, end
            case Path(root=inner) | Binary(left=inner) | Not(operand=inner):
                expression = inner
            case As(name_at=at):
                return at, None
            case _:
                return expression.at, None
