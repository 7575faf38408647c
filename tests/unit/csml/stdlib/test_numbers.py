"""The methods of ints and floats. Spec: csml-language §10.4."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.failures import SoftError
from palaver.csml.stdlib.numbers import FLOAT, INT
from palaver.csml.stdlib.strings import STRING
from palaver.csml.stdlib.table import Methods
from palaver.csml.texts import float_text
from palaver.csml.values import INT_MAX, INT_MIN, numeric
from tests.unit.csml.fakes import accepts_count, call

POW = "[pow] takes one parameter of type int or float usage: number.pow(42)"


def shown(number: Any) -> tuple[str, str]:
    """Kind and text, so that 1 and 1.0, 0.0 and -0.0, and NaNs are told apart."""
    kind = type(number).__name__
    return kind, float_text(number) if kind == "float" else str(number)


@pytest.mark.parametrize(
    ("this", "name", "args", "kind", "text"),
    [
        (-5, "abs", [], "int", "5"),
        (INT_MAX, "abs", [], "int", "9223372036854775807"),
        (-9007199254740993, "abs", [], "int", "9007199254740993"),
        (INT_MIN, "abs", [], "float", "9223372036854776000"),
        (7, "ceil", [], "int", "7"),
        (7, "floor", [], "int", "7"),
        (7, "round", [], "int", "7"),
        (5, "precision", [], "int", "5"),
        (5, "precision", ["x", 1], "int", "5"),
        (5, "to_int", [], "int", "5"),
        (5, "to_float", [], "float", "5"),
        (9007199254740993, "to_float", [], "float", "9007199254740992"),
        (4, "sqrt", [], "int", "2"),
        (2, "sqrt", [], "float", "1.4142135623730951"),
        (-4, "sqrt", [], "float", "NaN"),
        (0, "sin", [], "int", "0"),
        (0, "cos", [], "int", "1"),
        (1, "tan", [], "float", "1.5574077246549023"),
        (2, "pow", [10], "int", "1024"),
        (2, "pow", [0], "int", "1"),
        (2, "pow", [-1], "float", "0.5"),
        (4, "pow", [0.5], "int", "2"),
        (2, "pow", ["3"], "int", "8"),
        (2, "pow", ["1e1"], "int", "1024"),
        (2, "pow", [4.0], "int", "16"),
        (2, "pow", [62], "int", "4611686018427387904"),
        (2, "pow", [63], "float", "9223372036854776000"),
        (-2, "pow", [63], "int", "-9223372036854775808"),
        (2, "pow", [64], "float", "18446744073709552000"),
        (3, "pow", [39], "int", "4052555153018976267"),
        (3, "pow", [40], "float", "12157665459056929000"),
        (7, "pow", [20], "int", "79792266297612001"),
        (-8, "pow", [0.5], "float", "NaN"),
        (0, "pow", [-1], "float", "inf"),
        (0, "pow", [0], "int", "1"),
        (10, "pow", [400], "float", "inf"),
        (-10, "pow", [401], "float", "-inf"),
        (-1, "pow", [INT_MAX], "int", "-1"),
        (-1, "pow", [INT_MAX - 1], "int", "1"),
        (0, "pow", [INT_MAX], "int", "0"),
        (2, "pow", ["nan"], "float", "NaN"),
        (2, "pow", ["-inf"], "int", "0"),
    ],
)
def test_methods_of_ints(this: int, name: str, args: list[Any], kind: str, text: str) -> None:
    assert shown(call(INT, name, this, *args)) == (kind, text)


@pytest.mark.parametrize(
    ("number", "ceil", "floor", "nearest"),
    [
        (0.5, "1", "0", "1"),
        (1.5, "2", "1", "2"),
        (2.5, "3", "2", "3"),
        (-0.5, "-0", "-1", "-1"),
        (-1.5, "-1", "-2", "-2"),
        (-0.4, "-0", "-1", "-0"),
        (0.49999999999999994, "1", "0", "0"),
        (-1.6, "-1", "-2", "-2"),
        (3.0, "3", "3", "3"),
        (-0.0, "-0", "-0", "-0"),
        (2251799813685249.5, "2251799813685250", "2251799813685249", "2251799813685250"),
        (1e300, float_text(1e300), float_text(1e300), float_text(1e300)),
        (math.inf, "inf", "inf", "inf"),
        (math.nan, "NaN", "NaN", "NaN"),
    ],
)
def test_rounding_of_floats_gives_floats(
    number: float, ceil: str, floor: str, nearest: str
) -> None:
    assert shown(call(FLOAT, "ceil", number)) == ("float", ceil)
    assert shown(call(FLOAT, "floor", number)) == ("float", floor)
    assert shown(call(FLOAT, "round", number)) == ("float", nearest)


@pytest.mark.parametrize(
    ("this", "name", "args", "kind", "text"),
    [
        (-2.5, "abs", [], "float", "2.5"),
        (9.0, "sqrt", [], "float", "3"),
        (-4.0, "sqrt", [], "float", "NaN"),
        (math.inf, "sin", [], "float", "NaN"),
        (0.0, "tan", [], "float", "0"),
        (2.0, "pow", [3], "float", "8"),
        (2.25, "pow", [0.5], "float", "1.5"),
        (1.5, "pow", ["2"], "float", "2.25"),
        (0.1, "pow", [2], "float", "0.010000000000000002"),
        (-2.0, "pow", [0.5], "float", "NaN"),
        (1e300, "pow", [2], "float", "inf"),
        (-0.0, "pow", [-1], "float", "-inf"),
        (0.0, "pow", [-2], "float", "inf"),
        (1.1, "pow", [0], "float", "1"),
        (3.14159, "precision", [2], "float", "3.14"),
        (3.14159, "precision", [2, 9], "float", "3.14"),
        (2.5, "precision", [0], "float", "2"),
        (3.5, "precision", [0], "float", "4"),
        (0.125, "precision", [2], "float", "0.12"),
        (2.675, "precision", [2], "float", "2.67"),
        (0.1, "precision", [20], "float", "0.1"),
        (0.1, "precision", [INT_MAX], "float", "0.1"),
        (math.inf, "precision", [1], "float", "inf"),
        (4.9, "to_int", [], "int", "4"),
        (-4.9, "to_int", [], "int", "-4"),
        (1e30, "to_int", [], "int", str(INT_MAX)),
        (2.0**63, "to_int", [], "int", str(INT_MAX)),
        (-1e30, "to_int", [], "int", str(INT_MIN)),
        (math.inf, "to_int", [], "int", str(INT_MAX)),
        (math.nan, "to_int", [], "int", "0"),
        (4.5, "to_float", [], "float", "4.5"),
    ],
)
def test_methods_of_floats(this: float, name: str, args: list[Any], kind: str, text: str) -> None:
    assert shown(call(FLOAT, name, this, *args)) == (kind, text)


@pytest.mark.parametrize("table", [INT, FLOAT])
@pytest.mark.parametrize("exponent", ["x", " 1", "", None, True, [2], {"a": 1}])
def test_pow_wants_a_number(table: Methods, exponent: Any) -> None:
    with pytest.raises(SoftError) as caught:
        call(table, "pow", 2 if table is INT else 2.5, exponent)
    assert caught.value.text == POW


@pytest.mark.parametrize("count", [-2, "1", 1.0, None, True])
def test_precision_wants_a_count(count: Any) -> None:
    with pytest.raises(SoftError) as caught:
        call(FLOAT, "precision", 1.5, count)
    assert caught.value.text == "usage: precision(value) => float"


@pytest.mark.parametrize(
    ("table", "name", "usage"),
    [
        *((INT, name, f"{name}() => int") for name in ("abs", "ceil", "floor", "round", "to_int")),
        (INT, "to_float", "to_float() => float"),
        (INT, "sqrt", "round() => number"),
        *((INT, name, f"{name}() => number") for name in ("sin", "cos", "tan")),
        (INT, "pow", "pow(exponent: number) => number"),
        *(
            (FLOAT, name, f"{name}() => float")
            for name in ("abs", "ceil", "floor", "round", "sqrt", "sin", "cos", "tan", "to_float")
        ),
        (FLOAT, "to_int", "to_int() => int"),
        (FLOAT, "pow", "pow(exponent: number) => float"),
        (FLOAT, "precision", "precision(value) => float"),
    ],
)
def test_usage_texts(table: Methods, name: str, usage: str) -> None:
    takes_one = name in ("pow", "precision")
    assert table[name].usage == usage
    assert accepts_count(table, name, 1) is takes_one
    assert accepts_count(table, name, 0) is not takes_one


def test_precision_ignores_further_arguments() -> None:
    assert accepts_count(FLOAT, "precision", 5)
    assert accepts_count(INT, "precision", 5)


# --- numeric strings ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name", "args", "kind", "shows"),
    [
        ("-5", "abs", [], "int", "5"),
        ("-5.5", "abs", [], "float", "5.5"),
        ("4.2", "ceil", [], "float", "5"),
        ("4", "ceil", [], "int", "4"),
        ("2", "pow", [3], "int", "8"),
        ("2.5", "pow", ["2"], "float", "6.25"),
        ("9", "sqrt", [], "int", "3"),
        ("0.0", "tan", [], "float", "0"),
        ("12.9", "to_int", [], "int", "12"),
        ("1e3", "to_int", [], "int", "1000"),
        ("12", "to_float", [], "float", "12"),
        ("+7", "to_int", [], "int", "7"),
        ("inf", "to_int", [], "int", str(INT_MAX)),
        ("nan", "to_int", [], "int", "0"),
    ],
)
def test_numeric_strings_have_the_methods_of_their_number(
    text: str, name: str, args: list[Any], kind: str, shows: str
) -> None:
    assert shown(call(STRING, name, text, *args)) == (kind, shows)


@pytest.mark.parametrize(
    ("text", "name", "args", "reason"),
    [
        ("4", "abs", [1], "usage: abs() => int"),
        ("4", "pow", [], "usage: pow(exponent: number) => number"),
        ("4", "pow", [None], POW),
        ("4.5", "to_int", [1], "usage: to_int() => int"),
        ("4.5", "pow", [], "usage: pow(exponent: number) => float"),
    ],
)
def test_numeric_strings_fail_as_their_number(
    text: str, name: str, args: list[Any], reason: str
) -> None:
    with pytest.raises(SoftError) as caught:
        call(STRING, name, text, *args)
    assert caught.value.text == reason


@pytest.mark.parametrize("text", ["x", "", " 1", "1 ", "1,5", "1_0", "0x10", "٣", "--1", "1.2.3"])
@pytest.mark.parametrize("args", [[], [1]])
def test_other_strings_are_no_numbers(text: str, args: list[Any]) -> None:
    with pytest.raises(SoftError) as caught:
        call(STRING, "to_int", text, *args)
    assert caught.value.text == (
        "[to_int] the string must be of numeric type in order to use this method. "
        "Verify first with 'string.is_number() == true' to check it"
    )


def test_strings_have_no_precision() -> None:
    assert "precision" not in STRING


# --- properties --------------------------------------------------------------------------------

INTS = st.integers(INT_MIN, INT_MAX)
NUMBERS = st.one_of(INTS, st.floats())


@given(base=NUMBERS, exponent=NUMBERS)
def test_pow_always_gives_a_number_within_bounds(base: float, exponent: float) -> None:
    result = call(INT if isinstance(base, int) else FLOAT, "pow", base, exponent)
    assert isinstance(result, float) or INT_MIN <= result <= INT_MAX


@given(number=st.floats())
def test_float_methods_never_fail(number: float) -> None:
    for name in ("abs", "ceil", "floor", "round", "sqrt", "sin", "cos", "tan", "to_float"):
        assert isinstance(call(FLOAT, name, number), float)
    assert INT_MIN <= call(FLOAT, "to_int", number) <= INT_MAX


@given(number=INTS)
def test_an_int_and_its_text_agree(number: int) -> None:
    assert numeric(str(number)) == number
    assert call(STRING, "abs", str(number)) == call(INT, "abs", number)


@given(number=st.floats(-1e15, 1e15))
def test_rounding_is_half_away_from_zero(number: float) -> None:
    result = call(FLOAT, "round", number)
    assert abs(result - number) <= 0.5
    if abs(result - number) == 0.5:
        assert abs(result) > abs(number)
