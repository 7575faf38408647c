"""The path of a turn: one read, and one unit of four or five statements to write.

Statements are built here; a driver only runs them. What was measured and chosen (CPython 3.11,
SQLite 3.40, benchmarks/storage.py):

- Turns are rows of an append-only table with a small index by client, not rows of a table
  clustered by client: 30 µs less of the writer's time each, for fewer pages change.
- Memories are a row each, gathered by the database into one JSON object: see
  benchmarks/memories.py. Microseconds to read all, and to write one:

      keys    rows        rows, gathered   one document
         1      5 / 13        5 / 13          6 /  18
        50     26 / 13       17 / 13         16 /  37
     1,000    402 / 13      269 / 13        244 / 398

  The document also logs 86 kB a turn at 1,000 keys, where a row logs one page.
- A whole turn (benchmarks/storage.py): read 15, plan 10, and 32 of the writer's time in groups of
  32; with 1,000,000 clients at random, each on pages of its own, read 28 and writer 76.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, cast

from palaver.model import Client, Conversation, Status
from palaver.storage.local import LocalTurns
from palaver.storage.protocol import (
    ClientState,
    ClientWrite,
    Leased,
    OpenTurn,
    StoredAnswer,
    TurnWrite,
    nobody,
)
from palaver.storage.sql.base import SqlPart
from palaver.storage.sql.driver import Command, Parameters, Row, Statement
from palaver.storage.sql.guard import begin_shared_turn
from palaver.storage.sql.jobs import row_from_job
from palaver.storage.sql.rows import (
    client_key,
    conversation_from_row,
    json_from_messages,
    json_from_value,
    memory_texts_from_json,
    row_from_conversation,
    row_from_person,
    row_from_session,
    scope_key,
    time_from_us,
    us_from_optional,
    us_from_time,
    value_from_json,
)

if TYPE_CHECKING:
    from palaver.model import Person, Session
    from palaver.storage.cipher import Cipher
    from palaver.storage.sql.driver import Driver, SharedDriver
    from palaver.storage.sql.shared_turn import SharedTurn

ANSWER_AGE = timedelta(hours=24)
"""How long an answer is kept for repeats. Spec: dialects §1."""


class SqlTurns(SqlPart):
    """`storage.protocol.Turns` in SQL."""

    def __init__(self, driver: Driver, queries: dict[str, str], cipher: Cipher) -> None:
        super().__init__(driver, queries, cipher)
        self._load = queries["load_client"]
        self._save_client = queries["save_client"]
        self._save_conversation = queries["save_conversation"]
        self._save_memory = queries["save_memory"]
        self._append_turn = queries["append_turn"]
        self._shared = cast("SharedDriver", driver) if driver.is_shared else None
        self._local = LocalTurns(self)
        self.owner = os.urandom(16)
        """Who this process is in the leases that it takes."""
        self.leases: dict[bytes, SharedTurn] = {}
        """Those that turns of this process have now, by the client's key."""

    async def load_client(self, client: Client, now: datetime) -> ClientState:
        now_us = us_from_time(now)
        rows = await self._driver.read(self._load, (client_key(client), now_us))
        return self.state_from_rows(rows, now_us)

    def state_from_rows(self, rows: list[Row], now_us: int) -> ClientState:
        if not rows:
            return ClientState()
        row = rows[0]
        hold = previous = None
        expires = row[2]
        if expires is None or expires > now_us:
            unseal = self._cipher.unseal
            if row[0] is not None:
                hold = value_from_json(unseal(row[0]))
            if row[1] is not None:
                previous = value_from_json(unseal(row[1]))
        memories = memory_texts_from_json(row[11])
        if memories and not self._cipher.is_plain:
            open_text = self._cipher.unseal_text
            memories = {key: open_text(text) for key, text in memories.items()}
        return ClientState(open_conversation_from_row(row[3:11], now_us), hold, previous, memories)

    async def find_answer(self, scope: str, key: str, now: datetime) -> StoredAnswer | None:
        sql, parameters = self.find_answer_command(scope, key, now)
        return self.answer_from_rows(scope, key, await self._driver.read(sql, parameters))

    def find_answer_command(self, scope: str, key: str, now: datetime) -> Command:
        oldest = us_from_time(now - ANSWER_AGE)
        return self._sql["find_answer"], (scope_key(scope), key, oldest)

    def answer_from_rows(self, scope: str, key: str, rows: list[Row]) -> StoredAnswer | None:
        if not rows:
            return None
        fingerprint, created_at, body = rows[0]
        return StoredAnswer(
            scope, key, fingerprint, self._cipher.unseal(body), time_from_us(created_at)
        )

    async def begin_turn(
        self,
        client: Client,
        now: datetime,
        *,
        repeat: tuple[str, str] | None = None,
        waits: bool = False,
        behind: Callable[[], int] = nobody,
    ) -> OpenTurn | Leased:
        if self._shared is not None:
            return await begin_shared_turn(
                self, self._shared, client, now, repeat, waits=waits, behind=behind
            )
        answer = None if repeat is None else await self.find_answer(*repeat, now)
        return self._local.begin(client, answer)

    def somebody_waits(self, client: Client) -> None:
        if self._shared is not None:
            key = client_key(client)
            turn = self.leases.get(key)
            if turn is not None and turn.key == key:
                turn.somebody_waits()

    async def commit_turn(self, write: TurnWrite) -> None:
        unit = self.plan(write)
        if unit:
            await self._driver.write(unit)

    def plan(self, write: TurnWrite) -> list[Statement]:
        """The statements that store a turn."""
        unit: list[Statement] = []
        first: bytes | None = None
        for part in write.clients:
            key = client_key(part.client)
            first = first or key
            self._plan_client(unit, key, part)
        if write.answer is not None:
            if first is None and write.answered is not None:
                first = client_key(write.answered)
            self._plan_answer(unit, first, write.answer)
        if write.persons:
            unit.append((self._sql["save_person"], [self._person_row(p) for p in write.persons]))
        if write.sessions:
            unit.append((self._sql["save_session"], [self._session_row(s) for s in write.sessions]))
        if write.jobs:
            unit.append((self._sql["add_job"], [row_from_job(j, self._cipher) for j in write.jobs]))
        return unit

    def statement(self, name: str) -> str:
        return self._sql[name]

    def lock_and_load(self, key: bytes, now_us: int) -> tuple[Command, Command]:
        return (self._sql["lock_client"], (key,)), (self._load, (key, now_us))

    def _plan_client(self, unit: list[Statement], key: bytes, part: ClientWrite) -> None:
        """The client's row comes first: where rows are locked, it is the lock of all the others."""
        seal = self._cipher.seal
        client = part.client
        at = us_from_time(part.at)
        expires_at = us_from_optional(part.expires_at)
        hold = part.hold
        previous = part.previous_bot
        state: Parameters = (
            key,
            client.bot_id,
            client.channel_id,
            client.user_id,
            _current_id(part.conversations),
            None if hold is None else seal(json_from_value(hold)),
            None if hold is None else at,
            None if previous is None else seal(json_from_value(previous)),
            expires_at,
        )
        unit.append((self._save_client, (state,)))
        if part.conversations:
            rows = [row_from_conversation(key, c) for c in part.conversations]
            unit.append((self._save_conversation, rows))
        if part.forgets_all:
            unit.append((self._sql["delete_memories"], ((key,),)))
        if part.forgotten:
            unit.append((self._sql["delete_memory"], [(key, name) for name in part.forgotten]))
        if part.remembered:
            seal_text = self._cipher.seal_text
            remembered = [
                (key, name, seal_text(text), at, expires_at)
                for name, text in part.remembered.items()
            ]
            unit.append((self._save_memory, remembered))
        if part.messages:
            times = [message.created_at for message in part.messages]
            began_at = us_from_time(min(times))
            ended_at = us_from_time(max(times))
            body = seal(json_from_messages(part.messages))
            unit.append((self._append_turn, ((key, began_at, ended_at, body, expires_at),)))

    def _plan_answer(
        self, unit: list[Statement], client: bytes | None, answer: StoredAnswer
    ) -> None:
        scope = scope_key(answer.scope)
        unit.append((self._sql["make_room_for_answer"], ((scope, answer.key),)))
        row: Parameters = (
            scope,
            answer.key,
            None if client == scope else client,
            answer.fingerprint,
            us_from_time(answer.created_at),
            self._cipher.seal(answer.body),
        )
        unit.append((self._sql["save_answer"], (row,)))

    def _person_row(self, person: Person) -> Parameters:
        secret = person.secret
        sealed = None if secret is None else self._cipher.seal_text(secret)
        return row_from_person(person, secret=sealed)

    def _session_row(self, session: Session) -> Parameters:
        said = session.first_message
        return row_from_session(
            session,
            first_message=None if said is None else self._cipher.seal_text(said),
            data=self._cipher.seal(json_from_value(session.data)),
        )


def open_conversation_from_row(row: Row, now_us: int) -> Conversation | None:
    """None for a row of NULLs, a closed conversation or an expired one."""
    if row[3] != "OPEN" or (row[7] is not None and row[7] <= now_us):
        return None
    return conversation_from_row(row)


def _current_id(conversations: tuple[Conversation, ...]) -> str | None:
    """Which one the client is in afterwards: the last one open, else the last one; None: as it was.

    After a conversation was closed it stays the current one, and so no other is open.
    """
    current = None
    for conversation in conversations:
        if conversation.status is Status.OPEN:
            current = conversation.id
    if current is None and conversations:
        current = conversations[-1].id
    return current
