"""The one thread that writes to a SQLite file, and groups the commits of concurrent turns.

It takes every unit that is queued, runs them in one transaction, commits once (that is one fsync,
however many turns wait for it), and wakes all of them with a single call into the event loop.
While it waits for the disk the next units gather: the busier the server, the larger the groups.

A unit that cannot be stored must fail alone. Units hardly ever fail, so a group first runs without
savepoints (7 µs less a unit); when one fails, the group is rolled back and run again with a
savepoint around each. An error of the disk or of the commit is everybody's: nothing of the group
is written, all of it fails, and the next group tries afresh.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from time import perf_counter

from palaver.errors import StorageError, Unavailable
from palaver.storage.sql.driver import Statement

LARGEST_GROUP = 256
"""Units of one transaction; bounds how long the first of them waits."""

Translate = Callable[[BaseException], StorageError]


class Job:
    """A unit on its way: the future to resolve, and what became of the unit."""

    __slots__ = ("began", "changed", "error", "future", "unit")

    def __init__(self, unit: Sequence[Statement], future: asyncio.Future[int] | None) -> None:
        self.unit = unit
        self.future = future
        self.began = perf_counter()
        self.changed = 0
        self.error: StorageError | None = None


class UnitRunner:
    """Runs groups of units on one connection, in whatever thread calls it.

    Attributes:
        commits, units: how many groups and units were committed since the start.
    """

    def __init__(self, connection: sqlite3.Connection, translate: Translate) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._translate = translate
        self.commits = 0
        self.units = 0

    def run_group(self, jobs: Sequence[Job]) -> None:
        """Sets `changed` or `error` of each; raises nothing."""
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
            for job in jobs:
                self._run_unit(job)
            self._commit(len(jobs))
        except Exception as error:
            failure = self._rolled_back(error)
            if len(jobs) == 1 or isinstance(failure, Unavailable):
                fail_all(jobs, failure)
            else:
                self._run_apart(jobs)

    def _run_apart(self, jobs: Sequence[Job]) -> None:
        """The group again, each unit in a savepoint of its own."""
        execute = self._cursor.execute
        try:
            execute("BEGIN IMMEDIATE")
            for job in jobs:
                execute("SAVEPOINT unit")
                try:
                    self._run_unit(job)
                except Exception as error:
                    failure = self._translate(error)
                    if isinstance(failure, Unavailable) or not self._connection.in_transaction:
                        raise
                    job.error = failure
                    execute("ROLLBACK TO unit")
                execute("RELEASE unit")
            self._commit(len(jobs))
        except Exception as error:
            fail_all(jobs, self._rolled_back(error))

    def _run_unit(self, job: Job) -> None:
        connection, cursor = self._connection, self._cursor
        before = connection.total_changes
        for sql, rows in job.unit:
            if len(rows) == 1:
                cursor.execute(sql, rows[0])
            else:
                cursor.executemany(sql, rows)
        job.changed = connection.total_changes - before

    def _commit(self, units: int) -> None:
        self._cursor.execute("COMMIT")
        self.commits += 1
        self.units += units

    def _rolled_back(self, error: Exception) -> StorageError:
        """SQLite may have rolled back by itself, for instance when the disk is full."""
        try:
            if self._connection.in_transaction:
                self._cursor.execute("ROLLBACK")
        except sqlite3.Error as second:
            return self._translate(second)
        return self._translate(error)


class GroupWriter:
    """A UnitRunner in a thread of its own, fed by a queue.

    Attributes:
        lag_s: how long the first unit of the last group waited until it was on disk.
    """

    def __init__(self, runner: UnitRunner) -> None:
        self._runner = runner
        self.lag_s = 0.0
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._ended = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, name="palaver-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Units that no group has taken yet."""
        return self._queue.qsize()

    def submit(self, unit: Sequence[Statement]) -> asyncio.Future[int]:
        """On the event loop's thread. The future is resolved when the unit is on disk.

        A caller that is cancelled meanwhile does not take its unit back.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        self._queue.put(Job(unit, future))
        return future

    async def stop(self) -> None:
        """Returns once all that was submitted is written and the thread has ended."""
        self._queue.put(None)
        await asyncio.shield(self._ended)
        self._thread.join()

    def _work(self) -> None:
        queue, runner = self._queue, self._runner
        is_open = True
        while is_open:
            jobs: list[Job] = []
            job = queue.get()
            while True:
                if job is None:
                    is_open = False
                    break
                jobs.append(job)
                if len(jobs) == LARGEST_GROUP:
                    break
                try:
                    job = queue.get_nowait()
                except Empty:
                    break
            if jobs:
                runner.run_group(jobs)
                self.lag_s = perf_counter() - jobs[0].began
                self._wake(resolve, jobs)
        self._wake(self._end)

    def _wake(self, callback: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def resolve(jobs: Sequence[Job]) -> None:
    """Tells those who still wait what became of their units."""
    for job in jobs:
        future = job.future
        if future is None or future.done():
            continue
        if job.error is None:
            future.set_result(job.changed)
        else:
            future.set_exception(job.error)


def fail_all(jobs: Sequence[Job], failure: StorageError) -> None:
    """Each gets an error of its own, for tracebacks are written into the error that is raised."""
    for job in jobs:
        job.error = type(failure)(str(failure))
        job.error.__cause__ = failure.__cause__
