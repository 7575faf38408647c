"""How a running program fails: softly (a message, Null, and on it goes), fatally, or by a limit.

Spec: csml-language §12. `SoftError` never leaves the language; `RunError` ends the turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from palaver.csml.source import NOWHERE, Position
from palaver.errors import CsmlError
from palaver.types import Json

NOT_ASSIGNED: Final = "Assignation of secure variable is not allowed"
"""What is said when a secret would be kept, as a value or as the name of a member (§6.10)."""


class SoftError(Exception):
    """Raised by a built-in or method: becomes an error message and a Null that knows why.

    Args:
        text: the bare reason, without position.
        at: where it is reported; None for the name of the call.
        info: further members of the Null's info (`status`, `headers`, `body` of a failed call).
    """

    def __init__(
        self, text: str, at: Position | None = None, info: Mapping[str, Json] | None = None
    ) -> None:
        super().__init__(text)
        self.text = text
        self.at = at
        self.info = info


class RunError(CsmlError):
    """A fatal error at a place in the author's program. Spec: csml-language §12.2."""

    def __init__(self, text: str, at: Position = NOWHERE) -> None:
        super().__init__(text)
        self.text = text
        self.at = at


class ArithmeticFailed(RunError):
    """An operator that cannot: named apart because an inserted step reports it in the flow that
    the step comes from (§12.3)."""


class BudgetExceeded(RunError):
    """A limit of the turn was reached. `limit` is the setting's name (product.md §7)."""

    def __init__(self, text: str, limit: str, at: Position = NOWHERE) -> None:
        super().__init__(text, at)
        self.limit = limit
