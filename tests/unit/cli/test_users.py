"""`palaver users`: a person's data, exported and erased while a server holds the database."""

from __future__ import annotations

import asyncio
import json
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
        await write(storage, ANNA._replace(channel_id="phone"), remembered={"a": "1"})
        await storage.close()

    asyncio.run(fill())
    return url


def test_export_prints_one_document(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "export", "pizza", "anna", "--database", database]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [client["channel_id"] for client in document["clients"]] == ["phone", "web"]
    assert document["clients"][1]["messages"][0]["payload"]["content"] == {"text": "hello"}


def test_erase_prints_a_proof(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["users", "erase", "pizza", "anna", "--database", database]
    assert run([*command, "--channel", "phone"]) == 0
    assert json.loads(capsys.readouterr().out)["removed"]["memories"] == 1
    assert run(command) == 0
    proof = json.loads(capsys.readouterr().out)
    assert proof["complete"]
    assert proof["removed"]["turns"] == 1
    assert run(command) == 1
    assert "nothing is stored about user anna" in capsys.readouterr().err


def test_erased_texts_are_gone_from_the_file(database: str, tmp_path: Path) -> None:
    assert run(["users", "erase", "pizza", "anna", "--database", database]) == 0
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hello" not in stored
    assert b"anna" not in stored


def test_it_works_beside_a_server(database: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def serve() -> None:
        storage = open_storage(database)
        await storage.open()
        command = ["users", "erase", "pizza", "anna", "--database", database]
        assert await asyncio.to_thread(run, command) == 0
        assert await storage.clients_of_user("pizza", "anna") == ()
        await storage.close()

    asyncio.run(serve())


def test_on_a_terminal_erasing_asks(
    database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return True

    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("palaver.cli.users.click.confirm", confirm)
    command = ["users", "erase", "pizza", "anna", "--database", database]
    assert run(command) == 0
    assert asked == ["Erase 1 messages, 1 turns, 1 memories of user anna of bot pizza for good?"]
    assert run([*command, "--yes"]) == 1
    assert len(asked) == 1


def test_no_database_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["users", "export", "b", "u", "--database", f"sqlite:///{tmp_path}/no.db"]) == 3
    assert "there is no database" in capsys.readouterr().err
