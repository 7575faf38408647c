"""Functions, closures, imports. Spec: csml-language §5.3, §5.4, §6.12, §6.15, §6.17, §7.2."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.csml.talking import Talk, said, without_places

TOO_FEW = "!! function arguments are not valid"


def run(flow: str, **options: Any) -> list[Any]:
    return without_places(Talk(flow, **options)())


# --- functions ---------------------------------------------------------------------------------


def test_a_function_gives_what_it_returns() -> None:
    assert run("fn add(a, b) { return a + b }\nstart: say add(1, 2)") == ["3"]
    assert run("fn add(a, b): return a + b\nstart: say add(1, 2)") == ["3"]


def test_a_function_without_return_gives_null() -> None:
    assert run("fn f() { do x = 1 }\nstart: say f()") == [None]


def test_the_null_of_a_function_stands_at_fn() -> None:
    talk = Talk("start:\n  say f() + 1\n\n fn f() { do x = 1 }")
    assert talk() == [
        "!! illegal operation: PrimitiveNull + PrimitiveInt at line 4, column 2 at flow [main]"
    ]


def test_too_few_arguments_are_fatal_and_too_many_are_ignored() -> None:
    assert run("fn f(a, b) { return b }\nstart: say f(1)") == [TOO_FEW]
    assert run("fn f(a) { return a }\nstart: say f(1, 2, 3)") == ["1"]


NAMED: list[tuple[str, list[Any]]] = [
    ("f(a = 1, b = 2)", ["12"]),
    ("f(b = 1, a = 2)", ["21"]),
    ("f(1, b = 2)", ["12"]),
    ("f(a = 1, 2)", ["12"]),
    ("f(b = 1)", [TOO_FEW]),
    ("f(a = 1)", [TOO_FEW]),
    ("f(b = 1, 2, 3)", ["!! expression can't be converted to Literal"]),
]


@pytest.mark.parametrize(("call", "wanted"), NAMED)
def test_arguments_may_be_named(call: str, wanted: list[Any]) -> None:
    assert run(f'fn f(a, b) {{ return "{{{{a}}}}{{{{b}}}}" }}\nstart: say {call}') == wanted


@pytest.mark.parametrize("callee", ["f", "Length", "nothing", "Button", "[1].nothing"])
def test_arguments_before_one_too_many_are_evaluated(callee: str) -> None:
    talk = Talk(f"fn f(a) {{ return a }}\nstart: do {callee}(\nno1, b = no2,\n[1] as q, no3)")
    unknown = "is used before it was saved in memory"
    assert talk() == [
        f"! < no1 > {unknown} at line 3, column 1 at flow [main]",
        f"! < no2 > {unknown} at line 3, column 10 at flow [main]",
        "!! expression can't be converted to Literal at line 4, column 8 at flow [main]",
    ]


def test_a_function_sees_neither_locals_nor_memories_but_constants_and_the_event() -> None:
    flow = (
        "const K = 7\n"
        'fn f() { return [Exists("l"), Exists("m"), K, event, _env.e, _metadata.d] }\n'
        "start: do l = 1 remember m = 2 say f()"
    )
    talk = Talk(flow, env={"e": 1}, metadata={"d": 2})
    assert talk("hey") == [("array", [False, False, 7, "hey", 1, 2])]


def test_what_a_function_assigns_is_gone_afterwards() -> None:
    assert run('fn f() { do x = 1 return x }\nstart: say f() say Exists("x")') == ["1", "false"]


def test_a_parameter_is_the_functions_own() -> None:
    assert run("fn f(x) { do x += 1 return x }\nstart: do x = 1 say f(x) say x") == ["2", "1"]


def test_a_parameter_called_event_is_still_the_event() -> None:
    assert run("fn f(event) { return event }\nstart: say f(5)") == ["hi"]


def test_recursion() -> None:
    flow = "fn fac(n) { if (n < 2) { return 1 } return n * fac(n - 1) }\nstart: say fac(10)"
    assert run(flow) == ["3628800"]


def test_return_leaves_every_block_of_the_function() -> None:
    flow = (
        "fn f() { foreach (i) in [1, 2] { while (true) { if (i) { return i } } } return 9 }\n"
        "start: say f() say f()"
    )
    assert run(flow) == ["1", "1"]


def test_say_and_debug_in_a_function_are_heard() -> None:
    assert run("fn f() { say 1 debug 2 log 3 return 4 }\nstart: say f()") == [
        "1",
        ("debug", {"args": ["2"]}),
        "4",
    ]


FORBIDDEN = (
    "!! to start an action one of the following instructions is expected: "
    "[say, do, if, foreach, goto]"
)


@pytest.mark.parametrize("statement", ["hold", "hold_secure", "break", "continue"])
def test_some_statements_may_not_stand_in_a_function(statement: str) -> None:
    assert run(f"fn f() {{ say 1 {statement} say 2 }}\nstart: say f()") == ["1", FORBIDDEN]


def test_a_hold_in_a_block_of_a_function_leaves_the_block() -> None:
    flow = "fn f() { if (true) { hold_secure say 1 } say 2 return 3 }\nstart: say f()"
    talk = Talk(flow)
    assert talk() == ["2", "3"]
    assert talk.hold is None
    flow = "fn f() { foreach (i) in [1, 2] { hold say 1 } return 3 }\nstart: say f()"
    assert run(flow) == ["3"]
    flow = "fn f() { do i = 0 while (i < 2) { do i += 1 hold say 1 } return i }\nstart: say f()"
    assert run(flow) == ["2"]


def test_a_goto_in_a_function_does_not_leave_the_step_before_the_call_is_over() -> None:
    talk = Talk("fn f() { goto b }\nstart: do f() say 1 hold\nb: say 2")
    assert talk() in (["1"], ["2"], ["1", "2"])


def test_a_fatal_error_in_a_function_is_the_callers() -> None:
    assert run("fn f() { return 1 / 0 }\nstart: say f() say 1") == ["!! [!] Int: Division by zero"]


def test_a_native_cannot_be_overridden() -> None:
    assert run(
        "fn Length(x) { return 99 }\nfn Button(x) { return 99 }\nstart: say Length([1])"
    ) == ["1"]


def test_functions_may_be_declared_after_use_and_the_first_of_a_name_counts() -> None:
    assert run("start: say f()\nfn f() { return 1 }\nfn f() { return 2 }") == ["1"]


# --- closures ----------------------------------------------------------------------------------


def test_a_closure_is_called_by_the_name_of_its_variable() -> None:
    assert said("do f = (a, b) { return a - b } say f(5, 3)") == ["2"]


def test_a_closure_captures_what_it_mentions_when_it_is_made() -> None:
    body = "do n = 1 remember m = 2 do f = () { return [n, m] } do n = 9 do m = 9 say f()"
    assert said(body) == [("array", [1, 2])]


def test_assigning_a_closure_captures_anew() -> None:
    assert said("do n = 1 do f = () { return n } do n = 2 do g = f say g() say f()") == ["2", "1"]


def test_a_closure_keeps_what_is_missing_where_it_is_assigned() -> None:
    flow = "fn make(n) { return () { return n } }\nstart: do f = make(5) say f()"
    assert run(flow) == ["5"]


def test_arguments_win_over_captured_variables() -> None:
    assert said("do n = 1 do f = (n) { return n } say f(2)") == ["2"]


def test_what_a_closure_does_not_mention_it_does_not_carry() -> None:
    talk = Talk("start: do n = 1 do unused = 2 do f = () { return n } hold")
    talk()
    assert talk.locals["f"]["_closure"]["captured"] == {"n": 1}


def test_a_closure_that_mentions_memory_carries_everything_but_closures() -> None:
    talk = Talk(
        "start: remember m = 1 do n = 2 do g = () { return 0 } do f = () { return _memory } hold"
    )
    talk()
    assert talk.locals["f"]["_closure"]["captured"] == {"m": 1, "n": 2}


def test_errors_in_a_stored_closure_stand_where_it_was_written() -> None:
    flow = """start:
  do f = (é) { if (é) {
    return nope } }
  remember g = f
  hold
  say f(1)
  goto b
b: say g(1)
  say g(0) - 1
"""
    unknown = "< nope > is used before it was saved in memory at line 3, column 12 at flow [main]"
    illegal = "illegal operation: PrimitiveNull - PrimitiveInt at line 2, column 10 at flow [main]"
    talk = Talk(flow, is_forgetful=True)
    talk()
    assert talk() == [f"! {unknown}", None, f"! {unknown}", None, f"!! {illegal}"]


def test_a_stored_closure_is_read_whatever_place_it_is_said_to_have() -> None:
    for at in (None, 5, [], [1], [0, 0], [-1, 2], [1, 10**9], [10**9, 1], ["1", 1], [1.5, 1]):
        stored = {"_closure": {"source": "() { return 7 }", "captured": {}, "at": at}}
        assert Talk("start: say f()", memories={"f": stored})() == ["7"]


def test_storing_a_closure_again_and_again_does_not_grow_it() -> None:
    talk = Talk(
        "start: remember n = 1 remember f = () { return n } hold\n"
        "do f = f remember f = f hold remember f = f hold"
    )
    sizes = []
    for _ in range(3):
        talk()
        sizes.append(len(talk.memories["f"]))
    assert len(set(sizes)) == 1


def test_a_closure_outlives_its_flow() -> None:
    talk = Talk("start: do k = 40 remember f = (x) { return x + k } goto b\nb: hold")
    talk()
    talk.edit(main="start: say f(2) do g = f say g(3) say [1].map(f)")
    talk.hold = None
    talk.step = "start"
    assert talk() == ["42", "43", ("array", [41])]


def test_a_closure_in_a_memory_or_a_constant_is_called_by_name() -> None:
    talk = Talk(
        "const C = (x) { return x * 2 }\nstart: remember f = (x) { return x + 1 } "
        "say f(1) say C(4) do c = C say c(5)"
    )
    assert talk() == ["2", "8", "10"]


def test_a_local_closure_wins_over_a_memory() -> None:
    talk = Talk("start: do f = () { return 1 } remember f = () { return 2 } say f()")
    assert talk() == ["1"]


def test_a_closure_with_too_few_arguments_is_fatal() -> None:
    assert without_places(said("do f = (a) { return a } say f()")) == [TOO_FEW]


def test_the_null_of_a_closure_stands_at_its_parenthesis() -> None:
    (found,) = said("do f = () { do x = 1 } say f() + 1")
    assert found.endswith("at line 1, column 15 at flow [main]")


def test_closures_are_never_equal_and_show_their_source() -> None:
    assert said('do f = () { return 1 } say f == f say "{{f}}"') == ["false", "Null"]


# --- map, filter, reduce -----------------------------------------------------------------------


def test_map_sees_captured_variables_and_the_index() -> None:
    assert said("do k = 10 say [1, 2].map((x, i) { return x * k + i })") == [("array", [10, 21])]


def test_one_scope_serves_all_calls_of_a_map() -> None:
    assert said("say [1, 2, 3].map((x) { do n = Or(n, 0) do n += x return n })")[-1] == (
        "array",
        [1, 3, 6],
    )


def test_filter_keeps_what_is_true() -> None:
    assert said("say [0, 1, -1, 2].filter((x) { return x })") == [("array", [1, 2])]


def test_reduce_does_not_see_captured_variables() -> None:
    body = 'do k = 1 say [1].reduce(0, (acc, x) { return Exists("k") })'
    assert said(body) == ["false"]
    assert said("say [1, 2].reduce(0, (acc, x, i) { return acc + x * i })") == ["2"]


def test_a_fatal_error_in_a_mapped_closure_is_soft() -> None:
    assert without_places(said("say [1].map((x) { return x / 0 }) say 2")) == [
        "! [!] Int: Division by zero",
        None,
        "2",
    ]


def test_nested_closures_see_what_the_outer_ones_see() -> None:
    body = "do k = 1 say [1, 2].map((x) { return [10].map((y) { return x + y + k }) })"
    assert said(body) == [("array", [[12], [13]])]


# --- imports and inserts -----------------------------------------------------------------------

HOME = (
    "const K = 5\n"
    "fn f(x) { return helper(x) + 1 }\n"
    "fn helper(x) { return x * 10 }\n"
    "fn k() { return K }\n"
    "fn bad() { return 1 +\n null }\n"
    'visit: say "step of home" do x = K say x goto after\n'
    "arithmetic: say 1 + null\n"
)


def test_an_imported_function_runs_in_its_home() -> None:
    flows = {"main": "import f from home\nstart: say f(2)", "home": HOME}
    assert Talk(flows)() == ["21"]


def test_an_import_may_have_another_name_and_come_from_anywhere() -> None:
    flows = {"main": "import {f as g, helper}\nstart: say g(1) say helper(2)", "home": HOME}
    assert Talk(flows)() == ["11", "20"]


def test_an_import_from_a_module() -> None:
    talk = Talk("import f from modules/lib\nstart: say f(1)", modules={"lib": HOME})
    assert talk() == ["11"]


def test_a_constant_in_an_imported_function_is_its_homes() -> None:
    flows = {"main": "import k from home\nstart: say k()", "home": HOME}
    found = without_places(Talk(flows)())
    assert found == ["5"]


def test_an_error_in_an_imported_function_has_its_line_and_the_callers_flow() -> None:
    flows = {"main": "import bad from home\n\n\nstart: say bad()", "home": HOME}
    assert Talk(flows)() == [
        "!! illegal operation: PrimitiveInt + PrimitiveNull at line 5, column 19 at flow [main]"
    ]


def test_an_inserted_step_runs_in_the_flow_that_inserts_it() -> None:
    flows = {
        "main": "insert visit from home\nconst K = 6\nstart: goto visit\nafter: say _metadata._context.current_flow",
        "home": HOME,
    }
    assert Talk(flows)() == ["step of home", "6", "main"]


def test_arithmetic_in_an_inserted_step_names_the_flow_it_comes_from() -> None:
    flows = {"main": "insert arithmetic from home\nstart: goto arithmetic", "home": HOME}
    (found,) = Talk(flows)()
    assert found.endswith("at flow [home]")


def test_an_inserted_step_holds_and_goes_on() -> None:
    flows = {
        "main": "insert s from home\nstart: goto s",
        "home": "s: do x = 1 hold say x say event",
    }
    talk = Talk(flows)
    talk()
    assert talk("there") == ["1", "there"]


def test_an_imported_function_calls_the_constant_closures_of_its_home() -> None:
    flows = {
        "main": "import f from home\nconst C = (x) { return 0 }\nstart: say f(1)",
        "home": "const C = (x) { return x + 1 }\nfn f(x) { return C(x) }",
    }
    assert Talk(flows)() == ["2"]
