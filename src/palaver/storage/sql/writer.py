"""Groups the commits of concurrent turns in a SQLite file: one fsync, however many wait for it.

Units that are ready in the same round of the event loop become one transaction. Their statements
run right on the loop's thread: some 10 µs each, where handing the interpreter's lock to another
thread and back at every one of them costs more than the statement. What waits for the disk, the
COMMIT, runs in the one thread that writes. Meanwhile the connection is nobody else's, and the next
units gather. The busier the server, the larger the groups.

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
from functools import partial
from queue import SimpleQueue
from time import perf_counter

from palaver.errors import StorageError, Unavailable
from palaver.storage.sql.checkpoints import Checkpoints
from palaver.storage.sql.driver import Statement

LARGEST_GROUP = 256
"""Units of one transaction; bounds how long the first of them waits."""

BUSY_MS = 5_000
"""How long the thread waits for another process, a command, that writes to the file."""

Translate = Callable[[BaseException], StorageError]


class Job:
    """A unit on its way: the future to resolve, and what became of the unit."""

    __slots__ = ("began", "changed", "error", "future", "is_long", "unit")

    def __init__(
        self,
        unit: Sequence[Statement],
        future: asyncio.Future[int] | None,
        *,
        is_long: bool = False,
    ) -> None:
        self.unit = unit
        self.future = future
        self.is_long = is_long
        self.began = perf_counter()
        self.changed = 0
        self.error: StorageError | None = None


class UnitRunner:
    """Runs groups of units on one connection, in whatever thread calls it.

    Attributes:
        commits, units, changes: how many groups, units and rows were committed since the start.
    """

    def __init__(self, connection: sqlite3.Connection, translate: Translate) -> None:
        self.connection = connection
        self._cursor = connection.cursor()
        self._translate = translate
        self.commits = 0
        self.units = 0
        self.changes = 0

    def run_group(self, jobs: Sequence[Job]) -> None:
        """Sets `changed` or `error` of each; raises nothing."""
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except Exception as error:
            fail_all(jobs, self._rolled_back(error))
        else:
            if self.stage(jobs):
                self.commit(jobs)

    def run_patiently(self, jobs: Sequence[Job]) -> None:
        """`run_group`, waiting for another process that writes."""
        self.wait_for_others(BUSY_MS)
        self.run_group(jobs)
        self.wait_for_others(0)

    def wait_for_others(self, busy_ms: int) -> None:
        """How long a BEGIN waits from now on while another process writes."""
        self._cursor.execute(f"PRAGMA busy_timeout = {busy_ms}")

    def begin(self) -> bool:
        """False: not now, for another process writes."""
        try:
            self._cursor.execute("BEGIN IMMEDIATE")
        except sqlite3.Error:
            return False
        return True

    def stage(self, jobs: Sequence[Job]) -> bool:
        """Runs the units in the open transaction; whether there is anything to commit."""
        try:
            for job in jobs:
                self._run_unit(job)
        except Exception as error:
            failure = self._rolled_back(error)
            if len(jobs) == 1 or isinstance(failure, Unavailable):
                fail_all(jobs, failure)
                return False
            return self._stage_apart(jobs)
        return True

    def _stage_apart(self, jobs: Sequence[Job]) -> bool:
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
                    if isinstance(failure, Unavailable) or not self.connection.in_transaction:
                        raise
                    job.error = failure
                    execute("ROLLBACK TO unit")
                execute("RELEASE unit")
        except Exception as error:
            fail_all(jobs, self._rolled_back(error))
            return False
        return True

    def _run_unit(self, job: Job) -> None:
        connection, cursor = self.connection, self._cursor
        before = connection.total_changes
        for sql, rows in job.unit:
            if len(rows) == 1:
                cursor.execute(sql, rows[0])
            else:
                cursor.executemany(sql, rows)
        job.changed = connection.total_changes - before

    def commit(self, jobs: Sequence[Job]) -> None:
        """Ends the open transaction; raises nothing."""
        try:
            self._cursor.execute("COMMIT")
        except Exception as error:
            fail_all(jobs, self._rolled_back(error))
        else:
            self.commits += 1
            self.units += len(jobs)
            self.changes += sum(job.changed for job in jobs)

    def _rolled_back(self, error: Exception) -> StorageError:
        """SQLite may have rolled back by itself, for instance when the disk is full."""
        try:
            if self.connection.in_transaction:
                self._cursor.execute("ROLLBACK")
        except sqlite3.Error as second:
            return self._translate(second)
        return self._translate(error)


class GroupWriter:
    """A UnitRunner between the event loop and a thread that waits for the disk.

    Attributes:
        lag_s: how long the first unit of the last group waited until it was on disk.
        is_busy: the thread has the connection.
    """

    def __init__(self, runner: UnitRunner, checkpoints: Checkpoints) -> None:
        runner.wait_for_others(0)
        self._runner = runner
        self._checkpoints = checkpoints
        self.lag_s = 0.0
        self.is_busy = False
        self._is_scheduled = False
        self._gathered: list[Job] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop = asyncio.get_running_loop()
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="palaver-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Units that no group has taken yet."""
        return len(self._gathered)

    def submit(self, unit: Sequence[Statement], *, is_long: bool = False) -> asyncio.Future[int]:
        """On the event loop's thread. The future is resolved when the unit is on disk.

        A caller that is cancelled meanwhile does not take its unit back.

        Args:
            is_long: it may take more than some milliseconds, and so runs in the thread.
        """
        future: asyncio.Future[int] = self._loop.create_future()
        self._gathered.append(Job(unit, future, is_long=is_long))
        self._schedule()
        return future

    async def stop(self) -> None:
        """Returns once all that was submitted is written and the thread has ended."""
        while self._gathered or self.is_busy:
            await asyncio.sleep(0)
            await self._idle.wait()
        await self._checkpoints.stop()
        self._queue.put(None)
        self._thread.join()

    # --- on the event loop -------------------------------------------------------------------

    def _schedule(self) -> None:
        """The group is made behind everything that is ready to run now, and may join it."""
        if not self._is_scheduled and not self.is_busy and self._gathered:
            self._is_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_scheduled = False
        jobs, self._gathered = self._gathered[:LARGEST_GROUP], self._gathered[LARGEST_GROUP:]
        runner = self._runner
        if any(job.is_long for job in jobs) or not runner.begin():
            self._hand_over(jobs, runner.run_patiently)
        elif runner.stage(jobs):
            self._hand_over(jobs, runner.commit)
        else:
            self._finish_and_free(jobs)

    def _hand_over(self, jobs: Sequence[Job], work: Callable[[Sequence[Job]], None]) -> None:
        self.is_busy = True
        self._idle.clear()
        self._queue.put(partial(self._run, jobs, work))

    def _finish(self, jobs: Sequence[Job]) -> None:
        self.lag_s = perf_counter() - jobs[0].began
        resolve(jobs)

    def _free(self) -> None:
        self.is_busy = False
        self._idle.set()
        self._checkpoints.note(self._runner.changes)
        self._schedule()

    # --- in the thread -----------------------------------------------------------------------

    def _work(self) -> None:
        while (task := self._queue.get()) is not None:
            task()

    def _run(self, jobs: Sequence[Job], work: Callable[[Sequence[Job]], None]) -> None:
        work(jobs)
        checkpoints = self._checkpoints
        if checkpoints.is_finishing:
            self._tell(self._finish, jobs)
            checkpoints.finish(self._runner.connection)
            self._tell(self._free)
        else:
            self._tell(self._finish_and_free, jobs)

    def _finish_and_free(self, jobs: Sequence[Job]) -> None:
        self._finish(jobs)
        self._free()

    def _tell(self, callback: Callable[..., object], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(callback, *arguments)


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
        job.error = type(failure)(str(failure), public=failure.public)
        job.error.__cause__ = failure.__cause__
