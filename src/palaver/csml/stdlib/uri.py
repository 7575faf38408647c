"""Percent-encoding of texts and of the queries of addresses. Spec: csml-language §10.3, §10.14."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, unquote


def encode_component(text: str) -> str:
    """Every byte but `A–Z a–z 0–9 - _ . ~` percent-encoded."""
    return quote(text, safe="", errors="replace")


def decode_component(text: str) -> str:
    """Percent-decoded; a `%` without two digits stays, `+` stays.

    Raises:
        ValueError: the bytes are no UTF-8.
    """
    return unquote(text, errors="strict")


def encode_uri(text: str) -> str:
    """An address with the values of its query and fragment percent-encoded anew."""
    return _rewritten(text, encode_component)


def decode_uri(text: str) -> str:
    """An address with the values of its query and fragment percent-decoded, twice."""
    return _rewritten(text, _decode_lossy)


def _decode_lossy(text: str) -> str:
    return unquote(text, errors="replace")


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
