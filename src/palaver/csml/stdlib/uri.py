"""Percent-encoding of texts and of the queries of addresses. Spec: csml-language §10.3, §10.14."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from palaver.csml.bounds import Pay, free

CUT: Final = 16_384
"""Characters between two payments."""

PIECE_COST: Final = 4
"""Instructions that a piece of a text costs, however short; splitting and joining it takes most."""

_ESCAPE = re.compile("%[0-9a-fA-F]{2}")


def encode_component(text: str, pay: Pay = free) -> str:
    """Every byte but `A–Z a–z 0–9 - _ . ~` percent-encoded."""
    return "".join(quote(part, safe="", errors="replace") for part in _parts(text, pay))


def decode_component(text: str, pay: Pay = free) -> str:
    """Percent-decoded; a `%` without two digits stays, `+` stays.

    Raises:
        ValueError: the bytes are no UTF-8.
    """
    return _bytes(text, pay).decode("utf-8")


def encode_uri(text: str, pay: Pay = free) -> str:
    """An address with the values of its query and fragment percent-encoded anew."""
    return _rewritten(text, lambda part: encode_component(part, pay), pay)


def decode_uri(text: str, pay: Pay = free) -> str:
    """An address with the values of its query and fragment percent-decoded, twice."""
    return _rewritten(text, lambda part: _decode_lossy(part, pay), pay)


def _decode_lossy(text: str, pay: Pay) -> str:
    return _bytes(text, pay).decode("utf-8", "replace")


def _bytes(text: str, pay: Pay) -> bytes:
    """The bytes that a percent-encoded text stands for; lone surrogates are no UTF-8."""
    parts = _parts(text, pay)
    return b"".join(unquote_to_bytes(part.encode("utf-8", "surrogatepass")) for part in parts)


def _parts(text: str, pay: Pay) -> Iterator[str]:
    """The text in parts, paid for; none ends within a `%XX`."""
    start = 0
    while start < len(text):
        end = start + CUT
        for at in (end - 2, end - 1):
            if _ESCAPE.match(text, at):
                end = at + 3
        part = text[start:end]
        pay(PIECE_COST + len(part) // 8 + part.count("%"))
        yield part
        start = end


def _rewritten(text: str, convert: Callable[[str], str], pay: Pay) -> str:
    if "?" not in text:
        return text
    address, hash_sign, fragment = text.partition("#")
    address, _, query = address.partition("?")
    query = _pairs(query, convert, pay)
    fragment = _pairs(fragment, convert, pay)
    return address + ("?" + query if query else "") + hash_sign + fragment


def _pairs(form: str, convert: Callable[[str], str], pay: Pay) -> str:
    """Form data with its values converted, commas kept; keys are decoded and stay so."""
    pairs = []
    for pair in form.split("&"):
        pay(PIECE_COST)
        if pair:
            key, _, value = pair.replace("+", " ").partition("=")
            text = _decode_lossy(key, pay)
            pairs.append(f"{text}={_list(value, convert, pay)}" if value else text)
    return "&".join(pairs)


def _list(value: str, convert: Callable[[str], str], pay: Pay) -> str:
    """A value with what stands between its commas converted."""
    pieces = []
    for piece in _decode_lossy(value, pay).split(","):
        pay(1)
        pieces.append(convert(piece))
    return ",".join(pieces)
