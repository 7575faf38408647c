"""The methods of arrays. Spec: csml-language §10.5.

New arrays share their elements with the receiver; the elements are marked as shared, never
copied. `map`, `filter` and `reduce` call closures; a fatal error in there is a soft error of
the method (§12.2), but a limit of the turn stays one.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Final

from palaver.csml.bounds import in_portions
from palaver.csml.failures import BudgetExceeded, RunError, SoftError
from palaver.csml.operators import Allowance, equal_within
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import paid_members, paid_text, pay_for_members, pay_for_text
from palaver.csml.stdlib.generic import GENERIC
from palaver.csml.stdlib.slices import slice_bounds
from palaver.csml.stdlib.table import ANY, Methods, Result
from palaver.csml.values import (
    SECURE_IN_PARTS,
    ClosureData,
    Items,
    Value,
    content_type_of,
    share,
    truthy,
)

if TYPE_CHECKING:
    from palaver.csml.state import Frame, Run

ARRAY: Final = Methods("Array")
ARRAY.update(GENERIC)

_BELOW: Final = "index must be positive. Udage: array[1]"
_BEYOND: Final = "index must be lower than or equal to array.length()"
_INSERT_AT: Final = "[insert_at] takes two arguments. Usage: array.insert_at(1, elem)"
_REMOVE_AT: Final = "[remove_at] takes one parameter of type Int. Usage: array.remove_at(1) "
_JOIN: Final = '[join] takes one parameter of type String. Usage: array.join("elem") '
_SLICE: Final = "slice(start: Integer, end: Optional<Integer>) => [Literal]"
_INIT: Final = "init(capacity: Int) => [Literal]"
_MAP: Final = "map(fn) expect one argument of type [Closure]"
_FILTER: Final = "filter(fn) expect one argument of type [Closure]"
_REDUCE: Final = (
    "reduce(acc, fn) expect tow arguments an initial value and 'Closure' "
    "with two arguments: an 'accumulator', and an element"
)
_ARITY: Final = "function arguments are not valid"


def _items(this: Value) -> Items:
    return this.data  # type: ignore[return-value]


def _shared(run: Run, values: Iterable[Value], count: int) -> Items:
    """An array of `count` elements that another array has too; paid for."""
    return Items([share(value) for value in paid_members(run, values, count)])


# --- reading -----------------------------------------------------------------------------------


@ARRAY.add("length", 0, "length() => int")
def length(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return len(_items(this))


@ARRAY.add("is_empty", 0, "is_empty() => boolean")
def is_empty(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return not _items(this)


@ARRAY.add("find", (1, ANY), "find(value: primitive) => array")
def find(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """All elements strictly equal to the value (§4.6)."""
    items = _items(this)
    allowance = Allowance(run.spend)
    walk = in_portions(items, len(items), run.spend)
    found = Items([share(item) for item in walk if equal_within(item, args[0], allowance)])
    allowance.settle()
    return found


@ARRAY.add("index_of", 1, "index_of(value: primitive) => int")
def index_of(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The first index of a strictly equal element, or -1."""
    items = _items(this)
    allowance = Allowance(run.spend)
    walk = enumerate(in_portions(items, len(items), run.spend))
    found = (index for index, item in walk if equal_within(item, args[0], allowance))
    index = next(found, -1)
    allowance.settle()
    return index


@ARRAY.add("join", 1, "join(separator: string) => string")
def join(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The text forms of the elements with the separator between them."""
    separator = args[0].data
    if not isinstance(separator, str):
        raise SoftError(_JOIN)
    items = _items(this)
    pieces = []
    total = len(separator) * max(0, len(items) - 1)
    for item in in_portions(items, len(items), run.spend):
        piece = paid_text(run, item)
        pieces.append(piece)
        total += len(piece)
        if total > run.limits.value_bytes:
            break  # what follows refuses it; no need to build the other pieces
    pay_for_text(run, total)
    return separator.join(pieces)


@ARRAY.add("one_of", 0, "one_of() => primitive")
def one_of(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """An element by chance; Null of an empty array."""
    items = _items(this)
    return picked(run, items) if items else None


def picked(run: Run, items: Items) -> Value:
    """An element by chance. Args: items: not empty."""
    return share(items[run.host.below(len(items))])


# --- new arrays --------------------------------------------------------------------------------


@ARRAY.add("shuffle", 0, "shuffle() => array", mutates=True)
def shuffle(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """A shuffled copy. It counts as mutating although the receiver stays as it is."""
    return shuffled(run, _items(this))


def shuffled(run: Run, items: Items) -> Items:
    """A copy in an order by chance (Fisher and Yates)."""
    copy = _shared(run, items, len(items))
    for last in in_portions(range(len(copy) - 1, 0, -1), len(copy), run.spend):
        other = run.host.below(last + 1)
        copy[last], copy[other] = copy[other], copy[last]
    return copy


@ARRAY.add("slice", (1, 2), _SLICE)
def slice_(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    items = _items(this)
    start, end = slice_bounds(args, len(items))
    return _shared(run, items[start:end], end - start)


@ARRAY.add("reverse", 0, "reverse() => [Literal]")
def reverse(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    items = _items(this)
    return _shared(run, reversed(items), len(items))


@ARRAY.add("append", 1, "append(other_array: [Literal]) => [Literal]")
def append(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """A new array with the other's elements behind."""
    other = args[0].data
    if not isinstance(other, Items) or content_type_of(args[0]) != "array":
        raise SoftError(_INSERT_AT)  # the reference's text, of another method
    items = _items(this)
    return _shared(run, chain(items, other), len(items) + len(other))


@ARRAY.add("flatten", 0, "flatten() => [Literal]")
def flatten(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """One level of arrays dissolved."""
    items = _items(this)
    walk = in_portions(items, len(items), run.spend)
    parts = [item.data if isinstance(item.data, Items) else (item,) for item in walk]
    return _shared(run, chain.from_iterable(parts), sum(map(len, parts)))


@ARRAY.add("init", 1, _INIT)
def init(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """An array of so many nulls; the receiver does not matter."""
    count = args[0].data
    if count.__class__ is not int:
        raise SoftError(_INSERT_AT)  # the reference's text, of another method
    if count < 0:
        raise SoftError(f"usage: {_INIT}")
    pay_for_members(run, count)
    return Items([Value(None, at)] * count)


# --- changing in place -------------------------------------------------------------------------


@ARRAY.add("push", 1, "push(value: primitive) => null", mutates=True)
def push(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    _items(this).append(share(args[0]))
    return None


@ARRAY.add("pop", 0, "pop() => primitive", mutates=True)
def pop(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    items = _items(this)
    if not items:
        raise SoftError("[pop] Cannot pop if array is empty")
    return items.pop()


@ARRAY.add("insert_at", 2, "insert_at(index: int, value: primitive) => null", mutates=True)
def insert_at(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    items = _items(this)
    index = _checked_index(args[0], len(items), _INSERT_AT)
    run.spend(len(items) // 64)
    items.insert(index, share(args[1]))
    return None


@ARRAY.add("remove_at", 1, "remove_at(index: int) => primitive", mutates=True)
def remove_at(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    items = _items(this)
    index = _checked_index(args[0], len(items) - 1, _REMOVE_AT)
    run.spend(len(items) // 64)
    return items.pop(index)


def _checked_index(value: Value, most: int, wrong_type: str) -> int:
    """An index from 0 to `most`. Raises: SoftError in the reference's words."""
    index = value.data
    if not isinstance(index, int) or isinstance(index, bool):
        raise SoftError(wrong_type)
    if index < 0:
        raise SoftError(_BELOW)
    if index > most:
        raise SoftError(_BEYOND)
    return index


# --- with a closure ----------------------------------------------------------------------------


@ARRAY.add("map", (1, ANY), _MAP)
def map_(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The closure's result for every element."""
    made = Items([share(result) for _, result in _results(run, this, args[0], at, _MAP)])
    walk = in_portions(made, len(made), run.give_way)
    if any(result.is_secure for result in walk):  # the closure looked at a secret `event`
        return Value(made, at, SECURE_IN_PARTS)
    return made


@ARRAY.add("filter", (1, ANY), _FILTER)
def filter_(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The elements for which the closure's result is truthy (§4.3)."""
    results = _results(run, this, args[0], at, _FILTER)
    return Items([item for item, result in results if truthy(result)])


def _results(
    run: Run, this: Value, function: Value, at: Position, usage: str
) -> Iterable[tuple[Value, Value]]:
    """Each element with the closure's result for it; one scope for all calls (§5.4)."""
    closure = _closure(function, usage)
    items = _items(this)
    indexed = _takes_index(closure, bool(items), 1)
    pay_for_members(run, len(items))
    scope = run.closure_scope(closure)
    for index, item in enumerate(items):
        share(item)
        values = [item, Value(index, at)] if indexed else [item]
        yield item, _call(run, closure, values, at, scope)


@ARRAY.add("reduce", (2, ANY), _REDUCE)
def reduce_(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The accumulator after the closure has seen every element. Captured variables are not seen."""
    closure = _closure(args[1], _REDUCE)
    items = _items(this)
    indexed = _takes_index(closure, bool(items), 2)
    run.spend(len(items))
    scope = run.closure_scope(None)
    accumulator = args[0]
    for index, item in enumerate(items):
        values = [accumulator, share(item)]
        if indexed:
            values.append(Value(index, at))
        result = _call(run, closure, values, at, scope)
        # The accumulator that comes back is still only the parameter's, which is bound anew: no
        # second owner, so that pushing to it again and again need not copy it.
        accumulator = result if result.data is accumulator.data else share(result)
    return accumulator


def _closure(value: Value, usage: str) -> ClosureData:
    if not isinstance(value.data, ClosureData):
        raise SoftError(f"usage: {usage}")
    return value.data


def _takes_index(closure: ClosureData, is_called: bool, least: int) -> bool:
    """Whether the index is passed behind `least` values.

    The reference passes it from two parameters on, and crashes on more than it has values for.
    """
    count = len(closure.node.parameters)
    if is_called and count > least + 1:
        raise SoftError(_ARITY)
    return count > least


def _call(run: Run, closure: ClosureData, values: list[Value], at: Position, scope: Frame) -> Value:
    try:
        return run.call(closure, values, at, scope)
    except BudgetExceeded:
        raise
    except RunError as error:
        raise SoftError(error.text, at=error.at) from error
