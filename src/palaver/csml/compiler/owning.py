"""Making a container changeable in place: copied only if somebody else can still see it.

The `shared` flag says that a second owner has seen a container; the owner may be gone since: the
parameter of a function that returned, a variable that got another value. Python knows, because
it counts references. A container that only its holder refers to is nobody else's, whatever its
flag says.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any, Final, TypeAlias

from palaver.csml.state import Run
from palaver.csml.values import Items, Members, Value, own_copy

Holder: TypeAlias = "dict[str, Value] | Items"
"""What a value is kept in: variables, memories, the container around it."""

CHEAP_COPY: Final = 8
"""Members that one instruction copies."""


def own_in(run: Run, holder: Any, key: int | str) -> Value:
    """The value at `holder[key]`, its container changeable in place.

    The caller must not refer to the value otherwise: whoever does is a second owner.
    """
    if getattr(holder[key].data, "shared", False):
        if _counts(holder, key) == _SOLE:
            holder[key].data.shared = False
        else:
            holder[key] = paid_copy(run, holder[key])
    value: Value = holder[key]
    return value


def paid_copy(run: Run, value: Value) -> Value:
    """An owned copy. Its price is noticed at the next payment, which knows a place to name."""
    data = value.data
    if isinstance(data, Items | Members):
        run.left -= len(data) // CHEAP_COPY
    return own_copy(value)


def _counts(holder: Any, key: int | str) -> tuple[int, int]:
    """How many refer to a held value, and to its container."""
    value = holder[key]
    return getrefcount(value), getrefcount(value.data)


_SOLE: Final = _counts({"only": Value(Items())}, "only")
"""The counts of what only its holder refers to; measured, for they depend on the interpreter."""
