"""A turn that is held on a database that several processes share: first by a lock, then by a lease.

begin ── lock the client's row, read ──┬── compute ── write, commit
                                       └── first call outside: commit a lease, no connection;
                                           the final write checks that the lease still holds
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from palaver.errors import Conflict, ConversationBusy, StorageError
from palaver.model import Client
from palaver.storage.protocol import ClientState, StoredAnswer, TurnWrite
from palaver.storage.sql import tickets
from palaver.storage.sql.driver import Parameters, SharedDriver, Statement, Transaction
from palaver.storage.sql.locking import Found, Held, Lock, TurnStore, begin, lock_client
from palaver.storage.sql.rows import client_key, us_from_time

LEASE_S = 15.0
"""How long a client stays taken after its process died during a call outside."""

LEASE_US = round(LEASE_S * 1e6)

RENEW_S = 5.0
"""How often a lease is extended; three may fail before it is lost."""

BESIDE_WAIT_S, BESIDE_MOMENT_S, BESIDE_PAUSE_S = 30.0, 2.0, 0.02
"""How long a turn that switches to another bot waits for its client, and between two looks."""


class SharedTurn:
    """`storage.protocol.OpenTurn` over a transaction, then over a lease.

    A turn that goes on with another bot holds that bot's client as well, in the same way.
    """

    def __init__(
        self,
        turns: TurnStore,
        driver: SharedDriver,
        transaction: Transaction,
        client: Client,
        held: Held,
        request: bytes | None,
        state: ClientState,
        answer: StoredAnswer | None,
        behind: Callable[[], int],
    ) -> None:
        self._turns = turns
        self._driver = driver
        self._transaction: Transaction | None = transaction
        self._client = client
        self.key = held.key
        self._held = {held.key: held}
        self._request = request
        self._is_leased = self._is_over = False
        self._renewing: asyncio.Task[None] | None = None
        self._behind = behind
        self._lining_up: asyncio.Task[None] | None = None
        self._has_come = asyncio.Event()
        self._state = state
        self.answer = answer

    # --- another bot's client ----------------------------------------------------------------

    async def load(self, client: Client, now: datetime) -> ClientState:
        if client == self._client:
            return self._state
        key, now_us = client_key(client), us_from_time(now)
        if self._is_over or (key in self._held and self._transaction is None):
            return await self._turns.load_client(client, now)
        if self._transaction is not None and key in self._held:
            _, load = self._turns.lock_and_load(key, now_us)
            (rows,) = await self._transaction.run([load])
            return self._turns.state_from_rows(rows, now_us)
        if self._transaction is not None:
            found = await lock_client(self._turns, self._transaction, client, now_us)
            if not self._is_taken(found):
                self._held[key] = Held(key, found.lock.fence, found.is_new)
                return self._turns.state_from_rows(found.rows[1], now_us)
            await self.lease()  # nobody is to wait for rows of ours while we wait
        return await self._lease_beside(client, key, now_us)

    async def _lease_beside(self, client: Client, key: bytes, now_us: int) -> ClientState:
        """Two turns that wait for each other's clients would wait for ever: one that asks for them
        in the order of their keys may wait long, one that does not only for a moment."""
        wait_s = BESIDE_WAIT_S if key > max(self._held) else BESIDE_MOMENT_S
        until = time.monotonic() + wait_s
        while True:
            commands = self._turns.lock_and_load(key, now_us)
            transaction, rows = await begin(self._driver, commands)
            try:
                found = await lock_client(self._turns, transaction, client, now_us, rows=rows)
                if not self._is_taken(found):
                    lease = (key, self._turns.owner, None, LEASE_US, int(found.is_new))
                    self._turns.leases[key] = self  # before anybody can see the lease
                    self._held[key] = Held(key, found.lock.fence + 1, found.is_new)
                    await transaction.commit([(self._turns.statement("take_lease"), [lease])])
                    return self._turns.state_from_rows(found.rows[1], now_us)
            finally:
                await transaction.rollback()
            if time.monotonic() >= until:
                raise ConversationBusy(
                    f"a turn of client {tuple(client)}, to whose bot this one switches, took "
                    f"longer than {wait_s:g} s; try again"
                )
            await asyncio.sleep(BESIDE_PAUSE_S)

    def _is_taken(self, found: Found) -> bool:
        """By a turn of another process, or by another one of this."""
        if found.lock.left_us <= 0:
            return False
        key = found.key
        return found.lock.owner != self._turns.owner or (
            key in self._turns.leases and self._turns.leases[key] is not self
        )

    # --- leases ------------------------------------------------------------------------------

    async def lease(self) -> None:
        if self._is_leased or self._transaction is None:
            return
        transaction, self._transaction = self._transaction, None
        leases: list[Parameters] = [
            (
                key,
                self._turns.owner,
                self._request if key == self.key else None,
                LEASE_US,
                int(held.is_new),
            )
            for key, held in self._held.items()
        ]
        for key in self._held:
            self._turns.leases[key] = self  # before anybody can see the lease
        await transaction.commit([(self._turns.statement("take_lease"), leases)])
        for key, held in self._held.items():
            self._held[key] = held._replace(fence=held.fence + 1)
        self._is_leased = True
        self._renewing = asyncio.create_task(self._renew())
        if self._behind():
            self.somebody_waits()

    async def _renew(self) -> None:
        sql = self._turns.statement("extend_lease")
        while True:
            await asyncio.sleep(RENEW_S)
            leases = [(held.key, held.fence, LEASE_US) for held in self._held.values()]
            with suppress(StorageError):
                await self._driver.write([(sql, leases)])

    # --- who waits in this process -----------------------------------------------------------

    def somebody_waits(self) -> None:
        """A request came for the client while its turn calls: its place is behind those that came
        to other processes before it."""
        self._has_come.set()
        if self._is_leased and self._lining_up is None:
            self._lining_up = asyncio.create_task(self._line_up())

    async def _line_up(self) -> None:
        while self._behind():
            self._has_come.clear()
            with suppress(StorageError):
                await self._take_places()
            with suppress(TimeoutError):
                async with asyncio.timeout(tickets.TICKET_US / 3e6):
                    await self._has_come.wait()
        self._lining_up = None

    async def _take_places(self) -> None:
        lock_client = (self._turns.statement("lock_client"), (self.key,))
        transaction, (rows,) = await begin(self._driver, [lock_client])
        try:
            if not rows or rows[0][0] != self._held[self.key].fence:
                return  # the lease is lost
            lock = Lock(*rows[0])
            line = tickets.line_from_stored(lock.line or b"", lock.now_us)
            stored = line.joined(self._turns.owner, lock.now_us, self._behind()).stored()
            if stored != lock.line:
                save_line = self._turns.statement("save_line")
                await transaction.commit([(save_line, [(self.key, stored)])])
        finally:
            await transaction.rollback()

    # --- the end -----------------------------------------------------------------------------

    async def commit(self, write: TurnWrite) -> None:
        unit = self._turns.plan(write)
        if len(self._held) > 1:
            written = {client_key(part.client) for part in write.clients}
            unit += self._letting_go(set(self._held) - written)
        transaction, self._transaction = self._transaction, None
        self._stop_renewing()
        if transaction is not None:
            self._is_over = True
            await transaction.commit(unit)
        elif self._is_leased and not self._is_over:
            statement, keys = self._turns.statement, sorted(self._held)
            fenced: list[Statement] = [
                (statement("lock_client"), [(key,) for key in keys]),
                (statement("check_fence"), [(key, self._held[key].fence) for key in keys]),
            ]
            await self._driver.write([*fenced, *unit])
            self._forget_leases()
            self._is_over = True
        else:
            raise Conflict("this turn is over; try again")

    async def abandon(self) -> None:
        self._stop_renewing()
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await transaction.rollback()
        elif self._is_leased and not self._is_over:
            with suppress(StorageError):  # they end by themselves
                await self._driver.write(self._letting_go(set(self._held)))
        self._forget_leases()
        self._is_over = True

    def _letting_go(self, keys: set[bytes]) -> list[Statement]:
        """Of clients for whom nothing is stored: their leases, their rows if they were new."""
        unit: list[Statement] = []
        for key in sorted(keys):
            held = [(key, self._held[key].fence)]
            unit.append((self._turns.statement("drop_lease"), held))
            if self._held[key].is_new:
                unit.append((self._turns.statement("drop_new_client"), held))
        return unit

    def _forget_leases(self) -> None:
        for key in self._held:
            if self._turns.leases.get(key) is self:
                del self._turns.leases[key]

    def _stop_renewing(self) -> None:
        for task in (self._renewing, self._lining_up):
            if task is not None:
                task.cancel()
        self._renewing = self._lining_up = None
