"""A SQLite file under a secret key: nothing anybody said can be read in its bytes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from palaver.errors import StorageError
from palaver.model import Flow
from palaver.storage.cipher import Cipher
from palaver.storage.keyring import KeyRingCipher
from palaver.storage.protocol import Storage
from palaver.storage.sql.migrate import lend_functions, load_migrations
from palaver.storage.sql.sqlite import APPLICATION_ID
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

SECRETS = {
    "payload": "the payload they said",
    "memory": "the memory they left",
    "saved": "the memory of an API",
    "hold": "the locals of a hold",
    "previous": "the bot of before",
    "answer": "the answer for repeats",
    "env": "the environment of a bot",
    "flow": "the text of a flow",
    "key": "the-studio-secret-of-a-bot",
    "rotated": "the-rotated-secret-of-a-bot",
    "token": "the-socket-token-of-a-person",
    "first": "the first message of all",
    "data": "the state of a session",
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def opened(place: Path, cipher: Cipher | None) -> Storage:
    storage = open_storage(f"sqlite:///{place}/palaver.db?durability=normal", cipher=cipher)
    await storage.open()
    return storage


async def fill(storage: Storage) -> None:
    await write(
        storage,
        conversations=(conversation(),),
        messages=said(SECRETS["payload"], SECRETS["payload"]),
        remembered={"note": f'"{SECRETS["memory"]}"'},
        hold={"locals": SECRETS["hold"]},
        previous_bot={"env": SECRETS["previous"]},
        answer=answer("k1", SECRETS["answer"].encode()),
        persons=(person(secret=SECRETS["token"]),),
        sessions=(session("1" * 24, first_message=SECRETS["first"], data={"x": SECRETS["data"]}),),
    )
    await storage.save_memory(ANNA, "api", SECRETS["saved"], now=NOW, expires_at=None)
    flows = (Flow("f", "order", SECRETS["flow"]),)
    await storage.save_version(version("v1", flows=flows, env={"secret": SECRETS["env"]}))
    await storage.save_keys("pizza", {"studio_secret": SECRETS["key"]})
    await storage.replace_key("pizza", "studio_key", SECRETS["rotated"])


async def assert_readable(storage: Storage) -> None:
    state = await storage.load_client(ANNA, NOW)
    assert state.hold == {"locals": SECRETS["hold"]}
    assert state.previous_bot == {"env": SECRETS["previous"]}
    assert state.memories == {
        "note": f'"{SECRETS["memory"]}"',
        "api": f'"{SECRETS["saved"]}"',
    }
    page = await storage.list_messages(ANNA, limit=9, after=None, since=None, until=None, now=NOW)
    assert texts(page.items) == [SECRETS["payload"]] * 2
    kept = await storage.find_answer("client anna", "k1", NOW)
    assert kept is not None
    assert kept.body == SECRETS["answer"].encode()
    build = await storage.latest_version("pizza")
    assert build is not None
    assert build.bot.env == {"secret": SECRETS["env"]}
    assert build.bot.flows[0].content == SECRETS["flow"]
    assert await storage.keys_of("pizza") == {
        "studio_key": SECRETS["rotated"],
        "studio_secret": SECRETS["key"],
    }
    found = await storage.find_person("pizza", "chatbot", "anna")
    assert found is not None
    assert found.secret == SECRETS["token"]
    (only,) = await storage.sessions_of(found.id)
    assert (only.first_message, only.data) == (SECRETS["first"], {"x": SECRETS["data"]})


def in_files(place: Path) -> set[str]:
    stored = b"".join(path.read_bytes() for path in place.iterdir())
    return {name for name, secret in SECRETS.items() if secret.encode() in stored}


@pytest.mark.anyio
async def test_no_body_can_be_read_in_the_file(tmp_path: Path) -> None:
    storage = await opened(tmp_path, KeyRingCipher(["a secret of some length"]))
    await fill(storage)
    assert in_files(tmp_path) == set(), "with the write-ahead log"
    await assert_readable(storage)
    await storage.close()
    assert in_files(tmp_path) == set()


@pytest.mark.anyio
async def test_without_a_key_all_of_them_can(tmp_path: Path) -> None:
    storage = await opened(tmp_path, None)
    await fill(storage)
    await storage.close()
    assert in_files(tmp_path) == set(SECRETS), "else the test above shows nothing"


@pytest.mark.anyio
async def test_rows_stay_readable_when_encryption_begins_and_when_keys_rotate(
    tmp_path: Path,
) -> None:
    rings = [None, ["first secret key"], ["second secret key", "first secret key"]]
    for secrets in rings:
        storage = await opened(tmp_path, KeyRingCipher(secrets) if secrets else None)
        if secrets is None:
            await fill(storage)
        await assert_readable(storage)
        await storage.save_memory(ANNA, "note", SECRETS["memory"], now=NOW, expires_at=None)
        await storage.close()


@pytest.mark.anyio
async def test_a_database_of_another_key_is_refused_by_its_keys(tmp_path: Path) -> None:
    storage = await opened(tmp_path, KeyRingCipher(["first secret key"]))
    await fill(storage)
    await storage.close()
    for cipher in (None, KeyRingCipher(["second secret key"])):
        storage = await opened(tmp_path, cipher)
        with pytest.raises(StorageError, match="PALAVER_SECRET_KEY"):
            await storage.keys_of("pizza")
        await storage.close()


@pytest.mark.anyio
async def test_what_another_connection_writes_changes_the_stamp(tmp_path: Path) -> None:
    server = await opened(tmp_path, None)
    guest = open_storage(f"sqlite:///{tmp_path}/palaver.db", is_guest=True)
    await guest.open()
    stamp = await server.changes_stamp()
    await guest.replace_key("pizza", "studio_key", "new")
    assert await server.changes_stamp() != stamp
    await guest.close()
    await server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/palaver.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.mark.anyio
async def test_a_database_knows_the_keys_that_sealed_in_it(url: str) -> None:
    first, second = KeyRingCipher(["first secret key"]), KeyRingCipher(["second secret key"])
    both = KeyRingCipher(["second secret key", "first secret key"])

    async def missing(cipher: Cipher | None, *, notes: bool = False) -> tuple[str, ...]:
        storage = open_storage(url, cipher=cipher)
        await storage.open()
        found = await storage.missing_keys()
        if notes:
            await storage.note_key()
            await storage.note_key()
        await storage.close()
        return found

    assert await missing(None, notes=True) == ()
    assert await missing(first, notes=True) == ()
    assert await missing(both) == ()
    assert await missing(second) == first.key_ids
    assert await missing(both, notes=True) == ()
    assert await missing(first) == second.key_ids
    assert await missing(None) == tuple(sorted(first.key_ids + second.key_ids))


@pytest.mark.anyio
async def test_a_key_that_a_command_seals_with_is_known(tmp_path: Path) -> None:
    cipher = KeyRingCipher(["first secret key"])
    storage = await opened(tmp_path, cipher)
    await storage.replace_key("pizza", "studio_key", "new")
    await storage.close()
    storage = await opened(tmp_path, None)
    assert await storage.missing_keys() == cipher.key_ids
    await storage.close()


def seal_builds(run: Callable[[str, tuple[object, ...]], object], sign: str) -> set[str]:
    """In a schema before keys were remembered; the ids of those used."""
    env, body = KeyRingCipher(["first secret key"]), KeyRingCipher(["second secret key"])
    columns = "bot_id, version_id, engine_version, created_at, env, content"
    version = ("pizza", "v1", "1.11.2", 0, env.seal(b"{}"), b"digest")
    marks = ", ".join([sign] * 6)
    run(f"INSERT INTO version ({columns}) VALUES ({marks})", version)
    contents = (b"digest", body.seal(b"{}")), (b"plain", b'{"id":"pizza"}')
    for content in contents:
        run(f"INSERT INTO content (digest, body) VALUES ({sign}, {sign})", content)
    return {*env.key_ids, *body.key_ids}


@pytest.mark.anyio
async def test_keys_of_builds_from_before_are_known(tmp_path: Path) -> None:
    path = tmp_path / "palaver.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        lend_functions(old)
        for migration in load_migrations("sqlite")[:5]:
            old.executescript(migration.script)
        expected = seal_builds(old.execute, "?")
        old.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        old.execute("PRAGMA user_version = 5")
    storage = await opened(tmp_path, None)
    assert set(await storage.missing_keys()) == expected
    await storage.close()


@pytest.mark.anyio
async def test_keys_of_builds_from_before_are_known_on_postgresql(new_postgres_url: str) -> None:
    with psycopg.connect(new_postgres_url) as old:
        for migration in load_migrations("postgresql")[:6]:
            old.execute(migration.script.encode())
        expected = seal_builds(lambda sql, row: old.execute(sql.encode(), row), "%s")
        old.execute("INSERT INTO palaver_schema VALUES (6)")
    storage = open_storage(new_postgres_url)
    await storage.upgrade()
    await storage.open()
    assert set(await storage.missing_keys()) == expected
    await storage.close()
