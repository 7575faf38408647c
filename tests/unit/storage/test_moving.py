"""`palaver db migrate` from the inside: what changes meanwhile, what fails when, what is left."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from msgspec import structs

from palaver.errors import NotADatabase, SchemaOutdated, StorageError, Unavailable
from palaver.model import Client, JobStatus, NewJob
from palaver.storage.copies import Move
from palaver.storage.keyring import KeyRingCipher
from palaver.storage.protocol import Storage
from palaver.storage.sql import copies, moves, moving
from palaver.storage.sql.copies import SqliteFile
from palaver.storage.sql.pgcopies import PostgresDatabase
from palaver.storage.sql.pgsession import PgSession
from palaver.storage.sql.sqlite import MOVE_SUFFIX, take_lock
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
    session,
    texts,
    version,
    write,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "palaver.db")


@pytest.fixture
async def server(path: str, anyio_backend: str) -> AsyncIterator[Storage]:
    """A storage that holds the file's lock, as a server does, with something in every table."""
    storage = open_storage(f"sqlite:///{path}?durability=normal")
    await storage.open()
    for name in ("v1", "v2"):
        await storage.save_version(version(name))
    await storage.save_folder_digest("pizza", "abc")
    await storage.save_keys("pizza", {"first": "key"})
    store: Any = storage
    await store._driver.write([("INSERT INTO sealing_key VALUES ('0a1b2c3d')", [()])])
    await storage.save_person(person())
    await storage.save_session(session("s1"))
    for text in ("one", "two\0\1", "three"):
        await write(
            storage,
            messages=said(text, "a\0nswer"),
            conversations=(conversation(),),
            remembered={f"n\0\1 {text}": json.dumps(text)},
            hold={"step": text},
            answer=answer(text),
        )
    await storage.add_job(NewJob("call", {"a": "\0\1"}, client=ANNA, key="k", run_at=NOW))
    yield storage
    await storage.close()


async def move(path: str, url: str, tell: Callable[..., None] | None = None, **more: Any) -> Move:
    return await asyncio.to_thread(moving.move, path, url, tell or (lambda *_: None), **more)


async def opened(url: str, **more: Any) -> Storage:
    storage = open_storage(url, **more)
    await storage.open()
    return storage


async def messages_of(storage: Storage, client: Client = ANNA) -> list[Any]:
    page = await storage.list_messages(
        client, limit=100, after=None, since=None, until=None, now=NOW
    )
    return texts(tuple(reversed(page.items)))


async def test_everything_is_there_afterwards_and_goes_on(
    server: Storage, path: str, new_postgres_url: str
) -> None:
    before = await messages_of(server)
    state = await server.load_client(ANNA, NOW)
    jobs = await server.list_jobs(limit=9)  # type: ignore[attr-defined]
    moved = await move(path, new_postgres_url)
    assert moved.tables == copies.contents(sqlite3.connect(path))
    assert min(content.rows for content in moved.tables.values()) > 0  # no table is left untried
    storage = await opened(new_postgres_url)
    try:
        assert await messages_of(storage) == before
        assert await storage.load_client(ANNA, NOW) == state
        assert await storage.list_jobs(limit=9) == jobs  # type: ignore[attr-defined]
        assert (await storage.latest_version("pizza")).version_id == "v2"  # type: ignore[union-attr]
        assert await storage.keys_of("pizza") == {"first": "key"}
        # Numbers go on behind those that were copied.
        await storage.save_version(version("v3"))
        assert (await storage.latest_version("pizza")).version_id == "v3"  # type: ignore[union-attr]
        await write(storage, messages=said("four"), answer=answer("four"))
        assert await messages_of(storage) == [*before, "four"]
        await storage.save_session(session("s2"))
        assert (await storage.newest_session("pizza", "s")).id == "s2"  # type: ignore[union-attr]
        await storage.add_job(NewJob("call", {}))
        assert (await storage.list_jobs(limit=9))[-1].id > jobs[-1].id  # type: ignore[attr-defined]
    finally:
        await storage.close()
    assert (await asyncio.to_thread(PostgresDatabase(new_postgres_url).check)).problems == ()


async def test_the_source_takes_no_writes_afterwards(
    server: Storage, path: str, new_postgres_url: str
) -> None:
    await move(path, new_postgres_url)
    name = new_postgres_url.partition("@/")[2].partition("?")[0]
    for attempt in (
        remember(server, {"a": "1"}),
        server.save_version(version("v3")),
        server.delete_client(ANNA),
        server.check(),
    ):
        with pytest.raises(Unavailable, match=f"was moved to {name}") as caught:
            await attempt
        assert caught.value.retryable
    await server.close()
    for is_guest in (False, True):
        with pytest.raises(Unavailable, match=name):
            await opened(f"sqlite:///{path}", is_guest=is_guest)
    assert name in SqliteFile(path).check().problems[0]
    with pytest.raises(Unavailable, match=name):
        SqliteFile(path).back_up(f"{path}.copy")


async def test_what_changes_while_rows_are_copied_is_there_too(
    server: Storage, path: str, new_postgres_url: str
) -> None:
    """Something is written after each table was copied, and after each was compared."""
    loop = asyncio.get_running_loop()
    written: list[str] = []

    async def change() -> None:
        text = f"turn {len(written)}"
        written.append(text)
        await write(server, BERT, messages=said(text), remembered={text: "1"}, hold={"h": text})
        await server.delete_memories(BERT, f"turn {len(written) - 2}")
        await server.delete_client(ANNA)
        await server.delete_versions("pizza", "v1")
        await server.save_version(version(text))
        await server.cancel_job(1)  # type: ignore[attr-defined]
        await server.add_job(NewJob("call", {"text": text}, key="k", client=BERT))  # type: ignore[attr-defined]

    def tell(what: str, table: str, rows: int) -> None:
        if what in ("copying", "comparing"):
            asyncio.run_coroutine_threadsafe(change(), loop).result(30)

    moved = await move(path, new_postgres_url, tell)
    assert len(written) > 20
    storage = await opened(new_postgres_url)
    assert await messages_of(storage, BERT) == written
    assert [m.key for m in await storage.list_memories(BERT, NOW)] == [written[-1]]
    assert await messages_of(storage) == []
    assert (await storage.latest_version("pizza")).version_id == written[-1]  # type: ignore[union-attr]
    (job,) = await storage.list_jobs(limit=99)  # type: ignore[attr-defined]
    assert job.arguments == {"text": written[0]}
    await storage.close()
    assert moved.tables == copies.contents(sqlite3.connect(path))


async def test_rounds_follow_until_little_changes(
    server: Storage, path: str, new_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_SMALL", 3)
    monkeypatch.setattr(moving, "_AT_ONCE", 2)
    loop = asyncio.get_running_loop()
    rounds = iter((5, 4, 0))

    async def change(turns: int) -> None:
        for number in range(turns):
            await write(server, Client("pizza", "web", f"u{number}"), messages=said("x"))

    def tell(what: str, table: str, rows: int) -> None:
        if (what == "following" and table == "turn") or (what, table) == ("comparing", "version"):
            asyncio.run_coroutine_threadsafe(change(next(rounds, 0)), loop).result(30)

    moved = await move(path, new_postgres_url, tell)
    assert moved.rounds == 3
    assert moved.tables["turn"].rows == 3 + 9


def break_at(monkeypatch: pytest.MonkeyPatch, place: object, name: str) -> None:
    """The next call of a function fails; those after it do not."""
    original = getattr(place, name)
    monkeypatch.setattr(place, name, failing := [original])

    def fail(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(place, name, failing[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(place, name, fail)


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (PgSession, "lock_all"),
        (PgSession, "load"),
        (PgSession, "delete"),
        (PgSession, "finish"),
        (PgSession, "set_mark"),
        (moving, "mark_moved"),
    ],
)
async def test_what_fails_leaves_the_source_as_it_was(
    server: Storage,
    path: str,
    new_postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
) -> None:
    loop = asyncio.get_running_loop()
    count = 0

    def tell(what: str, table: str, rows: int) -> None:
        nonlocal count
        if what == "comparing":
            count += 1
            asyncio.run_coroutine_threadsafe(remember(server, {f"n{count}": "1"}), loop).result(30)

    def attempt() -> None:
        with pytest.raises(KeyboardInterrupt):
            moving.move(path, new_postgres_url, tell)

    break_at(monkeypatch, place, name)
    await asyncio.to_thread(attempt)
    await write(server, messages=said("it goes on"))
    await server.check()
    assert SqliteFile(path).check().problems == ()
    with closing(sqlite3.connect(path)) as source:
        names = {name for (name,) in source.execute("SELECT name FROM sqlite_master")}
        assert not any(name.startswith("palaver_") for name in names)
    storage = open_storage(new_postgres_url)
    if name == "mark_moved":  # the target was committed, with its mark
        with pytest.raises(SchemaOutdated, match="has not ended"):
            await storage.open()
        with pytest.raises(SchemaOutdated, match="has not ended"):
            await storage.upgrade()
        assert (
            "not ended"
            in (await asyncio.to_thread(PostgresDatabase(new_postgres_url).check)).problems[0]
        )
    else:
        await storage.open()
        assert await storage.bot_ids() == ()
        await storage.close()
    await move(path, new_postgres_url)
    await storage.open()
    assert (await messages_of(storage))[-1] == "it goes on"
    await storage.close()


async def test_a_move_whose_last_step_is_missing_is_ended_by_the_next_run(
    server: Storage, path: str, new_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def attempt() -> None:
        with pytest.raises(KeyboardInterrupt):
            moving.move(path, new_postgres_url)

    break_at(monkeypatch, PgSession, "drop_mark")
    await asyncio.to_thread(attempt)
    with pytest.raises(Unavailable, match="was moved"):
        await remember(server, {"a": "1"})
    moved = await move(path, new_postgres_url)
    assert moved.tables == copies.contents(sqlite3.connect(path))
    storage = await opened(new_postgres_url)
    assert len(await messages_of(storage)) == 6
    await storage.close()


async def test_what_another_move_left_is_not_dropped_unasked(
    server: Storage, path: str, tmp_path: Path, new_postgres_url: str, monkeypatch: Any
) -> None:
    def attempt() -> None:
        with pytest.raises(KeyboardInterrupt):
            moving.move(path, new_postgres_url)

    break_at(monkeypatch, PgSession, "drop_mark")
    await asyncio.to_thread(attempt)
    other = str(tmp_path / "other.db")
    await (await opened(f"sqlite:///{other}")).close()
    with pytest.raises(StorageError, match=r"a move of .*palaver\.db into .* has not ended"):
        await move(other, new_postgres_url)
    assert (await move(other, new_postgres_url, again=True)).tables["turn"].rows == 0


async def test_moving_once_more_must_be_asked_for(
    server: Storage, path: str, postgres_server: Any, new_postgres_url: str
) -> None:
    await move(path, new_postgres_url)
    other = postgres_server.create_database()
    with pytest.raises(Unavailable, match="was moved to"):
        await move(path, other)
    moved = await move(path, other, again=True)
    assert moved.tables["turn"].rows == 3
    with closing(sqlite3.connect(path)) as source:
        assert moves.moved_to(source).target == moved.target  # type: ignore[union-attr]
    postgres_server.drop_database(other)


async def test_a_copy_that_differs_is_an_error(
    server: Storage, path: str, new_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = PgSession.load

    def load(self: PgSession, table: Any, records: Any) -> None:
        """One byte of one memory's text is another."""
        if table.name == "memory":
            records = [record.replace(b"three", b"thref") for record in records]
        original(self, table, records)

    monkeypatch.setattr(PgSession, "load", load)
    with pytest.raises(StorageError, match="table memory differs"):
        await move(path, new_postgres_url)
    monkeypatch.undo()
    await remember(server, {"a": "1"})
    assert (await move(path, new_postgres_url)).tables["memory"].rows == 4


async def test_a_change_that_differs_is_an_error(
    server: Storage, path: str, new_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are not deleted before they are replaced: what a mistake of ours would look like."""
    loop = asyncio.get_running_loop()

    def tell(what: str, table: str, rows: int) -> None:
        if (what, table) == ("comparing", "version"):
            asyncio.run_coroutine_threadsafe(server.delete_client(ANNA), loop).result(30)

    monkeypatch.setattr(PgSession, "delete", lambda *_: None)
    with pytest.raises(StorageError, match="differs"):
        await move(path, new_postgres_url, tell)
    monkeypatch.undo()
    await write(server, messages=said("it goes on"))


async def test_a_target_with_rows_is_refused(
    server: Storage, path: str, new_postgres_url: str, postgres_server: Any
) -> None:
    await asyncio.to_thread(postgres_server.upgrade, new_postgres_url)
    with psycopg.connect(new_postgres_url) as connection:
        connection.execute("INSERT INTO folder VALUES ('a', 'b')")
    with pytest.raises(StorageError, match="has rows"):
        await move(path, new_postgres_url)
    await remember(server, {"a": "1"})
    with psycopg.connect(new_postgres_url) as connection:
        assert connection.execute("SELECT * FROM folder").fetchall() == [("a", "b")]


async def test_a_target_that_is_served_is_refused(
    server: Storage, path: str, new_postgres_url: str, postgres_server: Any
) -> None:
    await asyncio.to_thread(postgres_server.upgrade, new_postgres_url)
    other = await opened(new_postgres_url)
    with pytest.raises(Unavailable, match="in use by 1 connections"):
        await move(path, new_postgres_url)
    await other.close()
    with psycopg.connect(new_postgres_url) as connection:
        connection.execute("INSERT INTO procrastinate_workers DEFAULT VALUES")
    with pytest.raises(Unavailable, match="1 workers"):
        await move(path, new_postgres_url)


async def test_one_move_at_a_time(server: Storage, path: str, new_postgres_url: str) -> None:
    with (
        take_lock(f"{path}{MOVE_SUFFIX}"),
        pytest.raises(Unavailable, match="is being moved by another process"),
    ):
        await move(path, new_postgres_url)


async def test_other_files_and_older_schemas_are_refused(
    server: Storage, path: str, tmp_path: Path, new_postgres_url: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE a (b)")
    with pytest.raises(NotADatabase):
        await move(str(tmp_path / "other.db"), new_postgres_url)
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)  # it is untouched
    await server.close()
    with closing(sqlite3.connect(path)) as source:
        source.execute("PRAGMA user_version = 1")
    with pytest.raises(SchemaOutdated, match="schema 1"):
        await move(path, new_postgres_url)


async def test_a_target_that_cannot_be_reached(server: Storage, path: str) -> None:
    with pytest.raises(Unavailable, match="nothing at /nowhere cannot be reached"):
        await move(path, "postgresql://me:secret@/nothing?host=/nowhere")
    await remember(server, {"a": "1"})


async def test_a_server_that_starts_drops_what_a_killed_move_left(
    server: Storage, path: str
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as source:
        tables = moving.tables_of(source)
        log = moves.Log(path, tables, {table.name: table.key for table in tables})
        log.begin(source)
        await remember(server, {"a": "1"})
        assert log.end(source) > 0
        assert SqliteFile(path).check().problems == ()
        with take_lock(f"{path}{MOVE_SUFFIX}"):  # a move is under way: its log is needed
            await server.close()
            await (again := open_storage(f"sqlite:///{path}")).open()
            await again.close()
            assert moves.has_log(source)
        await (again := open_storage(f"sqlite:///{path}")).open()
        assert not moves.has_log(source)
        await again.close()


async def test_a_backup_taken_during_a_move_has_no_part_in_it(server: Storage, path: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as source:
        tables = moving.tables_of(source)
        moves.Log(path, tables, {table.name: table.key for table in tables}).begin(source)
    SqliteFile(path).back_up(f"{path}.copy")
    with closing(sqlite3.connect(f"{path}.copy")) as copy:
        assert not moves.has_log(copy)


async def test_a_log_that_is_tampered_with_is_noticed(
    server: Storage, path: str, new_postgres_url: str
) -> None:
    def tell(what: str, table: str, rows: int) -> None:
        if (what, table) == ("comparing", "version"):
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("DROP TRIGGER palaver_move_turn_insert")

    with pytest.raises(StorageError, match="changed by something else"):
        await move(path, new_postgres_url, tell)


async def test_jobs_that_run_are_run_again_and_dead_ones_stay_dead(
    server: Any, path: str, new_postgres_url: str
) -> None:
    for number in range(2):
        await server.add_job(NewJob("more", {"n": number}, max_attempts=3))
    first = await server.take_job(b"me", NOW, NOW + HOUR)
    await server.bury_job(first.id, b"me", "no\0 way")
    running = await server.take_job(b"me", NOW, NOW + HOUR)
    await move(path, new_postgres_url)
    storage: Any = await opened(new_postgres_url)
    found = {job.id: job for job in await storage.list_jobs(limit=9)}
    assert found[first.id].status is JobStatus.DEAD
    assert (found[first.id].error, found[first.id].attempts) == ("no\0 way", 1)
    assert found[running.id] == structs.replace(running, status=JobStatus.WAITING)
    await storage.close()


async def test_sealed_rows_move_as_they_are(
    path: str, new_postgres_url: str, tmp_path: Path
) -> None:
    cipher = KeyRingCipher(["a long secret"])
    storage = await opened(f"sqlite:///{path}", cipher=cipher)
    await write(storage, messages=said("secret"), remembered={"a": '"b"'})
    await storage.close()
    await move(path, new_postgres_url)
    storage = await opened(new_postgres_url, cipher=cipher)
    assert await messages_of(storage) == ["secret"]
    assert dict((await storage.load_client(ANNA, NOW)).memories) == {"a": '"b"'}
    await storage.close()
    storage = await opened(new_postgres_url)
    with pytest.raises(StorageError, match="PALAVER_SECRET_KEY"):
        await messages_of(storage)
    await storage.close()


async def test_a_target_that_goes_away_leaves_the_source_alone(
    server: Storage, path: str, new_postgres_url: str
) -> None:
    def tell(what: str, table: str, rows: int) -> None:
        if (what, table) == ("comparing", "memory"):
            with psycopg.connect(new_postgres_url, autocommit=True) as other:
                other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND application_name = 'palaver db'"
                )

    with pytest.raises(Unavailable):
        await move(path, new_postgres_url, tell)
    await remember(server, {"a": "1"})
    with closing(sqlite3.connect(path)) as source:
        assert not moves.has_log(source)
    assert (await move(path, new_postgres_url)).tables["turn"].rows == 3
