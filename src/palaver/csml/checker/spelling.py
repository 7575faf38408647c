"""Which known name was meant. Costs are bounded: a text full of unknown names stays quick."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import Final

MAX_COMPARISONS: Final = 20_000
"""How many pairs of names are compared for one bot; after that there are no suggestions."""

_LONGEST: Final = 60
_LIKENESS: Final = 0.75


class Speller:
    """Suggests names, as long as its budget lasts."""

    def __init__(self) -> None:
        self._left = MAX_COMPARISONS

    def nearest(self, name: str, *known: Collection[str]) -> str | None:
        """The name most like `name`, whatever the letter case; None when there is none."""
        count = sum(map(len, known))
        if len(name) > _LONGEST or count > self._left:
            return None
        self._left -= count
        others = sorted({one for names in known for one in names if one != name}, reverse=True)
        lowered = {one.lower(): one for one in others}
        found = get_close_matches(name.lower(), lowered, n=1, cutoff=_LIKENESS)
        return lowered[found[0]] if found else None

    def hint(self, name: str, *known: Collection[str], otherwise: str = "") -> str:
        """`did you mean 'x'?`, or another hint."""
        near = self.nearest(name, *known)
        return f"did you mean {near!r}?" if near else otherwise
