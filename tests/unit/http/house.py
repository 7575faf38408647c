"""A served Palaver in this process, and one who calls it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, ClassVar

import httpx

from palaver import wiring
from palaver.config import ServerSettings
from palaver.folder import BotFolder


class House:
    """Serves `folders()`; calls carry the dialect's `TOKEN` unless told otherwise."""

    TOKEN: ClassVar[str]

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.runner.run(self._open())

    def folders(self) -> Sequence[BotFolder]:
        raise NotImplementedError

    async def _open(self) -> None:
        settings = ServerSettings(database=":memory:")
        service = await self.stack.enter_async_context(wiring.build(settings, self.folders()))
        transport = httpx.ASGITransport(app=service.app)
        self.http = await self.stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://test")
        )

    def close(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = "",
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        """Args: token: "" for the dialect's own, None for none."""
        if token == "":
            token = self.TOKEN
        given = {"authorization": f"Bearer {token}"} if token else {}
        content = raw if raw is not None or body is None else json.dumps(body).encode()
        return await self.http.request(
            method, path, content=content, headers={**given, **(headers or {})}
        )

    async def until_a_turn_runs(self) -> None:
        async with asyncio.timeout(60):
            while "in_flight 1.0" not in (await self.http.get("/metrics")).text:  # noqa: ASYNC110
                await asyncio.sleep(0)

    def send(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.runner.run(self.call(method, path, body, **more))
