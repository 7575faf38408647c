"""The service all dialects talk to: an event in, an answer out, exactly once.

A dialect says what was asked (`Ask`) and how to put the answer (`encode`); the engine takes the
client's turn, and stores turn and answer together before either leaves the process.
"""

from __future__ import annotations

import logging
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from palaver.engine.ask import Answer, Ask, Encode, Prepare
from palaver.engine.engine import Engine
from palaver.engine.span import SECRET
from palaver.engine.turn import Result
from palaver.logs import AUTHORS, LEVELS, note_secrets
from palaver.model import Client, Repeat, Turn
from palaver.services.callbacks import Callbacks
from palaver.types import Json

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


def note_secrets_of(ask: Ask, result: Result) -> None:
    """Keeps out of the log what the running turn knows and must not tell.

    That is the bot's environment, and what answered a `hold_secure`. For turns that have something
    to log.
    """
    if result.turn.logs or ask.callback_url or ask.webhook_url:
        secrets: list[Json] = [ask.bot.bot.env]
        if any(message.payload is SECRET for message in result.spans[0].messages):
            secrets += [ask.event.value, ask.event.content]
        note_secrets(secrets)


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

    def exclusively(self, client: Client) -> AbstractAsyncContextManager[None]:
        """Holds the client's turn for a change that is none: `async with …`. Not for use inside
        `prepare`, which holds it already."""
        return self._engine.exclusively(client)
