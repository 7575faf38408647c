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

import math
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b

from palaver.model import Client
from palaver.storage.protocol import Leased
from palaver.storage.sql.driver import Command, SharedDriver, Statement, Transaction
from palaver.storage.sql.locking import Found, Held, TurnStore, begin, lock_client
from palaver.storage.sql.rows import client_key, scope_key, us_from_time
from palaver.storage.sql.shared_turn import LEASE_US, SharedTurn
from palaver.storage.sql.tickets import Line, line_from_stored


async def begin_shared_turn(
    turns: TurnStore,
    driver: SharedDriver,
    client: Client,
    now: datetime,
    repeat: tuple[str, str] | None,
    *,
    waits: bool,
    behind: Callable[[], int],
) -> SharedTurn | Leased:
    """One round trip; two for a client that is new, or for whom somebody waited.

    Args:
        behind: how many requests of this process wait behind this one.
    """
    now_us = us_from_time(now)
    more: list[Command] = []
    request = None
    if repeat is not None:
        more.append(turns.find_answer_command(*repeat, now))
        request = request_digest(*repeat)
    key = client_key(client)
    transaction, rows = await begin(driver, [*turns.lock_and_load(key, now_us), *more])
    try:
        found = await lock_client(turns, transaction, client, now_us, more=more, rows=rows)
        lock = found.lock
        line = Line() if lock.line is None else line_from_stored(lock.line, lock.now_us)
        is_leased = lock.left_us > 0 and (
            lock.owner != turns.owner or _is_beside(turns.leases.get(key), key)
        )
        if is_leased or line.is_behind(turns.owner):
            line = line.joined(turns.owner, lock.now_us, 1 + behind())
            await _wait(turns, transaction, found, line, waits)
            if not is_leased:
                return Leased(math.inf, is_same=False)
            is_same = request is not None and lock.request == request
            return Leased(max(0, lock.age_us) / 1e6, is_same)
        if lock.line is not None:
            line = line.left(turns.owner).joined(turns.owner, lock.now_us, behind())
            stored = line.stored()
            await transaction.run([(turns.statement("save_line"), (key, stored))])
        held = Held(key, lock.fence, found.is_new)
        state = turns.state_from_rows(found.rows[1], now_us)
        answer = None if repeat is None else turns.answer_from_rows(*repeat, found.rows[2])
        return SharedTurn(turns, driver, transaction, client, held, request, state, answer, behind)
    except BaseException:
        await transaction.rollback()
        raise


def _is_beside(turn: SharedTurn | None, key: bytes) -> bool:
    """Whether a turn of this process, begun for another client, goes on with this one. Any other
    lease of this process is of a turn that ended without giving it back: in one process the turns
    of a client exclude each other already."""
    return turn is not None and turn.key != key


async def _wait(
    turns: TurnStore, transaction: Transaction, found: Found, line: Line, waits: bool
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


def request_digest(scope: str, key: str) -> bytes:
    """By which a lease tells a repeat of its own request from another one."""
    return blake2b(scope_key(scope) + key.encode("utf-8", "replace"), digest_size=16).digest()
