"""What a queue promises, on every backend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from palaver.jobs.protocol import (
    AlreadyQueued,
    JobAborted,
    JobUnknown,
    RetryPolicy,
    Task,
    Tasks,
    TaskUnknown,
)
from palaver.model import Client, Job, JobStatus, NewJob
from palaver.storage.protocol import ClientWrite, TurnWrite

from .conftest import Backend

pytestmark = pytest.mark.anyio

ANN, BOB = Client("bot", "web", "ann"), Client("bot", "web", "bob")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
PATIENCE_S = 60
"""Only what never comes takes so long."""

QUICK = RetryPolicy(attempts=3, first_s=0.01, longest_s=0.02)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110 - workers tell nobody
            await asyncio.sleep(0.01)


async def jobs_that_are(backend: Backend, status: JobStatus, count: int = 1) -> tuple[Job, ...]:
    """Waits until there are so many."""
    async with asyncio.timeout(PATIENCE_S):
        while len(found := await backend.storage.list_jobs(status, limit=9)) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return found


async def no_job_is_left(backend: Backend) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await backend.storage.list_jobs(limit=9):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Done:
    """A task that remembers its jobs, and fails as often as it is told."""

    def __init__(self, failures: int = 0, error: type[Exception] = ValueError) -> None:
        self.jobs: list[Job] = []
        self.failures = failures
        self.error = error
        self.tasks = Tasks([Task("do", self.do, QUICK)])

    async def do(self, job: Job) -> None:
        self.jobs.append(job)
        if len(self.jobs) <= self.failures:
            raise self.error("not today")


async def test_a_job_runs_with_its_arguments_and_is_gone(backend: Backend) -> None:
    done = Done()
    runner = backend.runner(done.tasks)
    queue = backend.queue(done.tasks, runner)
    arguments = {"text": 'é\0"\x01', "number": 1.5, "list": [None, True]}
    await queue.enqueue(NewJob("do", arguments))
    await until(lambda: len(done.jobs) == 1)
    assert done.jobs[0].arguments == arguments
    assert (done.jobs[0].task, done.jobs[0].attempts) == ("do", 0)
    await no_job_is_left(backend)


async def test_jobs_of_a_turn_are_stored_with_it(backend: Backend) -> None:
    done = Done()
    jobs = (NewJob("do", {"n": 1}, client=ANN), NewJob("do", {"n": 2}, client=ANN))
    await backend.storage.commit_turn(TurnWrite((ClientWrite(ANN, NOW),), jobs=jobs))
    waiting = await backend.queue(done.tasks).list(JobStatus.WAITING)
    assert [job.arguments for job in waiting] == [{"n": 1}, {"n": 2}]
    assert waiting[0].lock == waiting[1].lock is not None
    backend.runner(done.tasks)
    await until(lambda: len(done.jobs) == 2)
    assert [job.arguments["n"] for job in done.jobs] == [1, 2]


async def test_a_turn_leaves_out_a_job_whose_key_waits(backend: Backend) -> None:
    job = NewJob("do", {}, key="once")
    for _ in range(2):
        await backend.storage.commit_turn(TurnWrite((ClientWrite(ANN, NOW),), jobs=(job,)))
    assert len(await backend.storage.list_jobs(limit=10)) == 1


async def test_one_job_waits_under_a_key(backend: Backend) -> None:
    queue = backend.queue(Done().tasks)
    await queue.enqueue(NewJob("do", {}, key="once"))
    with pytest.raises(AlreadyQueued, match="once"):
        await queue.enqueue(NewJob("do", {}, key="once"))
    await queue.enqueue(NewJob("do", {}, key="other"))
    assert [job.key for job in await queue.list()] == ["once", "other"]


async def test_an_unknown_task_is_refused(backend: Backend) -> None:
    with pytest.raises(TaskUnknown, match="fly"):
        await backend.queue(Done().tasks).enqueue(NewJob("fly"))


async def test_a_failed_job_is_tried_again(backend: Backend) -> None:
    done = Done(failures=2)
    runner = backend.runner(done.tasks)
    await backend.queue(done.tasks, runner).enqueue(NewJob("do"))
    await until(lambda: len(done.jobs) == 3)
    assert [job.attempts for job in done.jobs] == [0, 1, 2]
    await no_job_is_left(backend)


async def test_after_its_attempts_a_job_is_dead_and_can_be_retried(backend: Backend) -> None:
    done = Done(failures=3)
    runner = backend.runner(done.tasks)
    queue = backend.queue(done.tasks, runner)
    await queue.enqueue(NewJob("do", {"n": 1}))
    dead = await jobs_that_are(backend, JobStatus.DEAD)
    assert len(done.jobs) == 3
    assert dead[0].arguments == {"n": 1}
    assert dead[0].attempts == 3
    assert dead[0].error == "ValueError: not today"
    assert await queue.list(JobStatus.WAITING) == ()
    await queue.retry(dead[0].id)
    with pytest.raises(JobUnknown):
        await queue.retry(dead[0].id + 1)
    await until(lambda: len(done.jobs) == 4)
    assert done.jobs[3].attempts == 0


async def test_a_job_may_have_attempts_of_its_own(backend: Backend) -> None:
    done = Done(failures=9)
    runner = backend.runner(done.tasks)
    queue = backend.queue(done.tasks, runner)
    await queue.enqueue(NewJob("do", max_attempts=1))
    await jobs_that_are(backend, JobStatus.DEAD)
    assert len(done.jobs) == 1


async def test_an_aborted_job_is_dead_at_once(backend: Backend) -> None:
    done = Done(failures=9, error=JobAborted)
    runner = backend.runner(done.tasks)
    queue = backend.queue(done.tasks, runner)
    await queue.enqueue(NewJob("do"))
    dead = await jobs_that_are(backend, JobStatus.DEAD)
    assert dead[0].error == "not today"
    assert len(done.jobs) == 1


async def test_jobs_of_a_lock_run_in_order_even_when_one_fails(backend: Backend) -> None:
    done = Done(failures=1)
    for n in range(3):
        await backend.storage.add_job(NewJob("do", {"n": n}, lock="same"))
    backend.runner(done.tasks)
    await until(lambda: len(done.jobs) == 4)
    assert [job.arguments["n"] for job in done.jobs] == [0, 0, 1, 2]


async def test_clients_do_not_wait_for_each_other(backend: Backend) -> None:
    seen: list[str] = []
    gate = asyncio.Event()

    async def do(job: Job) -> None:
        seen.append(str(job.arguments["who"]))
        if job.arguments["who"] == "ann":
            await gate.wait()

    tasks = Tasks([Task("do", do)])
    for client in (ANN, ANN, BOB):
        await backend.storage.add_job(NewJob("do", {"who": client.user_id}, client=client))
    backend.runner(tasks)
    await until(lambda: len(seen) == 2)
    assert sorted(seen) == ["ann", "bob"]
    gate.set()
    await until(lambda: len(seen) == 3)


async def test_a_job_waits_for_its_time(backend: Backend) -> None:
    done = Done()
    later = datetime.now(UTC) + timedelta(hours=1)
    await backend.storage.add_job(NewJob("do", {"n": 1}, run_at=later))
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    await backend.storage.add_job(NewJob("do", {"n": 2}, run_at=soon))
    backend.runner(done.tasks)
    await until(lambda: len(done.jobs) == 1)
    assert datetime.now(UTC) >= soon
    (waiting,) = await backend.storage.list_jobs(JobStatus.WAITING, limit=10)
    assert waiting.run_at == later


async def test_a_waiting_job_can_be_cancelled(backend: Backend) -> None:
    queue = backend.queue(Done().tasks)
    await queue.enqueue(NewJob("do"))
    (job,) = await queue.list()
    await queue.cancel(job.id)
    assert await queue.list() == ()
    with pytest.raises(JobUnknown, match=str(job.id)):
        await queue.cancel(job.id)


async def test_a_running_job_can_be_cancelled(backend: Backend) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def hang(job: Job) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    tasks = Tasks([Task("do", hang)])
    runner = backend.runner(tasks)
    queue = backend.queue(tasks, runner)
    await queue.enqueue(NewJob("do"))
    async with asyncio.timeout(PATIENCE_S):
        await began.wait()
        ((job),) = await queue.list(JobStatus.RUNNING)
        await queue.cancel(job.id)
        await ended.wait()
        await no_job_is_left(backend)


async def test_stopping_gives_back_what_does_not_end(backend: Backend) -> None:
    began = asyncio.Event()

    async def hang(job: Job) -> None:
        began.set()
        await asyncio.sleep(3600)

    tasks = Tasks([Task("do", hang)])
    runner = backend.runner(tasks)
    await backend.queue(tasks, runner).enqueue(NewJob("do", {"n": 1}))
    await asyncio.wait_for(began.wait(), PATIENCE_S)
    await runner.stop(0.2)
    (job,) = await backend.storage.list_jobs(limit=10)
    assert job.status is JobStatus.WAITING
    done = Done()
    backend.runner(done.tasks)
    await until(lambda: len(done.jobs) == 1)
    assert done.jobs[0].arguments == {"n": 1}


async def test_stopping_waits_for_what_ends_soon(backend: Backend) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def take(job: Job) -> None:
        began.set()
        await asyncio.sleep(0.05)
        ended.set()

    tasks = Tasks([Task("do", take)])
    runner = backend.runner(tasks)
    await backend.queue(tasks, runner).enqueue(NewJob("do"))
    await asyncio.wait_for(began.wait(), PATIENCE_S)
    await runner.stop(PATIENCE_S)
    assert ended.is_set()
    assert await backend.storage.list_jobs(limit=10) == ()


async def test_a_client_that_is_erased_has_no_jobs(backend: Backend) -> None:
    for client in (ANN, BOB):
        job = NewJob("do", {"who": client.user_id}, client=client)
        await backend.storage.commit_turn(TurnWrite((ClientWrite(client, NOW),), jobs=(job,)))
    await backend.storage.delete_client(ANN)
    assert [j.arguments for j in await backend.storage.list_jobs(limit=9)] == [{"who": "bob"}]
    await backend.storage.delete_bot("bot")
    assert await backend.storage.list_jobs(limit=9) == ()


async def test_jobs_are_listed_in_pages(backend: Backend) -> None:
    for n in range(3):
        await backend.storage.add_job(NewJob("do", {"n": n}))
    first = await backend.storage.list_jobs(limit=2)
    rest = await backend.storage.list_jobs(limit=2, after=first[-1].id)
    assert [job.arguments["n"] for job in (*first, *rest)] == [0, 1, 2]
