"""The `match` operator. Spec: csml-language §11.4.

Objects and buttons stand for what they accept; lists are membership; everything else is `==`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from palaver.csml.operators import Allowance, equal, equal_within
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
        return _counted(equal, a, b, spend)
    if items_a is not None and items_b is not None:
        return _counted(equal_within, a, b, spend)
    items, other = (items_a, b) if items_a is not None else (items_b, a)
    return _is_among(other, items or Items(), spend)


def _counted(
    compare: Callable[[Value, Value, Allowance], bool],
    a: Value,
    b: Value,
    spend: Callable[[int], object] | None,
) -> bool:
    """The comparison, paid for."""
    allowance = Allowance(spend)
    found = compare(a, b, allowance)
    allowance.settle()
    return found


def _array(value: Value) -> Items | None:
    data = value.data
    return data if isinstance(data, Items) and content_type_of(value) == "array" else None


def _is_among(value: Value, items: Items, spend: Callable[[int], object] | None) -> bool:
    """Strings ignore ASCII case among strings; anything else has to be strictly equal."""
    if spend is not None:
        spend(len(items))
    if isinstance(value.data, str):
        folded = _fold(value.data)
        size = len(folded)  # folding keeps it
        texts = [i.data for i in items if isinstance(i.data, str) and len(i.data) == size]
        if spend is not None:
            spend(len(texts) * (size // 1024))
        return any(_fold(text) == folded for text in texts)
    allowance = Allowance(spend)
    found = any(equal_within(item, value, allowance) for item in items)
    allowance.settle()
    return found


def _fold(text: str) -> str:
    """The text with its ASCII letters in lower case, others as they are."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)
