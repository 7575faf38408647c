"""Backups that are taken while a server writes, and put back when none runs."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from palaver.errors import NotADatabase, SchemaOutdated, StorageError, Unavailable
from palaver.storage.copies import TableContent
from palaver.storage.protocol import Storage
from palaver.storage.sql import copies
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.urls import open_storage, sqlite_file
from tests.conformance.storage.makers import ANNA, NOW, remember, said, version, write

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "palaver.db")


@pytest.fixture
async def server(path: str, anyio_backend: str) -> AsyncIterator[Storage]:
    """A storage that holds the file's lock, as a server does."""
    storage = open_storage(f"sqlite:///{path}?durability=normal")
    await storage.open()
    await storage.save_version(version("v1"))
    await write(storage, messages=said("hi", "hello"), remembered={"a": "1"})
    yield storage
    await storage.close()


async def memories_in(path: str) -> dict[str, str]:
    storage = open_storage(f"sqlite:///{path}?durability=normal")
    await storage.open()
    state = await storage.load_client(ANNA, NOW)
    await storage.close()
    return dict(state.memories)


async def test_a_backup_has_what_was_committed_when_it_began(
    server: Storage, path: str, tmp_path: Path
) -> None:
    target = str(tmp_path / "copy.db")
    copy = copies.back_up(path, target)
    await remember(server, {"a": "2"})
    assert await memories_in(target) == {"a": "1"}
    assert copy.tables["turn"].rows == 1
    assert copy.schema == len(load_migrations("sqlite"))
    assert copy.bytes == (tmp_path / "copy.db").stat().st_size
    assert sorted(os.listdir(tmp_path))[0] == "copy.db"


async def test_a_backup_is_one_file(server: Storage, path: str, tmp_path: Path) -> None:
    (tmp_path / "copies").mkdir()
    copies.back_up(path, str(tmp_path / "copies" / "copy.db"))
    assert os.listdir(tmp_path / "copies") == ["copy.db"]


async def test_a_backup_does_not_overwrite(server: Storage, path: str, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    with pytest.raises(StorageError, match="there already"):
        copies.back_up(path, str(tmp_path / "copy.db"))
    assert (tmp_path / "copy.db").read_text() == "precious"


async def test_a_copy_that_differs_is_not_kept(
    server: Storage, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([{}, {"turn": TableContent(1, "")}])
    monkeypatch.setattr(copies, "contents", lambda _: next(answers))
    (tmp_path / "copies").mkdir()
    with pytest.raises(StorageError, match="differs"):
        copies.back_up(path, str(tmp_path / "copies" / "copy.db"))
    assert os.listdir(tmp_path / "copies") == []


async def test_restoring_brings_the_backup_and_keeps_what_was_there(
    server: Storage, path: str, tmp_path: Path
) -> None:
    backup = str(tmp_path / "copy.db")
    made = copies.back_up(path, backup)
    await remember(server, {"a": "2"})
    await server.close()
    restored = copies.restore(backup, path)
    assert restored.tables == made.tables
    assert await memories_in(path) == {"a": "1"}
    assert restored.kept is not None
    assert await memories_in(restored.kept) == {"a": "2"}


async def test_restoring_where_nothing_is(server: Storage, path: str, tmp_path: Path) -> None:
    copies.back_up(path, str(tmp_path / "copy.db"))
    restored = copies.restore(str(tmp_path / "copy.db"), str(tmp_path / "new.db"))
    assert restored.kept is None
    assert await memories_in(str(tmp_path / "new.db")) == {"a": "1"}


async def test_restoring_under_a_server_is_refused(
    server: Storage, path: str, tmp_path: Path
) -> None:
    copies.back_up(path, str(tmp_path / "copy.db"))
    await remember(server, {"a": "2"})
    with pytest.raises(Unavailable, match="in use"):
        copies.restore(str(tmp_path / "copy.db"), path)
    assert (await server.load_client(ANNA, NOW)).memories == {"a": "2"}


async def test_a_damaged_backup_is_not_restored(server: Storage, path: str, tmp_path: Path) -> None:
    backup = tmp_path / "copy.db"
    copies.back_up(path, str(backup))
    await server.close()
    content = bytearray(backup.read_bytes())
    content[4096:20000] = os.urandom(20000 - 4096)
    backup.write_bytes(content)
    with pytest.raises(StorageError):
        copies.restore(str(backup), path)
    assert await memories_in(path) == {"a": "1"}
    assert [name for name in os.listdir(tmp_path) if "part" in name] == []


async def test_check_finds_a_sound_database_sound(server: Storage, path: str) -> None:
    health = copies.check(path)
    assert health.problems == ()
    assert health.rows["turn"] == 1
    assert health.bytes > 50_000


async def test_check_finds_what_is_wrong(server: Storage, path: str) -> None:
    await server.close()
    for sql, words in (
        ("DROP INDEX turn_client", "not those of this schema"),
        ("PRAGMA user_version = 99", "newer"),
        ("PRAGMA user_version = 0", "db upgrade"),
        ("PRAGMA application_id = 1", "another program"),
    ):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(sql)
        (problem,) = copies.check(path).problems
        assert words in problem


async def test_other_files_are_refused(server: Storage, path: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database at all, but long enough to have a header")
    for attempt in (
        lambda: copies.check(str(text)),
        lambda: copies.check(str(tmp_path / "nothing.db")),
        lambda: copies.back_up(str(text), str(tmp_path / "copy.db")),
    ):
        with pytest.raises(NotADatabase):
            attempt()
    with closing(sqlite3.connect(tmp_path / "other.db")) as other:
        other.execute("CREATE TABLE a (b)")
    with pytest.raises(NotADatabase):
        copies.back_up(str(tmp_path / "other.db"), str(tmp_path / "copy.db"))
    await server.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaOutdated):
        copies.back_up(path, str(tmp_path / "copy.db"))


async def test_a_folder_that_is_not_there_is_told(server: Storage, path: str) -> None:
    with pytest.raises(StorageError, match="unable to open"):
        copies.back_up(path, "/nowhere/copy.db")


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///palaver.db", "palaver.db"),
        ("sqlite:////var/lib/p%20q.db?durability=normal", "/var/lib/p q.db"),
        ("here.db", "here.db"),
        (":memory:", None),
        ("sqlite:///:memory:", None),
        ("sqlite://", None),
        ("postgresql://host/name.db", None),
    ],
)
def test_the_file_of_a_url(url: str, file: str | None) -> None:
    assert sqlite_file(url) == file
