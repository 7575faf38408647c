"""Percent-encoding of texts and of the queries of addresses. Spec: csml-language §10.3, §10.14."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, unquote, unquote_to_bytes

from palaver.csml.bounds import Pay, free

CUT: Final = 16_384
"""Characters between two payments."""


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
    return _rewritten(text, lambda part: encode_component(part, pay))


def decode_uri(text: str, pay: Pay = free) -> str:
    """An address with the values of its query and fragment percent-decoded, twice."""
    return _rewritten(text, lambda part: _bytes(part, pay).decode("utf-8", "replace"))


def _decode_lossy(text: str) -> str:
    return unquote(text, errors="replace")


def _bytes(text: str, pay: Pay) -> bytes:
    """The bytes that a percent-encoded text stands for; lone surrogates are no UTF-8."""
    parts = _parts(text, pay)
    return b"".join(unquote_to_bytes(part.encode("utf-8", "surrogatepass")) for part in parts)


def _parts(text: str, pay: Pay) -> Iterator[str]:
    """The text in parts, paid for; none ends within a `%XX`."""
    start = 0
    while start < len(text):
        end = start + CUT
        while "%" in text[end - 2 : end] and end < len(text):
            end += 1
        pay(CUT // 8 if end < len(text) else (len(text) - start) // 8)
        yield text[start:end]
        start = end


def _rewritten(text: str, convert: Callable[[str], str]) -> str:
    if "?" not in text:
        return text
    address, hash_sign, fragment = text.partition("#")
    address, _, query = address.partition("?")
    query = _pairs(query, convert)
    fragment = _pairs(fragment, convert)
    return address + ("?" + query if query else "") + hash_sign + fragment


def _pairs(form: str, convert: Callable[[str], str]) -> str:
    """Form data with its values converted, commas kept; keys are decoded and stay so."""
    pairs = []
    for pair in form.split("&"):
        if pair:
            key, _, value = pair.replace("+", " ").partition("=")
            pieces = [convert(piece) for piece in _decode_lossy(value).split(",")]
            pairs.append(_decode_lossy(key) + ("=" + ",".join(pieces) if value else ""))
    return "&".join(pairs)
