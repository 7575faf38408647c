"""The runner inside the process that serves, where nobody else writes (SQLite, memory).

    round: start the periodic tasks that are due; take jobs while there is room, each as a task of
    its own; sleep until the next job is due, a lease ends, somebody calls `wake`, or LOOK_S have
    passed (a command of the operator's in another process wakes nobody).

A job is held by a lease that is extended while it runs. When its process dies the lease ends, and
the next process takes the job over. A lease that cannot be extended, for the job was cancelled or
taken over, breaks the job off.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from datetime import datetime, timedelta

from palaver.errors import PalaverError, StorageError
from palaver.jobs.protocol import JobAborted, Task, Tasks
from palaver.model import Job, JobStatus
from palaver.storage.protocol import LeasedJobs
from palaver.types import Clock

logger = logging.getLogger(__name__)

LEASE_S = 10.0
"""How long a job stays with a worker that died."""

RENEW_S = 3.0
"""How often a lease is extended; two may fail before it is lost."""

LOOK_S = 5.0
"""The longest time between two looks."""

CONCURRENCY = 8
"""Jobs that run at once."""

ERROR_CHARACTERS = 500
"""Of an error, what is kept with the job."""


class EmbeddedRunner:
    """`jobs.protocol.Runner` over leases.

    Args:
        chance: where jitter comes from.
    """

    def __init__(
        self,
        store: LeasedJobs,
        tasks: Tasks,
        clock: Clock,
        *,
        chance: random.Random | None = None,
        concurrency: int = CONCURRENCY,
        lease_s: float = LEASE_S,
        renew_s: float = RENEW_S,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._clock = clock
        self._chance = chance or random.SystemRandom()
        self._concurrency = concurrency
        self._lease = timedelta(seconds=lease_s)
        self._renew_s = renew_s
        self._owner = os.urandom(16)
        self._running: set[asyncio.Task[None]] = set()
        self._periodic: dict[str, asyncio.Task[None]] = {}
        self._next: dict[str, datetime] = {}
        self._woken = asyncio.Event()
        self._is_stopping = False

    def wake(self) -> None:
        self._woken.set()

    async def run(self) -> None:
        while not self._is_stopping:
            self._woken.clear()
            pause_s = LOOK_S
            try:
                pause_s = min(LOOK_S, await self.start_due())
            except StorageError as error:
                logger.warning("jobs have to wait: %s", error)
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                pass

    async def stop(self, timeout_s: float) -> None:
        self._is_stopping = True
        self._woken.set()
        running = {*self._running, *self._periodic.values()}
        if running:
            _, late = await asyncio.wait(running, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    # --- a round -----------------------------------------------------------------------------

    async def start_due(self) -> float:
        """Starts all that is due, as far as there is room; seconds until more may be."""
        moments = self._start_periodic(self._clock.now())
        while len(self._running) < self._concurrency and not self._is_stopping:
            now = self._clock.now()
            job = await self._store.take_job(self._owner, now, now + self._lease)
            if job is None:
                at = await self._store.next_job_at(now)
                moments += [] if at is None else [at]
                break
            task = asyncio.create_task(self._run(job), name=f"job {job.id}: {job.task}")
            self._running.add(task)
            task.add_done_callback(self._ended)
        now = self._clock.now()
        return max(0.0, min(((at - now).total_seconds() for at in moments), default=LOOK_S))

    async def settle(self) -> None:
        """Waits for what runs now."""
        running = {*self._running, *self._periodic.values()}
        if running:
            await asyncio.wait(running)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._woken.set()  # there is room, and the next job of its lock may go
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: the runner failed", task.get_name(), exc_info=error)

    def _start_periodic(self, now: datetime) -> list[datetime]:
        """Runs those that are due, each for the first time after its own pause."""
        for task in self._tasks:
            if task.every_s is None:
                continue
            pause = timedelta(seconds=task.every_s)
            due = self._next.setdefault(task.name, now + pause)
            if due - now > pause:  # the clock was set back
                self._next[task.name] = due = now + pause
            if due <= now and task.name not in self._periodic:
                self._next[task.name] = now + pause
                run = asyncio.create_task(self._run_periodic(task))
                self._periodic[task.name] = run
        return list(self._next.values())

    async def _run_periodic(self, task: Task) -> None:
        try:
            await task.function(Job(0, task.name, {}, JobStatus.RUNNING, 0))
        except Exception as error:
            logger.warning("task %s failed, and is run again later: %s", task.name, told(error))
        finally:
            del self._periodic[task.name]

    # --- a job -------------------------------------------------------------------------------

    async def _run(self, job: Job) -> None:
        """Runs one job that is ours, and says what became of it."""
        store, owner = self._store, self._owner
        work = asyncio.create_task(self._work(job))
        renewing = asyncio.create_task(self._keep(job, work))
        try:
            await asyncio.wait([work])
            error = asyncio.CancelledError() if work.cancelled() else work.exception()
        except asyncio.CancelledError:  # `stop` waits no longer
            work.cancel()
            await asyncio.wait([work])
            renewing.cancel()
            await store.postpone_job(job.id, owner, self._clock.now(), None)
            raise
        finally:
            renewing.cancel()
        try:
            if error is None:
                await store.finish_job(job.id, owner)
            elif isinstance(error, asyncio.CancelledError):
                logger.warning("job %d (%s) was cancelled", job.id, job.task)
                await store.postpone_job(job.id, owner, self._clock.now(), None)
            else:
                await self._failed(job, error)
        except StorageError as trouble:
            logger.warning("job %d (%s) will be run again: %s", job.id, job.task, trouble)

    async def _work(self, job: Job) -> None:
        task = self._tasks.find(job.task)
        if job.attempts >= task.attempts_of(job):
            raise JobAborted("its workers died")
        await task.function(job)

    async def _failed(self, job: Job, error: BaseException) -> None:
        text = told(error)
        pause_s = pause_after(self._tasks, job, error, self._chance)
        if pause_s is None:
            report = None if isinstance(error, PalaverError) else error  # a mistake of ours
            logger.error("job %d (%s) is dead: %s", job.id, job.task, text, exc_info=report)
            await self._store.bury_job(job.id, self._owner, text)
        else:
            logger.warning("job %d (%s) again in %.1f s: %s", job.id, job.task, pause_s, text)
            run_at = self._clock.now() + timedelta(seconds=pause_s)
            await self._store.postpone_job(job.id, self._owner, run_at, text)

    async def _keep(self, job: Job, work: asyncio.Task[None]) -> None:
        """Extends the lease until the work is done; breaks the work off when the lease is lost."""
        while True:
            await asyncio.sleep(self._renew_s)
            try:
                until = self._clock.now() + self._lease
                if not await self._store.extend_job(job.id, self._owner, until):
                    work.cancel()
                    return
            except StorageError as error:
                logger.warning("job %d (%s): lease not extended: %s", job.id, job.task, error)


def pause_after(
    tasks: Tasks, job: Job, error: BaseException, chance: random.Random
) -> float | None:
    """Seconds until the next attempt of a job that failed once more; None: it is dead."""
    task = tasks.find(job.task) if job.task in tasks else None
    failed = job.attempts + 1
    if task is None or isinstance(error, JobAborted) or failed >= task.attempts_of(job):
        return None
    return task.retry.pause_s(failed, chance)


def told(error: BaseException) -> str:
    """One line about an error. Of those that are not ours, the kind too."""
    text = " ".join(str(error).split())[:ERROR_CHARACTERS]
    return text if isinstance(error, PalaverError) and text else f"{type(error).__name__}: {text}"
