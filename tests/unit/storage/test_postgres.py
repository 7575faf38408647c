"""What only PostgreSQL has: locks between processes, leases, connections that are lost."""

from __future__ import annotations

import asyncio
import math
import re
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver.storage.sql as package
from palaver.errors import (
    ConfigError,
    Conflict,
    ConversationBusy,
    SchemaOutdated,
    StorageError,
    Unavailable,
)
from palaver.model import Client
from palaver.storage.protocol import ClientState, ClientWrite, Leased, OpenTurn, TurnWrite
from palaver.storage.sql import shared_turn, tickets
from palaver.storage.sql.driver import NOT_NOW
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.sql.pgconnection import PgConnection, decode_json, decode_text, encode_text
from palaver.storage.sql.postgres import PostgresDriver
from palaver.storage.sql.rows import json_from_bot, us_from_time
from palaver.storage.sql.store import SqlStore
from palaver.storage.urls import open_storage
from tests.conformance.storage.makers import (
    ANNA,
    BERT,
    HOUR,
    NOW,
    answer,
    conversation,
    person,
    remember,
    said,
    texts,
    version,
    write,
)
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio

LONG_S = 600
"""Whoever waits so long has failed."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[SqlStore]:
    store = SqlStore(PostgresDriver(url, **options))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def driver_of(store: SqlStore) -> PostgresDriver:
    assert isinstance(store._driver, PostgresDriver)
    return store._driver


async def begin(
    store: SqlStore, client: Client = ANNA, repeat: tuple[str, str] | None = None
) -> OpenTurn:
    turn = await store.begin_turn(client, NOW, repeat=repeat)
    assert not isinstance(turn, Leased)
    return turn


def holding(n: int, client: Client = ANNA, **changes: Any) -> TurnWrite:
    return TurnWrite((ClientWrite(client, NOW, hold={"n": n}, **changes),))


async def number_of(turn: OpenTurn, client: Client = ANNA) -> int:
    hold = (await turn.load(client, NOW)).hold
    n = hold["n"] if hold is not None else 0
    assert isinstance(n, int)
    return n


async def add_one(store: SqlStore, client: Client = ANNA, *, calls: bool = False) -> int:
    """A turn as the engine takes it: its number, which it also says."""
    while isinstance(turn := await store.begin_turn(client, NOW), Leased):  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    n = await number_of(turn, client) + 1
    if calls:
        await turn.lease()
        await asyncio.sleep(0.002)
    await turn.commit(holding(n, client, messages=said(str(n))))
    return n


# --- one turn at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("calls", [False, True])
async def test_turns_of_two_stores_are_in_one_order(postgres_url: str, calls: bool) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:

        async def talk(store: SqlStore) -> list[int]:
            return [await add_one(store, calls=calls) for _ in range(20)]

        first, second = await asyncio.gather(talk(one), talk(two))
        assert sorted(first + second) == list(range(1, 41))
        page = await one.list_messages(ANNA, limit=99, after=None, since=None, until=None, now=NOW)
        assert texts(page.items) == [str(n) for n in range(40, 0, -1)]


LOAD = """
import asyncio, sys
from tests.unit.storage.test_postgres import add_one, opened

async def main():
    async with opened(sys.argv[1]) as store:
        for number in range(int(sys.argv[2])):
            print(await add_one(store, calls=number % 5 == 0), flush=True)

asyncio.run(main())
"""


def talking(url: str, turns: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, url, str(turns)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    )


def test_turns_of_two_processes_are_in_one_order(postgres_url: str) -> None:
    with talking(postgres_url, 50) as one, talking(postgres_url, 50) as two:
        numbers = [int(line) for out in (one, two) for line in out.communicate()[0].split()]
    assert sorted(numbers) == list(range(1, 101))


def until_others_left(url: str) -> None:
    sql = b"SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(sql).fetchone():
            time.sleep(0.01)


async def test_a_killed_process_keeps_every_acknowledged_turn(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with talking(postgres_url, 10_000) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(60)]
        process.kill()
        printed += [line for line in process.stdout if line.endswith("\n")]
    until_others_left(postgres_url)  # the server may still be at the last turn of the dead
    async with opened(postgres_url) as store:
        state = await store.load_client(ANNA, NOW)
        assert state.hold is not None
        n = state.hold["n"]
        assert isinstance(n, int)
        assert n in (int(printed[-1]), int(printed[-1]) + 1)
        page = await store.list_messages(
            ANNA, limit=9999, after=None, since=None, until=None, now=NOW
        )
        assert texts(page.items) == [str(n) for n in range(n, 0, -1)]


async def test_different_clients_do_not_wait_for_each_other(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        assert await add_one(two, BERT) == 1
        await turn.abandon()


async def test_a_new_client_begun_twice_at_once_is_begun_once(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        waiting = asyncio.create_task(add_one(two))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await turn.commit(holding(1))
        assert await waiting == 2


async def test_a_turn_reads_what_the_one_before_it_wrote_while_it_waited(
    postgres_url: str,
) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        await write(one, hold={"n": 1}, remembered={"a": "1"})
        turn = await begin(one)
        waiting = asyncio.create_task(begin(two, repeat=("client anna", "k")))
        await asyncio.sleep(0.05)
        change = ClientWrite(ANNA, NOW, hold={"n": 2}, remembered={"a": "2", "b": "3"})
        await turn.commit(TurnWrite((change,), answer("k")))
        second = await waiting
        assert await second.load(ANNA, NOW) == ClientState(
            hold={"n": 2}, memories={"a": "2", "b": "3"}
        )
        assert second.answer == answer("k")
        await second.abandon()


async def test_a_turn_is_two_round_trips(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trips = []
    run = PgConnection.run

    async def counted(self: PgConnection, commands: Any) -> Any:
        trips.append([sql.split()[0] for sql, _ in commands])
        return await run(self, commands)

    async with opened(postgres_url) as store:
        await write(store, conversations=(conversation(),), remembered={"a": "1"})
        monkeypatch.setattr(PgConnection, "run", counted)
        turn = await begin(store, repeat=("client anna", "k"))
        part = ClientWrite(
            ANNA, NOW, conversations=(conversation(),), remembered={"a": "2"}, messages=said("hi")
        )
        await turn.commit(TurnWrite((part,), answer("k")))
        await turn.abandon()
    assert trips == [
        ["BEGIN", "SELECT", "SELECT", "SELECT"],
        ["INSERT", "INSERT", "INSERT", "INSERT", "DELETE", "INSERT", "COMMIT"],
    ]


async def test_an_abandoned_turn_leaves_nothing(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        turn = await begin(store)
        await turn.abandon()
        await turn.abandon()
        assert await store.load_client(ANNA, NOW) == ClientState()
        assert await add_one(store) == 1
        assert store.gauges()["connections_busy"] == 0


async def test_a_turn_that_cannot_be_stored_frees_its_client(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        await write(one, persons=(person(),))
        turn = await begin(one)
        with pytest.raises(StorageError):
            await turn.commit(
                TurnWrite((ClientWrite(ANNA, NOW, hold={}),), persons=(person("b" * 24),))
            )
        await turn.abandon()
        assert await add_one(two) == 1


async def test_a_cancelled_turn_frees_its_client(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        waiting = asyncio.create_task(begin(two))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await turn.commit(holding(1))
        assert await add_one(two) == 2


async def test_a_switch_reads_the_other_client_in_its_turn(postgres_url: str) -> None:
    other = Client("other", "web", "anna")
    async with opened(postgres_url) as store:
        await write(store, other, hold={"n": 7})
        turn = await begin(store)
        assert await number_of(turn, other) == 7
        assert await turn.load(BERT, NOW) == ClientState()
        await turn.lease()
        assert await number_of(turn, other) == 7
        await turn.abandon()


async def test_a_lock_that_takes_too_long_is_a_busy_conversation(postgres_url: str) -> None:
    async with (
        opened(postgres_url) as one,
        opened(postgres_url, session="-c lock_timeout=50ms") as two,
    ):
        await write(one, hold={"n": 1})
        turn = await begin(one)
        with pytest.raises(ConversationBusy):
            await begin(two)
        with pytest.raises(Unavailable):
            await two.delete_client(ANNA)
        await turn.abandon()
        assert await add_one(two) == 2


async def test_writes_from_elsewhere_wait_for_the_turn(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        await remember(one, {"a": "1", "b": "1"})
        turn = await begin(one)
        erasing = asyncio.create_task(two.delete_client(ANNA))
        forgetting = asyncio.create_task(two.delete_memories(ANNA, None))
        erasing_bot = asyncio.create_task(two.delete_bot("pizza"))
        await asyncio.sleep(0.05)
        part = ClientWrite(ANNA, NOW, remembered={"b": "2", "a": "2"})
        await turn.commit(TurnWrite((part,), answer("k")))
        await asyncio.gather(erasing, forgetting, erasing_bot)
        assert await one.load_client(ANNA, NOW) == ClientState()


async def test_two_answers_under_one_key_from_two_clients_conflict(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        first, second = await begin(one, ANNA), await begin(two, BERT)
        part = ClientWrite(BERT, NOW)
        await first.commit(TurnWrite((ClientWrite(ANNA, NOW),), answer("k")))
        await second.commit(TurnWrite((part,), answer("k", b"2")))  # replaces it
        both = [
            store.commit_turn(TurnWrite((ClientWrite(Client("b", "c", f"{n}"), NOW),), answer("l")))
            for n, store in enumerate((one, two, one, two))
        ]
        results = await asyncio.gather(*both, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), Conflict}
        assert None in results


# --- leases --------------------------------------------------------------------------------------


async def test_a_leased_turn_holds_no_connection_and_keeps_others_out(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        await turn.lease()
        assert one.gauges()["connections_busy"] == 0
        found = await two.begin_turn(ANNA, NOW)
        assert isinstance(found, Leased)
        assert 0 <= found.age_s < LONG_S
        assert not found.is_same
        await turn.commit(holding(1))
        assert await add_one(two) == 2


async def test_a_lease_knows_a_repeat_of_its_own_request(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one, repeat=("client anna", "k"))
        await turn.lease()
        for repeat, is_same in (
            (("client anna", "k"), True),
            (("client anna", "l"), False),
            (None, False),
        ):
            found = await two.begin_turn(ANNA, NOW, repeat=repeat)
            assert isinstance(found, Leased)
            assert found.is_same is is_same
        await turn.abandon()


async def test_an_abandoned_lease_is_free_at_once(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        await turn.abandon()
        assert await driver_of(two).read("SELECT count(*) FROM client", ()) == [(0,)]
        assert await add_one(two) == 1
        turn = await begin(one)
        await turn.lease()
        await turn.abandon()
        assert await add_one(two) == 2


async def test_a_lease_lasts_as_long_as_its_owner_lives(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_turn, "RENEW_S", 0.01)
    async with opened(postgres_url) as one, opened(postgres_url) as two:

        async def lease_until() -> int:
            ((until_us,),) = await one._driver.read("SELECT lease_until FROM client", ())
            assert isinstance(until_us, int)
            return until_us

        turn = await begin(one)
        await turn.lease()
        async with asyncio.timeout(LONG_S):
            for _ in range(3):
                before = await lease_until()
                while await lease_until() == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert isinstance(await two.begin_turn(ANNA, NOW), Leased)
        await turn.commit(holding(1))


@pytest.mark.parametrize("calls", [False, True])
async def test_an_expired_lease_is_taken_over_and_its_owner_stores_nothing(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, calls: bool
) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        monkeypatch.setattr(shared_turn, "LEASE_US", 200_000)
        monkeypatch.setattr(shared_turn, "RENEW_S", LONG_S)
        lost = await begin(one)
        await lost.lease()
        assert await add_one(two, calls=calls) == 1
        with pytest.raises(Conflict, match="lease lost"):
            await lost.commit(holding(50, messages=said("lost")))
        await lost.abandon()
        assert await add_one(one) == 2
        page = await one.list_messages(ANNA, limit=9, after=None, since=None, until=None, now=NOW)
        assert texts(page.items) == ["2", "1"]


async def test_a_client_erased_during_a_call_is_not_brought_back(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        await two.delete_client(ANNA)
        assert await add_one(two) == 1
        with pytest.raises(Conflict):
            await turn.commit(holding(50))
        assert await add_one(two) == 2


async def test_a_process_does_not_wait_for_its_own_forgotten_lease(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        forgotten = await begin(store)
        await forgotten.lease()
        assert await add_one(store) == 1
        with pytest.raises(Conflict):
            await forgotten.commit(holding(50))


# --- the line of those who wait ------------------------------------------------------------------


@pytest.fixture
def lasting_tickets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tickets, "TICKET_US", LONG_S * 1_000_000)


@pytest.mark.usefixtures("lasting_tickets")
async def test_processes_get_a_client_in_the_order_in_which_they_came(postgres_url: str) -> None:
    async with (
        opened(postgres_url) as one,
        opened(postgres_url) as two,
        opened(postgres_url) as tre,
    ):
        turn = await begin(one)
        await turn.lease()
        for store in (two, tre, two):
            assert isinstance(await store.begin_turn(ANNA, NOW, waits=True), Leased)
        await turn.commit(holding(1))
        for store in (one, tre):  # also the one whose turn it was does not come in between
            found = await store.begin_turn(ANNA, NOW, waits=True)
            assert found == Leased(math.inf, is_same=False)
        turn = await begin(two)
        await turn.lease()
        assert isinstance(await one.begin_turn(ANNA, NOW, waits=True), Leased)
        await turn.commit(holding(2))
        assert isinstance(await one.begin_turn(ANNA, NOW, waits=True), Leased)
        await (await begin(tre)).commit(holding(3))
        await (await begin(one)).commit(holding(4))
        assert await add_one(two) == 5
        rows = await one._driver.read("SELECT line FROM client", ())
        assert rows == [(None,)]


async def test_who_only_looks_does_not_stand_in_the_line(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        assert isinstance(await two.begin_turn(ANNA, NOW), Leased)
        await turn.commit(holding(1))
        assert await add_one(one) == 2


@pytest.mark.usefixtures("lasting_tickets")
@pytest.mark.parametrize("hours", [-1, 1])
async def test_who_dies_in_the_line_is_passed_over(postgres_url: str, hours: int) -> None:
    """Also when the database's clock was set back since."""
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        assert isinstance(await two.begin_turn(ANNA, NOW, waits=True), Leased)
        await turn.commit(holding(1))
        assert isinstance(await one.begin_turn(ANNA, NOW), Leased)
        rows = await one._driver.read("SELECT line FROM client", ())
        owner, until_us = struct.unpack(">16sq", rows[0][0])
        line = struct.pack(">16sq", owner, until_us + hours * 3600 * 1_000_000)
        await one._driver.write([("UPDATE client SET line = ?1", [(line,)])])
        assert await add_one(one) == 2


@pytest.mark.usefixtures("lasting_tickets")
async def test_neither_of_two_processes_starves(postgres_url: str) -> None:
    """One that has its next request ready whenever its turn ends does not keep the other out."""
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        done: list[str] = []

        async def until_the_other_waits() -> None:
            sql = "SELECT 1 FROM client WHERE line IS NOT NULL"
            while not await one._driver.read(sql, ()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

        async def talk(store: SqlStore, name: str, rival: str) -> None:
            for _ in range(10):
                turn = await store.begin_turn(ANNA, NOW)
                while isinstance(turn, Leased):
                    await asyncio.sleep(0.01)
                    turn = await store.begin_turn(ANNA, NOW, waits=True)
                n = await number_of(turn) + 1
                await turn.lease()
                if done.count(rival) < 10:
                    await until_the_other_waits()
                await turn.commit(holding(n))
                done.append(name)

        async with asyncio.timeout(LONG_S):
            await asyncio.gather(talk(one, "one", "two"), talk(two, "two", "one"))
        assert all(first != second for first, second in pairwise(done)), done


# --- a turn that switches to another bot ---------------------------------------------------------

OTHER = Client("other", "web", "anna")


async def test_a_switched_turn_keeps_others_from_both_clients(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        for leases_first in (True, False):
            turn = await begin(one)
            if leases_first:
                await turn.lease()
            await turn.load(OTHER, NOW)
            await turn.lease()
            for store in (one, two):
                assert isinstance(await store.begin_turn(OTHER, NOW), Leased)
            assert isinstance(await two.begin_turn(ANNA, NOW), Leased)
            part = ClientWrite(OTHER, NOW, hold={"n": 1})
            await turn.commit(TurnWrite((ClientWrite(ANNA, NOW), part)))
            assert await add_one(two, OTHER) == 2
            await two.delete_client(OTHER)
            assert one.leases == {}


async def test_turns_that_switch_at_once_lose_nothing(postgres_url: str) -> None:
    """Of the same process and of another one, into a bot in which people talk as well."""
    async with opened(postgres_url) as one, opened(postgres_url) as two:

        async def switch(store: SqlStore, start: Client, calls: bool) -> None:
            turn = await begin(store, start)
            if calls:
                await turn.lease()
            n = await number_of(turn, OTHER) + 1
            await turn.lease()
            await asyncio.sleep(0.005)
            parts = (ClientWrite(start, NOW), ClientWrite(OTHER, NOW, hold={"n": n}))
            await turn.commit(TurnWrite(parts))

        await asyncio.gather(
            *(
                switch(store, Client(f"bot {number}", "web", "anna"), number % 4 < 2)
                for number, store in enumerate((one, two) * 8)
            ),
            add_one(two, OTHER, calls=True),
        )
        assert await add_one(one, OTHER) == 18


@pytest.mark.parametrize("calls", [True, False])
async def test_turns_that_switch_into_each_other_end(
    postgres_url: str, calls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_turn, "BESIDE_MOMENT_S", 0.1)
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        first, second = await begin(one, ANNA), await begin(two, OTHER)

        async def switch(turn: OpenTurn, start: Client, target: Client) -> None:
            try:
                if calls:
                    await turn.lease()
                n = await number_of(turn, target) + 1
                parts = (ClientWrite(start, NOW), ClientWrite(target, NOW, hold={"n": n}))
                await turn.commit(TurnWrite(parts))
            finally:
                await turn.abandon()

        results = await asyncio.gather(
            switch(first, ANNA, OTHER), switch(second, OTHER, ANNA), return_exceptions=True
        )
        assert [type(result) for result in results].count(type(None)) == 1
        (error,) = (result for result in results if result is not None)
        assert isinstance(error, (ConversationBusy, Conflict))
        assert await add_one(one) + await add_one(two, OTHER) == 3


async def test_a_switched_turn_that_is_not_stored_leaves_nothing(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        await turn.load(OTHER, NOW)
        await turn.abandon()
        turn = await begin(one)
        await turn.load(OTHER, NOW)
        await turn.load(BERT, NOW)
        await turn.commit(holding(1))  # of those it went to it stores nothing
        assert await one._driver.read("SELECT user_id FROM client", ()) == [("anna",)]
        for client in (OTHER, BERT):
            assert await add_one(two, client) == 1


async def test_cleaning_up_leaves_a_client_in_a_turn_alone(postgres_url: str) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        await write(one, hold={"n": 1}, expires_at=NOW + HOUR)
        await write(one, BERT, hold={"n": 1}, expires_at=NOW + HOUR)
        called, computing = await begin(one), await begin(one, BERT)
        await called.lease()
        assert await two.delete_expired(NOW + 2 * HOUR) == 1
        await called.commit(holding(2))
        await computing.commit(holding(2, BERT))
        assert (await two.load_client(ANNA, NOW)).hold == {"n": 2}
        assert (await two.load_client(BERT, NOW)).hold == {"n": 2}


@pytest.mark.parametrize("beside", [False, True])
async def test_a_client_whose_first_turn_died_in_a_call_is_swept(
    postgres_url: str, beside: bool
) -> None:
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        dead, lives = await begin(one), await begin(one, BERT)
        if beside:
            await dead.lease()
            await dead.load(OTHER, NOW)
        for turn in (dead, lives):
            await turn.lease()
        await two.delete_expired(NOW)

        async def users() -> list[str]:
            rows = await two._driver.read("SELECT user_id FROM client ORDER BY user_id", ())
            return [user for (user,) in rows]

        assert await users() == ["anna", "anna", "bert"][1 - beside :], "their turns may go on"
        hours_ago = "UPDATE client SET lease_until = lease_until - 2 * 3600000000"
        await two._driver.write([(f"{hours_ago} WHERE user_id = 'anna'", [()])])
        await two.delete_expired(NOW)
        assert await users() == ["bert"]
        with pytest.raises(Conflict):
            await dead.commit(holding(1))
        await lives.commit(holding(1, BERT))
        await two._driver.write([(hours_ago, [()])])
        await two.delete_expired(NOW)
        assert await add_one(two, BERT) == 2, "whose turn was stored stays"
        assert await add_one(two) == 1


async def test_what_is_stored_during_a_call_is_not_swept(postgres_url: str) -> None:
    """As a change from elsewhere does, under a lease of its own."""
    async with opened(postgres_url) as one, opened(postgres_url) as two:
        turn = await begin(one)
        await turn.lease()
        await one.save_memory(ANNA, "a", 1, now=NOW, expires_at=None)
        await turn.abandon()
        await two.delete_expired(NOW)
        assert (await two.load_client(ANNA, NOW)).memories == {"a": "1"}
        await two.delete_memories(ANNA, None)
        await two.delete_expired(NOW)
        assert await two._driver.read("SELECT count(*) FROM client", ()) == [(0,)]


# --- connections ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kills", [False, True])
async def test_a_server_that_stops_is_unavailable_until_it_is_back(
    own_server: PostgresServer, kills: bool
) -> None:
    url = own_server.create_database()
    await PostgresDriver(url).upgrade()
    async with opened(url) as store:
        stored = await add_one(store)
        turn = await begin(store)
        waiting = [asyncio.create_task(add_one(store, BERT)) for _ in range(40)]
        await asyncio.to_thread(own_server.stop, kills=kills)
        async with asyncio.timeout(LONG_S):
            with pytest.raises(Unavailable):
                await turn.commit(holding(9))
            for call in (add_one(store), store.load_client(ANNA, NOW), store.check(), write(store)):
                with pytest.raises(Unavailable):
                    await call
            finished = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in finished} <= {int, Unavailable}
        await asyncio.to_thread(own_server.start)
        assert await add_one(store) == stored + 1
        assert store.gauges()["connections_busy"] == 0


async def test_connections_that_an_operator_ends_are_replaced(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with opened(postgres_url) as store:
        turn = await begin(store)
        await begin(store, BERT)
        name = postgres_url.partition("@/")[2].partition("?")[0]
        postgres_server.execute(
            "postgres",
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
        )
        with pytest.raises(Unavailable, match="was lost"):
            await turn.commit(holding(1))
        assert await add_one(store) == 1


async def test_more_turns_than_connections_wait_in_order(postgres_url: str) -> None:
    async with opened(postgres_url, pool_size=2) as store:
        clients = [Client("pizza", "web", str(n)) for n in range(50)]
        assert await asyncio.gather(*[add_one(store, client) for client in clients]) == [1] * 50
        assert store.gauges() == {
            "connections": 3, "connections_busy": 0, "connections_wanted": 0
        }  # fmt: skip


async def test_turns_do_not_wait_for_reads_that_wait_for_turns(postgres_url: str) -> None:
    async with opened(postgres_url, pool_size=1) as store:
        turn = await begin(store)
        assert await store.bot_ids() == ()
        await write(store, BERT, hold={})
        await turn.abandon()


async def test_a_caller_that_goes_away_gives_its_connection_back(postgres_url: str) -> None:
    async with opened(postgres_url, pool_size=1) as store:
        for delay in (0.0, 0.0005, 0.001, 0.002, 0.005):
            turn = asyncio.create_task(add_one(store))
            waiting = asyncio.create_task(add_one(store, BERT))
            await asyncio.sleep(delay)
            turn.cancel()
            waiting.cancel()
            await asyncio.gather(turn, waiting, return_exceptions=True)
        await asyncio.wait_for(add_one(store), LONG_S)
        assert store.gauges()["connections_busy"] == 0


async def test_a_big_turn_is_sent_while_answers_come_back(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        memories = {f"key {n}": '"%s"' % ("x" * 900) for n in range(8000)}
        await remember(store, memories)
        assert (await store.load_client(ANNA, NOW)).memories == memories


async def test_a_statement_that_takes_too_long_is_unavailable(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        read = driver_of(store).read  # over one connection
        await read("SELECT set_config('statement_timeout', '50ms', false)", ())
        with pytest.raises(Unavailable, match="statement timeout"):
            await read(f"SELECT pg_sleep({LONG_S})", ())
        await read("SELECT set_config('statement_timeout', '0', false)", ())
        assert await add_one(store) == 1


async def test_deadlocks_are_conflicts(postgres_url: str) -> None:
    session = "-c deadlock_timeout=20ms"
    async with opened(postgres_url, session=session) as store:
        clients = ANNA, BERT
        for client in clients:
            await write(store, client, hold={"n": 1})
        turns = [await begin(store, client) for client in clients]
        loads = [turn.load(c, NOW) for turn, c in zip(turns, reversed(clients), strict=True)]
        results = await asyncio.gather(*loads, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["ClientState", "Conflict"]
        for turn in turns:
            await turn.abandon()


async def test_a_value_no_column_can_hold_fails_alone(postgres_url: str) -> None:
    async with opened(postgres_url) as store:
        bad = write(store, BERT, conversations=(conversation("\ud800"),))
        results = await asyncio.gather(write(store, hold={}), bad, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), StorageError]
        with pytest.raises(StorageError):
            await store.find_person("pizza", "web", "\ud800")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("test_", "other_"), 'database "other_.*" does not exist'),
        (lambda url: "postgresql://x@127.0.0.1:1/y", "cannot be reached: .*refused"),
    ],
)
async def test_a_database_that_is_not_there_is_unavailable(
    postgres_url: str, change: Callable[[str], str], message: str
) -> None:
    with pytest.raises(Unavailable, match=message) as raised:
        async with opened(change(postgres_url)):
            pass
    assert raised.value.public == NOT_NOW, "hosts and names are the operator's"


# --- the schema ----------------------------------------------------------------------------------


async def test_an_empty_database_has_to_be_upgraded_first(new_postgres_url: str) -> None:
    with pytest.raises(SchemaOutdated, match=r"is empty.*run `palaver db upgrade`"):
        async with opened(new_postgres_url):
            pass
    drivers = [PostgresDriver(new_postgres_url) for _ in range(4)]
    done = await asyncio.gather(*[driver.upgrade() for driver in drivers])
    assert sorted(map(len, done)) == [0, 0, 0, len(load_migrations("postgresql"))]
    async with opened(new_postgres_url) as store:
        await store.check()
        assert await add_one(store) == 1


@pytest.mark.parametrize(
    ("offset", "message"), [(1, "upgrade this one"), (-1, "run `palaver db upgrade`")]
)
async def test_another_schema_is_refused(new_postgres_url: str, offset: int, message: str) -> None:
    await PostgresDriver(new_postgres_url).upgrade()
    async with opened(new_postgres_url) as store:
        with psycopg.connect(new_postgres_url) as connection:
            connection.execute(f"UPDATE palaver_schema SET number = number + {offset}".encode())
        with pytest.raises(SchemaOutdated, match=message):
            await store.check()
    with pytest.raises(SchemaOutdated, match=message):
        async with opened(new_postgres_url):
            pass


async def test_builds_from_before_contents_are_moved_by_their_migration(
    new_postgres_url: str,
) -> None:
    body = json_from_bot(version("v1").bot)
    env = b'{"token":"secret","rates":[1,2.5,null]}'
    with psycopg.connect(new_postgres_url) as connection:
        for migration in load_migrations("postgresql")[:2]:
            connection.execute(migration.script.encode())
        connection.execute("INSERT INTO palaver_schema VALUES (2)")
        for name in ("v1", "v2"):
            connection.execute(
                "INSERT INTO version (bot_id, version_id, engine_version, created_at, bot, env)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                ["pizza", name, "1.11.2", us_from_time(NOW), body, env],
            )
    await PostgresDriver(new_postgres_url).upgrade()
    async with opened(new_postgres_url) as store:
        for name in ("v1", "v2"):
            assert await store.find_version("pizza", name) == version(name)
        await store.save_version(version("v3"))
        assert await store._driver.read("SELECT count(*) FROM content", ()) == [(1,)]
        await store.delete_bot("pizza")
        assert await store._driver.read("SELECT count(*) FROM content", ()) == [(0,)]


async def test_looking_for_changes_reads_one_row_however_many_builds_there_are(
    postgres_url: str,
) -> None:
    async with opened(postgres_url) as store:
        for number in range(3):
            await store.save_version(version("v", f"bot {number}"))
        await store.save_keys("pizza", {"a": "b"})
        rows = await store.changes_stamp()
        assert isinstance(rows, list)
        assert len(rows) == 1
        with psycopg.connect(postgres_url) as connection:  # whoever changes something
            connection.execute("UPDATE credential SET key = 'c'")
        assert await store.changes_stamp() != rows


CATALOGUE = """
SELECT 'column', table_name, column_name, concat_ws(' ', data_type, collation_name, is_nullable,
       column_default, is_identity)
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes
 WHERE schemaname = 'public'
UNION ALL SELECT 'table', relname, relkind::text, array_to_string(reloptions, ' ') FROM pg_class
 WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid)
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, proargnames::text, prosrc FROM pg_proc
 WHERE pronamespace = 'public'::regnamespace
ORDER BY 1, 2, 3
"""


async def test_the_schema_is_what_the_migrations_lead_to(
    postgres_server: PostgresServer, postgres_url: str, new_postgres_url: str
) -> None:
    script = files(package).joinpath("schema.postgresql.sql").read_text("utf-8")
    found = []
    for url in (postgres_url, new_postgres_url):
        with psycopg.connect(url) as connection:
            if url == new_postgres_url:
                connection.execute(script.encode())
            found.append(connection.execute(CATALOGUE.encode()).fetchall())
    assert found[0] == found[1]
    assert len(found[0]) > 60


def test_every_key_of_what_a_turn_touches_begins_with_the_client() -> None:
    """So that the tables can be cut into shards by it: docs/scale.md."""
    script = files(package).joinpath("schema.postgresql.sql").read_text("utf-8")
    for table, first in (
        ("client", "client"),
        ("conversation", "client"),
        ("memory", "client"),
        ("turn", "client"),
        ("answer", "scope"),
    ):
        body = re.search(rf"CREATE TABLE {table} \((.*?)\n\)", script, re.DOTALL)
        assert body is not None
        keys = re.findall(r"PRIMARY KEY \((\w+)", body[1]) or ["client"]
        assert keys == [first]
        assert body[1].strip().startswith(first)


# --- texts and URLs ------------------------------------------------------------------------------

odd_text = st.text(st.sampled_from("\0\1\2a\\u01é🍕"), max_size=8)


@given(odd_text)
def test_a_text_survives_its_column(text: str) -> None:
    stored = encode_text(text)
    assert b"\0" not in stored
    assert decode_text(stored) == text


@given(odd_text, odd_text)
def test_texts_sort_in_the_database_as_they_do_here(a: str, b: str) -> None:
    assert (encode_text(a) < encode_text(b)) == (a.encode() < b.encode())


@given(st.dictionaries(odd_text, odd_text, max_size=3))
def test_texts_survive_json_made_by_the_database(texts: dict[str, str]) -> None:
    import json

    made = json.dumps({encode_text(k).decode(): encode_text(v).decode() for k, v in texts.items()},
                      ensure_ascii=False)  # fmt: skip
    assert json.loads(decode_json(made.encode())) == texts


def test_a_url_may_say_how_many_turns_at_once() -> None:
    store = open_storage("postgresql://user@db.test/bots?pool_size=5&sslmode=require")
    assert isinstance(store, SqlStore)
    driver = driver_of(store)
    assert (driver._pool_size, store.kind) == (5, "postgresql")
    assert driver._arguments["sslmode"] == "require"
    assert "pool_size" not in driver._arguments


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://h/db?pool_size=0", "pool_size is a number from 1 to 1000, not '0'"),
        ("postgresql://h/db?pool_size=x", "pool_size is a number from 1 to 1000, not 'x'"),
        ("postgresql://h/db?colour=red", "the URL is not understood: .*colour"),
    ],
)
def test_a_url_that_is_wrong_is_refused(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_storage(url)
