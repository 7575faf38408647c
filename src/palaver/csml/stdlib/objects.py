"""The methods of plain objects, components and requests. Spec: csml-language §10.6.

`to_xml` and `to_yaml` are in `conversions`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.failures import NOT_ASSIGNED, SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import paid_members
from palaver.csml.stdlib.generic import GENERIC
from palaver.csml.stdlib.table import Methods, Result
from palaver.csml.values import Items, Members, Value, share

if TYPE_CHECKING:
    from palaver.csml.state import Run

OBJECT: Final = Methods("Object")
OBJECT.update(GENERIC)

_CONTAINS: Final = '[contains] takes one argument of type String. Usage: object.contains("key")'
_GET: Final = '[get_generics] takes one argument of type String. Usage: object.get_generics("key")'
_INSERT: Final = "[insert] take tow arguments. Usage: object.insert(string, any_type)"
_ASSIGN: Final = '[assign] take one argument. Usage: object.assign({"key": "value"})'
_REMOVE: Final = '[remove] takes one argument of type String. Usage: object.remove("key")'


def _members(this: Value) -> Members:
    return this.data  # type: ignore[return-value]


def _key(value: Value, wrong_type: str) -> str:
    if not isinstance(value.data, str):
        raise SoftError(wrong_type)
    return value.data


# --- reading -----------------------------------------------------------------------------------


@OBJECT.add("keys", 0, "keys() => array")
def keys(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The names of the members, in the order of their insertion."""
    members = _members(this)
    return Items([Value(key, at) for key in paid_members(run, members, len(members))])


@OBJECT.add("values", 0, "values() => array")
def values(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The members, in the order of `keys`."""
    members = _members(this)
    values = paid_members(run, members.values(), len(members))
    return Items([share(value) for value in values])


@OBJECT.add("length", 0, "length() => int")
def length(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return len(_members(this))


@OBJECT.add("is_empty", 0, "is_empty() => boolean")
def is_empty(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return not _members(this)


@OBJECT.add("contains", 1, "contains(key: string) => boolean")
def contains(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _key(args[0], _CONTAINS) in _members(this)


@OBJECT.add("get", 1, "get(key: string) => primitive")
def get(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The member, or a Null without any error."""
    found = _members(this).get(_key(args[0], _GET))
    return None if found is None else share(found)


# --- changing in place -------------------------------------------------------------------------


@OBJECT.add("insert", 2, "insert(key: string, value: primitive) => null", mutates=True)
def insert(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """A secret does not become the name of a member (§6.10, Palaver)."""
    if args[0].is_secure:
        raise SoftError(NOT_ASSIGNED)
    _members(this)[_key(args[0], _INSERT)] = share(args[1])
    return None


@OBJECT.add("assign", 1, "assign(obj: Object) => null", mutates=True)
def assign(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """Takes over the argument's members, unless their names are secrets."""
    if args[0].is_wholly_secure:
        raise SoftError(NOT_ASSIGNED)
    other = args[0].data
    if not isinstance(other, Members):
        raise SoftError(_ASSIGN)
    members = _members(this)
    pairs = list(other.items())  # a list, in case it is the receiver
    for key, value in paid_members(run, pairs, len(pairs)):
        members[key] = share(value)
    return None


@OBJECT.add("remove", 1, "remove(key: string) => primitive", mutates=True)
def remove(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The removed member, or Null."""
    return _members(this).pop(_key(args[0], _REMOVE), None)


@OBJECT.add("clear_values", 0, "clear_values() => null", mutates=True)
def clear_values(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """Every member becomes null."""
    members = _members(this)
    run.spend(len(members))
    for key in members:
        members[key] = Value(None, at)
    return None
