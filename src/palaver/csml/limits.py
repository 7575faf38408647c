"""The budgets of a turn, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

from palaver.csml.bounds import MAX_NESTING, MAX_TEXT


@dataclass(frozen=True, slots=True)
class Limits:
    """The budgets of a turn (product.md §7). All are settings, of these names after `max_`."""

    steps: int = 100
    instructions: int = 5_000_000
    depth: int = 300
    payload_bytes: int = 16_000
    value_bytes: int = MAX_TEXT
    messages: int = 10_000
    nesting: int = MAX_NESTING
    """`max_json_depth`: of what is said, stored, sent or written."""
