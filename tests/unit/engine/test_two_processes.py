"""Two engines on one database, as two `palaver serve` would be: product.md §5, dialects §1."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import psycopg
import pytest

from palaver.csml.limits import Limits
from palaver.effects import AppCall, HttpAnswer
from palaver.engine.ask import Answer, Ask
from palaver.engine.bots import RunnableBot
from palaver.engine.csml_scenario import CsmlScenario
from palaver.engine.engine import Engine, EngineSettings
from palaver.engine.outbound import Outbound
from palaver.errors import Conflict, ConversationBusy, KeyReused, Unavailable
from palaver.model import Bot, Client, Event, Flow, Repeat, Turn
from palaver.storage.protocol import Storage
from palaver.storage.sql import guard, shared_turn, tickets
from palaver.storage.urls import open_storage
from palaver.types import SystemClock

pytestmark = pytest.mark.anyio

LONG_S = 600
"""Whoever waits so long has failed."""

ANNA = Client("b", "web", "anna")
FLOW = """start:
  if (n) { remember n = n + 1 } else { remember n = 1 }
  say "{{n}}"
  hold
  goto start

call:
  do answer = App("slow")
  if (n) { remember n = n + 1 } else { remember n = 1 }
  say "called {{n}}"
  goto end
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowOutbound:
    """Apps that answer when they are let."""

    def __init__(self) -> None:
        self.calls = 0
        self.called = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def app(
        self, endpoint: str | None, call: AppCall, client: Client, remaining_s: float
    ) -> HttpAnswer:
        self.calls += 1
        self.called.set()
        await self.may_answer.wait()
        return HttpAnswer(200, {}, '{"data": 1}')


class Process:
    """One of two engines."""

    def __init__(self, storage: Storage, delay: int | None, wait_s: float) -> None:
        self.outbound = SlowOutbound()
        self.storage = storage
        bot = Bot("b", "b", (Flow("f", "Default", FLOW),), "Default", no_interruption_delay=delay)
        self.bot = RunnableBot(bot, CsmlScenario(bot, Limits(), {}), "http://apps.test", ())
        self.engine = Engine(
            storage,
            cast(Outbound, self.outbound),
            SystemClock(),
            EngineSettings(turn_wait_s=wait_s),
            load_other=self.no_other,
        )

    async def no_other(self, bot_id: str, version_id: str | None, left: Bot) -> RunnableBot:
        raise AssertionError

    async def send(
        self, text: str = "hi", *, step: str | None = None, repeat: Repeat | None = None
    ) -> Answer:
        event = Event("text", {"text": text}, text)
        if step is not None:
            event = Event("flow_trigger", {"flow_id": "Default", "step_id": step}, "")

        async def prepare() -> Ask:
            return Ask(self.bot, ANNA, event, "r", datetime.now(UTC))

        return await self.engine.handle(ANNA, prepare, encode, repeat=repeat)


def encode(turn: Turn) -> bytes:
    said = [message.payload["content"] for message in turn.messages]
    return json.dumps({"said": said, "dropped": turn.is_dropped}).encode()


def said(answer: Answer) -> list[str]:
    return [content["text"] for content in json.loads(answer.body)["said"]]


@asynccontextmanager
async def two(
    url: str, *, delay: int | None = None, wait_s: float = 65
) -> AsyncIterator[tuple[Process, Process]]:
    one, other = open_storage(url), open_storage(url)
    await one.open()
    await other.open()
    try:
        yield Process(one, delay, wait_s), Process(other, delay, wait_s)
    finally:
        await one.close()
        await other.close()


async def test_a_client_hammered_from_both_has_a_total_order(postgres_url: str) -> None:
    async with two(postgres_url) as (one, other):
        answers = await asyncio.gather(*[p.send() for _ in range(20) for p in (one, other)])
        numbers = [text for answer in answers for text in said(answer)]
        assert sorted(map(int, numbers)) == list(range(1, 41))


async def test_a_turn_that_calls_keeps_others_waiting_but_no_connection(
    postgres_url: str,
) -> None:
    async with two(postgres_url) as (one, other):
        calling = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        waiting = asyncio.create_task(other.send())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert one.storage.gauges()["connections_busy"] == 0
        one.outbound.may_answer.set()
        assert said(await calling) == ["called 1"]
        assert said(await waiting) == ["2"]


async def until_so_many_wait(storage: Storage, count: int) -> None:
    sql = "SELECT 1 FROM client WHERE octet_length(line) = ?1"
    while not await storage._driver.read(sql, (24 * count,)):  # type: ignore[attr-defined]  # noqa: ASYNC110
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("calls", [True, False])
async def test_requests_to_two_processes_are_served_in_order_of_arrival(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, calls: bool
) -> None:
    """While a turn calls the outside, each that comes has its place at once, wherever it came."""
    monkeypatch.setattr(tickets, "TICKET_US", LONG_S * 1_000_000)
    async with two(postgres_url, wait_s=LONG_S) as (one, other), asyncio.timeout(LONG_S):
        first = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        waiting = []
        for process in (one, one, other, one, other, other, other, one, one, other):
            send = process.send(step="call") if calls else process.send()
            waiting.append(asyncio.create_task(send))
            await until_so_many_wait(one.storage, len(waiting))
        one.outbound.may_answer.set()
        other.outbound.may_answer.set()
        assert said(await first) == ["called 1"]
        numbers = [said(answer)[0].split()[-1] for answer in await asyncio.gather(*waiting)]
        assert numbers == [str(number) for number in range(2, 12)]


async def test_a_process_with_many_requests_does_not_keep_another_one_out(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "TICKET_US", LONG_S * 1_000_000)
    async with two(postgres_url, wait_s=LONG_S) as (one, other), asyncio.timeout(LONG_S):
        first = [asyncio.create_task(one.send(step="call")) for _ in range(3)]
        await until_so_many_wait(one.storage, 2)
        second = asyncio.create_task(other.send(step="call"))
        await until_so_many_wait(one.storage, 3)
        third = [asyncio.create_task(one.send(step="call")) for _ in range(3)]
        await until_so_many_wait(one.storage, 6)
        one.outbound.may_answer.set()
        other.outbound.may_answer.set()
        texts = [said(answer)[0] for answer in await asyncio.gather(*first, second, *third)]
        assert texts == [f"called {n}" for n in range(1, 8)]


async def test_who_goes_away_gives_its_place_up(postgres_url: str) -> None:
    async with two(postgres_url, wait_s=LONG_S) as (one, other), asyncio.timeout(LONG_S):
        first = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        gone = [asyncio.create_task(one.send()) for _ in range(3)]
        await until_so_many_wait(one.storage, 3)
        waiting = asyncio.create_task(other.send())
        await until_so_many_wait(one.storage, 4)
        for task in gone:
            task.cancel()
        await until_so_many_wait(one.storage, 1)
        one.outbound.may_answer.set()
        assert said(await first) == ["called 1"]
        assert said(await waiting) == ["2"]


async def test_an_event_during_a_call_is_dropped_where_the_bot_says_so(postgres_url: str) -> None:
    async with two(postgres_url, delay=LONG_S) as (one, other):
        calling = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        dropped = await other.send()
        assert json.loads(dropped.body) == {"said": [], "dropped": True}
        one.outbound.may_answer.set()
        assert said(await calling) == ["called 1"]
        assert said(await other.send()) == ["2"]


async def test_a_repeat_in_another_process_waits_and_gets_the_same_bytes(
    postgres_url: str,
) -> None:
    repeat = Repeat("client anna", "k", "print", strict=True)
    async with two(postgres_url, delay=LONG_S) as (one, other):
        first = asyncio.create_task(one.send(step="call", repeat=repeat))
        await one.outbound.called.wait()
        second = asyncio.create_task(other.send(step="call", repeat=repeat))
        await asyncio.sleep(0.05)
        one.outbound.may_answer.set()
        assert (await first).body == (await second).body
        assert (await second).turn is None
        assert other.outbound.calls == 0
        with pytest.raises(KeyReused):
            await other.send(repeat=replace(repeat, fingerprint="other"))
        loose = replace(repeat, fingerprint="other", strict=False)
        assert said(await other.send(repeat=loose)) == ["2"]


async def test_a_repeat_of_a_turn_that_computes_runs_once(postgres_url: str) -> None:
    repeat = Repeat("client anna", "k", "print", strict=False)
    async with two(postgres_url) as (one, other):
        answers = await asyncio.gather(*[p.send(repeat=repeat) for p in (one, other, one, other)])
        assert {answer.body for answer in answers} == {answers[0].body}
        assert sum(answer.turn is not None for answer in answers) == 1


async def test_waiting_for_another_process_has_an_end(postgres_url: str) -> None:
    async with two(postgres_url, wait_s=0.1) as (one, other):
        calling = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        with pytest.raises(ConversationBusy, match="another process"):
            await other.send()
        one.outbound.may_answer.set()
        await calling


async def test_what_cannot_be_encoded_frees_the_client(postgres_url: str) -> None:
    async with two(postgres_url) as (one, other):

        def fails(turn: Turn) -> bytes:
            raise ZeroDivisionError

        async def prepare() -> Ask:
            event = Event("text", {"text": "hi"}, "hi")
            return Ask(one.bot, ANNA, event, "r", datetime.now(UTC))

        with pytest.raises(ZeroDivisionError):
            await one.engine.handle(ANNA, prepare, fails)
        assert said(await other.send()) == ["1"]


async def test_a_call_whose_lease_cannot_be_taken_is_not_made(postgres_url: str) -> None:
    async with two(postgres_url) as (one, other):

        async def lease() -> None:
            raise Unavailable("no database")

        begin = one.storage.begin_turn

        async def begin_turn(*args: object, **options: object) -> object:
            turn = await begin(*args, **options)  # type: ignore[arg-type]
            turn.lease = lease  # type: ignore[method-assign,union-attr]
            return turn

        one.storage.begin_turn = begin_turn  # type: ignore[assignment,method-assign]
        with pytest.raises(Unavailable):
            await one.send(step="call")
        assert one.outbound.calls == 0
        assert said(await other.send()) == ["1"]


async def test_a_change_from_elsewhere_waits_for_turns_everywhere(postgres_url: str) -> None:
    async with two(postgres_url) as (one, other):
        calling = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        read = []

        async def change() -> None:
            async with other.engine.exclusively(ANNA):
                read.append(await other.storage.find_memory(ANNA, "n", datetime.now(UTC)))
                await other.storage.save_memory(
                    ANNA, "n", 41, now=datetime.now(UTC), expires_at=None
                )
                await asyncio.sleep(0.05)

        changing = asyncio.create_task(change())
        await asyncio.sleep(0.05)
        assert not read
        one.outbound.may_answer.set()
        assert said(await calling) == ["called 1"]
        while not read:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        assert said(await one.send()) == ["42"]
        await changing


@pytest.mark.parametrize("jump", ["1 hour", "-1 hour"])
async def test_a_dead_process_lets_go_whatever_the_databases_clock_does(
    postgres_url: str, jump: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (guard, shared_turn):
        monkeypatch.setattr(module, "LEASE_US", 300_000)
    monkeypatch.setattr(shared_turn, "RENEW_S", LONG_S)  # as the dead do
    async with two(postgres_url) as (one, other):
        calling = asyncio.create_task(one.send(step="call"))
        await one.outbound.called.wait()
        # To what is stored, a clock that is set back is the same as a later time in all of it.
        seconds = 3600 if jump == "-1 hour" else -3600
        with psycopg.connect(postgres_url) as connection:
            connection.execute(
                "UPDATE client SET lease_began = lease_began + %(us)s, "
                "lease_until = lease_until + %(us)s",
                {"us": seconds * 1_000_000},
            )
        assert said(await other.send()) == ["1"]
        one.outbound.may_answer.set()
        with pytest.raises(Conflict):
            await calling
        assert said(await other.send()) == ["2"]
