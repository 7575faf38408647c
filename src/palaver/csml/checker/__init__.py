"""The checker: what is wrong with a whole bot, found before a user finds it.

Takes flows and modules that parse, yields diagnostics. `lint_errors` are the errors of the
reference's linter, which make a bot invalid (csml-language §13.1); `check_bot` adds its warnings
and what we find beyond it. Rules stand in tables: `reference` has the reference's, `reach` where
control goes, `names` variables and declarations, `calls` arguments and methods, `literals` what
is written out. Each rule is one function from a `BotIndex` to findings; `RULES` lists them all.

Ours are errors only where a conversation ends whenever the place is reached, warnings else: a
flow that only looks wrong still runs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from palaver.csml.checker import calls, literals, names, reach, reference
from palaver.csml.checker.index import BotIndex, Parsed
from palaver.csml.checker.rules import Rule, run_rules
from palaver.csml.diagnostics import Diagnostic

__all__ = ["ADVICE_CODES", "RULES", "Rule", "check_bot", "lint_errors"]

_ADVICE: Final = tuple(
    replace(rule, order=reference.ADVICE)
    for rule in (*reach.RULES, *names.RULES, *calls.RULES, *literals.RULES)
)

ADVICE_CODES: Final = frozenset(rule.code for rule in _ADVICE)
"""Codes of our own findings: none of them hinders a bot from running."""

RULES: Final[tuple[Rule, ...]] = (*reference.ERRORS, *reference.WARNINGS, *_ADVICE)
"""Every rule: the reference's errors, its warnings, ours."""


def check_bot(
    flows: Sequence[Parsed],
    modules: Sequence[Parsed],
    default_flow: str,
    *,
    native: Collection[str] = (),
    custom_components: Collection[str] = (),
    advice: bool = True,
    unread: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a bot: the reference's errors in its order, then the rest by
    flow and place.

    Args:
        flows, modules: texts with their trees; modules without their prefix.
        default_flow: its name.
        native: names of components called by their bare name, besides the reference's own.
        custom_components: names of components called as `Component.name(…)`.
        advice: with our own findings; without, only what the reference finds.
        unread: every word of the text that could not be read, where flows are given only in
            part. Findings that hinge on one of these names are left out.
    """
    bot = BotIndex(
        flows,
        modules,
        default_flow,
        native=native,
        custom_components=custom_components,
        unread=unread,
    )
    return run_rules(RULES if advice else (*reference.ERRORS, *reference.WARNINGS), bot)


def lint_errors(
    flows: Sequence[Parsed],
    modules: Sequence[Parsed],
    default_flow: str,
    *,
    native: Collection[str] = (),
) -> tuple[Diagnostic, ...]:
    """The errors of the reference's linter: a bot that has any is not run."""
    return run_rules(reference.ERRORS, BotIndex(flows, modules, default_flow, native=native))
