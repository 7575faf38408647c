"""What jobs do: the tasks that need no more than a database and the outside."""

from __future__ import annotations

import logging
from typing import Protocol

from palaver.effects import CallFailed, HttpAnswer
from palaver.errors import PalaverError, StorageError
from palaver.jobs.protocol import EXPIRE, NOTIFY, Job, JobAborted, RetryPolicy, Task
from palaver.storage.protocol import Storage
from palaver.types import Clock

logger = logging.getLogger(__name__)

EXPIRE_EVERY_S = 60

NOTIFY_TIMEOUT_S = 5.0
"""How long a receiver may take for one notification. Spec: csml-studio-api §8."""

NOTIFY_RETRY = RetryPolicy(attempts=1, first_s=1.0, longest_s=600.0)
"""The number of attempts comes with each job."""


class Poster(Protocol):
    """Who posts (the engine's `Outbound`)."""

    async def post_json(
        self, url: str, body: bytes, timeout_s: float
    ) -> HttpAnswer | CallFailed: ...


class NotTaken(PalaverError):
    """A receiver did not take a notification."""


def expire_task(storage: Storage, clock: Clock) -> Task:
    """Purges expired conversations, messages, memories, states and clients, and old answers.

    Reading never shows them anyway; what fails is tried again next time.
    """

    async def expire(job: Job) -> None:
        try:
            purged = await storage.delete_expired(clock.now())
        except StorageError as error:
            logger.warning("expired data could not be deleted: %s", error)
        else:
            if purged:
                logger.info("%d expired rows deleted", purged)

    return Task(EXPIRE, expire, RetryPolicy(attempts=1), every_s=EXPIRE_EVERY_S)


def notify_task(poster: Poster) -> Task:
    """Posts a notification that is to be tried more than once."""

    async def notify(job: Job) -> None:
        url, body = job.arguments.get("url"), job.arguments.get("body")
        if not isinstance(url, str) or not isinstance(body, str):
            raise JobAborted("a notification needs url and body")
        answer = await poster.post_json(url, body.encode(), NOTIFY_TIMEOUT_S)
        if isinstance(answer, CallFailed):
            raise NotTaken(answer.text)
        if answer.status >= 300:
            raise NotTaken(f"{url} answered {answer.status}")

    return Task(NOTIFY, notify, NOTIFY_RETRY)
