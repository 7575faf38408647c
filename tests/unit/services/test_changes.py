"""What another process changes in the database, this one serves within a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from palaver.config import server_settings
from palaver.errors import Unavailable
from palaver.folder import read_folder
from palaver.services import changes
from palaver.services.access import Access
from palaver.services.bots import Bots
from palaver.services.changes import Watcher
from palaver.storage.memory import MemoryStorage
from palaver.types import SystemClock
from palaver.wiring import Service, build, open_beside

pytestmark = pytest.mark.anyio

FLOW = 'start:\n  say "{}"\n'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "pizza" / "flows").mkdir(parents=True)
    (tmp_path / "pizza" / "flows" / "Default.csml").write_text(FLOW.format("one"))
    return tmp_path


@pytest.fixture
async def service(place: Path, anyio_backend: str) -> AsyncIterator[Service]:
    settings = server_settings({"database": f"sqlite:///{place}/palaver.db?durability=normal"}, {})
    async with build(settings, [read_folder(place / "pizza")]) as service:
        yield service


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - what changes cannot set an event
            await asyncio.sleep(0.01)


def test_who_looks_twice_a_second_knows_within_one() -> None:
    assert changes.LOOK_S <= 0.5


async def test_a_rotated_key_opens_and_the_old_one_no_more(service: Service, place: Path) -> None:
    (bot,) = service.bots.loaded()
    old = service.access.keys_of(bot)["studio_key"]
    settings = server_settings({"database": f"sqlite:///{place}/palaver.db"}, {})
    async with open_beside(settings) as storage:
        await storage.replace_key("pizza", "studio_key", "another-key")
    await until(lambda: service.access.find("studio_key", "another-key") is not None)
    assert service.access.find("studio_key", old) is None


async def test_a_build_of_another_process_is_served(service: Service, place: Path) -> None:
    (before,) = service.bots.loaded()
    key = service.access.keys_of(before)["studio_key"]
    settings = server_settings({"database": f"sqlite:///{place}/palaver.db"}, {})
    async with open_beside(settings) as storage:
        version = await storage.latest_version("pizza")
        assert version is not None
        bot = replace(
            version.bot, flows=(replace(version.bot.flows[0], content=FLOW.format("two")),)
        )
        await storage.save_version(replace(version, version_id="v-two", bot=bot))
    await until(lambda: service.bots.loaded()[0].version_id == "v-two")
    found = service.access.find("studio_key", key)
    assert found is service.bots.loaded()[0], "keys open the new build"
    assert found.runnable.bot.flows[0].content == FLOW.format("two")


async def test_a_build_of_this_process_is_what_its_keys_open(service: Service) -> None:
    (before,) = service.bots.loaded()
    key = service.access.keys_of(before)["studio_key"]
    await service.bots.create_version(replace(before.runnable.bot, name="Pizza two"))
    found = service.access.find("studio_key", key)
    assert found is not None
    assert found.name == "Pizza two"


class Counting(MemoryStorage):
    """Counts what the watcher reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read = self.failed = 0
        self.fails = False

    async def changes_stamp(self) -> object:
        if self.fails:
            self.failed += 1
            raise Unavailable("the database is away")
        return sum(len(keys) for keys in self._keys.values())

    async def bot_stamps(self) -> dict[str, object]:  # type: ignore[override]
        self.read += 1
        return {}


async def test_nothing_is_read_while_nothing_changed() -> None:
    storage = Counting()
    await storage.open()
    watcher = _watcher(storage)
    await watcher.begin()
    for _ in range(3):
        await watcher.look()
    assert storage.read == 1
    await storage.save_keys("pizza", {"a": "b"})
    await watcher.look()
    assert storage.read == 2


async def test_a_database_that_is_away_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(changes, "LOOK_S", 0.001)
    storage = Counting()
    await storage.open()
    watcher = _watcher(storage)
    await watcher.begin()
    storage.fails = True
    running = asyncio.create_task(watcher.run())
    await until(lambda: storage.failed >= 3)
    assert [r.message for r in caplog.records] == [
        "changes of other processes cannot be seen now: the database is away"
    ]
    storage.fails = False
    await storage.save_keys("pizza", {"a": "b"})
    await until(lambda: storage.read == 2)
    running.cancel()


def _watcher(storage: MemoryStorage) -> Watcher:
    bots = Bots(storage, None, None, SystemClock())  # type: ignore[arg-type]
    return Watcher(storage, bots, Access(storage, engine_keys=(), is_loopback=True))
