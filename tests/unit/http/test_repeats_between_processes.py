"""Requests with an `Idempotency-Key` that are no turn, repeated at another process. Spec:
dialects §1, product.md §5."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from palaver.engine.engine import Engine, EngineSettings
from palaver.http.app import Application
from palaver.http.dialects.base import Dialect, Problem, Route
from palaver.http.request import BodyLimits, Request, Response, json_response
from palaver.services.access import Access
from palaver.storage.protocol import Storage
from palaver.storage.urls import open_storage
from palaver.types import SystemClock

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Slow(Dialect):
    """Makes something, when it is let."""

    name = "slow"
    prefix = "/slow"

    def __init__(self, services: Any, may_end: asyncio.Event) -> None:
        super().__init__(services)
        self.may_end = may_end
        self.made = 0

    def routes(self) -> tuple[Route, ...]:
        return (Route("POST", "/things", self.make, idempotent=True),)

    def render_error(self, request: Request, problem: Problem) -> Response:
        return json_response({"why": problem.message}, problem.status)

    async def make(self, request: Request) -> Response:
        async def handle() -> Response:
            self.made += 1
            await self.may_end.wait()
            return json_response({"by": id(self)})

        return await self.once(request, "token", handle)


class Process:
    """One of two `palaver serve`, as far as such a request needs one."""

    def __init__(self, storage: Storage, may_end: asyncio.Event) -> None:
        clock, outbound = SystemClock(), cast(Any, None)
        engine = Engine(storage, outbound, clock, EngineSettings(), load_other=cast(Any, None))
        self.access = Access(storage, engine_keys=(), is_loopback=True)
        services = SimpleNamespace(chat=engine, storage=storage, clock=clock, access=self.access)
        self.dialect = Slow(services, may_end)
        limits = BodyLimits(1000, 10)
        self.app = Application([self.dialect], clock=clock, limits=limits, cors_origins=())

    async def post(self, key: str, body: object) -> httpx.Response:
        await self.access.open()
        transport = httpx.ASGITransport(app=cast(Any, self.app))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.post("/things", json=body, headers={"idempotency-key": key})


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_a_repeat_at_another_process_waits_and_gets_the_same_bytes(
    postgres_url: str,
) -> None:
    stores = [open_storage(postgres_url) for _ in range(2)]
    may_end = asyncio.Event()
    for store in stores:
        await store.open()
    try:
        one, other = (Process(store, may_end) for store in stores)
        first = asyncio.create_task(one.post("k", {"a": 1}))
        await until(lambda: one.dialect.made)
        second = asyncio.create_task(other.post("k", {"a": 1}))
        different = asyncio.create_task(other.post("k2", {"a": 1}))
        await until(lambda: other.dialect.made)
        await asyncio.sleep(0.1)
        assert (one.dialect.made, other.dialect.made) == (1, 1)
        may_end.set()
        assert (await first).status_code == 200
        assert (await second).content == (await first).content
        assert (await different).content != (await first).content
        assert (await other.post("k", {"a": 2})).status_code == 422
        assert await stores[0]._driver.read("SELECT * FROM client", ()) == []  # type: ignore[attr-defined]
    finally:
        for store in stores:
            await store.close()


async def test_a_repeat_after_a_restart_gets_the_same_bytes(tmp_path: Any) -> None:
    may_end = asyncio.Event()
    may_end.set()
    answers = []
    for _ in range(2):
        store = open_storage(f"sqlite:///{tmp_path}/palaver.db?durability=normal")
        await store.open()
        process = Process(store, may_end)
        answers.append((await process.post("k", {"a": 1})).content)
        await store.close()
    assert answers[0] == answers[1]
    assert process.dialect.made == 0
