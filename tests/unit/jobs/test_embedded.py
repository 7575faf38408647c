"""The embedded runner by a clock that stands still."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from palaver.errors import Unavailable
from palaver.jobs import embedded
from palaver.jobs.embedded import EmbeddedRunner
from palaver.jobs.protocol import JobAborted, RetryPolicy, Task, Tasks
from palaver.model import Job, JobStatus, NewJob
from palaver.storage.memory import MemoryStorage
from palaver.storage.urls import open_storage

pytestmark = pytest.mark.anyio

START = datetime(2026, 1, 2, tzinfo=UTC)

PATIENCE_S = 60
"""Only what never comes takes so long."""


class StillClock:
    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def pass_s(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class LeastChance(random.Random):
    def random(self) -> float:
        return 0.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, anyio_backend: str) -> AsyncIterator[Any]:
    store = MemoryStorage() if request.param == "memory" else open_storage(":memory:")
    await store.open()
    yield store
    await store.close()


Make = Callable[..., EmbeddedRunner]


@pytest.fixture
def make(store: Any, clock: StillClock) -> Make:
    def make(*tasks: Task, **more: Any) -> EmbeddedRunner:
        return EmbeddedRunner(store, Tasks(tasks), clock, chance=LeastChance(), **more)

    return make


class Work:
    """A task's function that remembers when it ran, and fails so often."""

    def __init__(self, clock: StillClock, failures: int = 0) -> None:
        self.clock = clock
        self.failures = failures
        self.times: list[float] = []
        self.jobs: list[Job] = []

    async def __call__(self, job: Job) -> None:
        self.times.append((self.clock.now() - START).total_seconds())
        self.jobs.append(job)
        if len(self.times) <= self.failures:
            raise OSError("the line is down")


async def round_of(runner: EmbeddedRunner) -> float:
    pause = await runner.start_due()
    await runner.settle()
    return pause


async def test_a_failed_job_runs_again_after_growing_pauses(
    store: Any, clock: StillClock, make: Make
) -> None:
    work = Work(clock, failures=4)
    runner = make(Task("t", work, RetryPolicy(attempts=9, first_s=2, factor=3, longest_s=20)))
    await store.add_job(NewJob("t"))
    while await store.list_jobs(limit=1):
        await round_of(runner)
        clock.pass_s(1)
    assert work.times == [0, 2, 8, 26, 46]


async def test_the_pause_is_until_the_next_job_is_due(
    store: Any, clock: StillClock, make: Make
) -> None:
    runner = make(Task("t", Work(clock)))
    assert await round_of(runner) == 5
    await store.add_job(NewJob("t", run_at=START + timedelta(seconds=3)))
    assert await round_of(runner) == 3


def test_a_pause_is_bounded_whatever_chance_says() -> None:
    policy = RetryPolicy(first_s=1, factor=2, longest_s=60, jitter=0.5)
    chance = random.Random(1)
    for failed in (1, 2, 5, 6, 7, 100, 100_000):
        base = min(2.0 ** min(failed - 1, 64), 60)
        pauses = [policy.pause_s(failed, chance) for _ in range(100)]
        assert all(base <= pause <= base * 1.5 for pause in pauses)
        assert len(set(pauses)) > 50


async def test_a_job_that_fails_too_often_is_dead_until_it_is_retried(
    store: Any, clock: StillClock, make: Make
) -> None:
    work = Work(clock, failures=2)
    runner = make(Task("t", work, RetryPolicy(attempts=2, first_s=1)))
    await store.add_job(NewJob("t"))
    for _ in range(9):
        await round_of(runner)
        clock.pass_s(5)
    (job,) = await store.list_jobs(JobStatus.DEAD, limit=9)
    assert (job.attempts, job.error) == (2, "OSError: the line is down")
    assert len(work.times) == 2
    assert await store.revive_job(job.id)
    await round_of(runner)
    assert await store.list_jobs(limit=9) == ()


async def test_a_job_of_an_unknown_task_is_dead_at_once(store: Any, make: Make) -> None:
    await store.add_job(NewJob("newer"))
    await round_of(make())
    (job,) = await store.list_jobs(JobStatus.DEAD, limit=9)
    assert "no task is called 'newer'" in job.error


async def test_a_job_that_gives_up_is_dead_at_once(store: Any, make: Make) -> None:
    async def give_up(job: Job) -> None:
        raise JobAborted("of no use")

    await store.add_job(NewJob("t"))
    await round_of(make(Task("t", give_up)))
    (job,) = await store.list_jobs(JobStatus.DEAD, limit=9)
    assert (job.attempts, job.error) == (1, "of no use")


async def test_a_lease_that_ended_is_taken_over(store: Any, clock: StillClock, make: Make) -> None:
    await store.add_job(NewJob("t"))
    assert await store.take_job(b"dead worker", START, START + timedelta(seconds=10))
    work = Work(clock)
    runner = make(Task("t", work))
    clock.pass_s(9)
    assert await round_of(runner) == 1
    assert work.times == []
    clock.pass_s(1)
    await round_of(runner)
    assert work.times == [10]
    assert work.jobs[0].attempts == 1
    assert not await store.finish_job(work.jobs[0].id, b"dead worker"), "it has lost the job"


@pytest.mark.parametrize("back_s", [3600, 86_400])
async def test_a_lease_from_before_the_clock_was_set_back_is_taken_over(
    store: Any, clock: StillClock, make: Make, back_s: float
) -> None:
    await store.add_job(NewJob("t"))
    assert await store.take_job(b"dead worker", START, START + timedelta(seconds=10))
    work = Work(clock)
    clock.pass_s(-back_s)
    await round_of(make(Task("t", work)))
    assert work.times == [-back_s]


async def test_a_retry_does_not_wait_until_a_clock_that_was_set_back_is_there_again(
    store: Any, clock: StillClock, make: Make
) -> None:
    work = Work(clock, failures=1)
    runner = make(Task("t", work, RetryPolicy(attempts=2, first_s=600)))
    await store.add_job(NewJob("t"))
    await store.add_job(NewJob("t", run_at=START + timedelta(hours=1)))
    await round_of(runner)
    clock.pass_s(-3600)
    await round_of(runner)
    assert work.times == [0, -3600]
    assert len(await store.list_jobs(JobStatus.WAITING, limit=9)) == 1, "its time is its time"


async def test_a_job_that_kills_its_workers_is_dead_in_the_end(
    store: Any, clock: StillClock, make: Make
) -> None:
    await store.add_job(NewJob("t"))
    for number in range(3):
        owner = b"worker %d" % number
        assert await store.take_job(owner, clock.now(), clock.now() + timedelta(seconds=10))
        clock.pass_s(10)
    work = Work(clock)
    await round_of(make(Task("t", work, RetryPolicy(attempts=3))))
    assert work.times == []
    (job,) = await store.list_jobs(JobStatus.DEAD, limit=9)
    assert job.error == "its workers died"


async def test_a_worker_never_takes_its_own_running_job(
    store: Any, clock: StillClock, make: Make
) -> None:
    gate = asyncio.Event()
    begun: list[int] = []

    async def wait(job: Job) -> None:
        begun.append(job.id)
        await gate.wait()

    runner = make(Task("t", wait))
    await store.add_job(NewJob("t"))
    await runner.start_due()
    clock.pass_s(3600)  # the machine slept
    await runner.start_due()
    gate.set()
    await runner.settle()
    assert len(begun) == 1


async def test_a_job_that_another_took_over_is_broken_off(
    store: Any, clock: StillClock, make: Make
) -> None:
    broken = asyncio.Event()

    async def hang(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            broken.set()
            raise

    runner = make(Task("t", hang), renew_s=0.01)
    await store.add_job(NewJob("t"))
    await runner.start_due()
    clock.pass_s(0)
    (job,) = await store.list_jobs(limit=1)
    assert await store.cancel_job(job.id)
    await asyncio.wait_for(broken.wait(), PATIENCE_S)
    await runner.settle()
    assert await store.list_jobs(limit=1) == ()


async def test_no_more_jobs_run_at_once_than_there_is_room_for(
    store: Any, clock: StillClock, make: Make
) -> None:
    now = most = 0

    async def count(job: Job) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1

    for _ in range(7):
        await store.add_job(NewJob("t"))
    runner = make(Task("t", count), concurrency=3)
    while await store.list_jobs(limit=1):
        await round_of(runner)
    assert most == 3


async def test_a_periodic_task_runs_every_time_and_survives_its_failures(
    clock: StillClock, make: Make
) -> None:
    work = Work(clock, failures=1)
    runner = make(Task("t", work, every_s=60))
    for _ in range(150):
        await round_of(runner)
        clock.pass_s(1)
    assert work.times == [60, 120]
    clock.pass_s(-3600)  # set back: not an hour of silence
    for _ in range(70):
        await round_of(runner)
        clock.pass_s(1)
    assert len(work.times) == 3


async def test_an_enqueue_wakes_the_runner(
    store: Any, clock: StillClock, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LOOK_S", 10 * PATIENCE_S)  # it does not wake by itself
    done = asyncio.Event()

    async def do(job: Job) -> None:
        done.set()

    runner = make(Task("t", do))
    running = asyncio.create_task(runner.run())
    await asyncio.sleep(0.02)
    await store.add_job(NewJob("t"))
    runner.wake()
    await asyncio.wait_for(done.wait(), PATIENCE_S)
    await runner.stop(PATIENCE_S)
    await running
    assert await store.list_jobs(limit=1) == ()


async def test_after_a_stop_no_job_is_begun(store: Any, clock: StillClock, make: Make) -> None:
    work = Work(clock)
    runner = make(Task("t", work))
    await runner.stop(1)
    await store.add_job(NewJob("t"))
    await runner.run()
    assert work.times == []


async def test_a_database_that_is_gone_is_waited_for(
    clock: StillClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Gone(MemoryStorage):
        is_gone = True

        async def take_job(self, *arguments: Any) -> Job | None:
            if self.is_gone:
                raise Unavailable("the disk is full")
            return await super().take_job(*arguments)

    store, work = Gone(), Work(clock)
    await store.open()
    await store.add_job(NewJob("t"))
    runner = EmbeddedRunner(store, Tasks([Task("t", work)]), clock)
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(PATIENCE_S):
        while "jobs have to wait: the disk is full" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        store.is_gone = False
        runner.wake()
        while await store.list_jobs(limit=1):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert len(work.times) == 1
    await runner.stop(PATIENCE_S)
    await running
