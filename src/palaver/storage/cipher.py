"""Bodies at rest: what the stores call for payloads, memories, holds, answers, bot environments
and secrets before they are written and after they are read.

Ids, keys, positions and times stay plain, for they are searched. The cipher knows nothing of rows.
"""

from __future__ import annotations

from typing import Protocol


class Cipher(Protocol):
    """Seals bodies, and opens what it sealed as well as what was stored plain."""

    is_plain: bool
    """Sealing changes nothing, so that a store may skip it for many small values at once."""

    def seal(self, body: bytes) -> bytes: ...

    def unseal(self, stored: bytes) -> bytes: ...

    def seal_text(self, text: str) -> str:
        """For values that the database itself gathers into JSON (memories, keys)."""
        ...

    def unseal_text(self, stored: str) -> str: ...


class PlainCipher:
    """Leaves everything as it is: no secret key is set."""

    is_plain = True

    def seal(self, body: bytes) -> bytes:
        return body

    def unseal(self, stored: bytes) -> bytes:
        return stored

    def seal_text(self, text: str) -> str:
        return text

    def unseal_text(self, stored: str) -> str:
        return stored
