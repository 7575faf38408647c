"""What data costs: paying for copies and texts, refusing results too large to keep.

A copy of a container costs one instruction a member, a text a fraction of its length. Nothing
made from author data may be larger than `limits.value_bytes`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, TypeVar

from palaver.csml.bounds import in_portions, too_large
from palaver.csml.failures import BudgetExceeded
from palaver.csml.source import Position
from palaver.csml.texts import JSON_BYTES, json_text, to_text
from palaver.csml.values import Items, Members, Value

if TYPE_CHECKING:
    from palaver.csml.state import Run

T = TypeVar("T")

LEAST_MEMBER_BYTES: Final = 2
"""What a member takes at least when its container is stored: a digit and a comma."""

OBJECT_COST: Final = 8
"""Instructions of a built-in that makes an object of some kilobyte, so that nobody keeps a million.
"""

TEXT_BYTES: Final = 1024
"""Characters of plain text an instruction pays for; they are only copied."""


def pay_for_members(run: Run, count: int) -> None:
    """Pays for a container of `count` members before it is made.

    Raises: BudgetExceeded when it would be too large, or the turn has done enough.
    """
    limit = run.limits.value_bytes
    if count * LEAST_MEMBER_BYTES > limit:
        raise too_large(limit)
    run.spend(count)


def paid_members(run: Run, values: Iterable[T], count: int) -> Iterable[T]:
    """The values of a container to be made, paid for while they come: others go on in between.

    Raises:
        BudgetExceeded: it would be too large, or the turn has done enough.
    """
    limit = run.limits.value_bytes
    if count * LEAST_MEMBER_BYTES > limit:
        raise too_large(limit)
    return in_portions(values, count, run.spend)


def pay_for_text(run: Run, length: int) -> None:
    """Pays for a text of `length` characters before it is made. Raises: BudgetExceeded."""
    limit = run.limits.value_bytes
    if length > limit:
        raise too_large(limit)
    run.made += length
    run.spend(length // TEXT_BYTES)


def pay_for_output(run: Run, text: str, at: Position) -> None:
    """Pays for a text that leaves by another way than `say`, which has a limit of its own.

    Raises: BudgetExceeded, at the place.
    """
    try:
        run.spend(len(text) // JSON_BYTES)
    except BudgetExceeded as error:
        raise BudgetExceeded(error.text, error.limit, at) from None


def paid_text(run: Run, value: Value) -> str:
    """The text form of a value (§4.7), paid for and within the limit."""
    if not isinstance(value.data, Items | Members):
        return to_text(value)
    return json_text(value, run.limits.value_bytes, run.limits.nesting, spend=run.spend)
