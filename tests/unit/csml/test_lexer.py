"""Words, numbers, blanks and places."""

from __future__ import annotations

import pytest

from palaver.csml.lexer import Scanner
from palaver.csml.mistakes import Fatal, Miss
from palaver.csml.source import Source
from palaver.csml.strings import unescaped
from palaver.csml.words import NUMERIC, RESERVED, binding_problem, reading_problem


def scan(text: str) -> Scanner:
    return Scanner(Source(text, "main"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("total-1 + 2", "total-1"),
        ("a\\b c", "a\\b"),
        ("_x9:", "_x9"),
        ("1st", "1st"),
        ("été§", "été"),
        ("हिन्दी", "हिन"),  # the virama is a mark, not a letter
        ("ไม้หมวก", "ไม"),
        ("ⓐⓑ c", "ⓐⓑ"),
        ("½x.", "½x"),
        ("$x", ""),
        ("", ""),
    ],
)
def test_a_word_is_letters_digits_underscores_hyphens_and_backslashes(text: str, word: str) -> None:
    assert scan(text).word() == word


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        (" \t\r\n x", "x"),
        ("// a /* b\nx", "x"),
        ("/* a // b */x", "x"),
        ("/* a /* b */ */", "*/"),
        ("/* never closed", ""),
        ("//", ""),
        ("/**/ /***/ / 2", "/ 2"),
        ("\u00a0x", "\u00a0x"),
        ("\x0bx", "\x0bx"),
    ],
)
def test_blanks_are_four_characters_and_comments(text: str, rest: str) -> None:
    scanner = scan(text)
    scanner.blanks()
    assert text[scanner.pos :] == rest


@pytest.mark.parametrize(
    ("text", "value", "rest"),
    [
        ("42", 42, ""),
        ("-5x", -5, "x"),
        ("+7", 7, ""),
        ("1_000_", 1000, ""),
        ("1_0.5_0", 10.5, ""),
        (".5", 0.5, ""),
        ("2.2.2", 2.2, ".2"),
        ("1.", 1, "."),
        ("1e3", 1, "e3"),
        ("9223372036854775807", 2**63 - 1, ""),
        ("-9223372036854775808", -(2**63), ""),
        ("9223372036854775808", 9223372036854775808.0, ""),
        ("9" * 400, float("inf"), ""),
        ("- 5", None, "- 5"),
        ("-.5", None, "-.5"),
        ("x", None, "x"),
        ("٣", None, "٣"),
    ],
)
def test_numbers(text: str, value: int | float | None, rest: str) -> None:
    scanner = scan(text)
    found = scanner.number_value()
    assert (found, type(found)) == (value, type(value))
    assert text[scanner.pos :] == rest


@pytest.mark.parametrize("word", ["say", "Step", "GOTO", "as", "if", "match", "break"])
def test_keywords_are_no_names_in_any_letter_case(word: str) -> None:
    assert binding_problem(word) == reading_problem(word) == RESERVED


def test_some_words_can_only_be_read_and_others_only_be_bound() -> None:
    assert [binding_problem(word) for word in ("event", "_memory", "Null")] == [RESERVED] * 3
    assert [reading_problem(word) for word in ("event", "_memory", "Null")] == [None] * 3
    assert [binding_problem(word) for word in ("const", "insert")] == [None] * 2
    assert [reading_problem(word) for word in ("const", "insert")] == [RESERVED] * 2


@pytest.mark.parametrize("word", ["in", "from", "return", "log", "fn", "end", "Component"])
def test_words_that_are_not_reserved(word: str) -> None:
    assert binding_problem(word) is None
    assert reading_problem(word) is None


@pytest.mark.parametrize("word", ["12", "-5", "1e5", "1e-5", "inf", "NaN", "-Infinity"])
def test_words_that_read_as_numbers_are_no_names(word: str) -> None:
    assert binding_problem(word) == reading_problem(word) == NUMERIC


@pytest.mark.parametrize("word", ["1st", "e5", "info", "nano", "1_0", "--5", "1e", "\u0131nf"])
def test_words_that_nearly_read_as_numbers_are_names(word: str) -> None:
    assert binding_problem(word) is None


def test_a_name_has_at_most_255_bytes() -> None:
    assert scan("k" * 255).name_b() == "k" * 255
    assert scan("é" * 127 + "k").name_r() == "é" * 127 + "k"
    with pytest.raises(Fatal):
        scan("é" * 128).name_b()


def test_a_missing_name_moves_nothing() -> None:
    scanner = scan("say")
    with pytest.raises(Miss):
        scanner.name_b()
    assert scanner.pos == 0


def test_a_keyword_ends_at_a_word_boundary() -> None:
    assert scan(" /* x */ as b").keyword("as")
    assert not scan("ask").keyword("as")
    assert not scan("as-is").keyword("as")


@pytest.mark.parametrize("text", ["plain\nlines", "héé\nü § x\n\n名前 y", "\r\nx"])
def test_places_count_lines_and_bytes_in_any_order_of_asking(text: str) -> None:
    source = Source(text, "main")
    scanner = Scanner(source)
    forward = [scanner.place(offset) for offset in range(len(text) + 1)]
    backward = [scanner.place(offset) for offset in reversed(range(len(text) + 1))]
    assert forward == backward[::-1] == [source.position(n) for n in range(len(text) + 1)]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (r"a\nb\tc\rd", "a\nb\tc\rd"),
        (r"\"\'\\", "\"'\\"),
        (r"\d+\u0041", "d+u0041"),
        (r"a\nb" + "\\", r"a\nb" + "\\"),
        ("\\\n", "\n"),
    ],
)
def test_escapes(raw: str, text: str) -> None:
    assert unescaped(raw) == text
