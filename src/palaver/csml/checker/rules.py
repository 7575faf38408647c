"""Rules: what a rule is, how it is declared, and how findings become diagnostics.

A rule is one function from a bot to findings, declared in a `RuleTable` with a stable code, a
severity and a line of explanation. The functions know nothing of severities, texts and order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from palaver.csml.checker.index import BotIndex, FlowIndex
from palaver.csml.diagnostics import Diagnostic, Severity, picture
from palaver.csml.source import NOWHERE, Position

MAX_TEXT: Final = 4_000_000
"""Characters of all messages about one bot."""


class Finding(NamedTuple):
    """One place that a rule objects to.

    `text` is what the reference says where that is more than the sentence `reason`. `name` is
    set where the finding would be wrong if some other part of the bot had or used that name.
    """

    flow: FlowIndex
    start: Position
    reason: str
    hint: str = ""
    end: Position | None = None
    text: str = ""
    name: str = ""


Check: TypeAlias = Callable[[BotIndex], Iterable[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding.

    Attributes:
        code: stable name, kebab case.
        severity: an error makes the bot invalid (the reference's) or ends the conversation
            whenever it is reached (ours).
        explanation: one line for the documentation.
        order: findings of a lower order come first (§13.1).
    """

    code: str
    severity: Severity
    explanation: str
    check: Check
    order: int


class RuleTable(list[Rule]):
    """Rules in the order of their declaration."""

    def rule(
        self, code: str, severity: Severity, explanation: str, *, order: int = 0
    ) -> Callable[[Check], Check]:
        """Declares the rule that a function checks."""

        def declare(check: Check) -> Check:
            self.append(Rule(code, severity, explanation, check, order))
            return check

        return declare


def run_rules(rules: Iterable[Rule], bot: BotIndex) -> tuple[Diagnostic, ...]:
    """All findings: by order, flow and place; each place once a code.

    The later ones are left out when their texts would grow beyond `MAX_TEXT`: a long line with
    many mistakes is shown with each of them.
    """
    found = [
        (rule, finding)
        for rule in rules
        for finding in rule.check(bot)
        if finding.name not in bot.unread
    ]
    found.sort(key=_sort_key)
    told: set[tuple[str, int, Position, str]] = set()
    diagnostics: list[Diagnostic] = []
    length = 0
    for rule, finding in found:
        key = (rule.code, finding.flow.number, finding.start, finding.reason)
        if key not in told:
            told.add(key)
            diagnostics.append(_diagnostic(rule, finding))
            length += len(diagnostics[-1].message)
            if length > MAX_TEXT:
                break
    return tuple(diagnostics)


def _sort_key(found: tuple[Rule, Finding]) -> tuple[int, int, bool, Position]:
    rule, finding = found
    # What has no place belongs to the whole flow and comes behind the rest of it.
    return rule.order, finding.flow.number, finding.start == NOWHERE, finding.start


def _diagnostic(rule: Rule, finding: Finding) -> Diagnostic:
    return Diagnostic(
        code=rule.code,
        severity=rule.severity,
        flow=finding.flow.name,
        start=finding.start,
        end=finding.end,
        reason=finding.reason,
        message=picture(finding.flow.source, finding.start, finding.text or finding.reason),
        hint=finding.hint,
    )
