"""What is wrong with what stands in the text as it is: objects, comparisons, calculations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from palaver.csml import nodes
from palaver.csml.checker.index import BotIndex
from palaver.csml.checker.rules import Finding, RuleTable
from palaver.csml.checker.walk import Where, walk
from palaver.csml.constants import ConstantError, constant_value
from palaver.csml.operators import ARITHMETIC, COMPARISONS
from palaver.csml.values import Value, truthy

RULES: Final = RuleTable()

_RELATIONS: Final = frozenset({"==", "!=", "<", ">", "<=", ">="})
_LITERALS: Final = (nodes.Number, nodes.Boolean, nodes.Null, nodes.Array, nodes.Object, nodes.Not)


def literal_value(expression: nodes.Expression) -> Value | None:
    """The value of an expression that has no variables and no calls in it; None for others.

    Raises:
        ConstantError: it cannot be calculated.
    """
    for node, _ in walk((expression,), Where()):
        if isinstance(node, nodes.Text):
            if not all(isinstance(part, str) for part in node.parts) or not node.parts:
                return None
        elif isinstance(node, nodes.Binary):
            if node.operator not in ARITHMETIC and node.operator not in COMPARISONS:
                return None
        elif not isinstance(node, _LITERALS):
            return None
    try:
        return constant_value(expression)
    except RecursionError:
        return None


def literal_truth(condition: nodes.Expression) -> bool | None:
    """Whether a condition without variables and calls holds; None for others."""
    try:
        value = literal_value(condition)
    except ConstantError:
        return False
    return None if value is None else truthy(value)


@RULES.rule("duplicate-key", "warning", "A key that an object has twice: the last one counts.")
def duplicate_key(bot: BotIndex) -> Iterator[Finding]:
    for flow, node, _ in bot.every(nodes.Object):
        last = dict(node.members)
        if len(last) == len(node.members):
            continue
        seen: set[str] = set()
        for key, value in node.members:
            if key in seen:
                reason = f"this object has the key {key!r} more than once"
                yield Finding(flow, value.at, reason, "the last one counts: remove the others")
            seen.add(key)


@RULES.rule("fixed-comparison", "warning", "A comparison whose result is always the same.")
def fixed_comparison(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            if isinstance(body.node, nodes.Constant):
                continue  # there nothing else can stand
            for node, _ in body.every(nodes.Binary):
                truth = literal_truth(node) if node.operator in _RELATIONS else None
                if truth is not None:
                    reason = f"this is always {str(truth).lower()}"
                    hint = "there is no variable in it: texts stand in quotes, names do not"
                    yield Finding(flow, node.at, reason, hint)


@RULES.rule("failing-calculation", "warning", "A calculation that can only fail.")
def failing_calculation(bot: BotIndex) -> Iterator[Finding]:
    for flow, node, _ in bot.every(nodes.Binary):
        if node.operator not in ARITHMETIC:
            continue
        reason = ""
        if node.operator in ("/", "%") and _is_zero(node.right):
            reason = "division by zero"
        elif _is_simple(node.left) and _is_simple(node.right):
            try:
                literal_value(node)
            except ConstantError as error:
                reason = error.reason
        if reason:
            hint = ""
            if node.operator == "+" and nodes.Text in (type(node.left), type(node.right)):
                hint = 'texts are joined by interpolation: "… {{value}} …"'
            yield Finding(flow, node.at, f"this calculation fails: {reason}", hint)


def _is_simple(node: nodes.Expression) -> bool:
    # Calculations of calculations are reported at the inner one that fails.
    return isinstance(node, (*_LITERALS, nodes.Text)) and not isinstance(node, nodes.Not)


def _is_zero(node: nodes.Expression) -> bool:
    return isinstance(node, nodes.Number) and node.value == 0
