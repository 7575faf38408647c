"""What surrounds procrastinate, by a database whose clock was set: to what is stored, setting the
clock back is the same as a later time in all of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from palaver.jobs.procrastinate import ProcrastinateRunner
from palaver.jobs.protocol import RetryPolicy, Task, Tasks
from palaver.model import Job, JobStatus, NewJob
from palaver.storage.urls import open_storage

pytestmark = pytest.mark.anyio

PATIENCE_S = 60
"""Only what never comes takes so long."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def store(postgres_url: str, anyio_backend: str) -> AsyncIterator[Any]:
    store = open_storage(postgres_url)
    await store.open()
    yield store
    await store.close()


def change(url: str, sql: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())


async def job_when(store: Any, status: JobStatus) -> Job:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := await store.list_jobs(status, limit=1)):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    job: Job = found[0]
    return job


class Working:
    """A runner for as long as the block."""

    def __init__(self, url: str, store: Any, task: Task) -> None:
        self.runner = ProcrastinateRunner(url, store, Tasks([task]), stop_s=0.2)

    async def __aenter__(self) -> None:
        self.task = asyncio.create_task(self.runner.run())

    async def __aexit__(self, *_: object) -> None:
        await self.runner.stop(0.2)
        await asyncio.wait([self.task], timeout=PATIENCE_S)


async def test_a_dead_worker_is_found_out_after_the_clock_was_set_back(
    postgres_url: str, store: Any
) -> None:
    await store.add_job(NewJob("do"))
    change(
        postgres_url,
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() + interval '1 day');"
        "UPDATE procrastinate_jobs SET status = 'doing',"
        " worker_id = (SELECT max(id) FROM procrastinate_workers)",
    )
    silent_s = PATIENCE_S
    await store.mend_times(silent_s)
    assert await store.take_over_jobs(silent_s, 5) == 0, "it may be alive"
    change(
        postgres_url,
        "UPDATE procrastinate_workers"
        f" SET last_heartbeat = last_heartbeat - interval '{silent_s + 1} seconds'",
    )
    await store.mend_times(silent_s)
    assert await store.take_over_jobs(silent_s, 5) == 1
    assert (await job_when(store, JobStatus.WAITING)).attempts == 1


async def test_a_retry_waits_by_the_databases_clock(
    postgres_url: str, store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import palaver.jobs.procrastinate as module

    class Ahead(module.datetime):  # type: ignore[misc]
        """The clock of this machine is a day ahead of the database's."""

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return super().now(tz) + timedelta(days=1)

    monkeypatch.setattr(module, "datetime", Ahead)
    times: list[float] = []

    async def fail_once(job: Job) -> None:
        times.append(asyncio.get_running_loop().time())
        if len(times) == 1:
            raise OSError("not today")

    await store.add_job(NewJob("do"))
    task = Task("do", fail_once, RetryPolicy(attempts=2, first_s=1.5, jitter=0))
    async with Working(postgres_url, store, task), asyncio.timeout(PATIENCE_S):
        while await store.list_jobs(limit=1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert times[1] - times[0] >= 1.4


async def test_a_retry_from_before_the_clock_was_set_back_is_due(
    postgres_url: str, store: Any
) -> None:
    for _ in range(2):
        await store.add_job(NewJob("do"))
    change(
        postgres_url,
        "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 day';"
        "UPDATE procrastinate_jobs SET attempts = 1"
        " WHERE id = (SELECT min(id) FROM procrastinate_jobs)",
    )
    await store.mend_times(15)
    failed, planned = await store.list_jobs(limit=9)
    assert failed.run_at is None
    assert planned.run_at is not None, "its time is its time"


async def test_a_job_whose_end_is_lost_with_its_connection_is_run_again(
    postgres_url: str, store: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    import palaver.jobs.procrastinate as module

    monkeypatch.setattr(module, "RESTART_S", 0.1)
    monkeypatch.setattr(module, "LOOK_S", 0.1)
    runs: list[int] = []

    async def do(job: Job) -> None:
        runs.append(job.id)

    change(
        postgres_url,
        "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN OLD; END $$;"
        "CREATE TRIGGER cut BEFORE DELETE ON procrastinate_jobs"
        " FOR EACH ROW WHEN (OLD.attempts = 0) EXECUTE FUNCTION cut()",
    )
    try:
        await store.add_job(NewJob("do"))
        async with Working(postgres_url, store, Task("do", do)), asyncio.timeout(PATIENCE_S):
            while await store.list_jobs(limit=1):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    finally:
        change(postgres_url, "DROP FUNCTION cut CASCADE")
    assert len(runs) == 2
    assert [r.getMessage() for r in caplog.records if "end of a job" in r.getMessage()]
    gc.collect()  # what nobody looked at is told of then
    assert not [record for record in caplog.records if record.name == "asyncio"]
