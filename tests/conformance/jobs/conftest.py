"""Every test here runs on every queue: it gets an open storage and a way to run jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from palaver.jobs.embedded import EmbeddedRunner
from palaver.jobs.procrastinate import ProcrastinateRunner
from palaver.jobs.protocol import Runner, Tasks
from palaver.jobs.queue import StoredQueue
from palaver.storage.memory import MemoryStorage
from palaver.storage.protocol import Storage
from palaver.storage.urls import open_storage
from palaver.types import SystemClock

BACKENDS = ("memory", "sqlite file", "sqlite :memory:", "postgresql")


class Backend(Protocol):
    storage: Storage

    def runner(self, tasks: Tasks) -> Runner: ...
    def queue(self, tasks: Tasks, runner: Runner | None = None) -> StoredQueue: ...


class _Backend:
    def __init__(self, storage: Storage, make: Callable[[Any, Tasks], Runner]) -> None:
        self.storage = storage
        self._make = make
        self.running: list[tuple[Runner, asyncio.Task[None]]] = []

    def runner(self, tasks: Tasks) -> Runner:
        """A worker that has begun."""
        runner = self._make(self.storage, tasks)
        self.running.append((runner, asyncio.create_task(runner.run())))
        return runner

    def queue(self, tasks: Tasks, runner: Runner | None = None) -> StoredQueue:
        return StoredQueue(self.storage, tasks, runner.wake if runner else None)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of the database; empty for the reference."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    urls = {"memory": "", "sqlite file": f"sqlite:///{tmp_path}/jobs.db"}
    return urls.get(request.param, ":memory:")


@pytest.fixture
async def backend(url: str, anyio_backend: str) -> AsyncIterator[Backend]:
    storage: Storage = open_storage(url) if url else MemoryStorage()

    def make(store: Any, tasks: Tasks) -> Runner:
        if storage.kind == "postgresql":
            return ProcrastinateRunner(url, store, tasks, stop_s=0.2)
        return EmbeddedRunner(store, tasks, SystemClock(), renew_s=0.1)

    await storage.open()
    made = _Backend(storage, make)
    yield made
    for runner, task in made.running:
        await runner.stop(0.2)
        await asyncio.wait([task], timeout=60)
    await storage.close()
