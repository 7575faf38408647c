"""Scanning: a cursor over one source with the primitives that the parser is made of.

There is no token stream, because what a character means depends on where it stands (§2). The
cursor reads `text[pos:end]`; inside an interpolation `end` is the end of the string and `inner`
is set, and everything else stays the same. Spec: csml-language §2.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

from palaver.csml.mistakes import Fatal, Miss
from palaver.csml.source import Position, Source
from palaver.csml.words import (
    TOO_LONG,
    WORD,
    WORD_CHARACTER,
    WORD_PATTERN,
    binding_problem,
    is_too_long,
    reading_problem,
)

# All repetitions are possessive (`*+`, `++`): no pattern here can backtrack, so each is linear.
BLANK_PATTERN: Final = r"(?>(?:[ \t\n\r]++|//[^\n]*+|/\*(?>(?:[^*]++|\*(?!/))*)(?:\*/|\Z))*)"
BLANKS: Final = re.compile(BLANK_PATTERN)
NUMBER: Final = re.compile(
    r"(?P<float>[+-]?[0-9][0-9_]*+\.[0-9][0-9_]*+|\.[0-9][0-9_]*+)|[+-]?[0-9][0-9_]*+"
)
SIGNED_GROUP: Final = re.compile(rf"[+-]{BLANK_PATTERN}\(")
CLOSURE_HEAD: Final = re.compile(
    rf"\({BLANK_PATTERN}(?>(?:{WORD_PATTERN}(?>(?:{BLANK_PATTERN},{BLANK_PATTERN}{WORD_PATTERN})*)"
    rf"{BLANK_PATTERN})?)(?>(?:,{BLANK_PATTERN})?)\){BLANK_PATTERN}\{{"
)
NAMED: Final = re.compile(rf"({WORD_PATTERN}){BLANK_PATTERN}=(?!=)")
MEMBER: Final = re.compile(rf"{BLANK_PATTERN}\.({WORD_PATTERN})")
OPERATOR: Final = re.compile(rf"\|\||&&|!=|==|>=|<=|>|<|!?match(?!{WORD_CHARACTER})|[-+*/%]")
ASSIGN: Final = re.compile(r"[%/*+-]?=")
BANGS: Final = re.compile(r"!++")
STRING: Final = re.compile(r'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"', re.DOTALL)
KEY: Final = re.compile(r'"([^"]*+)"')
INNER_KEY: Final = re.compile(r'\\"([^\\]*+)\\"')

RANKS: Final = {
    "||": 1,
    "&&": 2,
    **dict.fromkeys(("!=", "!match", "match", "==", ">=", "<=", ">", "<"), 3),
    "!": 4,
    "-": 5,
    "+": 5,
    "/": 6,
    "*": 6,
    "%": 6,
}
"""Operators from loose to tight. Spec: §3.4."""

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1


class Scanner:
    """The cursor. `pos` and `end` are character offsets."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.pos = 0
        self.end = len(source.text)
        self.inner = False
        self._ascii = source.text.isascii()
        self._mark = (0, 0, 1)  # line start, offset and column of the place asked for last

    # --- places --------------------------------------------------------------------------------

    def place(self, offset: int) -> Position:
        """The position of an offset.

        `Source.position` measures from the line's start; counting on from the last place keeps
        a program of one long line linear.
        """
        starts = self.source.line_starts()
        line = bisect_right(starts, offset)
        start = starts[line - 1]
        if self._ascii:
            return Position(line, offset - start + 1)
        known, at, column = self._mark
        if known != start:
            at, column = start, 1
        if offset >= at:
            column += _width(self.text[at:offset])
        else:
            column -= _width(self.text[offset:at])
        self._mark = (start, offset, column)
        return Position(line, column)

    # --- characters ----------------------------------------------------------------------------

    def peek(self) -> str:
        """The next character; empty at the end."""
        return self.text[self.pos] if self.pos < self.end else ""

    def take(self, literal: str) -> bool:
        """Reads a literal, if it comes next."""
        if self.text.startswith(literal, self.pos, self.end):
            self.pos += len(literal)
            return True
        return False

    def blanks(self) -> int:
        """Skips white space and comments. Spec: §2.1, §2.2. Returns the offset behind them."""
        found = BLANKS.match(self.text, self.pos, self.end)
        if found is not None:
            self.pos = found.end()
        return self.pos

    # --- words ---------------------------------------------------------------------------------

    def word(self) -> str:
        """Reads a word, unchecked; empty when there is none."""
        found = WORD.match(self.text, self.pos, self.end)
        if found is None:
            return ""
        self.pos = found.end()
        return found.group()

    def keyword(self, keyword: str) -> bool:
        """Reads blanks and a keyword with a word boundary behind it, or nothing at all."""
        before = self.pos
        self.blanks()
        if self.text.startswith(keyword, self.pos, self.end) and self.word() == keyword:
            return True
        self.pos = before
        return False

    def name_b(self) -> str:
        """A word that may be bound. Raises `Miss`; `Fatal` when it is too long. Spec: §2.3."""
        start = self.pos
        name = self.word()
        self.check(name, start, binding_problem(name))
        return name

    def name_r(self) -> str:
        """A word that may be read. Raises `Miss`; `Fatal` when it is too long. Spec: §2.3."""
        start = self.pos
        name = self.word()
        self.check(name, start, reading_problem(name))
        return name

    def check(self, name: str, start: int, problem: str | None) -> None:
        """Raises what is wrong with a name that was read from `start` on, if anything is."""
        if name and is_too_long(name):
            raise Fatal(TOO_LONG, start)
        if not name or problem is not None:
            self.pos = start
            raise Miss(start, problem)

    # --- numbers -------------------------------------------------------------------------------

    def number_value(self) -> int | float | None:
        """Reads a number; None when there is none.

        Spec: §2.5. Palaver: `_` is ignored, and an int beyond 64 bits is a float.
        """
        found = NUMBER.match(self.text, self.pos, self.end)
        if found is None:
            return None
        self.pos = found.end()
        digits = found.group().replace("_", "")
        if found["float"] is None and len(digits) <= 20:
            value = int(digits)
            if INT_MIN <= value <= INT_MAX:
                return value
        return float(digits)


def _width(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
