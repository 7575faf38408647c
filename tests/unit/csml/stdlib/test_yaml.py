"""YAML as texts become values and values become texts. Spec: csml-language §10.13."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.bounds import MAX_NESTING
from palaver.csml.failures import BudgetExceeded
from palaver.csml.limits import Limits
from palaver.csml.stdlib import yaml as module
from palaver.csml.stdlib.conversions import OBJECT_CONVERSIONS
from palaver.csml.stdlib.yaml import MAX_ALIASED, parse_yaml, yaml_of
from palaver.csml.texts import from_json
from palaver.csml.values import Members, Meta, Value
from tests.speed import takes_at_most
from tests.unit.csml.fakes import FakeRun, call
from tests.unit.csml.fakes import value as value_of

SCALARS: list[tuple[str, Any]] = [
    ("1", 1), ("-1", -1), ("+1", 1), ("0", 0), ("-0", 0), ("007", "007"), ("-00", "-00"),
    ("0x1f", 31), ("-0x1f", -31), ("+0x1F", 31), ("0o17", 15), ("0b11", 3), ("0X1f", "0X1f"),
    ("1_000", "1_000"), ("1__0", "1__0"), ("1.5", 1.5), ("1.", 1.0), (".5", 0.5), ("0.", 0.0),
    ("1e3", 1000.0), ("1.e3", 1000.0), ("1E3", 1000.0), ("1e+3", 1000.0), ("1.5e-3", 0.0015),
    ("00.5", 0.5), (".e1", ".e1"), ("-0.0", -0.0), (".inf", None), ("-.inf", None),
    ("+.Inf", None), (".nan", None), (".NaN", None), ("-.nan", "-.nan"), ("inf", "inf"),
    ("true", True), ("false", False), ("True", "True"), ("TRUE", "TRUE"), ("yes", "yes"),
    ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("~", None), ("null", None),
    ("Null", "Null"), ("NULL", "NULL"), ("nul", "nul"), ("text", "text"), ("two words", "two words"),
    ("2020-01-01", "2020-01-01"), ("12:30", "12:30"), ("'quoted'", "quoted"), ("'1'", "1"),
    ('"null"', "null"), ("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)),
    ("18446744073709551616", 1.8446744073709552e19),
    ("1e400", "1e400"), ("9" * 500, "9" * 500), ("0x" + "f" * 2000, "0x" + "f" * 2000),
    ("0x", "0x"), ("0o8", "0o8"), ("--1", "--1"), ("a:1", "a:1"), ("a#b", "a#b"), ("a # b", "a"),
    ("!!int '5'", 5), ("!!float 5", 5.0), ("!!bool 'true'", True), ("!!null ~", None),
    ("!!str true", "true"), ("!!str", ""), ("!x 5", "5"), ("! 5", "5"), ("!!timestamp 2020-01-01", "2020-01-01"),
    ("!!float .inf", None), ("|\n  x\n", "x\n"), (">\n  a\n  b\n", "a b\n"), ("'it''s'", "it's"),
    ('"x\\ty\\u263a\\x41"', "x\ty☺A"), ("\ttext", "\ttext"), ("\t- a", "\t- a"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), SCALARS)
def test_scalars_follow_the_core_schema(text: str, expected: Any) -> None:
    assert repr(parse_yaml(text)) == repr(expected)  # 1 and 1.0 differ, 0.0 and -0.0 too


COLLECTIONS: list[tuple[str, Any]] = [
    ("a: 1\nb: [x, 2.5, null]", {"a": 1, "b": ["x", 2.5, None]}),
    ("- a\n- 2\n- c: true\n", ["a", 2, {"c": True}]),
    ("a:\n- 1\n- 2\n", {"a": [1, 2]}),
    ("- - 1", [[1]]),
    ("- ", [None]),
    ("a: # nothing", {"a": None}),
    ("a: &x 1\nb: *x", {"a": 1, "b": 1}),
    ("a: &x {b: 1}\nc: *x", {"a": {"b": 1}, "c": {"b": 1}}),
    ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
    ("- &k a\n- *k : 1", ["a", {"a": 1}]),
    ("1: one\ntrue: yes\n~: 1\n1.5: 2\nno: 1\n'q': 0", {"1": "one", "true": "yes", "~": 1, "1.5": 2, "no": 1, "q": 0}),
    ("a: 1\na: 2", {"a": 2}),
    ("<<: 1", {"<<": 1}),
    ("? a", {"a": None}),
    ("{a: 1, b}", {"a": 1, "b": None}),
    ("{a: 1,}", {"a": 1}),
    ('{"a":1}', {"a": 1}),
    ("[a,]", ["a"]),
    ("[]", []),
    ("{}", {}),
    ("!!set {a}", {"a": None}),
    ("a: |+\n  x\n\n", {"a": "x\n\n"}),
    ("a: |-\n  x\n", {"a": "x"}),
    ("%YAML 1.1\n---\na: 1", {"a": 1}),
    ("%YAML 1.2\n---\na: 1", {"a": 1}),
    ("a: 1\n...", {"a": 1}),
    ("---", None),
    ("--- 5", 5),
    ("\ufeffa: 1", {"a": 1}),
    ("\ta: 1", {"\ta": 1}),
    ("a: \x07\x1b\ufeff\uffff", {"a": "\x07\x1b\ufeff\uffff"}),
    ("a: b\u2028c\x85d", {"a": "b\u2028c\x85d"}),
    ("\U00100000: \x01", {"\U00100000": "\x01"}),
]  # fmt: skip


@pytest.mark.parametrize("loader", [module._LOADER, yaml.BaseLoader])
@pytest.mark.parametrize(("text", "expected"), COLLECTIONS)
def test_collections(text: str, expected: Any, loader: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_LOADER", loader)
    assert parse_yaml(text) == expected


REFUSED = [
    "", " ", "\n", "\t", "# only a comment", "--- 1\n--- 2", "a: 1\n---\n", "a: b: c", "a: [1", "{",
    "a: 1\n b: 2", "*x", "%", "@a", "`a`", "[a]: 1", "? [1]\n: x", "{{a: 1}: 2}", "[a, , b]", "a: - 1",
    "a:\n  - 1\n - 2", "'a", "'a' b", "- a\nb", "&a [*a]", "&a {b: *a}", "- &a 1\n- &a [*a]", "!!int x", "!!null x", "!!bool yes",
    "!!float x", "!!int 1.5", "!nope!x 1", "\ud800", "-9223372036854775809", "a: -0x8000000000000001",
]  # fmt: skip


@pytest.mark.parametrize("loader", [module._LOADER, yaml.BaseLoader])
@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_single_document_is_refused(text: str, loader: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "_LOADER", loader)
    with pytest.raises(ValueError):  # noqa: PT011 — texts of several layers
        parse_yaml(text)


def test_nesting_is_bounded() -> None:
    parse_yaml("[" * MAX_NESTING + "]" * MAX_NESTING)
    for depth in (MAX_NESTING + 1, 10_000):
        with pytest.raises(ValueError, match="max_json_depth"):
            parse_yaml("[" * depth + "]" * depth)


def test_nesting_behind_aliases_counts() -> None:
    lines = ["a0: &a0 [" + "[" * 30 + "]" * 30 + "]"]
    lines += [f"a{i}: &a{i} [{'[' * 30} *a{i - 1} {']' * 30}]" for i in range(1, 10)]
    with pytest.raises(ValueError, match="max_json_depth"):
        parse_yaml("\n".join(lines))


def test_alias_bombs_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    with pytest.raises(ValueError, match="behind aliases"):
        parse_yaml("\n".join(lines))
    assert MAX_ALIASED >= 100_000
    assert parse_yaml("- &a x\n" + "- *a\n" * 1000) == ["x"] * 1001


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "{" * 100_000, "- " * 100_000, "? " * 50_000, "a: " * 50_000, "\t" * 200_000,
        "&a " * 50_000, "!x " * 50_000, "'" * 100_000, '"' + "\\" * 100_001, "#" * 200_000,
        "a" * 200_000, "a " * 100_000, "[" + "a," * 50_000, "[" + ":," * 50_000, "-\n" * 50_000,
        "\x01" * 200_000, "".join(f"k{i}: {i}\n" for i in range(20_000)), "1" * 200_000,
        "".join(f"&a{i} " for i in range(30_000)), "- |\n" * 30_000, "\n" * 200_000, "k: >\n" + " \n" * 100_000,
    ],
)  # fmt: skip
def test_hostile_texts_take_linear_time(text: str) -> None:
    with takes_at_most(3), contextlib.suppress(ValueError):
        parse_yaml(text)


@given(
    st.text(alphabet="-:?[]{},&*!|>'\"%@`#~ \n\tab1.x\x01\u2028", max_size=40)
    | st.text(max_size=30)
)
def test_reading_raises_nothing_but_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_yaml(text)


# --- writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"y": 2.0, "x": 1.0}, "---\nx: 1.0\ny: 2.0\n"),
        ({"a": 1, "b": -2.5, "c": None, "d": True}, "---\na: 1\nb: -2.5\nc: ~\nd: true\n"),
        ({"a": 1e21, "b": 1e-9, "c": math.nan, "d": math.inf}, "---\na: 1e21\nb: 1e-9\nc: ~\nd: ~\n"),
        ({}, "---\n{}\n"),
        ({"a": {}, "b": []}, "---\na: {}\nb: []\n"),
        ({"a": {"b": {"c": 1}}}, "---\na:\n  b:\n    c: 1\n"),
        ({"a": [1, "two", None]}, "---\na:\n  - 1\n  - two\n  - ~\n"),
        ({"a": [[1, 2], [3]]}, "---\na:\n  - - 1\n    - 2\n  - - 3\n"),
        ({"a": [{"b": 1}, {"b": {"c": [True]}}]}, "---\na:\n  - b: 1\n  - b:\n      c:\n        - true\n"),
        (
            {"l": [[], [[]], {}, [{}], [1, [2, [3, {"b": [4], "a": 5}]]], {"x": {"y": [{"z": 1, "a": 2}]}}, "s"]},
            "---\nl:\n  - []\n  - - []\n  - {}\n  - - {}\n  - - 1\n    - - 2\n      - - 3\n        - a: 5\n"
            "          b:\n            - 4\n  - x:\n      y:\n        - a: 2\n          z: 1\n  - s\n",
        ),
        ({"a b": {"1": "x"}}, '---\na b:\n  "1": x\n'),
        ({"true": "false"}, '---\n"true": "false"\n'),
        ({"null": {"-": 2}}, '---\n"null":\n  "-": 2\n'),
        ({"a: b": 1}, '---\n"a: b": 1\n'),
        ({"a": "line one\nline two\n"}, '---\na: "line one\\nline two\\n"\n'),
    ],
)  # fmt: skip
def test_block_style(value: Any, expected: str) -> None:
    assert yaml_of(value_of(value)) == expected
    assert call(OBJECT_CONVERSIONS, "to_yaml", value) == expected


PLAIN = [
    "plain text", "é 日", "👍", "0o17", "0b1", "0b", "y", "Y", "n", "nul", "2020-01-01", "1_000", "a/b",
    "$a", "a=b", "a<b", "a!", "a%", "a&b", "a*", "a?b", "a|b", "a>b", "a-b", "a@b", "1e", "e1", "+",
    "yEs", "TrUe", "nULL", "~a", "\x07", "a\x1bb",
]  # fmt: skip
QUOTED = [
    "", " ", "a ", " a", "1", "-1", "1.5", "1e3", "0x1f", "0xzz", "007", "+1", ".5", "1.", ".x", "inf",
    ".inf", "NaN", "NAN", "infinity", "+inf", "true", "True", "TRUE", "yes", "Yes", "YES", "no", "on",
    "off", "null", "Null", "NULL", "~", "a: b", "a:b", ":", "# c", "a#b", "- a", "-", "-a", "--", "?",
    "[a", "a]", "{", "a}", ",", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "'", "it's", "=", "<<",
    "<b", "---", "...", "12:30:00",
]  # fmt: skip
ESCAPED = [
    ('"q"', '"\\"q\\""'),
    ("a\\b", '"a\\\\b"'),
    ("a\nb", '"a\\nb"'),
    ("\t", '"\\t"'),
    ("\r", '"\\r"'),
    ("\x01\x08\x7f", '"\\u0001\\u0008\\u007f"'),
    ("a\u2028:", '"a\u2028:"'),
]


@pytest.mark.parametrize("text", PLAIN)
def test_strings_that_stay_plain(text: str) -> None:
    assert yaml_of(value_of({"k": text})) == f"---\nk: {text}\n"


@pytest.mark.parametrize("text", QUOTED)
def test_strings_that_are_quoted(text: str) -> None:
    assert yaml_of(value_of({"k": text})) == f'---\nk: "{text}"\n'


@pytest.mark.parametrize(("text", "expected"), ESCAPED)
def test_escapes_in_quotes(text: str, expected: str) -> None:
    assert yaml_of(value_of({"k": text})) == f"---\nk: {expected}\n"


def test_nested_components_are_wrapped() -> None:
    wait = Value(Members({"duration": Value(3)}), meta=Meta(content_type="wait"))
    text = Value("x", meta=Meta(content_type="text"))
    assert yaml_of(wait) == "---\nduration: 3\n"
    assert yaml_of(Value(Members({"w": wait, "t": text}))) == (
        "---\nt: x\nw:\n  content:\n    duration: 3\n  content_type: wait\n"
    )


def test_yaml_of_shared_objects_is_bounded() -> None:
    value = Value(Members({"a": Value("x")}))
    for _ in range(100):
        value = Value(Members({"a": value, "b": value}))
    run = FakeRun(limits=Limits(value_bytes=10_000))
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        call(OBJECT_CONVERSIONS, "to_yaml", value, run=run)


def test_deep_objects_do_not_overflow() -> None:
    value = Value(Members())
    for _ in range(2_000):
        value = Value(Members({"a": value}))
    assert yaml_of(value).endswith("a: {}\n")


SAFE = st.text(max_size=20).filter(
    # the reference writes 0o17 and 0b1 plain, although it reads them as ints
    lambda text: not text.lstrip("+-").startswith(("0o", "0b"))
)
JSON: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SAFE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SAFE, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(SAFE, JSON, max_size=4))
def test_what_is_written_is_read_back(value: Any) -> None:
    found = parse_yaml(yaml_of(from_json(value)))
    assert json.dumps(found, sort_keys=True) == json.dumps(value, sort_keys=True)
