"""Which methods a value has, and calling one. Spec: csml-language §10.1.

Scalars, arrays, closures and null dispatch on their type. Objects dispatch on the content type of
the *root* of the path they were reached by: `time` objects have only the methods of times, a path
rooted at `event` has the event's and then those of the value under `text` or `payload`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeAlias

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.source import NOWHERE, Position
from palaver.csml.state import Run
from palaver.csml.stdlib.arrays import ARRAY
from palaver.csml.stdlib.conversions import OBJECT_CONVERSIONS, TEXT_CONVERSIONS
from palaver.csml.stdlib.crypto import CRYPTO_METHODS
from palaver.csml.stdlib.encodings import BASE64_METHODS, HEX_METHODS
from palaver.csml.stdlib.events import EVENT
from palaver.csml.stdlib.generic import BOOLEAN, CLOSURE, NULL
from palaver.csml.stdlib.http import HTTP_METHODS
from palaver.csml.stdlib.jwt import JWT_METHODS
from palaver.csml.stdlib.numbers import FLOAT, INT
from palaver.csml.stdlib.objects import OBJECT
from palaver.csml.stdlib.smtp import SMTP_METHODS
from palaver.csml.stdlib.strings import STRING
from palaver.csml.stdlib.table import Method
from palaver.csml.stdlib.time import TIME
from palaver.csml.texts import data_from_json
from palaver.csml.values import (
    KINDS,
    MASK,
    METHOD_OWNERS,
    SECURE,
    ClosureData,
    Data,
    Items,
    Members,
    Meta,
    Value,
    content_type_of,
    owned,
    secured,
    share,
)

Table: TypeAlias = dict[str, Method]

_OBJECT: Final[Table] = OBJECT | OBJECT_CONVERSIONS

BY_TYPE: Final[dict[type, Table]] = {
    str: STRING | TEXT_CONVERSIONS,
    int: INT,
    float: FLOAT,
    bool: BOOLEAN,
    type(None): NULL,
    Items: ARRAY,
    Members: _OBJECT,
    ClosureData: CLOSURE,
}

BY_ROOT: Final[dict[str, Table]] = {
    "http": _OBJECT | HTTP_METHODS,
    "smtp": SMTP_METHODS,
    "base64": BASE64_METHODS,
    "hex": HEX_METHODS,
    "jwt": JWT_METHODS,
    "crypto": CRYPTO_METHODS,
    "time": TIME,
}
"""Methods of objects reached from a root of this content type."""

EVENT_ROOT: Final = "$event"
"""The root type of paths that start at `event`; no content type of a value can be this."""

_ALL: Final = (*BY_TYPE.values(), *BY_ROOT.values(), EVENT)

MUTATING: Final = frozenset(m.name for table in _ALL for m in table.values() if m.mutates)
"""Names of methods that change their receiver in some table."""

NAMES: Final = frozenset(name for table in _ALL for name in table)
"""Every method's name, for suggestions."""

FROZEN: Final = "Invalid operation constants can not execute self mutable functions"


def call_method(
    run: Run,
    this: Value,
    root: str,
    name: str,
    args: tuple[Value, ...],
    at: Position,
    *,
    frozen: bool = False,
) -> Value:
    """Calls a method; every failure is soft.

    Args:
        root: content type of the path's root, or `EVENT_ROOT`.
        frozen: the path starts at a constant or `_env`: nothing may be changed.
    """
    if root == EVENT_ROOT and this.data.__class__ is Members:
        this = _of_event(run, this)
    try:
        method, receiver = find_method(this, root, name)
        if frozen and method.mutates:
            raise SoftError(FROZEN)
        if not method.low <= len(args) <= method.high:
            raise SoftError(f"usage: {method.usage}")
        if method.mutates:
            receiver = owned(receiver)
        result = method.function(run, receiver, args, at)
    except SoftError as error:
        return soften(run, error, at, (this, *args))
    except BudgetExceeded as error:
        raise located(error, at) from None
    return finish(result, at, this, args)


def find_method(this: Value, root: str, name: str) -> tuple[Method, Value]:
    """The method and the value it works on. Raises: SoftError when there is none."""
    data = this.data
    if data.__class__ is Members:
        if root == EVENT_ROOT:
            return _find_event_method(this, name)
        table = BY_ROOT.get(root, _OBJECT)
    else:
        table = BY_TYPE[data.__class__]
    method = table.get(name)
    if method is None:
        raise SoftError(no_method(name, data))
    return method, this


def _of_event(run: Run, this: Value) -> Value:
    """The event's content or an object inside it, with the event's content type (§11.3)."""
    content_type = content_type_of(run.event_content)
    if content_type_of(this) == content_type:
        return this
    return Value(
        this.data, this.position, (this.meta or PUBLIC)._replace(content_type=content_type)
    )


def _find_event_method(this: Value, name: str) -> tuple[Method, Value]:
    method = EVENT.get(name)
    if method is not None:
        return method, this
    members: Any = this.data
    inner = members.get("text") or members.get("payload")
    if inner is None or inner.data.__class__ is Members:
        raise SoftError(no_method(name, this.data))
    return find_method(inner, "", name)


def no_method(name: str, data: Data) -> str:
    """Spec: csml-language §10.1."""
    if data.__class__ is ClosureData:
        return f"[{name}] Closure don't have methods"
    return f"[{name}] is not a method of {METHOD_OWNERS[KINDS[data.__class__]]}"


def soften(run: Run, error: SoftError, at: Position, involved: Iterable[Value] = ()) -> Value:
    """Says a soft error; the Null it leaves.

    Args:
        involved: what the failed call worked on; secret texts among it are masked.
    """
    place = error.at or at
    text = error.text
    for secret in secret_texts(involved):
        text = text.replace(secret, MASK)
    info = {
        key: Value(data_from_json(json, place), place) for key, json in (error.info or {}).items()
    }
    return run.soft(text, place, info)


def secret_texts(values: Iterable[Value]) -> Iterator[str]:
    """The texts in secret values, longest first; the names of members too, where authors chose
    them."""
    found: set[str] = set()
    waiting = [value for value in values if value.is_secure]
    while waiting and len(found) < MAX_MASKED:
        value = waiting.pop()
        data = value.data
        if isinstance(data, str):
            found.add(data)
        elif not value.is_wholly_secure and isinstance(data, Items | Members):
            members = data.values() if isinstance(data, Members) else data
            waiting.extend(member for member in members if member.is_secure)
        elif isinstance(data, Items):
            waiting.extend(data)
        elif isinstance(data, Members):
            if value.meta is not None and value.meta.content_type is not None:
                waiting.extend(member for member in data.values() if member.is_secure)
            else:
                found.update(data)
                waiting.extend(data.values())
    return iter(sorted(filter(None, found), key=len, reverse=True))


MAX_MASKED: Final = 1000
"""Texts looked for in one error; calls that fail with their argument's text take a text."""


def located(error: BudgetExceeded, at: Position) -> BudgetExceeded:
    """The error with a place, if it had none."""
    return error if error.at != NOWHERE else BudgetExceeded(error.text, error.limit, at)


PUBLIC: Final = Meta()
"""The meta of a result that is not secret although it was made from a secret (digests)."""

_CARRIERS: Final = frozenset({str, Items, Members})


def finish(result: Any, at: Position, this: Value | None, args: Any) -> Value:
    """The result as a value: bare data is wrapped, a secret stays one, containers are shared."""
    value = share(result) if result.__class__ is Value else Value(result, at)
    if value.data.__class__ in _CARRIERS and (value.meta is None or value.meta != PUBLIC):
        from_secret = (this is not None and this.is_secure) or any(arg.is_secure for arg in args)
        if from_secret and value.info is None:
            return (
                secured(value)
                if value.meta is not None
                else Value(value.data, value.position, SECURE)
            )
    return value
