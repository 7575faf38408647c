"""Fixed expressions are made once; what programs do with their values stays their own."""

from __future__ import annotations

import pytest

from palaver.csml.compiler import calls
from palaver.csml.limits import Limits
from palaver.csml.stdlib import components
from tests.unit.csml.talking import Talk, said

QUESTION = 'Question("Pick", buttons = [Button("tea"), Button("water")])'


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the components that were built."""
    names: list[str] = []

    def counting(descriptor, name, *rest):  # type: ignore[no-untyped-def]
        names.append(name)
        return components.build(descriptor, name, *rest)

    monkeypatch.setattr(calls, "build", counting)
    return names


def test_a_fixed_component_is_built_once(builds: list[str]) -> None:
    talk = Talk(f"start:\n  say {QUESTION}\n  hold\n  goto start")
    first = talk("a")
    assert talk("b") == talk("c") == first
    assert sorted(builds) == ["Button", "Button", "Question"]


def test_one_that_depends_on_the_event_is_built_anew(builds: list[str]) -> None:
    talk = Talk('start:\n  say Button("{{event}}")\n  hold\n  goto start')
    assert [talk(event)[0][1]["title"] for event in "ab"] == ["a", "b"]
    assert builds == ["Button", "Button"]


@pytest.mark.parametrize(
    "change",
    [
        'do q.title = "other"',
        'do q.buttons[0].content.title = "other"',
        "do q.buttons.push(1)",
        "do b = q.buttons do b.push(1)",
        'foreach (b) in q.buttons { do b.title = "other" }',
        "remember r = q do r.buttons.push(1)",
    ],
)
def test_changing_a_copy_changes_no_later_one(change: str) -> None:
    program = f"start:\n  do q = {QUESTION}\n  {change}\n  say {QUESTION}\n  hold\n  goto start"
    talk = Talk(program)
    assert talk("a") == talk("b") == talk("c") == said(f"say {QUESTION}")


def test_a_wrong_one_complains_each_time_at_the_flow_that_runs() -> None:
    talk = Talk("start:\n  say Button()\n  hold\n  goto start")
    first = talk("a")
    assert first[0].startswith("! title is a required parameter at line 2")
    assert talk("b") == talk("c") == first


def test_an_inserted_step_complains_with_the_name_of_the_flow_that_runs() -> None:
    flows = {
        "one": "insert help from two\nstart:\n  goto help",
        "two": "start:\n  goto help\nhelp:\n  say Button(1)",
    }
    talk = Talk(flows)
    assert "at flow [one]" in talk("a")[0]


def test_fixed_texts_and_arrays_are_said_again_and_again() -> None:
    body = 'foreach (i) in [1, 2, 3] { say "a" say [1, "b"] say {"k": 1} say 5 say null }'
    once = ["a", ("array", [1, "b"]), ("object", {"k": 1}), "5", None]
    assert said(body) == once * 3


def test_a_limit_counts_every_message() -> None:
    found = Talk('start:\n  while (true) { say "a" }', limits=Limits(messages=5))("x")
    assert found[:5] == ["a"] * 5
    assert "max_messages (5)" in found[-1]
