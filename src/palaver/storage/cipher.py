"""Bodies at rest: what the stores call for payloads, memories, holds, answers, bots, their
environments and secrets before they are written and after they are read.

Ids, keys, positions and times stay plain, for they are searched. The cipher knows nothing of rows.
`keyring.py` is the one that encrypts.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final, Protocol

from palaver.errors import StorageError

SEALED: Final = b"\0P1"
"""What a sealed body begins with. No JSON and no HTTP answer of ours begins with a NUL."""

SEALED_TEXT: Final = "$palaver$"
"""What a sealed text begins with; base64 of a sealed body follows."""

ESCAPED_TEXT: Final = "$palaver$=$"
"""What a plain text is stored behind if it happens to begin as a sealed one does."""


class Cipher(Protocol):
    """Seals bodies, and opens what it sealed as well as what was stored plain."""

    is_plain: bool
    """Sealing changes nothing, so that a store may skip it for many small values at once."""

    def seal(self, body: bytes) -> bytes: ...

    def unseal(self, stored: bytes) -> bytes:
        """Raises: StorageError: no key opens it."""
        ...

    def digest(self, body: bytes) -> bytes:
        """32 bytes by which an equal body is found again.

        Under a secret key nobody without the key can tell whether a body is the one that has it.
        """
        ...

    def seal_text(self, text: str) -> str:
        """For values that the database itself gathers into JSON (memories, keys)."""
        ...

    def unseal_text(self, stored: str) -> str:
        """Raises: StorageError: no key opens it."""
        ...


class PlainCipher:
    """Leaves everything as it is: no secret key is set."""

    is_plain = True

    def seal(self, body: bytes) -> bytes:
        return body

    def unseal(self, stored: bytes) -> bytes:
        if stored[:3] == SEALED:
            raise _needs_key()
        return stored

    def digest(self, body: bytes) -> bytes:
        return sha256(body).digest()

    def seal_text(self, text: str) -> str:
        return plain_text(text)

    def unseal_text(self, stored: str) -> str:
        if not stored.startswith(SEALED_TEXT):
            return stored
        if stored.startswith(ESCAPED_TEXT):
            return stored[len(ESCAPED_TEXT) :]
        raise _needs_key()


def plain_text(text: str) -> str:
    """How a text is stored plain: nobody can write one that looks sealed."""
    return ESCAPED_TEXT + text if text.startswith(SEALED_TEXT) else text


def _needs_key() -> StorageError:
    return StorageError(
        "the database is encrypted, and PALAVER_SECRET_KEY is not set: start palaver with the "
        "secret key that it was written with"
    )
