"""Expressions: operands with their paths, operators with their ranks.

Reads from the cursor and yields expression nodes; raises `Miss` where no expression stands and
`Fatal` where one is broken. Spec: csml-language §3.4, §3.5; grammar.txt.

Two decisions need a reason. The operators are read by one loop with a stack (`Ladder`), not by a
method a rank, so that a level of nesting costs three Python calls and not ten. And `expr`
remembers what it found at each place, because some alternatives read the same text again
(`do a.f(x)` is tried as an assignment first): without that, nesting them would double the work
at every level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from palaver.csml.ladder import COMPARISON, NEGATION, Ladder
from palaver.csml.lexer import (
    BANGS,
    CLOSURE_HEAD,
    INNER_KEY,
    KEY,
    MEMBER,
    NAMED,
    NUMBER,
    OPERATOR,
    RANKS,
    SIGNED_GROUP,
)
from palaver.csml.mistakes import (
    AS_NAME,
    BRACE_END,
    BRACKET_END,
    EMPTY_KEY,
    KEY_COLON,
    LIST_END,
    MAX_CHAIN,
    MAX_DEPTH,
    MAX_OPERATORS,
    TOO_DEEP,
    TOO_MANY_ELEMENTS,
    TOO_MANY_OPERATORS,
    TOO_NESTED,
    Fatal,
    Miss,
)
from palaver.csml.nodes import (
    Argument,
    Array,
    As,
    Binary,
    Block,
    Boolean,
    Call,
    Closure,
    Expression,
    Index,
    Member,
    MethodCall,
    Name,
    Null,
    Number,
    Object,
    Path,
    PathElement,
)
from palaver.csml.printer import print_expression
from palaver.csml.source import Source
from palaver.csml.strings import StringParser
from palaver.csml.words import TOO_LONG, is_numeric, is_too_long, reading_problem


class ExpressionParser(StringParser):
    """Reads expressions; the statements of closures are its subclass's."""

    def __init__(self, source: Source) -> None:
        super().__init__(source)
        self.depth = 0
        self.height = 0  # of the tallest expression read since it was last set to 0
        self.memo: dict[tuple[int, int], Miss | tuple[Expression, int, int]] = {}

    def statements(self) -> Block:
        """Reads statements as long as there are any."""
        raise NotImplementedError

    def deeper(self) -> None:
        """Enters a level of nesting; whoever calls it must count `depth` down again."""
        if self.depth >= MAX_DEPTH:
            raise Fatal(TOO_NESTED, self.pos, code=TOO_DEEP)
        self.depth += 1

    # --- operators -----------------------------------------------------------------------------

    def expr(self) -> Expression:
        """expr: operands and operators by their rank, and the blanks around them."""
        start = self.blanks()
        known = self.memo.get((start, self.end))
        if known is not None:
            return self.recall(known)
        self.deeper()
        outer, self.height = self.height, 0
        ladder = Ladder()
        try:
            while True:
                self.negations(ladder)
                try:
                    ladder.operands.append(self.operand())
                except Miss as miss:
                    self.pos = ladder.give_up(miss)
                    break
                self.blanks()
                if not self.operator(ladder):
                    break
        except Miss as miss:
            self.memo[start, self.end] = Miss(miss.offset, miss.reason)  # without traceback
            raise
        finally:
            self.depth -= 1
            height = self.height + ladder.count + 1
            self.height = max(outer, height)
        if height > MAX_OPERATORS:
            raise Fatal(TOO_MANY_OPERATORS, start, code=TOO_DEEP)
        ladder.fold(1)
        node = ladder.operands[0]
        self.memo[start, self.end] = (node, self.pos, height)
        return node

    def recall(self, known: Miss | tuple[Expression, int, int]) -> Expression:
        """What `expr` found at this place before."""
        if isinstance(known, Miss):
            raise Miss(known.offset, known.reason)
        node, self.pos, height = known
        self.height = max(self.height, height)
        return node

    def negations(self, ladder: Ladder) -> None:
        """{ "!" }: several touch each other; they rank looser than arithmetic."""
        if self.peek() != "!" or ladder.top() > NEGATION:
            return
        found = BANGS.match(self.text, self.pos, self.end)
        if found is None or ladder.count + found.end() - self.pos > MAX_OPERATORS:
            raise Fatal(TOO_MANY_OPERATORS, self.pos, code=TOO_DEEP)
        for offset in range(self.pos, found.end()):
            ladder.push("!", offset, self.place(offset))
        self.pos = found.end()
        self.blanks()

    def operator(self, ladder: Ladder) -> bool:
        """Reads an infix operator, unless it would be a second comparison. Spec: §3.4."""
        found = OPERATOR.match(self.text, self.pos, self.end)
        if found is None:
            return False
        operator = found.group()
        rank = RANKS[operator]
        if rank == COMPARISON:
            ladder.fold(COMPARISON + 1)
            if ladder.top() == COMPARISON:
                return False
        ladder.fold(rank)
        ladder.push(operator, self.pos)
        if ladder.count > MAX_OPERATORS:
            raise Fatal(TOO_MANY_OPERATORS, self.pos, code=TOO_DEEP)
        self.pos = found.end()
        self.blanks()
        return True

    # --- operands ------------------------------------------------------------------------------

    def operand(self) -> Expression:
        """operand = primary { path } [ "as" name_b ]."""
        primary = self.primary()
        node = primary()
        elements = self.path()
        if elements:
            node = Path(node, elements, node.at)
        if self.keyword("as"):
            offset = self.blanks()
            at = self.place(offset)
            return As(node, self.bound(AS_NAME), node.at, at)
        return node

    def bound(self, otherwise: str) -> str:
        """A name that must stand here. Raises `Fatal`, without a word there with its reason."""
        try:
            return self.name_b()
        except Miss as miss:
            raise Fatal(miss.reason or otherwise, miss.offset) from None

    def primary(self) -> Callable[[], Expression]:
        """Which primary starts here; the alternatives exclude each other by their beginnings."""
        text, pos = self.text, self.pos
        first = self.peek()
        if first == "(":
            found = CLOSURE_HEAD.match(text, pos, self.end)
            return self.group if found is None else self.closure
        if first and first in "+-" and SIGNED_GROUP.match(text, pos, self.end):
            return self.signed_group
        if first == '"':
            return self.string
        if first == "{":
            return self.object
        if first == "[":
            return self.array
        if first == "\\" and self.inner and text.startswith('"', pos + 1, self.end):
            return self.inner_string
        if first and first in "+-.0123456789" and NUMBER.match(text, pos, self.end):
            return self.number
        return self.named

    def number(self) -> Number:
        """number = int | float."""
        start = self.pos
        value = self.number_value()
        if value is None:
            raise Miss(start)
        return Number(value, self.place(start))

    def named(self) -> Expression:
        """boolean | null | call | name_r: what begins with a word."""
        start = self.pos
        word = self.word()
        if not word:
            raise Miss(start)
        at = self.place(start)
        if word in ("true", "false"):
            return Boolean(word == "true", at)
        if word.lower() == "null":
            return Null(at)
        behind = self.pos
        self.blanks()
        if self.peek() == "(":
            paren = self.pos
            arguments = self.arguments()
            if arguments is None:
                raise Fatal(LIST_END, paren, self.pos)
            return Call(word, arguments, at)
        self.pos = behind
        self.check(word, start, reading_problem(word))
        return Name(word, at)

    def group(self) -> Expression:
        """group = "(" expr ")". It leaves no trace in the tree."""
        start = self.pos
        self.pos += 1
        try:
            value = self.expr()
        except Miss:
            raise Miss(start) from None
        if not self.take(")"):
            raise Fatal(LIST_END, self.pos)
        return value

    def signed_group(self) -> Expression:
        """signed_group = ( "+" | "-" ) group, which adds to or subtracts from zero. Spec: §2.5."""
        start = self.pos
        sign: Literal["+", "-"] = "-" if self.peek() == "-" else "+"
        at = self.place(start)
        self.pos += 1
        self.blanks()
        try:
            value = self.group()
        except Miss:
            self.pos = start
            return self.named()  # `-` is a word: `-()` calls it
        return Binary(sign, Number(0, at), value, at)

    def closure(self) -> Closure:
        """closure = parameters body, where the parameters are words and the body is braced."""
        start = self.pos
        at = self.place(start)
        parameters = self.parameters()
        self.blanks()
        body = self.body()
        closure = Closure(parameters, body, at, self.text[start : self.pos])
        if self.inner:  # its strings are not written as they have to be to stand alone
            return replace(closure, source=print_expression(closure))
        return closure

    def parameters(self) -> tuple[str, ...]:
        """parameters = "(" [ word { "," word } ] [ "," ] ")". Errors are reported at it."""
        start = self.pos
        self.pos += 1
        found: list[str] = []
        while True:
            before = self.pos
            self.blanks()
            word = self.word()
            if not word:
                self.pos = before
                break
            found.append(word)
            if not self.separated():
                break
        if not found:
            self.separated()
        before = self.pos
        self.blanks()
        if not self.take(")"):
            raise Fatal(LIST_END, start, before)
        return tuple(found)

    def separated(self) -> bool:
        """Reads a comma and the blanks before it, or nothing."""
        before = self.pos
        self.blanks()
        if self.take(","):
            return True
        self.pos = before
        return False

    def body(self, before: int | None = None) -> Block:
        """body = "{" { statement } "}".

        Errors in the block of a statement are reported at `before`, just behind what precedes
        it. The bodies of functions and closures are no ranges.
        """
        self.pos += 1
        outer, self.height = self.height, 0
        self.deeper()
        try:
            statements = self.statements()
            self.blanks()
            if not self.take("}"):
                raise Fatal(BRACE_END, self.pos)
            return statements
        except Fatal as fatal:
            if before is not None:
                fatal.widen(before)
            raise
        finally:
            self.depth -= 1
            self.height = max(outer, self.height + 1)

    def array(self) -> Array:
        """array = "[" [ expr { "," expr } ] [ "," ] "]". Errors inside are reported at it."""
        start = self.pos
        at = self.place(start)
        self.pos += 1
        items: list[Expression] = []
        try:
            while (before := self.blanks()) < self.end and self.peek() != "]":
                try:
                    items.append(self.expr())
                except Miss:
                    self.pos = before
                    break
                if not self.take(","):
                    break
        except Fatal as fatal:
            fatal.widen(start)
            raise
        if not items and self.take(","):
            self.blanks()
        if not self.take("]"):
            raise Fatal(BRACKET_END, start, self.pos)
        return Array(tuple(items), at, self.place(self.pos))

    def object(self) -> Object:
        """object = "{" [ key ":" expr { "," key ":" expr } ] [ "," ] "}"."""
        start = self.pos
        at = self.place(start)
        self.pos += 1
        members: list[tuple[str, Expression]] = []
        while True:
            self.blanks()
            key = self.key()
            if key is None:
                break
            self.blanks()
            if not self.take(":"):
                raise Fatal(KEY_COLON, self.pos)
            try:
                members.append((key, self.expr()))
            except Miss:
                raise Miss(start) from None
            if not self.take(","):
                break
        if not members and self.take(","):
            self.blanks()
        if not self.take("}"):
            raise Miss(start)
        behind = self.pos
        end = self.place(self.blanks())
        self.pos = behind
        return Object(tuple(members), at, end)

    def key(self) -> str | None:
        """key = '"' ~ text ~ '"', verbatim; inside an interpolation its quotes are escaped."""
        pattern = INNER_KEY if self.inner else KEY
        found = pattern.match(self.text, self.pos, self.end)
        if found is None:
            return None
        if not found[1]:
            raise Fatal(EMPTY_KEY, self.pos)
        self.pos = found.end()
        return found[1]

    # --- arguments and paths -------------------------------------------------------------------

    def arguments(self) -> tuple[Argument, ...] | None:
        """arguments = "(" [ argument { "," argument } ] [ "," ] ")".

        None for a list that does not end; the cursor then stands at the offending place. Errors
        inside are reported at the list.
        """
        start = self.pos
        self.pos += 1
        found: list[Argument] = []
        try:
            while (before := self.blanks()) < self.end and self.peek() != ")":
                name = self.argument_name()
                try:
                    found.append(Argument(name, self.expr()))
                except Miss:
                    self.pos = before
                    if name is not None:
                        self.skip_expr()  # in `a = )` it is the `=` that cannot be read
                    break
                if not self.take(","):
                    break
        except Fatal as fatal:
            fatal.widen(start)
            raise
        if not found and self.take(","):
            self.blanks()
        return tuple(found) if self.take(")") else None

    def skip_expr(self) -> None:
        """Moves behind an expression, if one stands here."""
        before = self.pos
        try:
            self.expr()
        except Miss:
            self.pos = before

    def argument_name(self) -> str | None:
        """The `word "="` of argument = [ word "=" ] expr. `a == b` begins with no name."""
        named = NAMED.match(self.text, self.pos, self.end)
        if named is None:
            return None
        name = named[1]
        if is_too_long(name):
            raise Fatal(TOO_LONG, self.pos)
        if is_numeric(name):
            return None
        self.pos = named.end()
        return name

    def path(self) -> tuple[PathElement, ...]:
        """path: { ~ "[" expr "]" | "." ~ word [ ~ arguments ] }.

        An element that cannot be read completely is left where it is (§3.5, rule 5); only what
        is broken inside it is an error.
        """
        elements: list[PathElement] = []
        while True:
            before = self.pos
            element: PathElement | None
            element = self.index() if self.peek() == "[" else self.member()
            if element is None:
                self.pos = before
                return tuple(elements)
            if isinstance(element, Member) and self.peek() == "(":
                behind = self.pos
                arguments = self.arguments()
                if arguments is None:
                    self.pos = behind
                else:
                    element = MethodCall(element.name, arguments, element.at)
            elements.append(element)
            if len(elements) > MAX_CHAIN:
                raise Fatal(TOO_MANY_ELEMENTS, before, code=TOO_DEEP)

    def index(self) -> Index | None:
        """index = "[" expr "]"."""
        at = self.place(self.pos)
        self.pos += 1
        try:
            value = self.expr()
        except Miss:
            return None
        return Index(value, at) if self.take("]") else None

    def member(self) -> Member | None:
        """member = "." ~ word. Blanks may stand before the dot only."""
        found = MEMBER.match(self.text, self.pos, self.end)
        if found is None:
            return None
        self.pos = found.end()
        return Member(found[1], self.place(found.start(1)))
