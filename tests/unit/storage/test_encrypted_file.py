"""A SQLite file under a secret key: nothing anybody said can be read in its bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver.errors import StorageError
from palaver.model import Flow
from palaver.storage.cipher import Cipher
from palaver.storage.keyring import KeyRingCipher
from palaver.storage.protocol import Storage
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
