"""Names, paths, strings and special variables. Spec: csml-language §5.1, §5.2, §5.5, §5.6, §11."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.csml.talking import Talk, said, without_places

UNKNOWN = "! < nope > is used before it was saved in memory"


def texts(body: str, event: str = "hi", **options: Any) -> list[Any]:
    return without_places(said(body, event, **options))


# --- lookup ------------------------------------------------------------------------------------


def test_an_unknown_name_is_null_with_an_error_at_the_name() -> None:
    assert said("say nope") == [f"{UNKNOWN} at line 1, column 12 at flow [main]", None]


def test_the_null_of_an_unknown_name_knows_why() -> None:
    assert texts("do x = nope say x.is_error() say x.get_info().error") == [
        UNKNOWN,
        "true",
        UNKNOWN[2:],
    ]


def test_a_local_hides_a_memory() -> None:
    body = 'do 1 as x remember x = 2 say x forget x say Exists("x")'
    assert said(body) == ["1", "false"]


def test_a_constant_hides_everything_of_its_name() -> None:
    talk = Talk(
        'const K = "c"\nstart: remember K = 1 say 5 as K say K foreach (K) in [1] { say K }'
    )
    assert talk() == ["5", "c", "c"]


def test_a_constant_may_be_used_before_it_is_declared() -> None:
    assert Talk("start: say K\nconst K = 1 + 2")() == ["3"]


def test_the_last_constant_of_a_name_counts() -> None:
    assert Talk("const K = 1\nconst K = 2\nstart: say K")() == ["2"]


def test_function_names_are_no_values() -> None:
    talk = Talk("fn f() { return 1 }\nstart: say f say f()")
    assert without_places(talk())[-2:] == [None, "1"]


# --- members and elements ----------------------------------------------------------------------

PATHS: list[tuple[str, Any]] = [
    ('say {"a": {"b": [1, 2]}}.a.b[1]', "2"),
    ('do o = {"a b": 1} say o["a b"]', "1"),
    ('do o = {"k": 1} do key = "k" say o[key]', "1"),
    ("do a = [[1], [2]] say a[1][0]", "2"),
    ('say "héllo"[1]', "é"),
    ('do s = "abc" say s[2]', "c"),
    ('say "abc"[0].length()', "1"),
    ('do s = "abc" say s[0].to_uppercase()', "A"),
    ('do s = "abc" do s[0].to_uppercase() say s', "abc"),
    ('say "abc"[0][0]', "a"),
    ("do a = [1, 2] say a.length() + 1", "3"),
    ("say [3, 1].reverse()[0]", "1"),
    ('do o = {"length": 5} say o.length', "5"),
    ('do o = {"x": [1]} say o.x.length()', "1"),
    ('do o = {"x": "e"} say o["x"].length()', "1"),
]


@pytest.mark.parametrize(("body", "wanted"), PATHS)
def test_a_path_leads_to_a_value(body: str, wanted: Any) -> None:
    assert said(body) == [wanted]


MISSING: list[tuple[str, list[Any]]] = [
    ('do o = {"a": 1} say o.b', ["! [b] key does not exist", None]),
    ("do a = [1] say a.b", ["! [b] key does not exist", None]),
    ("do a = [1] say a[1]", ["! [1] index must be lower than or equal to array.length()", None]),
    (
        "do a = [1] do i = 0 - 1 say a[i]",
        ["! [18446744073709551615] index must be lower than or equal to array.length()", None],
    ),
    (
        'do o = {"0": 1} say o[0]',
        ["! [0] index must be lower than or equal to array.length()", None],
    ),
    ("do five = 5 say five.k", ["! [k] key does not exist", None]),
    ('do o = {"a": 1} say o.b.c.d', ["! [b] key does not exist", None]),
    ("say nope.x", [UNKNOWN, "! [x] key does not exist", None]),
    ('do s = "a" say s[1]', ["! [1] index must be lower than or equal to array.length()", None]),
    ("do a = [1] say a[0].k", ["! [k] key does not exist", None]),
]


@pytest.mark.parametrize(("body", "wanted"), MISSING)
def test_a_missing_member_is_a_soft_error_and_null(body: str, wanted: list[Any]) -> None:
    assert texts(body) == wanted


def test_a_missing_member_stands_at_its_name_and_a_missing_element_at_its_bracket() -> None:
    (member, _) = said('do o = {"a": 1} say o.bee')
    assert member == "! [bee] key does not exist at line 1, column 30 at flow [main]"
    (element, _) = said("do a = [1] say a[5]")
    assert element.endswith(" at line 1, column 24 at flow [main]")


@pytest.mark.parametrize("index", ["1.0", "null", "true", "[1]", "{}"])
def test_an_index_that_is_neither_int_nor_text_is_fatal_and_said_twice(index: str) -> None:
    reason = 'index must be of type int or string. Example var.[42] or var.["key"]'
    assert texts(f"do a = [1] say a[{index}] say 2") == [f"! {reason}", f"!! {reason}"]


def test_a_bad_index_on_a_literal_is_said_once() -> None:
    (only,) = texts("say [1][null]")
    assert only.startswith("!! index must be of type int or string")


def test_index_and_arguments_are_evaluated_again_on_an_unknown_name() -> None:
    talk = Talk('fn f(x) { debug x return x }\nstart: say nope[f("k")]')
    assert without_places(talk()) == [
        ("debug", {"args": ["k"]}),
        UNKNOWN,
        ("debug", {"args": ["k"]}),
        "! [k] key does not exist",
        None,
    ]


def test_a_fatal_error_in_an_argument_is_said_softly_first() -> None:
    reason = "illegal operation: PrimitiveNull + PrimitiveInt"
    assert texts("do a = [1] say a.push(null + 1)") == [f"! {reason}", f"!! {reason}"]


def test_what_follows_a_group_with_a_path_is_dropped() -> None:
    assert said('do o = {"a": {"b": 1}} say (o.a).b') == [("object", {"b": 1})]


def test_a_named_argument_of_a_method_is_a_soft_error() -> None:
    assert texts("do a = [1] say a.push(x = 1)") == ["! arguments in method are not named", None]


def test_a_method_on_a_value_that_lacks_it_is_a_soft_error() -> None:
    assert texts("do x = 5 say x.push(1)") == ["! [push] is not a method of Int", None]
    assert texts("do f = () {return 1} say f.nothing()") == [
        "! [nothing] Closure don't have methods",
        None,
    ]


def test_a_constant_cannot_be_changed_by_a_method() -> None:
    talk = Talk("const A = [1]\nstart: do A.push(2) say A")
    assert without_places(talk()) == [
        "! Invalid operation constants can not execute self mutable functions",
        ("array", [1]),
    ]


# --- warnings off ------------------------------------------------------------------------------

QUIET: list[tuple[str, list[Any]]] = [
    ("if (nope) say 1 else say 2", ["2"]),
    ("if (!nope) say 1", ["1"]),
    ("say nope == 1", ["false"]),
    ("say nope == null", ["true"]),
    ("say 1 == [nope]", ["false"]),
    ('say 1 == {"k": nope}', ["false"]),
    ("do a = [1] say a[9] == null", ["true"]),
    ('do o = {} say o.x == o["y"]', ["true"]),
    ("say Or(nope, 3)", ["3"]),
    ('do o = {} say Or(o.x, "none")', ["none"]),
    ("do a = [1] say a.find(nope).length() == 0", ["true"]),
    ("while (nope) { say 1 }", []),
    ("say !nope", ["true"]),
]


@pytest.mark.parametrize(("body", "wanted"), QUIET)
def test_warnings_are_off_in_conditions_operands_and_or(body: str, wanted: list[Any]) -> None:
    assert said(body) == wanted


def test_warnings_are_on_again_in_interpolations_and_call_arguments() -> None:
    assert texts('if ("{{nope}}" == "Null") say 1') == [UNKNOWN, "1"]
    assert texts("if (Length(nope) == 1) say 1")[0] == UNKNOWN
    assert texts("do a = [1] if (a.reverse().k) say 1") == ["! [k] key does not exist"]


@pytest.mark.parametrize("operator", ["+", "==", ">=", "&&", "||", "match", "!match"])
def test_the_result_of_an_operator_stands_where_the_left_value_was_made(operator: str) -> None:
    found = Talk(f"start: do x = 1\n say (x {operator} 2) - null")()
    assert found[-1].endswith("- PrimitiveNull at line 1, column 15 at flow [main]")


def test_the_result_of_a_negation_stands_at_what_is_negated() -> None:
    illegal = "illegal operation: PrimitiveBoolean - PrimitiveNull"
    at = "at line 1, column 14 at flow [main]"
    assert said("say (!x - null)") == ["true"]
    assert said("say (!x) - null") == [f"!! {illegal} {at}"]
    assert Talk("const A = (!1)\nstart: say A - null")() == [
        f"!! {illegal} at line 1, column 13 at flow [main]"
    ]


@pytest.mark.parametrize("operator", ["+", "%", "==", ">", "&&", "||", "match", "!match"])
def test_the_right_operand_is_evaluated_even_if_the_left_one_fails(operator: str) -> None:
    flow = "fn f(x) { debug x return x - null }\n"
    talk = Talk(f"{flow}start: if ((1 / 0) {operator} f(2)) say 3 do x = 1 / 0 {operator} f(4)")
    assert without_places(talk()) == [
        ("debug", {"args": ["2"]}),
        ("debug", {"args": ["4"]}),
        "!! [!] Int: Division by zero",
    ]


def test_what_a_failed_operation_stored_in_passing_stays() -> None:
    assert texts(
        "do l = [] if (1 / 0 == l.push(5)) say 1 if (1 / 0 + (2 as x)) say 1 say l say x"
    ) == [
        ("array", [5]),
        "2",
    ]


def test_a_missing_element_gives_a_null_without_info_when_quiet() -> None:
    assert texts("do a = [1] say Or(a[5], 2)") == [None]


def test_a_plain_null_is_not_replaced_by_or() -> None:
    assert said("do x = null say Or(x, 2)") == [None]


# --- strings -----------------------------------------------------------------------------------


def test_a_string_shows_the_texts_of_what_stands_in_it() -> None:
    body = 'do o = {"b": 1.0, "a": null} say "{{1.0}} {{null}} {{o}} {{[1, \\"x\\"]}} {{1 + 1}}"'
    assert said(body) == ['1 Null {"a":null,"b":1.0} [1,"x"] 2']


def test_a_secret_needs_no_more_than_one_place_to_make_a_string_secret() -> None:
    talk = Talk('start: hold_secure say "a{{event}}b"')
    talk()
    assert without_places(talk("s3cret")) == ["! Secure variable can not be displayed"]


# --- as ----------------------------------------------------------------------------------------


def test_as_stores_a_local_and_gives_the_value() -> None:
    assert said("say (1 as x) + 1 say x") == ["2", "1"]


def test_as_stores_a_local_even_if_a_memory_has_the_name() -> None:
    talk = Talk("start: remember x = 1 say 2 as x say x hold")
    assert talk() == ["2", "2"]
    assert talk.remembered == {"x": 1}
    assert talk.locals == {"x": 2}


# --- special names -----------------------------------------------------------------------------


def test_event_is_the_text_and_its_members_are_the_contents() -> None:
    talk = Talk("start: say event say event.text say event.more.deep[0] say event.nope")
    found = talk("hey", content={"text": "hey", "more": {"deep": [7]}})
    assert without_places(found) == ["hey", "hey", "7", "! [nope] key does not exist", None]


def test_parts_of_the_event_count_as_created_where_it_is_used() -> None:
    talk = Talk("start:\n do l = event.more.deep\n say l[0] - event.text")
    found = talk("hey", content={"text": "hey", "more": {"deep": ["x"]}})
    operation = "illegal operation: PrimitiveString - PrimitiveString"
    assert found == [f"!! {operation} at line 2, column 9 at flow [main]"]


def test_event_methods_work_on_the_text() -> None:
    assert said("say event.get_type() say event.to_uppercase() say event.is_int()", "hé") == [
        "text",
        "HÉ",
        "false",
    ]


def test_a_method_that_changes_the_event_changes_a_copy() -> None:
    talk = Talk("start: do event.list.push(3) say event.list")
    assert talk("x", content={"text": "x", "list": [1]}) == [("array", [1])]


def test_metadata_is_the_requests_with_the_context() -> None:
    talk = Talk(
        "start: say _metadata.k say _metadata.none say _metadata._context goto b\n"
        "b: say _metadata._context.previous_step",
        metadata={"k": [1]},
    )
    assert talk() == [
        ("array", [1]),
        None,
        ("object", {"current_step": "start", "current_flow": "main", "default_flow": "main"}),
        "start",
    ]


@pytest.mark.parametrize("metadata", [None, [1], "x", 5, {"k": 2**63}, {"k": [{"l": -(2**70)}]}])
def test_metadata_that_is_no_object_or_has_a_huge_integer_is_empty(metadata: Any) -> None:
    (shown,) = Talk("start: say _metadata", metadata=metadata)()
    assert list(shown[1]) == ["_context"]


def test_the_first_element_of_a_metadata_path_must_be_a_key() -> None:
    for path in ("_metadata[0]", "_metadata.keys()"):
        (only,) = texts(f"say {path}")
        assert only.startswith("!! index must be of type")


def test_a_method_changes_a_copy_of_metadata() -> None:
    talk = Talk("start: do _metadata.l.push(2) say _metadata.l", metadata={"l": [1]})
    assert talk() == [("array", [1])]


def test_a_bot_switch_shows_in_the_context() -> None:
    talk = Talk("start: say _metadata._context.previous_bot.bot")
    assert talk(previous_bot={"bot": "b", "flow": "f", "step": "s"}) == ["b"]


def test_env_is_read_only_and_a_copy_is_not() -> None:
    body = "say _env.k do _env.l.push(1) do e = _env do e.l.push(2) say e.l say _env.l say _env"
    found = texts(body, env={"k": 1, "l": []})
    assert found == [
        "1",
        "! Invalid operation constants can not execute self mutable functions",
        ("array", [2]),
        ("array", []),
        ("object", {"k": 1, "l": []}),
    ]


def test_without_env_every_member_is_missing() -> None:
    assert texts("say _env say _env.k") == [None, "! [k] key does not exist", None]


def test_memory_shows_memories_and_locals_as_a_copy() -> None:
    body = "remember a = [1] do b = 2 do _memory.a.push(5) say _memory say a say _memory.b"
    assert said(body) == [("object", {"a": [1], "b": 2}), ("array", [1]), "2"]


def test_in_a_function_memory_shows_only_its_own_variables() -> None:
    talk = Talk("fn f(x) { do y = 2 return _memory }\nstart: remember a = 1 say f(0)")
    assert talk() == [("object", {"x": 0, "y": 2})]


def test_component_alone_is_fatal() -> None:
    assert texts("say Component") == ["!! component must have a function applied"]
    assert texts("say Component.Nothing()") == ["!! function does not exist for component"]
    assert texts("say Component.x") == ["!! function does not exist for component"]


def test_a_custom_component_is_built_and_may_be_followed() -> None:
    component = {"params": [{"text": {"type": "String", "required": True}}]}
    body = 'say Component.Note(text = "x") say Component.Note(text = "y").text say 1'
    found = said(body, components={"Note": component})
    assert found == [("Component.note", {"text": "x"}), "y", "1"]


def test_an_error_of_a_custom_component_is_fatal() -> None:
    component = {"params": [{"text": {"type": "String", "required": True}}]}
    (only,) = texts("say Component.Note()", components={"Note": component})
    assert only.startswith("!! ")


def test_a_missing_member_before_a_changing_method_ends_the_path() -> None:
    assert texts("do o = {} do o.list.push(1) say o") == [
        "! [list] key does not exist",
        ("object", {}),
    ]


def test_an_env_with_a_number_that_does_not_fit_is_null() -> None:
    assert texts("say _env", env={"n": 2**63}) == [None]
