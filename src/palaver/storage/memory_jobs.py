"""The reference of jobs: what `storage.protocol.LeasedJobs` means, in a dict."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from msgspec.structs import replace

from palaver.model import Client, Job, JobStatus, NewJob, QueueFigures
from palaver.storage.protocol import FARTHEST_RETRY


@dataclass(slots=True)
class _Record:
    job: Job
    client: Client | None
    queued_at: datetime
    owner: bytes | None = None
    until: datetime | None = None

    def is_locked_by(self, other: _Record) -> bool:
        if self.job.lock is None or other.job.lock != self.job.lock or other is self:
            return False
        running, waiting = JobStatus.RUNNING, JobStatus.WAITING
        status = other.job.status
        return status is running or (status is waiting and other.job.id < self.job.id)


class MemoryJobs:
    """Jobs that end with the process."""

    def __init__(self) -> None:
        self._jobs: dict[int, _Record] = {}
        self._job_numbers = count(1)

    async def add_job(self, job: NewJob) -> bool:
        waiting = (r.job.key for r in self._jobs.values() if r.job.status is JobStatus.WAITING)
        if job.key is not None and job.key in waiting:
            return False
        lock = f"client {job.client!r}" if job.client is not None else job.lock
        number = next(self._job_numbers)
        self._jobs[number] = _Record(
            Job(
                number,
                job.task,
                deepcopy(job.arguments),
                JobStatus.WAITING,
                0,
                job.queue,
                lock,
                job.key,
                job.run_at,
                job.max_attempts,
            ),
            job.client,
            datetime.now(UTC),
        )
        return True

    async def list_jobs(
        self, status: JobStatus | None = None, *, limit: int, after: int = 0
    ) -> tuple[Job, ...]:
        found = [
            record.job
            for number, record in self._jobs.items()
            if number > after and status in (None, record.job.status)
        ]
        return tuple(found[:limit])

    async def jobs_of_client(self, client: Client) -> tuple[Job, ...]:
        return tuple(r.job for r in self._jobs.values() if r.client == client)

    async def job_figures(self, now: datetime) -> tuple[QueueFigures, ...]:
        found = []
        for queue in sorted({record.job.queue for record in self._jobs.values()}):
            records = [r for r in self._jobs.values() if r.job.queue == queue]
            statuses = [r.job.status for r in records]
            lags = [
                (now - (r.job.run_at or r.queued_at)).total_seconds()
                for r in records
                if r.job.status is JobStatus.WAITING
            ]
            waiting, running, dead = (statuses.count(status) for status in JobStatus)
            found.append(QueueFigures(queue, waiting, running, dead, max(0.0, *lags, 0.0)))
        return tuple(found)

    async def revive_job(self, job_id: int) -> bool:
        record = self._jobs.get(job_id)
        if record is None or record.job.status is not JobStatus.DEAD:
            return False
        record.job = replace(record.job, status=JobStatus.WAITING, attempts=0, run_at=None)
        record.queued_at = datetime.now(UTC)
        return True

    async def cancel_job(self, job_id: int) -> bool:
        return self._jobs.pop(job_id, None) is not None

    def delete_jobs_of(self, client: Client) -> None:
        self._jobs = {n: r for n, r in self._jobs.items() if r.client != client}

    # --- leases ------------------------------------------------------------------------------

    async def take_job(self, owner: bytes, now: datetime, until: datetime) -> Job | None:
        for record in self._jobs.values():
            job = record.job
            is_due = job.status is JobStatus.WAITING and (
                job.run_at is None
                or job.run_at <= now
                or (job.attempts > 0 and job.run_at > now + FARTHEST_RETRY)
            )
            is_abandoned = (
                job.status is JobStatus.RUNNING
                and record.until is not None
                and not now < record.until <= until
                and record.owner != owner
            )
            if not (is_due or is_abandoned):
                continue
            if any(record.is_locked_by(other) for other in self._jobs.values()):
                continue
            failed = job.attempts + is_abandoned
            record.owner, record.until = owner, until
            record.job = replace(job, status=JobStatus.RUNNING, attempts=failed, key=None)
            return deepcopy(record.job)
        return None

    async def next_job_at(self, now: datetime) -> datetime | None:
        moments = [
            record.job.run_at if record.job.status is JobStatus.WAITING else record.until
            for record in self._jobs.values()
        ]
        return min((at for at in moments if at is not None and at > now), default=None)

    async def extend_job(self, job_id: int, owner: bytes, until: datetime) -> bool:
        record = self._held(job_id, owner)
        if record is not None:
            record.until = until
        return record is not None

    async def finish_job(self, job_id: int, owner: bytes) -> bool:
        return self._held(job_id, owner) is not None and await self.cancel_job(job_id)

    async def postpone_job(
        self, job_id: int, owner: bytes, run_at: datetime, error: str | None
    ) -> bool:
        record = self._let_go(job_id, owner)
        if record is None:
            return False
        job = record.job
        failed = job.attempts + (error is not None)
        record.job = replace(
            job,
            status=JobStatus.WAITING,
            attempts=failed,
            run_at=run_at,
            error=job.error if error is None else error,
        )
        return True

    async def bury_job(self, job_id: int, owner: bytes, error: str) -> bool:
        record = self._let_go(job_id, owner)
        if record is None:
            return False
        failed = record.job.attempts + 1
        record.job = replace(record.job, status=JobStatus.DEAD, attempts=failed, error=error)
        return True

    def _held(self, job_id: int, owner: bytes) -> _Record | None:
        record = self._jobs.get(job_id)
        return record if record is not None and record.owner == owner else None

    def _let_go(self, job_id: int, owner: bytes) -> _Record | None:
        record = self._held(job_id, owner)
        if record is not None:
            record.owner = record.until = None
        return record
