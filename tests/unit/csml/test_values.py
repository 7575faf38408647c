"""Values: kinds, content types, truth, numeric texts, sharing. Spec: csml-language §4.1 – §4.4."""

from __future__ import annotations

import math
from typing import Any

import pytest

from palaver.csml.source import Position
from palaver.csml.values import (
    KINDS,
    METHOD_OWNERS,
    TYPE_NAMES,
    Items,
    Members,
    Meta,
    Value,
    content_type_of,
    holds_secret,
    is_normal,
    kind_of,
    null_because,
    numeric,
    own_copy,
    owned,
    secured,
    share,
    truthy,
    with_content_type,
)
from tests.unit.csml.fakes import closure, value

CLOSURE = closure(lambda scope: Value(None))

TRUTH: list[tuple[Any, bool]] = [
    (True, True),
    (False, False),
    (1, True),
    (2**63 - 1, True),
    (0, False),
    (-1, False),
    (0.5, True),
    (-0.5, True),
    (0.0, False),
    (-0.0, False),
    (math.nan, False),
    (math.inf, False),
    (-math.inf, False),
    (5e-324, False),
    (2.2250738585072014e-308, True),
    ("", True),
    ("false", True),
    ("0", True),
    ([], True),
    ({}, True),
    ([0], True),
    (None, False),
]


@pytest.mark.parametrize(("data", "is_true"), TRUTH)
def test_truth_is_by_the_table(data: Any, is_true: bool) -> None:
    assert truthy(value(data)) is is_true


def test_a_closure_is_never_true() -> None:
    assert not truthy(CLOSURE)


def test_a_normal_number_is_neither_tiny_nor_huge() -> None:
    assert is_normal(-1.5)
    assert is_normal(1.7976931348623157e308)
    assert not is_normal(2.225073858507201e-308)


NUMERIC: list[tuple[str, Any]] = [
    ("42", 42),
    ("+42", 42),
    ("-42", -42),
    ("007", 7),
    ("4.2", 4.2),
    ("4.", 4.0),
    (".5", 0.5),
    ("-.5", -0.5),
    ("1e3", 1000.0),
    ("1E+3", 1000.0),
    ("1.e-2", 0.01),
    ("inf", math.inf),
    ("-Infinity", -math.inf),
    ("INF", math.inf),
    ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -(2**63)),
    ("9223372036854775808", 9223372036854775808.0),
    ("1" * 399, math.inf),
    ("0" * 500 + "1", 1.0),
    ("", None),
    (" 42", None),
    ("42 ", None),
    ("1,5", None),
    ("1_000", None),
    ("abc", None),
    ("-", None),
    (".", None),
    ("e5", None),
    ("1e", None),
    ("0x10", None),
    ("٤٢", None),
    ("infin", None),
    ("nano", None),
    ("--1", None),
    ("42\n", None),
]


@pytest.mark.parametrize(("text", "number"), NUMERIC)
def test_a_text_is_numeric_by_the_rules(text: str, number: Any) -> None:
    found = numeric(text)
    assert found == number
    assert type(found) is type(number)


@pytest.mark.parametrize("text", ["nan", "NaN", "-nan", "+NAN"])
def test_nan_in_any_case_is_numeric(text: str) -> None:
    found = numeric(text)
    assert isinstance(found, float)
    assert math.isnan(found)


def test_a_huge_text_is_no_number_and_takes_no_time() -> None:
    assert numeric("9" * 4_096) == math.inf
    assert numeric("9" * 1_000_000) is None


KIND_ROWS: list[tuple[Any, str, str, str]] = [
    ("a", "string", "string", "String"),
    (1, "int", "int", "Int"),
    (1.5, "float", "float", "Float"),
    (True, "boolean", "boolean", "Boolean"),
    (None, "null", "Null", "Null"),
    ([], "array", "array", "Array"),
    ({}, "object", "object", "Object"),
    (CLOSURE, "closure", "closure", "Closure"),
]


@pytest.mark.parametrize(("data", "kind", "type_name", "owner"), KIND_ROWS)
def test_a_value_has_one_of_eight_kinds(data: Any, kind: str, type_name: str, owner: str) -> None:
    made = value(data)
    assert kind_of(made) == content_type_of(made) == kind
    assert TYPE_NAMES[kind] == type_name
    assert METHOD_OWNERS[kind] == owner


def test_there_are_no_other_kinds() -> None:
    assert len(KINDS) == 8


def test_a_content_type_of_its_own_wins_over_the_kind() -> None:
    button = with_content_type(Members(), "button", Position(1, 1))
    assert content_type_of(button) == "button"
    assert kind_of(button) == "object"


def test_a_secured_value_keeps_its_other_facts() -> None:
    made = secured(with_content_type(Members(), "button", Position(1, 1)))
    assert made.is_secure
    assert content_type_of(made) == "button"
    assert secured(Value("x")).is_secure
    assert not Value("x").is_secure


def test_a_container_tells_whether_a_direct_member_is_secret() -> None:
    secret = secured(Value("s"))
    assert holds_secret(Items([Value("a"), secret]))
    assert holds_secret(Members({"a": secret}))
    assert not holds_secret(Items([Value("a")]))
    assert not holds_secret("text")


def test_the_null_of_a_soft_error_knows_why() -> None:
    null = null_because("no luck", Position(2, 3), {"status": Value(404)})
    assert null.data is None
    assert null.position == (2, 3)
    assert null.info is not None
    assert {key: member.data for key, member in null.info.items()} == {
        "status": 404,
        "error": "no luck",
    }
    assert Value(1).info is None


def test_a_value_created_elsewhere_is_the_same_value() -> None:
    made = Value("x", Position(1, 2), Meta(content_type="audio"))
    moved = made.at(Position(3, 4))
    assert (moved.data, moved.meta, moved.position) == ("x", made.meta, (3, 4))
    assert repr(moved) == "Value('x')"


# --- sharing -----------------------------------------------------------------------------------


def test_a_fresh_container_is_nobodys_but_its_owners() -> None:
    assert not Items().shared
    assert not Members().shared


def test_owning_a_container_that_nobody_else_sees_copies_nothing() -> None:
    made = value([1])
    assert owned(made) is made


def test_owning_a_shared_container_copies_it_and_shares_its_children() -> None:
    inner = value([1])
    made = share(value([inner, {"k": 1}, "text"]))
    copy = owned(made)
    assert copy is not made
    assert isinstance(copy.data, Items)
    assert not copy.data.shared
    assert copy.data[0] is inner
    assert isinstance(inner.data, Items)
    assert inner.data.shared


def test_an_owned_copy_of_an_object_keeps_order_and_facts() -> None:
    made = Value(Members({"b": Value(1), "a": value([])}), Position(1, 1), Meta("button"))
    copy = own_copy(made)
    assert isinstance(copy.data, Members)
    assert list(copy.data) == ["b", "a"]
    assert (copy.position, copy.meta) == (made.position, made.meta)


def test_scalars_are_never_copied() -> None:
    made = Value("x")
    assert own_copy(made) is made
    assert share(made) is made
