"""What is SQLite's own: the group commit, the file and its lock, the schema, full disks."""

from __future__ import annotations

import asyncio
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

import palaver.storage.sql as package
from palaver.errors import NotADatabase, SchemaOutdated, StorageError, Unavailable
from palaver.model import Client, Flow
from palaver.storage.protocol import ClientState
from palaver.storage.sql import checkpoints, writer
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.sql.rows import json_from_bot, us_from_time
from palaver.storage.sql.sqlite import APPLICATION_ID, SqliteDriver
from palaver.storage.sql.store import SqlStore
from palaver.storage.sql.writer import Job
from tests.conformance.storage.makers import (
    ANNA,
    BERT,
    NOW,
    person,
    remember,
    said,
    texts,
    version,
    write,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "palaver.db"


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqlStore]:
    store = SqlStore(SqliteDriver(str(path)))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def driver_of(store: SqlStore) -> SqliteDriver:
    assert isinstance(store._driver, SqliteDriver)
    return store._driver


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def size_of(path: str) -> int:
    return os.stat(path).st_size


def user(number: int) -> Client:
    return Client("pizza", "web", f"user {number}")


# --- the group commit ----------------------------------------------------------------------------


async def test_concurrent_turns_share_their_commits(path: Path) -> None:
    async with opened(path) as store:
        runner = driver_of(store).runner
        assert runner is not None
        statements: list[str] = []
        runner.connection.set_trace_callback(statements.append)
        await asyncio.gather(*[write(store, user(n), messages=said("hi")) for n in range(100)])
        runner.connection.set_trace_callback(None)
        assert (runner.units, runner.commits) == (100, statements.count("COMMIT"))
        assert runner.commits < 20


async def test_a_bad_unit_of_a_group_is_found_and_the_others_are_committed(path: Path) -> None:
    async with opened(path) as store:
        await store.save_person(person())
        calls = [
            write(store, user(n), remembered={"n": "1"}, persons=() if n % 7 else (person(str(n)),))
            for n in range(50)
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
        failed = [n for n, result in enumerate(results) if result is not None]
        assert failed == list(range(0, 50, 7))
        assert all(type(results[n]) is StorageError for n in failed)
        for n in range(50):
            state = await store.load_client(user(n), NOW)
            assert state.memories == ({"n": "1"} if n % 7 else {})


async def test_units_behind_a_group_that_fails_are_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LARGEST_GROUP", 1)
    async with opened(path) as store:
        bad = write(store, Client("pizza", "web", "\ud800"), hold={})
        async with asyncio.timeout(60):
            results = await asyncio.gather(bad, write(store, hold={"n": 1}), return_exceptions=True)
        assert [type(result) for result in results] == [StorageError, type(None)]
        assert (await store.load_client(ANNA, NOW)).hold == {"n": 1}


async def test_close_finishes_what_was_submitted(path: Path) -> None:
    async with opened(path) as store:
        calls = [asyncio.create_task(write(store, user(n), hold={"n": n})) for n in range(50)]
        await asyncio.sleep(0)
        await asyncio.gather(store.close(), store.close())
        await asyncio.gather(*calls)
    async with opened(path) as store:
        assert [(await store.load_client(user(n), NOW)).hold for n in range(50)] == [
            {"n": n} for n in range(50)
        ]


async def test_a_cancelled_caller_does_not_disturb_the_others(path: Path) -> None:
    async with opened(path) as store:
        calls = [asyncio.create_task(write(store, user(n), hold={"n": n})) for n in range(10)]
        await asyncio.sleep(0)
        calls[3].cancel()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(r) for r in results if r is not None] == [asyncio.CancelledError]
        assert (await store.load_client(user(9), NOW)).hold == {"n": 9}


async def test_a_value_no_column_can_hold_fails_alone(path: Path) -> None:
    async with opened(path) as store:
        bad = write(store, Client("pizza", "web", "\ud800"), hold={})
        results = await asyncio.gather(write(store, hold={}), bad, return_exceptions=True)
        assert results[0] is None
        assert isinstance(results[1], StorageError)
        with pytest.raises(StorageError):
            await store.find_person("pizza", "web", "\ud800")


# --- durability ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("durability", "level"), [("full", 2), ("normal", 1)])
async def test_commits_are_synced_as_the_url_says(path: Path, durability: str, level: int) -> None:
    driver = SqliteDriver(str(path), durability=durability)  # type: ignore[arg-type]
    await driver.open()
    try:
        assert driver.runner is not None
        execute = driver.runner.connection.execute
        assert execute("PRAGMA synchronous").fetchone() == (level,)
        assert execute("PRAGMA journal_mode").fetchone() == ("wal",)
    finally:
        await driver.close()


LOAD = """
import asyncio, sys
from palaver.storage.sql.sqlite import SqliteDriver
from palaver.storage.sql.store import SqlStore
from tests.conformance.storage.makers import *

async def main():
    store = SqlStore(SqliteDriver(sys.argv[1]))
    await store.open()
    async def talk(name):
        client, number = Client("pizza", "web", name), 0
        while True:
            number += 1
            await write(store, client, hold={"n": number}, remembered={"n": str(number)},
                        messages=said(str(number), "yes"))
            print(name, number, flush=True)
    await asyncio.gather(*[talk(f"user {i}") for i in range(8)])

asyncio.run(main())
"""


def loaded(path: Path) -> subprocess.Popen[str]:
    """A process that stores turns without end, and prints each that was acknowledged."""
    return subprocess.Popen(
        [sys.executable, "-c", LOAD, str(path)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("lines", [1, 60, 700])
async def test_a_killed_process_keeps_every_acknowledged_turn(path: Path, lines: int) -> None:
    with loaded(path) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        printed += [line for line in process.stdout if line.endswith("\n")]
    last = dict(line.strip().rsplit(" ", 1) for line in printed)
    async with opened(path) as store:
        for name, acknowledged in last.items():
            client = Client("pizza", "web", name)
            state = await store.load_client(client, NOW)
            assert state.hold is not None
            number = state.hold["n"]
            assert isinstance(number, int)
            assert number >= int(acknowledged)
            assert state.memories == {"n": str(number)}
            page = await store.list_messages(
                client, limit=9999, after=None, since=None, until=None, now=NOW
            )
            expected = [text for n in range(number, 0, -1) for text in ("yes", str(n))]
            assert texts(page.items) == expected


async def test_a_full_disk_is_unavailable_leaves_nothing_half_and_recovers(path: Path) -> None:
    async with opened(path) as store:
        await remember(store, {"a": "1"})
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        room = size_of(f"{path}-wal") + 20_000
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            big = [write(store, user(n), remembered={"a": '"%s"' % ("x" * 9000)}) for n in range(9)]
            results = await asyncio.gather(*big, return_exceptions=True)
            state = await store.load_client(ANNA, NOW)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert state.memories == {"a": "1"}
        assert {type(result) for result in results} >= {Unavailable}
        for n, result in enumerate(results):
            stored = (await store.load_client(user(n), NOW)) != ClientState()
            assert stored == (result is None)
        await remember(store, {"a": "2"})
        assert (await store.load_client(ANNA, NOW)).memories == {"a": "2"}


async def test_a_database_at_its_largest_says_that_the_disk_is_full(path: Path) -> None:
    async with opened(path) as store:
        runner = driver_of(store).runner
        assert runner is not None
        pages = runner.connection.execute("PRAGMA page_count").fetchone()[0]
        runner.connection.execute(f"PRAGMA max_page_count = {pages}")
        big = {"a": '"%s"' % ("x" * 99_000)}
        results = await asyncio.gather(
            remember(store, big), write(store, BERT, remembered=big), return_exceptions=True
        )
        assert [type(result) for result in results] == [Unavailable, Unavailable]
        assert "is full; nothing was stored" in str(results[0])
        runner.connection.execute("PRAGMA max_page_count = 1000000")
        await remember(store, big)
        assert (await store.load_client(ANNA, NOW)).memories == big


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"not a database, " * 99, b"x", b"SQLite format 3\0" * 300])
async def test_a_file_that_is_not_a_database_is_refused_and_kept(
    path: Path, content: bytes
) -> None:
    put(path, content)
    with pytest.raises(NotADatabase, match=r"palaver\.db is not an SQLite database"):
        async with opened(path):
            pass
    assert content_of(path) == content


async def test_another_programs_database_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE client (id INTEGER)")
    with pytest.raises(NotADatabase, match="of another program"):
        async with opened(path):
            pass


async def test_a_folder_that_does_not_exist_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file or directory"):
        async with opened(tmp_path / "nowhere" / "palaver.db"):
            pass


async def test_a_folder_in_place_of_the_file_is_unavailable(path: Path) -> None:
    os.mkdir(path)
    with pytest.raises(Unavailable, match="cannot be opened"):
        async with opened(path):
            pass


async def test_a_second_process_is_refused_until_the_first_ends(path: Path) -> None:
    message = "palaver.db is already in use by another palaver process .*use PostgreSQL for several"
    with loaded(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(Unavailable, match=message):
            async with opened(path):
                pass
        process.kill()
    async with opened(path) as store:
        await store.check()
        with pytest.raises(Unavailable, match=message):
            async with opened(path):
                pass


async def test_a_closed_database_is_one_file_and_opens_again(path: Path) -> None:
    for _ in range(2):
        async with opened(path) as store:
            await store.open()
            await remember(store, {"a": "1"})
        assert {file.name for file in path.parent.iterdir()} == {"palaver.db", "palaver.db-lock"}


# --- the schema ----------------------------------------------------------------------------------


async def test_a_newer_schema_is_refused(path: Path) -> None:
    newer = len(load_migrations("sqlite")) + 1
    async with opened(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(SchemaOutdated, match=f"has schema {newer}, .* upgrade this one"):
        async with opened(path):
            pass


async def test_check_notices_a_schema_that_changed_meanwhile(path: Path) -> None:
    async with opened(path) as store:
        await store.check()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA user_version = 99")
        with pytest.raises(SchemaOutdated, match="restart"):
            await store.check()


async def test_an_unchanged_bot_pushed_again_costs_a_row(path: Path) -> None:
    rows = "SELECT count(*), count(DISTINCT content) FROM version"
    flow = Flow("f", "order", "say 'x'\n" * 110_000, ())  # a megabyte
    async with opened(path) as store:
        await store.save_version(version("first", flows=(flow,)))
        before = await store._driver.read("PRAGMA page_count", ())
        for number in range(100):
            await store.save_version(version(f"v{number}", flows=(flow,)))
        after = await store._driver.read("PRAGMA page_count", ())
        assert after[0][0] - before[0][0] < 16  # pages of 4 KiB
        assert await store._driver.read(rows, ()) == [(101, 1)]
        await store.save_version(version("v0", flows=()))
        for number in range(1, 100):
            await store.delete_versions("pizza", f"v{number}")
        assert await store._driver.read("SELECT count(*) FROM content", ()) == [(2,)]
        await store.delete_versions("pizza", "first")
        assert await store._driver.read("SELECT count(*) FROM content", ()) == [(1,)]
        await store.delete_bot("pizza")
        assert await store._driver.read("SELECT count(*) FROM content", ()) == [(0,)]


async def test_builds_from_before_contents_are_moved_by_their_migration(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old:
        for migration in load_migrations("sqlite")[:2]:
            old.executescript(migration.script)
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 2")
        body = json_from_bot(version("v1").bot)
        env = b'{"token":"secret","rates":[1,2.5,null]}'
        for name in ("v1", "v2"):
            row = ("pizza", name, "1.11.2", us_from_time(NOW), body, env)
            columns = "bot_id, version_id, engine_version, created_at, bot, env"
            old.execute(f"INSERT INTO version ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
        old.commit()
    async with opened(path) as store:
        for name in ("v1", "v2"):
            assert await store.find_version("pizza", name) == version(name)
        assert (await store.list_versions("pizza", limit=1, after=None)).items == (version("v2"),)
        await store.save_version(version("v3"))
        assert await store._driver.read("SELECT count(*) FROM content", ()) == [(1,)]


async def test_the_schema_is_what_the_migrations_lead_to(path: Path) -> None:
    def schema(connection: sqlite3.Connection) -> set[tuple[str, str]]:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        return {(name, " ".join(sql.split())) for name, sql in rows}

    async with opened(path):
        pass
    script = content_of(Path(package.__path__[0], "schema.sqlite.sql")).decode()
    with closing(sqlite3.connect(path)) as real, closing(sqlite3.connect(":memory:")) as written:
        written.executescript(script)
        assert schema(real) == schema(written)
        assert real.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)


# --- the write-ahead log -------------------------------------------------------------------------


async def test_the_log_begins_anew_while_turns_go_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    for changes in (10**9, 50):
        monkeypatch.setattr(checkpoints, "CHANGES", changes)
        async with opened(path) as store:
            writer = driver_of(store).writer
            assert writer is not None
            for n in range(40):
                await asyncio.gather(*[write(store, user(i), hold={"n": n}) for i in range(20)])
                await writer._checkpoints.stop()  # returns when nothing is copied
            sizes.append(size_of(f"{path}-wal"))
    without, with_copies = sizes
    assert with_copies < without / 4, "the log has grown to its size and is used again"


async def test_a_checkpoint_that_fails_loses_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(checkpoints, "CHANGES", 10)
    async with opened(path) as store:
        writer = driver_of(store).writer
        assert writer is not None
        writer._checkpoints._connection.close()
        for n in range(60):
            await write(store, user(n), hold={"n": n})
    assert "write-ahead log could not be copied" in caplog.text
    async with opened(path) as store:
        assert [(await store.load_client(user(n), NOW)).hold for n in range(60)] == [
            {"n": n} for n in range(60)
        ]


async def test_a_command_that_writes_keeps_turns_waiting_and_not_the_loop(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_MS", 600_000)
    async with opened(path) as store:
        with closing(sqlite3.connect(path, isolation_level=None)) as command:
            command.execute("BEGIN IMMEDIATE")
            turn = asyncio.create_task(write(store, ANNA, hold={"n": 1}))
            for _ in range(20):
                await asyncio.sleep(0.001)
            assert not turn.done()
            command.execute("COMMIT")
        await turn
        assert (await store.load_client(ANNA, NOW)).hold == {"n": 1}


async def test_reads_neither_wait_for_a_commit_nor_see_what_is_not_on_disk(path: Path) -> None:
    async with opened(path) as store:
        driver = driver_of(store)
        assert driver.writer is not None
        assert driver.runner is not None
        commit, disk = driver.runner.commit, threading.Event()

        def slow(jobs: Sequence[Job]) -> None:
            assert disk.wait(60)
            commit(jobs)

        driver.runner.commit = slow  # type: ignore[method-assign]
        turn = asyncio.create_task(write(store, ANNA, hold={"n": 1}))
        await asyncio.sleep(0)  # the unit is submitted,
        await asyncio.sleep(0)  # and its group on its way
        assert driver.writer.is_busy
        assert (await store.load_client(ANNA, NOW)).hold is None
        later = asyncio.create_task(write(store, BERT, hold={"n": 2}))
        await asyncio.sleep(0)
        disk.set()
        await asyncio.gather(turn, later)
        assert (await store.load_client(ANNA, NOW)).hold == {"n": 1}
        assert (await store.load_client(BERT, NOW)).hold == {"n": 2}
