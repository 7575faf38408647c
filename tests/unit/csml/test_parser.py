"""Every construct of the language, seen through the printed tree or the tree itself."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from palaver.csml.diagnostics import SourceError
from palaver.csml.nodes import (
    Argument,
    Array,
    As,
    Assign,
    Binary,
    Boolean,
    Branch,
    Call,
    Closure,
    Constant,
    Declaration,
    Do,
    Expression,
    Flow,
    Forget,
    Function,
    Goto,
    If,
    Import,
    Index,
    Insert,
    Log,
    Member,
    MethodCall,
    Name,
    Null,
    Number,
    Object,
    Path,
    Remember,
    Say,
    Statement,
    Step,
    Text,
    Use,
)
from palaver.csml.parser import Parser, parse_closure, parse_flow, parse_text
from palaver.csml.printer import print_expression, strip_positions
from palaver.csml.source import NOWHERE, Position, Source

AT = NOWHERE


def flow(text: str) -> Flow:
    return parse_flow(Source(text, "main"))


def declarations(text: str) -> tuple[Declaration, ...]:
    return strip_positions(flow(text)).declarations


def statements(text: str) -> tuple[Statement, ...]:
    (step,) = flow(f"start:\n{text}").declarations
    assert isinstance(step, Step)
    return step.body


def statement(text: str) -> Statement:
    (only,) = statements(text)
    return strip_positions(only)


def expression(text: str) -> Expression:
    (only,) = statements(f"say {text}")
    assert isinstance(only, Say)
    return only.value


def name(word: str) -> Name:
    return Name(word, AT)


def number(value: int | float) -> Number:
    return Number(value, AT)


def text(*parts: str | Expression | None, inner: bool = False) -> Text:
    return Text(parts, AT, inner=inner)


# --- operators ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b + c", "(a - b) + c"),
        ("a / b * c % d", "((a / b) * c) % d"),
        ("a || b && c", "a || (b && c)"),
        ("a && b && c || d", "((a && b) && c) || d"),
        ("a == b && c != d", "(a == b) && (c != d)"),
        ("a + b < c * d", "(a + b) < (c * d)"),
        ("!a + b", "!(a + b)"),
        ("!a == b", "(!a) == b"),
        ("a == !b && c", "(a == (!b)) && c"),
        ("!!a", "!(!(a))"),
        ("! a", "!a"),
        ("event match x", "(event) match (x)"),
        ("event !match x && y", "(event !match x) && y"),
        ("a -5", "a - (5)"),
        ("a - -5", "a - (-5)"),
        ("5 --2", "5 - (-2)"),
        ("total - 1", "(total) - (1)"),
        ("1-2", "1 - 2"),
        ("2 * (a + b)", "2 * (a + b)"),
        ("a\n  + b\n  // c\n  /* d */ * c", "a + (b * c)"),
        ("a * b as c", "a * (b as c)"),
        ("(a * b) as c", "(a * b) as c"),
        ("-(x)", "0 - x"),
        ("+ (x)", "0 + (x)"),
        ("2 * - (x + 1)", "2 * (0 - (x + 1))"),
        ("-(1.5).type_of()", "(0 - 1.5).type_of()"),
        ("1 as a + 2 as b", "(1 as a) + (2 as b)"),
    ],
)
def test_how_operators_hold_together(written: str, meant: str) -> None:
    assert strip_positions(expression(written)) == strip_positions(expression(meant))


def test_a_sign_without_parenthesis_belongs_to_a_name() -> None:
    assert strip_positions(expression("-x")) == name("-x")
    assert strip_positions(expression("total-1")) == name("total-1")
    assert strip_positions(expression("-.5")) == Path(name("-"), (Member("5", AT),), AT)
    assert strip_positions(expression("-()")) == Call("-", (), AT)


# --- operands ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "node"),
    [
        ("1_000", number(1000)),
        ("-5", number(-5)),
        (".5", number(0.5)),
        ("true", Boolean(True, AT)),
        ("NULL", Null(AT)),
        ("trueish", name("trueish")),
        ("True", name("True")),
        ("nullable", name("nullable")),
        ("event", name("event")),
        ("Component", name("Component")),
        ("f ( )", Call("f", (), AT)),
        ("f(,)", Call("f", (), AT)),
        ("if(1)", Call("if", (Argument(None, number(1)),), AT)),
        ("[,]", Array((), AT)),
        ("[1, 2,]", Array((number(1), number(2)), AT)),
        ("{,}", Object((), AT)),
        (
            '{"a\\n": 1, "a\\n": 2 , }',
            Object((("a\\n", number(1)), ("a\\n", number(2))), AT),
        ),
        ("5.pow(2)", Path(number(5), (MethodCall("pow", (Argument(None, number(2)),), AT),), AT)),
        ("2.2.2", Path(number(2.2), (Member("2", AT),), AT)),
        (
            "a[0].b\n  /* c */ .if",
            Path(name("a"), (Index(number(0), AT), Member("b", AT), Member("if", AT)), AT),
        ),
        ("[1][0]", Path(Array((number(1),), AT), (Index(number(0), AT),), AT)),
        ("(a)", name("a")),
    ],
)
def test_operands(written: str, node: Expression) -> None:
    assert strip_positions(expression(written)) == node


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("f(a = 1)", (Argument("a", number(1)),)),
        ("f(1, b = 2,)", (Argument(None, number(1)), Argument("b", number(2)))),
        ("f(if = 1)", (Argument("if", number(1)),)),
        ("f(in = x)", (Argument("in", name("x")),)),
        ("f(a == 1)", (Argument(None, Binary("==", name("a"), number(1), AT)),)),
        ("f(a == b = 1)", None),
        ("f(1 = 2)", None),
        ("f(nan = 2)", None),
    ],
)
def test_arguments(written: str, arguments: tuple[Argument, ...] | None) -> None:
    if arguments is None:
        with pytest.raises(SourceError):
            expression(written)
    else:
        assert strip_positions(expression(written)) == Call("f", arguments, AT)


def test_a_list_of_words_before_a_brace_makes_a_closure() -> None:
    closure = expression("(a, if ,1,) { return a }")
    assert isinstance(closure, Closure)
    assert closure.parameters == ("a", "if", "1")
    assert closure.source == "(a, if ,1,) { return a }"
    assert isinstance(expression("() {}"), Closure)
    assert isinstance(expression("(a) + 1"), Binary)


def test_closures_hold_any_statement() -> None:
    (only,) = statements("do f = (a) { if (a) { say 1 } do g = (b) { hold } return g }")
    assert isinstance(only, Assign)
    assert isinstance(only.value, Closure)
    assert len(only.value.body) == 3


# --- strings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "node"),
    [
        ('""', text()),
        (r'"a\n\"b\""', text('a\n"b"')),
        ('"over\nlines // no comment"', text("over\nlines // no comment")),
        ('"a {{x}} b"', text("a ", name("x"), " b")),
        ('"{{}}{{ }}{{ /* c */ }}"', text(None, None, None)),
        ('"{{x}}{{y}}"', text(name("x"), name("y"))),
        (r'"\{{x}}"', text("{{x}}")),
        (r'"\{{{1}}"', text("{", number(1))),
        (r'"\\{{1}}"', text("\\", number(1))),
        (r'"\\\{{1}}"', text("\\{{1}}")),
        (r'"a\}} {{1}} b\}}"', text("a}} ", number(1), " b}}")),
        (r'"\}}"', text("}}")),
        (r'"{{1}}\}}{{2}}\{{"', text(number(1), "}}", number(2), "{{")),
        (r'"é \{{x\}}"', text("é {{x}}")),
        (r'"a\{{ {{ b"', text("a{{ {{ b")),
        (r'"{{ \"x\" }}"', text(text("x", inner=True))),
        (r'"{{ \"\" }}"', text(text(inner=True))),
        (r'"{{ \"a\nb{{1}}\" }}"', text(text("a\\nb{{1}}", inner=True))),
        (
            r'"{{ {\"a\": {\"b\": 1}}.a.b }}"',
            text(
                Path(
                    Object((("a", Object((("b", number(1)),), AT)),), AT),
                    (Member("a", AT), Member("b", AT)),
                    AT,
                )
            ),
        ),
        ('"{{ a as b }}"', text(As(name("a"), "b", AT, AT))),
        ('"{{ a // c\n }}"', text(name("a"))),
    ],
)
def test_strings(written: str, node: Text) -> None:
    assert strip_positions(expression(written)) == node


def test_a_closure_in_an_interpolation_keeps_a_source_that_stands_alone() -> None:
    whole = expression(r'"{{ [1].map((x) { return x + \"a\\b{{\" }) }}"')
    assert isinstance(whole, Text)
    path = whole.parts[0]
    assert isinstance(path, Path)
    call = path.elements[0]
    assert isinstance(call, MethodCall)
    closure = call.arguments[0].value
    assert isinstance(closure, Closure)
    assert closure.source == '(x) {\n  return x + "a\\\\\\\\b\\{\\{"\n}'
    restored = parse_closure(closure.source, "main")
    assert print_expression(restored) == closure.source


# --- statements --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "node"),
    [
        ("log 1", Log("info", number(1), AT)),
        ("log WARN 1", Log("warn", number(1), AT)),
        ("log infos", Log("info", name("infos"), AT)),
        ("log info info", Log("info", name("info"), AT)),
        ("use 1 as x", Use(As(number(1), "x", AT, AT), AT)),
        ("do x", Do(name("x"), AT)),
        ("do x == 1", Do(Binary("==", name("x"), number(1), AT), AT)),
        ("do x = 1", Assign("x", (), "=", number(1), AT, AT)),
        ("do x=-1", Assign("x", (), "=", number(-1), AT, AT)),
        ("do true_love %= 1", Assign("true_love", (), "%=", number(1), AT, AT)),
        ("do 1st = 1", Assign("1st", (), "=", number(1), AT, AT)),
        (
            "do x.a[0] += 1",
            Assign("x", (Member("a", AT), Index(number(0), AT)), "+=", number(1), AT, AT),
        ),
        ("do 1 as x", Assign("x", (), "=", number(1), AT, AT, by_as=True)),
        (
            "do (1 + 2) as x",
            Assign("x", (), "=", Binary("+", number(1), number(2), AT), AT, AT, by_as=True),
        ),
        ("do 1 + 2 as x", Do(Binary("+", number(1), As(number(2), "x", AT, AT), AT), AT)),
        ("remember x = 1", Remember("x", number(1), AT, AT)),
        ("remember 1 as x", Remember("x", number(1), AT, AT)),
        ("forget *", Forget(None, AT)),
        ("forget a", Forget(("a",), AT)),
        ("forget [a, const_x,]", Forget(("a", "const_x"), AT)),
        ("forget []", Forget((), AT)),
        ("goto a", Goto("at", "a", None, None, AT, AT)),
        ("goto in", Goto("at", "in", None, None, AT, AT)),
        ("goto step a", Goto("step", "a", None, None, AT, AT)),
        (
            "goto flow $f.g",
            Goto("flow", None, Path(name("f"), (Member("g", AT),), AT), None, AT, AT),
        ),
        ("goto a@b", Goto("at", "a", "b", None, AT, AT)),
        ("goto a@", Goto("at", "a", None, None, AT, AT)),
        ("goto @", Goto("at", None, None, None, AT, AT)),
        ("goto @ in c", Goto("at", None, None, "c", AT, AT)),
        (
            "goto $a.b@$c in d",
            Goto("at", Path(name("a"), (Member("b", AT),), AT), name("c"), "d", AT, AT),
        ),
        ("goto stepping", Goto("at", "stepping", None, None, AT, AT)),
        ("if (a) {}", If((Branch(name("a"), ()),), None, AT)),
        ("if(a){}else{}", If((Branch(name("a"), ()),), (), AT)),
    ],
)
def test_statements(written: str, node: Statement) -> None:
    assert statement(written) == node


def test_statements_need_no_separator() -> None:
    found = statements(
        "do a = 1 say a hold hold_secure break continue previous step previous flow debug a.b "
        "return 1 remember b = [1] forget b goto x in y foreach (i, n) in [1] { } while (1) { }"
    )
    assert " ".join(type(one).__name__ for one in found) == (
        "Assign Say Hold Hold Break Continue Previous Previous Debug Return Remember Forget Goto "
        "Foreach While"
    )


def test_a_dangling_else_belongs_to_the_nearest_if() -> None:
    outer = statement("if (a) if (b) say 1 else say 2")
    assert isinstance(outer, If)
    assert outer.otherwise is None
    inner = outer.branches[0].body[0]
    assert isinstance(inner, If)
    assert inner.otherwise is not None


def test_else_ifs_are_branches() -> None:
    chain = statement("if (a) say 1 else if (b) { say 2 } else if (c) say 3 else { say 4 }")
    assert isinstance(chain, If)
    assert len(chain.branches) == 3
    assert chain.otherwise is not None


def test_a_group_behind_in_is_no_closure_when_it_is_no_list_of_words() -> None:
    assert len(statements("foreach (i) in (list + 0) { say i }")) == 1


# --- declarations ------------------------------------------------------------------------------


def test_declarations_in_any_order() -> None:
    assert declarations(
        "start: const A = 1 import f from lib fn g(a, b,): return a\n"
        "insert {s, t as u} from lib import {h as i, j} from modules/m import k fn l() {} end:"
    ) == (
        Step("start", (), AT, AT, ""),
        Constant("A", number(1), AT),
        Import("f", "f", "lib", AT),
        Function("g", ("a", "b"), declarations("x: return a")[0].body, AT, AT, AT),  # type: ignore[union-attr]
        Insert("s", "s", "lib", AT),
        Insert("t", "u", "lib", AT),
        Import("h", "i", "modules/m", AT),
        Import("j", "j", "modules/m", AT),
        Import("k", "k", None, AT),
        Function("l", (), (), AT, AT, AT),
        Step("end", (), AT, AT, ""),
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("import {} from x", []),
        ("import {,} from x", []),
        ("import {a, b,} from x", ["a", "b"]),
        ("import a as b as from x", None),
        ("import a from modules/", None),
        ("import a from modules", ["a"]),
        ("import a as", None),
    ],
)
def test_imported_names(text: str, names: list[str] | None) -> None:
    if names is None:
        with pytest.raises(SourceError):
            flow(text)
    else:
        assert [one.name for one in flow(text).declarations if isinstance(one, Import)] == names


@pytest.mark.parametrize("text", ["", " \n", "// only a comment", "/* never closed"])
def test_a_flow_may_be_empty(text: str) -> None:
    assert flow(text) == Flow("main", ())


def test_step_names_may_begin_with_keywords() -> None:
    names = "iffy do_it matched while_away foreach_x fn_step const_x import_x as-is fn const"
    steps = flow("".join(f"{word}:\n  say x == 1\n" for word in names.split())).declarations
    assert [one.name for one in steps] == names.split()


def test_a_const_ends_a_step() -> None:
    step, constant = declarations("start: say A const A = 1")
    assert isinstance(step, Step)
    assert isinstance(constant, Constant)


# --- places ------------------------------------------------------------------------------------


def test_places_of_steps_and_functions() -> None:
    function, step, other = flow("fn f(a) { return a }\nstart:\n  say 1\nb: hold\n\n").declarations
    assert isinstance(function, Function)
    assert (function.at, function.name_at, function.end) == ((1, 1), (1, 4), (1, 21))
    assert isinstance(step, Step)
    assert (step.at, step.end) == ((2, 1), (4, 1))  # an expression takes the blanks behind it
    assert isinstance(other, Step)
    assert (other.at, other.end) == ((4, 1), (4, 8))


def test_places_of_expressions() -> None:
    assert expression('"é" + 1').at == Position(2, 6)
    assert expression('""').at == NOWHERE
    assert expression("  x.y").at == Position(2, 7)
    assert expression("(1 + 2)").at == Position(2, 6)
    assert expression("-(1)").at == Position(2, 5)
    array = expression("[ 1 ] ")
    assert isinstance(array, Array)
    assert (array.at, array.end) == ((2, 5), (2, 10))
    shape = expression('{"é": 1 }  ')
    assert isinstance(shape, Object)
    assert (shape.at, shape.end) == ((2, 5), (2, 17))


def test_places_of_path_elements() -> None:
    path = expression("é.b[0].c()")
    assert isinstance(path, Path)
    assert path.at == (2, 5)
    assert [element.at for element in path.elements] == [(2, 8), (2, 9), (2, 13)]


@pytest.mark.parametrize(
    ("written", "column"),
    [('"ab"', 6), ('"a {{x}} b"', 13), ('"{{x}}"', 6), ('"{{x}}{{y}}"', 11)],
)
def test_the_place_of_the_last_literal_part(written: str, column: int) -> None:
    node = expression(written)
    assert isinstance(node, Text)
    assert node.last_literal == Position(2, column)


def test_places_of_statements() -> None:
    say, assign, goto, remember = statements("say 1 do  x = 2 goto  a remember 5 as y")
    assert isinstance(say, Say)
    assert (say.at, say.after) == ((2, 1), (2, 4))
    assert isinstance(assign, Assign)
    assert (assign.at, assign.name_at) == ((2, 7), (2, 11))
    assert isinstance(goto, Goto)
    assert (goto.at, goto.after) == ((2, 17), (2, 21))
    assert isinstance(remember, Remember)
    assert (remember.at, remember.name_at) == ((2, 25), (2, 39))


# --- digests -----------------------------------------------------------------------------------


def digest(text: str) -> str:
    step = flow(text).declarations[0]
    assert isinstance(step, Step)
    return step.digest


def test_a_digest_sees_neither_comments_nor_white_space_nor_neighbours() -> None:
    plain = digest('start:\n  say "a b"\n  hold')
    assert plain == digest('start:// c\n\n say /* "x" */ "a b"   hold\nother: say 1')
    assert len(plain) == 32


@pytest.mark.parametrize("edited", ['start: say "a  b" hold', 'start: say "a b" say 1 hold'])
def test_a_digest_sees_strings_and_statements(edited: str) -> None:
    assert digest('start: say "a b" hold') != digest(edited)


# --- pieces ------------------------------------------------------------------------------------


def test_an_answered_text_is_read_as_a_string() -> None:
    assert strip_positions(parse_text('a\n{{x}} \\n "q"')) == text("a\n", name("x"), ' \\n "q"')
    assert strip_positions(parse_text('{{ f("x") }}')) == text(
        Call("f", (Argument(None, text("x", inner=True)),), AT)
    )


def test_places_in_an_answered_text_count_as_if_it_stood_in_quotes() -> None:
    (part,) = parse_text("{{x}}").parts
    assert isinstance(part, Name)
    assert part.at == Position(1, 4)
    _, part = parse_text("a\nb{{x}}").parts
    assert isinstance(part, Name)
    assert part.at == Position(1, 8)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("{{", "expecting '}}' to end expandable string"),
        ("}}", "expecting '}}' to end expandable string"),
        ("{{a b}}", "wrong argument(s) given to expandable string"),
    ],
)
def test_an_answered_text_that_is_no_string_gives_the_bare_reason(answer: str, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse_text(answer)
    (found,) = caught.value.diagnostics
    assert (found.message, found.reason, found.start) == (reason, reason, (1, 1))


def test_a_stored_closure_is_restored() -> None:
    closure = parse_closure(" (a) { return [a] } // kept", "main")
    assert closure.parameters == ("a",)
    assert closure.at == Position(1, 2)
    assert closure.source == "(a) { return [a] }"


@pytest.mark.parametrize("text", ["", "x", "(a)", "(a) { say }", "(a) {} x"])
def test_what_is_no_closure_is_refused(text: str) -> None:
    with pytest.raises(SourceError):
        parse_closure(text, "main")


# --- the grammar -------------------------------------------------------------------------------


def test_the_rules_of_the_grammar_are_methods_of_the_parser() -> None:
    grammar = resources.files("palaver.csml").joinpath("grammar.txt").read_text("utf-8")
    rules = re.findall(r"^(\w+) += ", grammar, re.MULTILINE)
    missing = [
        rule for rule in rules if not hasattr(Parser, rule) and not hasattr(Parser, f"{rule}_")
    ]
    assert len(rules) > 50
    assert missing == []
