"""Source text → syntax tree.

`parse_flow` reads one flow and raises the one error that the reference would report;
`parse_flow_all` goes on at the next step header and reports the later ones too, and
`parse_flow_parts` also yields what could be read in between. `parse_text` and `parse_closure`
read pieces of CSML that come as data. Nothing here runs anything or knows other flows.
Spec: csml-language §3.2, §12.4; grammar.txt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from palaver.csml.constants import ConstantError, constant_value
from palaver.csml.diagnostics import Diagnostic, SourceError, picture
from palaver.csml.hints import hint_for
from palaver.csml.lexer import BLANK_PATTERN
from palaver.csml.mistakes import (
    IMPORT,
    INSERT,
    INSERT_FROM,
    STRAY,
    STRING_END,
    TOO_DEEP,
    TOO_NESTED,
    Fatal,
    Miss,
)
from palaver.csml.nodes import (
    Closure,
    Constant,
    Declaration,
    Flow,
    Function,
    Import,
    Insert,
    Step,
    Text,
)
from palaver.csml.source import BEGINNING, NOWHERE, Position, Source
from palaver.csml.statements import StatementParser
from palaver.csml.words import WORD_PATTERN, binding_problem

MAX_ERRORS: Final = 50
"""How many errors `parse_flow_all` reports for a flow."""

_STEP_HEADER: Final = re.compile(rf"^[ \t]*+({WORD_PATTERN}):", re.MULTILINE)
_INSIGNIFICANT: Final = re.compile(
    rf'(?P<string>"[^"\\]*+(?>(?:\\.[^"\\]*+)*)")|{BLANK_PATTERN}', re.DOTALL
)

Names = tuple[tuple[str, str], ...]
"""Imported or inserted names: (original, local)."""


class Part(NamedTuple):
    """Declarations with where their text begins and ends."""

    start: int
    end: int
    declarations: Sequence[Declaration]


class FlowParts(NamedTuple):
    """A flow as far as it can be read.

    `unread` is the text that belongs to no declaration of `flow`; there is none without
    `diagnostics`.
    """

    flow: Flow
    unread: str
    diagnostics: tuple[Diagnostic, ...]


class Parser(StatementParser):
    """Reads declarations, and knows how to go on behind an error."""

    begun = 0
    """Where the declaration starts that is being read."""

    finished = -1
    """Where the last complete declaration started."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.pieces: list[Part] = []
        """What has been read, in source order."""

    def declarations(self) -> list[Declaration]:
        """flow = { const | import | insert | function | step }."""
        while self.blanks() < self.end:
            self.memo.clear()
            start = self.begun = self.pos
            try:
                found = self.declaration()
            except Miss:
                self.pos = start
                raise Fatal(STRAY, start) from None
            except RecursionError:
                raise Fatal(TOO_NESTED, self.pos, code=TOO_DEEP) from None
            self.finished = start
            self.pieces.append(Part(start, self.pos, found))
        return [declaration for part in self.pieces for declaration in part.declarations]

    def declaration(self) -> Sequence[Declaration]:
        """One declaration; a word that starts none of the others is a step's name."""
        start = self.pos
        at = self.place(start)
        read = DECLARATIONS.get(self.word())
        if read is not None:
            try:
                return read(self, at)
            except Miss:
                pass
        self.pos = start
        return self.step(at)

    def const(self, at: Position) -> tuple[Constant]:
        """const = "const" name_b "=" expr. Its value is checked when the whole flow is read."""
        self.blanks()
        name = self.name_b()
        self.blanks()
        if not self.take("="):
            raise Miss(self.pos)
        return (Constant(name, self.expr(), at),)

    def import_(self, at: Position) -> list[Import]:
        """import = "import" names [ "from" source ]."""
        names = self.names(IMPORT)
        source = self.import_source()
        return [Import(original, name, source, at) for original, name in names]

    def import_source(self) -> str | None:
        """[ "from" source ], where source = "modules/" ~ word | word."""
        before = self.pos
        if self.keyword("from"):
            start = self.blanks()
            if self.take("modules/") and (module := self.word()):
                return f"modules/{module}"
            self.pos = start
            flow = self.word()
            if flow:
                return flow
        self.pos = before
        return None

    def insert(self, at: Position) -> list[Insert]:
        """insert = "insert" names "from" word."""
        names = self.names(INSERT)
        start = self.blanks()
        word = self.word()
        if not word:
            raise Miss(start)
        if word != "from":
            raise Fatal(INSERT_FROM, self.pos)
        self.blanks()
        flow = self.word()
        if not flow:
            raise Miss(self.pos)
        return [Insert(original, name, flow, at) for original, name in names]

    def names(self, otherwise: str) -> Names:
        """names = alias | "{" [ alias { "," alias } ] [ "," ] "}"."""
        start = self.blanks()
        try:
            names = self.name_list() if self.peek() == "{" else None
            if names is not None:
                return names
            return (self.alias(),)
        except Miss as miss:
            raise Fatal(miss.reason or otherwise, start, start) from None

    def name_list(self) -> Names | None:
        """The braced form of names; None, and back again, when it is malformed."""
        start = self.pos
        self.pos += 1
        names: list[tuple[str, str]] = []
        while True:
            self.blanks()
            try:
                names.append(self.alias())
            except Miss:
                break
            if not self.separated():
                break
        if not names:
            self.separated()
        self.blanks()
        if self.take("}"):
            return tuple(names)
        self.pos = start
        return None

    def alias(self) -> tuple[str, str]:
        """alias = name_b [ "as" name_b ]."""
        original = self.name_b()
        before = self.pos
        if self.keyword("as"):
            self.blanks()
            try:
                return original, self.name_b()
            except Miss:
                self.pos = before
        return original, original

    def function(self, at: Position) -> tuple[Function]:
        """function = "fn" name_b ~ parameters ( ":" { statement } | body )."""
        start = self.blanks()
        name_at = self.place(start)
        name = self.name_b()
        if self.peek() != "(":
            raise Miss(self.pos)
        parameters = self.parameters()
        self.blanks()
        if self.take(":"):
            body = self.statements()
        elif self.peek() == "{":
            body = self.body()
        else:
            raise Miss(self.pos)
        return (Function(name, parameters, body, at, self.place(self.pos), name_at),)

    def step(self, at: Position) -> tuple[Step]:
        """step = name_b ~ ":" { statement }."""
        start = self.pos
        try:
            name = self.name_b()
        except Fatal:
            raise Miss(start) from None  # too long a name is nothing special here
        if not self.take(":"):
            raise Miss(start)
        body = self.statements()
        digest = step_digest(self.text[start : self.pos])
        return (Step(name, body, at, self.place(self.pos), digest),)

    def skip_to_step(self, offset: int) -> bool:
        """Moves to the next step header, from the line of an error on; False without one.

        The header may be on that very line: what was missing before it has taken its name.
        """
        line = self.text.rfind("\n", 0, offset) + 1
        for header in _STEP_HEADER.finditer(self.text, line):
            start = header.start(1)
            is_new = start > self.finished and start != self.begun
            if is_new and binding_problem(header[1]) is None:
                self.pos = start
                self.depth = self.height = 0
                return True
        return False

    def diagnostic(self, fatal: Fatal) -> Diagnostic:
        """The finding for an error. Spec: §12.4."""
        start = self.source.position(fatal.start)
        end = None if fatal.end is None else self.source.position(fatal.end)
        return Diagnostic(
            code=fatal.code,
            severity="error",
            flow=self.source.name,
            start=start,
            end=end,
            reason=fatal.reason,
            message=picture(self.source, start, fatal.reason),
            hint=hint_for(fatal.reason, self.text, fatal.start),
        )


DECLARATIONS: Final[dict[str, Callable[[Parser, Position], Sequence[Declaration]]]] = {
    "const": Parser.const,
    "fn": Parser.function,
    "import": Parser.import_,
    "insert": Parser.insert,
}


def parse_flow(source: Source) -> Flow:
    """Parses one flow.

    Raises:
        SourceError: with the first error, worded and placed as the reference does it.
    """
    parser = Parser(source)
    try:
        flow = Flow(source.name, tuple(parser.declarations()))
    except Fatal as fatal:
        raise SourceError((parser.diagnostic(fatal),)) from None
    wrong = constant_diagnostics(flow)
    if wrong:
        raise SourceError(wrong[:1])
    return flow


def parse_flow_all(source: Source) -> tuple[Flow | None, tuple[Diagnostic, ...]]:
    """Parses one flow and reports as many errors as can be told apart, `MAX_ERRORS` at most.

    The first diagnostic is the one that `parse_flow` raises. Returns the flow, or None when
    there is any error.
    """
    flow, _, diagnostics = parse_flow_parts(source)
    return (None if diagnostics else flow), diagnostics


def parse_flow_parts(source: Source) -> FlowParts:
    """As `parse_flow_all`, with everything that could be read.

    A declaration whose text may go on in what could not be read is left out.
    """
    parser = Parser(source)
    found: list[Diagnostic] = []
    while len(found) < MAX_ERRORS:
        try:
            parser.declarations()
            break
        except Fatal as fatal:
            found.append(parser.diagnostic(fatal))
            if fatal.reason == STRAY and parser.pieces:
                parser.pieces.pop()
            # Behind a string without end nobody knows what is text and what is program.
            if fatal.reason == STRING_END or not parser.skip_to_step(fatal.found_at):
                break
    read = [declaration for part in parser.pieces for declaration in part.declarations]
    flow = Flow(source.name, tuple(read))
    if found:
        return FlowParts(flow, _unread(source.text, parser.pieces), tuple(found))
    return FlowParts(flow, "", constant_diagnostics(flow)[:MAX_ERRORS])


def _unread(text: str, parts: Sequence[Part]) -> str:
    between, behind = [], 0
    for part in parts:
        between.append(text[behind : part.start])
        behind = part.end
    return "\n".join([*between, text[behind:]])


def constant_diagnostics(flow: Flow) -> tuple[Diagnostic, ...]:
    """What is wrong with the constants, once everything else is right. Spec: §6.16."""
    found: list[Diagnostic] = []
    for declaration in flow.declarations:
        if isinstance(declaration, Constant):
            try:
                constant_value(declaration.value)
            except RecursionError:
                found.append(
                    Diagnostic(
                        TOO_DEEP, "error", flow.name, declaration.at, None, TOO_NESTED, TOO_NESTED
                    )
                )
            except ConstantError as error:
                reason = error.reason
                found.append(
                    Diagnostic(
                        "constant", "error", flow.name, error.start, error.end, reason, reason
                    )
                )
    return tuple(found)


def parse_text(text: str) -> Text:
    """Parses a text with interpolations that an app answered. Spec: §9.1.

    Positions count in the text as it would stand between quotes, its newlines, tabs, quotes and
    backslashes escaped: line 1, and column 2 for its first character.

    Raises:
        SourceError: with the bare reason, at line 1, column 1.
    """
    quoted = "".join(_QUOTED.get(character, character) for character in text)
    parser = Parser(Source(f'"{quoted}"', ""))
    try:
        return parser.string()
    except Fatal as fatal:
        raise bare_error(fatal.reason, fatal.code, Position(1, 1)) from None
    except RecursionError:
        raise bare_error(TOO_NESTED, TOO_DEEP, Position(1, 1)) from None


_QUOTED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def parse_closure(source_text: str, name: str, at: Position = BEGINNING) -> Closure:
    """Parses the source of a stored closure, from its parenthesis to its brace. Spec: §5.4.

    Args:
        source_text: what `Closure.source` held.
        name: of the flow, as diagnostics show it.
        at: where its text stood in that flow; errors inside it are placed there (§12.3).

    Raises:
        SourceError: when the text is not exactly one closure.
    """
    before = "\n" * (at.line - 1) + " " * (at.column - 1)
    parser = Parser(Source(before + source_text, name))
    try:
        start = parser.blanks()
        read = parser.primary()
        if read != parser.closure:
            raise Fatal(STRAY, start)
        closure = parser.closure()
        if parser.blanks() < parser.end:
            raise Fatal(STRAY, parser.pos)
    except Fatal as fatal:
        raise SourceError((parser.diagnostic(fatal),)) from None
    except RecursionError:
        raise bare_error(TOO_NESTED, TOO_DEEP) from None
    return closure


def bare_error(reason: str, code: str, at: Position = NOWHERE) -> SourceError:
    """An error without flow and picture."""
    return SourceError((Diagnostic(code, "error", "", at, None, reason, reason),))


def step_digest(text: str) -> str:
    """MD5 of a step's own source without comments and white space; strings keep theirs.

    Spec: csml-engine-runtime §6.4, Palaver.
    """
    kept = _INSIGNIFICANT.sub(lambda found: found["string"] or "", text)
    return hashlib.md5(kept.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
