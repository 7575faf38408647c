"""`palaver keys`, with a database that is a dictionary."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from palaver.cli.main import run


class Stored:
    """The Credentials of a database."""

    def __init__(self) -> None:
        self.keys = {"pizza": {"studio_key": "GENERATED", "clustaar_token": "TOKEN"}}
        self.databases: list[str] = []

    async def keys_of(self, bot_id: str) -> dict[str, str]:
        return dict(self.keys.get(bot_id, {}))

    async def replace_key(self, bot_id: str, name: str, key: str) -> None:
        self.keys[bot_id][name] = key

    @contextlib.asynccontextmanager
    async def open(self, settings: Any) -> AsyncIterator[Stored]:
        self.databases.append(settings.database)
        yield self


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Stored:
    found = Stored()
    wiring: Any = ModuleType("palaver.wiring")
    wiring.open_credentials = found.open
    monkeypatch.setitem(sys.modules, "palaver.wiring", wiring)
    return found


def test_show_prints_the_key_alone(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "show", "pizza", "studio_key", "--database", ":memory:"]) == 0
    assert capsys.readouterr().out == "GENERATED\n"
    assert stored.databases == [":memory:"]


def test_a_fixed_key_is_read_from_the_folder(
    stored: Stored, bot_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bot_folder / "palaver.toml").write_text('[keys]\nstudio_key = "FIXED"\n')
    assert run(["keys", "show", str(bot_folder), "studio_key"]) == 0
    assert run(["keys", "show", str(bot_folder), "clustaar_token"]) == 0
    assert capsys.readouterr().out == "FIXED\nTOKEN\n"


def test_list_names_keys_and_origins_only(
    stored: Stored, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["keys", "list", "pizza"]) == 0
    shown = capsys.readouterr().out
    assert json.loads(shown) == {"studio_key": "generated", "clustaar_token": "generated"}


def test_rotate_replaces_a_key(stored: Stored, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["keys", "rotate", "pizza", "studio_key"]) == 0
    shown = capsys.readouterr().out.strip()
    assert stored.keys["pizza"]["studio_key"] == shown != "GENERATED"
    assert len(shown) == 32


def test_what_cannot_be_shown_or_rotated_is_said(
    stored: Stored, bot_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bot_folder / "palaver.toml").write_text('[keys]\nstudio_key = "FIXED"\n')
    assert run(["keys", "show", "nobody", "studio_key"]) == 1
    assert run(["keys", "rotate", "nobody", "studio_key"]) == 1
    assert run(["keys", "show", "pizza", "engine_key"]) == 1
    assert run(["keys", "rotate", "pizza", "engine_key"]) == 1
    assert run(["keys", "rotate", str(bot_folder), "studio_key"]) == 1
    assert run(["keys", "show", "pizza", "studio_kee"]) == 2
    shown = capsys.readouterr().err
    assert "has it been served?" in shown
    assert "did you mean 'studio_key'?" in shown
