"""A client's turn on a database that several processes share.

    begin ── lock the client's row, read ──┬── compute ── write, commit
                                           └── first call outside: commit a lease, no connection;
                                               the final write checks that the lease still holds

While a turn computes, the locked row keeps everybody else waiting in the database's own queue.
While it calls the outside, the lease does: its owner extends it, and one whose owner died is over
within LEASE_S. Every turn written and every lease taken raises the client's `fence`, so an owner
that was thought dead finds at its final write that the fence is another, and nothing of it is
stored.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from palaver.errors import Conflict, ConversationBusy, StorageError
from palaver.model import Client
from palaver.storage.protocol import ClientState, Leased, StoredAnswer, TurnWrite
from palaver.storage.sql.driver import SharedDriver, Transaction
from palaver.storage.sql.rows import client_key, scope_key, us_from_time

if TYPE_CHECKING:
    from palaver.storage.sql.driver import Command, Row, Statement
    from palaver.storage.sql.turns import SqlTurns

LEASE_S = 15.0
"""How long a client stays taken after its process died during a call outside."""

LEASE_US = round(LEASE_S * 1e6)

RENEW_S = 5.0
"""How often a lease is extended; three may fail before it is lost."""


class SharedTurn:
    """`storage.protocol.OpenTurn` over a transaction, then over a lease."""

    def __init__(
        self,
        turns: SqlTurns,
        driver: SharedDriver,
        transaction: Transaction,
        client: Client,
        fence: int,
        request: bytes | None,
        *,
        is_new: bool,
    ) -> None:
        self._turns = turns
        self._driver = driver
        self._transaction: Transaction | None = transaction
        self._client = client
        self._key = client_key(client)
        self._fence = fence
        self._request = request
        self._is_new = is_new
        self._is_leased = self._is_over = False
        self._renewing: asyncio.Task[None] | None = None
        self._state = ClientState()
        self.answer: StoredAnswer | None = None

    async def load(self, client: Client, now: datetime) -> ClientState:
        if client == self._client:
            return self._state
        if self._transaction is None:
            return await self._turns.load_client(client, now)
        lock, load = self._turns.lock_and_load(client_key(client), us_from_time(now))
        _, rows = await self._transaction.run([lock, load])
        return self._turns.state_from_rows(rows, us_from_time(now))

    async def lease(self) -> None:
        if self._is_leased or self._transaction is None:
            return
        transaction, self._transaction = self._transaction, None
        parameters = (self._key, self._turns.owner, self._request, LEASE_US)
        await transaction.commit([(self._turns.statement("take_lease"), [parameters])])
        self._fence += 1
        self._is_leased = True
        self._renewing = asyncio.create_task(self._renew())

    async def _renew(self) -> None:
        sql = self._turns.statement("extend_lease")
        while True:
            await asyncio.sleep(RENEW_S)
            with suppress(StorageError):
                await self._driver.write([(sql, [(self._key, self._fence, LEASE_US)])])

    async def commit(self, write: TurnWrite) -> None:
        unit = self._turns.plan(write)
        transaction, self._transaction = self._transaction, None
        self._stop_renewing()
        if transaction is not None:
            self._is_over = True
            await transaction.commit(unit)
        elif self._is_leased and not self._is_over:
            fenced: list[Statement] = [
                (self._turns.statement("lock_client"), [(self._key,)]),
                (self._turns.statement("check_fence"), [(self._key, self._fence)]),
            ]
            await self._driver.write([*fenced, *unit])
            self._is_over = True
        else:
            raise Conflict("this turn is over; try again")

    async def abandon(self) -> None:
        self._stop_renewing()
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            await transaction.rollback()
        elif self._is_leased and not self._is_over:
            lease = [(self._key, self._fence)]
            unit: list[Statement] = [(self._turns.statement("drop_lease"), lease)]
            if self._is_new:
                unit.append((self._turns.statement("drop_new_client"), lease))
            with suppress(StorageError):  # it ends by itself
                await self._driver.write(unit)
        self._is_over = True

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
) -> SharedTurn | Leased:
    """One round trip; two for a client that is new."""
    key, now_us = client_key(client), us_from_time(now)
    commands: list[Command] = list(turns.lock_and_load(key, now_us))
    request = None
    if repeat is not None:
        commands.append(turns.find_answer_command(*repeat, now))
        request = request_digest(*repeat)
    transaction, results = await _begin(driver, commands)
    try:
        is_new = not results[0]
        if is_new:
            insert = (turns.statement("ensure_client"), (key, *client))
            results = (await transaction.run([insert, *commands]))[1:]
        fence, owner, holder, age_us, left_us = _lock_of(results[0])
        # A lease of this very process is of a turn that ended without giving it back: in one
        # process the turns of a client exclude each other already.
        if owner is not None and owner != turns.owner and left_us > 0:
            if left_us > LEASE_US:  # the database's clock was set back
                shorten: Statement = (turns.statement("extend_lease"), [(key, fence, LEASE_US)])
                await transaction.commit([shorten])
            await transaction.rollback()
            is_same = request is not None and holder == request
            return Leased(max(0, age_us) / 1e6, is_same)
        turn = SharedTurn(turns, driver, transaction, client, fence, request, is_new=is_new)
        turn._state = turns.state_from_rows(results[1], now_us)
        if repeat is not None:
            turn.answer = turns.answer_from_rows(*repeat, results[2])
        return turn
    except BaseException:
        await transaction.rollback()
        raise


async def _begin(
    driver: SharedDriver, commands: list[Command]
) -> tuple[Transaction, list[list[Row]]]:
    try:
        return await driver.begin(commands)
    except StorageError as error:
        if getattr(error.__cause__, "sqlstate", None) == "55P03":  # lock_timeout
            raise ConversationBusy(
                "another process takes too long over a turn of this client; try again"
            ) from error
        raise


def _lock_of(rows: list[Row]) -> tuple[int, bytes | None, bytes | None, int, int]:
    if not rows:  # erased in the very moment after it was made
        raise Conflict("the client was just erased; try again")
    fence, owner, request, age_us, left_us = rows[0]
    return fence, owner, request, age_us or 0, left_us or 0


def request_digest(scope: str, key: str) -> bytes:
    """By which a lease tells a repeat of its own request from another one."""
    return blake2b(scope_key(scope) + key.encode("utf-8", "replace"), digest_size=16).digest()
