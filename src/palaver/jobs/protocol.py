"""What jobs are to those who ask for them and to those who run them.

A job is run at least once: it may have run in part, or whole, when it is run again. What it does
to a conversation is done exactly once, for its id is the repeat key of its turn. Jobs of one
client, or of one lock, run one at a time and in order.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from palaver.errors import JobError
from palaver.model import Job, JobStatus, NewJob

__all__ = [
    "EVENT",
    "EXPIRE",
    "NOTIFY",
    "AlreadyQueued",
    "Job",
    "JobAborted",
    "JobStatus",
    "JobUnknown",
    "NewJob",
    "Queue",
    "RetryPolicy",
    "Runner",
    "Task",
    "TaskUnknown",
    "Tasks",
]

EVENT: Final = "event"
"""Gives a client an event, as if it had sent one. Arguments: see `services.events`."""

EXPIRE: Final = "expire"
"""Deletes what has expired. No arguments."""

NOTIFY: Final = "notify"
"""Posts one notification. Arguments: `{"url": str, "body": str}`."""


class AlreadyQueued(JobError):
    """A job waits under this key already; it will do what this one was to do."""


class TaskUnknown(JobError):
    """No task has this name: the job is of another version of this program."""


class JobUnknown(JobError):
    """No job has this id, or not in the status that the change needs."""


class JobAborted(JobError):
    """Raised by a task: trying again is of no use; the job is dead at once."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a job that failed is tried again.

    Attributes:
        attempts: how often it is tried in all; then it is dead.
        first_s: seconds before the second attempt; each further pause is `factor` times longer.
        longest_s: no pause is longer.
        jitter: the share of a pause that chance may add, so that what failed together does not
            come back together.
    """

    attempts: int = 10
    first_s: float = 1.0
    factor: float = 2.0
    longest_s: float = 600.0
    jitter: float = 0.25

    def pause_s(self, failed: int, chance: random.Random) -> float:
        """Seconds until the next attempt after `failed` (at least 1) attempts."""
        exponent = min(failed - 1, 64)  # more than that is beyond every `longest_s`
        pause: float = min(self.first_s * self.factor**exponent, self.longest_s)
        return pause * (1 + self.jitter * chance.random())


TaskFunction: TypeAlias = Callable[[Job], Awaitable[None]]
"""Does the job. Whatever it raises makes the attempt a failure."""


@dataclass(frozen=True, slots=True)
class Task:
    """A function that jobs run, by name.

    Attributes:
        every_s: it is also run by itself, so often, by one of all processes at a time; whole
            minutes. Such a run is not tried again, for the next one comes anyway.
    """

    name: str
    function: TaskFunction
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    every_s: int | None = None

    def attempts_of(self, job: Job) -> int:
        return self.retry.attempts if job.max_attempts is None else job.max_attempts


class Tasks:
    """The tasks that a program knows, by name."""

    def __init__(self, tasks: Iterable[Task] = ()) -> None:
        self._tasks = {task.name: task for task in tasks}

    def find(self, name: str) -> Task:
        """Raises: TaskUnknown."""
        found = self._tasks.get(name)
        if found is None:
            raise TaskUnknown(f"no task is called {name!r}: was it enqueued by a newer palaver?")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._tasks

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())


class Queue(Protocol):
    """Where jobs wait. In a turn they are enqueued by `storage.protocol.TurnWrite.jobs`."""

    async def enqueue(self, job: NewJob) -> None:
        """Stores a job, in a transaction of its own.

        Raises:
            TaskUnknown: nobody could run it.
            AlreadyQueued: a job waits under its key.
        """
        ...

    async def list(
        self, status: JobStatus | None = None, *, limit: int = 100, after: int = 0
    ) -> tuple[Job, ...]:
        """By id, oldest first, those with an id above `after`."""
        ...

    async def retry(self, job_id: int) -> None:
        """A dead job waits again, with all its attempts. Raises: JobUnknown."""
        ...

    async def cancel(self, job_id: int) -> None:
        """Deletes a job; one that runs is stopped within seconds. Raises: JobUnknown."""
        ...


class Runner(Protocol):
    """Runs jobs in this process."""

    async def run(self) -> None:
        """Until `stop`; survives a database that is gone for a while."""
        ...

    async def stop(self, timeout_s: float) -> None:
        """Takes no more jobs and waits for those that run; what still runs then is broken off,
        and waits to be run again."""
        ...

    def wake(self) -> None:
        """A job was enqueued in this process."""
        ...
