"""Findings about source text: what, where, how bad; and how the reference words them.

Pure data. `SourceError` is the one exception of lexer, parser and checker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from palaver.csml.source import NOWHERE, Position, Source
from palaver.errors import CsmlError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding.

    `message` is the reference's whole text where the reference has one (caret picture included,
    csml-language §12.4); `reason` is the bare sentence. `code` is stable (`syntax`,
    `duplicate-step` …, kebab case). `hint` says what to do, or is empty.
    """

    code: str
    severity: Severity
    flow: str
    start: Position
    end: Position | None
    reason: str
    message: str
    hint: str = ""


class SourceError(CsmlError):
    """Text that does not parse or check. `diagnostics` is never empty."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(d.message for d in diagnostics))
        self.diagnostics = diagnostics


def picture(source: Source, at: Position, reason: str) -> str:
    """The reference's error text: line, source line, caret, reason. Spec: csml-language §12.4."""
    if at == NOWHERE:
        return reason
    line = source.line(at.line).rstrip()
    return f"at line {at.line},\n{line}\n{' ' * (at.column - 1)}^\n{reason}\n\n"
