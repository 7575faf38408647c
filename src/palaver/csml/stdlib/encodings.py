"""`Base64` and `Hex`: texts as encodings and back. Spec: csml-language §9, §10.9.

Both built-ins make an object `{"string": text}` whose content type chooses the method table.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from palaver.csml.bounds import too_large
from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.table import (
    ANY,
    Arguments,
    BuiltinFunction,
    Builtins,
    MethodFunction,
    Methods,
    Result,
)
from palaver.csml.values import Members, Meta, Value

if TYPE_CHECKING:
    from palaver.csml.state import Run

ENCODING_BUILTINS = Builtins()
BASE64_METHODS = Methods("Object")
HEX_METHODS = Methods("Object")

NOT_A_TEXT: Final = 'HTTP builtin expects one url of type string. Example: HTTP("https://clevy.io")'
"""Sic: the reference answers with the text of `HTTP`."""

BYTES_A_STEP: Final = 32
"""Bytes encoded for the price of one instruction."""

_LAST_DIGITS: Final = {2: "AQgw", 3: "AEIMQUYcgkosw048"}
"""Digits in an incomplete group → the last digits that leave no bits over."""

_STANDARD_DIGITS = re.compile(r"[A-Za-z0-9+/]*")


def unpadded_base64(digits: str) -> bytes:
    """Decodes digits of the standard alphabet. Raises: ValueError for stray bits."""
    over = len(digits) % 4
    if not _STANDARD_DIGITS.fullmatch(digits) or over == 1:
        raise ValueError("not base64")
    if over and digits[-1] not in _LAST_DIGITS[over]:
        raise ValueError("bits behind the last byte")
    return base64.b64decode(digits + "=" * (-len(digits) % 4))


def _base64_bytes(text: str) -> bytes:
    """Decodes with padding, whole or left out. Raises: ValueError."""
    digits = text.rstrip("=")
    if len(text) > len(digits) and len(text) != len(digits) + (-len(digits) % 4):
        raise ValueError("wrong padding")
    return unpadded_base64(digits)


def _constructor(content_type: str) -> BuiltinFunction:
    def construct(run: Run, args: Arguments, at: Position) -> Result:
        text = args.get("string", 0)
        if text is None or not isinstance(text.data, str):
            raise SoftError(NOT_A_TEXT)
        meta = Meta(content_type=content_type, secure=text.is_secure)
        return Value(Members({"string": text}), at, meta)

    return construct


def _text_of(run: Run, this: Value) -> str:
    """The text inside, paid for. Raises: SoftError when a stored object lost it."""
    inner = this.data.get("string") if isinstance(this.data, Members) else None
    if inner is None or not isinstance(inner.data, str):
        raise SoftError(NOT_A_TEXT)
    run.spend(len(inner.data) // BYTES_A_STEP)
    return inner.data


def _encoder(encode: Callable[[bytes], bytes]) -> MethodFunction:
    def method(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        encoded = encode(_text_of(run, this).encode("utf-8", "replace"))
        if len(encoded) > run.limits.value_bytes:
            raise too_large(run.limits.value_bytes)
        return encoded.decode("ascii")

    return method


def _decoder(owner: str, decode: Callable[[str], bytes]) -> MethodFunction:
    def method(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        text = _text_of(run, this)
        try:
            raw = decode(text)
        except ValueError:
            raise SoftError(f"{owner} invalid value: {text}, can't be decode") from None
        return raw.decode("utf-8", "replace")

    return method


ENCODING_BUILTINS.add("Base64", (1, 1))(_constructor("base64"))
ENCODING_BUILTINS.add("Hex", (1, 1))(_constructor("hex"))
BASE64_METHODS.add("encode", (0, ANY))(_encoder(base64.b64encode))
BASE64_METHODS.add("decode", (0, ANY))(_decoder("Base64", _base64_bytes))
HEX_METHODS.add("encode", (0, ANY))(_encoder(binascii.hexlify))
HEX_METHODS.add("decode", (0, ANY))(_decoder("Hex", binascii.unhexlify))
