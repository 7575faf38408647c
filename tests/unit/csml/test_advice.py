"""What the checker finds beyond the reference: each rule where it speaks and where it is silent."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from palaver.csml.checker import RULES
from palaver.csml.checker.reference import ERRORS, WARNINGS
from palaver.csml.checker.spelling import MAX_COMPARISONS, Speller
from tests.unit.csml.checking import checked

LIB = "fn g(a) { return a }\nstart:\n  goto t\nt:\n  hold\n  say event\n"
NO_START = "fn g(a) { return a }\nt:\n  say 2\n"


class Case(NamedTuple):
    """A rule and two bots: `bad` has one place per `^place` (line:column), `good` has none."""

    code: str
    bad: str
    places: str
    good: str


CASES = [
    Case(
        "unknown-flow",
        "start:\n  if (event) goto flow nowhere\n  goto start@Lob\n",
        "2:14 3:3",
        "start:\n  if (1) goto flow lib\n  if (2) goto @LIB\n  if (3) goto flow $x\n"
        "  if (4) goto end@nowhere\n  goto s@other in bot\n",
    ),
    Case(
        "unknown-step",
        "start:\n  if (event) goto a\n  if (event) goto start@main\n  goto u@lib\n",
        "2:14 4:3",
        "insert t from lib\nstart:\n  if (1) goto end\n  if (2) goto t\n  if (3) goto t@lib\n"
        "  if (4) goto $x\n  if (5) goto x@$y\n  goto nowhere in bot\n",
    ),
    Case(
        "flow-without-start",
        "start:\n  if (event) goto @nostart\n  goto flow nostart\n",
        "2:14 3:3",
        "start:\n  if (event) goto flow lib\n  goto t@nostart\n",
    ),
    Case("default-without-start", "a:\n  say 1\n", "1:1", "start:\n  say 1\n"),
    Case(
        "unreachable-step",
        "start:\n  goto a\na:\n  goto end\nb:\n  goto c\nc:\n  goto b\n",
        "5:1 7:1",
        "start:\n  if (event) goto a\na:\n  goto step b\nb:\n  say 1\n",
    ),
    Case(
        "unreachable-step",
        "fn f() { return 1 }\nstart:\n  goto $x@lib\na:\n  say f()\n",
        "4:1",
        "start:\n  goto $next\na:\n  say 1\n",
    ),
    Case(
        "unreachable-code",
        "fn f() { return 1 say 2 }\nstart:\n  foreach (x) in [1] { break say 1 }\n"
        "  say [1].map((a) { return a return 1 })\n"
        "  if (event) goto end else previous step\n  say 1\n  say 2\n",
        "1:19 3:30 4:30 6:3",
        "start:\n  if (event) goto end\n  if (event) goto end else say 1\n  hold\n"
        "  while (event) { if (event) continue say 1 }\n  goto end\n",
    ),
    Case(
        "unreachable-code",
        "start:\n  while (true) { hold }\n  say 1\n",
        "3:3",
        "fn f() { previous step return 1 }\n"
        "start:\n  while (1) { hold if (event) { say 1 } else { break } }\n  say f()\n",
    ),
    Case(
        "unused-answer",
        "start:\n  if (event) { say 1 hold } else if (1) hold else { hold goto end }\n",
        "2:22 2:41 2:53",
        "start:\n  hold\n  if (event) { hold goto a }\n  say 1\na:\n  while (event) { hold }\n",
    ),
    Case(
        "hold-in-function",
        "fn f() {\n  hold_secure\n}\nstart:\n  say f()\n",
        "2:3",
        "start:\n  hold_secure\n  say event\n",
    ),
    Case(
        "endless-loop",
        "start:\n  do i = 0\n  while (i < 3) { say i }\n  while (true) { foreach (x) in [1] { break } }\n"
        '  while (event != [i].join(",")) { do j = i }\n',
        "3:3 4:3 5:3",
        "start:\n  do i = 0\n  do a = []\n"
        "  while (i < 3) { do i += 1 }\n"
        "  while (i < 3) { if (i) break }\n"
        "  while (i < 3) { say 1 as i }\n"
        "  while (i < 3) { foreach (i) in [1] { say i } }\n"
        "  while (a.length() < 3) { do a.push(1) }\n"
        "  while (Length(a) < 3) { do a[0] = 1 }\n"
        "  while (m) { forget * }\n"
        "  while (m) { remember m = 1 }\n"
        "  while (Random() < 0.5) { say 1 }\n"
        "  while (a.one_of()) { say 1 }\n"
        "  while (_memory.x) { say 1 }\n"
        "  while (false) { say 1 }\n"
        "  while (1 / 0) { say 1 }\n"
        "  while (i) { do i.push(1).length() }\n"
        "  while (true) { if (i) goto end }\n"
        "  while (true) { say 1 hold }\n",
    ),
    Case(
        "endless-loop",
        "fn f(n) {\n  while (n) { do x = [1].map((a) { return a }) }\n}\nstart:\n  say f(1)\n",
        "2:3",
        "fn f(n) {\n  while (true) { if (n) return 1 }\n}\nstart:\n  say f(1)\n",
    ),
    Case(
        "never-set",
        'fn f(a) { return b }\nstart:\n  do x.y = 1\n  do z += 1\n  say "{{w}} {{w}}"\n  goto $v\n',
        "1:18 3:6 4:6 5:10 6:9",
        "const C = 1\nfn f(a) { do b = a return [b].map((c) { return c + b + C }) }\n"
        "start:\n  say f(event)\n  if (met) say Or(maybe, 1)\n  foreach (i, k) in [1] { say i + k }\n"
        '  say 1 as n\n  say n\n  remember met = 1\n  forget gone\n  if (Exists("asked")) say asked\n'
        "  say gone\n  say _metadata.a\n  say _env\n  say _memory\n",
    ),
    Case(
        "never-set",
        "start:\n  do x = 1\n  say x\n  goto a\na:\n  say x\n",
        "6:7",
        "start:\n  remember x = 1\n  goto a\na:\n  say x\n",
    ),
    Case(
        "unused-function",
        "fn f(a): return f(a)\nstart:\n  say 1\n",
        "1:4",
        "fn f(a): return h(a)\nfn h(a): return a\nstart:\n  say [1].map((x) { return f(x) })\n",
    ),
    Case(
        "unused-import",
        "import g from lib\nstart:\n  say 1\n",
        "1:1",
        "import g from lib\nstart:\n  if (g(1)) say 1\n",
    ),
    Case(
        "unused-insert",
        "insert t from lib\nstart:\n  say 1\n",
        "1:1",
        "insert t from lib\nstart:\n  if (event) goto t\n",
    ),
    Case(
        "unused-insert",
        "insert t from lib\nstart:\n  goto start@lib\n",
        "1:1",
        "insert t from lib\nstart:\n  goto $event.next\n",
    ),
    Case(
        "unused-constant",
        "const A = 1\nconst B = 2\nstart:\n  say B\n",
        "1:1",
        "const A = 1\nfn f(): return A\nstart:\n  say f()\n",
    ),
    Case(
        "unused-variable",
        "fn f() { do a = 1 }\nstart:\n  do x = 1\n  do x = 2\n  say 1 as y\n"
        "  do c = (a) { return a }\n  say f()\n",
        "1:13 3:6 5:12 6:6",
        "start:\n  do x = 1\n  do y = x\n  do c = () { return 1 }\n  say c()\n  do _ = y\n"
        "  foreach (a, b) in [1] { say 1 }\n  remember m = 1\n  do m = 2\n",
    ),
    Case(
        "unused-variable",
        "start:\n  do x = {}\n",
        "2:6",
        'start:\n  do x = {}\n  do y = 1\n  say App("f", a = 1)\n',
    ),
    Case(
        "hidden-function",
        "import g as Text from lib\nfn Length(a): return a\nfn Or(a): return a\nstart:\n  say 1\n",
        "1:1 2:4 3:4",
        "import g from lib\nfn length(a): return a\nstart:\n  say length(g(1))\n",
    ),
    Case(
        "hidden-variable",
        "const A = 1\nfn f(A) { return A }\nfn h(event) { return event }\nstart:\n"
        "  foreach (A) in [1] { say A }\n  foreach (i, A) in [1] { say i }\n  say 2 as A\n"
        "  remember A = 3\n  say [1].map((A) { return f(h(A)) })\n",
        "2:4 3:4 5:3 6:3 7:12 8:12 9:15",
        "const A = 1\nfn f(B) { return A + B }\nstart:\n  foreach (C) in [1] { say f(C) }\n",
    ),
    Case(
        "unknown-call",
        "start:\n  if (foo()) say 1\n  debug foo()\n  say !foo()\n",
        "2:7 3:9 4:8",
        'start:\n  if (Length("a")) say 1\n',
    ),
    Case(
        "argument-order",
        "fn f(a, b, c): return a + b + c\nstart:\n  say f(1, b = 2, 3)\n  say Button(payload = 1, 2, 3)\n",
        "3:19 4:30",
        "fn f(a, b): return a + b\nstart:\n  say f(1, b = 2)\n  say f(b = 2, 1)\n  say f(1, 2)\n",
    ),
    Case(
        "missing-argument",
        "import g from lib\nimport k\nfn f(a, b): return a + b\nstart:\n  say f(1)\n  say f(b = 1)\n"
        "  say f(c = 1, 2)\n  say g()\n  say k()\n",
        "5:7 6:7 7:7 8:7",
        "fn f(a, b): return a + b\nstart:\n  say f(1, 2)\n  say f(1, b = 2)\n  say f(b = 2, a = 1)\n"
        "  say f(a = 1, 2)\n",
    ),
    Case(
        "extra-argument",
        "import g\nfn f(a): return a\nstart:\n  say f(1, 2, 3)\n  say f(1, b = 2)\n  say g(1, 2)\n",
        "4:12 5:16 6:12",
        "fn f(a): return a\nstart:\n  say f(1)\n  say f(a = 1)\n",
    ),
    Case(
        "builtin-arguments",
        "start:\n  say Length()\n  say Or(1)\n  say Random(1)\n  say HTTP()\n",
        "2:7 3:7 4:7 5:7",
        'start:\n  say Length("a")\n  say Find("a", in = "b")\n  say UUID()\n  say Debug(1, 2, 3)\n',
    ),
    Case(
        "component-arguments",
        'start:\n  say Button()\n  say Question("a")\n  say Image("a", "b")\n  say Url(text = "a")\n',
        "2:7 3:7 4:7 5:7",
        'start:\n  say Button("a", accepts = ["b"], extra = 1)\n  say Question("a", buttons = [])\n'
        '  say Question("a", [])\n  say Text(text = "a")\n',
    ),
    Case(
        "unknown-component",
        'start:\n  say Component.Nope()\n  say Component\n  say Component.Mine\n  say Component["Mine"]\n'
        "  say Component.Button()\n",
        "2:17 3:7 4:7 5:7 6:17",
        "start:\n  say Component.Mine(a = 1)\n",
    ),
    Case(
        "unknown-method",
        'start:\n  say "a".lenght()\n  do x = {}\n  do x.nope() = 1\n  say event.shout()\n',
        "2:11 4:8 5:13",
        'start:\n  say "a".length()\n  say event.get_type()\n  say Time().unix()\n'
        '  say HTTP("http://x").get().send()\n  say Component.Mine().length()\n',
    ),
    Case(
        "method-arguments",
        'start:\n  say "a".length(1)\n  say [1].push()\n  say "a".split("b", "c")\n  say "a".is_email(1)\n',
        "2:11 3:11 4:11 5:11",
        'start:\n  say "a".slice(1)\n  say [1].slice(1, 2)\n  say event.is_email(1)\n  say event.match("a")\n'
        "  say event.match_array([1], [2])\n",
    ),
    Case(
        "named-method-argument",
        'start:\n  say "a".append(value = "b", other = 1)\n',
        "2:27",
        'start:\n  say "a".append("b")\n  do x = 1\n  say [1].push(x == 1)\n',
    ),
    Case(
        "duplicate-key",
        'start:\n  say {"a": 1, "b": 2, "a": 3, "a": 4}\n',
        "2:29 2:37",
        'start:\n  say {"a": 1, "b": {"a": 2}}\n',
    ),
    Case(
        "fixed-comparison",
        'start:\n  if ("a" == 1) say 1\n  if (event && 1 < 2) say 1\n  say [1] != "a"\n',
        "2:8 3:16 4:7",
        'const C = 1 < 2\nstart:\n  if (event == 1) say C\n  if ("{{event}}" == 1) say 1\n'
        "  if (true || false) say 1\n  say !event == true\n  say event match [1]\n  say [1 match 2] == [true]\n",
    ),
    Case(
        "failing-calculation",
        'start:\n  say "a" + 1\n  say event / 0\n  say 1 - (null * 2)\n  say {} + 1\n',
        "2:8 3:7 4:12 5:7",
        'start:\n  say "a" + "1"\n  say "4" + 1\n  say event + 1\n  say 4 / 2\n  say 0 / 4\n  say 1 < "a"\n',
    ),
]


def places(text: str, code: str) -> str:
    """Where a rule speaks in `main`, of a bot with some further flows and a component."""
    found = checked(text, {"lib": LIB, "nostart": NO_START}, components=("Mine",))
    here = [one for one in found if one.code == code and one.flow == "main"]
    return " ".join(f"{one.start.line}:{one.start.column}" for one in here)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_rule_speaks(case: Case) -> None:
    assert places(case.bad, case.code) == case.places


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_a_rule_is_silent(case: Case) -> None:
    assert places(case.good, case.code) == ""


def test_every_rule_of_ours_has_a_case() -> None:
    theirs = {rule.code for rule in (*ERRORS, *WARNINGS)}
    assert {rule.code for rule in RULES} - theirs == {case.code for case in CASES}


def test_our_errors_are_what_ends_a_conversation() -> None:
    theirs = {rule.code for rule in ERRORS}
    assert {rule.code for rule in RULES if rule.severity == "error"} - theirs == {
        *("unknown-flow", "unknown-step", "hold-in-function"),
        *("argument-order", "missing-argument", "unknown-component"),
    }


# --- hints -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("start:\n  goto flow Libb\n", "there is no flow 'Libb'", "did you mean 'lib'?"),
        (
            "start:\n  hold\n  goto flow start\n",
            "there is no flow 'start'",
            "'start' is a step of this flow: goto start",
        ),
        ("start:\n  goto strat\n", "there is no step 'strat'", "did you mean 'start'?"),
        ("start:\n  goto t\n", "there is no step 't'", "it is a step of another flow: goto t@lib"),
        (
            "start:\n  goto lib\n",
            "there is no step 'lib'",
            "there is a flow of that name: goto flow lib",
        ),
        (
            "start:\n  goto zzz@lib\n",
            "there is no step 'zzz' in flow 'lib'",
            "write the step, beginning with zzz: on a line of its own",
        ),
        ("start:\n  remember name = 1\n  say nam\n", "nothing sets 'nam'", "did you mean 'name'?"),
        ("start:\n  say Event\n", "nothing sets 'Event'", "did you mean 'event'?"),
        (
            "fn f(value): return vale\nstart:\n  say f(1)\n",
            "nothing sets 'vale'",
            "did you mean 'value'?",
        ),
        (
            "start:\n  do x = 1\n  say x-1\n  say x\n",
            "nothing sets 'x-1'",
            "a hyphen is a part of the name; to subtract, write: x - 1",
        ),
        ("start:\n  say -x\n", "nothing sets '-x'", "a minus is a part of the name: write 0 - x"),
        (
            "start:\n  say -.5\n",
            "nothing sets '-'",
            "a number begins with a digit, and a minus stands between two values: 0 - 0.5",
        ),
        (
            "start:\n  say Random\n",
            "nothing sets 'Random'",
            "'Random' is a function: call it as Random(…)",
        ),
        (
            "start:\n  say zzz\n",
            "nothing sets 'zzz'",
            "set it: do zzz = …, or remember zzz = …",
        ),
        (
            "fn f(): return name\nstart:\n  remember name = 1\n  say f()\n",
            "'name' is a memory, and functions do not see memories",
            "give it to the function as an argument",
        ),
        (
            "start:\n  do x = 1\n  say x\n  goto a\na:\n  say x\n",
            "'x' has no value here: it is set in step 'start' and lost behind it",
            "to keep it, write there: remember x = …",
        ),
        ('start:\n  say "a".lenght()\n', "there is no method 'lenght'", "did you mean 'length'?"),
        (
            "start:\n  say [1].push()\n",
            "push() takes 1 argument, not 0",
            "usage: push(value: primitive) => null",
        ),
        ('start:\n  say "a".slice()\n', "slice() takes 1 to 2 arguments, not 0", ""),
        ("start:\n  say HTTP()\n", "HTTP() takes at least 1 argument, not 0", ""),
        ("start:\n  say UUID(1, 2)\n", "UUID() takes at most 1 argument, not 2", ""),
        (
            "start:\n  say Component.Mien()\n",
            "the bot has no component 'Mien'",
            "did you mean 'Mine'?",
        ),
        (
            "start:\n  say Component.Button()\n",
            "the bot has no component 'Button'",
            "Button(…) is called without 'Component.'",
        ),
        (
            "fn f(a, b): return a + b\nstart:\n  say f()\n",
            "f() needs 'a' and 'b'",
            "it is declared at line 1: f(a, b)",
        ),
        (
            "fn f(a): return a\nstart:\n  say f(1, b = 2)\n",
            "f() has no parameter 'b'",
            "it is declared at line 1: f(a)",
        ),
        ("start:\n  say Button()\n", "Button() needs 'title'", "Button(title, payload, accepts)"),
        (
            'start:\n  say "a" + 1\n',
            "this calculation fails: illegal operation: PrimitiveString + PrimitiveInt",
            'texts are joined by interpolation: "… {{value}} …"',
        ),
    ],
)
def test_a_finding_says_what_to_do(text: str, reason: str, hint: str) -> None:
    found = checked(text, {"lib": LIB}, components=("Mine",))
    assert [one.hint for one in found if one.reason == reason] == [hint]


def test_suggestions_end_when_they_have_cost_enough() -> None:
    speller = Speller()
    names = [f"name{number}" for number in range(MAX_COMPARISONS // 2)]
    assert speller.nearest("name1x", names) is not None
    assert speller.nearest("x" * 100, ["x" * 99]) is None
    assert speller.nearest("name2x", names) is not None
    assert speller.nearest("name3x", names) is None


# --- several flows -----------------------------------------------------------------------------


def test_an_inserted_step_may_use_what_the_inserting_flow_has() -> None:
    main = "insert s from lib\nconst A = 1\nfn f(): return 1\nstart:\n  goto s\nt:\n  say 1\n"
    lib = "fn f(): return 2\nstart:\n  say 1\ns:\n  say A + f()\n  goto t\n"
    assert checked(main, {"lib": lib}) == ()


def test_a_step_that_is_inserted_counts_as_reached() -> None:
    main = "insert s as k from lib\nstart:\n  goto $event.next\n"
    assert checked(main, {"lib": "start:\n  say 1\ns:\n  say 2\n"}) == ()


def test_a_flow_without_start_is_entered_anywhere() -> None:
    found = checked("a:\n  say 1\nb:\n  say 1\n")
    assert [one.code for one in found] == ["default-without-start"]


def test_functions_of_modules_may_be_unused() -> None:
    main = "import f from modules/m\nstart:\n  say f(1)\n"
    assert checked(main, modules={"m": "const A = 1\nfn f(x): return x\nfn g(): return 1\n"}) == ()


def test_a_component_of_the_host_takes_what_it_likes() -> None:
    text = "start:\n  say Button()\n  say Length()\n"
    assert checked(text, native=("Button", "Length")) == ()


def test_findings_come_once_by_flow_and_place() -> None:
    flows = {"b": "start:\n  say w\n  say v\n  say v\n  goto end\n  say 1\n"}
    found = checked("start:\n  say x.lenght(y = 1)\n  say x\n", flows)
    assert [(one.flow, one.start.line, one.start.column, one.code) for one in found] == [
        ("main", 2, 7, "never-set"),
        ("main", 2, 9, "unknown-method"),
        ("main", 2, 20, "named-method-argument"),
        ("b", 2, 7, "never-set"),
        ("b", 3, 7, "never-set"),
        ("b", 6, 3, "unreachable-code"),
    ]


def test_a_bot_without_mistakes_has_no_findings() -> None:
    text = (
        "const LIMIT = 3\n"
        "fn double(n): return n * 2\n"
        "start:\n"
        "  remember count = 0\n"
        "  while (count < LIMIT) {\n"
        '    say Question("More?", buttons = [Button("yes"), Button("no")])\n'
        "    hold\n"
        '    if (event match "no") break\n'
        "    do count += double(1)\n"
        "  }\n"
        "  goto done\n"
        "done:\n"
        '  say "{{count}} {{_metadata.name}}"\n'
    )
    assert checked(text) == ()
