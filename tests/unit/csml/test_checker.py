"""The reference's linter: what it finds, where, in which words and order. Spec: csml-language §13."""

from __future__ import annotations

import pytest

from palaver.csml.checker import RULES, check_bot, lint_errors
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.source import NOWHERE
from palaver.csml.stdlib.library import BUILTINS
from tests.unit.csml.checking import checked, parsed, parsed_all

LIB = "fn g(a) { return a }\nstart:\n  goto t\nt:\n  say 2\n"


def errors(
    text: str, flows: dict[str, str] | None = None, modules: dict[str, str] | None = None
) -> tuple[Diagnostic, ...]:
    return lint_errors([parsed(text), *parsed_all(flows)], parsed_all(modules), "main")


def found(text: str, lib: str | None = None, **modules: str) -> list[str]:
    """`flow:line:column[-line:column] reason` of every error."""
    return [shown(one) for one in errors(text, {"lib": lib} if lib else None, modules)]


def shown(one: Diagnostic) -> str:
    end = f"-{one.end.line}:{one.end.column}" if one.end else ""
    return f"{one.flow}:{one.start.line}:{one.start.column}{end} {one.reason}"


# --- declarations ------------------------------------------------------------------------------


def test_each_further_declaration_of_a_name_is_a_duplicate() -> None:
    assert found("start:\n  goto a\na:\n  say 1\na:\n  say 2\na:\n  say 3\n") == [
        "main:5:1-7:1 duplicate step a",
        "main:7:1-9:1 duplicate step a",
    ]
    assert found("fn f(a) { return a }\nfn f(b): return b\nstart:\n  say f(1)\n") == [
        "main:2:1-3:1 duplicate function f"
    ]


def test_imports_and_inserts_are_compared_by_their_local_names() -> None:
    start = "start:\n  say g(1)\n"
    assert found(
        "import g from lib\nimport h as g from lib\n" + start, "fn h(): return 1\n" + LIB
    ) == ["main:2:1 duplicate import g"]
    assert found("import {g, g} from lib\n" + start, LIB) == ["main:1:1 duplicate import g"]
    inserts = "insert start as t from lib\ninsert t from lib\nstart:\n  goto t\n"
    assert found(inserts, LIB) == ["main:2:1 duplicate insert t"]


def test_constants_may_be_repeated_and_kinds_may_share_a_name() -> None:
    assert (
        found("const A = 1\nconst A = 2\nfn a(x): return x\nstart:\n  say A\na:\n  say 1\n") == []
    )


def test_every_flow_with_steps_needs_a_start_but_the_default_flow() -> None:
    flows = {"other": "a:\n  say 1\n", "functions": "fn f(): return 1\n", "empty": "\n"}
    found = errors("a:\n  say 1\n", flows, {"m": "b:\n  say 1\n"})
    assert [(one.flow, one.start, one.end, one.message) for one in found] == [
        ("other", NOWHERE, None, "missing step 'start' in flow [other]"),
        ("m", NOWHERE, None, "missing step 'start' in flow [m]"),
    ]


def test_a_default_flow_given_by_an_id_is_not_exempt() -> None:
    assert [one.code for one in lint_errors([parsed("a:\n  say 1\n")], [], "main-id")] == [
        "missing-start"
    ]


# --- statements in the wrong place -------------------------------------------------------------


def test_return_belongs_into_functions() -> None:
    text = (
        "fn f(a) { if (a) { return 1 } return 2 }\n"
        "start:\n"
        '  if (1) { return f(1) } else { return "b" }\n'
        '  foreach (x) in [1] { return {"a": x} }\n'
        "  while (0) { return [x] }\n"
        "  say [1].map((a) { return a })\n"
    )
    outside = "'return' action is not allowed outside function scope"
    assert found(text) == [
        f"main:3:19 {outside}",
        f"main:3:41-3:41 {outside}",
        f"main:4:31-4:40 {outside}",
        f"main:5:22-5:25 {outside}",
    ]


@pytest.mark.parametrize(
    ("statement", "place", "word"),
    [
        ("goto start", "2:7", "goto"),
        ("goto  step start", "2:7", "goto"),
        ("remember x = 1", "2:12", "remember"),
        ('say "a"', "2:8-2:8", "say"),
        ("say 1 + 2", "2:7", "say"),
        ('say "a" + b', "2:8-2:8", "say"),
        ("say !x.y", "2:8", "say"),
        ("say [1].length()", "2:7-2:10", "say"),
        ('say {"a": 1}', "2:7-3:1", "say"),
        ("say x as y", "2:12", "say"),
        ("hold", "2:3", "hold"),
    ],
)
def test_what_functions_must_not_do(statement: str, place: str, word: str) -> None:
    text = f"fn f(b, x) {{\n  {statement}\n}}\nstart:\n  goto end\n"
    assert found(text) == [f"main:{place} '{word}' action is not allowed in function scope"]


def test_closures_must_not_do_it_either() -> None:
    text = (
        "start:\n"
        "  do f = (a) { say a }\n"
        "  remember h = (a) { if (a) { remember b = a } }\n"
        "  say [1].map((a) { hold })\n"
    )
    assert [one.rpartition(" '")[2].partition("'")[0] for one in found(text)] == [
        "say",
        "remember",
        "hold",
    ]


def test_what_functions_may_do() -> None:
    assert (
        found(
            "fn f(x) {\n  hold_secure\n  forget x\n  use 1 as y\n  debug 1\n  log 2\n}\nstart:\n  say f(1)\n"
        )
        == []
    )


def test_break_and_continue_belong_into_loops() -> None:
    text = (
        "fn f() { if (1) { break } }\n"
        "start:\n"
        "  foreach (x) in [1] { if (x) { break } do y = [1].map((a) { continue }) }\n"
        "  while (0) { if (1) continue }\n"
        "  continue\n"
        "  do y = [1].map((a) { break })\n"
    )
    assert found(text) == [
        "main:1:19 'break' action is not allowed outside loop",
        "main:5:3 'continue' action is not allowed outside loop",
        "main:6:24 'break' action is not allowed outside loop",
    ]


# --- functions ---------------------------------------------------------------------------------


def test_calls_of_unknown_functions() -> None:
    text = (
        "start:\n"
        "  say button(1)\n"
        "  do x = two(three(a = four())).baz(five())\n"
        "  do x[six()] = 1\n"
        '  remember y = {"a": [seven()]}\n'
        "  use eight() as z\n"
        '  say "a {{ nine(1) }} b"\n'
        "  do ten() + eleven() == twelve()\n"
    )
    assert [one.partition(" ")[0].removeprefix("main:") for one in found(text)] == [
        *("2:7", "3:10", "3:14", "3:24", "3:37", "4:8", "5:23", "6:7", "7:13", "8:6", "8:14"),
        "8:26",
    ]
    assert found(text)[0] == "main:2:7 function [button] does not exist"


def test_where_calls_are_not_looked_at() -> None:
    text = (
        "fn f() { return foo() }\n"
        "start:\n"
        "  if (foo()) say 1\n"
        "  while (foo()) { say 1 }\n"
        "  foreach (x) in foo() { say 1 }\n"
        "  debug foo()\n"
        "  log foo()\n"
        "  say !foo()\n"
        "  goto $foo\n"
    )
    assert found(text) == []


def test_what_can_be_called() -> None:
    names = [*BUILTINS, "Or", "Button", "Carousel"]
    calls = "".join(f"  do {name}()\n" for name in names)
    text = (
        "import g from lib\nfn h(): return 1\nstart:\n  do g(1)\n  do h()\n  do Component.X()\n"
        + calls
    )
    assert found(text, LIB) == []


def test_components_of_the_host_can_be_called() -> None:
    bot = [parsed("start:\n  say Badge(1)\n")]
    assert [one.code for one in lint_errors(bot, [], "main")] == ["unknown-function"]
    assert lint_errors(bot, [], "main", native=("Badge",)) == ()


@pytest.mark.parametrize(
    "text",
    [
        "start:\n  do f = (a) { return a }\n  say f(1)\n",
        "start:\n  say f(1)\n  do (a) { return a } as f\n",
        "start:\n  goto b\nb:\n  say k(1)\nc:\n  remember k = (a) { return a }\n",
        "start:\n  do f = (a) { return a }\n  do g = f\n  say g(1)\n",
        "start:\n  do h = {}\n  foreach (f) in h { say f(1) }\n",
        "start:\n  do h = []\n  remember f = h[0]\n  say f(1)\n",
        "fn run(f) {\n  do r = f(1)\n  return r\n}\nstart:\n  say run(1)\n",
        "start:\n  say [1].map((f) { do x = f(1) return x })\n",
        "const f = (a) { return a }\nstart:\n  say f(1)\n",
    ],
)
def test_closures_that_can_be_called(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "start:\n  do f = (a) { return a }\n  goto b\nb:\n  say f(1)\n",
        "fn a1() {\n  do f = 1\n}\nfn a2() {\n  do y = f(1)\n}\nstart:\n  say 1\n",
        "start:\n  say [1].map((f) { return 1 })\n  say f(1)\n",
    ],
)
def test_closures_of_other_places_cannot_be_called(text: str) -> None:
    assert [one.partition(" ")[2] for one in found(text)] == ["function [f] does not exist"]


# --- imports and inserts -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        ("import f from lib", "import failed function 'f' not found in flow 'lib'"),
        ("import f as k from lib", "import failed function 'f' not found in flow 'lib'"),
        ("import f from nowhere", "import failed function 'f' not found in flow 'nowhere'"),
        ("import g from modules/lib", "import failed function 'g' not found in flow 'lib'"),
        (
            "import {\n  g as a,\n  f as b\n} from lib",
            "import failed function 'f' not found in flow 'lib'",
        ),
        ("import f", "function 'f' not found in bot"),
        ("import f as k", "function 'f' not found in bot"),
        ("insert s from lib", "insert failed, step 's' not found in flow 'lib'"),
        ("insert s as t from lib", "insert failed, step 's' not found in flow 'lib'"),
        ("insert t from nowhere", "insert failed, step 't' not found in flow 'nowhere'"),
    ],
)
def test_what_cannot_be_found(declaration: str, reason: str) -> None:
    assert found(f"{declaration}\nstart:\n  say 1\n", LIB) == [f"main:1:1 {reason}"]


@pytest.mark.parametrize(
    "declaration",
    ["import g", "import g as k", "import m from modules/tools", "insert t as s from lib"],
)
def test_what_can_be_found(declaration: str) -> None:
    assert found(f"{declaration}\nstart:\n  say 1\n", LIB, tools="fn m(): return 1\n") == []


def test_a_taken_name_is_reported_in_the_flow_that_takes_it() -> None:
    taken = "already exist in current flow 'main'"
    text = "import g from lib\ninsert t as s from lib\nfn g(x): return x\nstart:\n  say g(1)\ns:\n  say 1\n"
    assert found(text, LIB) == [
        f"main:1:1 import failed a function named 'g' {taken}",
        f"main:2:1 insert failed, a step named 's' {taken}",
    ]


# --- constants ---------------------------------------------------------------------------------


def test_a_constant_is_reported_at_its_last_assignment() -> None:
    text = (
        "const A = 1\nconst B = 2\n"
        "fn f() { do B = 2 return 1 }\n"
        "start:\n  do A += 2\n  do A = 3\n  if (1) { do 4 as A }\n"
    )
    assert found(text) == [
        "main:3:13 constant 'B' is immutable and can not be changed",
        "main:7:20 constant 'A' is immutable and can not be changed",
    ]


def test_what_is_no_assignment_to_a_constant() -> None:
    text = (
        'const A = {"x": 1}\nstart:\n  do A.x = 2\n  do A.insert("y", 4)\n'
        "  remember A = 2\n  say 2 as A\n  foreach (A) in [1] { say A }\n"
    )
    assert found(text) == []
    assert found("const A = 1\nstart:\n  say A\n", "start:\n  do A = 2\n") == []


# --- all together ------------------------------------------------------------------------------


def test_messages_show_the_line_with_a_caret() -> None:
    (one,) = errors('start:\n  say ["é", nope()]  \n')
    assert (
        one.message
        == 'at line 2,\n  say ["é", nope()]\n             ^\nfunction [nope] does not exist\n\n'
    )
    assert (one.code, one.severity, one.flow) == ("unknown-function", "error", "main")


def test_errors_come_by_kind_then_flow_then_place() -> None:
    text = "import x from lib\nconst A = 1\nstart:\n  do A = foo()\n  break\n  say bar()\n"
    lib = "insert y from main\na:\n  do x = baz()\n  return 1\n"
    assert [
        (one.flow, one.code) for one in errors(text, {"lib": lib}, {"m": "fn f() { say 1 }\n"})
    ] == [
        ("main", "outside-loop"),
        ("lib", "return-outside-function"),
        ("lib", "missing-start"),
        ("m", "not-in-function"),
        ("main", "import-not-found"),
        ("main", "unknown-function"),
        ("main", "unknown-function"),
        ("lib", "unknown-function"),
        ("main", "constant-assigned"),
        ("lib", "insert-not-found"),
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("start:\n  say buton(1)\n", "did you mean 'Button'?"),
        ("start:\n  say g(1)\n", "it is a function of another flow: import g from lib"),
        ("start:\n  say zzz(1)\n", "declare it: fn zzz(…) { … }"),
        ("import t from lib\nstart:\n  say 1\n", "'t' is a step there: insert t from lib"),
        ("import gg from lob\nstart:\n  say 1\n", ""),
        ("import g from libb\nstart:\n  say 1\n", "did you mean 'lib'?"),
        ("import f from tools\nstart:\n  say 1\n", "'tools' is a module: from modules/tools"),
        ("import f from modules/tolls\nstart:\n  say 1\n", "did you mean 'tools'?"),
        ("insert g from lib\nstart:\n  say 1\n", "'g' is a function there: import g from lib"),
        ("insert strat from lib\nstart:\n  say 1\n", "did you mean 'start'?"),
        ("insert t from libb\nstart:\n  say 1\n", "did you mean 'lib'?"),
    ],
)
def test_hints_say_what_to_do(text: str, hint: str) -> None:
    (one,) = errors(text, {"lib": LIB}, {"tools": "fn f(): return 1\n"})
    assert one.hint == hint


def test_a_component_of_the_bot_called_by_its_bare_name_is_explained() -> None:
    one = checked("start:\n  say Mine()\n", components=("Mine",))[0]
    assert one.hint == "components of the bot are called as Component.Mine(…)"


def test_long_lines_with_many_mistakes_do_not_grow_without_bound() -> None:
    calls = ",".join(["f(1)"] * 20_000)
    found = errors(f"start:\n  say [{calls}]\n")
    assert 0 < len(found) < 100


def test_deep_nesting_is_no_problem() -> None:
    depth = 180
    text = "start:\n" + "if (1) { " * depth + "say f(1) hold" + " }" * depth + "\n"
    assert [one.code for one in errors(text)] == ["unknown-function"]
    assert check_bot([parsed(text)], [], "main")
    loops = "start:\n" + "while (true) { " * depth + "say 1 hold" + " }" * depth + "\n"
    assert errors(loops) == ()
    assert check_bot([parsed(loops)], [], "main") == ()


# --- warnings ----------------------------------------------------------------------------------


def warnings(text: str, flows: dict[str, str] | None = None) -> list[Diagnostic]:
    return [one for one in checked(text, flows, advice=False) if one.severity == "warning"]


def test_old_forms_are_warned_about() -> None:
    text = 'start:\n  use 1 as x\n  say Object(a = 1)\n  if (Fn("x")) say x\n'
    found = warnings(text)
    assert [(one.code, one.start, one.reason) for one in found] == [
        (
            "deprecated-use",
            (2, 3),
            "use will be soon a deprecated keyword please use 'do' instead. "
            "https://docs.csml.dev/memory/temporary-and-long-term-variables",
        ),
        (
            "deprecated-object",
            (3, 7),
            "'Object(key = value)' will be soon a deprecated Macro please use '{key: value}' "
            "instead; https://docs.csml.dev/automatic-type-inference/literals-objects-arrays",
        ),
        (
            "deprecated-fn",
            (4, 7),
            "'Fn()' will soon be deprecated. Please use the 'App()' keyword instead",
        ),
    ]


def test_a_circle_of_gotos_is_shown_with_its_steps() -> None:
    (one,) = warnings(
        "start:\n  goto a\na:\n  if (event) goto b@other\n",
        {"other": "start:\n  say 1\nb:\n  goto a@main\n"},
    )
    assert one.code == "infinite-loop"
    assert (one.flow, one.start) == ("other", (4, 3))
    assert one.message == (
        "at line 4,\n  goto a@main\n  ^\n"
        "infinite loop detected between:\n [flow] main, [step] a\n [flow] other, [step] b\n\n\n"
    )
    assert one.reason == "infinite loop: a@main → b@other → a@main"


@pytest.mark.parametrize(
    ("text", "is_loop"),
    [
        ("start:\n  goto start\n", True),
        ("start:\n  hold_secure\n  goto start\n", True),
        ("start:\n  goto a\na:\n  goto flow main\n", True),
        ("start:\n  goto a\na:\n  goto b\nb:\n  goto a\n", True),
        ("start:\n  hold\n  goto start\n", False),
        ("start:\n  goto a\na:\n  if (event) hold\n  goto start\n", False),
        ("start:\n  goto a\n  goto b\na:\n  goto b\nb:\n  say 1\n", False),
        ("start:\n  hold\n  goto a\na:\n  goto b\nb:\n  goto a\n", True),
        ("start:\n  goto $x\n", False),
        ("start:\n  previous step\n", False),
        ("start:\n  goto @ in other\n", False),
        ("start:\n  goto end\nend:\n  goto start\n", False),
        ("start:\n  say 1\na:\n  goto a\n", False),
        ("start:\n  goto nowhere\n", False),
    ],
)
def test_what_is_a_circle(text: str, *, is_loop: bool) -> None:
    assert [one.code for one in warnings(text)] == ["infinite-loop"] * is_loop


def test_long_chains_of_steps_are_followed() -> None:
    steps = "".join(f"s{i}:\n  goto s{i + 1}\n" for i in range(3000))
    (one,) = warnings(f"start:\n  goto s0\n{steps}s3000:\n  goto s2999\n")
    assert one.reason == "infinite loop: s2999@main → s3000@main → s2999@main"


# --- the table ---------------------------------------------------------------------------------


def test_every_rule_has_a_code_of_its_own_and_an_explanation() -> None:
    codes = [rule.code for rule in RULES]
    assert len(codes) == len(set(codes))
    assert all(rule.explanation.endswith(".") for rule in RULES)
    assert all(code == code.lower() and " " not in code for code in codes)
