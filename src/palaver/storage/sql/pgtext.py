"""Texts as PostgreSQL can store them. Needs no PostgreSQL, for records are made of them, too."""

from __future__ import annotations


def encode_text(text: str) -> bytes:
    """UTF-8. U+0000, which PostgreSQL cannot store, becomes 1 1, and U+0001 becomes 1 2: texts
    sort as before."""
    encoded = text.encode()
    if b"\0" in encoded or b"\1" in encoded:
        encoded = encoded.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1")
    return encoded


def decode_text(stored: bytes) -> str:
    """What `encode_text` was given."""
    if b"\1" in stored:
        stored = stored.replace(b"\1\1", b"\0").replace(b"\1\2", b"\1")
    return stored.decode()
