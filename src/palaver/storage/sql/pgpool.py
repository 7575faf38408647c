"""Connections to share: as many as there are callers at once, up to a limit.

Not psycopg_pool, for three reasons: while the server is away a caller is told so at once instead of
waiting; the first caller after it is back gets a connection, where psycopg_pool's attempts are by
then minutes apart; and taking one costs 1 µs where it costs 9, or 45 when callers wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from palaver.errors import Unavailable
from palaver.storage.sql.pgconnection import PgConnection

IDLE_S = 300
"""How long a connection nobody needs is kept."""


class Pool:
    """Lends connections; callers that find none wait in order of arrival.

    Args:
        connect: makes one; raises Unavailable.
        size: the most there are.
        wait_s: how long a caller waits for one.
    """

    def __init__(
        self, connect: Callable[[], Awaitable[PgConnection]], size: int, wait_s: float
    ) -> None:
        self._connect = connect
        self._size = size
        self._wait_s = wait_s
        self._idle: list[PgConnection] = []
        self._waiting: deque[asyncio.Future[PgConnection | None]] = deque()
        self._loop = asyncio.get_running_loop()
        self._is_open = True
        self.count = 0

    @property
    def busy(self) -> int:
        """Connections that are lent, or on their way."""
        return self.count - len(self._idle)

    @property
    def waiting(self) -> int:
        """Callers without one."""
        return len(self._waiting)

    async def acquire(self) -> PgConnection:
        """Raises: Unavailable when the server cannot be reached, or all are taken for too long."""
        while True:
            if not self._is_open:
                raise Unavailable("the database is closed")
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed:
                    return connection
                self.count -= 1
            if self.count < self._size:
                return await self._add()
            found = await self._wait()
            if found is not None:
                return found

    async def _add(self) -> PgConnection:
        self.count += 1
        try:
            connection = await self._connect()
        except BaseException as error:
            self.count -= 1
            if isinstance(error, Unavailable):
                self._fail_waiting(error)
            else:
                self._wake(None)
            raise
        if not self._is_open:
            self.count -= 1
            connection.close()
            raise Unavailable("the database is closed")
        return connection

    async def _wait(self) -> PgConnection | None:
        """A connection, or None: there is room for a new one now."""
        future: asyncio.Future[PgConnection | None] = self._loop.create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self._wait_s):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                found = future.result()  # it came while we were leaving
                if found is None:
                    self._wake(None)
                else:
                    self.release(found)
            if isinstance(error, TimeoutError):
                raise Unavailable(
                    f"all {self._size} connections to the database are busy; "
                    "give its URL a larger pool_size"
                ) from None
            raise

    def release(self, connection: PgConnection) -> None:
        """Gives one back, in no transaction; or one that is closed."""
        if connection.is_closed:
            self.count -= 1
            self._wake(None)
        elif not self._is_open:
            self.count -= 1
            connection.close()
        elif not self._wake(connection):
            connection.idle_since = self._loop.time()
            self._idle.append(connection)
            if connection.idle_since - self._idle[0].idle_since > IDLE_S:
                self._idle.pop(0).close()
                self.count -= 1

    def _wake(self, found: PgConnection | None) -> bool:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(found)
                return True
        return False

    def _fail_waiting(self, reason: Unavailable) -> None:
        """Nobody need wait for a server that is away."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_exception(Unavailable(str(reason), public=reason.public))

    def drop(self, reason: Unavailable | None = None) -> None:
        """Closes those at rest, for they may be dead; whoever waits for one is told a reason."""
        if reason is not None:
            self._fail_waiting(reason)
        while self._idle:
            self._idle.pop().close()
            self.count -= 1

    async def close(self) -> None:
        """Closes those at rest now, those that are lent when they come back."""
        self._is_open = False
        self.drop(Unavailable("the database is closed"))
