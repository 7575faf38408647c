"""Bytes to JSON and back: body size, UTF-8, nesting, encoding. Knows no dialect.

A body is checked for depth on its raw bytes before anything recursive sees it, so a document
nested 10,000 deep costs a scan and is refused like any other bad one.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final, TypeVar

import msgspec

from palaver.asgi import Receive
from palaver.errors import Malformed, PalaverError, TooLarge
from palaver.types import Json

T = TypeVar("T")


class ClientGone(PalaverError):
    """The connection was closed while its request was read; nobody waits for an answer."""


async def read_body(receive: Receive, content_length: str | None, max_bytes: int) -> bytes:
    """Reads the body, never holding more than `max_bytes` of it.

    A body that is too large is read on to its end and thrown away, up to four times the limit, so
    that clients which write before they read get to see the answer.

    Raises:
        TooLarge: more than `max_bytes`.
        ClientGone: the connection was closed before the end.
    """
    announced = int(content_length) if content_length and content_length.isdecimal() else 0
    if announced > 4 * max_bytes:
        raise _too_large(max_bytes)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        return body
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise ClientGone("The connection was closed while the body was read.")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size <= max_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
        if size > 4 * max_bytes or not message.get("more_body", False):
            break
        message = await receive()
    if size > max_bytes:
        raise _too_large(max_bytes)
    return b"".join(chunks)


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"The body is larger than {max_bytes} bytes (setting max_body_bytes).")


def decode_json(body: bytes, max_nesting: int = 64) -> Json:
    """Strict JSON in strict UTF-8; integers of any size that fits a document keep their value.

    Raises:
        Malformed: empty, not UTF-8, not JSON, or nested deeper than `max_nesting`.
    """
    return decode_as(_ANY, body, max_nesting)


_ANY: Final[msgspec.json.Decoder[Json]] = msgspec.json.Decoder()


def decode_as(decoder: msgspec.json.Decoder[T], body: bytes, max_nesting: int = 64) -> T:
    """As `decode_json`, into the decoder's type; a wrong or missing field is Malformed too."""
    if not body or body.isspace():
        raise Malformed("The body is empty; JSON was expected.")
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as error:
            raise Malformed(f"The body is not UTF-8: bad byte at {error.start}.") from error
    check_nesting(body, max_nesting)
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Malformed(f"{error}.", problems_of(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not JSON: {error}.") from error


_MISSING: Final = re.compile(r"^Object missing required field `([^`]*)`")
_PLACE: Final = re.compile(r" - at `\$\.?([^`]*)`$")


def problems_of(message: str) -> tuple[tuple[tuple[str, ...], str], ...]:
    """msgspec's message as `((path, text),)`; the path has keys and indexes from the top."""
    place = _PLACE.search(message)
    parts = re.findall(r"[^.\[\]]+", place[1]) if place else []
    missing = _MISSING.match(message)
    if missing:
        return (((*parts, missing[1]), "is missing"),)
    return ((tuple(parts), message[: place.start()] if place else message),)


# Strings are consumed whole, unterminated ones to the end of the body; possessive, so linear.
_STRING: Final = re.compile(rb'"(?>(?:[^"\\]++|\\.)*)(?:"|\\?\Z)', re.DOTALL)
_NOT_BRACKETS: Final = bytes(byte for byte in range(256) if byte not in b"[]{}")
_DELTA: Final = tuple(1 if byte in b"[{" else -1 if byte in b"]}" else 0 for byte in range(256))


def check_nesting(body: bytes, max_nesting: int) -> None:
    """Raises Malformed when arrays and objects lie deeper than `max_nesting`.

    Counting all opening brackets settles almost every body; the rest is scanned without its
    strings, up to the first bracket that is too deep.
    """
    if body.count(b"[") + body.count(b"{") <= max_nesting:
        return
    brackets = _STRING.sub(b"", body).translate(None, _NOT_BRACKETS)
    if any(map(max_nesting.__lt__, accumulate(map(_DELTA.__getitem__, brackets)))):
        raise Malformed(
            f"The JSON is nested deeper than {max_nesting} levels (setting max_json_depth)."
        )


_ENCODER: Final = msgspec.json.Encoder()


def encode_json(value: object) -> bytes:
    """JSON without blanks, UTF-8, object keys in their order. Args: value: no NaN or infinity."""
    return _ENCODER.encode(value)


_SORTED: Final = msgspec.json.Encoder(order="sorted")


def encode_sorted(value: object) -> bytes:
    """As `encode_json` with sorted keys: equal values, equal bytes."""
    return _SORTED.encode(value)


def kind_of(value: Json) -> str:
    """What a JSON value is, for messages: `an array`, `a string` …"""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else "a number"
