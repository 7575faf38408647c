"""Who may enter. Spec: product.md §2 (keys), dialects.md §1."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from palaver.config import BotSettings
from palaver.services.access import GENERATORS, Access
from palaver.services.loaded import LoadedBot
from palaver.storage.memory import MemoryStorage
from tests.unit.engine.making import make_bot, runnable

pytestmark = pytest.mark.anyio


def loaded(bot_id: str = "pizza") -> LoadedBot:
    bot = runnable(make_bot("start: hold", id=bot_id))
    return LoadedBot(bot_id, bot_id, None, BotSettings(id=bot_id, name=bot_id), bot, "v1")


async def opened() -> MemoryStorage:
    storage = MemoryStorage()
    await storage.open()
    return storage


def access(storage: MemoryStorage, *keys: str, is_loopback: bool = True) -> Access:
    return Access(storage, engine_keys=keys, is_loopback=is_loopback)


async def test_missing_keys_are_made_and_kept() -> None:
    storage = await opened()
    first, again = access(storage), access(storage)
    await first.admit(loaded(), {})
    await again.admit(loaded(), {})
    assert dict(first.keys_of(loaded())) == dict(again.keys_of(loaded()))
    assert set(first.keys_of(loaded())) == set(GENERATORS)


async def test_fingerprints_are_those_of_every_process_on_the_database_and_of_no_other() -> None:
    storage = await opened()
    one, other, elsewhere = access(storage), access(storage), access(await opened())
    for found in (one, other, elsewhere):
        await found.open()
    print_ = one.fingerprint(b"PIN 1", "234")
    assert print_ == other.fingerprint(b"PIN 1234") != elsewhere.fingerprint(b"PIN 1234")
    assert print_ != one.fingerprint(b"PIN 1235")
    assert print_ != hashlib.sha256(b"PIN 1234").hexdigest()


async def test_a_given_key_wins_and_is_not_stored() -> None:
    storage = await opened()
    found = access(storage)
    await found.admit(loaded(), {"studio_key": "mine"})
    assert found.secret(loaded(), "studio_key") == "mine"
    assert "studio_key" not in await storage.keys_of("pizza")


async def test_a_key_opens_its_bot_by_its_kind_only() -> None:
    found = access(await opened())
    bot = loaded()
    await found.admit(bot, {"studio_key": "K"})
    assert found.find("studio_key", "K") is bot
    assert found.find("studio_secret", "K") is None
    assert found.find("studio_key", "k") is None
    assert found.find("studio_key", "\ud800") is None


async def test_bots_have_keys_of_their_own() -> None:
    found = access(await opened())
    pizza, pasta = loaded("pizza"), loaded("pasta")
    await found.admit(pizza, {})
    await found.admit(pasta, {})
    key = found.secret(pasta, "studio_key")
    assert found.find("studio_key", key) is pasta
    assert found.secret(loaded("other"), "studio_key") == ""
    assert found.keys_of(loaded("other")) == {}


async def test_a_key_replaced_elsewhere_is_read_again() -> None:
    storage = await opened()
    found = access(storage)
    bot = loaded()
    await found.admit(bot, {})
    old = found.secret(bot, "studio_key")
    await storage.replace_key("pizza", "studio_key", "new")
    await found.refresh(bot, {})
    assert found.find("studio_key", old) is None
    assert found.find("studio_key", "new") is bot


async def test_a_new_build_is_opened_by_the_keys_of_its_bot() -> None:
    found = access(await opened())
    await found.admit(loaded(), {"studio_key": "K"})
    newer = loaded()
    found.renew(newer)
    assert found.find("studio_key", "K") is newer
    found.renew(loaded("unknown"))
    assert found.keys_of(loaded("unknown")) == {}


async def test_the_engine_is_open_on_a_loopback_without_keys() -> None:
    storage = await opened()
    assert access(storage).engine_is_open
    assert not access(storage, is_loopback=False).engine_is_open
    assert not access(storage, "key").engine_is_open
    found = access(storage)
    await found.admit(loaded(), {"engine_key": "K"})
    assert not found.engine_is_open


async def test_the_engines_keys_open_it() -> None:
    found = access(await opened(), "a", "", "b")
    assert found.opens_engine("a")
    assert found.opens_engine("b")
    assert not found.opens_engine("")
    assert not found.opens_engine("c")


def test_a_clustaar_token_is_an_envelope_that_names_its_bot() -> None:
    envelope = json.loads(base64.b64decode(GENERATORS["clustaar_token"]("pizza")))
    assert envelope["subject"]["type"] == "bot"
    assert len(envelope["subject"]["id"]) == 24
    assert len(envelope["value"]) == 32


def test_no_key_is_made_twice() -> None:
    for make in GENERATORS.values():
        assert make("pizza") != make("pizza")
