"""What the readers of XML and YAML share: numbers as documents spell them, and who pays.

Their scalars become JSON: digits may be too many, decimals must be finite.
Spec: csml-language §4.7, §10.13.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, TypeAlias

from palaver.csml.values import INT_MIN, numeric

Pay: TypeAlias = Callable[[int], None]
"""Called with the amount of work while it is done; may raise to stop it."""

_UINT_MAX: Final = 2**64 - 1
_MAX_DIGITS: Final = 400
"""Longer digit texts exceed every float."""


def free(amount: int) -> None:
    """Nobody pays."""


def whole(digits: str) -> int | float | None:
    """The number of a text of digits with an optional sign; None when it exceeds every float.

    Raises:
        ValueError: as `bounded` does.
    """
    significant = digits.lstrip("+-").lstrip("0")
    if len(significant) > _MAX_DIGITS:
        return None
    number = int(significant or "0")
    return bounded(-number if digits.startswith("-") else number)


def bounded(number: int) -> int | float | None:
    """An int as documents have it.

    Ints up to 2^64-1 stay ints, so that `texts.from_json` can refuse those beyond 64 signed bits;
    above, they are floats, or None beyond floats.

    Raises:
        ValueError: below -2^63 the reference takes no int, unlike in JSON (recorded).
    """
    if number < INT_MIN:
        raise ValueError("an int below 64 bits")
    if number <= _UINT_MAX:
        return number
    try:
        return float(number)
    except OverflowError:
        return None


def decimal(text: str) -> float | None:
    """The float a text spells (§4.4, without `inf`, `nan`); None for others and too large ones."""
    if numeric(text) is None:
        return None
    number = float(text)  # not by way of an int, which has no negative zero
    return number if math.isfinite(number) else None
