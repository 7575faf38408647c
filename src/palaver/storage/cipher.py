"""Bodies at rest: what the stores call for payloads, memories, holds, answers, bots, their
environments and secrets before they are written and after they are read.

Ids, keys, positions and times stay plain, for they are searched. The cipher knows nothing of rows.
`keyring.py` is the one that encrypts.
"""

from __future__ import annotations

import base64
import binascii
from hashlib import sha256
from typing import Final, Protocol

from palaver.errors import KeyMissing

SEALED: Final = b"\0P1"
"""What a sealed body begins with. No JSON and no HTTP answer of ours begins with a NUL."""

SEALED_TEXT: Final = "$palaver$"
"""What a sealed text begins with; base64 of a sealed body follows."""

ESCAPED_TEXT: Final = "$palaver$=$"
"""What a plain text is stored behind if it happens to begin as a sealed one does."""

KEY_ID_BYTES: Final = 4
"""A sealed body goes on with the id of its key."""


class Cipher(Protocol):
    """Seals bodies, and opens what it sealed as well as what was stored plain."""

    is_plain: bool
    """Sealing changes nothing, so that a store may skip it for many small values at once."""

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, hexadecimal; the first one seals. Empty if nothing is sealed."""
        ...

    def seal(self, body: bytes) -> bytes: ...

    def unseal(self, stored: bytes) -> bytes:
        """Raises: KeyMissing: no key opens it; StorageError: it is damaged."""
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
        """Raises: KeyMissing: no key opens it; StorageError: it is damaged."""
        ...


class PlainCipher:
    """Leaves everything as it is: no secret key is set."""

    is_plain = True
    key_ids: tuple[str, ...] = ()

    def seal(self, body: bytes) -> bytes:
        return body

    def unseal(self, stored: bytes) -> bytes:
        if stored[:3] == SEALED:
            raise key_missing((), stored[3 : 3 + KEY_ID_BYTES].hex() or "unknown")
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
        try:
            sealed = base64.b64decode(stored[len(SEALED_TEXT) :])
        except (binascii.Error, ValueError):
            sealed = b""
        return self.unseal(sealed or SEALED).decode()


def plain_text(text: str) -> str:
    """How a text is stored plain: nobody can write one that looks sealed."""
    return ESCAPED_TEXT + text if text.startswith(SEALED_TEXT) else text


def key_missing(given: tuple[str, ...], *wanted: str) -> KeyMissing:
    """Says which secret is to be added. Args: given, wanted: ids of keys."""
    holds = f"the database holds bodies sealed with key {', '.join(wanted)}"
    if not given:
        return KeyMissing(
            f"{holds}, and PALAVER_SECRET_KEY is not set: start palaver with the secret that it "
            "was written with",
            *wanted,
        )
    return KeyMissing(
        f"{holds}, and PALAVER_SECRET_KEY gives {', '.join(given)}: add the secret that it was "
        "written with (comma-separated; the first encrypts, all decrypt)",
        *wanted,
    )
