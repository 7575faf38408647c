"""Keeps changes of a person's record apart from turns in progress.

A turn reads the record when it begins and writes it, with lastReplyAt, when it ends. Turns of one
person may be in progress together (the engine takes them one after another); an edit waits until
none is, and new ones wait for the edit. Works within one process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Record:
    """One person's: `users` are all that are in or wait, `turns` those in progress."""

    editing: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    turns: int = 0
    no_turns: asyncio.Event | None = None


class Edits:
    """Hands out turns and edits by person; persons nobody asks for are forgotten."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}

    @asynccontextmanager
    async def turn(self, person: str) -> AsyncIterator[None]:
        """Waits for edits of the person, then keeps them out."""
        async with self._using(person) as record:
            async with record.editing:
                record.turns += 1
            try:
                yield
            finally:
                record.turns -= 1
                if not record.turns and record.no_turns is not None:
                    record.no_turns.set()

    @asynccontextmanager
    async def edit(self, person: str) -> AsyncIterator[None]:
        """Waits for turns in progress and other edits, then keeps both out."""
        async with self._using(person) as record, record.editing:
            if record.turns:
                record.no_turns = asyncio.Event()
                await record.no_turns.wait()
            yield

    @asynccontextmanager
    async def _using(self, person: str) -> AsyncIterator[_Record]:
        record = self._records.setdefault(person, _Record())
        record.users += 1
        try:
            yield record
        finally:
            record.users -= 1
            if not record.users:
                del self._records[person]
