"""Every coercion and binary rule. Spec: csml-language §4.5, §4.6.

Arithmetic looks up one `Operation` a symbol: what it does to two ints, two floats, two numeric
texts. Everything else (which pairs meet, what is illegal) is the same for all five.

Results count as created where the left operand was (§12.3). Failures raise ArithmeticFailed there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from palaver.csml.failures import ArithmeticFailed, BudgetExceeded
from palaver.csml.values import (
    INT_MAX,
    INT_MIN,
    SECURE,
    ClosureData,
    Data,
    Items,
    Members,
    Value,
    numeric,
    truthy,
)

MAX_COMPARED: Final = 2_000_000
"""Members compared at most in one equality or ordering; shared containers can look endless."""

PAID_AT_ONCE: Final = 1_000
"""Members compared between two payments."""


class Allowance:
    """What a comparison, or several, may still look at.

    Args:
        spend: pays an instruction for every member compared.
    """

    __slots__ = ("left", "spend", "total")

    def __init__(self, spend: Callable[[int], object] | None = None) -> None:
        self.left = PAID_AT_ONCE
        self.total = MAX_COMPARED
        self.spend = spend

    def count(self, data: Data) -> None:
        """One more member is compared; a long text counts for several. Raises: BudgetExceeded."""
        self.left -= 1 + len(data) // 1024 if data.__class__ is str else 1
        if self.left < 0:
            self.settle()
            if self.total <= 0:
                raise BudgetExceeded(
                    f"comparing needs more than max_compared ({MAX_COMPARED}) members",
                    "max_compared",
                )

    def settle(self) -> None:
        """Pays for what was compared since the last payment."""
        used = PAID_AT_ONCE - self.left
        self.left = PAID_AT_ONCE
        self.total -= used
        if self.spend is not None:
            self.spend(used)


TYPE_NAMES: Final[dict[type, str]] = {
    Items: "PrimitiveArray",
    bool: "PrimitiveBoolean",
    float: "PrimitiveFloat",
    int: "PrimitiveInt",
    type(None): "PrimitiveNull",
    Members: "PrimitiveObject",
    str: "PrimitiveString",
    ClosureData: "PrimitiveClosure",
}


class Comparison(Protocol):
    """Without an allowance it gets one of its own, which nobody pays for."""

    def __call__(self, a: Value, b: Value, allowance: Allowance | None = None) -> bool: ...


class Overflow(Exception):
    """The result does not fit; becomes `overflowing operation: …`."""


class DivisionByZero(Exception):
    """`kind` is `Int` or `Float`, as the message names it."""

    def __init__(self, kind: str) -> None:
        self.kind = kind


class Operation(NamedTuple):
    """What an operator does once both sides are numbers of one kind."""

    symbol: str
    ints: Callable[[int, int], int | float]
    floats: Callable[[float, float], float]
    int_texts: Callable[[int, int], int | float]
    float_texts: Callable[[float, float], float]


def _fits(number: int) -> int:
    if INT_MIN <= number <= INT_MAX:
        return number
    raise Overflow


def _divide_ints(left: int, right: int) -> int | float:
    if right == 0:
        raise DivisionByZero("Int")
    quotient, rest = divmod(left, right)
    return _fits(quotient) if rest == 0 else float(left) / float(right)  # as f64s, rounded first


def _truncating_quotient(left: int, right: int) -> int:
    if right == 0:
        raise DivisionByZero("Int")
    size = abs(left) // abs(right)
    return _fits(size if (left < 0) == (right < 0) else -size)


def _int_remainder(left: int, right: int) -> int:
    if right == 0 or (left == INT_MIN and right == -1):
        raise Overflow
    rest = abs(left) % abs(right)
    return -rest if left < 0 else rest


def _float_quotient(left: float, right: float) -> float:
    try:
        return left / right
    except ZeroDivisionError:
        return (
            math.nan
            if left == 0 or left != left
            else math.copysign(math.inf, left) * math.copysign(1, right)
        )


def _float_remainder(left: float, right: float) -> float:
    if right == 0 or math.isinf(left):
        return math.nan
    return math.fmod(left, right)


def _saturated(number: float) -> int:
    """The float as a 64-bit int: truncated, clamped, NaN is 0."""
    if number != number:
        return 0
    return INT_MAX if number >= 2**63 else INT_MIN if number <= -(2**63) else int(number)


def _checked(
    floats: Callable[[float, float], float], ints: Callable[[int, int], int]
) -> Callable[[float, float], float]:
    """A float operation that fails when its result is not finite, unless the same operation on
    the truncated operands fits (operands `inf` and `nan`). Spec: §4.5, Palaver."""

    def operation(left: float, right: float) -> float:
        result = floats(left, right)
        if not math.isfinite(result):
            _fits(ints(_saturated(left), _saturated(right)))
        return result

    return operation


def _divide_floats(left: float, right: float) -> float:
    if right == 0:
        raise DivisionByZero("Float")
    return _DIVIDE_CHECKED(left, right)


def _divide_float_texts(left: float, right: float) -> float:
    if right == 0:
        raise DivisionByZero("Int")
    return _float_quotient(left, right)


def _whole_quotient(left: int, right: int) -> int:
    if right == 0:
        raise Overflow
    return _truncating_quotient(left, right)


_DIVIDE_CHECKED: Final = _checked(_float_quotient, _whole_quotient)

ADD: Final = Operation(
    "+",
    lambda a, b: _fits(a + b),
    _checked(lambda a, b: a + b, lambda a, b: a + b),
    lambda a, b: _fits(a + b),
    lambda a, b: a + b,
)
SUBTRACT: Final = Operation(
    "-",
    lambda a, b: _fits(a - b),
    _checked(lambda a, b: a - b, lambda a, b: a - b),
    lambda a, b: _fits(a - b),
    lambda a, b: a - b,
)
MULTIPLY: Final = Operation(
    "*",
    lambda a, b: _fits(a * b),
    _checked(lambda a, b: a * b, lambda a, b: a * b),
    lambda a, b: _fits(a * b),
    lambda a, b: a * b,
)
DIVIDE: Final = Operation(
    "/", _divide_ints, _divide_floats, _truncating_quotient, _divide_float_texts
)
REMAINDER: Final = Operation(
    "%",
    _int_remainder,
    _checked(_float_remainder, _int_remainder),
    _int_remainder,
    _float_remainder,
)


def calculate(operation: Operation, a: Value, b: Value) -> Value:
    """`a operation b` by the table of §4.5."""
    x, y = a.data, b.data
    try:
        if x.__class__ is str and y.__class__ is str:
            return _texts(operation, a, b)
        left = numeric(x) if x.__class__ is str else x
        right = numeric(y) if y.__class__ is str else y
        return Value(_numbers(operation, left, right), a.position)
    except TypeError:
        raise ArithmeticFailed(illegal(operation.symbol, x, y), a.position) from None
    except Overflow:
        kind = _kind_after_conversion(x, y)
        raise ArithmeticFailed(
            f"overflowing operation: {kind} {operation.symbol} {kind}", a.position
        ) from None
    except DivisionByZero as error:
        raise ArithmeticFailed(f"[!] {error.kind}: Division by zero", a.position) from None


def _numbers(operation: Operation, left: Data, right: Data) -> int | float:
    """Raises: TypeError when one of them is no number."""
    if left.__class__ is int and right.__class__ is int:
        return operation.ints(left, right)
    if left.__class__ in _NUMBERS and right.__class__ in _NUMBERS:
        return operation.floats(float(left), float(right))  # type: ignore[arg-type]
    raise TypeError


_NUMBERS: Final = frozenset({int, float})


def _texts(operation: Operation, a: Value, b: Value) -> Value:
    """Two texts: numbers when both are numeric; `+` of others joins them."""
    x, y = str(a.data), str(b.data)
    left, right = numeric(x), numeric(y)
    secure = SECURE if a.is_secure or b.is_secure else None  # digits are easily got back, too
    if left is None and operation is ADD:
        return Value(x + y, a.position, secure)
    if left is None or right is None:
        raise TypeError
    if isinstance(left, int) and isinstance(right, int):
        return Value(operation.int_texts(left, right), a.position, secure)
    return Value(operation.float_texts(float(left), float(right)), a.position, secure)


def _kind_after_conversion(x: Data, y: Data) -> str:
    left = numeric(x) if isinstance(x, str) else x
    right = numeric(y) if isinstance(y, str) else y
    return TYPE_NAMES[int if isinstance(left, int) and isinstance(right, int) else float]


def illegal(symbol: str, x: Data, y: Data) -> str:
    """The text for types that do not meet; booleans under `%` print `/` (the reference's slip)."""
    if symbol == "%" and isinstance(x, bool) and isinstance(y, bool):
        symbol = "/"
    return f"illegal operation: {TYPE_NAMES[type(x)]} {symbol} {TYPE_NAMES[type(y)]}"


# The fast ways: two ints that fit are by far the most common operands.


def add(a: Value, b: Value) -> Value:
    x, y = a.data, b.data
    if x.__class__ is int and y.__class__ is int:
        result = x + y
        if INT_MIN <= result <= INT_MAX:
            return Value(result, a.position)
    return calculate(ADD, a, b)


def subtract(a: Value, b: Value) -> Value:
    x, y = a.data, b.data
    if x.__class__ is int and y.__class__ is int:
        result = x - y
        if INT_MIN <= result <= INT_MAX:
            return Value(result, a.position)
    return calculate(SUBTRACT, a, b)


def multiply(a: Value, b: Value) -> Value:
    x, y = a.data, b.data
    if x.__class__ is int and y.__class__ is int:
        result = x * y
        if INT_MIN <= result <= INT_MAX:
            return Value(result, a.position)
    return calculate(MULTIPLY, a, b)


def divide(a: Value, b: Value) -> Value:
    return calculate(DIVIDE, a, b)


def remainder(a: Value, b: Value) -> Value:
    x, y = a.data, b.data
    if x.__class__ is int and y.__class__ is int and x >= 0 and y > 0:
        return Value(x % y, a.position)
    return calculate(REMAINDER, a, b)


# --- equality ----------------------------------------------------------------------------------


def equal(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    """`==`. Spec: csml-language §4.6."""
    x, y = a.data, b.data
    kind, other = x.__class__, y.__class__
    if kind is other:
        if kind is str:
            return x == y or _numerically_equal_texts(x, y)  # type: ignore[arg-type]
        return _same(x, y, allowance or Allowance())
    first = numeric(x) if kind is str else x  # type: ignore[arg-type]
    second = numeric(y) if other is str else y  # type: ignore[arg-type]
    if first.__class__ in _NUMBERS and second.__class__ in _NUMBERS:
        return _compare_numbers(first, second) == 0  # type: ignore[arg-type]
    return False


def _numerically_equal_texts(x: str, y: str) -> bool:
    """Only an int text and a float text are compared as numbers."""
    left, right = numeric(x), numeric(y)
    if left is None or right is None or left.__class__ is right.__class__:
        return False
    return float(left) == float(right)


def strictly_equal(a: Value, b: Value) -> bool:
    """Equality inside containers: the types must be identical (§4.6)."""
    return a.data.__class__ is b.data.__class__ and equal(a, b)


def equal_within(a: Value, b: Value, allowance: Allowance) -> bool:
    """`strictly_equal` of one of many pairs that share an allowance: their sum is bounded."""
    return a.data.__class__ is b.data.__class__ and _same_member(a, b, allowance)


def _same(x: Data, y: Data, allowance: Allowance) -> bool:
    """Two data of one type; containers are gone through in a loop, as deep as they may be."""
    if x.__class__ is not Items and x.__class__ is not Members:
        return x.__class__ is not ClosureData and x == y
    waiting = [(x, y)]
    while waiting:
        first, second = waiting.pop()
        if len(first) != len(second):  # type: ignore[arg-type]
            return False
        for a, b in _pairs(first, second):
            p, q = a.data, b.data if b is not None else _NO_DATA
            allowance.count(p)
            kind = p.__class__
            if kind is not q.__class__:
                return False
            if kind is Items or kind is Members:
                waiting.append((p, q))  # type: ignore[arg-type]
            elif kind is ClosureData or not (p == q or _numerically_equal(p, q)):
                return False
    return True


_NO_DATA: Final = object()
"""Stands for the value of a name that the other object has not."""


def _pairs(x: Data, y: Data) -> Iterable[tuple[Value, Value | None]]:
    """The members of two containers of one kind and length that have to be equal."""
    if isinstance(x, Members) and isinstance(y, Members):
        return [(value, y.get(key)) for key, value in x.items()]
    return zip(x, y, strict=True)  # type: ignore[arg-type]


def _numerically_equal(x: Data, y: Data) -> bool:
    return x.__class__ is str and _numerically_equal_texts(x, y)  # type: ignore[arg-type]


def _same_member(a: Value, b: Value, allowance: Allowance) -> bool:
    x, y = a.data, b.data
    allowance.count(x)
    if x.__class__ is not y.__class__:
        return False
    if x.__class__ is str:
        return x == y or _numerically_equal_texts(x, y)  # type: ignore[arg-type]
    return _same(x, y, allowance)


# --- ordering ----------------------------------------------------------------------------------


def order(a: Value, b: Value, allowance: Allowance | None = None) -> int | None:
    """Negative, 0 or positive; None when the pair is not comparable. Spec: §4.6."""
    return _order(a.data, b.data, allowance or Allowance())


def _order(x: Data, y: Data, allowance: Allowance) -> int | None:
    if isinstance(x, str) and isinstance(y, str):
        return _order_texts(x, y)
    kind, other = x.__class__, y.__class__
    if kind is bool and other is bool:
        return int(x) - int(y)  # type: ignore[arg-type]
    if x is None and y is None:
        return 0
    if isinstance(x, Items) and isinstance(y, Items):
        return _order_arrays(x, y, allowance)
    a = numeric(x) if isinstance(x, str) else x
    b = numeric(y) if isinstance(y, str) else y
    if a.__class__ in _NUMBERS and b.__class__ in _NUMBERS:
        return _compare_numbers(a, b)  # type: ignore[arg-type]
    return None


def _compare_numbers(a: float, b: float) -> int | None:
    if a.__class__ is not b.__class__:
        a, b = float(a), float(b)
    return 0 if a == b else -1 if a < b else 1 if a > b else None


def _order_texts(x: str, y: str) -> int:
    a, b = numeric(x), numeric(y)
    if a is not None and b is not None and a.__class__ is not b.__class__:
        found = _compare_numbers(a, b)
        if found is not None:
            return found
    return 0 if x == y else -1 if x < y else 1


def _order_arrays(x: Items, y: Items, allowance: Allowance) -> int | None:
    """By the first pair that is not equal, else by length; inner arrays on a stack of their own."""
    waiting = [(zip(x, y, strict=False), len(x) - len(y))]
    while waiting:
        pairs, rest = waiting[-1]
        pair = next(pairs, None)
        if pair is None:
            if rest != 0:
                return rest
            waiting.pop()
            continue
        a, b = pair[0].data, pair[1].data
        allowance.count(a)
        if isinstance(a, Items) and isinstance(b, Items):
            waiting.append((zip(a, b, strict=False), len(a) - len(b)))
        elif (found := _order(a, b, allowance)) != 0:
            return found
    return 0


def less(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    x, y = a.data, b.data
    if x.__class__ is int and y.__class__ is int:
        return x < y
    found = order(a, b, allowance)
    return found is not None and found < 0


def greater(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    x, y = a.data, b.data
    if x.__class__ is int and y.__class__ is int:
        return x > y
    found = order(a, b, allowance)
    return found is not None and found > 0


def at_most(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    found = order(a, b, allowance)
    return found is not None and found <= 0


def at_least(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    found = order(a, b, allowance)
    return found is not None and found >= 0


def unequal(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    return not equal(a, b, allowance)


def both(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    """`&&`: both sides were evaluated already (§4.6: no short circuit)."""
    return truthy(a) and truthy(b)


def either(a: Value, b: Value, allowance: Allowance | None = None) -> bool:
    return truthy(a) or truthy(b)


ARITHMETIC: Final[dict[str, Callable[[Value, Value], Value]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": remainder,
}
"""Operator → function of two values giving a value."""

COMPARISONS: Final[dict[str, Comparison]] = {
    "==": equal,
    "!=": unequal,
    "<": less,
    ">": greater,
    "<=": at_most,
    ">=": at_least,
    "&&": both,
    "||": either,
}
"""Operator → function of two values (and an allowance) giving a bool; `match` is elsewhere."""
