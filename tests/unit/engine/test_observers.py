"""Who counts is told: of calls to the outside, and of who waits."""

from __future__ import annotations

import asyncio

import pytest

from palaver.effects import AppCall, HttpRequest, Mail
from palaver.engine.locks import Turnstile
from palaver.engine.outbound import Outbound, OutboundSettings
from tests.e2e.server import Gate
from tests.unit.engine.servers import closed_port

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Calls(list[tuple[str, str]]):
    """Remembers what it is told."""

    def called(self, kind: str, result: str, began_ns: int) -> None:
        assert began_ns > 0
        self.append((kind, result))


async def test_every_call_is_told_with_its_result() -> None:
    calls, gate = Calls(), Gate()
    gate.open()
    settings = OutboundSettings(allow_loopback=True, timeout_s=60)
    outbound = Outbound(settings, observer=calls)
    nobody = f"http://127.0.0.1:{closed_port()}/"
    try:
        await outbound.send(HttpRequest("get", gate.url, (), None))
        await outbound.send(HttpRequest("post", gate.url, (), None))
        await outbound.send(HttpRequest("get", nobody, (), None))
        await outbound.app(nobody, AppCall("name", {}), ("bot", "channel", "user"))
        await outbound.post_json(nobody, b"{}")
        to, sender = ("bert@example.org",), "anna@example.org"
        mail = Mail("127.0.0.1", closed_port(), "none", "", "", (), sender, to, b"hello")
        await outbound.mail(mail)
    finally:
        await outbound.aclose()
        gate.close()
    assert calls == [
        ("http", "2xx"),
        ("http", "5xx"),
        ("http", "failed"),
        ("app", "failed"),
        ("callback", "failed"),
        ("mail", "failed"),
    ]


async def test_those_who_wait_are_counted() -> None:
    turnstile = Turnstile(5)

    async def take() -> None:
        async with turnstile.turn("ann"):
            pass

    async with turnstile.turn("ann"):
        waiting = [asyncio.create_task(take()) for _ in range(3)]
        await asyncio.sleep(0)
        assert turnstile.waiting() == 3
    await asyncio.gather(*waiting)
    assert turnstile.waiting() == 0
