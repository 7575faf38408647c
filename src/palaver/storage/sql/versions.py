"""Builds of bots. The newest is the one saved last, whatever the clock said.

What a build consists of is stored once, by its digest, however often it is published; a version
is a row that points at it. Its environment is in the row: it holds secrets, changes by itself, and
gets no digest by which anybody could try whether they guessed it.
"""

from __future__ import annotations

from palaver.model import BotVersion
from palaver.storage.cursors import (
    LAST_POSITION,
    Position,
    cursor_from_position,
    position_from_cursor,
)
from palaver.storage.protocol import Page
from palaver.storage.sql.base import SqlPart
from palaver.storage.sql.driver import Parameters, Row, Statement
from palaver.storage.sql.rows import json_from_bot, json_from_value, us_from_time, version_from_row

_EVERYTHING = (
    "delete_memories_of_bot",
    "delete_conversations_of_bot",
    "delete_turns_of_bot",
    "delete_answers_of_bot",
    "delete_jobs_of_bot",
    "delete_clients_of_bot",
    "delete_sessions_of_bot",
    "delete_persons_of_bot",
    "delete_folder_digest",
)


class SqlVersions(SqlPart):
    """`storage.protocol.Versions` in SQL."""

    async def save_version(self, version: BotVersion) -> None:
        """A content that is there already is not written again. Spec: product.md §5."""
        bot = version.bot
        body = json_from_bot(bot)
        digest = self._cipher.digest(body)
        row: Parameters = (
            bot.id,
            version.version_id,
            version.engine_version,
            us_from_time(version.created_at),
            digest,
            self._cipher.seal(json_from_value(bot.env)),
        )
        await self._driver.write(
            self._changing_builds(
                [
                    (self._sql["delete_version"], [(bot.id, version.version_id)]),
                    (self._sql["save_content"], [(digest, self._cipher.seal(body))]),
                    (self._sql["save_version"], [row]),
                ]
            )
        )

    async def latest_version(self, bot_id: str) -> BotVersion | None:
        rows = await self._driver.read(self._sql["list_versions"], (bot_id, LAST_POSITION, 1))
        return self._version_from_row(rows[0]) if rows else None

    async def find_version(self, bot_id: str, version_id: str) -> BotVersion | None:
        rows = await self._driver.read(self._sql["find_version"], (bot_id, version_id))
        return self._version_from_row(rows[0]) if rows else None

    async def list_versions(
        self, bot_id: str, *, limit: int, after: str | None
    ) -> Page[BotVersion]:
        (position,) = position_from_cursor(after, tuple[Position]) or (LAST_POSITION,)
        parameters = (bot_id, position, limit + 1)
        rows = await self._driver.read(self._sql["list_versions"], parameters)
        next_key = None
        if limit and len(rows) > limit:
            next_key = cursor_from_position((rows[limit - 1][0],))
        return Page(tuple(self._version_from_row(row) for row in rows[:limit]), next_key)

    async def delete_versions(self, bot_id: str, version_id: str | None) -> None:
        if version_id is None:
            delete: Statement = (self._sql["delete_versions"], [(bot_id,)])
        else:
            delete = (self._sql["delete_version"], [(bot_id, version_id)])
        await self._driver.write(self._changing_builds([delete]))

    async def delete_bot(self, bot_id: str) -> None:
        """Its people go with it; its keys stay, for they are the operator's."""
        locks = ("lock_clients_of_bot",) if self._driver.is_shared else ()
        unit: list[Statement] = [(self._sql[n], [(bot_id,)]) for n in (*locks, *_EVERYTHING)]
        builds = self._changing_builds([(self._sql["delete_versions"], [(bot_id,)])])
        await self._driver.write([*unit, *builds], is_long=True)

    async def folder_digest(self, bot_id: str) -> str | None:
        rows = await self._driver.read(self._sql["folder_digest"], (bot_id,))
        return str(rows[0][0]) if rows else None

    async def save_folder_digest(self, bot_id: str, digest: str) -> None:
        await self._driver.write([(self._sql["save_folder_digest"], [(bot_id, digest)])])

    async def bot_ids(self) -> tuple[str, ...]:
        rows = await self._driver.read(self._sql["bot_ids"], ())
        return tuple(row[0] for row in rows)

    def _changing_builds(self, unit: list[Statement]) -> list[Statement]:
        """The unit, and what keeps contents and the builds that point at them together."""
        lock: list[Statement] = []
        if self._driver.is_shared:
            lock.append((self._sql["lock_contents"], [()]))
        return [*lock, *unit, (self._sql["drop_contents"], [()])]

    def _version_from_row(self, row: Row) -> BotVersion:
        unseal = self._cipher.unseal
        return version_from_row(row, bot=unseal(row[4]), env=unseal(row[5]))
