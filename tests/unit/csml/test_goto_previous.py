"""Leaving a step: goto, previous, end, other bots. Spec: csml-language §6.9, §6.11, §14."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.limits import Limits
from palaver.effects import End, Goto, SwitchBot
from tests.unit.csml.talking import Talk, without_places

TWO = {
    "main": 'start: say event\na: say "a@main"',
    "Other": 'start: say "start@Other"\na: say "a@Other"',
}


def gone(statement: str) -> tuple[list[Any], Talk]:
    """What is said after a goto from `here` of the flow `main`."""
    flows = {**TWO, "main": f'start: {statement}\na: say "a@main"'}
    talk = Talk(flows)
    return without_places(talk()), talk


FORMS: list[tuple[str, list[str], str | None]] = [
    ("goto a", ["a@main"], "id-main"),
    ("goto step a", ["a@main"], None),
    ("goto flow Other", ["start@Other"], "id-Other"),
    ("goto @Other", ["start@Other"], "id-Other"),
    ("goto a@Other", ["a@Other"], "id-Other"),
    ("goto a@", ["a@main"], "id-main"),
    ('do s = "a" goto $s', ["a@main"], "id-main"),
    ('do s = "a" do f = "Other" goto $s@$f', ["a@Other"], "id-Other"),
    ('do c = {"n": "a", "f": ["Other"]} goto $c.n@$c.f[0]', ["a@Other"], "id-Other"),
    ('do f = "Other" goto flow $f', ["start@Other"], "id-Other"),
    ("goto flow other", ["start@Other"], "id-Other"),
    ("goto flow id-other", ["start@Other"], "id-Other"),
]


@pytest.mark.parametrize(("statement", "wanted", "flow"), FORMS)
def test_a_goto_leads_to_its_target(statement: str, wanted: list[str], flow: str | None) -> None:
    messages, talk = gone(statement)
    assert messages == wanted
    (moved,) = [effect for effect in talk.effects if isinstance(effect, Goto)]
    assert moved.flow == flow


@pytest.mark.parametrize("statement", ["goto end", "goto step end", "goto end@Other"])
def test_goto_end_ends_the_conversation(statement: str) -> None:
    messages, talk = gone(statement)
    assert messages == []
    assert talk.effects == [End()]


def test_a_step_that_runs_out_ends_the_conversation() -> None:
    talk = Talk("start: say 1")
    talk()
    assert talk.has_ended


def test_a_dynamic_target_may_be_the_event() -> None:
    talk = Talk("start: goto $event\na: say 1\nb: say 2")
    assert talk("b") == ["2"]


@pytest.mark.parametrize("value", ["5", "null", "[]"])
def test_a_dynamic_target_that_is_no_text_is_fatal(value: str) -> None:
    messages, _ = gone(f"do s = {value} goto $s")
    assert messages == ["!! variables in goto need to resolve as strings"]


def test_a_missing_step_is_an_error_nowhere() -> None:
    talk = Talk("start: goto nowhere")
    assert talk() == ["!! [nowhere] step does not exist at line 0, column 0 at flow [main]"]


def test_a_missing_flow_is_an_error_nowhere() -> None:
    talk = Talk("start: goto flow nowhere")
    assert talk() == [
        "!! flow: [nowhere] does not exist in bot: [bot] at line 0, column 0 at flow [nowhere]"
    ]
    assert not any(isinstance(effect, Goto) for effect in talk.effects)


def test_a_flow_without_start_goes_on_at_the_default_flows() -> None:
    talk = Talk(
        {
            "main": "start: if (_metadata._context.previous_step) { say 1 } else goto @b",
            "b": "x: say 2",
        }
    )
    assert talk() == ["1"]


def test_without_any_start_there_is_an_error() -> None:
    assert without_places(Talk("a: say 1")()) == ["!! [start] step does not exist"]


def test_locals_are_gone_and_memories_stay() -> None:
    talk = Talk('start: do x = 1 remember y = 2 goto a\na: say Exists("x") say y say event')
    assert talk() == ["false", "2", "hi"]


def test_a_goto_leaves_every_block_at_once() -> None:
    talk = Talk("start: foreach (x) in [1, 2] { while (true) { if (x) { goto a } } }\na: say 1")
    assert talk() == ["1"]


# --- another bot -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("goto s@f in bot2", SwitchBot("bot2", "f", "s")),
        ("goto @f in bot2", SwitchBot("bot2", "f", None)),
        ("goto s in bot2", SwitchBot("bot2", None, "s")),
        ('do b = "bot 3" goto end@f in $b', SwitchBot("bot 3", "f", "end")),
    ],
)
def test_a_goto_in_another_bot_ends_the_run(statement: str, wanted: SwitchBot) -> None:
    talk = Talk(f"start: {statement} say 1")
    assert talk() == []
    assert talk.effects == [wanted]


# --- the step limit ----------------------------------------------------------------------------

TOO_MANY = (
    "!! [Infinite loop] Step limit reached: 100 steps where executed in a single run, "
    "stop at step {} at line 0, column 0 at flow [main]"
)


def test_a_hundred_steps_are_enough() -> None:
    talk = Talk("start: say 1 goto b\nb: goto start")
    messages = talk()
    assert messages.count("1") == 50
    assert messages[-1] == TOO_MANY.format("start")


def test_a_request_may_have_another_step_limit() -> None:
    talk = Talk("start: say 1 goto b\nb: goto start")
    assert talk(step_limit=3) == ["1", "1", TOO_MANY.format("b")]
    assert talk(step_limit=0) == [TOO_MANY.format("start")]


def test_a_setting_may_have_another_step_limit() -> None:
    talk = Talk("start: say 1 goto start", limits=Limits(steps=2))
    assert talk() == ["1", "1", TOO_MANY.format("start")]


# --- previous ----------------------------------------------------------------------------------


def test_previous_step_goes_back_once() -> None:
    talk = Talk(
        'start: say 1 hold goto b\nb: say 2 hold if (event == "back") { previous step } say 3'
    )
    assert talk() == ["1"]
    assert talk() == ["2"]
    assert talk("back") == ["1"]
    assert talk.position == "start@main"


def test_previous_step_twice_swings_between_two_steps() -> None:
    talk = Talk('start: goto a\na: say "a" hold goto b\nb: say "b" hold previous step')
    assert [talk() for _ in range(4)] == [["a"], ["b"], ["a"], ["b"]]


def test_previous_flow_goes_to_the_start_of_the_flow_before() -> None:
    flows = {
        "main": 'start: say "main" hold goto c@two',
        "two": 'start: say "two"\nc: say "c" hold previous flow',
    }
    talk = Talk(flows)
    assert [talk() for _ in range(3)] == [["main"], ["c"], ["main"]]


def test_previous_step_in_another_flow_goes_back_there() -> None:
    flows = {
        "main": 'start: goto b\nb: say "b" hold goto c@two',
        "two": 'c: say "c" hold previous step',
    }
    talk = Talk(flows)
    assert [talk() for _ in range(3)] == [["b"], ["c"], ["b"]]
    assert talk.position == "b@main"


def test_the_flow_before_is_kept_while_steps_change() -> None:
    flows = {
        "main": 'start: say "main" hold goto @two',
        "two": "start: goto b\nb: goto c\nc: hold previous flow",
    }
    talk = Talk(flows)
    talk()
    talk()
    assert talk() == ["main"]


@pytest.mark.parametrize("kind", ["step", "flow"])
def test_previous_without_history_ends_the_conversation(kind: str) -> None:
    talk = Talk(f"start: say 1 previous {kind} say 2")
    assert talk() == ["1"]
    assert talk.effects[-1] == End()


def test_history_ends_with_the_conversation() -> None:
    talk = Talk('start: if (event == "a") { goto b } previous step\nb: say 1')
    assert talk("a") == ["1"]
    assert talk("b") == []
    assert talk.has_ended


def test_previous_in_a_function_does_not_leave_the_step() -> None:
    talk = Talk("fn f() { previous step return 1 }\nstart: goto b\nb: say f() say 2 hold")
    assert talk() == ["1", "2"]
    assert talk.step == "start"


def test_previous_flow_in_a_function_moves_to_start() -> None:
    talk = Talk("fn f() { previous flow return 1 }\nstart: goto b\nb: say f() hold")
    assert talk() == ["1"]
    assert talk.step == "start"


def test_previous_in_a_function_without_history_ends_the_conversation_there() -> None:
    talk = Talk("fn f() { say 0 previous step return 1 }\nstart: say f() say 2")
    assert talk() == ["0"]
    assert talk.effects[-1] == End()


def test_the_context_tells_where_the_client_came_from() -> None:
    talk = Talk(
        "start: goto b\nb: say _metadata._context hold say _metadata._context.previous_step"
    )
    (shown,) = talk()
    assert shown[1] == {
        "current_step": "b",
        "current_flow": "main",
        "default_flow": "main",
        "previous_step": "start",
        "previous_flow": "main",
    }
    assert talk() == ["start"]
