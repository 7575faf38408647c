"""Messages on their way to callback addresses and webhooks: once each, in order, after the turn
is stored, without holding its answer. Spec: csml-engine-runtime §11, csml-studio-api §8.

Where retries are switched on (`[studio] webhook_retries`) each notification is a job instead,
stored with the turn; the client's jobs run one at a time, so that order is kept.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator

import msgspec

from palaver.effects import CallFailed
from palaver.engine.ask import Ask
from palaver.engine.outbound import Outbound
from palaver.engine.span import Span
from palaver.engine.turn import Result
from palaver.jobs.protocol import NOTIFY, NewJob
from palaver.model import Client, Message, Turn
from palaver.types import Json, JsonObject, iso_ms

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
"""How long a receiver may take for one notification."""

SETTLE_S = 0.5
"""How long a client's next turn waits for the notifications of the one before."""


class Callbacks:
    """Posts notifications; those of one client to one address follow one another."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound
        self._queues: dict[tuple[Client, str], list[bytes]] = {}
        self._tasks: dict[tuple[Client, str], asyncio.Task[None]] = {}

    def after_turn(self, ask: Ask, result: Result) -> None:
        """Takes what a stored turn has to tell."""
        if not ask.notice_retries:
            for url, bodies in _addressed(ask, result):
                self._post(ask.client, url, bodies)

    def _post(self, client: Client, url: str, bodies: Iterable[bytes]) -> None:
        waiting = self._queues.get((client, url))
        if waiting is not None:
            waiting.extend(bodies)
            return
        waiting = list(bodies)
        if waiting:
            self._queues[client, url] = waiting
            self._tasks[client, url] = asyncio.get_running_loop().create_task(
                self._drain(client, url, waiting)
            )

    async def _drain(self, client: Client, url: str, waiting: list[bytes]) -> None:
        try:
            while waiting:
                answer = await self._outbound.post_json(url, waiting.pop(0), TIMEOUT_S)
                if isinstance(answer, CallFailed):
                    logger.warning("callback failed: %s", answer.text)
                elif answer.status >= 400:
                    logger.warning("callback %s answered %d", url, answer.status)
        finally:
            del self._queues[client, url], self._tasks[client, url]

    async def settle(self, client: Client, timeout_s: float = SETTLE_S) -> None:
        """Waits a moment until what earlier turns of the client said has gone out.

        So a client's next turn does not overtake the notifications of the one before, as in the
        reference; but a slow receiver holds it for `timeout_s` at most.
        """
        if not self._tasks:
            return
        own = [task for key, task in self._tasks.items() if key[0] == client]
        if own:
            await asyncio.wait(own, timeout=timeout_s)

    async def finish(self, timeout_s: float) -> None:
        """Waits for what is on its way, but not for ever."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks.values()), timeout=timeout_s)


def jobs_of(ask: Ask, result: Result) -> tuple[NewJob, ...]:
    """What a turn has to tell where that is tried more than once: a job each."""
    if not ask.notice_retries:
        return ()
    return tuple(
        NewJob(
            NOTIFY,
            {"url": url, "body": body.decode()},
            client=ask.client,
            max_attempts=ask.notice_retries + 1,
        )
        for url, bodies in _addressed(ask, result)
        for body in bodies
    )


def _addressed(ask: Ask, result: Result) -> Iterator[tuple[str, list[bytes]]]:
    if ask.callback_url:
        yield ask.callback_url, notifications(ask, result, end=True)
    if ask.webhook_url:
        yield ask.webhook_url, notifications(ask, result, end=ask.end_notice)


def notifications(ask: Ask, result: Result, *, end: bool) -> list[bytes]:
    """One body a message; a last one without messages when the conversation ended by itself.

    A fatal error tells the end in its own body, and so does a switch to another bot.
    """
    turn = result.turn
    bodies = []
    for span in result.spans:
        sent = span.sent
        tells_end = turn.is_failed if span is result.spans[-1] else True
        for number, message in enumerate(sent, 1):
            is_end = tells_end and number == len(sent)
            bodies.append(_body(ask, turn, span, [message], is_end=is_end))
    if end and turn.conversation_end and not turn.is_failed:
        bodies.append(_body(ask, turn, result.spans[-1], [], is_end=True))
    return bodies


def _body(ask: Ask, turn: Turn, span: Span, messages: list[Message], *, is_end: bool) -> bytes:
    client: JsonObject = dict(ask.shown(span.client)._asdict())
    said: list[Json] = [
        {
            "payload": message.payload,
            "interaction_order": message.interaction_order,
            "conversation_id": message.conversation_id,
            "direction": "SEND",
        }
        for message in messages
    ]
    return msgspec.json.encode(
        {
            "messages": said,
            "conversation_end": is_end,
            "request_id": turn.request_id,
            "received_at": iso_ms(turn.received_at),
            "client": client,
        }
    )
