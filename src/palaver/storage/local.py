"""A turn where no other process writes: holding it takes nothing, for the engine's own turnstile
keeps a client's turns apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from palaver.storage.protocol import StoredAnswer, Turns


class LocalTurn:
    """`storage.protocol.OpenTurn` over a storage of one process."""

    __slots__ = ("answer", "commit", "load")

    def __init__(self, turns: Turns, answer: StoredAnswer | None) -> None:
        self.answer = answer
        self.load = turns.load_client
        self.commit = turns.commit_turn

    async def lease(self) -> None:
        """Nobody else could take the turn."""

    async def abandon(self) -> None:
        """Nothing is held."""
