"""Properties of characters that RE2 does not know: emoji, identifiers, ages, extended scripts.

The table is `unicode.txt`, of the reference's version of Unicode. Names come without case,
blanks, `-` and `_`. Spec: csml-language §10.3.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

Pairs = tuple[tuple[int, int], ...]

_AGE: Final = "age="
_EXTENSIONS: Final = "scx="


@cache
def _lines() -> dict[str, str]:
    """Name or alias → its ranges as the file has them, in the file's order."""
    text = files("palaver.csml.stdlib").joinpath("unicode.txt").read_text("ascii")
    entries = (line.partition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: ranges for names, _, ranges in entries for name in names.split(",")}


def _read(ranges: str) -> Iterator[tuple[int, int]]:
    end = 0
    for entry in ranges.split():
        gap, _, more = entry.partition("+")
        start = end + int(gap, 16)
        end = start + int(more or "0", 16) + 1
        yield start, end - 1


@cache
def binary(name: str) -> Pairs | None:
    """The characters with a property that is there or not, as sorted ranges; None: no such one."""
    ranges = _lines().get(name) if "=" not in name else None
    return None if ranges is None else tuple(_read(ranges))


@cache
def assigned_by(age: str) -> Pairs | None:
    """The characters of a version of Unicode (`6.0`, `v60`), those of earlier ones among them.

    Returns: ranges in any order, or None for a version that is not known.
    """
    wanted = _lines().get(_AGE + age)
    if wanted is None:
        return None
    found: list[tuple[int, int]] = []
    for name, ranges in _lines().items():
        if name.startswith(_AGE) and not name.startswith(_AGE + "v"):
            found += _read(ranges)
            if ranges == wanted:
                break
    return tuple(found)


@cache
def extended_script(script: str) -> Pairs | None:
    """The characters used in a script (`greek`); None where they are those of the script itself."""
    ranges = _lines().get(_EXTENSIONS + script)
    return None if ranges is None else tuple(_read(ranges))
