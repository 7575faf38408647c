"""Holding and resuming. Spec: csml-language §7.5, with Palaver's corrections."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.csml.talking import Talk, without_places


def numbers(body: str) -> list[int]:
    """The command index of every hold that a conversation meets."""
    talk = Talk(f"start: {body}")
    found = []
    for _ in range(8):
        talk()
        if talk.record is None:
            break
        found.append(talk.record["index"]["command_index"])
    return found


NUMBERS: list[tuple[str, list[int]]] = [
    ("hold", [0]),
    ("say 1 hold say 2 hold", [1, 3]),
    ("if (true) { say 1 hold } hold", [1, 2]),
    ("if (false) { say 1 } else { hold } hold", [1, 2]),
    ("if (false) { say 1 say 2 } else if (true) { hold } else { say 3 } hold", [2, 4]),
    ("foreach (i) in [1, 2] { say i hold } hold", [1, 1, 2]),
    ("do i = 0 while (i < 2) { do i += 1 hold } hold", [2, 2, 3]),
    ("if (true) { } hold", [0]),
    ("foreach (i) in [] { hold } hold", [1]),
    ("say 1 do x = () { say 1 say 2 } hold", [2]),
]


@pytest.mark.parametrize(("body", "wanted"), NUMBERS)
def test_statements_are_numbered_depth_first(body: str, wanted: list[int]) -> None:
    assert numbers(body) == wanted


def test_the_record_is_what_the_reference_stores() -> None:
    talk = Talk('start: do x = {"a": 1} foreach (i) in [1, 2] { foreach (j) in "ab" { hold } }')
    talk()
    talk()
    talk()
    record = talk.record
    assert record.keys() == {"index", "step_vars", "hash", "previous", "secure"}
    assert record["index"] == {"command_index": 1, "loop_index": [1, 0]}
    assert record["step_vars"] == {
        "x": {"_content_type": "object", "_content": {"a": 1}},
        "i": 2,
        "j": "a",
    }
    assert len(record["hash"]) == 32
    assert record["previous"] is None
    assert record["secure"] is False


def test_locals_survive_a_hold_and_the_event_is_new() -> None:
    talk = Talk("start: do x = 1 say event hold say x say event")
    assert talk("one") == ["one"]
    assert talk("two") == ["1", "two"]
    assert talk.has_ended


def test_a_component_and_a_closure_survive_a_hold() -> None:
    talk = Talk(
        'start: do b = Button("x") do k = 2 do f = (n) { return n * k } hold say b say f(4)'
    )
    talk()
    assert talk() == [("button", {"title": "x", "payload": "x", "accepts": ["x", "x"]}), "8"]


def test_an_error_in_a_local_is_forgotten_over_a_hold() -> None:
    talk = Talk("start: do x = nope say Or(x, 1) hold say Or(x, 1)")
    assert without_places(talk())[-1] == "1"
    assert talk() == [None]


def test_statements_before_the_hold_are_not_run_again() -> None:
    talk = Talk("start: say 1 if (true) { say 2 hold say 3 } say 4")
    assert talk() == ["1", "2"]
    assert talk() == ["3", "4"]


def test_the_branch_is_entered_without_looking_at_its_condition() -> None:
    talk = Talk("start: do x = 1 if (x == 1) { do x = 2 hold say x } else { say 9 } say 4")
    talk()
    assert talk() == ["2", "4"]


@pytest.mark.parametrize(("choice", "wanted"), [("a", ["a"]), ("b", ["b"]), ("c", ["c"])])
def test_every_branch_resumes_where_it_held(choice: str, wanted: list[str]) -> None:
    talk = Talk(
        'start: if (event == "a") { say 0 hold say "a" } else if (event == "b")'
        ' { hold say "b" } else { say 0 say 0 hold say "c" }'
    )
    talk(choice)
    assert talk("a") == wanted


# --- loops -------------------------------------------------------------------------------------


def test_a_foreach_goes_on_at_its_iteration() -> None:
    talk = Talk(
        'start: foreach (x, i) in ["a", "b", "c"] { say x hold say "{{i}}{{x}}{{event}}" } say 9'
    )
    assert talk("0") == ["a"]
    assert talk("1") == ["0a1", "b"]
    assert talk("2") == ["1b2", "c"]
    assert talk("3") == ["2c3", "9"]


def test_the_list_of_a_foreach_is_evaluated_again() -> None:
    talk = Talk("start: do a = [1, 2] foreach (x) in a { say x do a.push(x + 2) hold say x }")
    found = [talk() for _ in range(5)]
    assert found == [["1"], ["1", "2"], ["2", "3"], ["3", "4"], ["4", "5"]]


def test_a_foreach_whose_list_became_too_short_is_over() -> None:
    for rest in ("[]", "[1]"):
        talk = Talk(
            f"start: do a = [1, 2] foreach (x) in a {{ if (x == 2) {{ do a = {rest} hold say 5 }} }} say 6 hold say 7"
        )
        talk()
        assert talk() == ["6"], rest
        assert talk() == ["7"]


def test_nested_loops_go_on_where_they_were() -> None:
    talk = Talk(
        "start: foreach (i) in [1, 2] { foreach (j) in [1, 2] {"
        ' hold say "{{i}}{{j}}" } say i } say 9'
    )
    assert [talk() for _ in range(5)] == [[], ["11"], ["12", "1"], ["21"], ["22", "2", "9"]]


def test_three_loops_deep_with_a_while_between() -> None:
    talk = Talk(
        "start: foreach (i) in [1, 2] { do n = 0 while (n < 2) {"
        ' foreach (j) in "ab" { say "{{i}}{{n}}{{j}}" hold } do n += 1 } }'
    )
    heard = []
    while not talk.has_ended:
        heard += talk()
    assert heard == ["10a", "10b", "11a", "11b", "20a", "20b", "21a", "21b"]


def test_a_while_looks_at_its_condition_before_it_goes_on() -> None:
    talk = Talk("start: do i = 0 while (i < 2) { do i += 1 hold say i } say 9")
    assert [talk() for _ in range(3)] == [[], ["1"], ["9"]]


def test_behind_a_while_that_is_over_everything_runs_normally() -> None:
    talk = Talk(
        "start: do i = 0 while (i < 1) { do i += 1 hold say 5 }"
        " if (false) { say 6 } else { say 7 } hold say 8"
    )
    talk()
    assert talk() == ["7"]
    assert talk() == ["8"]


def test_a_while_that_is_over_inside_a_foreach_lets_the_next_rounds_run() -> None:
    talk = Talk(
        "start: foreach (x) in [1, 2] { say x do i = 0 while (i < 1) { do i += 1 hold } say 0 } say 9"
    )
    assert [talk() for _ in range(3)] == [["1"], ["0", "2"], ["0", "9"]]


@pytest.mark.parametrize("jump", ["break", "continue", "if (true) { break }"])
def test_a_jump_behind_the_hold_means_its_loop(jump: str) -> None:
    for loop in ("foreach (x) in [1, 2]", "do n = 0 while (n < 2)"):
        talk = Talk(f"start: {loop} {{ do n = Or(n, 0) + 1 hold say n {jump} say 8 }} say 9")
        heard = []
        while not talk.has_ended:
            heard += talk()
        assert heard[-1] == "9"
        assert "8" not in heard
        assert heard[0] in ("1", "9")


def test_a_goto_behind_the_hold_leaves_its_loops() -> None:
    talk = Talk(
        "start: foreach (x) in [1, 2] { while (true) { hold goto b } }\nb: say 3 hold say 4"
    )
    talk()
    assert talk() == ["3"]
    assert talk() == ["4"]


def test_a_return_behind_the_hold_ends_the_turn() -> None:
    talk = Talk("start: foreach (x) in [1, 2] { hold return 1 } say 2")
    talk()
    assert talk() == []
    assert not talk.has_ended


# --- where the reference slips -----------------------------------------------------------------

FIRST: list[tuple[str, list[list[str]]]] = [
    ("if (true) { hold say 1 } say 2", [[], ["1", "2"]]),
    ("foreach (x) in [1, 2] { hold say x } say 9", [[], ["1"], ["2", "9"]]),
    ("do i = 0 while (i < 2) { hold do i += 1 say i } say 9", [[], ["1"], ["2", "9"]]),
    ("if (true) { if (true) { hold say 1 } say 2 } say 3", [[], ["1", "2", "3"]]),
    ("if (true) { } hold say 1", [[], ["1"]]),
    ("foreach (x) in [] { } hold say 1", [[], ["1"]]),
    ("while (false) { } hold say 1 hold say 2", [[], ["1"], ["2"]]),
    ("hold hold say 1", [[], [], ["1"]]),
    ("if (false) { say 0 } else { } hold say 1", [[], ["1"]]),
]


@pytest.mark.parametrize(("body", "wanted"), FIRST)
def test_a_hold_first_in_a_block_or_behind_an_empty_one_goes_on_behind(
    body: str, wanted: list[list[str]]
) -> None:
    talk = Talk(f"start: {body}")
    assert [talk() for _ in wanted] == wanted
    assert talk.has_ended


# --- an edited step ----------------------------------------------------------------------------


def test_an_edited_step_starts_again_without_its_locals() -> None:
    talk = Talk("start: goto b\nb: do x = 1 hold say x")
    talk()
    talk.edit(main='start: goto b\nb: say "new" say Exists("x") hold say event')
    assert talk() == ["new", "false"]
    assert talk("there") == ["there"]


def test_an_edit_elsewhere_or_of_blanks_and_comments_changes_nothing() -> None:
    talk = Talk("start: do x = 1 hold say x\nb: say 1")
    talk()
    talk.edit(
        main="start:\n  do x = 1 // one\n  hold /* wait */\n  say x\nb: say 2 say 3\nc: say 4"
    )
    assert talk() == ["1"]


def test_an_edit_inside_a_text_counts() -> None:
    talk = Talk('start: hold say "a b"')
    talk()
    talk.edit(main='start: hold say "a  c"')
    assert talk() == []


def test_a_step_that_is_gone_is_an_error() -> None:
    talk = Talk("start: goto b\nb: hold say 1")
    talk()
    talk.edit(main="start: say 1")
    assert without_places(talk()) == ["!! [b] step does not exist"]


# --- records nobody should trust ---------------------------------------------------------------

STRANGE: list[dict[str, Any]] = [
    {},
    {"hash": None},
    {"index": 5},
    {"index": {}},
    {"index": {"command_index": "1"}},
]


@pytest.mark.parametrize("part", STRANGE)
def test_a_record_without_shape_starts_the_step_again(part: dict[str, Any]) -> None:
    talk = Talk("start: say 1 hold say 2")
    talk()
    record = talk.record
    assert talk(hold={**({} if not part else record), **part}) == ["1"]


@pytest.mark.parametrize(
    "part",
    [
        {"step_vars": 5},
        {"previous": 5},
        {"previous": {"flow": 1}},
        {"previous": {"flow": "main", "step_at_flow": [{}, "main"]}},
        {"previous": {"flow": "main", "step_at_flow": [{"Normal": 5}, "main"]}},
        {"index": {"command_index": 1, "loop_index": 5}},
        {"index": {"command_index": 1, "loop_index": ["x"]}},
    ],
)
def test_strange_parts_of_a_record_are_left_out(part: dict[str, Any]) -> None:
    talk = Talk("start: say 1 hold say 2")
    talk()
    assert talk(hold={**talk.record, **part}) == ["2"]


def test_a_loop_without_its_iteration_is_over() -> None:
    talk = Talk("start: foreach (x) in [1, 2] { hold say x } say 9")
    talk()
    record = talk.record
    record["index"]["loop_index"] = []
    assert talk(hold=record) == ["9"]


@pytest.mark.parametrize("number", [-1, 7, 2**70])
def test_a_number_that_no_hold_has_runs_the_step(number: int) -> None:
    talk = Talk("start: say 1 hold say 2")
    talk()
    record = talk.record
    record["index"]["command_index"] = number
    assert talk(hold=record) == ["1"]


def test_the_record_tells_how_the_previous_step_was_reached() -> None:
    talk = Talk(
        {
            "main": "insert b from x\nstart: goto a\na: goto b\nlast: hold goto two\ntwo: hold",
            "x": "start: goto end\nb: goto last@main",
        }
    )
    talk()
    inserted = {"InsertedStep": {"step": "b", "flow": "x"}}
    assert talk.record["previous"] == {"flow": "main", "step_at_flow": [inserted, "main"]}
    talk()
    began = {"UnknownFlow": "last"}
    assert talk.record["previous"] == {"flow": "main", "step_at_flow": [began, "main"]}
    talk = Talk("start: goto a\na: goto b\nb: hold hold")
    for _ in range(2):  # what a record told is told on
        talk()
        assert talk.record["previous"]["step_at_flow"] == [{"Normal": "a"}, "main"]


def test_the_previous_step_of_an_inserted_step_is_read() -> None:
    talk = Talk("start: hold previous step\nb: say 5")
    talk()
    previous = {
        "flow": "main",
        "step_at_flow": [{"InsertedStep": {"step": "b", "flow": "x"}}, "main"],
    }
    assert talk(hold={**talk.record, "previous": previous}) == ["5"]
