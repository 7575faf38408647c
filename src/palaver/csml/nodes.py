"""The syntax tree: frozen nodes, each with its place. What comes out of the parser.

Names follow the grammar (csml-language §3). Every node has `at`, the position errors report for
it (§12.3): a literal's start (a string's first character behind the quote; an empty string 0,0),
a name, a call's name, a method's name, an index's bracket, a statement's keyword.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal as OneOf
from typing import TypeAlias

from palaver.csml.source import NOWHERE, Position

# --- expressions -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """An int (within 64 bits) or a float."""

    value: int | float
    at: Position


@dataclass(frozen=True, slots=True)
class Boolean:
    value: bool
    at: Position


@dataclass(frozen=True, slots=True)
class Null:
    at: Position


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal: literal parts (escapes processed, never two in a row) and expressions.

    `None` is an empty interpolation `{{ }}`. `last_literal` is where the last literal part
    starts (the `end` that the linter reports for a string, §13.1), None without one.
    `inner` marks a string inside an interpolation (its content is raw, §2.6).
    """

    parts: tuple[str | Expression | None, ...]
    at: Position
    last_literal: Position | None = None
    inner: bool = False


@dataclass(frozen=True, slots=True)
class Array:
    items: tuple[Expression, ...]
    at: Position
    end: Position = NOWHERE
    """Just after the `]`."""


@dataclass(frozen=True, slots=True)
class Object:
    """`members` in source order, equal keys kept (the last wins when it is evaluated)."""

    members: tuple[tuple[str, Expression], ...]
    at: Position
    end: Position = NOWHERE
    """After the `}` and the blanks that follow."""


@dataclass(frozen=True, slots=True)
class Closure:
    """`(a, b) { … }`; `source` is its text, from the parenthesis to the brace, to be stored."""

    parameters: tuple[str, ...]
    body: Block
    at: Position
    source: str


@dataclass(frozen=True, slots=True)
class Name:
    """A bare name, special ones (`event`, `_memory`, `Component` …) included."""

    name: str
    at: Position


@dataclass(frozen=True, slots=True)
class Argument:
    """`name` is None for a positional one."""

    name: str | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`."""

    name: str
    arguments: tuple[Argument, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class Index:
    """`[expression]`; `at` is the bracket."""

    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Member:
    """`.name`; `at` is the name."""

    name: str
    at: Position


@dataclass(frozen=True, slots=True)
class MethodCall:
    """`.name(arguments)`; `at` is the name."""

    name: str
    arguments: tuple[Argument, ...]
    at: Position


PathElement: TypeAlias = Index | Member | MethodCall


@dataclass(frozen=True, slots=True)
class Path:
    """A root with at least one element behind it; `at` is the root's."""

    root: Expression
    elements: tuple[PathElement, ...]
    at: Position


@dataclass(frozen=True, slots=True)
class As:
    """`operand as name`; `name_at` is the name's place."""

    operand: Expression
    name: str
    at: Position
    name_at: Position


BinaryOperator = OneOf[
    "+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "match", "!match", "&&", "||"
]


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right`; `at` is the left operand's. A signed group `-(x)` is `0 - x`."""

    operator: BinaryOperator
    left: Expression
    right: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Not:
    """One `!`; `!!x` is two of them."""

    operand: Expression
    at: Position


Expression: TypeAlias = (
    Number
    | Boolean
    | Null
    | Text
    | Array
    | Object
    | Closure
    | Name
    | Call
    | Path
    | As
    | Binary
    | Not
)

# --- statements --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    value: Expression
    at: Position
    after: Position
    """Just after the keyword."""


@dataclass(frozen=True, slots=True)
class Debug:
    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Log:
    """`level` in lower case; `info` when none is written."""

    level: OneOf["error", "warn", "info", "debug", "trace"]
    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Return:
    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Use:
    value: As
    at: Position


@dataclass(frozen=True, slots=True)
class Do:
    """`do expression` without an assignment. `do value as name` is an `Assign`."""

    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Assign:
    """`do name{path} operator value`. `by_as` for `do value as name`."""

    name: str
    path: tuple[PathElement, ...]
    operator: OneOf["=", "+=", "-=", "*=", "/=", "%="]
    value: Expression
    at: Position
    name_at: Position
    by_as: bool = False


@dataclass(frozen=True, slots=True)
class Remember:
    name: str
    value: Expression
    at: Position
    name_at: Position


@dataclass(frozen=True, slots=True)
class Forget:
    """`names` is None for `forget *`."""

    names: tuple[str, ...] | None
    at: Position


@dataclass(frozen=True, slots=True)
class Hold:
    secure: bool
    at: Position


@dataclass(frozen=True, slots=True)
class Branch:
    condition: Expression
    body: Block


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[Branch, ...]
    otherwise: Block | None
    at: Position


@dataclass(frozen=True, slots=True)
class Foreach:
    element: str
    index: str | None
    iterable: Expression
    body: Block
    at: Position


@dataclass(frozen=True, slots=True)
class While:
    condition: Expression
    body: Block
    at: Position


@dataclass(frozen=True, slots=True)
class Break:
    at: Position


@dataclass(frozen=True, slots=True)
class Continue:
    at: Position


Target: TypeAlias = "str | Name | Path"
"""A literal name, or a variable with an optional path (`$cfg.next`)."""


@dataclass(frozen=True, slots=True)
class Goto:
    """`form`: `step` (goto step s), `flow` (goto flow f) or `at` (s, s@f, @f, s@, @, … in bot).

    Missing targets are None. `after` is the place just after the word `goto`.
    """

    form: OneOf["step", "flow", "at"]
    step: Target | None
    flow: Target | None
    bot: Target | None
    at: Position
    after: Position


@dataclass(frozen=True, slots=True)
class Previous:
    kind: OneOf["step", "flow"]
    at: Position


Statement: TypeAlias = (
    Say
    | Debug
    | Log
    | Return
    | Use
    | Do
    | Assign
    | Remember
    | Forget
    | Hold
    | If
    | Foreach
    | While
    | Break
    | Continue
    | Goto
    | Previous
)

Block: TypeAlias = tuple[Statement, ...]

# --- declarations ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Constant:
    """`const NAME = value`; the expression is already restricted (§6.16)."""

    name: str
    value: Expression
    at: Position


@dataclass(frozen=True, slots=True)
class Import:
    """One imported function: `import original as name from source`.

    `source` is a flow's name, `modules/x`, or None. `at` is the keyword `import`.
    """

    original: str
    name: str
    source: str | None
    at: Position


@dataclass(frozen=True, slots=True)
class Insert:
    """One inserted step. `at` is the keyword `insert`."""

    original: str
    name: str
    source: str
    at: Position


@dataclass(frozen=True, slots=True)
class Function:
    """`at` is the keyword `fn`; `end` the end of the declaration; `name_at` the name."""

    name: str
    parameters: tuple[str, ...]
    body: Block
    at: Position
    end: Position
    name_at: Position


@dataclass(frozen=True, slots=True)
class Step:
    """`at` is the name; `end` the end of the declaration.

    `digest` is the MD5 hex of the step's own source with comments and white space stripped
    (csml-engine-runtime §6.4, Palaver).
    """

    name: str
    body: Block
    at: Position
    end: Position
    digest: str


Declaration: TypeAlias = Constant | Import | Insert | Function | Step


@dataclass(frozen=True, slots=True)
class Flow:
    """One parsed source, declarations in source order."""

    name: str
    declarations: tuple[Declaration, ...]
