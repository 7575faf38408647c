"""The plain built-in functions: chance, lengths, searching, variables. Spec: csml-language §9."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.arrays import picked, shuffled
from palaver.csml.stdlib.components import TOO_MANY, extras
from palaver.csml.stdlib.costs import paid_text, pay_for_members, pay_for_text
from palaver.csml.stdlib.table import Arguments, Builtins, Result
from palaver.csml.values import Items, Members, Meta, Value, share

if TYPE_CHECKING:
    from palaver.csml.state import Run

PLAIN_BUILTINS: Final = Builtins()

_ONE_OF: Final = "OneOf builtin expects one value of type Array. Example: OneOf( [1, 2, 3] )"
_SHUFFLE: Final = "Shuffle builtin expects one value of type Array. Example: Shuffle( [1, 2, 3] )"
_OR: Final = "ERROR_SHUFFLE"  # the reference's own slip
_LENGTH: Final = (
    "Length builtin expects one value of type Array or String. Example: Length( value )"
)
_FIND: Final = (
    "Find builtin expects 'in' param to be of type String. "
    'Example: Find(value, in = "hola", case_sensitive = true)'
)
_FLOOR: Final = "Floor builtin expects one argument of type float. Example: Floor(4.2)"
_EXISTS: Final = 'Exists builtin expects one value of type String. Example: Exists( "var_name" )'
_OBJECT_IS_DEPRECATED: Final = (
    "'Object(key = value)' will be soon a deprecated Macro please use '{key: value}' instead; "
    "https://docs.csml.dev/automatic-type-inference/literals-objects-arrays"
)


@PLAIN_BUILTINS.add("OneOf", (1, 1))
def one_of(run: Run, args: Arguments, at: Position) -> Result:
    """An element by chance. Of an empty array: the error of what is no array."""
    array = args.get("array", 0)
    if array is None:
        raise SoftError(_ONE_OF)
    if not isinstance(array.data, Items) or not array.data:
        raise SoftError(_ONE_OF, at=array.position)
    return picked(run, array.data)


@PLAIN_BUILTINS.add("Shuffle", (1, 1))
def shuffle(run: Run, args: Arguments, at: Position) -> Result:
    """A shuffled copy."""
    array = args.get("array", 0)
    if array is None or not isinstance(array.data, Items):
        raise SoftError(_SHUFFLE)
    return shuffled(run, array.data)


@PLAIN_BUILTINS.add("Or", (2, 2))
def or_(run: Run, args: Arguments, at: Position) -> Result:
    """The second argument where the first is an error, not where it is merely null."""
    first, second = args.by_name.get("arg0"), args.by_name.get("arg1")
    if args.is_named or first is None or second is None:
        raise SoftError(_OR)
    failed = first.info is not None and "error" in first.info
    return share(second if failed else first)


@PLAIN_BUILTINS.add("Length", (1, 1))
def length(run: Run, args: Arguments, at: Position) -> Result:
    """Elements of an array, bytes of a string."""
    value = args.get("length", 0)
    data = value.data if value is not None else None
    if isinstance(data, Items):
        return len(data)
    if not isinstance(data, str):
        raise SoftError(_LENGTH)
    if data.isascii():
        return len(data)
    pay_for_text(run, len(data))
    return len(data.encode("utf-8", "surrogatepass"))


@PLAIN_BUILTINS.add("Find", (2, 3))
def find(run: Run, args: Arguments, at: Position) -> Result:
    """Whether a text occurs in another, whatever the letter case."""
    needle, hay = args.get("value", 0), args.get("in", 1)
    if needle is None or hay is None:
        raise SoftError(_FIND)
    wanted, text = needle.data, hay.data
    if not isinstance(wanted, str) or not isinstance(text, str):
        raise SoftError(_FIND)
    pay_for_text(run, len(text))
    pay_for_text(run, len(wanted))
    return wanted.lower() in text.lower()


@PLAIN_BUILTINS.add("Floor", (1, 1))
def floor(run: Run, args: Arguments, at: Position) -> Result:
    """A float rounded down, as a float; ints are refused."""
    value = args.get("float", 0)
    number = value.data if value is not None else None
    if not isinstance(number, float):
        raise SoftError(_FLOOR)
    if not math.isfinite(number) or number.is_integer():
        return number
    return float(math.floor(number))


@PLAIN_BUILTINS.add("Exists", (1, 1))
def exists(run: Run, args: Arguments, at: Position) -> Result:
    """Whether a constant, a local or a memory has this name."""
    name = args.get("string", 0)
    if name is None or not isinstance(name.data, str):
        raise SoftError(_EXISTS)
    return run.exists(name.data)


@PLAIN_BUILTINS.add("Debug")
def debug(run: Run, args: Arguments, at: Position) -> Result:
    """The text forms of all arguments, named ones too, as a message of type `debug`."""
    pay_for_members(run, len(args))
    secure = any(value.is_secure for value in args)
    member = Meta(secure=True) if secure else None
    forms = Items([Value(paid_text(run, value), at, member) for value in args])
    members = Members({"args": Value(forms, at, member)})
    return Value(members, at, Meta("debug", secure=secure))


@PLAIN_BUILTINS.add("Object", deprecated=_OBJECT_IS_DEPRECATED)
def object_(run: Run, args: Arguments, at: Position) -> Result:
    """A plain object of the named arguments. The first positional one is dropped."""
    if not args.is_named:
        if len(args):
            raise SoftError(TOO_MANY)
        return Members()
    return Members(extras(args, {}))
