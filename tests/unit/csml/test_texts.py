"""Values as text, as JSON and as they are stored. Spec: csml-language §4.7, §7.4."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from palaver.csml.bounds import MAX_NESTING, check_value
from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.json_text import parse_json
from palaver.csml.program import restore_closure
from palaver.csml.texts import (
    float_json,
    float_text,
    from_json,
    from_memory,
    json_text,
    scalar_json,
    to_hold,
    to_json,
    to_memory,
    to_text,
)
from palaver.csml.values import (
    ClosureData,
    Items,
    Members,
    Meta,
    Value,
    content_type_of,
    null_because,
    secured,
    with_content_type,
)
from tests.unit.csml.fakes import HERE, value

FLOATS: list[tuple[float, str, str]] = [
    (4.0, "4", "4.0"),
    (-4.5, "-4.5", "-4.5"),
    (0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
    (1e15, "1000000000000000", "1000000000000000.0"),
    (1e16, "10000000000000000", "1e16"),
    (1e21, "1000000000000000000000", "1e21"),
    (1.5e22, "15000000000000000000000", "1.5e22"),
    (-1.25e30, "-1250000000000000000000000000000", "-1.25e30"),
    (2.0**63, "9223372036854775" + "8" + "00" + "0", "9.223372036854776e18"),
    (0.0001, "0.0001", "0.0001"),
    (0.00001, "0.00001", "0.00001"),
    (1.5e-7, "0.00000015", "1.5e-7"),
    (-1.5e-7, "-0.00000015", "-1.5e-7"),
    (0.0, "0", "0.0"),
    (-0.0, "-0", "-0.0"),
    (math.nan, "NaN", "null"),
    (math.inf, "inf", "null"),
    (-math.inf, "-inf", "null"),
]


@pytest.mark.parametrize(("number", "text", "in_json"), FLOATS)
def test_a_float_has_a_text_without_exponent_and_a_json_text(
    number: float, text: str, in_json: str
) -> None:
    if number == 2.0**63:
        text = "9223372036854776000"
    assert float_text(number) == text
    assert float_json(number) == in_json


def test_the_smallest_and_largest_floats_come_back_from_their_texts() -> None:
    for number in (5e-324, 1.7976931348623157e308, -2.2250738585072014e-308):
        assert float(float_text(number)) == number
        assert "e" not in float_text(number)
        assert float(float_json(number)) == number


TEXTS: list[tuple[Any, str]] = [
    ("a", "a"),
    (1, "1"),
    (1.0, "1"),
    (True, "true"),
    (False, "false"),
    (None, "Null"),
    ([], "[]"),
    ([1, 1.0, None, "é\n"], '[1,1.0,null,"é\\n"]'),
    ({"b": 1, "a": {"d": [], "c": True}}, '{"a":{"c":true,"d":[]},"b":1}'),
    ({"10": 1, "9": 1, "Z": 1, "a": 1, "é": 1}, '{"10":1,"9":1,"Z":1,"a":1,"é":1}'),
]


@pytest.mark.parametrize(("data", "text"), TEXTS)
def test_text_is_by_the_table(data: Any, text: str) -> None:
    assert to_text(value(data)) == text


def closure_value(source: str = "(a) {return a}") -> Value:
    return Value(restore_closure(source), HERE)


def test_a_closure_is_null_as_text_and_its_source_in_json() -> None:
    made = closure_value()
    assert to_text(made) == "Null"
    assert json.loads(json_text(made)) == {"_closure": "(a) {return a}"}
    assert to_json(made) == {"_closure": "(a) {return a}"}
    assert to_json(value([made])) == [{"_closure": "(a) {return a}"}]


def test_components_inside_containers_are_wrapped_and_plain_values_are_not() -> None:
    button = with_content_type(Members({"title": Value("x")}), "button", HERE)
    text = Value("t", HERE, Meta(content_type="text"))
    wrapped = {"content_type": "button", "content": {"title": "x"}}
    assert to_json(value([button, text])) == [wrapped, "t"]
    assert to_json(button) == {"title": "x"}
    assert json.loads(json_text(value({"k": button}))) == {"k": wrapped}
    assert json.loads(json_text(button, wrap_top=True)) == wrapped
    assert json.loads(json_text(value([1]), wrap_top=True)) == [1]


def test_numbers_that_are_not_finite_are_null_in_json() -> None:
    assert to_json(value([math.nan, math.inf])) == [None, None]


def test_what_is_no_value_is_refused_as_a_scalar() -> None:
    with pytest.raises(TypeError):
        scalar_json(Items())


# --- from JSON ---------------------------------------------------------------------------------


def test_json_becomes_values_of_plain_content_types() -> None:
    made = from_json({"a": [1, 2.5, "x", None, True]})
    assert isinstance(made.data, Members)
    assert content_type_of(made.data["a"]) == "array"
    assert to_json(made) == {"a": [1, 2.5, "x", None, True]}


@pytest.mark.parametrize("number", [2**63, 2**64 - 1, 10**400])
def test_an_integer_just_beyond_64_bits_is_an_error(number: int) -> None:
    with pytest.raises(SoftError, match="Number is larger than a 64-bit integer"):
        from_json(number)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**300])
def test_an_integer_far_beyond_64_bits_is_a_float(number: int) -> None:
    assert from_json(number).data == float(number)


@pytest.mark.parametrize("number", [2**63 - 1, -(2**63), 0])
def test_a_64_bit_integer_stays(number: int) -> None:
    assert from_json(number).data == number


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("-0", -0.0),
        ('["-0", -0, -0.5, 5-0]'.replace(", 5-0", ""), ["-0", -0.0, -0.5]),
        ('{"-0": -0}', {"-0": -0.0}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('"\\"-0\\" -0"', '"-0" -0'),
    ],
)
def test_minus_zero_is_a_float_and_the_last_of_equal_keys_wins(text: str, data: Any) -> None:
    found = parse_json(text)
    assert found == data
    assert repr(found) == repr(data)


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "1 2", "'a'", "01", "NaN", "1e999", "\ud800", '"\ud800"', "[1,]"]
)
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)


def test_json_may_be_nested_so_deep_and_no_deeper() -> None:
    assert parse_json("[" * MAX_NESTING + "]" * MAX_NESTING) is not None
    flat = "[" + ",".join(["[]"] * 1000) + "]"
    assert parse_json(flat) == [[]] * 1000
    for levels in (MAX_NESTING + 1, 900, 100_000):
        with pytest.raises(ValueError):  # noqa: PT011
            parse_json("[" * levels + "]" * levels)


# --- limits ------------------------------------------------------------------------------------


def bomb(levels: int) -> Value:
    """An array that holds 2^levels texts and occupies `levels` small ones."""
    made = value(["x"])
    for _ in range(levels):
        made = Value(Items([made, made]), HERE)
    return made


def test_a_text_is_bounded_while_it_is_written() -> None:
    assert json_text(value(["abc"]), 7) == '["abc"]'
    with pytest.raises(BudgetExceeded, match=r"max_value_bytes \(6\)"):
        json_text(value(["abc"]), 6)
    with pytest.raises(BudgetExceeded):
        json_text(bomb(60), 1000)


def test_the_size_of_what_looks_endless_is_found_in_no_time() -> None:
    check_value(bomb(5), 1000)
    with pytest.raises(BudgetExceeded) as caught:
        check_value(bomb(100), 1_000_000)
    assert caught.value.limit == "max_value_bytes"
    with pytest.raises(BudgetExceeded):
        check_value(value({"k" * 100: 1}), 50)
    with pytest.raises(BudgetExceeded):
        to_json(bomb(100))


# --- the stored form ---------------------------------------------------------------------------


STORED: list[tuple[Any, Any]] = [
    ("a", "a"),
    (1.5, 1.5),
    (None, None),
    ([1, "x"], [1, "x"]),
    ({"a": 1}, {"_content_type": "object", "_content": {"a": 1}}),
    ({"a": {"b": 1}}, {"_content_type": "object", "_content": {"a": {"b": 1}}}),
    ([{"a": 1}], [{"_content_type": "object", "_content": {"a": 1}}]),
    ({"a": [{"b": 1}]}, {"_content_type": "object", "_content": {"a": [{"b": 1}]}}),
    (math.inf, None),
]


@pytest.mark.parametrize(("data", "stored"), STORED)
def test_the_stored_form_is_by_the_table(data: Any, stored: Any) -> None:
    assert to_memory(value(data)) == stored
    assert to_hold(value(data)) == stored


def test_a_component_inside_an_object_is_tagged() -> None:
    button = with_content_type(Members({"title": Value("x")}), "button", HERE)
    assert to_memory(value({"b": button})) == {
        "_content_type": "object",
        "_content": {"b": {"_content_type": "button", "_content": {"title": "x"}}},
    }


def test_a_memory_keeps_info_and_a_hold_does_not() -> None:
    null = null_because("why", HERE)
    assert to_memory(null) == {"_additional_info": {"error": "why"}, "value": None}
    assert to_hold(null) is None


def test_a_secret_is_never_stored() -> None:
    secret = secured(Value("s"))
    assert to_memory(secret) is None
    assert to_memory(value([secret, {"k": secret}])) == [
        None,
        {"_content_type": "object", "_content": {"k": None}},
    ]


def restored(json_form: Any) -> Value:
    return from_memory(json.loads(json.dumps(json_form)), restore_closure)


def test_content_types_and_info_come_back() -> None:
    button = with_content_type(Members({"title": Value("x")}), "button", HERE)
    back = restored(to_memory(button))
    assert content_type_of(back) == "button"
    null = restored(to_memory(null_because("why", HERE)))
    assert null.info is not None
    assert null.info["error"].data == "why"


def test_a_closure_comes_back_with_what_it_captured() -> None:
    made = closure_value("() {return n}")
    assert isinstance(made.data, ClosureData)
    made.data.captured = {"n": value({"a": 1})}
    back = restored(to_memory(made)).data
    assert isinstance(back, ClosureData)
    assert back.node.source == "() {return n}"
    assert to_json(back.captured["n"]) == {"a": 1}


@pytest.mark.parametrize(
    ("stored", "json_form"),
    [
        ({"_closure": {"source": "no closure at all"}}, None),
        ({"_closure": {"source": 5}}, {"_closure": {"source": 5}}),
        ({"_closure": 5}, {"_closure": 5}),
        ({"_content_type": 5, "_content": {"a": 1}}, {"a": 1}),
        ({"_content_type": "object", "_content": [1]}, [1]),
        ({"_additional_info": 5, "value": 1}, 1),
        ({"_additional_info": {"a": 1}}, {"_additional_info": {"a": 1}}),
        ({"a": {"b": []}}, {"a": {"b": []}}),
    ],
)
def test_json_written_by_others_is_read_without_trust(stored: Any, json_form: Any) -> None:
    assert to_json(restored(stored)) == json_form


def test_a_closure_whose_captures_are_no_object_has_none() -> None:
    back = restored({"_closure": {"source": "() {return 1}", "captured": [1]}}).data
    assert isinstance(back, ClosureData)
    assert back.captured == {}


def test_a_stored_number_too_large_for_an_int_is_a_float() -> None:
    assert restored(2**63).data == float(2**63)


def test_writing_a_large_text_is_paid_while_it_is_written() -> None:
    paid: list[int] = []
    text = json_text(value(["x" * 100] * 200), spend=paid.append)
    assert len(paid) >= 4
    assert sum(paid) * 4 <= len(text) < sum(paid) * 4 + 5_000
