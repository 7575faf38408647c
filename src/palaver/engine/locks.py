"""One turn at a time for each client, in order of arrival; different clients never wait."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from palaver.errors import ConversationBusy


@dataclass(slots=True)
class Taken:
    """A turn in progress: since when (loop time), by which request, and who waits."""

    since: float
    identity: Hashable
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)


class Turnstile:
    """Hands out turns by key.

    Args:
        wait_s: how long a request waits for its turn before ConversationBusy.
    """

    def __init__(self, wait_s: float) -> None:
        self._wait_s = wait_s
        self._taken: dict[Hashable, Taken] = {}

    def current(self, key: Hashable) -> Taken | None:
        """The turn in progress for a key, if there is one."""
        return self._taken.get(key)

    @asynccontextmanager
    async def turn(self, key: Hashable, identity: Hashable = None) -> AsyncIterator[None]:
        """Waits for the key's turn and holds it. Raises: ConversationBusy."""
        loop = asyncio.get_running_loop()
        taken = self._taken.get(key)
        if taken is None:
            taken = self._taken[key] = Taken(loop.time(), identity)
        else:
            await self._wait(key, taken)
            taken.since, taken.identity = loop.time(), identity
        try:
            yield
        finally:
            self._pass_on(key, taken)

    async def _wait(self, key: Hashable, taken: Taken) -> None:
        future = asyncio.get_running_loop().create_future()
        taken.waiting.append(future)
        try:
            async with asyncio.timeout(self._wait_s):
                await future
        except BaseException as error:
            if future.done() and not future.cancelled():
                self._pass_on(key, taken)  # the turn was given just now: somebody else may have it
            else:
                taken.waiting.remove(future)
            if isinstance(error, TimeoutError):
                raise ConversationBusy(
                    f"another turn of this client took longer than turn_wait_s ({self._wait_s:g} s)"
                ) from None
            raise

    def _pass_on(self, key: Hashable, taken: Taken) -> None:
        if not self._wake_next(taken):
            del self._taken[key]

    @staticmethod
    def _wake_next(taken: Taken) -> bool:
        while taken.waiting:
            future = taken.waiting.popleft()
            if not future.done():
                future.set_result(None)
                return True
        return False
