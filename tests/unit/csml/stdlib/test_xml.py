"""XML as texts become values and objects become texts. Spec: csml-language §10.13."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.bounds import MAX_NESTING
from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.conversions import OBJECT_CONVERSIONS, TEXT_CONVERSIONS
from palaver.csml.stdlib.xml import parse_xml, xml_of
from palaver.csml.values import Items, Members, Meta, Value
from tests.speed import takes_at_most
from tests.unit.csml.fakes import FakeRun, call, plain
from tests.unit.csml.fakes import value as value_of

DOCUMENTS: list[tuple[str, Any]] = [
    ("<a>1</a>", {"a": 1}),
    ("<a><b>1</b><b>2</b></a>", {"a": {"b": [1, 2]}}),
    ('<a x="1" y="é">t</a>', {"a": {"@x": 1, "@y": "é", "$text": "t"}}),
    ("<a/>", {"a": None}),
    ("<a></a>", {"a": None}),
    ("<a> \n </a>", {"a": None}),
    ("<a><b/></a>", {"a": None}),
    ("<a><b/><c>1</c></a>", {"a": {"c": 1}}),
    ('<a x="1"/>', {"a": {"@x": 1}}),
    ('<a x=""><b/></a>', {"a": {"@x": ""}}),
    ("<a> padded text </a>", {"a": "padded text"}),
    ("<a><b>1</b><c>x</c><b>2</b></a>", {"a": {"b": [1, 2], "c": "x"}}),
    ("<a><b>1</b><b/><b>3</b></a>", {"a": {"b": [1, 3]}}),
    ("<a><b>1</b><b>2</b><b>3</b></a>", {"a": {"b": [1, 2, 3]}}),
    ("<a><b><c>1</c></b><b><c>2</c></b></a>", {"a": {"b": [{"c": 1}, {"c": 2}]}}),
    ('<a n="007" m="7" p="true" q=" x "/>', {"a": {"@n": "007", "@m": 7, "@p": True, "@q": "x"}}),
    ("<a>text<b>1</b></a>", {"a": "text"}),
    ("<a><b>1</b>text</a>", {"a": "text"}),
    ('<a k="1">text<b>1</b></a>', {"a": {"@k": 1, "$text": "text"}}),
    ("<a k='1'>  <b>1</b>  </a>", {"a": {"@k": 1, "b": 1}}),
    ('<a k="&lt;&#65;&quot;">x</a>', {"a": {"@k": '<A"', "$text": "x"}}),
    ("<a>&amp;&gt;&#x42;</a>", {"a": "&>B"}),
    ("<a><![CDATA[<b>1</b>&]]></a>", {"a": "<b>1</b>&"}),
    ("<a>1<!-- c -->2</a>", {"a": 12}),
    ("<a><!-- c --></a>", {"a": None}),
    ("<a><?pi x?>7</a>", {"a": 7}),
    ('<?xml version="1.0"?>\n<r>1</r>\n', {"r": 1}),
    ("<!DOCTYPE r><r>1</r>", {"r": 1}),
    ('<!DOCTYPE r [<!ENTITY x "y">]><r>1</r>', {"r": 1}),
    ("<!-- c --><r>1</r><!-- d -->", {"r": 1}),
    ('<ns:r xmlns:ns="urn:x"><ns:b>1</ns:b></ns:r>', {"r": {"b": 1}}),
    ('<r xmlns="urn:x">1</r>', {"r": 1}),
    ('<a xmlns:p="u" p:q="1"/>', {"a": {"@p:q": 1}}),
    ("<é>1</é>", {"é": 1}),
    ("<a-b.c_d>1</a-b.c_d>", {"a-b.c_d": 1}),
    ("<1a/>", {"1a": None}),
    ("<a>1", {"a": 1}),
    ("<a><b>1</b>", {"a": {"b": 1}}),
    ("<a>1</a><b>2</b>", {"a": 1}),
    ("x<b>c</b>y & z <", {"b": "c"}),
    ("<a>x<b/>y</a>", {"a": "xy"}),
    ("<a b='x\"y'/>", {"a": {"@b": 'x"y'}}),
    ('<a b = "1>" />', {"a": {"@b": "1>"}}),
    ("<a >1</a >", {"a": 1}),
    ("<a>]]></a>", {"a": "]]>"}),
]


@pytest.mark.parametrize(("text", "expected"), DOCUMENTS)
def test_a_document_becomes_one_object(text: str, expected: Any) -> None:
    assert parse_xml(text) == expected


SCALARS: list[tuple[str, Any]] = [
    ("5", 5), ("-5", -5.0), ("+5", 5), ("0", 0), ("00", "00"), ("007", "007"), ("+007", 7),
    ("0.5", 0.5), ("00.5", "00.5"), ("1.0", 1.0), ("1.", 1.0), (".5", 0.5), ("1e3", 1000.0),
    ("-1e-3", -0.001), ("inf", "inf"), ("NaN", "NaN"), ("true", True), ("false", False),
    ("True", "True"), ("null", "null"), ("18446744073709551615", 2**64 - 1),
    ("18446744073709551616", 1.8446744073709552e19), ("9223372036854775807", 2**63 - 1),
    ("1_000", "1_000"), ("0x10", "0x10"), ("5 6", "5 6"), ("-0", -0.0), ("-007", -7.0),
    ("9" * 500, "9" * 500), ("1e400", "1e400"), ("٣", "٣"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SCALARS)
def test_scalars_are_inferred(text: str, expected: Any) -> None:
    found: Any = parse_xml(f"<r>{text}</r>")
    assert repr(found["r"]) == repr(expected)  # 1 and 1.0 differ, 0.0 and -0.0 too
    assert parse_xml(f'<r a=" {text} "/>') == {"r": {"@a": expected}}


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "plain", "a < b", "<<: 1", "< a>1</a>", "<>", "</a>", "<a>1</b>", "<a><b>1</a>",
        "<a x=1/>", '<a x="1" x="2"/>', "<a x/>", '<a x="1"y="2"/>', "<a x='1/>", "<a", "<a b",
        "<a>&bogus;</a>", "<a>&nbsp;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&#1114112;</a>",
        "<a>&#99999999999999999999;</a>", "<a>& b</a>", "<a>&amp</a>", "<a:b:c>1</a:b:c>", "<a:/>",
        "<!-- only -->", "<!-- open", "<![CDATA[x]]>", "<a><![CDATA[x</a>", "<!x><a/>", "<?pi",
        "<!DOCTYPE a <a/>", "<ns:b></b>",
    ],
)  # fmt: skip
def test_what_is_not_xml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not XML"):
        parse_xml(text)


def test_nesting_is_bounded() -> None:
    assert parse_xml("<a>" * MAX_NESTING)
    for depth in (MAX_NESTING + 1, 10_000):
        with pytest.raises(ValueError, match="max_json_depth"):
            parse_xml("<a>" * depth)


@pytest.mark.parametrize(
    "text",
    [
        "<a" + " " * 200_000, "<a>" + "&" * 200_000, "<a>" + "&amp;" * 100_000, "<" * 200_000,
        "<a>" + "<b/>" * 50_000, "<a " + "x='" * 70_000, "<!DOCTYPE" + "<" * 200_000,
        "<a>" + "<!--" * 50_000, "<a>" + "<![CDATA[" * 30_000, "<r>" + "1" * 200_000 + "</r>",
        "<a>" + "</ " * 70_000, "<a " + "".join(f"x{i}='{i}' " for i in range(30_000)) + "/>",
    ],
)  # fmt: skip
def test_hostile_texts_take_linear_time(text: str) -> None:
    with takes_at_most(1), contextlib.suppress(ValueError):
        parse_xml(text)


@given(st.text(alphabet="<>/!?-[]&;:='\" abx#1C\n", max_size=40) | st.text(max_size=30))
def test_reading_raises_nothing_but_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_xml(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1}, "<a>1</a>"),
        ({"a": {"b": {"c": True}}}, "<a><b><c>true</c></b></a>"),
        ({"z": {"y": 1, "b": 2}, "a": 3}, "<a>3</a><z><b>2</b><y>1</y></z>"),
        ({"a": 4.0, "b": 4.5, "c": -5}, "<a>4</a><b>4.5</b><c>-5</c>"),
        ({"a": None, "b": "", "c": {}}, "<a></a><b></b><c></c>"),
        ({"a": float("nan"), "b": float("inf")}, "<a></a><b></b>"),
        ({"a": "<b>&\"'"}, "<a><b>&\"'</a>"),
        ({"a b": 1, "1": "é"}, "<1>é</1><a b>1</a b>"),
        ({}, ""),
    ],
)
def test_objects_are_written_without_escapes(value: Any, expected: str) -> None:
    assert xml_of(value_of(value)) == expected


def test_nested_components_are_wrapped() -> None:
    wait = Value(Members({"duration": Value(3)}), meta=Meta(content_type="wait"))
    assert xml_of(wait) == "<duration>3</duration>"
    assert xml_of(Value(Members({"w": wait}))) == (
        "<w><content><duration>3</duration></content><content_type>wait</content_type></w>"
    )


@pytest.mark.parametrize("value", [{"a": [1, 2]}, {"a": []}, {"a": {"b": [1]}}])
def test_arrays_have_no_xml_form(value: Any) -> None:
    with pytest.raises(SoftError, match="Object can not be converted to xml"):
        call(OBJECT_CONVERSIONS, "to_xml", value)


def test_xml_of_shared_objects_is_bounded() -> None:
    value = Value(Members({"a": Value("x")}))
    for _ in range(100):
        value = Value(Members({"a": value, "b": value}))
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        call(OBJECT_CONVERSIONS, "to_xml", value, run=FakeRun(limits=Limits(value_bytes=10_000)))


def test_deep_objects_do_not_overflow() -> None:
    value = Value(Members())
    for _ in range(10_000):
        value = Value(Members({"a": value}))
    assert len(xml_of(value)) == 70_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a>1</a>", {"a": 1}),
        ("<a>1</b>", "<a>1</b>"),
        ("<a>&bogus;</a>", "<a>&bogus;</a>"),
        ("a < b", "a < b"),
        ("<<: 1", {"<<": 1}),
        ("< a>1</a>", "< a>1</a>"),
        ("<!-- only -->", "<!-- only -->"),
        ("\ta: 1", {"\ta": 1}),
        ("-", [None]),
        ("---", None),
        ('{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
    ],
)
def test_to_json_tries_xml_then_yaml(text: str, expected: Any) -> None:
    assert plain(call(TEXT_CONVERSIONS, "to_json", text)) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "Invalid format string is not a valid yaml or xml"),
        (" \n", "Invalid format string is not a valid yaml or xml"),
        ("# only a comment", "Invalid format string is not a valid yaml or xml"),
        ("a: [1", "Invalid format string is not a valid yaml or xml"),
        ("<r>18446744073709551615</r>", "Number is larger than a 64-bit integer"),
        ("9223372036854775808", "Number is larger than a 64-bit integer"),
        ("0xFFFFFFFFFFFFFFFF", "Number is larger than a 64-bit integer"),
    ],
)
def test_to_json_errors(text: str, error: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(TEXT_CONVERSIONS, "to_json", text)
    assert caught.value.text == error


def test_arrays_keep_their_type() -> None:
    found = call(TEXT_CONVERSIONS, "to_json", "<a><b>1</b><b>2</b></a>")
    assert isinstance(found.data, Members)
    assert isinstance(found.data["a"].data, Members)
    assert isinstance(found.data["a"].data["b"].data, Items)


def test_documents_are_paid_for() -> None:
    run = FakeRun(limits=Limits(instructions=1000))
    with pytest.raises(BudgetExceeded):
        call(TEXT_CONVERSIONS, "to_json", "<a>" + "<b/>" * 500, run=run)
