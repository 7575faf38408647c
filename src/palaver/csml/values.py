"""Runtime values: the record, content types, truth, numeric texts.

A `Value` is what a CSML expression yields: Python data of exactly these types, the place where
it was created (errors report it, §12.3), and rarely a `Meta`:

    None  bool  int (64-bit)  float  str  Items (array)  Members (object)  ClosureData

Values behave as copies (§4.1) without being copied: arrays and objects carry a `shared` flag.
Whoever lets a second owner see a container calls `share`; whoever changes one in place must own
it (`shared` false), else works on `own_copy`. A copy shares its children, so nothing that is not
changed is ever copied.

No Python object other than these is reachable by an author.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import msgspec

from palaver.csml.source import NOWHERE, Position

if TYPE_CHECKING:
    from palaver.csml import nodes

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1


class Items(list["Value"]):
    """An array's payload."""

    __slots__ = ("shared",)

    def __init__(self, items: Iterable[Value] = ()) -> None:
        super().__init__(items)
        self.shared = False


class Members(dict[str, "Value"]):
    """An object's payload, in insertion order."""

    __slots__ = ("shared",)

    def __init__(self, members: Mapping[str, Value] | Iterable[tuple[str, Value]] = ()) -> None:
        super().__init__(members)
        self.shared = False


class ClosureData:
    """A closure: parameters, body, the body's source, captured variables.

    `node` is compiled where it is called; it holds no Python code of the author's making.
    """

    __slots__ = ("captured", "code", "node")

    def __init__(
        self, node: nodes.Closure, captured: dict[str, Value], code: object | None = None
    ) -> None:
        self.node = node
        self.captured = captured
        self.code = code
        """The compiled body; None until a restored closure is first called."""


Data: TypeAlias = "bool | int | float | str | Items | Members | ClosureData | None"


class Meta(NamedTuple):
    """What few values carry besides data and place.

    `content_type`: set on components and the objects of `HTTP`, `Time` … (§4.2), None otherwise.
    `info`: facts about the origin (`error`, `status`, `headers`, `body`).
    `secure`: made from the answer to a `hold_secure`.
    `in_parts`: secure only because some members are, each marked itself; names and other members
    are no secrets and may be stored.
    """

    content_type: str | None = None
    info: Members | None = None
    secure: bool = False
    in_parts: bool = False


SECURE: Final = Meta(secure=True)
SECURE_IN_PARTS: Final = Meta(secure=True, in_parts=True)


class Value(msgspec.Struct, gc=False, eq=False):
    """One value. Treat as immutable; containers are changed through their owner only.

    A `Struct` because programs make values by the million and its constructor takes a third of a
    plain class's time; without `gc` because values cannot form cycles (they behave as copies).
    """

    data: Data
    position: Position = NOWHERE
    meta: Meta | None = None

    def __repr__(self) -> str:
        return f"Value({self.data!r})"

    def at(self, position: Position) -> Value:
        """The same value, created elsewhere."""
        return Value(self.data, position, self.meta)

    @property
    def is_secure(self) -> bool:
        return self.meta is not None and self.meta.secure

    @property
    def is_wholly_secure(self) -> bool:
        """Whether nothing of it may be stored, names of members included."""
        meta = self.meta
        return meta is not None and meta.secure and not meta.in_parts

    @property
    def info(self) -> Members | None:
        return self.meta.info if self.meta is not None else None


KINDS: Final[dict[type, str]] = {
    str: "string",
    int: "int",
    float: "float",
    bool: "boolean",
    type(None): "null",
    Items: "array",
    Members: "object",
    ClosureData: "closure",
}
"""Python type of `Value.data` → the type's name; also the content type of a plain value (§4.2)."""

TYPE_NAMES: Final = {kind: ("Null" if kind == "null" else kind) for kind in KINDS.values()}
"""Kind → what `type_of()` answers (§4.1)."""

METHOD_OWNERS: Final = {kind: kind.capitalize() for kind in KINDS.values()}
"""Kind → its name in `[x] is not a method of …` (§10.1)."""


def kind_of(value: Value) -> str:
    """`string`, `int`, `float`, `boolean`, `null`, `array`, `object` or `closure`."""
    return KINDS[type(value.data)]


def content_type_of(value: Value) -> str:
    """The content type (§4.2); a plain text's is `string`, whether literal or not."""
    meta = value.meta
    if meta is not None and meta.content_type is not None:
        return meta.content_type
    return KINDS[type(value.data)]


# --- sharing -----------------------------------------------------------------------------------


def share(value: Value) -> Value:
    """Marks a container as seen by a second owner. Returns the value itself."""
    data = value.data
    if data.__class__ is Items or data.__class__ is Members:
        data.shared = True
    return value


def own_copy(value: Value) -> Value:
    """A value whose container may be changed in place; the children become shared."""
    data = value.data
    if isinstance(data, Items):
        copy: Items | Members = Items(data)
        children: Iterable[Value] = data
    elif isinstance(data, Members):
        copy = Members(data)
        children = data.values()
    else:
        return value
    for child in children:
        inner = child.data
        if inner.__class__ is Items or inner.__class__ is Members:
            inner.shared = True
    return Value(copy, value.position, value.meta)


def owned(value: Value) -> Value:
    """The value itself when its container may be changed in place, else `own_copy` of it."""
    return own_copy(value) if getattr(value.data, "shared", False) else value


# --- making values -----------------------------------------------------------------------------


def null_because(text: str, at: Position, info: Mapping[str, Value] | None = None) -> Value:
    """The Null of a soft error: its info has `error` and whatever else is given (§12.1)."""
    members = Members(info or {})
    members["error"] = Value(text, at)
    return Value(None, at, Meta(info=members))


def with_content_type(data: Members | Items | str, content_type: str, at: Position) -> Value:
    """A value with a content type of its own."""
    return Value(data, at, Meta(content_type=content_type))


def secured(value: Value) -> Value:
    """The value with the secure flag set, other facts kept."""
    meta = value.meta
    return Value(value.data, value.position, meta._replace(secure=True) if meta else SECURE)


def holding_secret(value: Value) -> Value:
    """The container with the secure flag set because a secret became one of its members."""
    meta = value.meta
    if meta is not None:
        meta = meta._replace(secure=True, in_parts=True)
    return Value(value.data, value.position, meta or SECURE_IN_PARTS)


MASK: Final = "***"
"""What an error shows in place of a secret."""


class Secret(str):
    """A secret text that serves as a key or a name: errors, which format it, show stars.

    Never a value's data and never stored: whoever keeps a key or a name refuses these.
    """

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return MASK


def holds_secret(data: Any) -> bool:
    """Whether a container's direct members include a secure value."""
    children = (
        data if isinstance(data, Items) else data.values() if isinstance(data, Members) else ()
    )
    return any(child.meta is not None and child.meta.secure for child in children)


# --- numbers in texts --------------------------------------------------------------------------

_INT = re.compile(r"[+-]?[0-9]+")
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[iI][nN][fF](?:[iI][nN][iI][tT][yY])?"
    r"|[nN][aA][nN])"
)
_MAX_NUMERIC: Final = 4096
"""Longer texts are no numbers to Palaver, so that comparing texts never reads them through."""

_MAX_DIGITS: Final = 400
"""Longer digit texts are floats anyway; `int()` of a huge text would take quadratic time."""


def numeric(text: str) -> int | float | None:
    """The number a text stands for, or None. Spec: csml-language §4.4."""
    if not text or text[0] not in "+-.0123456789iInN" or len(text) > _MAX_NUMERIC:
        return None
    if _INT.fullmatch(text):
        if len(text) < _MAX_DIGITS and INT_MIN <= (number := int(text)) <= INT_MAX:
            return number
        return float(text)
    return float(text) if _FLOAT.fullmatch(text) else None


def truthy(value: Value) -> bool:
    """Whether a condition holds. Spec: csml-language §4.3."""
    data = value.data
    kind = data.__class__
    if kind is bool:
        return data  # type: ignore[return-value]
    if kind is int:
        return data > 0  # type: ignore[operator]
    if kind is float:
        return is_normal(data)  # type: ignore[arg-type]
    return not (data is None or kind is ClosureData)


_SMALLEST_NORMAL: Final = 2.2250738585072014e-308


def is_normal(number: float) -> bool:
    """Neither zero, subnormal, infinite nor NaN."""
    size = abs(number)
    return _SMALLEST_NORMAL <= size <= 1.7976931348623157e308
