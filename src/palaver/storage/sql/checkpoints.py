"""Moves a SQLite file's write-ahead log into the file, beside the turns.

SQLite would do so by itself, within some commit, and everybody would wait for the copying and two
more syncs: 30 ms at 4,000 pages. Here a connection and a thread of their own copy while turns go
on. What was written meanwhile is little; it is copied behind the next commit (`finish`), when
nobody writes, so that the log is used from its beginning again and does not grow.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable

logger = logging.getLogger(__name__)

CHANGES = 4_000
"""Changed rows between two checkpoints: some thousand pages of the log."""


class Checkpoints:
    """When the log is copied, and by whom.

    Args:
        connect: opens a connection to the file.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connection = connect()
        self._copying: asyncio.Future[None] | None = None
        self._next = CHANGES
        self.is_finishing = False
        """The log was copied but for its end: the next who commits calls `finish`."""

    def note(self, changes: int) -> None:
        """On the event loop: so many rows were changed since the start."""
        if changes >= self._next and self._copying is None:
            self._next = changes + CHANGES
            loop = asyncio.get_running_loop()
            self._copying = loop.run_in_executor(None, copy_log, self._connection)
            self._copying.add_done_callback(self._copied)

    def _copied(self, copying: asyncio.Future[None]) -> None:
        self._copying = None
        self.is_finishing = True

    def finish(self, connection: sqlite3.Connection) -> None:
        """In the thread that writes, on its connection, outside of a transaction."""
        self.is_finishing = False
        copy_log(connection)

    async def stop(self) -> None:
        """Returns when nothing is copied any more."""
        if self._copying is not None:
            await asyncio.wait([self._copying])


def copy_log(connection: sqlite3.Connection) -> None:
    """Copies what it can. What fails is tried again later; the log has everything until then."""
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    except sqlite3.Error as error:
        logger.warning("the write-ahead log could not be copied into the database: %s", error)
