"""Making messages fit a dialect: titles are cut, texts and lists split. Spec: dialects §3.

Lengths are counted in code points. Pure; knows no dialect and no limits of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

ELLIPSIS: Final = "…"
"""Ends a cut title; counted in its length."""


def cut_title(text: str, limit: int) -> str:
    """A title of at most `limit` characters: the longest run of whole words that fits, and `…`.

    A text that fits stays as it is. A first word that is too long is cut inside.

    Args:
        limit: at least 1.
    """
    if len(text) <= limit:
        return text
    room = limit - len(ELLIPSIS)
    kept = text[: _last_blank(text, room)].rstrip()
    return (kept or text[:room].rstrip()) + ELLIPSIS


def split_text(text: str, limit: int) -> tuple[str, ...]:
    """The text in pieces of at most `limit` characters, each as long as fits.

    A text that fits is the only piece. Others are split at blanks, and the blanks around a split
    go; a word longer than `limit` is split inside. No piece is empty but that of an empty text.

    Args:
        limit: at least 1.
    """
    pieces = []
    while len(text) > limit:
        end = _last_blank(text, limit)
        piece = text[:end].rstrip()
        if not piece:
            end = limit
            piece = text[:end].rstrip()
        if piece:
            pieces.append(piece)
        text = text[end:].lstrip()
    if text or not pieces:
        pieces.append(text)
    return tuple(pieces)


def _last_blank(text: str, limit: int) -> int:
    """The place of the last blank not behind `limit`, 0 without one: a word may end there."""
    for at in range(min(limit, len(text) - 1), 0, -1):
        if text[at].isspace():
            return at
    return 0


def chunked(items: Sequence[T], size: int) -> tuple[Sequence[T], ...]:
    """The items in slices of `size`, all but the last one full; no items, no slices.

    Args:
        size: at least 1.
    """
    return tuple(items[start : start + size] for start in range(0, len(items), size))
