"""`palaver doctor`: a sound deployment is sound, and each fault is found with what to do."""

from __future__ import annotations

import asyncio
import json
import os
from collections import namedtuple
from pathlib import Path

import pytest

from palaver.cli import doctor as doctor_module
from palaver.cli.doctor import Finding, examine
from palaver.cli.main import run
from palaver.config import server_settings
from palaver.folder import read_folder
from palaver.storage.keyring import KeyRingCipher
from palaver.storage.urls import open_storage
from palaver.wiring import build
from tests.conformance.storage.makers import version

SECRET = "a long secret for the tests"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PALAVER_", "ENGINE_SERVER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PALAVER_SECRET_KEY", SECRET)


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    (tmp_path / "pizza" / "flows").mkdir(parents=True)
    (tmp_path / "pizza" / "flows" / "Default.csml").write_text('start:\n  say "hi"\n')
    return tmp_path / "pizza"


@pytest.fixture
def database(tmp_path: Path, bot: Path) -> str:
    """A database that served the bot."""
    url = f"sqlite:///{tmp_path}/palaver.db"

    async def serve() -> None:
        settings = server_settings({"database": url, "secret_key": (SECRET,)}, {})
        async with build(settings, [read_folder(bot)]):
            pass

    asyncio.run(serve())
    return url


def findings(*folders: Path, **options: object) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(folders, options)}


def test_a_sound_deployment(bot: Path, database: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = findings(bot, database=database)
    assert {name for name, finding in found.items() if finding.level != "ok"} <= {"sync", "disk"}
    assert list(found) == [
        "python", "sqlite", "clock", "bots", "host", "encryption", "allow_hosts", "disk", "sync",
        "lock", "database", "keys", "durability",
    ]  # fmt: skip
    assert run(["doctor", str(bot), "--database", database]) == 0
    assert json.loads(capsys.readouterr().out)["ok"] is True
    assert run(["doctor", str(bot), "--database", database, "--format", "text"]) == 0
    assert "ok       database" in capsys.readouterr().out


def test_every_finding_that_is_not_ok_says_what_to_do(
    tmp_path: Path, bot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PALAVER_SECRET_KEY")
    (bot / "flows" / "Broken.csml").write_text("start:\n  say (\n")
    database = f"sqlite:///{tmp_path}/palaver.db?durability=normal"
    found = findings(bot, host="0.0.0.0", database=database)
    assert found["bots"].level == "error"
    assert found["host"].level == "error"
    assert found["encryption"].level == "warning"
    assert "is not there yet" in found["database"].text
    assert all(finding.advice for finding in found.values() if finding.level != "ok")


def test_an_error_ends_it_with_1(bot: Path, database: str) -> None:
    assert run(["doctor", str(bot), "--host", "0.0.0.0", "--database", database]) == 1


def test_a_wrong_setting_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_PORT", "many")
    assert findings()["settings"].level == "error"


def test_short_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_SECRET_KEY", "short")
    monkeypatch.setenv("ENGINE_SERVER_API_KEYS", "short")
    found = findings(host="0.0.0.0", database=":memory:")
    assert found["encryption"].level == "warning"
    assert found["engine keys"].level == "warning"
    assert found["host"].level == "ok"


@pytest.mark.parametrize(
    ("host", "level"),
    [
        ("shop.internal", "ok"),
        ("10.1.0.0/16", "ok"),
        ("::1", "ok"),
        ("http://shop", "error"),
        ("shop:8080", "error"),
        ("*.internal", "error"),
        ("0.0.0.0/0", "warning"),
        ("169.254.169.254", "warning"),
    ],
)
def test_allowed_hosts(host: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_ALLOW_HOSTS", host)
    assert findings(database=":memory:")["allow_hosts"].level == level


def test_a_wrong_secret_key_is_found(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALAVER_SECRET_KEY", "another secret than before")
    found = findings(database=database)["database"]
    assert found.level == "error"
    assert "PALAVER_SECRET_KEY" in found.text


def test_missing_keys_are_named(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def store() -> tuple[str, ...]:
        cipher = KeyRingCipher(["a secret from before"])
        storage = open_storage(database, cipher=cipher)
        await storage.open()
        await storage.note_key()
        await storage.close()
        return cipher.key_ids

    (key_id,) = asyncio.run(store())
    monkeypatch.setenv("PALAVER_SECRET_KEY", "another secret than before")
    found = findings(database=database)["encryption keys"]
    assert (found.level, key_id in found.text) == ("error", True)
    assert "PALAVER_LOST_KEYS" in found.advice
    monkeypatch.setenv("PALAVER_LOST_KEYS", key_id)
    assert findings(database=database)["encryption keys"].level == "warning"
    monkeypatch.setenv("PALAVER_SECRET_KEY", f"{SECRET}, a secret from before")
    assert "encryption keys" not in findings(database=database)


def test_bots_without_keys(database: str) -> None:
    async def store() -> None:
        storage = open_storage(database)
        await storage.open()
        await storage.save_version(version("v1", "keyless"))
        await storage.close()

    asyncio.run(store())
    assert findings(database=database)["keys"].level == "warning"


def test_a_server_that_runs_is_seen(database: str) -> None:
    async def serve() -> None:
        storage = open_storage(database)
        await storage.open()
        found = await asyncio.to_thread(findings, database=database)
        assert found["lock"].text == "a server is using the database"
        assert found["database"].level == "ok"
        await storage.close()

    asyncio.run(serve())


def test_durability_that_was_traded_is_told(database: str) -> None:
    assert findings(database=f"{database}?durability=normal")["durability"].level == "warning"


def test_the_disk(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    for free, level in ((10**6, "error"), (5 * 10**8, "warning"), (10**11, "ok")):
        monkeypatch.setattr(doctor_module.shutil, "disk_usage", lambda _, f=free: usage(f))
        assert findings(database=database)["disk"].level == level
    monkeypatch.setattr(doctor_module, "_sync_seconds", lambda _: 0.2)
    assert findings(database=database)["sync"].level == "warning"
    assert findings(database="sqlite:////nowhere/palaver.db")["disk"].level == "error"


def test_the_clock_and_sqlite(monkeypatch: pytest.MonkeyPatch) -> None:
    assert doctor_module._clock(lambda: 0.0).level == "error"
    monkeypatch.setattr(doctor_module.sqlite3, "sqlite_version_info", (3, 8, 0))
    assert doctor_module._sqlite().level == "error"
