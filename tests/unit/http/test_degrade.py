"""Titles cut, texts and lists split. Spec: dialects §3."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.http.dialects.degrade import chunked, cut_title, split_text


@pytest.mark.parametrize(
    ("title", "limit", "cut"),
    [
        ("", 5, ""),
        ("exact", 5, "exact"),
        ("one two", 6, "one…"),
        ("one two", 4, "one…"),
        ("one two", 3, "on…"),
        ("one two three", 8, "one two…"),
        ("one two three", 9, "one two…"),
        ("one   two", 7, "one…"),
        ("unbreakable", 5, "unbr…"),
        (" leading word", 6, " lead…"),
        ("żółć żółć", 6, "żółć…"),
        ("🫖🫖🫖", 2, "🫖…"),
        ("line\nbreak", 6, "line…"),
        ("      ", 3, "…"),
        ("ab", 1, "…"),
    ],
)
def test_a_title_keeps_the_longest_run_of_whole_words(title: str, limit: int, cut: str) -> None:
    assert cut_title(title, limit) == cut


@pytest.mark.parametrize(
    ("text", "limit", "pieces"),
    [
        ("", 5, ("",)),
        ("exact", 5, ("exact",)),
        ("one two", 5, ("one", "two")),
        ("one two", 3, ("one", "two")),
        ("one two three", 7, ("one two", "three")),
        ("unbreakable", 4, ("unbr", "eaka", "ble")),
        ("a unbreakable", 4, ("a", "unbr", "eaka", "ble")),
        ("one    two", 5, ("one", "two")),
        ("one\n\ntwo", 5, ("one", "two")),
        ("one two ", 7, ("one two",)),
        ("        x", 4, ("x",)),
        (" abcdef", 4, (" abc", "def")),
        ("      ", 4, ("",)),
    ],
)
def test_a_text_is_split_at_blanks_into_the_longest_pieces(
    text: str, limit: int, pieces: tuple[str, ...]
) -> None:
    assert split_text(text, limit) == pieces


@given(st.text(alphabet="ab \n🫖", max_size=60), st.integers(1, 12))
def test_nothing_but_blanks_is_ever_lost_in_a_split(text: str, limit: int) -> None:
    pieces = split_text(text, limit)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(len(piece) <= limit for piece in pieces)
    assert len(pieces) == 1 or all(pieces)


@given(st.text(alphabet="ab \n🫖", max_size=60), st.integers(1, 12))
def test_a_cut_title_fits_and_begins_as_the_title(text: str, limit: int) -> None:
    cut = cut_title(text, limit)
    assert len(cut) <= limit
    assert cut == text or (cut.endswith("…") and text.startswith(cut[:-1]))


def test_lists_are_filled_up() -> None:
    assert chunked(list(range(5)), 2) == ([0, 1], [2, 3], [4])
    assert chunked([1, 2], 2) == ([1, 2],)
    assert chunked([], 2) == ()
