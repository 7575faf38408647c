"""JSON texts that are decoded in pieces say what they say in one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml import json_text
from palaver.csml.bounds import NestedTooDeep
from palaver.csml.json_text import parse_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=60,
)


@pytest.fixture(scope="module", autouse=True)
def small_pieces() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "PIECE", 20)
        patch.setattr(json_text, "PORTION", 3)
        yield


class Pauses:
    def __init__(self) -> None:
        self.members = 0

    def __call__(self, members: int) -> None:
        self.members += members


@given(JSON, st.sampled_from([None, 2]), st.sampled_from(["", " \n"]))
def test_pieces_say_what_the_whole_says(value: Any, indent: int | None, around: str) -> None:
    text = around + json.dumps(value, indent=indent, ensure_ascii=False) + around
    assert repr(parse_json(text, give_way=Pauses())) == repr(parse_json(text))


@pytest.mark.parametrize("rest", ["", ",", "}", "]]", ", 1 2]", ', "\ud800"]', ",]", ', {"a": 1]'])
def test_what_is_wrong_at_the_end_is_no_json(rest: str) -> None:
    text = "[" + ", ".join(["[1, [2]]"] * 50) + rest
    for give_way in (Pauses(), json_text.free):
        with pytest.raises(ValueError, match=r"."):
            parse_json(text, give_way=give_way)


def test_the_last_of_equal_names_counts() -> None:
    text = '{"a": [[], [], [], []], "b": [2], "a": [[1], [2], [3], [4]], "c": [[]]}'
    assert parse_json(text, give_way=Pauses()) == {"a": [[1], [2], [3], [4]], "b": [2], "c": [[]]}


def test_minus_nought_is_a_float_but_not_in_texts() -> None:
    text = "[" + ", ".join(['[-0, "-0", -0.5]'] * 20) + "]"
    found = parse_json(text, give_way=Pauses())
    assert repr(found) == repr([[-0.0, "-0", -0.5]] * 20)


@pytest.mark.parametrize("levels", [70, 5_000, 200_000])
def test_too_deep_is_too_deep_in_pieces(levels: int) -> None:
    for text in ("[" * levels + "]" * levels, '{"a":' * levels + "1" + "}" * levels):
        with pytest.raises(NestedTooDeep):
            parse_json(text, give_way=Pauses())
    parse_json("[" * 64 + "]" * 64, give_way=Pauses())


def test_others_are_let_go_on_in_between() -> None:
    pauses = Pauses()
    parse_json("[" + ", ".join(["[1, [2]]"] * 1000) + "]", give_way=pauses)
    assert pauses.members > 1000
