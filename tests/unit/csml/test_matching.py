"""The match operator. Spec: csml-language §11.4."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded
from palaver.csml.matching import matches
from palaver.csml.values import Members, Meta, Value, with_content_type
from tests.unit.csml.fakes import HERE, closure, value


def button(title: str, *accepts: str) -> Value:
    members = Members({"title": value(title), "accepts": value([*accepts, title, title])})
    return with_content_type(members, "button", HERE)


def question(*accepts: str) -> Value:
    return with_content_type(Members({"accepts": value(list(accepts))}), "question", HERE)


TEA = button("Tea", "chai")


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # 1: both are looked into
        (TEA, TEA, True),
        (button("Tea"), button("tea"), False),
        (TEA, {"accepts": ["x"]}, False),
        ({"accepts": ["x"]}, {"accepts": ["X"]}, False),
        ({"accepts": ["x"]}, {"accepts": ["x"]}, True),
        ({"a": 1}, {"a": 1}, False),
        # 2, 3: one is
        ("tea", TEA, True),
        (TEA, "TEA", True),
        ("CHAI", TEA, True),
        ("other", TEA, False),
        (5, TEA, False),
        ("x", {"a": 1}, False),
        ({"accepts": "x"}, "x", True),
        ({"accepts": "x"}, "X", False),
        ({"accepts": {"accepts": ["q"]}}, "Q", True),
        (TEA, ["chai"], False),
        (["chai", "Tea", "Tea"], TEA, True),
        # 4: both are arrays
        ([1, 2], [1, 2], True),
        ([1, 2], [2, 1], False),
        (["a"], ["A"], False),
        ([[1]], [1], False),
        ([], [], True),
        ([1], [1.0], False),
        # 5: membership
        ("a", [1, "A"], True),
        (["x", "HELLO"], "hello", True),
        ("É", ["é"], False),
        ("éA", ["éa"], True),
        ("K", ["\u212a"], False),
        (1, [2, 1], True),
        (1, ["1"], False),
        ("1", [1], False),
        ("1", ["1.0"], False),
        (1.0, [1], False),
        ("x", [], False),
        (None, [None], True),
        ("tea", [TEA], False),
        # 6: equality
        ("hello", "HELLO", False),
        (1, 1.0, True),
        ("1", 1, True),
        (None, None, True),
        (True, "true", False),
        ("Tea", question("Tea"), False),
        (question("Tea"), question("Tea"), True),
    ],
)
def test_matches(a: Any, b: Any, expected: bool) -> None:
    assert matches(value(a), value(b)) is expected


def test_a_closure_matches_nothing() -> None:
    function = closure(lambda scope: value(1))
    assert not matches(function, function)


def test_a_text_that_is_an_array_is_no_list() -> None:
    text = Value(value(["a", ""]).data, HERE, Meta("text"))
    assert not matches(value("a"), text)
    assert matches(text, text)


def test_accepts_of_accepts_may_be_nested_deeply() -> None:
    nested = value("q")
    for _ in range(5000):
        nested = value({"accepts": nested})
    assert matches(value("q"), nested)


def test_searching_is_paid_for() -> None:
    spent: list[int] = []
    assert not matches(value("x"), value(["a"] * 50), spent.append)
    assert sum(spent) >= 50


def test_searching_shared_containers_is_bounded() -> None:
    nested, other = value([1]), value([1])
    for _ in range(40):
        nested, other = value([nested, nested]), value([other, other])
    with pytest.raises(BudgetExceeded):
        matches(nested, other)
