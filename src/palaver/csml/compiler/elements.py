"""The elements of a path: resolving them, and following them from a value. Spec: §5.2, §12.2.

A path is *resolved* (its index expressions and arguments are evaluated, left to right) before it
is *followed* from its root.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from palaver.csml import nodes
from palaver.csml.compiler.calls import compile_each
from palaver.csml.compiler.owning import own_in
from palaver.csml.failures import BudgetExceeded, RunError
from palaver.csml.source import Position
from palaver.csml.state import Frame, Run, Unit
from palaver.csml.stdlib.methods import MUTATING, call_method
from palaver.csml.texts import CONTAINERS
from palaver.csml.values import (
    Items,
    Members,
    Secret,
    Value,
    content_type_of,
    null_because,
    secured,
    share,
)

Evaluate: TypeAlias = Callable[[Frame], Value]

BAD_INDEX: Final = 'index must be of type int or string. Example var.[42] or var.["key"]'
NOT_NAMED: Final = "arguments in method are not named"


class Element(NamedTuple):
    """One compiled element. `evaluate` for an index, `arguments` for a method, else a name."""

    at: Position
    name: str
    evaluate: Evaluate | None = None
    arguments: tuple[Evaluate, ...] | None = None
    has_named: bool = False


Resolved: TypeAlias = "list[Any]"
"""For each element: an int or str key, or a tuple of argument values."""


# --- resolving ---------------------------------------------------------------------------------


def compile_elements(
    elements: tuple[nodes.PathElement, ...], unit: Unit, *, quiet: bool
) -> tuple[Element, ...]:
    return tuple(_element(element, unit, quiet) for element in elements)


def _element(element: nodes.PathElement, unit: Unit, quiet: bool) -> Element:
    if isinstance(element, nodes.Member):
        return Element(element.at, element.name)
    if isinstance(element, nodes.Index):
        return Element(element.at, "", unit.expression(element.value, quiet=quiet))
    return Element(
        element.at,
        element.name,
        arguments=compile_each(element.arguments, unit, quiet=quiet),
        has_named=any(argument.name is not None for argument in element.arguments),
    )


def resolver(elements: tuple[Element, ...]) -> Callable[[Frame], Resolved]:
    """A function of a frame giving the keys and arguments of a path."""
    if all(e.evaluate is None and not e.arguments for e in elements):
        fixed: Resolved = [() if e.arguments is not None else e.name for e in elements]
        return lambda frame: fixed

    def resolve(frame: Frame) -> Resolved:
        found: Resolved = []
        for element in elements:
            if element.arguments is not None:
                found.append(tuple(argument(frame) for argument in element.arguments))
            elif element.evaluate is None:
                found.append(element.name)
            else:
                value = element.evaluate(frame)
                key = value.data
                if key.__class__ is not int and key.__class__ is not str:
                    raise RunError(BAD_INDEX, element.at)
                found.append(Secret(key) if value.is_secure else key)
        return found

    return resolve


def resolve_for_variable(
    resolve: Callable[[Frame], Resolved], frame: Frame, *, quiet: bool
) -> Resolved:
    """Resolves; a fatal error is said softly (unless quiet), then comes again fatally (§12.2)."""
    try:
        return resolve(frame)
    except BudgetExceeded:
        raise
    except RunError as error:
        if not quiet:
            frame.run.soft(error.text, error.at)
        return resolve(frame)


# --- following ---------------------------------------------------------------------------------


def follow(
    run: Run,
    value: Value,
    root: str,
    elements: tuple[Element, ...],
    resolved: Resolved,
    *,
    quiet: bool,
    frozen: bool = False,
) -> Value:
    """Applies resolved elements to a value. A missing member ends the path with Null."""
    for element, key in zip(elements, resolved, strict=True):
        if element.arguments is not None:
            if element.has_named:
                return run.soft(NOT_NAMED, element.at)
            value = call_method(run, value, root, element.name, key, element.at, frozen=frozen)
            root = content_type_of(value)
            quiet = False
            continue
        found = member(value, key)
        if found is None:
            return missing(run, key, element.at, quiet=quiet)
        if value.meta is not None and value.meta.secure and not found.is_secure:
            found = _reveal(found)
        if getattr(value.data, "shared", False):
            share(found)  # a member of what others see is seen by them too
        value = found
    return value


def _reveal(found: Value) -> Value:
    """A member of a secret container: texts and containers stay secret (§6.10, Palaver)."""
    return secured(found) if found.data.__class__ in (str, Items, Members) else found


def member(value: Value, key: int | str) -> Value | None:
    """The element or member, or None (§5.2)."""
    data = value.data
    if key.__class__ is int:
        if data.__class__ is Items:
            return data[key] if 0 <= key < len(data) else None
        if data.__class__ is str:
            return Value(data[key], value.position, value.meta) if 0 <= key < len(data) else None
        return None
    return data.get(key) if data.__class__ is Members else None  # type: ignore


def missing(run: Run, key: int | str, at: Position, *, quiet: bool) -> Value:
    """What a missing member or element gives (§5.2): quietly, only a key leaves its error."""
    if isinstance(key, int):
        text = f"[{key % 2**64}] index must be lower than or equal to array.length()"
        return Value(None, at) if quiet else run.soft(text, at)
    text = f"[{key}] key does not exist"
    return null_because(text, at) if quiet else run.soft(text, at)


def own_member(run: Run, value: Value, key: int | str) -> Value | None:
    """The member of an owned container, owned in turn; None when it is missing."""
    found = member(value, key)
    if found is None or found.data.__class__ not in CONTAINERS:
        return found
    del found  # this function is no owner
    return own_in(run, value.data, key)


def may_mutate(elements: tuple[Element, ...]) -> bool:
    return any(e.arguments is not None and e.name in MUTATING for e in elements)
