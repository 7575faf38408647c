"""HTML entities in texts. Spec: csml-language §10.3."""

from __future__ import annotations

import re
from html.entities import html5
from typing import Final

from palaver.csml.bounds import Pay, free

_ENTITY = re.compile("&([^;]*);")
_NUMBER = re.compile("#(?:[xX]([0-9a-fA-F]+)|([0-9]+))")
_MAX_DIGITS: Final = 8


def encode_entities(text: str, pay: Pay = free) -> str:
    """`&`, `<` and `>` as entities; quotes stay."""
    pay(len(text) // TEXT_BYTES)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def decode_entities(text: str, pay: Pay = free) -> str:
    """Named (HTML 5), decimal and hexadecimal entities as characters; what is none stays."""
    pieces = []
    start = 0
    # No entity goes beyond a `;`, so a text is cut behind one. Behind the last one nothing is
    # searched: every `&` there would be followed to the end of the text.
    last = text.rfind(";") + 1
    while start < last:
        end = text.find(";", min(start + CUT, last - 1)) + 1
        pay(CUT // 4)
        pieces.append(_ENTITY.sub(_decoded, text[start:end]))
        start = end
    return "".join(pieces) + text[last:]


CUT: Final = 32_768
"""Characters between two payments."""

TEXT_BYTES: Final = 256
"""Characters that are replaced for an instruction."""


def _decoded(found: re.Match[str]) -> str:
    name = found[1]
    number = _NUMBER.fullmatch(name)
    if number is None:
        return html5.get(name + ";", found[0])
    digits = (number[1] or number[2]).lstrip("0") or "0"
    if len(digits) > _MAX_DIGITS:
        return found[0]
    code = int(digits, 16 if number[1] else 10)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        return found[0]
    return chr(code)
