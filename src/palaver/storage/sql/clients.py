"""What the APIs ask about one client: conversations, messages, the hold, memories; and erasure."""

from __future__ import annotations

from datetime import datetime

from palaver.model import Client, Conversation, Memory, Message
from palaver.storage.cursors import (
    LAST_POSITION,
    Position,
    cursor_from_position,
    position_from_cursor,
)
from palaver.storage.protocol import Page
from palaver.storage.sql.base import SqlPart
from palaver.storage.sql.driver import Row, Statement
from palaver.storage.sql.rows import (
    client_key,
    conversation_from_row,
    json_from_value,
    messages_from_json,
    time_from_us,
    us_from_optional,
    us_from_time,
    value_from_json,
)
from palaver.storage.sql.turns import open_conversation_from_row
from palaver.types import Json, JsonObject

_NEWEST = (LAST_POSITION, LAST_POSITION)

_EVERYTHING = (
    "delete_memories",
    "delete_conversations",
    "delete_turns",
    "delete_answers",
    "delete_jobs_of_client",
    "delete_client",
)

_COUNTED = ("conversations", "turns", "memories", "states", "answers", "jobs")


class SqlClients(SqlPart):
    """`storage.protocol.Clients` in SQL."""

    async def open_conversation(self, client: Client, now: datetime) -> Conversation | None:
        sql = self._sql["find_current_conversation"]
        rows = await self._driver.read(sql, (client_key(client),))
        return open_conversation_from_row(rows[0], us_from_time(now)) if rows else None

    async def close_conversations(self, client: Client, now: datetime) -> None:
        key = client_key(client)
        close: Statement = (self._sql["close_conversations"], [(key, us_from_time(now))])
        await self._write(key, [(self._sql["clear_state"], [(key,)]), close])

    async def list_conversations(
        self, client: Client, *, limit: int, after: str | None, now: datetime
    ) -> Page[Conversation]:
        position = position_from_cursor(after, tuple[Position, str]) or (LAST_POSITION, "")
        parameters = (client_key(client), *position, us_from_time(now), limit + 1)
        rows = await self._driver.read(self._sql["list_conversations"], parameters)
        next_key = None
        if limit and len(rows) > limit:
            last = rows[limit - 1]
            next_key = cursor_from_position((last[4], last[0]))
        return Page(tuple(conversation_from_row(row) for row in rows[:limit]), next_key)

    async def list_messages(
        self,
        client: Client,
        *,
        limit: int,
        after: str | None,
        since: datetime | None,
        until: datetime | None,
        now: datetime,
    ) -> Page[Message]:
        """Turns are read from the newest on, as many as the page needs, and expanded."""
        if limit <= 0:
            return Page(())
        key, now_us = client_key(client), us_from_time(now)
        since_us = -LAST_POSITION if since is None else us_from_time(since)
        until_us = LAST_POSITION if until is None else us_from_time(until)
        turn, before = position_from_cursor(after, tuple[Position, Position]) or _NEWEST
        found: list[tuple[int, int, Message]] = []
        while len(found) <= limit:
            wanted = limit + 1 - len(found)
            rows = await self._driver.read(
                self._sql["list_turns"], (key, turn, since_us, until_us, now_us, wanted)
            )
            for row in rows:
                messages = messages_from_json(self._cipher.unseal(row[1]))
                end = max(0, before) if row[0] == turn else len(messages)
                for index in range(min(end, len(messages)) - 1, -1, -1):
                    message = messages[index]
                    if since_us <= us_from_time(message.created_at) <= until_us:
                        found.append((row[0], index, message))
            if len(rows) < wanted:
                break
            turn, before = rows[-1][0] - 1, LAST_POSITION
        next_key = None
        if len(found) > limit:
            next_key = cursor_from_position(found[limit - 1][:2])
        return Page(tuple(entry[2] for entry in found[:limit]), next_key)

    async def hold_of(self, client: Client, now: datetime) -> tuple[JsonObject, datetime] | None:
        parameters = (client_key(client), us_from_time(now))
        rows = await self._driver.read(self._sql["find_hold"], parameters)
        if not rows:
            return None
        hold, held_at = rows[0]
        return value_from_json(self._cipher.unseal(hold)), time_from_us(held_at)

    async def list_memories(self, client: Client, now: datetime) -> tuple[Memory, ...]:
        parameters = (client_key(client), us_from_time(now))
        rows = await self._driver.read(self._sql["list_memories"], parameters)
        return tuple(self._memory_from_row(row) for row in rows)

    async def find_memory(self, client: Client, key: str, now: datetime) -> Memory | None:
        parameters = (client_key(client), key, us_from_time(now))
        rows = await self._driver.read(self._sql["find_memory"], parameters)
        return self._memory_from_row(rows[0]) if rows else None

    async def save_memory(
        self, client: Client, key: str, value: Json, *, now: datetime, expires_at: datetime | None
    ) -> None:
        digest = client_key(client)
        text = self._cipher.seal_text(json_from_value(value).decode())
        memory = (digest, key, text, us_from_time(now), us_from_optional(expires_at))
        await self._driver.write(
            [
                (self._sql["ensure_client"], [(digest, *client)]),
                *self._lock(digest),
                (self._sql["save_memory"], [memory]),
            ]
        )

    async def delete_memories(self, client: Client, key: str | None) -> None:
        digest = client_key(client)
        if key is None:
            await self._write(digest, [(self._sql["delete_memories"], [(digest,)])])
        else:
            await self._write(digest, [(self._sql["delete_memory"], [(digest, key)])])

    async def delete_client(self, client: Client) -> None:
        key = client_key(client)
        unit: list[Statement] = [(self._sql[name], [(key,)]) for name in _EVERYTHING]
        await self._write(key, unit, is_long=True)

    async def _write(self, key: bytes, unit: list[Statement], *, is_long: bool = False) -> None:
        await self._driver.write([*self._lock(key), *unit], is_long=is_long)

    def _lock(self, key: bytes) -> list[Statement]:
        """Where turns lock the client's row, everybody locks it first, or they would deadlock."""
        return [(self._sql["lock_client"], [(key,)])] if self._driver.is_shared else []

    async def clients_of_user(self, bot_id: str, user_id: str) -> tuple[Client, ...]:
        rows = await self._driver.read(self._sql["clients_of_user"], (bot_id, user_id))
        return tuple(Client(*row) for row in rows)

    async def count_client(self, client: Client) -> dict[str, int]:
        key = client_key(client)
        (row,) = await self._driver.read(self._sql["count_client"], (key,))
        ((jobs,),) = await self._driver.read(self._sql["count_jobs_of_client"], (key,))
        return dict(zip(_COUNTED, (*row, jobs), strict=True))

    def _memory_from_row(self, row: Row) -> Memory:
        value = value_from_json(self._cipher.unseal_text(row[1]))
        return Memory(row[0], value, time_from_us(row[2]))
