"""How large and how deep a value may be that leaves the program: said, stored, sent, written.

Inside a turn a value may have any shape. Containers share children, so one may be exponentially
larger than what it occupies, and nested as deep as a loop ran. Everything here goes through a
value in a loop; who passed a value may then recurse into it. Spec: product.md §7.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Final, TypeAlias, TypeVar

from palaver.csml.failures import BudgetExceeded
from palaver.csml.source import NOWHERE
from palaver.csml.values import ClosureData, Data, Items, Members, Value

MAX_TEXT: Final = 16 * 1024 * 1024
"""Characters of one text or JSON text; the default of the setting `max_value_bytes`."""

MAX_NESTING: Final = 64
"""Arrays and objects within one another; the default of the setting `max_json_depth`."""


PORTION: Final = 2_000
"""Members that are gone through between two payments; a fraction of a millisecond."""

Pay: TypeAlias = Callable[[int], object]
"""Pays for so many members while they are gone through; lets other clients go on."""

T = TypeVar("T")


def free(members: int) -> None:
    """Nobody pays."""


def in_portions(values: Iterable[T], count: int, pay: Pay) -> Iterable[T]:
    """The same `count` values, paid for while they come."""
    if count > PORTION:
        return portions(values, pay)
    if pay is not free:
        pay(count)
    return values


def portions(values: Iterable[T], pay: Pay) -> Iterator[T]:
    """The same values, whose number nobody knows, paid for while they come."""
    rest = iter(values)
    while portion := list(islice(rest, PORTION)):
        pay(len(portion))
        yield from portion


def too_large(limit: int) -> BudgetExceeded:
    return BudgetExceeded(f"value is larger than max_value_bytes ({limit})", "max_value_bytes")


def too_deep(limit: int) -> BudgetExceeded:
    return BudgetExceeded(f"value is nested deeper than max_json_depth ({limit})", "max_json_depth")


class NestedTooDeep(ValueError):
    """A text that has too many arrays and objects within one another; says so to the author."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"nested deeper than max_json_depth ({limit})")


def check_value(
    value: Value,
    limit: int = MAX_TEXT,
    nesting: int = MAX_NESTING,
    pay: Pay = free,
    *,
    captured: bool = False,
) -> None:
    """Refuses a value whose JSON would be larger than `limit` bytes or so, or nested too deep.

    Linear in the limit, not in the value.

    Args:
        captured: whether closures are written with the variables they captured.
    """
    left = limit
    waiting = [value]
    containers = passed = 0
    while waiting:
        passed += 1
        if passed == PORTION:
            pay(passed)
            passed = 0
        data = waiting.pop().data
        kind = data.__class__
        left -= 2
        if kind is str:
            left -= len(data)  # type: ignore[arg-type]
        elif kind is Items:
            containers += 1
            waiting.extend(data)  # type: ignore[arg-type]
        elif kind is Members:
            containers += 1
            left -= sum(map(len, data))  # type: ignore[arg-type]
            waiting.extend(data.values())  # type: ignore[union-attr]
        elif kind is ClosureData and captured:
            containers += 1
            left -= len(data.node.source)  # type: ignore[union-attr]
            waiting.extend(data.captured.values())  # type: ignore[union-attr]
        if left < 2 * len(waiting):
            raise too_large(limit)
    if containers > nesting:
        _check_nesting(value.data, nesting, pay)


def _check_nesting(data: Data, nesting: int, pay: Pay) -> None:
    """Goes down level by level; a container that is shared counts once a level."""
    level = {id(data): data}
    for _ in range(nesting):
        below: dict[int, Data] = {}
        for container in level.values():
            children = _children(container)
            for child in in_portions(children, len(children), pay):
                if child.data.__class__ in _NESTS:
                    below[id(child.data)] = child.data
        if not below:
            return
        level = below
    raise too_deep(nesting)


_NESTS: Final = frozenset({Items, Members, ClosureData})


def _children(data: Data) -> Collection[Value]:
    if isinstance(data, Items):
        return data
    if isinstance(data, Members):
        return data.values()
    return data.captured.values() if isinstance(data, ClosureData) else ()


def check_kept(
    what: str, values: Mapping[str, Value], limit: int, nesting: int, pay: Pay = free
) -> None:
    """Refuses variables that are too large, or nested too deep, to be kept beyond the turn.

    Args:
        what: `memory` or `variable`.

    Raises:
        BudgetExceeded: names the variable, and the place where its value was made.
    """
    try:
        check_value(Value(Members(values)), limit, nesting + 1, pay, captured=True)
    except BudgetExceeded as error:
        for name, value in values.items():
            try:
                check_value(value, limit, nesting, captured=True)
            except BudgetExceeded as cause:
                text = f"{what} [{name}]: {cause.text}"
                raise BudgetExceeded(text, cause.limit, value.position) from None
        raise BudgetExceeded(f"all of a {what}: {error.text}", error.limit, NOWHERE) from None
