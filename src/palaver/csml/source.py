"""Source texts and places in them.

A `Position` counts as the reference does: lines from 1, columns in UTF-8 bytes from 1; 0, 0 is
"nowhere". Spec: csml-language §2.1.
"""

from __future__ import annotations

from typing import NamedTuple


class Position(NamedTuple):
    """A place in a source: line and byte column, both from 1; (0, 0) when there is none."""

    line: int
    column: int


NOWHERE = Position(0, 0)
BEGINNING = Position(1, 1)


class Span(NamedTuple):
    """From `start` to `end`; `end` is None where the reference reports none."""

    start: Position
    end: Position | None = None


class Source:
    """One flow's text with its name, able to turn character offsets into positions.

    Args:
        text: the CSML source.
        name: the flow's (or module's) name, as diagnostics show it.
    """

    __slots__ = ("_starts", "name", "text")

    def __init__(self, text: str, name: str) -> None:
        self.text = text
        self.name = name
        self._starts: list[int] | None = None

    def line_starts(self) -> list[int]:
        """Character offsets at which lines begin."""
        if self._starts is None:
            starts = [0]
            find = self.text.find
            at = find("\n")
            while at >= 0:
                starts.append(at + 1)
                at = find("\n", at + 1)
            self._starts = starts
        return self._starts

    def position(self, offset: int) -> Position:
        """The position of a character offset (0 … len(text))."""
        from bisect import bisect_right

        starts = self.line_starts()
        line = bisect_right(starts, offset)
        before = self.text[starts[line - 1] : offset]
        width = len(before) if before.isascii() else len(before.encode("utf-8", "surrogatepass"))
        return Position(line, width + 1)

    def line(self, number: int) -> str:
        """The text of a line, without its newline. Args: number: from 1."""
        starts = self.line_starts()
        end = starts[number] - 1 if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : end]
