"""A PostgreSQL that hangs is told from one that works or waits, and is let go of in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict

from palaver.errors import Unavailable
from palaver.model import Client
from palaver.storage.protocol import TurnWrite
from palaver.storage.sql import pgwatch
from palaver.storage.sql.postgres import with_tcp_defaults
from palaver.storage.sql.store import SqlStore
from tests.conformance.storage.makers import ANNA, BERT, NOW, answer, said, texts, write
from tests.postgres import PostgresServer
from tests.unit.storage.test_postgres import add_one, begin, driver_of, holding, opened

pytestmark = pytest.mark.anyio

ANSWER_S = 3.0
"""What is given a server here: far more than a busy machine takes to ask it."""

NEVER_S = 600
"""Whoever waits so long has failed."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def own_url(own_server: PostgresServer) -> str:
    """A database of `own_server`, with our schema; connecting to it takes 2 seconds at most."""
    url = own_server.create_database()
    own_server.upgrade(url)
    return f"{url}&connect_timeout=2"


async def refused(calls: list[Awaitable[Any]], within_s: float = 20 * ANSWER_S) -> None:
    """All of them are. Within: for all of them, on a slow machine."""
    async with asyncio.timeout(within_s):
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, Unavailable), result


async def until_it_answers(call: Any) -> Any:
    async with asyncio.timeout(NEVER_S):
        while True:
            try:
                return await call()
            except Unavailable:
                await asyncio.sleep(0.05)


# --- work and waiting ----------------------------------------------------------------------------


async def test_a_statement_that_neither_waits_nor_ends_is_given_up(postgres_url: str) -> None:
    async with opened(postgres_url, answer_s=ANSWER_S) as store:
        with pytest.raises(Unavailable, match="no answer in time, 3 s"):
            await driver_of(store).read(f"SELECT pg_sleep({NEVER_S})", ())
        assert await add_one(store) == 1, "the server is not away, only that statement"


async def test_another_process_s_turn_may_take_longer(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url, answer_s=ANSWER_S) as two:
        assert await add_one(one) == 1
        turn = await begin(one)
        waiting = [asyncio.create_task(add_one(two)) for _ in range(3)]
        forgetting = asyncio.create_task(two.delete_memories(ANNA, None))
        await asyncio.sleep(2 * ANSWER_S)
        assert not any(task.done() for task in (*waiting, forgetting))
        await turn.commit(holding(2))
        assert sorted(await asyncio.gather(*waiting)) == [3, 4, 5]
        await forgetting


async def test_what_is_long_may_take_longer(postgres_url: str) -> None:
    async with opened(postgres_url, answer_s=ANSWER_S) as store:
        sleeps: Any = f"SELECT pg_sleep({2 * ANSWER_S})"
        await driver_of(store).write([(sleeps, [()])], is_long=True)
        with pytest.raises(Unavailable):
            await driver_of(store).write([(sleeps, [()])])


async def test_many_small_statements_are_progress(postgres_url: str) -> None:
    async with opened(postgres_url, answer_s=ANSWER_S) as store:
        await driver_of(store).write([("SELECT pg_sleep(0.1)", [()] * 50)])


# --- a server that hangs -------------------------------------------------------------------------


async def test_a_server_that_hangs_is_away_until_it_goes_on(
    own_server: PostgresServer, own_url: str
) -> None:
    tasks, threads = len(asyncio.all_tasks()), threading.active_count()
    async with opened(own_url, answer_s=ANSWER_S) as store:
        clients = [Client("pizza", "web", str(n)) for n in range(40)]  # more than connections
        assert await asyncio.gather(*[add_one(store, client) for client in clients]) == [1] * 40
        held = await begin(store)
        behind = asyncio.create_task(begin(store))
        await asyncio.sleep(1.5 * ANSWER_S)
        assert not behind.done()
        own_server.freeze()
        calls: list[Awaitable[Any]] = [behind, held.commit(holding(1)), store.check()]
        calls += [add_one(store, client) for client in clients]
        await refused(calls)
        assert store.gauges() == {
            "connections": 0, "connections_busy": 0, "connections_wanted": 0
        }  # fmt: skip
        async with asyncio.timeout(ANSWER_S):  # it is known to be away
            await refused([add_one(store), store.check()])
        await asyncio.sleep(pgwatch.AWAY_S)
        await refused([add_one(store, client) for client in clients])
        own_server.thaw()
        for client in clients:
            state = await until_it_answers(lambda client=client: store.load_client(client, NOW))
            assert state.hold in ({"n": 1}, {"n": 2})  # what was on its way may have arrived
        assert await add_one(store, Client("pizza", "web", "late")) == 1
    await asyncio.sleep(0)
    assert (len(asyncio.all_tasks()), threading.active_count()) == (tasks, threads)


@pytest.mark.parametrize("calls", [False, True])
async def test_a_repeat_finds_out_what_became_of_a_turn(
    own_server: PostgresServer, own_url: str, calls: bool
) -> None:
    """What was sent before a server hung is done when it goes on, or never; and once."""
    async with opened(own_url, answer_s=ANSWER_S) as store:
        for n in range(1, 4):
            turn = await begin(store, repeat=("client anna", f"{n}"))
            if calls:
                await turn.lease()
            assert await store.bot_ids() == ()  # a connection for calls is at rest
            own_server.freeze()
            part = holding(n, messages=said(str(n))).clients[0]
            with pytest.raises(Unavailable, match="may or may not be"):
                await turn.commit(TurnWrite((part,), answer(f"{n}")))
            await turn.abandon()
            own_server.thaw()

            async def again(n: int = n, part: Any = part) -> None:
                turn = await begin(store, repeat=("client anna", f"{n}"))
                if turn.answer is None:
                    await turn.commit(TurnWrite((part,), answer(f"{n}")))
                await turn.abandon()

            await until_it_answers(again)
        await asyncio.sleep(0.2)
        page = await store.list_messages(ANNA, limit=9, after=None, since=None, until=None, now=NOW)
        assert texts(page.items) == ["3", "2", "1"]


async def test_a_store_whose_server_hangs_can_be_closed(
    own_server: PostgresServer, own_url: str
) -> None:
    async with opened(own_url, answer_s=NEVER_S) as store:
        turn = await begin(store)
        asking = asyncio.create_task(store.load_client(BERT, NOW))
        await asyncio.sleep(0.05)
        own_server.freeze()
        hanging = asyncio.create_task(turn.commit(holding(1)))
        await asyncio.sleep(0.05)
        hanging.cancel()
        async with asyncio.timeout(NEVER_S / 10):
            await store.close()
            await asyncio.wait([hanging, asking])
    own_server.thaw()


# --- a network that swallows everything ----------------------------------------------------------


class BlackHole:
    """A way to a server over TCP; `swallow` keeps what comes on the connections there are."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._ways: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def _serve(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, forth = await asyncio.open_unix_connection(self._socket)
        self._writers += [back, forth]
        self._ways += [
            asyncio.create_task(self._pass(*way)) for way in ((near, forth), (far, back))
        ]

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    def swallow(self) -> int:
        """How many ways lead nowhere now."""
        ways, self._ways = self._ways, []
        for way in ways:
            way.cancel()
        return len(ways) // 2

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[int]:
        """Its port."""
        async with await asyncio.start_server(self._serve, "127.0.0.1", 0) as server:
            yield server.sockets[0].getsockname()[1]
            for writer in self._writers:
                writer.close()
            self.swallow()


@asynccontextmanager
async def behind_a_hole(
    server: PostgresServer, url: str
) -> AsyncIterator[tuple[BlackHole, SqlStore]]:
    hole = BlackHole(f"{server.folder}/.s.PGSQL.5432")
    name = url.partition("@/")[2].partition("?")[0]
    async with hole.opened() as port:
        through = f"postgresql://postgres@127.0.0.1:{port}/{name}"
        async with opened(through, answer_s=ANSWER_S) as store:
            yield hole, store


async def test_connections_that_lead_nowhere_are_replaced(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with behind_a_hole(postgres_server, postgres_url) as (hole, store):
        await write(store, BERT, hold={"n": 6})
        turn = await begin(store)
        assert await add_one(store, BERT) == 7
        assert hole.swallow() >= 2
        lost = turn.commit(holding(1)), begin(store, BERT), store.load_client(ANNA, NOW)
        await refused([*lost])
        assert await until_it_answers(lambda: add_one(store, BERT)) == 8
        assert store.gauges()["connections_busy"] == 0


async def test_one_request_finds_out_for_all_that_come_later(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    clients = [Client("pizza", "web", str(n)) for n in range(5)]
    async with behind_a_hole(postgres_server, postgres_url) as (hole, store):
        for turn in await asyncio.gather(*[begin(store, client) for client in clients]):
            await turn.abandon()
        assert hole.swallow() >= 5
        await refused([begin(store, BERT)])
        assert await asyncio.gather(*[add_one(store, client) for client in clients]) == [1] * 5


# --- settings ------------------------------------------------------------------------------------


def test_what_a_url_says_of_its_connection_stands() -> None:
    given = "postgresql://h/db?keepalives_idle=99&tcp_user_timeout=0"
    assert conninfo_to_dict(with_tcp_defaults(given)) == {
        "host": "h", "dbname": "db", "keepalives_idle": "99", "tcp_user_timeout": "0",
        "keepalives_interval": "5", "keepalives_count": "3",
    }  # fmt: skip
