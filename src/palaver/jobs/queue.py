"""The queue over whatever storage keeps jobs: one for all databases."""

from __future__ import annotations

from collections.abc import Callable, Container

from palaver.jobs.protocol import AlreadyQueued, JobUnknown, TaskUnknown
from palaver.model import Job, JobStatus, NewJob
from palaver.storage.protocol import Jobs


class StoredQueue:
    """`jobs.protocol.Queue`.

    Args:
        tasks: names that may be enqueued.
        on_enqueued: called when a job waits (wakes the runner of this process).
    """

    def __init__(
        self, store: Jobs, tasks: Container[str] = (), on_enqueued: Callable[[], None] | None = None
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._on_enqueued = on_enqueued or (lambda: None)

    async def enqueue(self, job: NewJob) -> None:
        if job.task not in self._tasks:
            raise TaskUnknown(f"no task is called {job.task!r}")
        if not await self._store.add_job(job):
            raise AlreadyQueued(f"a job waits under the key {job.key!r} already")
        self._on_enqueued()

    async def list(
        self, status: JobStatus | None = None, *, limit: int = 100, after: int = 0
    ) -> tuple[Job, ...]:
        return await self._store.list_jobs(status, limit=limit, after=after)

    async def retry(self, job_id: int) -> None:
        if not await self._store.revive_job(job_id):
            raise JobUnknown(f"no dead job has the id {job_id}; see `palaver jobs list`")
        self._on_enqueued()

    async def cancel(self, job_id: int) -> None:
        if not await self._store.cancel_job(job_id):
            raise JobUnknown(f"no job has the id {job_id}; see `palaver jobs list`")
