"""What a turn costs on PostgreSQL: `uv run python benchmarks/postgres.py [--clients 1000000]`.

Starts a server of its own with full durability and with pg_stat_statements, so it needs Debian's
PostgreSQL (`--programs /usr/lib/postgresql/15/bin`). Fills the database with clients who said
something ten times, then takes turns of clients chosen at random as the engine does: four
messages, a conversation, a hold, a memory, and an answer kept for repeats.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.storage import client_of, turn_of
from palaver.storage.protocol import Leased, Storage
from palaver.storage.sql.rows import client_key
from palaver.storage.urls import open_storage
from tests.postgres import PostgresServer

SETTINGS = (
    "fsync=on",
    "full_page_writes=on",
    "shared_buffers=512MB",
    "max_wal_size=8GB",
    "shared_preload_libraries=pg_stat_statements",
    "pg_stat_statements.track_utility=on",
)

FILL = """
INSERT INTO client (client, bot_id, channel_id, user_id, conversation_id, hold, held_at)
  SELECT client, 'bench', 'web', 'user ' || n, 'c', convert_to('"' || repeat('a', 88) || '"', 'UTF8'), 0 FROM k;
INSERT INTO conversation
  SELECT client, 'c', 'order', 'start', 'OPEN', 0, 0, 0, NULL FROM k;
INSERT INTO memory SELECT client, 'drink', '"tea"', 0, NULL FROM k;
INSERT INTO turn
  SELECT client, t, 0, 0, decode(repeat('61', 480), 'hex'), NULL FROM k, generate_series(1, 10) t;
"""


async def take(storage: Storage, numbers: Sequence[int], *, with_answer: bool) -> None:
    for number in numbers:
        client = client_of(number)
        repeat = (f"client {number}", str(random.random())) if with_answer else None
        opened = await storage.begin_turn(client, datetime.now(UTC), repeat=repeat)
        assert not isinstance(opened, Leased)
        await opened.load(client, datetime.now(UTC))
        await opened.commit(turn_of(client, with_answer=with_answer))


async def measured(url: str, clients: int, turns: int, together: int, with_answer: bool) -> float:
    storage = open_storage(f"{url}&pool_size={together}")
    await storage.open()
    chosen = [random.randrange(clients) for _ in range(turns)]
    parts = [chosen[n::together] for n in range(together)]
    began = time.perf_counter()
    await asyncio.gather(*[take(storage, part, with_answer=with_answer) for part in parts])
    seconds = time.perf_counter() - began
    await storage.close()
    return seconds


def one(connection: psycopg.Connection[Any], sql: str) -> Any:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def run(url: str, clients: int, turns: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        connection.execute("CREATE TEMPORARY TABLE k (client bytea, n int)")
        with connection.cursor().copy("COPY k FROM STDIN") as copy:
            for number in range(clients):
                copy.write_row((client_key(client_of(number)), number))
        connection.execute(FILL.encode())
        connection.execute("VACUUM ANALYZE")
        size = one(connection, "SELECT pg_database_size(current_database())")
        print(f"{clients:,} clients, {size / clients / 1024:.1f} KiB each with ten turns")
        asyncio.run(measured(url, clients, turns, 16, True))  # warms the caches
        connection.execute("CHECKPOINT")
        print("answer  together  turns/s  µs/turn   WAL bytes  statements  server µs")
        for with_answer in (False, True):
            for together in (1, 8, 16):
                connection.execute("SELECT pg_stat_statements_reset()")
                before = one(connection, "SELECT pg_current_wal_insert_lsn()")
                seconds = asyncio.run(measured(url, clients, turns, together, with_answer))
                wal = one(connection, f"SELECT pg_current_wal_insert_lsn() - '{before}'::pg_lsn")
                rows = connection.execute(
                    "SELECT sum(calls)::float, sum(total_exec_time + total_plan_time)::float "
                    "FROM pg_stat_statements WHERE query !~ 'pg_|palaver_schema'"
                ).fetchone()
                assert rows is not None
                print(
                    f"{'yes' if with_answer else 'no':6}  {together:8}  {turns / seconds:7.0f}"
                    f"  {seconds / turns * 1e6 * together:7.0f}  {float(wal) / turns:10.0f}"
                    f"  {rows[0] / turns:10.1f}  {rows[1] * 1000 / turns:9.0f}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=10_000)
    parser.add_argument("--turns", type=int, default=4000)
    parser.add_argument("--programs", type=Path, default=Path("/usr/lib/postgresql/15/bin"))
    options = parser.parse_args()
    server = PostgresServer(options.programs, SETTINGS)
    try:
        server.start()
        url = server.create_database()
        server.upgrade(url)
        run(url, options.clients, options.turns)
    finally:
        server.remove()


if __name__ == "__main__":
    main()
