"""Bare names: variables, and the names that are no variables. Spec: csml-language §5.1, §11.5.

A variable is found as a constant of its flow, a local, or a memory. Whoever changes one in place
asks for its own copy here (`own_variable`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from palaver.csml import nodes
from palaver.csml.compiler.owning import own_in
from palaver.csml.failures import RunError
from palaver.csml.source import Position
from palaver.csml.state import Frame, Run, Unit
from palaver.csml.values import Items, Members, Meta, Value, null_because, share

Evaluate: TypeAlias = Callable[[Frame], Value]


def compile_name(node: nodes.Name, unit: Unit, *, quiet: bool) -> Evaluate:
    """A bare name."""
    special = SPECIAL.get(node.name)
    if special is not None:
        return special(node)
    at, name = node.at, node.name
    find = lookup(name, at, unit)
    is_constant = name in unit.constant_nodes

    def read(frame: Frame) -> Value:
        value = None if is_constant else frame.locals.get(name)
        if value is None:
            value = find(frame)
            if value is None:
                return unknown(frame.run, name, at, quiet=quiet)
        data = value.data
        if data.__class__ is Items or data.__class__ is Members:
            data.shared = True
        return value

    return read


def plain_name(node: nodes.Expression, unit: Unit) -> str | None:
    """The name, when the expression is a variable that is no constant; else None."""
    if isinstance(node, nodes.Name) and node.name not in SPECIAL:
        return None if node.name in unit.constant_nodes else node.name
    return None


def looked_at(node: nodes.Expression, unit: Unit, *, quiet: bool) -> Evaluate:
    """An expression whose value is only looked at, not kept: a local that is read like this has
    no second owner, so changing it later copies nothing."""
    evaluate = unit.expression(node, quiet=quiet)
    name = plain_name(node, unit)
    if name is None:
        return evaluate
    return lambda frame: frame.locals.get(name) or evaluate(frame)


def lookup(name: str, at: Position, unit: Unit) -> Callable[[Frame], Value | None]:
    """Finds a variable: constant of its flow, local, memory; None when it is unknown (§5.1)."""
    if name in unit.constant_nodes:
        return lambda frame: unit.constants.get(name)

    def find(frame: Frame) -> Value | None:
        value = frame.locals.get(name)
        if value is None:
            value = frame.memories.get(name)
            if value is not None:  # a memory counts as created where it is used (§12.3)
                return Value(value.data, at, value.meta)
        return value

    return find


def unknown(run: Run, name: str, at: Position, *, quiet: bool) -> Value:
    """What an unknown name gives (§5.1)."""
    text = f"< {name} > is used before it was saved in memory"
    return null_because(text, at) if quiet else run.soft(text, at)


def _event(node: nodes.Name) -> Evaluate:
    at = node.at

    def event(frame: Frame) -> Value:
        value = frame.run.event
        return Value(value.data, at, value.meta)

    return event


def _metadata(node: nodes.Name) -> Evaluate:
    at = node.at
    return lambda frame: share(frame.run.metadata).at(at)


def _env(node: nodes.Name) -> Evaluate:
    at = node.at
    return lambda frame: share(frame.run.env).at(at)


def memory_view(node: nodes.Name) -> Evaluate:
    at = node.at

    def memory(frame: Frame) -> Value:
        members = Members()
        for name in frame.memories:
            value = frame.memories.get(name)
            if value is not None:
                members[name] = share(value)
        for name, value in frame.locals.items():
            members[name] = share(value)
        secure = any(value.is_secure for value in members.values())
        return Value(members, at, Meta(secure=True) if secure else None)

    return memory


def _component(node: nodes.Name) -> Evaluate:
    def component(frame: Frame) -> Value:
        raise RunError("component must have a function applied", node.at)

    return component


SPECIAL: Final[dict[str, Callable[[nodes.Name], Evaluate]]] = {
    "event": _event,
    "_metadata": _metadata,
    "_env": _env,
    "_memory": memory_view,
    "Component": _component,
}
"""Names that are no variables (§11.5)."""


# --- changing what a name holds ----------------------------------------------------------------


def own_variable(frame: Frame, name: str) -> Value | None:
    """A local's or memory's value, its container changeable in place; None when unknown."""
    value = frame.locals.get(name)
    if value is not None:
        if not getattr(value.data, "shared", False):
            return value
        del value  # this function is no owner
        return own_in(frame.run, frame.locals, name)
    if name in frame.memories:
        return own_in(frame.run, frame.memories.holder(name), name)
    return None


def store(frame: Frame, name: str, value: Value) -> None:
    """Puts a value where the variable lives: a local, else a memory of that name, else a local."""
    if name in frame.locals or name not in frame.memories:
        frame.locals[name] = value
    else:
        frame.memories.set(name, value)
