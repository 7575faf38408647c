"""Statements. Spec: csml-language §6, §12."""

from __future__ import annotations

import json
from typing import Any

import pytest

from palaver.effects import HttpAnswer, Log
from tests.unit.csml.fakes import FakeHost
from tests.unit.csml.talking import Talk, said, without_places


def texts(body: str, event: str = "hi", **options: Any) -> list[Any]:
    return without_places(said(body, event, **options))


# --- say ---------------------------------------------------------------------------------------

SAID: list[tuple[str, Any]] = [
    ('say "a"', "a"),
    ("say 1", "1"),
    ("say 4.0", "4"),
    ("say true", "true"),
    ("say null", None),
    ("say [1, [2.0]]", ("array", [1, [2.0]])),
    ('say {"a": 1}', ("object", {"a": 1})),
    ('say [Button("a")]', ("array", [{"title": "a", "payload": "a", "accepts": ["a", "a"]}])),
    ("say (a) { return a }", ("closure", {"_closure": "(a) { return a }"})),
    ("say Wait(500)", ("wait", {"duration": 500})),
]


@pytest.mark.parametrize(("body", "wanted"), SAID)
def test_a_message_is_made_by_the_kind_of_value(body: str, wanted: Any) -> None:
    assert said(body) == [wanted]


def test_a_component_in_a_deeper_level_is_wrapped() -> None:
    (shown,) = said('say [[Button("a")]]')
    assert shown[1][0][0]["content_type"] == "button"


def test_say_as_also_stores() -> None:
    assert said("say 1 as x say x") == ["1", "1"]


def test_a_message_of_16000_bytes_is_fatal() -> None:
    assert said('say "{{event}}"', "x" * 15_999) == ["x" * 15_999]
    for text in ("x" * 16_000, "é" * 8_000):
        (only,) = said("say event", text)
        assert only == (
            "!! payload exceeds max payload size (16kb) at line 1, column 12 at flow [main]"
        )


def test_an_array_or_object_of_16000_bytes_is_fatal() -> None:
    for body in ("say [event]", 'say {"a": event}'):
        (only,) = texts(body, "x" * 15_998)
        assert only == "!! payload exceeds max payload size (16kb)"


# --- do ----------------------------------------------------------------------------------------

COMPOUND: list[tuple[str, str]] = [
    ("do x = 7 do x += 2", "9"),
    ("do x = 7 do x -= 2", "5"),
    ("do x = 7 do x *= 2", "14"),
    ("do x = 7 do x /= 2", "3.5"),
    ("do x = 7 do x %= 2", "1"),
    ('do x = "a" do x += "b"', "ab"),
    ('do o = {"n": 1} do o.n += 4 do x = o.n', "5"),
    ("do a = [1, 2] do a[1] *= 5 do x = a[1]", "10"),
    ("do x = 1 do 2 as x", "2"),
]


@pytest.mark.parametrize(("body", "wanted"), COMPOUND)
def test_an_assignment_changes_what_it_addresses(body: str, wanted: str) -> None:
    assert said(f"{body} say x") == [wanted]


def test_a_failing_compound_assignment_is_soft_and_leaves_the_text() -> None:
    reason = "illegal operation: PrimitiveInt + PrimitiveNull"
    assert texts("do x = 1 do x += null say x") == [f"! {reason}", reason]
    assert texts("do x = 1 do x /= 0 say x") == [
        "! [!] Int: Division by zero",
        "[!] Int: Division by zero",
    ]


def test_the_result_of_a_compound_assignment_stands_at_its_right_side() -> None:
    text = "illegal operation: PrimitiveInt - PrimitiveNull at line 2, column 11 at flow [main]"
    assert Talk("start: do x = 1\n do x += (2 + 3)\n say x - null")() == [f"!! {text}"]
    assert Talk("start: do x = 1\n do x += [2]\n do x -= 1 say 5")() == [
        "! illegal operation: PrimitiveInt + PrimitiveArray at line 1, column 15 at flow [main]",
        "! illegal operation: PrimitiveString - PrimitiveInt at line 2, column 10 at flow [main]",
        "5",
    ]


def test_a_compound_assignment_of_an_unknown_name_starts_from_null() -> None:
    reason = "illegal operation: PrimitiveNull + PrimitiveInt"
    assert texts("do x += 1 say x") == [f"! {reason}", reason]
    assert texts("do o = {} do o.x += 1 say o.x") == [f"! {reason}", reason]


def test_assigning_a_member_adds_or_replaces_it() -> None:
    assert said('do o = {"a": 1} do o.a = 2 do o["b c"] = 3 say o') == [
        ("object", {"a": 2, "b c": 3})
    ]


INSERTS: list[tuple[str, str]] = [
    ("do fresh.a = 1", "[insert] is not a method of Null"),
    ("do a = [1] do a.k = 1", "[insert] is not a method of Array"),
    ('do a = [1] do a["0"] = 1', "[insert] is not a method of Array"),
    ('do s = "x" do s.k = 1', "[insert] is not a method of String"),
    ("do f = () { return 1 } do f.k = 1", "[insert] Closure don't have methods"),
    ("do t = Time() do t.k = 1", "[insert] is not a method of Object"),
]


@pytest.mark.parametrize(("body", "reason"), INSERTS)
def test_a_member_of_what_is_no_object_is_fatal(body: str, reason: str) -> None:
    assert texts(f"{body} say 1") == [f"!! {reason}"]


def test_an_element_that_does_not_exist_is_not_assigned() -> None:
    reason = "! [1] index must be lower than or equal to array.length()"
    assert texts("do a = [1] do a[1] = 2 say a") == [reason, ("array", [1])]
    assert texts('do o = {"k": 1} do o[1] = 2 say o') == [reason, ("object", {"k": 1})]


def test_a_missing_member_on_the_way_is_not_assigned() -> None:
    assert texts("do o = {} do o.a.b = 1 say o") == ["! [a] key does not exist", ("object", {})]


def test_a_character_is_replaced_by_the_text_of_the_value() -> None:
    assert said('do s = "abc" do s[1] = 42 say s') == ["a42c"]
    assert said('do o = {"s": ["abc"]} do o.s[0][2] = "é" say o.s[0]') == ["abé"]
    assert texts('do s = "abc" do s[3] = "x" say s') == [
        "! [3] index must be lower than or equal to array.length()",
        "abc",
    ]


def test_the_right_side_is_evaluated_before_the_index_of_the_target() -> None:
    talk = Talk("fn f(x) { debug x return x }\nstart: do a = [1, 2] do a[f(0)] = f(1) say a")
    assert [m[1] for m in talk()] == [{"args": ["1"]}, {"args": ["0"]}, [1, 2]]


def test_a_target_with_a_method_is_only_called() -> None:
    assert said("do a = [1, 2] do a.pop() = 5 say a") == [("array", [1])]
    assert texts("do nope.pop() = 5") == ["! [pop] is not a method of Null"]


def test_do_on_a_remembered_name_remembers() -> None:
    talk = Talk('start: remember x = 1 do x = 2 remember o = {"k": 1} do o.k = 2 hold')
    talk()
    assert talk.remembered == {
        "x": 2,
        "o": {"_content_type": "object", "_content": {"k": 2}},
    }
    assert talk.locals == {}


def test_do_as_on_a_remembered_name_remembers_too() -> None:
    talk = Talk("start: remember x = 1 do 2 as x hold")
    talk()
    assert talk.remembered == {"x": 2}


def test_a_failed_assignment_to_a_remembered_name_writes_it_all_the_same() -> None:
    talk = Talk("start: do a[5] = 2", memories={"a": [1]})
    talk()
    assert [type(e).__name__ for e in talk.effects] == ["Say", "End", "Remember"]


def test_a_compound_assignment_of_a_memory_remembers() -> None:
    talk = Talk("start: do n += 1 do o.n += 1 say n", memories={"n": 1, "o": {"n": 1}})
    assert talk() == ["2"]
    assert talk.remembered["o"] == {"_content_type": "object", "_content": {"n": 2}}


def test_a_constant_cannot_be_assigned() -> None:
    talk = Talk('const K = {"a": 1}\nstart: do K = 2 do K.b = 3 say K')
    assert without_places(talk()) == [
        "! const variables are immutable",
        "! const variables are immutable",
        "! [b] key does not exist",
        ("object", {"a": 1}),
    ]


def test_a_compound_assignment_to_a_constant_is_calculated_and_refused() -> None:
    talk = Talk('const K = {"a": "x"}\nstart: do K.a += "y" do K.a -= 2 say K')
    assert talk() == [
        "! const variables are immutable at line 2, column 19 at flow [main]",
        "! illegal operation: PrimitiveString - PrimitiveInt at line 1, column 18 at flow [main]",
        "! const variables are immutable at line 2, column 32 at flow [main]",
        ("object", {"a": "x"}),
    ]


# --- remember, forget, use ---------------------------------------------------------------------


def test_remember_stores_at_once_and_lasts() -> None:
    talk = Talk("start: if (n) say n else say 0 remember n = 5 say n")
    assert talk() == ["0", "5"]
    assert talk() == ["5", "5"]


def test_remember_as_stores_too() -> None:
    talk = Talk("start: remember 5 as n")
    talk()
    assert talk.remembered == {"n": 5}


def test_a_remembered_value_keeps_its_content_type_and_its_error() -> None:
    talk = Talk(
        'start: remember b = Button("a") remember e = nope goto b\nb: hold say b say Or(e, 1)'
    )
    talk()
    assert talk() == [("button", {"title": "a", "payload": "a", "accepts": ["a", "a"]}), "1"]


def test_forget_removes_a_name_everywhere() -> None:
    body = 'do x = 1 remember x = 2 remember y = 3 forget x say Exists("x") say y forget [y, zz]'
    talk = Talk(f"start: {body}")
    assert talk() == ["false", "3"]
    assert talk.remembered == {}


def test_forget_star_removes_everything() -> None:
    talk = Talk("start: do x = 1 forget * say _memory remember z = 1", memories={"a": 1})
    assert talk() == [("object", {})]
    assert talk.remembered == {"z": 1}


def test_a_function_forgets_only_for_later() -> None:
    talk = Talk(
        'fn f() { do y = 1 forget a return Exists("y") }\nstart: say f() say a', memories={"a": 1}
    )
    assert talk() == ["true", "1"]
    assert talk.remembered == {}


def test_use_stores_a_local() -> None:
    assert said("use (1 + 2) as x say x") == ["3"]


# --- if, while, foreach ------------------------------------------------------------------------


@pytest.mark.parametrize(("x", "wanted"), [(1, "a"), (2, "b"), (3, "c")])
def test_the_first_true_branch_runs(x: int, wanted: str) -> None:
    body = f'do x = {x} if (x == 1) say "a" else if (x == 2) {{ say "b" }} else say "c"'
    assert said(body) == [wanted]


def test_no_branch_need_run() -> None:
    assert said("if (0) say 1") == []


def test_a_fatal_error_in_a_condition_is_false() -> None:
    assert said("if (1 / 0) say 1 else say 2") == ["2"]
    assert said("say !(null + 1)") == ["true"]
    assert said("while (null + 1) { say 1 } say 2") == ["2"]


def test_both_sides_of_and_and_or_are_evaluated() -> None:
    talk = Talk("fn f(x) { debug x return x }\nstart: say f(0) && f(1) say f(1) || f(0)")
    assert [m[1]["args"][0] for m in talk() if isinstance(m, tuple)] == ["0", "1", "1", "0"]
    assert texts("say 1 || 1 / 0") == ["!! [!] Int: Division by zero"]


def test_while_looks_again_before_every_round() -> None:
    assert said("do i = 0 while (i < 3) { do i += 1 say i }") == ["1", "2", "3"]


def test_break_and_continue_mean_the_innermost_loop() -> None:
    body = (
        "foreach (i) in [1, 2] { foreach (j) in [1, 2, 3] {"
        ' if (j == 1) continue if (j == 3) break say "{{i}}{{j}}" } }'
    )
    assert said(body) == ["12", "22"]
    body = "do i = 0 while (true) { do i += 1 if (i == 1) continue if (i == 3) break say i }"
    assert said(body) == ["2"]


def test_foreach_walks_over_an_array_with_indices() -> None:
    assert said('foreach (x, i) in ["a", "b"] { say "{{i}}{{x}}" }') == ["0a", "1b"]


def test_the_index_of_a_foreach_stands_where_its_element_does() -> None:
    text = "illegal operation: PrimitiveInt - PrimitiveNull at line 1, column 28 at flow [main]"
    assert said('foreach (x, i) in ["a"] { say i - null }') == [f"!! {text}"]


def test_foreach_walks_over_the_characters_of_a_text() -> None:
    assert said('foreach (c) in "aé" { say c }') == ["a", "é"]


@pytest.mark.parametrize("value", ["5", "null", '{"a": 1}', "true"])
def test_foreach_over_anything_else_is_fatal(value: str) -> None:
    assert texts(f"foreach (x) in {value} {{ say x }}") == [
        "!! foreach only accepts iterable elements like arrays and strings. "
        "Example: foreach(elem) in [1, 2, 3]"
    ]


@pytest.mark.parametrize("array", ["[1, 2]", "[]"])
def test_the_loop_variables_are_gone_afterwards(array: str) -> None:
    body = (
        f'do x = 5 do i = 6 foreach (x, i) in {array} {{ do y = 1 }} say Exists("x") || Exists("i")'
    )
    assert said(body) == ["false"]


def test_a_break_also_removes_the_loop_variables() -> None:
    assert said('foreach (x, i) in [1] { break } say Exists("x") || Exists("i")') == ["false"]


def test_assigning_the_element_does_not_change_the_array() -> None:
    assert said("do a = [1, 2] foreach (x) in a { do x = 9 } say a") == [("array", [1, 2])]


def test_variables_of_a_block_are_seen_behind_it() -> None:
    assert said("if (true) { do x = 1 } foreach (i) in [1] { do y = 2 } say x + y") == ["3"]


# --- return, debug, log ------------------------------------------------------------------------


def test_return_in_a_step_ends_the_turn_silently() -> None:
    talk = Talk("start: say 1 return 2 say 3")
    assert talk() == ["1"]
    assert not talk.has_ended
    assert talk() == ["1"]


def test_debug_shows_the_text_form() -> None:
    assert said('debug {"a": 1.0}') == [("debug", {"args": ['{"a":1.0}']})]


def test_log_writes_flow_line_and_level() -> None:
    talk = Talk('start:\n  log "a"\n  log error 5\n  log debug [1]')
    assert talk() == []
    assert talk.logs == [
        Log("main", 2, "a", "info"),
        Log("main", 3, "5", "error"),
        Log("main", 4, "[1]", "debug"),
    ]


# --- fatal errors ------------------------------------------------------------------------------


def test_a_fatal_error_ends_the_conversation_and_keeps_what_came_before() -> None:
    talk = Talk("start: say 1 remember x = 2 say 1 / 0 say 3")
    assert without_places(talk()) == ["1", "!! [!] Int: Division by zero"]
    assert talk.has_ended
    assert talk.remembered == {"x": 2}


POSITIONS: list[tuple[str, int, int]] = [
    ('start:\n  do a = "one"\n  do c = [a]\n  say c[0] * 2', 2, 11),
    ("start:\n  say 1 + null", 2, 7),
    ("start:\n  say event * 2", 2, 7),
    ("start:\n  do x = 5\n  foreach (i) in x { say i }", 2, 10),
    ("start:\n  do x = [1].length()\n  goto $x", 2, 14),
    ("fn f(x) {\n  return x + null\n}\nstart:\n  say f(\n  7)", 6, 3),
]


@pytest.mark.parametrize(("flow", "line", "column"), POSITIONS)
def test_a_fatal_error_stands_where_its_value_was_created(
    flow: str, line: int, column: int
) -> None:
    found = Talk(flow)("abc")[-1]
    assert found.endswith(f" at line {line}, column {column} at flow [main]"), found


def test_a_value_restored_after_a_hold_stands_nowhere() -> None:
    talk = Talk('start: do a = "x" hold say a * 2')
    talk()
    assert talk()[0].endswith(" at line 0, column 0 at flow [main]")


def test_a_value_restored_from_a_memory_stands_where_it_is_used() -> None:
    talk = Talk("start:\n  say m * 2", memories={"m": "x"})
    assert talk()[0].endswith(" at line 2, column 7 at flow [main]")


# --- calls -------------------------------------------------------------------------------------


def test_an_unknown_function_is_a_soft_error_and_its_arguments_are_evaluated() -> None:
    assert texts("say nothing(nope)") == [
        "! < nope > is used before it was saved in memory",
        "! Unknown builtin [nothing]",
        None,
    ]


def test_a_built_in_fails_softly() -> None:
    assert texts("say Floor(1)") == [
        "! Floor builtin expects one argument of type float. Example: Floor(4.2)",
        None,
    ]
    assert texts("say Button()")[1] is None


def test_a_second_positional_argument_behind_a_named_one_is_fatal() -> None:
    assert texts("say Find(1, in = 2, 3)") == ["!! expression can't be converted to Literal"]
    assert texts('say Find(in = "abc", "b")')[0] != "!! expression can't be converted to Literal"


def test_the_answer_of_an_app_is_interpolated() -> None:
    def answered(text: str) -> list[Any]:
        body = json.dumps({"data": text})
        host = FakeHost(answers=[HttpAnswer(200, {}, body)])
        return texts('do x = 2 say App("a")', host=host, has_apps=True)

    assert answered("n {{x + 1}}") == ["n 3"]
    assert answered("{{x") != ["{{x"]
    assert answered("{{1 + null}}") == ["! illegal operation: PrimitiveInt + PrimitiveNull", None]
