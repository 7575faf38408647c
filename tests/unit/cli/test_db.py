"""`palaver db`: what is printed, what is refused, and exit codes; `test_copies.py` has the rest."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from palaver.cli.main import run
from palaver.storage.urls import open_storage
from tests.conformance.storage.makers import ANNA, said, write


@pytest.fixture
def database(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/palaver.db"

    async def fill() -> None:
        storage = open_storage(url)
        await storage.open()
        await write(storage, ANNA, messages=said("hello"))
        await storage.close()

    asyncio.run(fill())
    return url


def test_check(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["db", "check", "--database", database]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["turn"] == 1
    with closing(sqlite3.connect(tmp_path / "palaver.db")) as connection:
        connection.execute("DROP TABLE turn")
    assert run(["db", "check", "--database", database]) == 1
    assert json.loads(capsys.readouterr().out)["problems"] != []


def test_people_get_lines(
    database: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("palaver.cli.db.sys.stdout.isatty", lambda: True, raising=False)
    copy = str(tmp_path / "copy.db")
    assert run(["db", "check", "--database", database]) == 0
    assert capsys.readouterr().out.endswith("sound\n")
    assert run(["db", "backup", copy, "--database", database]) == 0
    assert "sha256" in capsys.readouterr().out
    assert run(["db", "restore", copy, "--database", database, "--yes"]) == 0
    assert "before-restore" in capsys.readouterr().out


def test_backup_and_restore(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = str(tmp_path / "copy.db")
    assert run(["db", "backup", copy, "--database", database]) == 0
    assert json.loads(capsys.readouterr().out)["tables"]["turn"]["rows"] == 1
    assert run(["db", "restore", copy, "--database", database]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["db", "restore", copy, "--database", database, "--yes"]) == 0
    assert run(["db", "restore", copy, "--database", f"sqlite:///{tmp_path}/new.db"]) == 0


def test_restore_refuses_while_a_server_runs(
    database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = str(tmp_path / "copy.db")
    assert run(["db", "backup", copy, "--database", database]) == 0

    async def serve() -> None:
        storage = open_storage(database)
        await storage.open()
        command = ["db", "restore", copy, "--database", database, "--yes"]
        assert await asyncio.to_thread(run, command) == 3
        await storage.close()

    asyncio.run(serve())
    assert "already in use" in capsys.readouterr().err


def test_on_a_terminal_restoring_asks(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = str(tmp_path / "copy.db")
    assert run(["db", "backup", copy, "--database", database]) == 0
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("palaver.cli.db.click.confirm", lambda text, **_: asked.append(text))
    assert run(["db", "restore", copy, "--database", database]) == 0
    assert len(asked) == 1


def test_upgrade(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    assert run(["db", "upgrade", "--database", url]) == 0
    assert "up to date" in capsys.readouterr().out
    assert run(["db", "check", "--database", url]) == 0


@pytest.mark.parametrize("words", [["check"], ["backup", "x"], ["restore", "x"]])
def test_a_database_in_memory_is_refused(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["db", *words, "--database", ":memory:"]) == 2
    assert "gone with its process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["postgresql://127.0.0.1/x", "postgresql://127.0.0.1/y"], "db backup"),
        (["sqlite:///a.db", "sqlite:///b.db"], "db backup"),
        ([":memory:", "postgresql://127.0.0.1/x"], "SQLite file"),
    ],
)
def test_only_sqlite_moves_and_only_to_postgresql(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["db", "migrate", *words]) == 2
    assert hint in capsys.readouterr().err


def test_a_file_that_is_not_there_does_not_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tmp_path / "no.db"), "postgresql://127.0.0.1/x"]
    assert run(["db", "migrate", *words]) == 3
    assert "there is no database" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def asks_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The handler of SIGTERM belongs to the process of the tests."""
    monkeypatch.setattr("palaver.cli.db.signal.signal", lambda *_: None)


@pytest.mark.usefixtures("asks_nothing")
def test_migrate_backup_restore_and_check_with_postgresql(
    database: str, new_postgres_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["db", "migrate", database, new_postgres_url]) == 0
    said = capsys.readouterr()
    moved = json.loads(said.out)["tables"]
    assert moved["turn"]["rows"] == 1
    assert f"--database '{new_postgres_url}'" in said.err
    assert run(["db", "migrate", database, new_postgres_url]) == 3
    assert "was moved to" in capsys.readouterr().err
    on_it = ["--database", new_postgres_url]
    copy = str(tmp_path / "copy.db")
    assert run(["db", "backup", copy, *on_it]) == 0
    assert json.loads(capsys.readouterr().out)["tables"] == moved
    assert run(["db", "restore", copy, *on_it]) == 2
    assert "--yes" in capsys.readouterr().err
    assert run(["db", "restore", copy, *on_it, "--yes"]) == 0
    assert json.loads(capsys.readouterr().out)["tables"] == moved
    assert run(["db", "check", *on_it]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["turn"] == 1


@pytest.mark.usefixtures("asks_nothing")
def test_people_who_migrate_get_lines(
    database: str,
    new_postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("palaver.cli.db.sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("palaver.cli.db.sys.stderr.isatty", lambda: True, raising=False)
    assert run(["db", "migrate", database.replace("sqlite:///", ""), new_postgres_url]) == 0
    said = capsys.readouterr()
    assert "equal on both sides" in said.out
    assert "comparing turn: 1 rows" in said.err
