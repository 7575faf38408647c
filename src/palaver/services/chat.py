"""The service all dialects talk to: an event in, an answer out, exactly once.

A dialect says what was asked (`Ask`) and how to put the answer (`encode`); the engine takes the
client's turn, and stores turn and answer together before either leaves the process.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from palaver.engine.ask import Answer, Ask, Encode, Prepare
from palaver.engine.engine import Engine
from palaver.logs import AUTHORS, LEVELS
from palaver.model import Client, Repeat, Turn
from palaver.services.callbacks import Callbacks

__all__ = ["Answer", "Ask", "Chat", "Encode", "Prepare", "TurnObserver"]

authors = logging.getLogger(AUTHORS)


class TurnObserver(Protocol):
    """Who is told of turns (metrics, tracing). What `began` returns comes back at the end."""

    def began(self, client: Client) -> Any: ...

    def ended(self, began: Any, turn: Turn | None) -> None:
        """The turn is stored; None: a stored answer was replayed."""
        ...

    def failed(self, began: Any, error: BaseException) -> None:
        """Nothing was stored."""
        ...


class Chat:
    """Takes turns for the dialects; what authors `log` goes to the operator's log."""

    def __init__(self, engine: Engine, callbacks: Callbacks, observer: TurnObserver) -> None:
        self._engine = engine
        self._callbacks = callbacks
        self._observer = observer

    async def answer(
        self, client: Client, prepare: Prepare, encode: Encode, *, repeat: Repeat | None = None
    ) -> Answer:
        """Waits for the client's turn, runs it, stores it with its answer, returns the answer.

        A repeat of a finished request gets the stored bytes and runs nothing. What `prepare` or
        `encode` raises leaves the client as it was.

        Raises:
            KeyReused: a strict repeat key came with another fingerprint.
            ConversationBusy: another turn of the client took longer than `turn_wait_s`.
            StorageError: nothing is stored.
        """
        observer = self._observer
        began = observer.began(client)
        try:
            await self._callbacks.settle(client)
            answer = await self._engine.handle(client, prepare, encode, repeat=repeat)
        except BaseException as error:
            observer.failed(began, error)
            raise
        observer.ended(began, answer.turn)
        if answer.turn is not None:
            for line in answer.turn.logs:
                authors.log(
                    LEVELS[line.level],
                    "%s",
                    line.text,
                    extra={"flow": line.flow, "line": line.line, "bot": client.bot_id},
                )
        return answer
