"""Microseconds of a turn's storage: `uv run python benchmarks/storage.py [--clients 1000000]`.

One read and one write a turn as the engine makes them: four messages, a conversation, a hold, a
memory, and once more with an answer kept for repeats. `read` and `plan` are what reading and
building the statements take, `writer` is processor time of running and committing them, `wall` what
passed meanwhile, the disk's sync included. Turns are of clients chosen at random.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from palaver.model import Client, Conversation, Direction, Message, Status
from palaver.storage.protocol import ClientWrite, StoredAnswer, TurnWrite
from palaver.storage.sql.driver import Statement
from palaver.storage.sql.sqlite import SqliteDriver
from palaver.storage.sql.store import SqlStore
from palaver.storage.sql.writer import Job, UnitRunner
from palaver.types import JsonObject

TURNS = 3200
HOLD: JsonObject = {
    "index": 3,
    "step_vars": {"choices": ["tea", "coffee", "water"]},
    "hash": "abcdef0123456789",
}
CONVERSATION = "0b2d0a9e-6a1f-4a57-9b9f-2ab1f5a7e2a1"
TEXTS = ("tea", "Hello! What would you like?", "Pick one", "We have:")


class Recorder(SqliteDriver):
    """Keeps the units it is asked to write."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.recorded: list[Sequence[Statement]] = []

    async def write(self, unit: Sequence[Statement], *, is_long: bool = False) -> int:
        self.recorded.append(unit)
        return 0


def turn_of(client: Client, *, with_answer: bool = False) -> TurnWrite:
    now = datetime.now(UTC)
    messages = tuple(
        Message(
            CONVERSATION,
            "order",
            "start",
            Direction.SEND if order else Direction.RECEIVE,
            {"content_type": "text", "content": {"text": text}},
            1,
            order,
            now,
        )
        for order, text in enumerate(TEXTS)
    )
    write = ClientWrite(
        client,
        now,
        conversations=(Conversation(CONVERSATION, "order", "start", Status.OPEN, now, now, now),),
        hold=HOLD,
        remembered={"drink": '"tea"'},
        messages=messages,
    )
    answer = None
    if with_answer:
        answer = StoredAnswer(client.user_id, str(random.random()), "f" * 32, b"x" * 900, now)
    return TurnWrite((write,), answer)


def client_of(number: int) -> Client:
    return Client("bench", "web", f"user {number}")


async def fill(store: SqlStore, clients: int) -> None:
    for start in range(0, clients, 2000):
        turns = [turn_of(client_of(n)) for n in range(start, min(clients, start + 2000))]
        await store.commit_turn(TurnWrite(tuple(turn.clients[0] for turn in turns)))


async def read_us(store: SqlStore, clients: Sequence[Client]) -> float:
    now = datetime.now(UTC)
    began = time.perf_counter()
    for client in clients:
        await store.load_client(client, now)
    return (time.perf_counter() - began) / len(clients) * 1e6


async def planned(turns: Sequence[TurnWrite]) -> tuple[float, list[Sequence[Statement]]]:
    recorder = Recorder()
    store = SqlStore(recorder)
    began = time.perf_counter()
    for turn in turns:
        await store.commit_turn(turn)
    return (time.perf_counter() - began) / len(turns) * 1e6, recorder.recorded


def written_us(
    runner: UnitRunner, units: Sequence[Sequence[Statement]], group: int
) -> tuple[float, float]:
    cpu, wall = time.thread_time(), time.perf_counter()
    for start in range(0, len(units), group):
        runner.run_group([Job(unit, None) for unit in units[start : start + group]])
    cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
    return cpu / len(units) * 1e6, wall / len(units) * 1e6


async def main(clients: int, folder: str | None) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        driver = SqliteDriver(f"{place}/palaver.db")
        store = SqlStore(driver)
        await store.open()
        await fill(store, clients)
        assert driver.runner is not None
        print(f"{clients} clients\nanswer  group     read     plan   writer     wall")
        for with_answer in (False, True):
            for group in (1, 8, 32):
                chosen = [client_of(random.randrange(clients)) for _ in range(TURNS)]
                turns = [turn_of(client, with_answer=with_answer) for client in chosen]
                plan, units = await planned(turns)
                read = await read_us(store, chosen)
                cpu, wall = written_us(driver.runner, units, group)
                times = " ".join(f"{us:8.1f}" for us in (read, plan, cpu, wall))
                print(f"{'yes' if with_answer else 'no':6} {group:6} {times}")
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--folder", help="where the database is made: a disk, not a tmpfs")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.clients, arguments.folder))
