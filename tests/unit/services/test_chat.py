"""What authors log, and who is told of turns."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from palaver.engine.ask import Ask
from palaver.logs import AUTHORS
from palaver.model import Client, Repeat, Turn
from palaver.services.callbacks import Callbacks
from palaver.services.chat import Chat
from tests.unit.engine.making import ANN, House, encode

pytestmark = pytest.mark.anyio


class Observer:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def began(self, client: Client) -> str:
        self.told.append(client)
        return "token"

    def ended(self, began: str, turn: Turn | None) -> None:
        self.told.append((began, turn is not None))

    def failed(self, began: str, error: BaseException) -> None:
        self.told.append((began, type(error)))


class Room(House):
    """A house with a chat."""

    def __init__(self, flow: str) -> None:
        super().__init__(flow)
        self.observer = Observer()
        self.chat = Chat(self.engine, Callbacks(self.outside), self.observer)  # type: ignore[arg-type]

    async def ask_chat(self, said: str, repeat: Repeat | None = None) -> Any:
        async def prepare() -> Ask:
            return self.ask(said)

        return await self.chat.answer(ANN, prepare, encode, repeat=repeat)


async def test_what_authors_log_goes_to_the_operators_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    room = Room('start:\n  log error "bad"\n  log trace "fine"\n  hold')
    with caplog.at_level(logging.DEBUG, AUTHORS):
        await room.ask_chat("hi")
    found = [(r.levelno, r.getMessage()) for r in caplog.records if r.name == AUTHORS]
    assert found == [(logging.ERROR, "bad"), (logging.DEBUG, "fine")]


async def test_observers_are_told_of_every_turn() -> None:
    room = Room("start: hold")
    repeat = Repeat("s", "k", "f", strict=False)
    await room.ask_chat("hi", repeat)
    await room.ask_chat("hi", repeat)
    assert room.observer.told == [ANN, ("token", True), ANN, ("token", False)]


async def test_observers_are_told_of_failures() -> None:
    room = Room("start: hold")

    async def broken() -> Ask:
        raise LookupError

    with pytest.raises(LookupError):
        await room.chat.answer(ANN, broken, encode)
    assert room.observer.told == [ANN, ("token", LookupError)]
