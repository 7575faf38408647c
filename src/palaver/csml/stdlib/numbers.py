"""The methods of ints and floats. Spec: csml-language §10.4, §19.

Floats keep their kind and their negative zero; ints never leave 64 bits: what does not fit is a
float. Results that the C library calls a domain error are NaN or infinite, as IEEE has it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.generic import GENERIC
from palaver.csml.stdlib.table import ANY, MethodFunction, Methods, Result
from palaver.csml.values import INT_MAX, INT_MIN, Value, numeric

if TYPE_CHECKING:
    from palaver.csml.state import Run

INT: Final = Methods("Int")
FLOAT: Final = Methods("Float")

INT.update(GENERIC)
FLOAT.update(GENERIC)

NO_NUMBER: Final = (
    "[{}] the string must be of numeric type in order to use this method. "
    "Verify first with 'string.is_number() == true' to check it"
)
_POW: Final = "[pow] takes one parameter of type int or float usage: number.pow(42)"
_PRECISION: Final = "precision(value) => float"

_ALL_WHOLE: Final = 2.0**52
"""From here on every float is a whole number."""

_MOST_DECIMALS: Final = 1_074
"""No float has more decimals, so asking for more changes nothing."""


# --- rounding ----------------------------------------------------------------------------------


def rounded(number: float, towards: Callable[[float], int]) -> float:
    """A float rounded by `towards`, its sign kept also where the result is zero."""
    if not abs(number) < _ALL_WHOLE:
        return number
    return math.copysign(float(towards(number)), number)


def half_away(number: float) -> int:
    """The nearest whole number, halves away from zero."""
    whole = math.trunc(number)
    if abs(number - whole) < 0.5:
        return whole
    return whole + (1 if number > 0 else -1)


def truncated(number: float) -> int:
    """Towards zero, within 64 bits; NaN is 0."""
    if number != number:
        return 0
    if not INT_MIN <= number < 2.0**63:
        return INT_MAX if number > 0 else INT_MIN
    return int(number)


def within_int(number: int) -> int | float:
    """An exact result as an int if it fits 64 bits, else as the nearest float."""
    return number if INT_MIN <= number <= INT_MAX else float(number)


def whole_as_int(number: float) -> int | float:
    """A float result of an int method: an int where it is one. Spec: csml-language §10.4."""
    if number.is_integer() and INT_MIN <= number < 2.0**63:
        return int(number)
    return number


# --- functions ---------------------------------------------------------------------------------


def power(base: float, exponent: float) -> float:
    """`base` to the `exponent` as IEEE 754 defines `pow`: never an error."""
    odd = exponent.is_integer() and math.fmod(exponent, 2) != 0
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -math.inf if base < 0 and odd else math.inf
    except ValueError:
        if base == 0:
            return math.copysign(math.inf, base) if odd else math.inf
        return math.nan


def int_power(base: int, exponent: int | float) -> int | float:
    """Exact where the result is a 64-bit int, else the f64 power (§10.4, Palaver)."""
    whole = exponent if isinstance(exponent, int) else whole_as_int(exponent)
    if isinstance(whole, int) and whole >= 0:
        if abs(base) <= 1:
            return base ** (whole % 2 or 2) if whole else 1
        if whole < 64 and base.bit_length() * whole <= 128:
            return within_int(base**whole)
    return whole_as_int(power(float(base), float(exponent)))


def _or_nan(function: Callable[[float], float]) -> Callable[[float], float]:
    """The function with NaN outside of its domain."""

    def total(number: float) -> float:
        try:
            return function(number)
        except ValueError:
            return math.nan

    return total


_CIRCULAR: Final[dict[str, Callable[[float], float]]] = {
    "sqrt": _or_nan(math.sqrt),
    "sin": _or_nan(math.sin),
    "cos": _or_nan(math.cos),
    "tan": _or_nan(math.tan),
}

_ROUNDING: Final[dict[str, Callable[[float], int]]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "round": half_away,
}


# --- methods of both ---------------------------------------------------------------------------


def _exponent(args: tuple[Value, ...]) -> int | float:
    """The argument of `pow`. Raises: SoftError for what is no number and no numeric string."""
    data = args[0].data
    number = numeric(data) if isinstance(data, str) else data
    if number.__class__ is not int and number.__class__ is not float:
        raise SoftError(_POW)
    return number


def _number(this: Value) -> int | float:
    return this.data  # type: ignore[return-value]


def _itself(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return this.data


def _declare_circular(name: str, function: Callable[[float], float]) -> None:
    # The usage text of the ints' `sqrt` names another method. Spec: csml-language appendix A.
    @INT.add(name, 0, f"{'round' if name == 'sqrt' else name}() => number")
    def of_int(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        return whole_as_int(function(float(_number(this))))

    @FLOAT.add(name, 0, f"{name}() => float")
    def of_float(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        return function(_number(this))


def _declare_rounding(name: str, towards: Callable[[float], int]) -> None:
    INT.add(name, 0, f"{name}() => int")(_itself)

    @FLOAT.add(name, 0, f"{name}() => float")
    def of_float(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        return rounded(_number(this), towards)


for _name, _function in _CIRCULAR.items():
    _declare_circular(_name, _function)
for _name, _towards in _ROUNDING.items():
    _declare_rounding(_name, _towards)

INT.add("to_int", 0, "to_int() => int")(_itself)
INT.add("precision", (0, ANY))(_itself)
FLOAT.add("to_float", 0, "to_float() => float")(_itself)


# --- ints --------------------------------------------------------------------------------------


@INT.add("abs", 0, "abs() => int")
def abs_of_int(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return within_int(abs(this.data))  # type: ignore[arg-type]


@INT.add("pow", 1, "pow(exponent: number) => number")
def pow_of_int(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return int_power(this.data, _exponent(args))  # type: ignore[arg-type]


@INT.add("to_float", 0, "to_float() => float")
def to_float(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return float(_number(this))


# --- floats ------------------------------------------------------------------------------------


@FLOAT.add("abs", 0, "abs() => float")
def abs_of_float(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return abs(_number(this))


@FLOAT.add("pow", 1, "pow(exponent: number) => float")
def pow_of_float(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return power(_number(this), float(_exponent(args)))


@FLOAT.add("precision", (1, ANY), _PRECISION)
def precision(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    count = args[0].data
    number = _number(this)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise SoftError(f"usage: {_PRECISION}")
    return number if count > _MOST_DECIMALS else float(f"{number:.{count}f}")


@FLOAT.add("to_int", 0, "to_int() => int")
def to_int(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return truncated(_number(this))


# --- numeric strings ---------------------------------------------------------------------------

_OF_STRINGS: Final = (
    "abs", "ceil", "cos", "floor", "pow", "round", "sin", "sqrt", "tan", "to_int", "to_float",
)  # fmt: skip


def _of_string(name: str) -> MethodFunction:
    """The method of the number a string stands for, with that number's usage text (§10.3)."""

    def function(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        number = numeric(str(this.data))
        if number is None:
            raise SoftError(NO_NUMBER.format(name))
        method = (INT if isinstance(number, int) else FLOAT)[name]
        if not method.low <= len(args) <= method.high:
            raise SoftError(f"usage: {method.usage}")
        return method.function(run, Value(number, at), args, at)

    return function


def add_to_strings(table: Methods) -> None:
    """Adds the number methods that numeric strings have."""
    for name in _OF_STRINGS:
        table.add(name, (0, ANY))(_of_string(name))
