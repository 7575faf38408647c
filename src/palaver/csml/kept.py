"""What was made from authors' texts, kept for the next time while there is room for it.

A tree is some hundred times as large as its text, and texts come from anybody who may ask whether
a bot is valid: so the room is counted in characters of text, not only in entries.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST_TEXT: Final = 8 * 1024 * 1024
"""Characters of text whose trees are kept: as many as one request may bring."""


class Kept(Generic[K, V]):
    """The most recently used values. May be used by several threads.

    Args:
        most: how many are kept at most.
        most_text: how many characters they may be made from together; the newest one is kept
            whatever its size.
    """

    def __init__(self, most: int, most_text: int = MOST_TEXT) -> None:
        self._most = most
        self._most_text = most_text
        self._text = 0
        self._entries: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: K) -> V | None:
        """The value, which counts as used now; None when there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            self._entries.move_to_end(key)
            return entry[0]

    def put(self, key: K, value: V, text: int) -> None:
        """Keeps a value. Args: text: how many characters it was made from."""
        with self._lock:
            _, before = self._entries.pop(key, (None, 0))
            self._entries[key] = (value, text)
            self._text += text - before
            while len(self._entries) > 1 and (
                len(self._entries) > self._most or self._text > self._most_text
            ):
                _, (_, size) = self._entries.popitem(last=False)
                self._text -= size

    def clear(self) -> None:
        """Keeps nothing."""
        with self._lock:
            self._entries.clear()
            self._text = 0
