"""Stored memories as plain JSON. Spec: dialects §4, csml-language §7.4."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.http.dialects.memories import plain


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", "é", [], {}, [1, [None]], {"a": {}}])
def test_plain_json_stays_as_it_is(value: Any) -> None:
    assert plain(value) == value


def test_type_marks_and_info_are_taken_off_at_every_depth() -> None:
    button = {"_content_type": "button", "_content": {"title": "x", "accepts": ["x"]}}
    stored: Any = {
        "_additional_info": {"status": 200},
        "value": [
            {"_content_type": "object", "_content": {"b": button, "n": {"deep": button}}},
            {"value": 1},
            {"_content_type": "half"},
        ],
    }
    shown = {"title": "x", "accepts": ["x"]}
    assert plain(stored) == [
        {"b": shown, "n": {"deep": shown}},
        {"value": 1},
        {"_content_type": "half"},
    ]


def test_a_closure_has_no_json() -> None:
    closure: Any = {"_closure": {"source": "() { return 1 }", "captured": {}}}
    assert plain(closure) is None
    assert plain({"_content_type": "object", "_content": {"f": closure, "a": 1}}) == {
        "f": None,
        "a": 1,
    }
    assert plain({"_closure": "a text"}) == {"_closure": "a text"}
