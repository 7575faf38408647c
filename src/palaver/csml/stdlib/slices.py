"""The bounds of `slice`, the same for strings and arrays. Spec: csml-language §10.3, §10.5."""

from __future__ import annotations

from typing import Final

from palaver.csml.failures import SoftError
from palaver.csml.values import Value

_USAGE: Final = ".slice(start, optional<end>)"
_NO_INTEGER: Final = f"{_USAGE} args need to be of type Integer"
_TOO_LARGE: Final = f"{_USAGE} args need to be inferior to the string length"
_BACKWARDS: Final = f"{_USAGE} end need to be superior to start in value ex: .slice(2, 5)"


def slice_bounds(args: tuple[Value, ...], length: int) -> tuple[int, int]:
    """Start and end of a slice, negative ones counted from the end.

    Args:
        args: one or two values.
        length: of the receiver, in code points or elements.

    Raises:
        SoftError: a bound is no int (reported at that argument), out of range, or backwards.
    """
    bounds = []
    for arg in args:
        bound = arg.data
        if bound.__class__ is not int:
            raise SoftError(_NO_INTEGER, at=arg.position)
        bounds.append(bound + length if bound < 0 else bound)
    start: int = bounds[0]
    end: int = bounds[1] if len(bounds) > 1 else length
    if not 0 <= start < length or not 0 <= end <= length:
        raise SoftError(_TOO_LARGE)
    if end < start:
        raise SoftError(_BACKWARDS)
    return start, end
