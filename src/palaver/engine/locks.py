"""One turn at a time for each client, in order of arrival; different clients never wait."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field

from palaver.errors import ConversationBusy


@dataclass(slots=True)
class Taken:
    """A turn in progress: since when (`time.monotonic`), by which request, and who waits."""

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

    def waiting(self) -> int:
        """How many requests wait for their turn, whatever the key."""
        return sum(len(taken.waiting) for taken in self._taken.values())

    def behind(self, key: Hashable) -> int:
        """How many requests wait for the turn in progress."""
        taken = self._taken.get(key)
        return 0 if taken is None else len(taken.waiting)

    def turn(self, key: Hashable, identity: Hashable = None) -> Holding:
        """Waits for the key's turn and holds it. Raises: ConversationBusy."""
        return Holding(self, key, identity)

    async def take(self, key: Hashable, identity: Hashable) -> Taken:
        """Waits until the key is free and takes it."""
        taken = self._taken.get(key)
        if taken is None:
            taken = self._taken[key] = Taken(time.monotonic(), identity)
        else:
            await self._wait(key, taken)
            taken.since, taken.identity = time.monotonic(), identity
        return taken

    async def _wait(self, key: Hashable, taken: Taken) -> None:
        future = asyncio.get_running_loop().create_future()
        taken.waiting.append(future)
        try:
            async with asyncio.timeout(self._wait_s):
                await future
        except BaseException as error:
            if future.done() and not future.cancelled():
                self.pass_on(key, taken)  # the turn was given just now: somebody else may have it
            else:
                with suppress(ValueError):  # passed over already, when the turn was passed on
                    taken.waiting.remove(future)
            if isinstance(error, TimeoutError):
                raise ConversationBusy(
                    f"another turn of this client took longer than turn_wait_s ({self._wait_s:g} s)"
                ) from None
            raise

    def pass_on(self, key: Hashable, taken: Taken) -> None:
        """Gives the key to who waits longest, or frees it."""
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


class Holding(AbstractAsyncContextManager[None]):
    """`async with turnstile.turn(key):`; a class because generators cost a turn microseconds."""

    __slots__ = ("_identity", "_key", "_taken", "_turnstile")

    def __init__(self, turnstile: Turnstile, key: Hashable, identity: Hashable) -> None:
        self._turnstile = turnstile
        self._key = key
        self._identity = identity
        self._taken: Taken | None = None

    async def __aenter__(self) -> None:
        self._taken = await self._turnstile.take(self._key, self._identity)

    async def __aexit__(self, *_: object) -> None:
        if self._taken is not None:
            self._turnstile.pass_on(self._key, self._taken)
