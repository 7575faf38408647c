"""The runner on PostgreSQL: procrastinate's worker, in any number of processes.

procrastinate fetches, locks, retries, listens for new jobs and beats the heart; jobs are deferred
by its SQL function inside the turn's own transaction (`add_job` in queries.postgresql.sql). Added
here: our tasks, what a failure leaves for the operator to read, and the take-over of jobs whose
worker gives no sign of life, which procrastinate leaves to its users.

A worker ends when its database does; `run` starts another until it is told to stop.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, LiteralString, Protocol

import procrastinate
import procrastinate.exceptions
import psycopg
from procrastinate import sql
from procrastinate.job_context import AbortReason
from psycopg_pool import PoolTimeout

from palaver.errors import PalaverError, StorageError
from palaver.jobs.embedded import pause_after, told
from palaver.jobs.protocol import RetryPolicy, Task, Tasks
from palaver.model import Job, JobStatus

if TYPE_CHECKING:
    from procrastinate.jobs import Job as StoredJob

logger = logging.getLogger(__name__)

HEARTBEAT_S = 3.0
"""How often a worker gives a sign of life."""

SILENT_S = 15
"""After so long without one its jobs are another's."""

LOOK_S = 5.0
"""How often is looked for such jobs, and for those to be broken off."""

DUE_S = 1.0
"""How often is looked for jobs that have become due: the database tells of new ones only."""

RESTART_S, RESTART_MAX_S = 1.0, 30.0
"""Pauses between workers when the database is gone."""

CONCURRENCY = 8
STOP_S = 5.0


class WorkerStore(Protocol):
    """What the worker asks of our own storage."""

    def job_arguments(self, stored: str) -> dict[str, Any]: ...

    async def take_over_jobs(self, silent_s: int, attempts: int) -> int: ...

    async def mend_times(self, silent_s: int) -> None: ...

    async def purge_jobs(self) -> None: ...

    async def note_job_error(self, job_id: int, error: str) -> datetime | None: ...

    async def free_job_key(self, job_id: int) -> None: ...


class ProcrastinateRunner:
    """`jobs.protocol.Runner` by procrastinate.

    Args:
        conninfo: of a database with our schema, which includes procrastinate's.
        stop_s: how long `stop` waits for jobs that run.
    """

    def __init__(
        self,
        conninfo: str,
        store: WorkerStore,
        tasks: Tasks,
        *,
        chance: random.Random | None = None,
        concurrency: int = CONCURRENCY,
        silent_s: int = SILENT_S,
        stop_s: float = STOP_S,
    ) -> None:
        # It logs every job, failures with tracebacks; we say ourselves what an operator needs.
        logging.getLogger("procrastinate").setLevel(logging.CRITICAL + 1)
        self._conninfo = conninfo
        self._store = store
        self._tasks = tasks
        self._chance = chance or random.SystemRandom()
        self._concurrency = concurrency
        self._silent_s = silent_s
        self._stop_s = stop_s
        self._is_stopping = asyncio.Event()
        self._working: asyncio.Task[None] | None = None
        self._retry = _Retry(tasks, self._chance)

    def wake(self) -> None:
        """The database tells the workers itself."""

    async def run(self) -> None:
        pause_s = RESTART_S
        upkeep = asyncio.create_task(self._keep_up())
        try:
            while not self._is_stopping.is_set():
                self._working = asyncio.create_task(self._work())
                await asyncio.wait([self._working])
                if self._is_stopping.is_set():
                    break
                error = None if self._working.cancelled() else self._working.exception()
                if error is not None and not isinstance(error, _TROUBLES):
                    logger.error("the worker failed", exc_info=error)
                else:
                    logger.warning("jobs have to wait: %s", error or "the database went away")
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._is_stopping.wait(), pause_s)
                pause_s = min(2 * pause_s, RESTART_MAX_S)
        finally:
            upkeep.cancel()
            if self._working is not None and not self._working.done():
                self._working.cancel()
                await asyncio.wait([self._working])

    async def stop(self, timeout_s: float) -> None:
        self._is_stopping.set()
        working = self._working
        if working is not None and not working.done():
            working.cancel()
            await asyncio.wait([working], timeout=timeout_s + 1)

    async def _work(self) -> None:
        connector = _Connector(
            self._lost_end, conninfo=self._conninfo, min_size=1, max_size=4, timeout=10.0
        )
        app = procrastinate.App(connector=connector)
        for task in self._tasks:
            self._register(app, task)
        async with app.open_async():
            await app.run_worker_async(
                concurrency=self._concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=DUE_S,
                abort_job_polling_interval=LOOK_S,
                shutdown_graceful_timeout=self._stop_s,
                delete_jobs="successful",
                update_heartbeat_interval=HEARTBEAT_S,
                stalled_worker_timeout=self._silent_s,
            )

    def _lost_end(self, error: Exception) -> None:
        """This worker, while it lives, would hold the job for ever: another one is started."""
        logger.warning("the end of a job could not be stored; it is run again: %s", told(error))
        if self._working is not None:
            self._working.cancel()

    async def _keep_up(self) -> None:
        while True:
            try:
                await self._store.mend_times(self._silent_s)
                taken = await self._store.take_over_jobs(self._silent_s, RetryPolicy().attempts)
                if taken:
                    logger.warning("%d jobs of workers that died are run again", taken)
                await self._store.purge_jobs()
            except StorageError as error:
                logger.warning("jobs of dead workers cannot be looked for: %s", error)
            await asyncio.sleep(LOOK_S * (1 + 0.2 * self._chance.random()))

    # --- tasks -------------------------------------------------------------------------------

    def _register(self, app: procrastinate.App, task: Task) -> None:
        if task.every_s is None:
            app.task(name=task.name, pass_context=True, retry=self._retry)(self._function(task))
            return
        periodic = app.task(
            name=task.name, pass_context=True, lock=task.name, queueing_lock=task.name
        )(self._periodic_function(task))
        app.periodic(cron=f"*/{max(1, task.every_s // 60)} * * * *")(periodic)

    def _function(self, task: Task) -> Any:
        async def run(context: procrastinate.JobContext, **stored: Any) -> None:
            job = self._job(context.job)
            try:
                if job.key is not None:
                    await self._store.free_job_key(job.id)
                await task.function(job)
            except asyncio.CancelledError:
                if context.abort_reason() is AbortReason.USER_REQUEST:
                    logger.warning("job %d (%s) was cancelled", job.id, job.task)
                    raise procrastinate.exceptions.JobAborted from None
                raise
            except Exception as error:
                await self._failed(job, error)
                raise

        return run

    def _periodic_function(self, task: Task) -> Any:
        async def run(context: procrastinate.JobContext, **timestamp: Any) -> None:
            try:
                await task.function(self._job(context.job))
            except Exception as error:
                logger.warning("task %s failed, and is run again later: %s", task.name, told(error))

        return run

    def _job(self, stored: StoredJob) -> Job:
        kwargs = stored.task_kwargs
        arguments = kwargs.get("arguments")
        return Job(
            stored.id or 0,
            stored.task_name,
            {} if arguments is None else self._store.job_arguments(str(arguments)),
            JobStatus.RUNNING,
            stored.attempts,
            stored.queue,
            stored.lock,
            stored.queueing_lock,
            stored.scheduled_at,
            _most(stored),
        )

    async def _failed(self, job: Job, error: Exception) -> None:
        text = told(error)
        if pause_after(self._tasks, job, error, self._chance) is None:
            report = None if isinstance(error, PalaverError) else error  # a mistake of ours
            logger.error("job %d (%s) is dead: %s", job.id, job.task, text, exc_info=report)
        else:
            logger.warning("job %d (%s) will be run again: %s", job.id, job.task, text)
        with suppress(StorageError):
            self._retry.failed_at[job.id] = await self._store.note_job_error(job.id, text)


class _Connector(procrastinate.PsycopgConnector):
    """Tells when the connection was lost over a job's end, which procrastinate does not.

    Args:
        on_lost: told of the error.
    """

    def __init__(self, on_lost: Callable[[Exception], None], **options: Any) -> None:
        super().__init__(**options)
        self._on_lost = on_lost

    async def execute_query_async(self, query: LiteralString, **arguments: Any) -> None:
        try:
            await super().execute_query_async(query, **arguments)
        except procrastinate.exceptions.ConnectorException as error:
            if query not in _ENDS:
                raise
            self._on_lost(error)


_ENDS: Final = frozenset({sql.queries["finish_job"], sql.queries["retry_job"]})

_TROUBLES = (procrastinate.exceptions.ConnectorException, psycopg.Error, PoolTimeout, OSError)
"""How a database that is gone shows."""


def _most(stored: StoredJob) -> int | None:
    most = stored.task_kwargs.get("max_attempts")
    return most if isinstance(most, int) else None


_AT_ONCE = datetime.fromtimestamp(0, UTC)


class _Retry(procrastinate.BaseRetryStrategy):
    """Our policies in procrastinate's words.

    Attributes:
        failed_at: when jobs failed just now, by the database's clock: the clock of this machine
            may be another, and jobs are due by the database's.
    """

    def __init__(self, tasks: Tasks, chance: random.Random) -> None:
        self._tasks = tasks
        self._chance = chance
        self.failed_at: dict[int, datetime | None] = {}

    def get_retry_decision(
        self, *, exception: BaseException, job: StoredJob
    ) -> procrastinate.RetryDecision | None:
        if isinstance(exception, asyncio.CancelledError):  # the worker stops, the job goes on
            return procrastinate.RetryDecision(retry_at=_AT_ONCE)
        counted = Job(
            job.id or 0,
            job.task_name,
            {},
            JobStatus.RUNNING,
            job.attempts,
            max_attempts=_most(job),
        )
        now = self.failed_at.pop(counted.id, None) or datetime.now(UTC)
        pause_s = pause_after(self._tasks, counted, exception, self._chance)
        if pause_s is None:
            return None
        return procrastinate.RetryDecision(retry_at=now + timedelta(seconds=pause_s))
