"""Stored memories as callers of other dialects see them: plain JSON without type marks.

Spec: dialects §4; the stored form is csml-language §7.4.
"""

from __future__ import annotations

from palaver.types import Json


def plain(stored: Json) -> Json:
    """The plain JSON of one stored memory; a closure, which has no JSON, is null.

    Args:
        stored: decoded. Plain JSON, as dialects and the memory API write it, stays as it is.
    """
    if isinstance(stored, list):
        return [plain(item) for item in stored]
    if not isinstance(stored, dict):
        return stored
    if "_additional_info" in stored and "value" in stored:
        return plain(stored["value"])
    if "_content_type" in stored and "_content" in stored:
        return plain(stored["_content"])
    closure = stored.get("_closure")
    if isinstance(closure, dict) and isinstance(closure.get("source"), str):
        return None
    return {key: plain(item) for key, item in stored.items()}
