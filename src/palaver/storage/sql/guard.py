"""A client's turn on a database that several processes share.

    begin ── lock the client's row, read ──┬── compute ── write, commit
                                           └── first call outside: commit a lease, no connection;
                                               the final write checks that the lease still holds

While a turn computes, the locked row keeps everybody else waiting in the database's own queue.
While it calls the outside, the lease does: its owner extends it, and one whose owner died is over
within LEASE_S. Every turn written and every lease taken raises the client's `fence`, so an owner
that was thought dead finds at its final write that the fence is another, and nothing of it is
stored. Who waits for a lease stands in the client's line (tickets.py).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

from palaver.errors import Conflict, ConversationBusy, StorageError
from palaver.model import Client
from palaver.storage.protocol import ClientState, Leased, StoredAnswer, TurnWrite
from palaver.storage.sql.driver import SharedDriver, Transaction
from palaver.storage.sql.rows import client_key, scope_key, us_from_time
from palaver.storage.sql.tickets import Line, line_from_stored

if TYPE_CHECKING:
    from palaver.storage.sql.driver import Command, Parameters, Row, Statement
    from palaver.storage.sql.turns import SqlTurns

LEASE_S = 15.0
"""How long a client stays taken after its process died during a call outside."""

LEASE_US = round(LEASE_S * 1e6)

RENEW_S = 5.0
"""How often a lease is extended; three may fail before it is lost."""

BESIDE_WAIT_S, BESIDE_MOMENT_S, BESIDE_PAUSE_S = 30.0, 2.0, 0.02
"""How long a turn that switches to another bot waits for its client, and between two looks."""


class Lock(NamedTuple):
    """A client's row as far as it tells who may write; moments by the database's clock."""

    fence: int
    owner: bytes | None
    request: bytes | None
    began_us: int | None
    until_us: int | None
    line: bytes | None
    now_us: int

    @property
    def age_us(self) -> int:
        return self.now_us - (self.began_us or self.now_us)

    @property
    def left_us(self) -> int:
        """Above 0: somebody has a lease."""
        return 0 if self.owner is None or self.until_us is None else self.until_us - self.now_us


class Found(NamedTuple):
    """A client's row, locked: what `lock_client`, `load_client` and the rest gave."""

    key: bytes
    lock: Lock
    rows: list[list[Row]]
    is_new: bool


class Held(NamedTuple):
    """A client that a turn holds. `is_new`: its row is of this turn."""

    key: bytes
    fence: int
    is_new: bool


class SharedTurn:
    """`storage.protocol.OpenTurn` over a transaction, then over a lease.

    A turn that goes on with another bot holds that bot's client as well, in the same way.
    """

    def __init__(
        self,
        turns: SqlTurns,
        driver: SharedDriver,
        transaction: Transaction,
        client: Client,
        held: Held,
        request: bytes | None,
        state: ClientState,
        answer: StoredAnswer | None,
    ) -> None:
        self._turns = turns
        self._driver = driver
        self._transaction: Transaction | None = transaction
        self._client = client
        self._key = held.key
        self._held = {held.key: held}
        self._request = request
        self._is_leased = self._is_over = False
        self._renewing: asyncio.Task[None] | None = None
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
            found = await _lock(self._turns, self._transaction, client, now_us)
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
            transaction, rows = await _begin(self._driver, commands)
            try:
                found = await _lock(self._turns, transaction, client, now_us, rows=rows)
                if not self._is_taken(found):
                    lease = (key, self._turns.owner, None, LEASE_US)
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
            (key, self._turns.owner, self._request if key == self._key else None, LEASE_US)
            for key in self._held
        ]
        for key in self._held:
            self._turns.leases[key] = self  # before anybody can see the lease
        await transaction.commit([(self._turns.statement("take_lease"), leases)])
        for key, held in self._held.items():
            self._held[key] = held._replace(fence=held.fence + 1)
        self._is_leased = True
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        sql = self._turns.statement("extend_lease")
        while True:
            await asyncio.sleep(RENEW_S)
            leases = [(held.key, held.fence, LEASE_US) for held in self._held.values()]
            with suppress(StorageError):
                await self._driver.write([(sql, leases)])

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
        if self._renewing is not None:
            self._renewing.cancel()
            self._renewing = None


async def begin_shared_turn(
    turns: SqlTurns,
    driver: SharedDriver,
    client: Client,
    now: datetime,
    repeat: tuple[str, str] | None,
    *,
    waits: bool,
) -> SharedTurn | Leased:
    """One round trip; two for a client that is new, or for whom somebody waited."""
    now_us = us_from_time(now)
    more: list[Command] = []
    request = None
    if repeat is not None:
        more.append(turns.find_answer_command(*repeat, now))
        request = request_digest(*repeat)
    key = client_key(client)
    transaction, rows = await _begin(driver, [*turns.lock_and_load(key, now_us), *more])
    try:
        found = await _lock(turns, transaction, client, now_us, more=more, rows=rows)
        lock = found.lock
        line = Line() if lock.line is None else line_from_stored(lock.line, lock.now_us)
        is_leased = lock.left_us > 0 and (
            lock.owner != turns.owner or _is_beside(turns.leases.get(key), key)
        )
        if is_leased or line.is_behind(turns.owner):
            await _wait(turns, transaction, found, line.joined(turns.owner, lock.now_us), waits)
            if not is_leased:
                return Leased(math.inf, is_same=False)
            is_same = request is not None and lock.request == request
            return Leased(max(0, lock.age_us) / 1e6, is_same)
        if lock.line is not None:
            stored = line.left(turns.owner).stored()
            await transaction.run([(turns.statement("save_line"), (key, stored))])
        held = Held(key, lock.fence, found.is_new)
        state = turns.state_from_rows(found.rows[1], now_us)
        answer = None if repeat is None else turns.answer_from_rows(*repeat, found.rows[2])
        return SharedTurn(turns, driver, transaction, client, held, request, state, answer)
    except BaseException:
        await transaction.rollback()
        raise


def _is_beside(turn: SharedTurn | None, key: bytes) -> bool:
    """Whether a turn of this process, begun for another client, goes on with this one. Any other
    lease of this process is of a turn that ended without giving it back: in one process the turns
    of a client exclude each other already."""
    return turn is not None and turn._key != key


async def _wait(
    turns: SqlTurns, transaction: Transaction, found: Found, line: Line, waits: bool
) -> None:
    """Ends the transaction of one who has to wait; stands in the line if it `waits`."""
    lock = found.lock
    unit: list[Statement] = []
    if lock.left_us > LEASE_US:  # the database's clock was set back
        shorter = (found.key, lock.fence, LEASE_US)
        unit.append((turns.statement("extend_lease"), [shorter]))
    stored = line.stored()
    if waits and stored != lock.line:
        unit.append((turns.statement("save_line"), [(found.key, stored)]))
    if unit:
        await transaction.commit(unit)
    else:
        await transaction.rollback()


async def _begin(
    driver: SharedDriver, commands: Sequence[Command]
) -> tuple[Transaction, list[list[Row]]]:
    try:
        return await driver.begin(commands)
    except StorageError as error:
        if getattr(error.__cause__, "sqlstate", None) == "55P03":  # lock_timeout
            raise ConversationBusy(
                "another process takes too long over a turn of this client; try again"
            ) from error
        raise


async def _lock(
    turns: SqlTurns,
    transaction: Transaction,
    client: Client,
    now_us: int,
    *,
    more: Sequence[Command] = (),
    rows: list[list[Row]] | None = None,
) -> Found:
    """Locks and reads a client's row, which is made if it is not there.

    Args:
        more: what else to read at once.
        rows: what locking and reading gave, if that was done.
    """
    key = client_key(client)
    commands = [*turns.lock_and_load(key, now_us), *more]
    if rows is None:
        rows = await transaction.run(commands)
    is_new = not rows[0]
    if is_new:
        insert = (turns.statement("ensure_client"), (key, *client))
        rows = (await transaction.run([insert, *commands]))[1:]
    return Found(key, _lock_of(rows[0]), rows, is_new)


def _lock_of(rows: list[Row]) -> Lock:
    if not rows:  # erased in the very moment after it was made
        raise Conflict("the client was just erased; try again")
    return Lock(*rows[0])


def request_digest(scope: str, key: str) -> bytes:
    """By which a lease tells a repeat of its own request from another one."""
    return blake2b(scope_key(scope) + key.encode("utf-8", "replace"), digest_size=16).digest()
