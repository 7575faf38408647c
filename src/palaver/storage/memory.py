"""The reference: what the storage protocol means, in dicts. For tests, and for reading.

Everything that goes in or comes out is a copy, as with a database. Nothing here is meant to be
fast; what expired is skipped by reading and dropped by `delete_expired`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import TypeVar

import msgspec
from msgspec import structs

from palaver.errors import StorageError, Unavailable
from palaver.model import (
    BotVersion,
    Client,
    Conversation,
    Memory,
    Message,
    NewJob,
    Person,
    Session,
    Status,
)
from palaver.storage.cursors import (
    LAST_POSITION,
    Position,
    cursor_from_position,
    position_from_cursor,
)
from palaver.storage.local import LocalTurns
from palaver.storage.memory_jobs import MemoryJobs
from palaver.storage.protocol import (
    BotStamp,
    ClientState,
    ClientWrite,
    Leased,
    OpenTurn,
    Page,
    StoredAnswer,
    TurnWrite,
    nobody,
)
from palaver.types import Json, JsonObject

ANSWER_AGE = timedelta(hours=24)
ANSWERS_KEPT = 20

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
"""When a client of whom there are only jobs expires: with the last of them."""

T = TypeVar("T")


@dataclass(slots=True)
class _Memory:
    text: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(slots=True)
class _Turn:
    number: int
    messages: tuple[Message, ...]
    expires_at: datetime | None


@dataclass(slots=True)
class _Record:
    """All about one client. `expires_at` is of the hold and the previous bot."""

    hold: JsonObject | None = None
    held_at: datetime | None = None
    previous_bot: JsonObject | None = None
    expires_at: datetime | None = None
    current: str | None = None
    conversations: dict[str, Conversation] = field(default_factory=dict)
    memories: dict[str, _Memory] = field(default_factory=dict)
    turns: list[_Turn] = field(default_factory=list)

    def open_conversation(self, now: datetime) -> Conversation | None:
        """The conversation last written, if it can go on."""
        found = self.conversations.get(self.current or "")
        if found is None or found.status is not Status.OPEN or is_over(found.expires_at, now):
            return None
        return found

    def remember(self, key: str, text: str, *, now: datetime, expires_at: datetime | None) -> None:
        """`created_at` stays that of the first time, unless that memory has expired."""
        old = self.memories.get(key)
        created_at = now if old is None or is_over(old.expires_at, now) else old.created_at
        self.memories[key] = _Memory(text, created_at, expires_at)


def is_over(expires_at: datetime | None, now: datetime) -> bool:
    return expires_at is not None and expires_at <= now


class MemoryStorage(MemoryJobs):
    """A whole database that ends with the process."""

    kind = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._is_open = False
        self._numbers = count(1)
        self._clients: dict[Client, _Record] = {}
        self._answers: dict[str, dict[str, tuple[Client | None, StoredAnswer]]] = {}
        self._versions: dict[str, dict[str, tuple[int, BotVersion]]] = {}
        self._persons: dict[str, Person] = {}
        self._sessions: dict[str, tuple[int, Session]] = {}
        self._keys: dict[str, dict[str, str]] = {}
        self._digests: dict[str, str] = {}
        self._local = LocalTurns(self)

    async def open(self) -> None:
        self._is_open = True

    async def missing_keys(self) -> tuple[str, ...]:
        return ()

    async def note_key(self) -> None:
        """Nothing is sealed in memory."""

    async def upgrade(self) -> tuple[str, ...]:
        return ()

    async def check(self) -> None:
        if not self._is_open:
            raise Unavailable("the database in memory is closed")

    async def close(self) -> None:
        self._is_open = False

    # --- turns -----------------------------------------------------------------------------------

    async def load_client(self, client: Client, now: datetime) -> ClientState:
        await self.check()
        record = self._clients.get(client, _Record())
        is_stale = is_over(record.expires_at, now)
        return ClientState(
            record.open_conversation(now),
            None if is_stale else deepcopy(record.hold),
            None if is_stale else deepcopy(record.previous_bot),
            {
                key: memory.text
                for key, memory in record.memories.items()
                if not is_over(memory.expires_at, now)
            },
        )

    async def find_answer(self, scope: str, key: str, now: datetime) -> StoredAnswer | None:
        await self.check()
        _, answer = self._answers.get(scope, {}).get(key, (None, None))
        return None if answer is None or answer.created_at < now - ANSWER_AGE else answer

    async def begin_turn(
        self,
        client: Client,
        now: datetime,
        *,
        repeat: tuple[str, str] | None = None,
        waits: bool = False,
        behind: Callable[[], int] = nobody,
    ) -> OpenTurn | Leased:
        answer = None if repeat is None else await self.find_answer(*repeat, now)
        return self._local.begin(client, answer)

    def somebody_waits(self, client: Client) -> None:
        """There is no other process to go before."""

    async def commit_turn(self, write: TurnWrite) -> None:
        await self.check()
        persons = self._with_persons(write.persons)
        for part in write.clients:
            self._write_client(part)
        if write.answer is not None:
            kept = self._answers.setdefault(write.answer.scope, {})
            kept.pop(write.answer.key, None)
            kept[write.answer.key] = (
                write.clients[0].client if write.clients else write.answered,
                write.answer,
            )
            while len(kept) > ANSWERS_KEPT:
                del kept[next(iter(kept))]
        self._persons = persons
        for session in write.sessions:
            self._put_session(session)
        for job in write.jobs:
            await self.add_job(job)

    def _write_client(self, part: ClientWrite) -> None:
        record = self._clients.setdefault(part.client, _Record())
        record.hold = deepcopy(part.hold)
        record.held_at = None if part.hold is None else part.at
        record.previous_bot = deepcopy(part.previous_bot)
        record.expires_at = part.expires_at
        if part.conversations:
            opened = [c.id for c in part.conversations if c.status is Status.OPEN]
            record.current = opened[-1] if opened else part.conversations[-1].id
        for conversation in part.conversations:
            record.conversations[conversation.id] = conversation
        if part.forgets_all:
            record.memories.clear()
        for key in part.forgotten:
            record.memories.pop(key, None)
        for key, text in part.remembered.items():
            record.remember(key, text, now=part.at, expires_at=part.expires_at)
        if part.messages:
            messages = deepcopy(part.messages)
            record.turns.append(_Turn(next(self._numbers), messages, part.expires_at))

    # --- clients ---------------------------------------------------------------------------------

    async def open_conversation(self, client: Client, now: datetime) -> Conversation | None:
        await self.check()
        return self._clients.get(client, _Record()).open_conversation(now)

    async def close_conversations(self, client: Client, now: datetime) -> None:
        await self.check()
        record = self._clients.get(client, _Record())
        record.hold = record.held_at = record.previous_bot = None
        for conversation in record.conversations.values():
            if conversation.status is Status.OPEN:
                closed = structs.replace(conversation, status=Status.CLOSED, updated_at=now)
                record.conversations[closed.id] = closed

    async def list_conversations(
        self, client: Client, *, limit: int, after: str | None, now: datetime
    ) -> Page[Conversation]:
        await self.check()
        record = self._clients.get(client, _Record())
        live = [c for c in record.conversations.values() if not is_over(c.expires_at, now)]
        live.sort(key=lambda c: (c.created_at, c.id), reverse=True)
        position = position_from_cursor(after, tuple[datetime, str])
        rest = ((c.created_at, c.id) for c in live)
        pairs = [(at, c) for at, c in zip(rest, live, strict=True) if not position or at < position]
        return page_of(iter(pairs), limit)

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
        await self.check()
        record = self._clients.get(client, _Record())
        before = position_from_cursor(after, tuple[Position, Position]) or (LAST_POSITION, 0)

        def newest_first() -> Iterator[tuple[tuple[int, int], Message]]:
            for turn in reversed(record.turns):
                if is_over(turn.expires_at, now):
                    continue
                for index in reversed(range(len(turn.messages))):
                    message = turn.messages[index]
                    is_early = since is not None and message.created_at < since
                    is_late = until is not None and message.created_at > until
                    if (turn.number, index) < before and not is_early and not is_late:
                        yield (turn.number, index), deepcopy(message)

        return page_of(newest_first(), limit)

    async def hold_of(self, client: Client, now: datetime) -> tuple[JsonObject, datetime] | None:
        await self.check()
        record = self._clients.get(client, _Record())
        if record.hold is None or record.held_at is None or is_over(record.expires_at, now):
            return None
        return deepcopy(record.hold), record.held_at

    async def list_memories(self, client: Client, now: datetime) -> tuple[Memory, ...]:
        await self.check()
        memories = self._clients.get(client, _Record()).memories
        return tuple(
            Memory(key, msgspec.json.decode(memory.text), memory.created_at)
            for key, memory in sorted(memories.items())
            if not is_over(memory.expires_at, now)
        )

    async def find_memory(self, client: Client, key: str, now: datetime) -> Memory | None:
        for memory in await self.list_memories(client, now):
            if memory.key == key:
                return memory
        return None

    async def save_memory(
        self, client: Client, key: str, value: Json, *, now: datetime, expires_at: datetime | None
    ) -> None:
        await self.check()
        text = msgspec.json.encode(value).decode()
        record = self._clients.setdefault(client, _Record())
        record.remember(key, text, now=now, expires_at=expires_at)

    async def delete_memories(self, client: Client, key: str | None) -> None:
        await self.check()
        memories = self._clients.get(client, _Record()).memories
        if key is None:
            memories.clear()
        else:
            memories.pop(key, None)

    async def delete_client(self, client: Client) -> None:
        await self.check()
        self._clients.pop(client, None)
        self.delete_jobs_of(client)
        for kept in self._answers.values():
            for key in [key for key, (owner, _) in kept.items() if owner == client]:
                del kept[key]

    async def clients_of_user(self, bot_id: str, user_id: str) -> tuple[Client, ...]:
        await self.check()
        return tuple(sorted(c for c in self._clients if (c.bot_id, c.user_id) == (bot_id, user_id)))

    async def count_client(self, client: Client) -> dict[str, int]:
        await self.check()
        record = self._clients.get(client, _Record())
        answers = [owner for kept in self._answers.values() for owner, _ in kept.values()]
        return {
            "conversations": len(record.conversations),
            "turns": len(record.turns),
            "memories": len(record.memories),
            "states": (record.hold is not None) + (record.previous_bot is not None),
            "answers": answers.count(client),
            "jobs": len(await self.jobs_of_client(client)),
        }

    async def add_job(self, job: NewJob) -> bool:
        if job.client is not None:
            self._clients.setdefault(job.client, _Record(expires_at=LONG_AGO))
        return await super().add_job(job)

    # --- versions --------------------------------------------------------------------------------

    async def save_version(self, version: BotVersion) -> None:
        await self.check()
        builds = self._versions.setdefault(version.bot.id, {})
        builds.pop(version.version_id, None)
        builds[version.version_id] = (next(self._numbers), deepcopy(version))

    async def latest_version(self, bot_id: str) -> BotVersion | None:
        page = await self.list_versions(bot_id, limit=1, after=None)
        return page.items[0] if page.items else None

    async def find_version(self, bot_id: str, version_id: str) -> BotVersion | None:
        await self.check()
        _, version = self._versions.get(bot_id, {}).get(version_id, (0, None))
        return deepcopy(version)

    async def list_versions(
        self, bot_id: str, *, limit: int, after: str | None
    ) -> Page[BotVersion]:
        await self.check()
        (before,) = position_from_cursor(after, tuple[Position]) or (LAST_POSITION,)
        builds = sorted(self._versions.get(bot_id, {}).values(), key=lambda b: b[0], reverse=True)
        return page_of((((n,), deepcopy(v)) for n, v in builds if n < before), limit)

    async def delete_versions(self, bot_id: str, version_id: str | None) -> None:
        await self.check()
        if version_id is None:
            self._versions.pop(bot_id, None)
        else:
            self._versions.get(bot_id, {}).pop(version_id, None)

    async def delete_bot(self, bot_id: str) -> None:
        """Its people go with it; its keys stay, for they are the operator's."""
        await self.check()
        for client in [client for client in self._clients if client.bot_id == bot_id]:
            await self.delete_client(client)
        self._persons = {p.id: p for p in self._persons.values() if p.bot_id != bot_id}
        self._sessions = {s.id: (n, s) for n, s in self._sessions.values() if s.bot_id != bot_id}
        self._versions.pop(bot_id, None)
        self._digests.pop(bot_id, None)

    async def folder_digest(self, bot_id: str) -> str | None:
        await self.check()
        return self._digests.get(bot_id)

    async def save_folder_digest(self, bot_id: str, digest: str) -> None:
        await self.check()
        self._digests[bot_id] = digest

    async def bot_ids(self) -> tuple[str, ...]:
        await self.check()
        return tuple(sorted(bot_id for bot_id, builds in self._versions.items() if builds))

    # --- people ----------------------------------------------------------------------------------

    async def create_person(self, person: Person) -> Person:
        await self.check()
        found = await self.find_person(person.bot_id, person.channel_id, person.user_id)
        if found is None:
            if person.id in self._persons:
                raise StorageError(f"person {person.id}: its id is another user's")
            self._persons = self._with_persons((person,))
            found = deepcopy(person)
        return found

    async def save_person(self, person: Person) -> None:
        await self.check()
        self._persons = self._with_persons((person,))

    def _with_persons(self, persons: tuple[Person, ...]) -> dict[str, Person]:
        """All persons with these; a user has one, whatever its id."""
        changed = dict(self._persons)
        for person in persons:
            changed[person.id] = deepcopy(person)
            users = [(p.bot_id, p.channel_id, p.user_id) for p in changed.values()]
            if len(set(users)) != len(users):
                raise StorageError(f"person {person.id}: the user has another id already")
        return changed

    async def find_person(self, bot_id: str, channel_id: str, user_id: str) -> Person | None:
        await self.check()
        for person in self._persons.values():
            if (person.bot_id, person.channel_id, person.user_id) == (bot_id, channel_id, user_id):
                return deepcopy(person)
        return None

    async def person(self, person_id: str) -> Person | None:
        await self.check()
        return deepcopy(self._persons.get(person_id))

    async def newest_session(self, bot_id: str, name: str) -> Session | None:
        await self.check()
        for session in self._newest_sessions():
            if session.bot_id == bot_id and session.name == name:
                return session
        return None

    async def save_session(self, session: Session) -> None:
        await self.check()
        self._put_session(session)

    async def sessions_of(self, person_id: str) -> tuple[Session, ...]:
        await self.check()
        return tuple(s for s in self._newest_sessions() if s.person_id == person_id)

    async def persons_of_user(self, bot_id: str, user_id: str) -> tuple[Person, ...]:
        await self.check()
        found = [p for p in self._persons.values() if (p.bot_id, p.user_id) == (bot_id, user_id)]
        return tuple(deepcopy(sorted(found, key=lambda person: person.channel_id)))

    async def delete_person(self, person_id: str) -> None:
        await self.check()
        self._persons.pop(person_id, None)
        kept = self._sessions.values()
        self._sessions = {s.id: (n, s) for n, s in kept if s.person_id != person_id}

    def _put_session(self, session: Session) -> None:
        known = self._sessions.get(session.id)
        number = known[0] if known else next(self._numbers)
        self._sessions[session.id] = (number, deepcopy(session))

    def _newest_sessions(self) -> Iterator[Session]:
        """By start; of those that began at once, the one stored later first."""
        order = sorted(self._sessions.values(), key=lambda s: (s[1].started_at, s[0]), reverse=True)
        return (deepcopy(session) for _, session in order)

    # --- keys ------------------------------------------------------------------------------------

    async def keys_of(self, bot_id: str) -> dict[str, str]:
        await self.check()
        return dict(sorted(self._keys.get(bot_id, {}).items()))

    async def save_keys(self, bot_id: str, keys: Mapping[str, str]) -> None:
        await self.check()
        self._keys[bot_id] = {**keys, **self._keys.get(bot_id, {})}

    async def replace_key(self, bot_id: str, name: str, key: str) -> None:
        await self.check()
        self._keys.setdefault(bot_id, {})[name] = key

    # --- changes ---------------------------------------------------------------------------------

    async def changes_stamp(self) -> object:
        return await self.bot_stamps()

    async def bot_stamps(self) -> dict[str, BotStamp]:
        await self.check()
        return {
            bot_id: BotStamp(
                next(reversed(self._versions.get(bot_id, {})), None),
                repr(sorted(self._keys.get(bot_id, {}).items())),
            )
            for bot_id in sorted(
                {bot_id for bot_id, builds in self._versions.items() if builds} | set(self._keys)
            )
        }

    def gauges(self) -> dict[str, float]:
        return {}

    # --- expiry ----------------------------------------------------------------------------------

    async def delete_expired(self, now: datetime) -> int:
        await self.check()
        purged = 0
        for kept in self._answers.values():
            for key, (_, answer) in list(kept.items()):
                if answer.created_at < now - ANSWER_AGE:
                    del kept[key]
                    purged += 1
        answered = {owner for kept in self._answers.values() for owner, _ in kept.values()}
        for client, record in list(self._clients.items()):
            before = len(record.conversations) + len(record.memories) + len(record.turns)
            record.conversations = {
                key: c for key, c in record.conversations.items() if not is_over(c.expires_at, now)
            }
            record.memories = {
                key: m for key, m in record.memories.items() if not is_over(m.expires_at, now)
            }
            record.turns = [turn for turn in record.turns if not is_over(turn.expires_at, now)]
            left = len(record.conversations) + len(record.memories) + len(record.turns)
            purged += before - left
            if is_over(record.expires_at, now):
                purged += record.hold is not None or record.previous_bot is not None
                record.hold = record.held_at = record.previous_bot = None
                if not left and client not in answered and not await self.jobs_of_client(client):
                    del self._clients[client]
        return purged


def page_of(entries: Iterator[tuple[object, T]], limit: int) -> Page[T]:
    """The first `limit` of (position, item), and where the rest begins."""
    found = list(islice(entries, limit + 1))
    next_key = cursor_from_position(found[limit - 1][0]) if limit and len(found) > limit else None
    return Page(tuple(item for _, item in found[:limit]), next_key)
