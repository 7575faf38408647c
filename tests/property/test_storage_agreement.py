"""Memory, SQLite and PostgreSQL, driven by the same calls, give the same answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from palaver.errors import StorageError
from palaver.model import Client, Conversation, Message, Person, Session, Status
from palaver.storage.memory import MemoryStorage
from palaver.storage.protocol import ClientWrite, Leased, Storage, StoredAnswer, TurnWrite
from palaver.storage.urls import open_storage
from tests.conformance.storage.makers import NOW, message, version
from tests.postgres import PostgresServer

moments = st.integers(0, 60).map(lambda hours: NOW + timedelta(hours=hours))
expiries = st.none() | moments
clients = st.builds(Client, st.sampled_from(["b1", "b2"]), st.just("web"), st.sampled_from("uv"))
safe_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
keys = st.sampled_from(["a", "b", "ab", "é", "\u0000", 'q"\\'])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | safe_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(safe_text, inner, max_size=3),
    max_leaves=5,
)
objects = st.dictionaries(safe_text, json_values, max_size=3)
conversations = st.builds(
    Conversation,
    st.sampled_from(["c1", "c2", "c3"]),
    safe_text,
    safe_text,
    st.sampled_from(Status),
    moments,
    moments,
    moments,
    expiries,
)
messages = st.builds(
    lambda payload, at, order: message("", payload=payload, created_at=at, message_order=order),
    objects,
    moments,
    st.integers(0, 9),
)
texts_of_json = st.sampled_from(["1", '"tea"', '{"x":[null]}', '"é\\u0000"'])
writes = st.builds(
    ClientWrite,
    clients,
    moments,
    conversations=st.lists(conversations, max_size=2).map(tuple),
    hold=st.none() | objects,
    previous_bot=st.none() | objects,
    forgets_all=st.booleans(),
    forgotten=st.lists(keys, max_size=2).map(tuple),
    remembered=st.dictionaries(keys, texts_of_json, max_size=3),
    messages=st.lists(messages, max_size=4).map(tuple),
    expires_at=expiries,
)
answers = st.builds(
    StoredAnswer, st.sampled_from("st"), st.sampled_from("klm"), safe_text, st.binary(), moments
)
persons = st.builds(
    Person,
    st.sampled_from(["p1", "p2"]),
    st.sampled_from(["b1", "b2"]),
    st.just("chatbot"),
    st.sampled_from("uv"),
    objects,
    moments,
    expiries,
    st.none() | safe_text,
)
sessions = st.builds(
    Session,
    st.sampled_from(["s1", "s2", "s3"]),
    st.sampled_from(["b1", "b2"]),
    st.just("n"),
    st.sampled_from(["p1", "p2"]),
    moments,
    moments,
    st.none() | safe_text,
    objects,
)
turns = st.builds(
    TurnWrite,
    st.lists(writes, min_size=1, max_size=2).map(tuple),
    st.none() | answers,
    st.lists(persons, max_size=1).map(tuple),
    st.lists(sessions, max_size=1).map(tuple),
)


class Agreement(RuleBasedStateMachine):
    """Each rule makes a call on all and compares what came of it."""

    server: PostgresServer
    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.server.empty(self.url)
        self.backends: list[Storage] = [
            MemoryStorage(),
            open_storage(":memory:"),
            open_storage(self.url),
        ]
        for backend in self.backends:
            self.runner.run(backend.open())

    def teardown(self) -> None:
        for backend in self.backends:
            self.runner.run(backend.close())
        self.runner.close()

    def same(self, call: Callable[[Storage], Awaitable[Any]]) -> None:
        results = []
        for backend in self.backends:

            async def run(backend: Storage = backend) -> Any:
                try:
                    return await call(backend)
                except StorageError as error:
                    return type(error)

            results.append(self.runner.run(run()))
        assert results[0] == results[1] == results[2]

    @rule(turn=turns)
    def commit_turn(self, turn: TurnWrite) -> None:
        self.same(lambda s: s.commit_turn(turn))

    @rule(turn=turns, calls=st.booleans())
    def hold_and_commit_turn(self, turn: TurnWrite, calls: bool) -> None:
        """As the engine does."""

        async def take(storage: Storage) -> Any:
            client, now = turn.clients[0].client, turn.clients[0].at
            repeat = (turn.answer.scope, turn.answer.key) if turn.answer is not None else None
            opened = await storage.begin_turn(client, now, repeat=repeat)
            assert not isinstance(opened, Leased)
            found = [await opened.load(part.client, now) for part in turn.clients]
            if calls:
                await opened.lease()
            try:
                await opened.commit(turn)
            finally:
                await opened.abandon()
            return opened.answer, found

        self.same(take)

    @rule(client=clients, now=moments)
    def close_conversations(self, client: Client, now: datetime) -> None:
        self.same(lambda s: s.close_conversations(client, now))

    @rule(client=clients, key=keys, value=json_values, now=moments, expires_at=expiries)
    def save_memory(
        self, client: Client, key: str, value: Any, now: datetime, expires_at: datetime | None
    ) -> None:
        self.same(lambda s: s.save_memory(client, key, value, now=now, expires_at=expires_at))

    @rule(client=clients, key=st.none() | keys)
    def delete_memories(self, client: Client, key: str | None) -> None:
        self.same(lambda s: s.delete_memories(client, key))

    @rule(client=clients)
    def delete_client(self, client: Client) -> None:
        self.same(lambda s: s.delete_client(client))

    @rule(bot_id=st.sampled_from(["b1", "b2"]), id=st.sampled_from("vw"))
    def save_version(self, bot_id: str, id: str) -> None:
        self.same(lambda s: s.save_version(version(id, bot_id)))

    @rule(bot_id=st.sampled_from(["b1", "b2"]), id=st.none() | st.sampled_from("vw"))
    def delete_versions(self, bot_id: str, id: str | None) -> None:
        self.same(lambda s: s.delete_versions(bot_id, id))

    @rule(bot_id=st.sampled_from(["b1", "b2"]))
    def delete_bot(self, bot_id: str) -> None:
        self.same(lambda s: s.delete_bot(bot_id))

    @rule(person=persons)
    def create_person(self, person: Person) -> None:
        self.same(lambda s: s.create_person(person))

    @rule(person=persons)
    def save_person(self, person: Person) -> None:
        self.same(lambda s: s.save_person(person))

    @rule(session=sessions)
    def save_session(self, session: Session) -> None:
        self.same(lambda s: s.save_session(session))

    @rule(keys=st.dictionaries(safe_text, safe_text, max_size=2))
    def save_keys(self, keys: dict[str, str]) -> None:
        self.same(lambda s: s.save_keys("b1", keys))

    @rule(now=moments)
    def delete_expired(self, now: datetime) -> None:
        self.same(lambda s: s.delete_expired(now))

    @rule(client=clients, now=moments, since=expiries, until=expiries, limit=st.integers(1, 5))
    def page_through_messages(
        self,
        client: Client,
        now: datetime,
        since: datetime | None,
        until: datetime | None,
        limit: int,
    ) -> None:
        async def pages(storage: Storage) -> list[tuple[Message, ...]]:
            found, after = [], None
            while True:
                page = await storage.list_messages(
                    client, limit=limit, after=after, since=since, until=until, now=now
                )
                found.append(page.items)
                after = page.next_key
                if after is None:
                    return found

        self.same(pages)

    @rule(client=clients, now=moments, limit=st.integers(1, 3))
    def page_through_conversations(self, client: Client, now: datetime, limit: int) -> None:
        async def pages(storage: Storage) -> list[tuple[Conversation, ...]]:
            found, after = [], None
            while True:
                page = await storage.list_conversations(client, limit=limit, after=after, now=now)
                found.append(page.items)
                after = page.next_key
                if after is None:
                    return found

        self.same(pages)

    @rule(client=clients, now=moments, key=keys)
    def read_client(self, client: Client, now: datetime, key: str) -> None:
        self.same(lambda s: s.load_client(client, now))
        self.same(lambda s: s.open_conversation(client, now))
        self.same(lambda s: s.hold_of(client, now))
        self.same(lambda s: s.list_memories(client, now))
        self.same(lambda s: s.find_memory(client, key, now))

    @rule(scope=st.sampled_from("st"), key=st.sampled_from("klm"), now=moments)
    def find_answer(self, scope: str, key: str, now: datetime) -> None:
        self.same(lambda s: s.find_answer(scope, key, now))

    @invariant()
    def bots_and_people_agree(self) -> None:
        self.same(lambda s: s.bot_ids())
        for name in ("b1", "b2"):
            self.same(lambda s, name=name: s.latest_version(name))  # type: ignore[misc]
            self.same(lambda s, name=name: s.keys_of(name))  # type: ignore[misc]
            self.same(lambda s, name=name: s.newest_session(name, "n"))  # type: ignore[misc]
            self.same(lambda s, name=name: s.find_person(name, "chatbot", "u"))  # type: ignore[misc]
        self.same(lambda s: s.sessions_of("p1"))
        self.same(lambda s: s.person("p2"))


Agreement.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_storages_agree(postgres_server: PostgresServer, shared_postgres_url: str) -> None:
    Agreement.server, Agreement.url = postgres_server, shared_postgres_url
    run_state_machine_as_test(Agreement, settings=Agreement.TestCase.settings)
