"""What is wrong, where, and how the reference says it. Spec: csml-language §12.4."""

from __future__ import annotations

import sys

import pytest

from palaver.csml.diagnostics import Diagnostic, SourceError
from palaver.csml.mistakes import (
    AS_NAME,
    BRACE_END,
    BRACES,
    BRACKET_END,
    EMPTY_KEY,
    FOREACH_HEAD,
    IMPORT,
    INSERT,
    INSERT_FROM,
    KEY_COLON,
    LIST_END,
    MAX_CHAIN,
    MAX_DEPTH,
    MAX_OPERATORS,
    NO_LIST,
    NO_RETURN_VALUE,
    NO_STEP_NAME,
    NO_VALUE,
    REMEMBER,
    STRAY,
    STRING_END,
    USE,
    WHILE_HEAD,
    WRONG_ARGUMENT,
)
from palaver.csml.parser import parse_flow, parse_flow_all
from palaver.csml.source import Source
from palaver.csml.words import NUMERIC, RESERVED, TOO_LONG

INVALID_CONSTANT = (
    "Constant invalid expression type: constants can not be assign this type of expression"
)


def error(text: str) -> Diagnostic:
    with pytest.raises(SourceError) as caught:
        parse_flow(Source(text, "main"))
    (only,) = caught.value.diagnostics
    return only


def errors(text: str) -> list[tuple[int, str]]:
    flow, found = parse_flow_all(Source(text, "main"))
    assert (flow is None) == bool(found)
    return [(one.start.line, one.reason) for one in found]


def in_step(text: str) -> str:
    """A program whose line 2 is the text, two columns in."""
    return f"start:\n  {text}\n"


@pytest.mark.parametrize(
    ("text", "start", "end", "reason"),
    [
        # nothing that begins a statement
        ("foo", (2, 3), None, STRAY),
        ('say "x" y', (2, 11), None, STRAY),
        ("say 1;", (2, 8), None, STRAY),
        ("say é§", (2, 9), None, STRAY),
        ("say 1 /* a /* b */ */", (2, 22), None, STRAY),
        ("else say 2", (2, 3), None, STRAY),
        ("previous bot", (2, 3), None, STRAY),
        ("use", (2, 3), None, STRAY),
        ("if () say 1", (2, 3), None, STRAY),
        ("if (x) else say 1", (2, 3), None, STRAY),
        ("if (1) { say 1 } else", (2, 20), None, STRAY),
        ("while (x) say 1", (2, 3), None, STRAY),
        ("foreach (x) in y say 1", (2, 3), None, STRAY),
        ("foreach (i) in (list) { say i }", (2, 3), None, STRAY),
        ("goto a @b", (2, 10), None, STRAY),
        # operators and paths that lead nowhere
        ("say 1 +", (2, 9), None, STRAY),
        ("say - 5", (2, 9), None, STRAY),
        ("say a == b == c", (2, 14), None, STRAY),
        ("say 1 + break", (2, 9), None, STRAY),
        ("do x =", (2, 8), None, STRAY),
        ("do x = y = 2", (2, 12), None, STRAY),
        ("do event = 1", (2, 12), None, STRAY),
        ("do x = a..b", (2, 11), None, STRAY),
        ("do x = a[1", (2, 11), None, STRAY),
        ("say x [0]", (2, 9), None, STRAY),
        ("say o.len ()", (2, 13), None, STRAY),
        ("say o.len(1 2)", (2, 12), None, STRAY),
        ('do x = {"a": 1', (2, 8), None, STRAY),
        ('do x = {"a": 1,, "b": 2}', (2, 8), None, STRAY),
        # values that are missing or cannot be read
        ("say", (2, 6), (3, 1), NO_VALUE),
        ("log info", (2, 11), (3, 1), NO_VALUE),
        ("say {a: 1}", (2, 6), (2, 7), NO_VALUE),
        ("say ! !5", (2, 6), (2, 7), NO_VALUE),
        ("say 5 != = 4", (2, 6), (2, 12), NO_VALUE),
        ("say ()", (2, 6), (2, 7), NO_VALUE),
        ("do = 1", (2, 5), (2, 6), NO_VALUE),
        ("forget 12", (2, 9), (2, 10), NO_VALUE),
        ("return", (2, 9), (3, 1), NO_RETURN_VALUE),
        ("remember x.y = 1", (2, 16), None, REMEMBER),
        ("remember 1 + 2 as x", (3, 1), None, REMEMBER),
        ("use x = 1", (2, 9), None, USE),
        ("goto", (3, 1), None, NO_STEP_NAME),
        ("goto step", (2, 8), None, NO_STEP_NAME),
        ("goto $", (2, 8), None, NO_STEP_NAME),
        # names
        ("do say = 1", (2, 6), (2, 6), RESERVED),
        ("do Step = 1", (2, 6), (2, 6), RESERVED),
        ("remember NaN = 1", (2, 12), (2, 12), NUMERIC),
        ("say const", (2, 7), (2, 7), RESERVED),
        ("say 1 as true", (2, 12), None, RESERVED),
        ("say 1 as 12", (2, 12), None, NUMERIC),
        (f"say f({'k' * 256} = 1)", (2, 8), (2, 9), TOO_LONG),
        ("do x = 1 as", (3, 1), None, AS_NAME),
        ("foreach (goto) in [1] { }", (2, 12), None, RESERVED),
        ("foreach (a, goto) in [1] { }", (2, 15), None, RESERVED),
        (f"do {'k' * 256} = 1", (2, 6), None, TOO_LONG),
        # heads
        ("if x say 1", (2, 5), None, NO_LIST),
        ("if (1) { } else if { }", (2, 21), None, NO_LIST),
        ("if (x = 1) say 2", (2, 9), None, LIST_END),
        ("while x { }", (2, 9), None, WHILE_HEAD),
        ("while (x { }", (2, 12), None, WHILE_HEAD),
        ("foreach x in y { }", (2, 11), None, FOREACH_HEAD),
        ("foreach (x) y { }", (2, 16), None, FOREACH_HEAD),
        ("foreach (x, y, z) in [1] { }", (2, 16), None, FOREACH_HEAD),
        # lists and blocks that do not end
        ('say "abc', (2, 7), (3, 1), STRING_END),
        ('if (1) { say "a"', (2, 9), (3, 1), BRACE_END),
        ("if (1) say 1 else { foo }", (2, 20), (2, 23), BRACE_END),
        ("do f = (a) { return a", (3, 1), None, BRACE_END),
        ("do x = [1 2]", (2, 10), (2, 13), BRACKET_END),
        ("do x = [,1]", (2, 10), (2, 12), BRACKET_END),
        ("do x = [1,,2]", (2, 10), (2, 13), BRACKET_END),
        ("forget [a, b.c]", (2, 15), None, BRACKET_END),
        ("say f(1 2)", (2, 8), (2, 11), LIST_END),
        ("say f(a = )", (2, 8), (2, 11), LIST_END),
        ("say (1 + 2", (3, 1), None, LIST_END),
        ("do f = (a b) { return a }", (2, 13), None, LIST_END),
        ('do x = {"": 1}', (2, 11), None, EMPTY_KEY),
        ('do x = {"a" 1}', (2, 15), None, KEY_COLON),
        # the outermost range is reported
        ("say f(g(1 2))", (2, 8), (2, 10), LIST_END),
        ('do x = [1, [2, f(3, {"k": "a {{"})]]', (2, 10), (2, 14), BRACES),
        ("if (1) { while (0) { say } }", (2, 9), (2, 21), NO_VALUE),
        ("do f = (a) { do b = 1 oops }", (2, 25), None, BRACE_END),
        # strings
        ('say "a}}"', (2, 7), (2, 8), BRACES),
        ('say "a {{x"', (2, 7), (2, 8), BRACES),
        ('say "{{ "x" }}"', (2, 7), (2, 8), BRACES),
        ('say "{{a b}}"', (2, 7), (2, 12), WRONG_ARGUMENT),
        ('say "{{ 1 + }}"', (2, 7), (2, 13), WRONG_ARGUMENT),
        ('say "{{ b // rest }}"', (2, 7), (2, 23), WRONG_ARGUMENT),
        (r'say "x {{ \"y }}"', (2, 7), (2, 13), STRING_END),
    ],
)
def test_mistakes_in_statements(
    text: str, start: tuple[int, int], end: tuple[int, int] | None, reason: str
) -> None:
    found = error(in_step(text))
    assert (found.start, found.end, found.reason) == (start, end, reason)


@pytest.mark.parametrize(
    ("text", "start", "end", "reason"),
    [
        ('say "no step"', (1, 1), None, STRAY),
        ("start :\n", (1, 1), None, STRAY),
        ("start\n", (1, 1), None, STRAY),
        ("start: say 1 ]", (1, 14), None, STRAY),
        ("start:\n  say\nother:\n  say 1", (3, 6), None, STRAY),
        ("start:\n  say 1\n 12:", (3, 2), None, STRAY),
        ("start:\n  say 1\nif:", (3, 3), None, NO_LIST),
        (f"{'é' * 128}:", (1, 1), None, STRAY),
        ("const A\nstart:", (1, 1), None, STRAY),
        ("const if = 1", (1, 1), None, STRAY),
        ("const A =\nstart:", (2, 6), None, STRAY),
        ("fn f (a): return a", (1, 1), None, STRAY),
        ("fn say(a): return a", (1, 1), None, STRAY),
        ("fn f(a) return a", (1, 1), None, STRAY),
        ("fn f(a b): return a", (1, 5), (1, 7), LIST_END),
        ('fn f(1, "x"): return a', (1, 5), (1, 8), LIST_END),
        ("fn f(a) { return a\n", (2, 1), None, BRACE_END),
        ("import\nstart:", (2, 6), None, STRAY),
        ("import a as from x", (1, 18), None, STRAY),
        ("import a from\nstart:", (2, 6), None, STRAY),
        ("import {a b} from x", (1, 8), (1, 8), IMPORT),
        ('import "a" from x', (1, 8), (1, 8), IMPORT),
        ("import say from x", (1, 8), (1, 8), RESERVED),
        ("insert\nstart:", (1, 1), None, STRAY),
        ("insert a from", (1, 1), None, STRAY),
        ("fn f:", (1, 1), None, STRAY),
        ("insert a\nstart:", (2, 6), None, INSERT_FROM),
        ("insert {a, b from x", (1, 8), (1, 8), INSERT),
    ],
)
def test_mistakes_in_declarations(
    text: str, start: tuple[int, int], end: tuple[int, int] | None, reason: str
) -> None:
    found = error(text)
    assert (found.start, found.end, found.reason) == (start, end, reason)


def test_the_message_shows_the_line_with_a_caret_under_the_byte_column() -> None:
    found = error('start:\n\tsay "héé" §x  \t\n')
    assert found.message == (f'at line 2,\n\tsay "héé" §x\n             ^\n{STRAY}\n\n')
    assert (found.flow, found.code, found.severity) == ("main", "syntax", "error")


# --- constants ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "start", "end", "reason"),
    [
        ("x", (1, 11), None, INVALID_CONSTANT),
        ('""', (0, 0), (0, 0), INVALID_CONSTANT),
        ('"a {{b}}"', (1, 12), (1, 12), INVALID_CONSTANT),
        ('"{{1}}"', (1, 12), (1, 12), INVALID_CONSTANT),
        ("[1, f(2)]", (1, 15), None, INVALID_CONSTANT),
        ("[1][0]", (1, 11), (1, 14), INVALID_CONSTANT),
        ('"x".length()', (1, 12), (1, 12), INVALID_CONSTANT),
        ("1 as b", (1, 16), None, INVALID_CONSTANT),
        ('{"a": {"b": x}}', (1, 23), None, INVALID_CONSTANT),
        ("1 / 0", (1, 11), None, "[!] Int: Division by zero"),
        ('"a" - 1', (1, 12), None, "illegal operation: PrimitiveString - PrimitiveInt"),
        ("[1, 2 % 0]", (1, 15), None, "overflowing operation: PrimitiveInt % PrimitiveInt"),
        ("(x) {} + 1", (1, 11), None, "illegal operation: PrimitiveClosure + PrimitiveInt"),
        ("1 match 2", (1, 11), None, "invalid operation in constant declaration"),
    ],
)
def test_what_no_constant_can_be(
    value: str, start: tuple[int, int], end: tuple[int, int] | None, reason: str
) -> None:
    found = error(f"const A = {value}\nstart:\n")
    assert (found.start, found.end, found.reason) == (start, end, reason)
    assert (found.message, found.flow) == (reason, "main")


@pytest.mark.parametrize(
    "value",
    [
        "1 + 2 * -(3)",
        '"a" + "b"',
        '!("a" - 1)',
        "!b",
        "!!b",
        '[{"a": (x) { return y }}]',
        "1 < 2 && true || NULL",
        "-9223372036854775808",
        " + ".join(["1"] * MAX_OPERATORS),
    ],
)
def test_what_a_constant_can_be(value: str) -> None:
    parse_flow(Source(f"const A = {value}", "main"))


def test_syntax_errors_come_before_those_of_constants() -> None:
    assert error("const A = b\nstart:\n  oops").reason == STRAY


# --- several errors ----------------------------------------------------------------------------


def test_parsing_goes_on_at_the_next_step_header() -> None:
    assert errors("a:\n  say 1;\n  oops\nb:\n  say [1\nc:\n  say 1\nd :\n  x\ne:\n  goto\n") == [
        (2, STRAY),
        (5, BRACKET_END),
        (8, STRAY),
        (12, NO_STEP_NAME),
    ]


def test_a_step_whose_name_was_taken_for_a_value_is_not_lost() -> None:
    assert errors("a:\n  say\nb:\n  say 1;\nc: oops") == [(3, STRAY), (4, STRAY), (5, STRAY)]


def test_behind_a_string_without_end_nothing_more_is_reported() -> None:
    assert errors('a:\n  say "x\nb:\n  say 1;\n') == [(2, STRING_END)]


def test_all_wrong_constants_are_reported() -> None:
    assert errors("const A = b\nconst B = 1\nconst C = 1 / 0") == [
        (1, INVALID_CONSTANT),
        (3, "[!] Int: Division by zero"),
    ]


def test_a_flow_without_errors_comes_back() -> None:
    flow, found = parse_flow_all(Source("start: say 1", "main"))
    assert flow is not None
    assert found == ()


# --- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("(", ")"),
        ("[", "]"),
        ('{"a":', "}"),
        ("f(", ")"),
        ("a.f(", ")"),
        ("a[", "]"),
        ("-(", ")"),
        ("f(a = ", ")"),
    ],
)
def test_expressions_nest_as_deep_as_the_limit(opening: str, closing: str) -> None:
    depth = MAX_DEPTH - 1
    parse_flow(Source(f"start: say {opening * depth}1{closing * depth}", "main"))
    for too_deep in (MAX_DEPTH, 10_000):
        found = error(f"start: say {opening * too_deep}1{closing * too_deep}")
        assert found.code == "too-deep"
        assert str(MAX_DEPTH) in found.reason


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("if (1) {", "}"),
        ("if (1) ", ""),
        ("if (1) say 1 else { ", "}"),
        ("while (1) {", "}"),
        ("foreach (a) in b {", "}"),
    ],
)
def test_blocks_nest_as_deep_as_the_limit(opening: str, closing: str) -> None:
    depth = MAX_DEPTH - 1
    parse_flow(Source(f"start: {opening * depth}hold{closing * depth}", "main"))
    assert error(f"start: {opening * 10_000}hold{closing * 10_000}").code == "too-deep"


def test_closures_nest_half_as_deep() -> None:
    depth = MAX_DEPTH // 2 - 1
    parse_flow(Source(f"start: do {'(a) { do ' * depth}x{'}' * depth}", "main"))
    assert error(f"start: do {'(a) { do ' * 10_000}x{'}' * 10_000}").code == "too-deep"


@pytest.mark.parametrize("opening", ["!(", "f(a == ", "1 + ("])
def test_nesting_below_operators_counts_twice(opening: str) -> None:
    depth = MAX_OPERATORS // 2 - 1
    parse_flow(Source(f"start: say {opening * depth}1{')' * depth}", "main"))
    assert error(f"start: say {opening * (depth + 3)}1{')' * (depth + 3)}").code == "too-deep"
    assert error(f"start: say {opening * 10_000}").code == "too-deep"


@pytest.mark.parametrize("operator", [" + ", " * ", " && ", " || ", " - "])
def test_an_expression_has_as_many_operators_as_the_limit(operator: str) -> None:
    parse_flow(Source("start: say " + operator.join(["a"] * MAX_OPERATORS), "main"))
    assert str(MAX_OPERATORS) in error("start: say " + operator.join(["a"] * 300)).reason
    assert error("start: say " + operator.join(["a"] * 100_000)).code == "too-deep"


def test_paths_and_branches_are_as_many_as_the_limit() -> None:
    parse_flow(Source("start: say a" + ".b" * MAX_CHAIN, "main"))
    branches = "if (1) hold" + " else if (1) hold" * (MAX_CHAIN - 1)
    parse_flow(Source(f"start: {branches}", "main"))


@pytest.mark.parametrize(
    "text",
    [
        "say " + "!" * 10_000 + "a",
        "say a" + ".b" * 10_000,
        "say a" + "[0]" * 10_000,
        "if (1) hold" + " else if (1) hold" * 10_000,
        "say " + "(a + b + c + " * 180 + "a" + ")" * 180,
        'say "{{ ' + "(" * 10_000 + ' }}"',
    ],
)
def test_other_things_without_end_are_errors_too(text: str) -> None:
    assert error(f"start: {text}").code == "too-deep"


def test_a_stack_that_is_nearly_used_up_is_no_recursion_error() -> None:
    program = Source("start: say " + "f(" * 150 + "1" + ")" * 150, "main")

    def called_from_below(levels: int) -> None:
        if levels:
            called_from_below(levels - 1)
        else:
            parse_flow(program)

    parse_flow(program)
    with pytest.raises(SourceError) as caught:
        called_from_below(sys.getrecursionlimit() - 300)
    assert caught.value.diagnostics[0].code == "too-deep"


# --- hints -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("start: say 1;", "no separator"),
        ("start: syy 1", "'say'"),
        ("start: say 'x'", "double quotes"),
        ('start: say "a}}"', "\\}}"),
        ("start :", ""),
    ],
)
def test_hints_say_what_to_do(text: str, hint: str) -> None:
    found = error(text)
    assert hint in found.hint
    assert found.hint not in found.message or not found.hint
