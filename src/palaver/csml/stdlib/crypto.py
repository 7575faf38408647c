"""`Crypto`: hashes and message authentication codes. Spec: csml-language §10.10.

`Crypto(x)` is `{"value": x}`, its hash `{"hash": [bytes]}`; both have the content type `crypto`.
What is hashed may be secure, its digest is not (§6.10).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import pay_for_members
from palaver.csml.stdlib.table import ANY, Arguments, Builtins, Methods, Result
from palaver.csml.values import Items, Members, Meta, Value

if TYPE_CHECKING:
    from palaver.csml.state import Run

CRYPTO_BUILTINS = Builtins()
CRYPTO_METHODS = Methods("Object")

EXTENDABLE: Final = {"shake_128": 16, "shake_256": 32}
"""Functions without a length of their own → the bytes OpenSSL gives."""

ALGORITHMS: Final = {
    spelling: name
    for name in (
        *("md5", "sha1", "sha256", "sha384", "sha512"),
        *("sha3_224", "sha3_256", "sha3_384", "sha3_512"),
        *EXTENDABLE,
        *("ripemd160", "sm3"),
    )
    for spelling in (name, name.upper())
}
"""Spelling of the author → name for `hashlib`."""

BYTES_A_STEP: Final = 32
"""Bytes hashed for the price of one instruction."""

NO_VALUE: Final = 'CRYPTO builtin expects one argument of type string. Example: CRYPTO("text")'
NOT_A_TEXT: Final = "Crypto(string) command expect argument of type String"
BAD_ALGORITHM: Final = "Invalid Algorithm, supported Algorithms are md5 sha1 sha256 sha384 sha512"
BAD_KEY: Final = "HMAC key need to be of type string"
NO_HASH: Final = "Invalid argument, '.digest' is use incorrectly"
BAD_DIGEST: Final = "Invalid Digest Algorithm, supported Algorithms are hex, base64"
UNSUPPORTED: Final = "OpenSSL error"

DIGESTS: Final = {
    "hex": bytes.hex,
    "base64": lambda digest: base64.b64encode(digest).decode("ascii"),
}


@CRYPTO_BUILTINS.add("Crypto", (1, 1))
def make_crypto(run: Run, args: Arguments, at: Position) -> Result:
    value = args.get("value", 0)
    if value is None:
        raise SoftError(NO_VALUE)
    meta = Meta(content_type="crypto", secure=value.is_secure)
    return Value(Members({"value": value}), at, meta)


@CRYPTO_METHODS.add("create_hash", (0, ANY))
def create_hash(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    name = _algorithm(args)
    return _hashed(run, _digest(name, _message(run, this)), at)


@CRYPTO_METHODS.add("create_hmac", (0, ANY))
def create_hmac(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    name = _algorithm(args)
    key = args[1].data if len(args) > 1 else None
    if not isinstance(key, str):
        raise SoftError(BAD_KEY)
    message = _message(run, this)
    if name in EXTENDABLE:
        raise SoftError(UNSUPPORTED)
    run.spend(len(key) // BYTES_A_STEP)
    return _hashed(run, _code(name, _bytes(key), message), at)


@CRYPTO_METHODS.add("digest", (0, ANY))
def digest_of(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    digest = _stored_digest(this)
    wanted = args[0].data if args else None
    if not isinstance(wanted, str):
        raise SoftError(BAD_DIGEST)
    encode = DIGESTS.get(wanted)
    if encode is None:
        raise SoftError(f"'{wanted}' {BAD_DIGEST}")
    return Value(encode(digest), at, Meta())


def _algorithm(args: tuple[Value, ...]) -> str:
    wanted = args[0].data if args else None
    if not isinstance(wanted, str):
        raise SoftError(BAD_ALGORITHM)
    name = ALGORITHMS.get(wanted)
    if name is None:
        raise SoftError(f"'{wanted}' {BAD_ALGORITHM}")
    return name


def _message(run: Run, this: Value) -> bytes:
    value = this.data.get("value") if isinstance(this.data, Members) else None
    if value is None or not isinstance(value.data, str):
        raise SoftError(NOT_A_TEXT)
    run.spend(len(value.data) // BYTES_A_STEP)
    return _bytes(value.data)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _digest(name: str, message: bytes) -> bytes:
    # OpenSSL builds may lack ripemd160 and sm3; `cryptography` brings an OpenSSL of its own.
    try:
        if name in EXTENDABLE:
            return hashlib.new(name, message, usedforsecurity=False).digest(EXTENDABLE[name])  # type: ignore[call-arg]
        return hashlib.new(name, message, usedforsecurity=False).digest()
    except ValueError:
        if name != "sm3":
            raise SoftError(UNSUPPORTED) from None
    try:
        own = hashes.Hash(hashes.SM3())
    except UnsupportedAlgorithm:
        raise SoftError(UNSUPPORTED) from None
    own.update(message)
    return own.finalize()


def _code(name: str, key: bytes, message: bytes) -> bytes:
    try:
        return hmac.new(key, message, name).digest()
    except ValueError:
        if name != "sm3":
            raise SoftError(UNSUPPORTED) from None
    try:
        own = HMAC(key, hashes.SM3())
    except UnsupportedAlgorithm:
        raise SoftError(UNSUPPORTED) from None
    own.update(message)
    return own.finalize()


def _hashed(run: Run, digest: bytes, at: Position) -> Value:
    """The object that stands for a hash; never secure."""
    pay_for_members(run, len(digest))
    items = Value(Items(Value(byte, at) for byte in digest), at)
    return Value(Members({"hash": items}), at, Meta(content_type="crypto"))


def _stored_digest(this: Value) -> bytes:
    """The bytes under `hash`, which may come from a memory somebody wrote through the API."""
    stored = this.data.get("hash") if isinstance(this.data, Members) else None
    if stored is None or not isinstance(stored.data, Items):
        raise SoftError(NO_HASH)
    numbers = [item.data for item in stored.data]
    if not all(type(number) is int and 0 <= number < 256 for number in numbers):
        raise SoftError(NO_HASH)
    return bytes(numbers)  # type: ignore[arg-type]
