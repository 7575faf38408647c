"""String literals: where they end, their literal parts, their interpolations.

Reads from a quote to the quote that ends it and yields a `Text`. The reference looks for the end
first and splits what it found, still escaped, into parts; so a quote inside an interpolation has
to be escaped, and braces are matched without a look at the expression. Spec: csml-language §2.6.
"""

from __future__ import annotations

import re
from typing import Final

from palaver.csml.lexer import STRING, Scanner
from palaver.csml.mistakes import BRACES, STRING_END, WRONG_ARGUMENT, Fatal, Miss
from palaver.csml.nodes import Expression, Text
from palaver.csml.source import NOWHERE

UP_TO_OPENING: Final = re.compile(r"(?>(?:[^\\{]++|\\.|\{(?!\{))*)(?=\{\{)", re.DOTALL)
"""What stands before the first `{{` whose first brace no backslash escapes."""

ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
"""What a backslash makes of a character; any other character stands for itself."""


def unescaped(raw: str) -> str:
    """A literal part with its escapes processed; raw when it ends in a lone backslash."""
    if "\\" not in raw:
        return raw
    if (len(raw) - len(raw.rstrip("\\"))) % 2:
        return raw
    return ESCAPE.sub(lambda found: ESCAPES.get(found[1], found[1]), raw)


class StringParser(Scanner):
    """Reads strings; expressions inside them are its subclass's."""

    def expr(self) -> Expression:
        """Reads an expression and the blanks around it."""
        raise NotImplementedError

    def string(self) -> Text:
        """string = '"' ~ { literal | interpolation } ~ '"'. Errors inside are reported at it."""
        start = self.pos
        found = STRING.match(self.text, start, self.end)
        if found is None:
            raise Fatal(STRING_END, start, self.end)
        stop = found.end() - 1
        if stop == start + 1:
            self.pos = stop + 1
            return Text((), NOWHERE, NOWHERE)
        at = self.place(start + 1)
        try:
            parts, last = self.parts(start + 1, stop)
        except Fatal as fatal:
            fatal.widen(start)
            raise
        self.pos = stop + 1
        return Text(parts, at, self.place(last))

    def inner_string(self) -> Text:
        r"""inner_string = '\"' ~ raw ~ '\"': inside an interpolation, nothing is special."""
        start = self.pos
        stop = self.text.find('\\"', start + 2, self.end)
        if stop < 0:
            raise Fatal(STRING_END, start)
        self.pos = stop + 2
        if stop == start + 2:
            return Text((), NOWHERE, NOWHERE, inner=True)
        at = self.place(start + 2)
        return Text((self.text[start + 2 : stop],), at, at, inner=True)

    def parts(self, start: int, stop: int) -> tuple[tuple[str | Expression | None, ...], int]:
        """Splits the text between the quotes. Also returns where its last literal part starts.

        Palaver: an escaped `{{` or `}}` is literal text everywhere (§2.6).
        """
        text = self.text
        parts: list[str | Expression | None] = []
        literal: list[str] = []
        opening = closing = -2
        last = pos = start
        while pos < stop:
            last = pos
            if -1 != opening < pos:
                opening = text.find("{{", pos, stop)
            if -1 != closing < pos:
                closing = text.find("}}", pos, stop)
            pair = closing if closing >= 0 else opening
            if 0 <= opening < closing:
                found = UP_TO_OPENING.match(text, pos, stop)
                if found is not None:
                    literal.append(unescaped(found.group()))
                    flush(literal, parts)
                    parts.append(self.interpolation(found.end(), stop))
                    pos = self.pos
                    continue
                rest = stop
            elif pair < 0:
                rest = stop
            elif pair == pos or text[pair - 1] != "\\":
                raise Fatal(BRACES, start)
            else:
                rest = closing + 2 if closing >= 0 else stop
            literal.append(unescaped(text[pos:rest]))
            pos = rest
        flush(literal, parts)
        return tuple(parts), last

    def interpolation(self, start: int, stop: int) -> Expression | None:
        """interpolation = "{{" [ expr ] "}}". The string's end is the end of the world."""
        outer_end, outer_inner = self.end, self.inner
        self.pos, self.end, self.inner = start + 2, stop, True
        try:
            self.blanks()
            value = None
            before = self.pos
            try:
                value = self.expr()
            except Miss:
                self.pos = before
            if not self.take("}}"):
                raise Fatal(WRONG_ARGUMENT, self.pos)
            return value
        finally:
            self.end, self.inner = outer_end, outer_inner


def flush(literal: list[str], parts: list[str | Expression | None]) -> None:
    """Appends the collected literal texts as one part, unless they are empty."""
    joined = "".join(literal)
    literal.clear()
    if joined:
        parts.append(joined)
