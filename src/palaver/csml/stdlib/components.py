"""Message components: one mechanism for the native ones and a bot's own. Spec: csml-language §8.

A descriptor (plain JSON, `{"params": [{name: rule}, …]}`) is compiled once and kept. Building a
component then goes through its parameters in order: the argument, or else the defaults, ⊕ the
additions. ⊕ (`_SUMS`) is also the type check, because every sum starts from the empty value of
the parameter's type.

A chain of `$_get`s is as deep as the descriptor says; whoever runs programs turns a
RecursionError into a limit.

Arguments pass in their JSON form (§4.7): components inside become plain objects with a
`content_type` and a `content`. What is plain already is shared, not copied, and a container that
is met twice is converted once, so that shared containers cannot grow without bound. Every
container that comes out of here is marked as shared.

What is made from a secure value is secure (§6.10, Palaver).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from operator import is_
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from palaver.csml.bounds import MAX_NESTING, free, in_portions, too_deep
from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import pay_for_members, pay_for_text
from palaver.csml.stdlib.descriptors import Action, Parameter, Plan, plan_of
from palaver.csml.stdlib.table import Arguments
from palaver.csml.texts import wrapper_of
from palaver.csml.values import (
    INT_MAX,
    INT_MIN,
    SECURE,
    ClosureData,
    Data,
    Items,
    Members,
    Meta,
    Value,
    holds_secret,
    share,
)
from palaver.types import Json

if TYPE_CHECKING:
    from palaver.csml.state import Run

TOO_MANY: Final = "to many arguments"
CIRCULAR: Final = "GENERIC_COMPONENT_CIRCULAR_DEPENDENCY"
OVERFLOW: Final = "Illegal operation: overflow"


def build(
    descriptor: Json, name: str, args: Arguments, at: Position, run: Run | None = None
) -> Value:
    """A component's value.

    Args:
        descriptor: never changed afterwards; what it compiles to is kept.
        name: `Button`, or `Component.Badge` for one of the bot's own.
        at: where the result counts as created.
        run: pays for the work and bounds the sizes; None only where the author can be trusted.

    Raises:
        SoftError: a descriptor or an argument that does not fit.
    """
    plan = plan_of(descriptor, name)
    if plan.flaw:
        raise SoftError(plan.flaw)
    if plan.parameters is None:
        if plan.is_text:
            raise SoftError(_required("text"))
        return Value(Members(), at, plan.meta)
    if run is not None:
        run.spend(plan.weight)
    return _Building(plan, at, run).build(args)


def _required(name: str) -> str:
    return f"{name} is a required parameter"


# --- building ----------------------------------------------------------------------------------


class _Mark(enum.Enum):
    """What stands in place of a parameter's value."""

    ABSENT = 1
    BEING_COMPUTED = 2


_Found: TypeAlias = "Data | _Mark"

_AS_THEY_ARE: Final = frozenset({str, int, bool, type(None)})


class _Building:
    """One component under construction."""

    __slots__ = (
        "_depth", "_done", "_given", "_is_secret", "_known", "_plan", "_run", "at", "meta",
    )  # fmt: skip

    def __init__(self, plan: Plan, at: Position, run: Run | None) -> None:
        self._plan = plan
        self.at = at
        self._run = run
        self._given: dict[str, Data] = {}
        self._done: dict[str, _Found] = {}
        self._known: dict[int, Items | Members] = {}
        self._depth = 0
        self._is_secret = False
        self.meta: Meta | None = None
        """The meta of every value made here."""

    def build(self, args: Arguments) -> Value:
        plan = self._plan
        parameters = plan.parameters or ()
        self._take_arguments(parameters, args)
        extras = self._extras(args)
        if self._is_secret:
            self.meta = SECURE
        members = Members()
        for parameter in parameters:
            data = self._value(parameter)
            if not isinstance(data, _Mark):
                members[parameter.name] = share(Value(data, self.at, self.meta))
        if not args.is_named and len(args.by_name) > len(parameters):
            raise SoftError(TOO_MANY)
        meta = plan.meta._replace(secure=True) if self._is_secret else plan.meta
        if plan.is_text:
            if "text" not in members:
                raise SoftError(_required("text"))
            return Value(members["text"].data, self.at, meta)
        members.update(extras)
        return Value(members, self.at, meta)

    # -- arguments --

    def _take_arguments(self, parameters: tuple[Parameter, ...], args: Arguments) -> None:
        """The given ones in JSON form. Of a named list only the first may be positional (§8.1)."""
        by_name = args.by_name
        for parameter in parameters:
            if args.is_named:
                value = by_name.get(parameter.name)
                if value is None and parameter.positional == "arg0":
                    value = by_name.get("arg0")
            else:
                value = by_name.get(parameter.positional)
            if value is not None:
                self._given[parameter.name] = self._plain(value)

    def _extras(self, args: Arguments) -> dict[str, Value]:
        """Further arguments of a named list, as they are."""
        if not args.is_named:
            return {}
        found = extras(args, self._plan.by_name)
        if any(value.is_secure or holds_secret(value.data) for value in found.values()):
            self._is_secret = True
        return found

    def _plain(self, value: Value) -> Data:
        """The data of a value's JSON form; the value itself is not wrapped."""
        if value.meta is not None and value.meta.secure:
            self._is_secret = True
        data = value.data
        if data.__class__ in _AS_THEY_ARE:
            return data
        if isinstance(data, float):
            return data if math.isfinite(data) else None
        if isinstance(data, ClosureData):
            return Members({"_closure": Value(data.node.source, value.position)})
        known = self._known.get(id(data))
        if known is None:
            self._enter()
            known = self._plain_container(data)  # type: ignore[arg-type]
            self._depth -= 1
            known.shared = True
            data.shared = True  # type: ignore[union-attr]
            self._known[id(data)] = known
        return known

    def _enter(self) -> None:
        """One container deeper. Raises: BudgetExceeded."""
        nesting = self._run.limits.nesting if self._run is not None else MAX_NESTING
        if self._depth == nesting:
            raise too_deep(nesting)
        self._depth += 1

    def _plain_container(self, data: Items | Members) -> Items | Members:
        """The container itself when all its members are plain."""
        pay = self._run.toil if self._run is not None else free
        if isinstance(data, Items):
            walk = in_portions(data, len(data), pay)
            items = [self._plain_member(item) for item in walk]
            return data if all(map(is_, items, data)) else Items(items)
        entries = in_portions(data.items(), len(data), pay)
        members = {key: self._plain_member(member) for key, member in entries}
        return data if all(map(is_, members.values(), data.values())) else Members(members)

    def _plain_member(self, value: Value) -> Value:
        inner = self._plain(value)
        meta = value.meta
        if meta is None and inner is value.data:
            return value
        tag = wrapper_of(value)
        secure = SECURE if meta is not None and meta.secure else None
        plain = Value(inner, value.position, secure)
        if tag is None:
            return plain
        wrapper = Members({"content_type": Value(tag, value.position), "content": plain})
        return Value(wrapper, value.position, secure)

    # -- values --

    def _value(self, parameter: Parameter) -> _Found:
        """A parameter's value, computed once. Raises: SoftError for a circle."""
        name = parameter.name
        found = self._done.get(name)
        if found is None and name not in self._done:
            self._done[name] = _Mark.BEING_COMPUTED
            found = self._done[name] = self._compute(parameter)
        elif found is _Mark.BEING_COMPUTED:
            raise SoftError(CIRCULAR)
        return found

    def _compute(self, parameter: Parameter) -> _Found:
        name = parameter.name
        is_given = name in self._given
        if not is_given:
            if parameter.is_required:
                raise SoftError(_required(name))
            if not parameter.defaults and not parameter.additions:
                return _Mark.ABSENT
        if parameter.flaw:
            raise SoftError(parameter.flaw)
        empty = parameter.empty
        start = self._given[name] if is_given else self._fold(empty, parameter.defaults)
        return self._add(start, self._fold(empty, parameter.additions))

    def _fold(self, total: Data, actions: tuple[Action, ...]) -> Data:
        for action in actions:
            if action.get is None:
                total = self._add(total, action.data)
                continue
            parameter = self._plan.by_name.get(action.get)
            if parameter is not None:
                other = self._value(parameter)
                if not isinstance(other, _Mark):
                    total = self._add(total, other)
        return total

    def _add(self, left: Data, right: Data) -> Data:
        """⊕"""
        add = _SUMS.get((left.__class__, right.__class__))
        if add is None:
            wanted, got = _TYPE_NAMES[right.__class__], _TYPE_NAMES[left.__class__]
            raise SoftError(f"Type Error expecting {wanted} type but {got} type was found")
        return add(self, left, right)

    def pay(self, members: int = 0, text: int = 0) -> None:
        """Pays for a container or a text to be made."""
        if self._run is not None:
            pay_for_members(self._run, members)
            pay_for_text(self._run, text)


def extras(args: Arguments, taken: dict[str, Any]) -> dict[str, Value]:
    """The arguments of a named list that no parameter took, without the first positional one."""
    return {
        name: share(value)
        for name, value in args.by_name.items()
        if name not in taken and name != "arg0"
    }


# --- the sum ⊕ ---------------------------------------------------------------------------------
# Every result is a new container marked as shared, or one of the operands.


def _null(build: _Building, left: Any, right: Any) -> Data:
    return None


def _or(build: _Building, left: Any, right: Any) -> Data:
    return bool(left or right)


def _sum(build: _Building, left: Any, right: Any) -> Data:
    total: int | float = left + right
    if isinstance(total, int):
        if not INT_MIN <= total <= INT_MAX:
            raise SoftError(OVERFLOW)
    elif not math.isfinite(total):
        raise SoftError(OVERFLOW)
    return total


def _joined(build: _Building, left: Any, right: Any) -> Data:
    if left and right:
        build.pay(text=len(left) + len(right))
    text: str = left + right
    return text


def _concatenated(build: _Building, left: Any, right: Any) -> Data:
    if not right:
        return left  # type: ignore[no-any-return]
    if not left:
        return right  # type: ignore[no-any-return]
    build.pay(members=len(left) + len(right))
    return _marked(Items([*left, *right]))


def _merged(build: _Building, left: Any, right: Any) -> Data:
    if not right:
        return left  # type: ignore[no-any-return]
    build.pay(members=len(left) + len(right))
    return _marked(Members({**left, **right}))


def _text_and_array(build: _Building, left: Any, right: Any) -> Data:
    """The string goes behind the array, from whichever side."""
    return _array_and_text(build, right, left)


def _array_and_text(build: _Building, left: Any, right: Any) -> Data:
    build.pay(members=len(left) + 1)
    return _marked(Items([*left, Value(right, build.at, build.meta)]))


def _marked(data: Items | Members) -> Data:
    data.shared = True
    return data


_SUMS: Final[dict[tuple[type, type], Callable[[_Building, Any, Any], Data]]] = {
    (type(None), type(None)): _null,
    (bool, bool): _or,
    (int, int): _sum,
    (int, float): _sum,
    (float, int): _sum,
    (float, float): _sum,
    (str, str): _joined,
    (Items, Items): _concatenated,
    (Members, Members): _merged,
    (str, Items): _text_and_array,
    (Items, str): _array_and_text,
}

_TYPE_NAMES: Final[dict[type, str]] = {
    type(None): "Null",
    bool: "Bool",
    int: "Number",
    float: "Number",
    str: "String",
    Items: "Array",
    Members: "Object",
}


# --- the native components ---------------------------------------------------------------------


def _native(*params: tuple[str, dict[str, Json]]) -> Json:
    return {"params": [{name: rule} for name, rule in params]}


def _rule(kind: str, **more: Json) -> dict[str, Json]:
    return {"type": kind, **more}


def _copy_of(name: str) -> list[Json]:
    return [{"$_get": name}]


_MEDIA: Final = ("Image", "Video", "Audio", "File")
_PAUSES: Final = ("Typing", "Wait")

NATIVE: Final[dict[str, Json]] = {
    "Text": _native(("text", _rule("String", required=True))),
    **{name: _native(("duration", _rule("Number", required=True))) for name in _PAUSES},
    **{name: _native(("url", _rule("String", required=True))) for name in _MEDIA},
    "Url": _native(
        ("url", _rule("String", required=True)),
        ("text", _rule("String", default_value=_copy_of("url"))),
        ("title", _rule("String", default_value=_copy_of("url"))),
    ),
    "Button": _native(
        ("title", _rule("String", required=True)),
        ("payload", _rule("String", default_value=_copy_of("title"))),
        ("accepts", _rule("Array", add_value=[*_copy_of("title"), *_copy_of("payload")])),
    ),
    "Question": _native(
        ("title", _rule("String")),
        ("buttons", _rule("Array", required=True)),
    ),
    "Card": _native(
        ("title", _rule("String", required=True)),
        ("buttons", _rule("Array")),
    ),
    "Carousel": _native(("cards", _rule("Array", required=True))),
}
"""The native components by name (§8.2)."""
