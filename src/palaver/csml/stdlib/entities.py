"""HTML entities in texts. Spec: csml-language §10.3."""

from __future__ import annotations

import re
from html.entities import html5
from typing import Final

_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_ENTITY = re.compile("&([^;]*);")
_NUMBER = re.compile("#(?:[xX]([0-9a-fA-F]+)|([0-9]+))")
_MAX_DIGITS: Final = 8


def encode_entities(text: str) -> str:
    """`&`, `<` and `>` as entities; quotes stay."""
    return text.translate(_ESCAPES)


def decode_entities(text: str) -> str:
    """Named (HTML 5), decimal and hexadecimal entities as characters; what is none stays."""
    # without the cut, every `&` behind the last `;` would be searched to the end of the text
    end = text.rfind(";") + 1
    return _ENTITY.sub(_decoded, text[:end]) + text[end:]


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
