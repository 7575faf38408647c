"""Words and names: what a word is, which words are names, and what is wrong with the others.

Pure functions and patterns over text; positions and errors are the lexer's. Spec: csml-language
§2.3, §2.4.
"""

from __future__ import annotations

import re
from typing import Final

from palaver.csml.alphabet import OTHER_ALPHABETIC

WORD_CHARACTER: Final = rf"(?:[\w\\-]|(?![\x00-\x7f])[{OTHER_ALPHABETIC}])"
"""One character of a word: a letter or digit of any script, `_`, `-` or a backslash."""

WORD_PATTERN: Final = rf"(?>(?:[\w\\-]++|(?![\x00-\x7f])[{OTHER_ALPHABETIC}]++)+)"
"""A whole word, always the longest: the hyphen in `total-1` belongs to it."""

WORD: Final = re.compile(WORD_PATTERN)

MAX_NAME_BYTES: Final = 255

RESERVED: Final = "reserved keyword can't be used as identifier"
NUMERIC: Final = "Int/Float can't be used as identifier"
TOO_LONG: Final = f"key can't be longer than {MAX_NAME_BYTES} character"

_EVERYWHERE: Final = frozenset(
    {"foreach", "while", "if", "else", "import", "as", "do", "flow", "step", "say", "use"}
    | {"hold", "goto", "match", "remember", "forget", "break"}
)
RESERVED_FOR_READING: Final = _EVERYWHERE | {"const", "insert"}
RESERVED_FOR_BINDING: Final = _EVERYWHERE | {
    "event",
    "_metadata",
    "_memory",
    "_env",
    "true",
    "false",
    "null",
}

_READS_AS_NUMBER: Final = re.compile(r"-?(?:[0-9]+(?:[eE]-?[0-9]+)?|inf|infinity|nan)", re.I | re.A)
_ASCII_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def is_too_long(word: str) -> bool:
    """Whether a word exceeds 255 bytes of UTF-8."""
    if len(word) * 4 <= MAX_NAME_BYTES:
        return False
    return len(word.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES


def is_numeric(word: str) -> bool:
    """Whether a word reads as a number, `inf` and `nan` included."""
    return _READS_AS_NUMBER.fullmatch(word) is not None


def binding_problem(word: str) -> str | None:
    """Why a word cannot be assigned, declared or aimed at (`name_b`); None when it can."""
    return _problem(word, RESERVED_FOR_BINDING)


def reading_problem(word: str) -> str | None:
    """Why a word cannot be read as a variable (`name_r`); None when it can."""
    return _problem(word, RESERVED_FOR_READING)


def _problem(word: str, reserved: frozenset[str]) -> str | None:
    # Lower-casing makes `Say` and `STEP` reserved too, as in the reference.
    if word in reserved or word.translate(_ASCII_LOWER) in reserved:
        return RESERVED
    return NUMERIC if is_numeric(word) else None
