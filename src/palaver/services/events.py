"""Events that nobody sends: a job takes a turn of a client, exactly once.

The job's id is the repeat key of the turn, so a job that is run again after a crash finds the
answer of the turn that was stored, and takes none.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from palaver.engine.ask import Ask
from palaver.jobs.protocol import EVENT, JobAborted, NewJob, Task
from palaver.model import Client, Event, Job, Repeat, Turn
from palaver.services.bots import Bots
from palaver.services.chat import Chat
from palaver.storage.protocol import CLIENT_SCOPE
from palaver.types import Clock, JsonObject


class _Arguments(msgspec.Struct):
    client: Client
    content_type: str
    content: dict[str, Any]
    value: str
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


def event_job(client: Client, event: Event, metadata: JsonObject | None = None) -> NewJob:
    """The job that gives a client an event. `run_at` and `key` are the caller's to set."""
    arguments = _Arguments(client, event.content_type, event.content, event.value, metadata or {})
    return NewJob(EVENT, msgspec.to_builtins(arguments), client=client)


class Events:
    """Runs the jobs of `event_job`."""

    def __init__(self, bots: Bots, chat: Chat, clock: Clock) -> None:
        self._bots = bots
        self._chat = chat
        self._clock = clock

    def task(self) -> Task:
        return Task(EVENT, self.run)

    async def run(self, job: Job) -> None:
        """Raises: JobAborted: the bot is not served any more, or the arguments are no event."""
        try:
            given = msgspec.convert(job.arguments, _Arguments)
        except msgspec.ValidationError as error:
            raise JobAborted(f"no event: {error}") from error
        client = given.client
        bot = self._bots.find(client.bot_id)
        if bot is None:
            raise JobAborted(f"no bot {client.bot_id} is served")
        channel = bot.settings.studio
        request_id = str(UUID(int=job.id))

        async def prepare() -> Ask:
            return Ask(
                bot=bot.runnable,
                client=client,
                event=Event(given.content_type, given.content, given.value),
                request_id=request_id,
                received_at=self._clock.now(),
                metadata=given.metadata,
                webhook_url=channel.webhook,
                end_notice=channel.end_notice,
                notice_retries=channel.webhook_retries,
                shown_bot_id=bot.uuid,
            )

        scope = CLIENT_SCOPE + msgspec.json.encode(tuple(client)).decode()
        repeat = Repeat(scope, f"job {job.id}", "", strict=False)
        await self._chat.answer(client, prepare, _nothing, repeat=repeat)


def _nothing(turn: Turn) -> bytes:
    """Nobody waits for the answer; it is kept to know that the turn was taken."""
    return b"{}"
