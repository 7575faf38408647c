"""Encryption at rest: AES-256-GCM under a ring of keys; the first seals, all of them open.

A sealed body is, in this order:

    SEALED      3 bytes
    key id      4 bytes    which secret: the digest of the key derived from it
    lot         8 bytes    which subkey of that key
    nonce      12 bytes
    sealed body, and 16 bytes that prove nobody changed it

Secrets are stretched once, at the start (scrypt, some 50 ms each). The salt is a constant, so that
every process derives the same keys without asking the database; use long random secrets.

Random nonces under one key are safe for some 2^32 bodies, which a busy server writes in a week.
So a key never seals itself: it makes subkeys (HKDF), each for a lot of 2^24 bodies, and a lot is
named by random bytes. Processes that know nothing of each other, forked ones too, stay safe.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from palaver.errors import ConfigError, StorageError
from palaver.storage.cipher import (
    ESCAPED_TEXT,
    KEY_ID_BYTES,
    SEALED,
    SEALED_TEXT,
    key_missing,
)

LOT_BYTES: Final = 8
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

LOT_SIZE: Final = 2**24
"""Bodies that one subkey seals."""

KNOWN_LOTS: Final = 4096
"""Subkeys kept for reading; a lot that is not among them costs some microseconds more."""

_LOT_AT: Final = len(SEALED) + KEY_ID_BYTES
_NONCE_AT: Final = _LOT_AT + LOT_BYTES
_BODY_AT: Final = _NONCE_AT + NONCE_BYTES

_SALT: Final = b"palaver: bodies at rest, 1"
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1


class KeyRingCipher:
    """A Cipher over secrets.

    Args:
        secrets: the first one seals; what any of them sealed is opened.

    Raises:
        ConfigError: there is none, or only blanks.
    """

    is_plain = False

    def __init__(self, secrets: Sequence[str]) -> None:
        texts = [secret.strip() for secret in secrets if secret.strip()]
        if not texts:
            raise ConfigError("secret_key must hold at least one secret that is not empty")
        masters = [derive_key(text) for text in dict.fromkeys(texts)]
        self._masters = {key_id_of(master): master for master in masters}
        self._first = key_id_of(masters[0])
        self._digest_key = _expand(masters[0], b"digest")
        self._opened: OrderedDict[bytes, AESGCM] = OrderedDict()
        self._left = 0

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of all keys, hexadecimal; the first one seals."""
        return tuple(key_id.hex() for key_id in self._masters)

    def seal(self, body: bytes) -> bytes:
        if not self._left:
            self._begin_lot()
        self._left -= 1
        nonce = os.urandom(NONCE_BYTES)
        return self._head + nonce + self._sealing.encrypt(nonce, body, None)

    def unseal(self, stored: bytes) -> bytes:
        if stored[:3] != SEALED:
            return stored
        if len(stored) < _BODY_AT + TAG_BYTES:
            raise _damaged(stored)
        subkey = self._opened.get(stored[3:_NONCE_AT])
        if subkey is None:
            subkey = self._subkey(stored[3:_NONCE_AT])
        try:
            return subkey.decrypt(stored[_NONCE_AT:_BODY_AT], stored[_BODY_AT:], None)
        except InvalidTag:
            raise _damaged(stored) from None

    def digest(self, body: bytes) -> bytes:
        """Under another first key equal bodies have another one."""
        return hmac.digest(self._digest_key, body, "sha256")

    def seal_text(self, text: str) -> str:
        sealed = self.seal(text.encode("utf-8", "surrogatepass"))
        return SEALED_TEXT + base64.b64encode(sealed).decode("ascii")

    def unseal_text(self, stored: str) -> str:
        if not stored.startswith(SEALED_TEXT):
            return stored
        if stored.startswith(ESCAPED_TEXT):
            return stored[len(ESCAPED_TEXT) :]
        try:
            sealed = base64.b64decode(stored[len(SEALED_TEXT) :], validate=True)
        except (binascii.Error, ValueError):
            raise _damaged(b"") from None
        return self.unseal(sealed).decode("utf-8", "surrogatepass")

    def _begin_lot(self) -> None:
        name = self._first + os.urandom(LOT_BYTES)
        self._sealing = self._subkey(name)
        self._head = SEALED + name
        self._left = LOT_SIZE

    def _subkey(self, name: bytes) -> AESGCM:
        """Of a key id and a lot. Raises: KeyMissing: the key is not on the ring."""
        key_id, lot = name[:KEY_ID_BYTES], name[KEY_ID_BYTES:]
        master = self._masters.get(key_id)
        if master is None:
            raise key_missing(self.key_ids, key_id.hex())
        subkey = AESGCM(_expand(master, b"lot" + lot))
        self._opened[name] = subkey
        if len(self._opened) > KNOWN_LOTS:
            self._opened.popitem(last=False)
        return subkey


def derive_key(secret: str) -> bytes:
    """32 bytes from a secret of any length: slow on purpose, always the same."""
    return hashlib.scrypt(
        secret.encode("utf-8", "surrogatepass"),
        salt=_SALT,
        n=_SCRYPT_N,
        r=_SCRYPT_R,
        p=_SCRYPT_P,
        maxmem=64 * 1024 * 1024,
        dklen=32,
    )


def key_id_of(master: bytes) -> bytes:
    """What names a key without telling anything about it."""
    return _expand(master, b"id")[:KEY_ID_BYTES]


def _expand(master: bytes, purpose: bytes) -> bytes:
    """HKDF-Expand (RFC 5869) with SHA-256, one block. `master` is uniformly random already."""
    return hmac.digest(master, purpose + b"\x01", "sha256")


def _damaged(stored: bytes) -> StorageError:
    key_id = stored[3:_LOT_AT].hex() or "unknown"
    return StorageError(
        f"a body sealed with key {key_id} was changed or damaged on disk: restore a backup"
    )
