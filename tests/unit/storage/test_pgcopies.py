"""Backups of PostgreSQL, which are SQLite files, their return to both databases, and its health."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import palaver.storage.sql as package
from palaver.errors import ConfigError, SchemaOutdated, StorageError, Unavailable
from palaver.model import Client, JobStatus, NewJob
from palaver.storage.copies import Copy, Health
from palaver.storage.keyring import KeyRingCipher
from palaver.storage.protocol import Storage
from palaver.storage.sql import copies, pgcopies
from palaver.storage.sql.copies import SqliteFile
from palaver.storage.sql.layout import tables_of
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.sql.pgcopies import PostgresDatabase, expected_tables
from palaver.storage.sql.pgsession import PgSession
from palaver.storage.sql.queries import parse_queries
from palaver.storage.sql.records import Digest, Mismatch, Recorder
from palaver.storage.urls import open_storage
from tests.conformance.storage.makers import (
    ANNA,
    NOW,
    answer,
    conversation,
    person,
    said,
    session,
    texts,
    version,
    write,
)
from tests.postgres import PostgresServer

pytestmark = pytest.mark.anyio

PEOPLE = [Client("pizza", "web", f"user {number}") for number in range(5)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def server(postgres_url: str, anyio_backend: str) -> AsyncIterator[Any]:
    """A server's storage on PostgreSQL, with something in every table."""
    storage: Any = await opened(postgres_url)
    await storage.save_version(version("v1"))
    await storage.save_folder_digest("pizza", "abc")
    await storage.save_keys("pizza", {"first": "key"})
    await storage._driver.write([("INSERT INTO sealing_key VALUES ('0a1b2c3d')", [()])])
    await storage.save_person(person())
    await storage.save_session(session("s1"))
    for text in ("one", "two\0\1", "three"):
        for client in PEOPLE:
            await write(
                storage,
                client,
                messages=said(f"{text} of {client.user_id}"),
                conversations=(conversation(),),
                remembered={f"n\0\1 {text}": '"x"'},
                answer=answer(text + client.user_id),
            )
    await storage.add_job(NewJob("call", {"a": "\0\1"}, client=ANNA, key="k", run_at=NOW))
    yield storage
    await storage.close()


async def opened(url: str) -> Storage:
    storage = open_storage(url)
    await storage.open()
    return storage


async def said_to(storage: Storage) -> dict[str, list[Any]]:
    found = {}
    for client in PEOPLE:
        page = await storage.list_messages(
            client, limit=100, after=None, since=None, until=None, now=NOW
        )
        found[client.user_id] = texts(tuple(reversed(page.items)))
    return found


async def back_up(url: str, path: Path | str) -> Copy:
    return await asyncio.to_thread(PostgresDatabase(url).back_up, str(path))


async def restore(path: Path | str, url: str, *, replaces: bool = False) -> Copy:
    return await asyncio.to_thread(PostgresDatabase(url).restore, str(path), replaces=replaces)


async def check(url: str) -> Health:
    return await asyncio.to_thread(PostgresDatabase(url).check)


async def test_a_backup_goes_back_to_both_databases_with_equal_digests(
    server: Any, postgres_url: str, new_postgres_url: str, tmp_path: Path
) -> None:
    talk, jobs = await said_to(server), await server.list_jobs(limit=9)
    copy = await back_up(postgres_url, tmp_path / "copy.db")
    assert min(content.rows for content in copy.tables.values()) > 0  # no table is left untried
    assert copy.bytes == (tmp_path / "copy.db").stat().st_size
    assert os.listdir(tmp_path) == ["copy.db"]
    assert SqliteFile(copy.path).check().problems == ()
    there = SqliteFile(str(tmp_path / "new.db")).restore(copy.path, replaces=False)
    assert there.tables == copy.tables
    here = await restore(copy.path, new_postgres_url)
    assert here.tables == copy.tables
    assert here.sha256 == copy.sha256
    assert (await back_up(new_postgres_url, tmp_path / "again.db")).tables == copy.tables
    for url in (f"sqlite:///{tmp_path}/new.db", new_postgres_url):
        storage: Any = await opened(url)
        assert await said_to(storage) == talk
        assert await storage.list_jobs(limit=9) == jobs
        await write(storage, PEOPLE[0], messages=said("four"))
        assert (await said_to(storage))["user 0"] == [*talk["user 0"], "four"]
        await storage.save_version(version("v2"))
        assert (await storage.latest_version("pizza")).version_id == "v2"
        await storage.add_job(NewJob("call", {}))
        assert (await storage.list_jobs(limit=9))[-1].id > jobs[-1].id
        await storage.close()


async def test_numbers_of_turns_that_two_clients_share(
    server: Any, postgres_url: str, tmp_path: Path
) -> None:
    """On PostgreSQL a turn's number is its client's own; on SQLite it is the whole table's."""
    talk = await said_to(server)
    with psycopg.connect(postgres_url) as connection:
        connection.execute("UPDATE turn SET id = id - (SELECT min(o.id) FROM turn o WHERE o.client = turn.client)")  # fmt: skip
        numbers = connection.execute("SELECT count(DISTINCT id), count(*) FROM turn").fetchone()
    assert numbers is not None
    assert numbers[0] < numbers[1]
    await back_up(postgres_url, tmp_path / "copy.db")
    storage = await opened(f"sqlite:///{tmp_path}/copy.db")
    assert await said_to(storage) == talk
    await storage.close()


async def test_ids_of_jobs_are_not_used_again(
    server: Any, postgres_url: str, new_postgres_url: str, tmp_path: Path
) -> None:
    (job,) = await server.list_jobs(limit=9)
    await server.cancel_job(job.id)
    await back_up(postgres_url, tmp_path / "copy.db")
    await restore(tmp_path / "copy.db", new_postgres_url)
    for url in (f"sqlite:///{tmp_path}/copy.db", new_postgres_url):
        storage: Any = await opened(url)
        await storage.add_job(NewJob("call", {}))
        assert (await storage.list_jobs(limit=9))[0].id == job.id + 1
        await storage.close()


async def test_jobs_that_run_wait_in_the_backup_and_periodic_ones_stay_away(
    server: Any, postgres_url: str, tmp_path: Path
) -> None:
    await server.add_job(NewJob("more", {}))
    with psycopg.connect(postgres_url) as connection:
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing' WHERE task_name = 'call'"
        )
        connection.execute("UPDATE procrastinate_jobs SET status = 'failed', attempts = 3, args = args || '{\"error\": \"no\"}' WHERE task_name = 'more'")  # fmt: skip
        connection.execute("INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES ('default', 'expire', '{\"timestamp\": 1}')")  # fmt: skip
    copy = await back_up(postgres_url, tmp_path / "copy.db")
    assert copy.tables["job"].rows == 2
    storage: Any = await opened(f"sqlite:///{tmp_path}/copy.db")
    call, more = await storage.list_jobs(limit=9)
    assert (call.task, call.status, call.key) == ("call", JobStatus.WAITING, None)
    assert (more.status, more.attempts, more.error) == (JobStatus.DEAD, 3, "no")
    await storage.close()


async def test_a_backup_is_of_one_moment(server: Any, postgres_url: str, tmp_path: Path) -> None:
    """Turns that are written while it is read are not in it, not even in part."""
    loop = asyncio.get_running_loop()
    written = 0

    async def talk() -> None:
        nonlocal written
        written += 1
        client = Client("pizza", "web", f"late {written}")
        await write(server, client, messages=said("x"), remembered={"a": "1"})

    def tell(what: str, table: str, rows: int) -> None:
        asyncio.run_coroutine_threadsafe(talk(), loop).result(30)

    database = PostgresDatabase(postgres_url, tell)
    copy = await asyncio.to_thread(database.back_up, str(tmp_path / "copy.db"))
    assert written > 5
    assert copy.tables["client"].rows == copy.tables["conversation"].rows + 1 == len(PEOPLE) + 1
    assert SqliteFile(copy.path).check().problems == ()


async def test_a_backup_that_differs_gets_no_name(
    server: Any, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Recorder.row

    def row(self: Recorder, record: bytes) -> tuple[Any, ...]:
        return original(self, record.replace(b"abc", b"abd"))  # the digest of the folder

    monkeypatch.setattr(Recorder, "row", row)
    with pytest.raises(StorageError, match="table folder differs"):
        await back_up(postgres_url, tmp_path / "copy.db")
    assert os.listdir(tmp_path) == []


async def test_a_backup_that_breaks_off_in_the_middle_of_a_table(
    server: Any, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Recorder, "row", fail)
    with pytest.raises(Unavailable, match="No space left"):
        await back_up(postgres_url, tmp_path / "copy.db")
    assert os.listdir(tmp_path) == []


async def test_restoring_replaces_only_when_asked_and_all_at_once(
    server: Any, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = await back_up(postgres_url, tmp_path / "copy.db")
    talk = await said_to(server)
    await server.delete_client(PEOPLE[0])
    with pytest.raises(Unavailable, match="in use"):
        await restore(tmp_path / "copy.db", postgres_url, replaces=True)
    await server.close()
    with pytest.raises(StorageError, match="has data"):
        await restore(tmp_path / "copy.db", postgres_url)

    def fail(*_: object) -> None:
        raise StorageError("broken off")

    with monkeypatch.context() as patch:
        patch.setattr(PgSession, "finish", fail)
        with pytest.raises(StorageError, match="broken off"):
            await restore(tmp_path / "copy.db", postgres_url, replaces=True)
    await server.open()
    assert (await said_to(server))["user 0"] == []
    await server.close()
    assert (await restore(tmp_path / "copy.db", postgres_url, replaces=True)).tables == copy.tables
    await server.open()
    assert await said_to(server) == talk


async def test_databases_of_another_schema_are_refused(
    new_postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    with pytest.raises(SchemaOutdated, match="has no schema"):
        await back_up(new_postgres_url, tmp_path / "copy.db")
    assert "db upgrade" in (await check(new_postgres_url)).problems[0]
    await asyncio.to_thread(postgres_server.upgrade, new_postgres_url)
    with psycopg.connect(new_postgres_url) as connection:
        connection.execute("UPDATE palaver_schema SET number = 99")
    with pytest.raises(SchemaOutdated, match="has schema 99"):
        await back_up(new_postgres_url, tmp_path / "copy.db")
    assert "newer" in (await check(new_postgres_url)).problems[0]
    assert os.listdir(tmp_path) == []


async def test_damaged_backups_and_taken_names_are_refused(
    server: Any, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "notes").write_text("no database, but as long as a header of one is, or longer")
    with pytest.raises(StorageError):
        await restore(tmp_path / "notes", postgres_url, replaces=True)
    with pytest.raises(StorageError, match="there already"):
        await back_up(postgres_url, tmp_path / "notes")
    with pytest.raises(ConfigError, match="not understood"):
        PostgresDatabase("postgresql://[")


async def test_check_finds_a_sound_database_sound(server: Any, postgres_url: str) -> None:
    health = await check(postgres_url)
    assert health.problems == ()
    assert health.rows["turn"] == 15
    assert health.schema == len(load_migrations("postgresql"))
    assert health.bytes > 1_000_000


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("DROP INDEX turn_expiry", "lacks turn_expiry"),
        ("DROP TRIGGER palaver_job_failed ON procrastinate_jobs", "lacks palaver_job_failed"),
        ("ALTER TABLE folder DROP COLUMN digest", "lacks folder.digest"),
        ("DELETE FROM client WHERE user_id = 'anna'", "1 rows of memory have no client"),
        ("INSERT INTO version (bot_id, version_id, engine_version, created_at, content, env)"
         " VALUES ('b', 'v', '1', 1, 'x', '{}')", "1 rows of version have no content"),
        ("SELECT setval('session_number_seq', 1, false)", "session.number goes up to 1"),
    ],
)  # fmt: skip
async def test_check_finds_what_is_wrong(
    new_postgres_url: str, postgres_server: PostgresServer, sql: str, words: str
) -> None:
    await asyncio.to_thread(postgres_server.upgrade, new_postgres_url)
    storage = await opened(new_postgres_url)
    await write(storage, remembered={"a": "1"}, sessions=(session("s1"),))
    await storage.close()
    assert (await check(new_postgres_url)).problems == ()
    with psycopg.connect(new_postgres_url) as connection:
        connection.execute(sql.encode())
    (problem,) = (await check(new_postgres_url)).problems
    assert words in problem


async def test_check_opens_what_the_keys_given_should_open(
    new_postgres_url: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    await asyncio.to_thread(postgres_server.upgrade, new_postgres_url)
    right, wrong = KeyRingCipher(["right"]), KeyRingCipher(["wrong"])
    storage = open_storage(new_postgres_url, cipher=right)
    await storage.open()
    await write(storage, messages=said("secret"), remembered={"a": "1"}, answer=answer("k"))
    await storage.close()
    path = str(tmp_path / "copy.db")
    await back_up(new_postgres_url, path)

    def problems(cipher: KeyRingCipher | None) -> list[tuple[str, ...]]:
        database = PostgresDatabase(new_postgres_url, cipher=cipher)
        return [database.check().problems, SqliteFile(path, cipher).check().problems]

    assert await asyncio.to_thread(problems, None) == [(), ()]
    assert await asyncio.to_thread(problems, right) == [(), ()]
    here, there = await asyncio.to_thread(problems, wrong)
    assert here == there
    assert [problem.split()[3] for problem in here] == ["answer", "memory", "turn"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE turn SET messages = x'7b'")
        connection.commit()
    (problem,) = SqliteFile(path, right).check().problems
    assert "1 rows of turn cannot be used, their messages" in problem


async def test_check_of_sqlite_finds_loose_ends_which_are_restored_nevertheless(
    server: Any, postgres_url: str, tmp_path: Path
) -> None:
    path = str(tmp_path / "copy.db")
    await back_up(postgres_url, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM client WHERE user_id = 'user 0'")
        connection.commit()
    assert "3 rows of turn have no client" in SqliteFile(path).check().problems
    assert SqliteFile(f"{path}.new").restore(path, replaces=False).tables["turn"].rows == 15


def test_every_table_can_be_read_either_way(postgres_url: str) -> None:
    with PgSession(postgres_url) as session:
        for table in expected_tables():
            for numbered in (False, True):
                assert list(session.records(table, numbered=numbered)) == []


def test_the_queries_are_described() -> None:
    text = files(package).joinpath("copies.postgresql.sql").read_text("utf-8")
    source = "".join(path.read_text("utf-8") for path in Path(package.__path__[0]).glob("*.py"))
    for query in parse_queries(text).values():
        assert query.description.endswith(".")
        assert f'sql["{query.name}"]' in source.replace("'", '"')


TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\0\1\2"))
ROWS = st.tuples(
    st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | TEXTS, st.none() | st.binary()
)


@given(ROWS)
def test_a_record_is_its_row(row: tuple[Any, ...]) -> None:
    recorder = Recorder((int, str, bytes))
    assert recorder.row(recorder.record(row)) == row


@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(ROWS, max_size=20))
def test_postgresql_gives_back_the_records_that_it_got(
    shared_postgres_url: str, rows: list[tuple[Any, ...]]
) -> None:
    (table,) = (table for table in expected_tables() if table.name == "person")
    records = [
        table.recorder.record((str(n), "b", "c", str(n), body or b"", number or 0, number, text))
        for n, (number, text, body) in enumerate(rows)
    ]
    with PgSession(shared_postgres_url) as session:
        session.run("BEGIN")  # and never COMMIT
        session.clear([table])
        session.load(table, records)
        assert sorted(session.records(table)) == sorted(records)
        keys = [(str(n),) for n in range(0, len(rows), 2)]
        assert sorted(session.records(table, keys=keys)) == sorted(records[::2])
        session.delete(table, keys)
        assert sorted(session.records(table)) == sorted(records[1::2])


@given(st.lists(ROWS), st.randoms())
def test_a_digest_is_of_what_is_in_it_in_whatever_order(
    rows: list[tuple[Any, ...]], chance: Any
) -> None:
    recorder = Recorder((int, str, bytes))
    records = [recorder.record(row) for row in rows]
    one, other = Digest(), Digest()
    for record in records:
        one.add(record)
    chance.shuffle(records)
    for record in [*records, b"more"]:
        other.add(record)
    assert one.content() != other.content()
    other.remove(b"more")
    assert one.content() == other.content()


def test_a_column_with_a_value_of_another_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(Mismatch):
        Recorder((int,)).record(("1",))
    with closing(sqlite3.connect(":memory:")) as connection:
        copies.make_schema(connection)
        connection.execute("INSERT INTO folder VALUES ('a', x'00')")
        with pytest.raises(StorageError, match=r"folder\.digest holds bytes"):
            copies.contents(connection)
    assert len(tables_of(connection_with_schema())) == len(expected_tables())


def connection_with_schema() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:")
    copies.make_schema(connection)
    connection.execute("CREATE TABLE palaver_moved (a)")
    return connection


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgcopies, "_TOLD_EVERY", 2)
    heard: list[tuple[str, str, int]] = []
    table = expected_tables()[0]
    records = pgcopies.watched(lambda *said: heard.append(said), "copying", table, iter([b""] * 5))
    assert len(list(records)) == 5
    assert [rows for _, _, rows in heard] == [2, 4, 5]
