"""Whether a PostgreSQL server that is silent works, waits or hangs: asked over another connection.

A statement may wait for a row that another process's turn holds, for more than a minute and by
rights; a server that hangs, or a network that swallows everything, is to be noticed in seconds.
The two look alike on their own connection. So when half of the time is over, the server is asked on
another one what the first one's process does:

    waits for a lock, or began this statement just now   the time begins anew
    works on what may take long                          the time begins anew
    anything else, or there is no such process           that connection is lost
    no answer                                            the server is away

With every connection that is lost those at rest are closed, for they may lead nowhere likewise.
While the server is away, whoever asks is told at once; after a moment somebody tries to connect
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import psycopg

from palaver.errors import Unavailable
from palaver.storage.sql.driver import Command
from palaver.storage.sql.pgconnection import ConnectionLost, PgConnection
from palaver.storage.sql.pgpool import Pool

AWAY_S: Final = 1.0
"""How long nobody tries again; callers are told to come again in one second, too."""

_WORK: Final = (
    "SELECT coalesce(wait_event_type = 'Lock', false), coalesce(state = 'active', false), "
    "(extract(epoch FROM clock_timestamp() - query_start) * 1000000)::bigint "
    "FROM pg_stat_activity WHERE pid = ?1"
)
"""Waits for a lock, works, since when it is on this statement."""


class PgWatch:
    """`pgconnection.Watch` for the connections of one driver.

    Args:
        connect: makes a connection that nobody watches; raises Unavailable.
        answer_s: how long a statement may be silent.
        on_loss: told when a connection was given up, and whether the server is away.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[PgConnection]],
        answer_s: float,
        on_loss: Callable[[bool], None],
    ) -> None:
        self._new_us = round(answer_s * 1e6 / 4)  # much less than when is asked
        self._on_loss = on_loss
        self._loop = asyncio.get_running_loop()
        self._pool = Pool(connect, 1, answer_s)
        self._away_until = 0.0

    @property
    def is_away(self) -> bool:
        """Whether it is too early to try again."""
        return self._loop.time() < self._away_until

    @property
    def count(self) -> int:
        """Connections of its own."""
        return self._pool.count

    async def is_at_work(self, process: int, *, is_long: bool) -> bool:
        """Raises: Unavailable when the server does not answer."""
        ask: Command = (_WORK, (process,))
        connection = await self._pool.acquire()
        try:
            (rows,), _ = await connection.run([ask])
        except (ConnectionLost, psycopg.Error) as error:
            connection.close()
            raise Unavailable(str(error)) from error
        finally:
            self._pool.release(connection)
        if not rows:
            return False
        waits, is_active, age_us = rows[0]
        is_new = age_us is not None and age_us < self._new_us
        return bool(waits or (is_active and (is_long or is_new)))

    def note_loss(self, *, is_silent: bool) -> None:
        if is_silent:
            self._away_until = self._loop.time() + AWAY_S
            self._pool.drop(Unavailable("the database does not answer"))
        self._on_loss(is_silent)

    async def close(self) -> None:
        await self._pool.close()
