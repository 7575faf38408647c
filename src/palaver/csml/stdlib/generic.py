"""The methods that every value has, and the kinds of values that have no others.

Spec: csml-language §10.2. `GENERIC` is what each kind's table starts from
(`STRING.update(GENERIC)`); the methods look at the receiver's kind themselves. Unknown methods
are the dispatcher's business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import paid_text
from palaver.csml.stdlib.table import ANY, Methods, Result
from palaver.csml.values import TYPE_NAMES, Members, Meta, Value, kind_of, numeric, own_copy, share

if TYPE_CHECKING:
    from palaver.csml.state import Run

GENERIC: Final = Methods("")
"""Methods of every kind; `owner` is empty because no value has only these and no name."""

NO_INFO: Final = "Null"
"""What `get_info` answers for a value without info: a string."""

_GET_INFO: Final = "get_info(Optional<String: search_key>) => Literal"


@GENERIC.add("type_of", 0, "type_of() => string")
def type_of(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return TYPE_NAMES[kind_of(this)]


@GENERIC.add("to_string", 0, "to_string() => string")
def to_string(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return paid_text(run, this)


def number_of(this: Value) -> int | float | None:
    """The number a value is or, being a string, stands for (§4.4); booleans are none."""
    data = this.data
    if isinstance(data, str):
        return numeric(data)
    return data if data.__class__ is int or data.__class__ is float else None


@GENERIC.add("is_number", 0, "is_number() => boolean")
def is_number(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return number_of(this) is not None


@GENERIC.add("is_int", 0, "is_int() => boolean")
def is_int(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return number_of(this).__class__ is int


@GENERIC.add("is_float", 0, "is_float() => boolean")
def is_float(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    data = this.data
    # A numeric string without a point is no float, not even "1e3" or "inf".
    return number_of(this).__class__ is float and (not isinstance(data, str) or "." in data)


@GENERIC.add("is_error", (0, ANY))
def is_error(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    info = this.info
    return info is not None and "error" in info


@GENERIC.add("get_info", (0, ANY))
def get_info(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    info = this.info
    if info is None:
        return NO_INFO
    whole = share(Value(info, at))
    if not args:
        return whole
    key = args[0].data
    if not isinstance(key, str):
        raise SoftError(_GET_INFO)
    entry = info.get(key)
    return share(entry.at(at)) if entry is not None else _without(key, whole, at)


def _without(key: str, whole: Value, at: Position) -> Value:
    """The whole info, itself marked as an error, in place of an entry it has not."""
    reason = Members({"error": Value(f"[{key}] key does not exist", at)})
    return Value(own_copy(whole).data, at, Meta(info=reason))


BOOLEAN: Final = Methods("Boolean")
NULL: Final = Methods("Null")
CLOSURE: Final = Methods("Closure")

for _table in (BOOLEAN, NULL, CLOSURE):
    _table.update(GENERIC)
