"""The Storage protocol over a Driver: turns, clients, versions and people put together.

Nothing here knows which database it is; what differs stands in `queries.<kind>.sql`, in the
migrations and in the driver.
"""

from __future__ import annotations

from datetime import datetime

from palaver.storage.cipher import Cipher, PlainCipher
from palaver.storage.sql.changes import SqlChanges
from palaver.storage.sql.clients import SqlClients
from palaver.storage.sql.driver import Driver
from palaver.storage.sql.jobs import SqlJobs
from palaver.storage.sql.people import SqlPeople
from palaver.storage.sql.queries import load_queries
from palaver.storage.sql.rows import us_from_time
from palaver.storage.sql.turns import ANSWER_AGE
from palaver.storage.sql.versions import SqlVersions

PURGED_AT_ONCE = 500
"""Rows of one purging transaction, so that turns get in between."""


class SqlStore(SqlPeople, SqlClients, SqlVersions, SqlChanges, SqlJobs):
    """A whole database."""

    def __init__(self, driver: Driver, cipher: Cipher | None = None) -> None:
        super().__init__(driver, load_queries(driver.kind), cipher or PlainCipher())
        self.kind = driver.kind

    async def open(self) -> None:
        await self._driver.open()

    async def check(self) -> None:
        await self._driver.check()

    async def missing_keys(self) -> tuple[str, ...]:
        known = await self._driver.read(self._sql["sealing_keys"], ())
        given = self._cipher.key_ids
        return tuple(key_id for (key_id,) in known if key_id not in given)

    async def upgrade(self) -> tuple[str, ...]:
        return () if self._shared is None else await self._shared.upgrade()

    async def close(self) -> None:
        await self._driver.close()

    async def delete_expired(self, now: datetime) -> int:
        now_us = us_from_time(now)
        purged = 0
        for name in ("purge_conversations", "purge_turns", "purge_memories", "purge_states"):
            purged += await self._purge(name, now_us)
        purged += await self._purge("purge_answers", us_from_time(now - ANSWER_AGE))
        await self._purge("purge_clients", now_us)
        return purged

    async def _purge(self, name: str, moment_us: int) -> int:
        purged = 0
        while True:
            unit = [(self._sql[name], [(moment_us, PURGED_AT_ONCE)])]
            changed = await self._driver.write(unit, is_long=True)
            purged += changed
            if changed < PURGED_AT_ONCE:
                return purged
