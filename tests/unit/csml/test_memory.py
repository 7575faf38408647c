"""A client's memories during one turn."""

from __future__ import annotations

import json
from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded
from palaver.csml.limits import Limits
from palaver.csml.memory import Memories
from palaver.csml.program import restore_closure
from palaver.effects import Forget, Remember
from tests.unit.csml.fakes import plain, value

LIMIT = Limits(value_bytes=1_000)


def memories(**stored: Any) -> Memories:
    return Memories({k: json.dumps(v) for k, v in stored.items()}, restore_closure)


def test_a_memory_is_decoded_when_it_is_first_looked_at() -> None:
    found = Memories({"good": "1", "bad": "no JSON"}, restore_closure)
    assert plain(found.get("good")) == 1
    assert "bad" in found
    assert list(found) == ["good", "bad"]


def test_an_unknown_memory_is_none() -> None:
    assert memories().get("x") is None
    assert memories(a=1).get("x") is None
    assert "x" not in memories(a=1)


def test_what_is_only_read_is_not_written() -> None:
    found = memories(a={"_content_type": "object", "_content": {"k": 1}})
    assert plain(found.get("a")) == {"k": 1}
    assert list(found.changes(LIMIT)) == []


def test_what_is_set_is_seen_at_once_and_written_once() -> None:
    found = memories(a=1)
    found.set("a", value(2))
    found.set("b", value(3))
    found.set("a", value(4))
    assert plain(found.get("a")) == 4
    assert list(found) == ["a", "b"]
    assert list(found.changes(LIMIT)) == [Remember("a", 4), Remember("b", 3)]


def test_a_value_changed_in_place_is_written_when_it_was_touched() -> None:
    found = memories(a=[1])
    found.holder("a")["a"] = value([1, 2])
    assert list(found.changes(LIMIT)) == []
    found.touch("a")
    assert list(found.changes(LIMIT)) == [Remember("a", [1, 2])]


def test_a_forgotten_memory_is_gone_at_once() -> None:
    found = memories(a=1, b=2)
    found.get("a")
    found.forget(["a", "unknown"])
    assert found.get("a") is None
    assert "a" not in found
    assert list(found) == ["b"]
    assert list(found.changes(LIMIT)) == [Forget(("a", "unknown"))]


def test_a_memory_forgotten_and_set_again_is_only_written() -> None:
    found = memories(a=1)
    found.forget(["a"])
    found.set("a", value(2))
    assert list(found) == ["a"]
    assert list(found.changes(LIMIT)) == [Remember("a", 2)]


def test_a_memory_set_and_forgotten_is_only_forgotten() -> None:
    found = memories()
    found.set("a", value(2))
    found.forget(["a"])
    assert list(found.changes(LIMIT)) == [Forget(("a",))]


def test_forgetting_everything_forgets_what_is_stored_and_what_is_not() -> None:
    found = memories(a=1)
    found.set("b", value(2))
    found.forget(None)
    assert list(found) == []
    assert found.get("a") is None
    assert "a" not in found
    found.set("a", value(3))
    assert list(found) == ["a"]
    assert plain(found.get("a")) == 3
    assert list(found.changes(LIMIT)) == [Forget(None), Remember("a", 3)]


def test_what_a_function_forgets_its_caller_still_sees() -> None:
    found = memories(a=1)
    found.set("b", value(2))
    found.forget_later(("a",))
    assert plain(found.get("a")) == 1
    assert list(found.changes(LIMIT)) == [Forget(("a",)), Remember("b", 2)]


def test_a_function_that_forgets_everything_forgets_all_names_later() -> None:
    found = memories(a=1)
    found.set("b", value(2))
    found.forget_later(None)
    assert plain(found.get("b")) == 2
    assert list(found.changes(LIMIT)) == [Forget(("a", "b"))]


def test_a_memory_that_is_too_large_is_refused() -> None:
    found = memories()
    found.set("a", value("x" * 2_000))
    with pytest.raises(BudgetExceeded, match=r"memory \[a\].*max_value_bytes"):
        list(found.changes(LIMIT))


def test_memories_that_are_too_large_together_are_refused() -> None:
    found = memories()
    for name in "abcdef":
        found.set(name, value("x" * 200))
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        list(found.changes(LIMIT))
