"""Statements and blocks.

Reads from the cursor and yields statement nodes. A statement that is not there raises `Miss`,
which ends the block it would have belonged to; one that is there and wrong raises `Fatal`.
Spec: csml-language §3.3, §12.4; grammar.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, TypeAlias, cast

from palaver.csml.expressions import ExpressionParser
from palaver.csml.lexer import ASSIGN
from palaver.csml.mistakes import (
    BRACKET_END,
    FOREACH_HEAD,
    LIST_END,
    MAX_CHAIN,
    NO_LIST,
    NO_RETURN_VALUE,
    NO_STEP_NAME,
    NO_VALUE,
    REMEMBER,
    TOO_DEEP,
    TOO_MANY_BRANCHES,
    USE,
    WHILE_HEAD,
    Fatal,
    Miss,
)
from palaver.csml.nodes import (
    As,
    Assign,
    Block,
    Branch,
    Break,
    Continue,
    Debug,
    Do,
    Expression,
    Foreach,
    Forget,
    Goto,
    Hold,
    If,
    Log,
    Name,
    Path,
    Previous,
    Remember,
    Return,
    Say,
    Statement,
    Target,
    Use,
    While,
)
from palaver.csml.source import Position

Level: TypeAlias = Literal["error", "warn", "info", "debug", "trace"]
AssignOperator: TypeAlias = Literal["=", "+=", "-=", "*=", "/=", "%="]

LEVELS: Final = frozenset({"error", "warn", "info", "debug", "trace"})


class StatementParser(ExpressionParser):
    """Reads statements. Every method named by a keyword starts just behind that keyword."""

    def statements(self) -> Block:
        """{ statement }, until something else stands there."""
        found: list[Statement] = []
        while True:
            if not self.depth:
                self.memo.clear()
            before = self.pos
            start = self.blanks()
            read = STATEMENTS.get(self.word())
            try:
                if read is None:
                    raise Miss(start)
                found.append(read(self, self.place(start)))
            except Miss:
                self.pos = before
                return tuple(found)

    def block(self) -> Block:
        """block = braced | statement."""
        before = self.pos
        self.blanks()
        if self.peek() == "{":
            return self.body(before)
        start = self.pos
        read = STATEMENTS.get(self.word())
        if read is None:
            raise Miss(start)
        outer, self.height = self.height, 0
        self.deeper()
        try:
            return (read(self, self.place(start)),)
        finally:
            self.depth -= 1
            self.height = max(outer, self.height + 1)

    def braced(self) -> Block:
        """braced = "{" { statement } "}"."""
        before = self.pos
        self.blanks()
        if self.peek() != "{":
            raise Miss(self.pos)
        return self.body(before)

    def value(self, otherwise: str = NO_VALUE) -> Expression:
        """The expression that a keyword needs; without one it is a fatal error."""
        behind = self.pos
        try:
            return self.expr()
        except Miss as miss:
            if miss.reason is not None:
                raise Fatal(miss.reason, miss.offset, miss.offset) from None
            raise Fatal(otherwise, behind, miss.offset) from None

    # --- simple statements ---------------------------------------------------------------------

    def say(self, at: Position) -> Say:
        """say = "say" expr."""
        after = self.place(self.pos)
        return Say(self.value(), at, after)

    def debug(self, at: Position) -> Debug:
        """debug = "debug" expr."""
        return Debug(self.value(), at)

    def log(self, at: Position) -> Log:
        """log = "log" [ level ] expr, the level in any case."""
        behind = self.pos
        self.blanks()
        level = self.word().lower()
        if level not in LEVELS:
            level = "info"
            self.pos = behind
        return Log(cast(Level, level), self.value(), at)

    def return_(self, at: Position) -> Return:
        """return = "return" expr."""
        return Return(self.value(NO_RETURN_VALUE), at)

    def use(self, at: Position) -> Use:
        """use = "use" expr, which must be an `as`."""
        value = self.expr()
        if not isinstance(value, As):
            raise Fatal(USE, self.pos)
        return Use(value, at)

    def hold(self, at: Position) -> Hold:
        """hold = "hold"."""
        return Hold(False, at)

    def hold_secure(self, at: Position) -> Hold:
        """hold_secure = "hold_secure"."""
        return Hold(True, at)

    def break_(self, at: Position) -> Break:
        """break = "break"."""
        return Break(at)

    def continue_(self, at: Position) -> Continue:
        """continue = "continue"."""
        return Continue(at)

    # --- variables -----------------------------------------------------------------------------

    def do(self, at: Position) -> Do | Assign:
        """do = "do" ( assignment | expr )."""
        behind = self.pos
        try:
            return self.assignment(at)
        except Miss:
            self.pos = behind
        value = self.value()
        if isinstance(value, As):
            return Assign(value.name, (), "=", value.operand, at, value.name_at, by_as=True)
        return Do(value, at)

    def assignment(self, at: Position) -> Assign:
        """assignment = name_b { path } assign_op expr."""
        name_at = self.place(self.blanks())
        name = self.name_b()
        path = self.path()
        self.blanks()
        operator = ASSIGN.match(self.text, self.pos, self.end)
        if operator is None:
            raise Miss(self.pos)
        self.pos = operator.end()
        value = self.expr()
        return Assign(name, path, cast(AssignOperator, operator.group()), value, at, name_at)

    def remember(self, at: Position) -> Remember:
        """remember = "remember" ( name_b "=" expr | expr ), where the expr must be an `as`."""
        behind = self.pos
        try:
            name_at = self.place(self.blanks())
            name = self.name_b()
            self.blanks()
            if not self.take("="):
                raise Miss(self.pos)
            return Remember(name, self.expr(), at, name_at)
        except Miss:
            self.pos = behind
        value = self.value()
        if not isinstance(value, As):
            raise Fatal(REMEMBER, self.pos)
        return Remember(value.name, value.operand, at, value.name_at)

    def forget(self, at: Position) -> Forget:
        """forget = "forget" ( "*" | name_r | names )."""
        behind = self.pos
        self.blanks()
        if self.take("*"):
            return Forget(None, at)
        if self.peek() == "[":
            return Forget(self.forget_names(), at)
        try:
            return Forget((self.name_r(),), at)
        except Miss as miss:
            raise Fatal(NO_VALUE, behind, miss.offset) from None

    def forget_names(self) -> tuple[str, ...]:
        """names = "[" [ name_r { "," name_r } ] [ "," ] "]"."""
        self.pos += 1
        names: list[str] = []
        while True:
            self.blanks()
            try:
                names.append(self.name_r())
            except Miss:
                break
            if not self.separated():
                break
        if not names:
            self.separated()
        self.blanks()
        if not self.take("]"):
            raise Fatal(BRACKET_END, self.pos)
        return tuple(names)

    # --- branches and loops --------------------------------------------------------------------

    def if_(self, at: Position) -> If:
        """if = "if" condition block { "else" "if" condition block } [ "else" block ]."""
        branches = [Branch(self.condition(), self.block())]
        while True:
            before = self.pos
            if not self.keyword("else"):
                return If(tuple(branches), None, at)
            behind = self.pos
            try:
                if not self.keyword("if"):
                    break
                branches.append(Branch(self.condition(), self.block()))
            except Miss:
                self.pos = behind
                break
            if len(branches) > MAX_CHAIN:
                raise Fatal(TOO_MANY_BRANCHES, before, code=TOO_DEEP)
        try:
            return If(tuple(branches), self.block(), at)
        except Miss:
            self.pos = before
            return If(tuple(branches), None, at)

    def condition(self) -> Expression:
        """condition = "(" expr ")"."""
        behind = self.pos
        self.blanks()
        if not self.take("("):
            raise Fatal(NO_LIST, behind)
        value = self.expr()
        if not self.take(")"):
            raise Fatal(LIST_END, self.pos)
        return value

    def while_(self, at: Position) -> While:
        """while = "while" "(" expr ")" braced."""
        self.blanks()
        if not self.take("("):
            raise Fatal(WHILE_HEAD, self.pos)
        condition = self.expr()
        if not self.take(")"):
            raise Fatal(WHILE_HEAD, self.pos)
        return While(condition, self.braced(), at)

    def foreach(self, at: Position) -> Foreach:
        """foreach = "foreach" "(" name_b [ "," name_b ] ")" "in" expr braced."""
        self.blanks()
        if not self.take("("):
            raise Fatal(FOREACH_HEAD, self.pos)
        self.blanks()
        element = self.bound(FOREACH_HEAD)
        index = self.foreach_index()
        self.blanks()
        if not self.take(")"):
            raise Fatal(FOREACH_HEAD, self.pos)
        self.blanks()
        if self.word() != "in":
            raise Fatal(FOREACH_HEAD, self.pos)
        iterable = self.expr()
        return Foreach(element, index, iterable, self.braced(), at)

    def foreach_index(self) -> str | None:
        """The `"," name_b` of a foreach head."""
        before = self.pos
        if self.separated():
            self.blanks()
            try:
                return self.name_b()
            except Miss as miss:
                if miss.reason is not None:
                    raise Fatal(miss.reason, miss.offset) from None
        self.pos = before
        return None

    # --- jumps ---------------------------------------------------------------------------------

    def goto(self, at: Position) -> Goto:
        """goto = "goto" ( "step" target | "flow" target | at_form )."""
        after = self.place(self.pos)
        start = self.blanks()
        if self.keyword("step"):
            step = self.optional_target()
            if step is not None:
                return Goto("step", step, None, None, at, after)
        elif self.keyword("flow"):
            flow = self.optional_target()
            if flow is not None:
                return Goto("flow", None, flow, None, at, after)
        self.pos = start
        return self.at_form(at, after)

    def at_form(self, at: Position, after: Position) -> Goto:
        """at_form = [ target ] ~ [ "@" ] ~ [ target ] [ "in" target ], not all three missing."""
        start = self.pos
        step = self.adjacent_target()
        marked = self.take("@")
        flow = self.adjacent_target()
        if step is None and flow is None and not marked:
            raise Fatal(NO_STEP_NAME, start)
        before = self.pos
        bot = self.optional_target() if self.keyword("in") else None
        if bot is None:
            self.pos = before
        return Goto("at", step, flow, bot, at, after)

    def optional_target(self) -> Target | None:
        """A target behind blanks, if there is one."""
        self.blanks()
        return self.adjacent_target()

    def adjacent_target(self) -> Target | None:
        """target = "$" name_r { path } | name_b, if there is one."""
        start = self.pos
        try:
            if not self.take("$"):
                return self.name_b()
            name_at = self.place(self.blanks())
            name = Name(self.name_r(), name_at)
        except Miss:
            self.pos = start
            return None
        path = self.path()
        return Path(name, path, name_at) if path else name

    def previous(self, at: Position) -> Previous:
        """previous = "previous" ( "step" | "flow" )."""
        if self.keyword("step"):
            return Previous("step", at)
        if self.keyword("flow"):
            return Previous("flow", at)
        raise Miss(self.pos)


STATEMENTS: Final[dict[str, Callable[[StatementParser, Position], Statement]]] = {
    "break": StatementParser.break_,
    "continue": StatementParser.continue_,
    "debug": StatementParser.debug,
    "do": StatementParser.do,
    "foreach": StatementParser.foreach,
    "forget": StatementParser.forget,
    "goto": StatementParser.goto,
    "hold": StatementParser.hold,
    "hold_secure": StatementParser.hold_secure,
    "if": StatementParser.if_,
    "log": StatementParser.log,
    "previous": StatementParser.previous,
    "remember": StatementParser.remember,
    "return": StatementParser.return_,
    "say": StatementParser.say,
    "use": StatementParser.use,
    "while": StatementParser.while_,
}
"""What reads a statement, by its keyword. All of them need a word boundary (§2.4, Palaver)."""
