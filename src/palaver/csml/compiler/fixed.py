"""Expressions that give the same value each time: literals, and components made of nothing else.

Most of what bots say is fixed: its value is made when it is first needed, and its message with it.
"""

from __future__ import annotations

from collections.abc import Callable

from palaver.csml import nodes
from palaver.csml.state import Frame, Unit
from palaver.csml.values import Value


def is_fixed(node: nodes.Expression, unit: Unit) -> bool:
    """Whether the value depends on nothing but the program."""
    if isinstance(node, nodes.Text):
        return all(isinstance(part, str) for part in node.parts)
    if isinstance(node, nodes.Array):
        return all(is_fixed(item, unit) for item in node.items)
    if isinstance(node, nodes.Object):
        return all(is_fixed(member, unit) for _, member in node.members)
    if isinstance(node, nodes.Call):
        return node.name in unit.program.native_components and all(
            is_fixed(argument.value, unit) for argument in node.arguments
        )
    return isinstance(node, nodes.Number | nodes.Boolean | nodes.Null)


def kept(evaluate: Callable[[Frame], Value]) -> Callable[[Frame], Value]:
    """`evaluate`, called until it gave a value without saying anything (an error) on the way.

    The value's containers must be marked as shared.
    """
    found: Value | None = None

    def fixed(frame: Frame) -> Value:
        nonlocal found
        if found is not None:
            return found
        said = len(frame.run.effects)
        value = evaluate(frame)
        if len(frame.run.effects) == said:
            found = value
        return value

    return fixed
