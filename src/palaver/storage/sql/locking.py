"""A client's row, locked: who may write for the client, and reading while nobody else does."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from palaver.errors import Conflict, ConversationBusy, StorageError
from palaver.model import Client
from palaver.storage.protocol import ClientState, StoredAnswer, TurnWrite
from palaver.storage.sql.driver import Command, Row, SharedDriver, Statement, Transaction
from palaver.storage.sql.rows import client_key


class TurnStore(Protocol):
    """What holding turns needs of the store that reads and writes them (turns.py).

    Attributes:
        owner: who this process is in the leases that it takes.
        leases: the turns of this process that hold a lease, by client.
    """

    owner: bytes

    @property
    def leases(self) -> MutableMapping[bytes, Any]: ...

    def statement(self, name: str) -> str: ...

    def lock_and_load(self, key: bytes, now_us: int) -> tuple[Command, Command]: ...

    def find_answer_command(self, scope: str, key: str, now: datetime) -> Command: ...

    def state_from_rows(self, rows: list[Row], now_us: int) -> ClientState: ...

    def answer_from_rows(self, scope: str, key: str, rows: list[Row]) -> StoredAnswer | None: ...

    def plan(self, write: TurnWrite) -> list[Statement]: ...

    async def load_client(self, client: Client, now: datetime) -> ClientState: ...


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


async def begin(
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


async def lock_client(
    turns: TurnStore,
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
