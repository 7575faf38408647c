"""Jobs in SQL: a table of ours on SQLite, procrastinate's on PostgreSQL, told apart by queries.

What takes jobs by a lease (`storage.protocol.LeasedJobs`) is SQLite's alone; on PostgreSQL
procrastinate's worker does that, and asks here for what it does not do itself.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from palaver.model import Client, Job, JobStatus, NewJob, QueueFigures
from palaver.storage.cipher import Cipher
from palaver.storage.protocol import FARTHEST_RETRY
from palaver.storage.sql.base import SqlPart
from palaver.storage.sql.driver import Parameters, Row
from palaver.storage.sql.rows import (
    client_key,
    json_from_value,
    time_from_optional,
    time_from_us,
    us_from_optional,
    us_from_time,
    value_from_json,
)


class SqlJobs(SqlPart):
    """`storage.protocol.LeasedJobs` in SQL."""

    # --- enqueueing and listing --------------------------------------------------------------

    async def add_job(self, job: NewJob) -> bool:
        sql, row = self._sql["add_job"], row_from_job(job, self._cipher)
        if job.client is not None:
            known = (client_key(job.client), *job.client)
            await self._driver.write([(self._sql["ensure_client_of_job"], [known])])
        if self._driver.is_shared:
            return bool(await self._driver.read(sql, row))
        return await self._driver.write([(sql, [row])]) > 0

    async def list_jobs(
        self, status: JobStatus | None = None, *, limit: int, after: int = 0
    ) -> tuple[Job, ...]:
        parameters = ("" if status is None else status.value, after, limit)
        rows = await self._driver.read(self._sql["list_jobs"], parameters)
        return tuple(self._job_from_row(row) for row in rows)

    async def jobs_of_client(self, client: Client) -> tuple[Job, ...]:
        rows = await self._driver.read(self._sql["jobs_of_client"], (client_lock(client),))
        return tuple(self._job_from_row(row) for row in rows)

    async def job_figures(self, now: datetime) -> tuple[QueueFigures, ...]:
        parameters = () if self._driver.is_shared else (us_from_time(now),)
        rows = await self._driver.read(self._sql["job_figures"], parameters)
        return tuple(
            QueueFigures(queue, waiting, running, dead, lag_us / 1e6)
            for queue, waiting, running, dead, lag_us in rows
        )

    async def revive_job(self, job_id: int) -> bool:
        return await self._change_job("revive_job", (job_id,))

    async def cancel_job(self, job_id: int) -> bool:
        if await self._change_job("cancel_job", (job_id,)):
            return True
        return self._driver.is_shared and await self._change_job("abort_job", (job_id,))

    # --- leases (SQLite) ---------------------------------------------------------------------

    async def take_job(self, owner: bytes, now: datetime, until: datetime) -> Job | None:
        now_us, until_us = us_from_time(now), us_from_time(until)
        due = (now_us, owner, until_us, us_from_time(now + FARTHEST_RETRY))
        while True:
            rows = await self._driver.read(self._sql["due_job"], due)
            if not rows:
                return None
            job = self._job_from_row(rows[0])
            if await self._change_job("take_job", (job.id, owner, until_us, now_us)):
                failed = job.attempts + (job.status is JobStatus.RUNNING)
                return msgspec.structs.replace(job, status=JobStatus.RUNNING, attempts=failed)

    async def next_job_at(self, now: datetime) -> datetime | None:
        ((at_us,),) = await self._driver.read(self._sql["next_job"], (us_from_time(now),))
        return time_from_optional(at_us)

    async def extend_job(self, job_id: int, owner: bytes, until: datetime) -> bool:
        return await self._change_job("extend_job", (job_id, owner, us_from_time(until)))

    async def finish_job(self, job_id: int, owner: bytes) -> bool:
        return await self._change_job("finish_job", (job_id, owner))

    async def postpone_job(
        self, job_id: int, owner: bytes, run_at: datetime, error: str | None
    ) -> bool:
        return await self._change_job("postpone_job", (job_id, owner, us_from_time(run_at), error))

    async def bury_job(self, job_id: int, owner: bytes, error: str) -> bool:
        return await self._change_job("bury_job", (job_id, owner, error))

    # --- beside procrastinate (PostgreSQL) -----------------------------------------------------

    def job_arguments(self, stored: str) -> dict[str, object]:
        """What procrastinate keeps as `arguments`, opened."""
        found: dict[str, object] = value_from_json(self._cipher.unseal_text(stored))
        return found

    async def take_over_jobs(self, silent_s: int, attempts: int) -> int:
        """Those whose workers gave no sign for so long wait again; how many.

        Args:
            attempts: after how many a job is dead, where it does not say so itself.
        """
        unit = [(self._sql["take_over_jobs"], [(silent_s, attempts)])]
        return await self._driver.write(unit, is_long=True)

    async def mend_times(self, silent_s: int) -> None:
        """After the database's clock was set back: what it wrote before is in its future now.

        Dead workers would seem alive, and failed jobs wait, until the clock is there again.
        """
        retry_s = round(FARTHEST_RETRY.total_seconds())
        await self._driver.write(
            [
                (self._sql["mend_heartbeats"], [(silent_s,)]),
                (self._sql["mend_retries"], [(retry_s,)]),
            ],
            is_long=True,
        )

    async def purge_jobs(self) -> None:
        """Deletes what is over: jobs that were cancelled while they ran."""
        await self._driver.write([(self._sql["purge_jobs"], [()])], is_long=True)

    async def note_job_error(self, job_id: int, error: str) -> datetime | None:
        """Keeps why a job failed; what time the database has, None when the job is gone."""
        rows = await self._driver.read(self._sql["note_job_error"], (job_id, error))
        return time_from_us(rows[0][0]) if rows else None

    async def free_job_key(self, job_id: int) -> None:
        await self._change_job("free_job_key", (job_id,))

    async def _change_job(self, name: str, parameters: Parameters) -> bool:
        return await self._driver.write([(self._sql[name], [parameters])]) > 0

    def _job_from_row(self, row: Row) -> Job:
        job_id, task, stored, status, attempts, most, queue, lock, key, run_at, error = row
        return Job(
            job_id,
            task,
            value_from_json(self._cipher.unseal_text(stored)),
            JobStatus(status),
            attempts,
            queue,
            lock,
            key,
            time_from_optional(run_at),
            most,
            error,
        )


def row_from_job(job: NewJob, cipher: Cipher) -> Parameters:
    arguments = cipher.seal_text(json_from_value(job.arguments).decode())
    lock = client_lock(job.client) if job.client is not None else job.lock
    run_at = us_from_optional(job.run_at)
    return (job.task, arguments, job.max_attempts, job.queue, lock, job.key, run_at)


def client_lock(client: Client) -> str:
    """The lock of a client's jobs, by which they are erased with it."""
    return f"client {client_key(client).hex()}"
