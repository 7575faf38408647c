"""The `match` operator. Spec: csml-language §11.4.

Objects and buttons stand for what they accept; lists are membership; everything else is `==`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from palaver.csml.operators import MAX_COMPARED, equal, equal_within
from palaver.csml.values import Items, Members, Value, content_type_of

_LOOKED_INTO: Final = frozenset({"button", "object"})

_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def matches(a: Value, b: Value, spend: Callable[[int], object] | None = None) -> bool:
    """Whether `a match b`.

    Args:
        spend: pays for the elements of a list that is searched.
    """
    while True:
        into_a, into_b = _is_looked_into(a), _is_looked_into(b)
        if not into_a and not into_b:
            return _matches_plainly(a, b, spend)
        accepted_a = _accepts(a) if into_a else a
        accepted_b = _accepts(b) if into_b else b
        if accepted_a is None or accepted_b is None:
            return False
        a, b = accepted_a, accepted_b


def _is_looked_into(value: Value) -> bool:
    return value.data.__class__ is Members and content_type_of(value) in _LOOKED_INTO


def _accepts(value: Value) -> Value | None:
    return value.data.get("accepts")  # type: ignore[union-attr]


def _matches_plainly(a: Value, b: Value, spend: Callable[[int], object] | None) -> bool:
    """Rules 4 to 6."""
    items_a, items_b = _array(a), _array(b)
    if items_a is None and items_b is None:
        return equal(a, b)
    if items_a is not None and items_b is not None:
        return equal_within(a, b, [MAX_COMPARED])
    items, other = (items_a, b) if items_a is not None else (items_b, a)
    return _is_among(other, items or Items(), spend)


def _array(value: Value) -> Items | None:
    data = value.data
    return data if isinstance(data, Items) and content_type_of(value) == "array" else None


def _is_among(value: Value, items: Items, spend: Callable[[int], object] | None) -> bool:
    """Strings ignore ASCII case among strings; anything else has to be strictly equal."""
    if spend is not None:
        spend(len(items))
    if isinstance(value.data, str):
        folded = _fold(value.data)
        return any(isinstance(item.data, str) and _fold(item.data) == folded for item in items)
    left = [MAX_COMPARED]
    found = any(equal_within(item, value, left) for item in items)
    if spend is not None:
        spend(MAX_COMPARED - left[0])
    return found


def _fold(text: str) -> str:
    """The text with its ASCII letters in lower case, others as they are."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)
