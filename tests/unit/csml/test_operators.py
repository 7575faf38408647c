"""Operators: the tables of csml-language §4.5 and §4.6 as rows."""

from __future__ import annotations

import math
from typing import Any

import pytest

from palaver.csml.failures import ArithmeticFailed, BudgetExceeded
from palaver.csml.operators import (
    ARITHMETIC,
    COMPARISONS,
    MAX_COMPARED,
    equal,
    order,
    strictly_equal,
)
from palaver.csml.source import Position
from palaver.csml.values import INT_MAX, INT_MIN, Items, Meta, Value, secured, with_content_type
from tests.unit.csml.fakes import HERE, closure, value

CLOSURE = closure(lambda scope: Value(None))

INT_OVER = "overflowing operation: PrimitiveInt {0} PrimitiveInt"
FLOAT_OVER = "overflowing operation: PrimitiveFloat {0} PrimitiveFloat"
INT_ZERO = "[!] Int: Division by zero"
FLOAT_ZERO = "[!] Float: Division by zero"


class Refused(str):
    """The text of an arithmetic failure, where a row has one instead of a result."""


def over(kind: str) -> Refused:
    return Refused(f"overflowing operation: {kind}")


def calculate(left: Any, operator: str, right: Any) -> Any:
    try:
        return ARITHMETIC[operator](value(left), value(right)).data
    except ArithmeticFailed as error:
        return Refused(error.text)


def same(found: Any, wanted: Any) -> bool:
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(found, float) and math.isnan(found)
    return type(found) is type(wanted) and repr(found) == repr(wanted)


ROWS: list[tuple[Any, str, Any, Any]] = [
    # int op int
    (2, "+", 3, 5),
    (2, "-", 3, -1),
    (2, "*", 3, 6),
    (6, "/", 2, 3),
    (5, "/", 2, 2.5),
    (-6, "/", 4, -1.5),
    (2**53 + 1, "/", 2, 2.0**52),
    (7, "%", 3, 1),
    (-7, "%", 3, -1),
    (7, "%", -3, 1),
    (-7, "%", -3, -1),
    (1, "/", 0, Refused(INT_ZERO)),
    (INT_MAX, "+", 1, Refused(INT_OVER.format("+"))),
    (INT_MIN, "-", 1, Refused(INT_OVER.format("-"))),
    (INT_MAX, "*", 2, Refused(INT_OVER.format("*"))),
    (INT_MIN, "/", -1, Refused(INT_OVER.format("/"))),
    (1, "%", 0, Refused(INT_OVER.format("%"))),
    (INT_MIN, "%", -1, Refused(INT_OVER.format("%"))),
    (INT_MIN, "%", 7, -(2**63 % 7)),
    (INT_MAX, "/", 1, INT_MAX),
    # int and float mixed, float op float
    (1, "+", 0.5, 1.5),
    (0.5, "-", 1, -0.5),
    (2, "*", 1.5, 3.0),
    (1, "/", 0.5, 2.0),
    (1.0, "/", 4, 0.25),
    (5.5, "%", 2, 1.5),
    (-5.5, "%", 2.0, -1.5),
    (1.0, "%", 0.3, math.fmod(1.0, 0.3)),
    (1.0, "/", 0.0, Refused(FLOAT_ZERO)),
    (1, "/", 0.0, Refused(FLOAT_ZERO)),
    (1.0, "/", 0, Refused(FLOAT_ZERO)),
    (1.5, "%", 0.0, Refused(FLOAT_OVER.format("%"))),
    (1e308, "*", 10.0, Refused(FLOAT_OVER.format("*"))),
    (1e308, "+", 1e308, Refused(FLOAT_OVER.format("+"))),
    (-1e308, "-", 1e308, Refused(FLOAT_OVER.format("-"))),
    (1e19, "+", 1.5, 1e19 + 1.5),
    (math.inf, "-", 1.0, math.inf),
    (math.nan, "+", 1.0, math.nan),
    (math.inf, "/", 2.0, math.inf),
    # texts with numbers
    ("2", "+", 3, 5),
    (2, "*", "1.5", 3.0),
    ("4.5", "-", 1, 3.5),
    ("6", "/", 4, 1.5),
    (7, "%", "4", 3),
    ("a", "+", 1, Refused("illegal operation: PrimitiveString + PrimitiveInt")),
    (1.5, "*", "a", Refused("illegal operation: PrimitiveFloat * PrimitiveString")),
    ("", "-", 1, Refused("illegal operation: PrimitiveString - PrimitiveInt")),
    ("1", "/", 0, Refused(INT_ZERO)),
    (1, "/", "0.0", Refused(FLOAT_ZERO)),
    # text op text
    ("a", "+", "b", "ab"),
    ("a", "+", "1", "a1"),
    ("", "+", "", ""),
    ("1", "+", "a", Refused("illegal operation: PrimitiveString + PrimitiveString")),
    ("1", "+", "2", 3),
    ("1", "+", "2.0", 3.0),
    ("5", "-", "2", 3),
    ("5", "*", "2.5", 12.5),
    ("a", "-", "b", Refused("illegal operation: PrimitiveString - PrimitiveString")),
    ("1", "*", "b", Refused("illegal operation: PrimitiveString * PrimitiveString")),
    ("5", "/", "2", 2),
    ("-5", "/", "2", -2),
    ("5", "/", "-2", -2),
    ("-5", "/", "-2", 2),
    ("5", "/", "2.0", 2.5),
    ("1", "/", "0.5", 2.0),
    ("1", "/", "0", Refused(INT_ZERO)),
    ("1.5", "/", "0.0", Refused(INT_ZERO)),
    ("5", "%", "3", 2),
    ("-5", "%", "3", -2),
    ("4.5", "%", "2", 0.5),
    ("5", "%", "0.0", math.nan),
    ("inf", "%", "2.0", math.nan),
    ("5", "%", "0", Refused(INT_OVER.format("%"))),
    ("1e308", "*", "10", math.inf),
    ("9223372036854775807", "+", "1", Refused(INT_OVER.format("+"))),
    ("-9223372036854775808", "-", "1", Refused(INT_OVER.format("-"))),
    ("9223372036854775807", "*", "2", Refused(INT_OVER.format("*"))),
    ("-9223372036854775808", "/", "-1", Refused(INT_OVER.format("/"))),
    ("-9223372036854775808", "%", "-1", Refused(INT_OVER.format("%"))),
    # anything else
    (True, "+", True, Refused("illegal operation: PrimitiveBoolean + PrimitiveBoolean")),
    (True, "%", False, Refused("illegal operation: PrimitiveBoolean / PrimitiveBoolean")),
    (True, "%", 1, Refused("illegal operation: PrimitiveBoolean % PrimitiveInt")),
    (None, "+", 1, Refused("illegal operation: PrimitiveNull + PrimitiveInt")),
    ([], "+", [], Refused("illegal operation: PrimitiveArray + PrimitiveArray")),
    ({}, "-", "1", Refused("illegal operation: PrimitiveObject - PrimitiveString")),
    (1, "*", CLOSURE, Refused("illegal operation: PrimitiveInt * PrimitiveClosure")),
]


@pytest.mark.parametrize(("left", "operator", "right", "wanted"), ROWS)
def test_arithmetic_is_by_the_table(left: Any, operator: str, right: Any, wanted: Any) -> None:
    found = calculate(left, operator, right)
    assert same(found, wanted), found


@pytest.mark.parametrize("operator", "+-*/%")
def test_every_other_pair_is_illegal(operator: str) -> None:
    others: list[Any] = [True, None, [], {}, CLOSURE]
    for other in others:
        for any_value in [*others, "a", "1", 1, 1.5]:
            for left, right in [(other, any_value), (any_value, other)]:
                assert str(calculate(left, operator, right)).startswith("illegal operation: ")


def test_a_result_and_a_failure_stand_where_the_left_operand_was() -> None:
    left, right = Value(1, Position(3, 4)), Value(0, Position(5, 6))
    assert ARITHMETIC["+"](left, right).position == (3, 4)
    with pytest.raises(ArithmeticFailed) as caught:
        ARITHMETIC["/"](left, right)
    assert caught.value.at == (3, 4)


def test_a_result_has_the_content_type_of_its_kind() -> None:
    left = Value("a", HERE, Meta(content_type="audio"))
    assert ARITHMETIC["+"](left, Value("b")).meta is None


def test_what_is_made_of_a_secret_text_is_secret() -> None:
    assert ARITHMETIC["+"](secured(Value("a")), Value("b")).is_secure
    assert ARITHMETIC["*"](Value("2"), secured(Value("3"))).is_secure
    assert not ARITHMETIC["+"](Value("a"), Value("b")).is_secure


# --- equality ----------------------------------------------------------------------------------

EQUALITY: list[tuple[Any, Any, bool]] = [
    ("a", "a", True),
    ("a", "A", False),
    ("1", "1.0", True),
    ("1.0", "1.00", False),
    ("1", "01", False),
    ("1e2", "100", True),
    ("", "", True),
    (1, 1, True),
    (1, 1.0, True),
    (1, 1.5, False),
    (2**53 + 1, float(2**53), True),
    (0.0, -0.0, True),
    (math.nan, math.nan, False),
    ("1", 1, True),
    (1.0, "1", True),
    ("a", 1, False),
    (True, True, True),
    (True, 1, False),
    (True, "true", False),
    (False, 0, False),
    (None, None, True),
    (None, False, False),
    (None, "", False),
    ([1, "a"], [1, "a"], True),
    ([1], [1.0], False),
    (["1"], [1], False),
    (["1"], ["1.0"], True),
    ([1, 2], [2, 1], False),
    ([1], [1, 1], False),
    ([], {}, False),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
    ({"a": 1}, {"a": 1.0}, False),
    ({"a": 1}, {"b": 1}, False),
    ({"a": 1}, {"a": 1, "b": 1}, False),
    ({"a": [{"b": None}]}, {"a": [{"b": None}]}, True),
    ([True], [1], False),
    (CLOSURE, CLOSURE, False),
    (CLOSURE, None, False),
    ([CLOSURE], [CLOSURE], False),
]


@pytest.mark.parametrize(("left", "right", "wanted"), EQUALITY)
def test_equality_is_by_the_table(left: Any, right: Any, wanted: bool) -> None:
    for a, b in [(left, right), (right, left)]:
        assert COMPARISONS["=="](value(a), value(b)) is wanted
        assert COMPARISONS["!="](value(a), value(b)) is not wanted


def test_content_type_and_secrecy_do_not_matter_for_equality() -> None:
    assert equal(with_content_type("x", "audio", HERE), secured(Value("x", Position(9, 9))))


def test_strict_equality_wants_one_type() -> None:
    assert not strictly_equal(Value(1), Value(1.0))
    assert strictly_equal(Value("1"), Value("1.0"))


# --- ordering ----------------------------------------------------------------------------------

ORDER: list[tuple[Any, Any, int | None]] = [
    (1, 2, -1),
    (2, 2, 0),
    (1, 1.5, -1),
    ("10", "9", -1),
    ("10", "9.0", 1),
    ("a", "b", -1),
    ("Z", "a", -1),
    ("a", "nan", -1),
    ("1", "nan", -1),
    ("z", "é", -1),
    ("2", 10, -1),
    ("a", 1, None),
    (1.5, "1.5", 0),
    (False, True, -1),
    (True, True, 0),
    (True, 1, None),
    (None, None, 0),
    (None, 0, None),
    ([1, 2], [1, 3], -1),
    ([1], [1, 0], -1),
    ([], [], 0),
    ([1, "a"], [1, 2], None),
    ([2, "a"], [1, 2], 1),
    ([[1]], [[2]], -1),
    ({}, {}, None),
    (CLOSURE, CLOSURE, None),
    (math.nan, 1.0, None),
    (math.inf, 1e308, 1),
]


@pytest.mark.parametrize(("left", "right", "wanted"), ORDER)
def test_ordering_is_by_the_table(left: Any, right: Any, wanted: int | None) -> None:
    a, b = value(left), value(right)
    found = order(a, b)
    sign = None if found is None else (found > 0) - (found < 0)
    assert sign == wanted
    assert COMPARISONS["<"](a, b) is (wanted == -1)
    assert COMPARISONS[">"](a, b) is (wanted == 1)
    assert COMPARISONS["<="](a, b) is (wanted in (-1, 0))
    assert COMPARISONS[">="](a, b) is (wanted in (0, 1))
    reverse = None if wanted is None else -wanted
    assert COMPARISONS["<"](b, a) is (reverse == -1)


# --- logic -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "right", "both", "either"),
    [(1, 2, True, True), (1, 0, False, True), (0, -1, False, False), ("", [], True, True)],
)
def test_logic_is_by_truth(left: Any, right: Any, both: bool, either: bool) -> None:
    assert COMPARISONS["&&"](value(left), value(right)) is both
    assert COMPARISONS["||"](value(left), value(right)) is either


# --- limits ------------------------------------------------------------------------------------


def bomb() -> Value:
    made = value([1])
    for _ in range(40):
        made = Value(Items([made, made]), HERE)
    return made


def test_comparing_what_looks_endless_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_COMPARED > 1_000_000
    monkeypatch.setattr("palaver.csml.operators.MAX_COMPARED", 1_000)
    for compare in (equal, order):
        with pytest.raises(BudgetExceeded) as caught:
            compare(bomb(), bomb())
        assert caught.value.limit == "max_compared"
