"""SQLite as a Driver: one process, one file, one thread that commits.

Reads run right on the event loop's thread: a point read takes some 10 to 20 µs, less than handing
it to a thread and back. They share the connection with what writes, and so its cache of pages: a
second connection forgets its own at every commit of the first, and reads the pages anew (100 µs a
turn). It is used only while a commit waits for the disk, so that reads never do; in write-ahead
mode it sees what is on disk. `:memory:` has one connection and no thread, for there is no disk.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Literal

from palaver.errors import NotADatabase, SchemaOutdated, StorageError, Unavailable
from palaver.storage.sql.checkpoints import Checkpoints
from palaver.storage.sql.driver import NOT_NOW, Parameters, Row, Statement
from palaver.storage.sql.migrate import lend_functions, load_migrations, pending_migrations
from palaver.storage.sql.moves import drop_log, has_log, refuse_moved, writing
from palaver.storage.sql.writer import BUSY_MS, GroupWriter, Job, UnitRunner

Durability = Literal["full", "normal"]

APPLICATION_ID = 0x50414C41
"""Written into the file's header ("PALA"): whose database it is."""

MOVE_SUFFIX = "-move"
"""Of the name under which a move takes its lock."""

_HEADER = b"SQLite format 3\0"
_CACHED_STATEMENTS = 256
_CACHE_KIB = 16_384


class SqliteDriver:
    """A database file, or `:memory:`.

    Args:
        path: `:memory:` or a file, made when it does not exist; its folder must.
        durability: `full` syncs every commit, `normal` may lose the last ones when the machine
            (not the process) dies.
        is_guest: looks into the file of a running server: the file must be there, takes no lock,
            migrates nothing. What it writes, the server sees.
    """

    kind = "sqlite"
    is_shared = False

    def __init__(
        self, path: str, *, durability: Durability = "full", is_guest: bool = False
    ) -> None:
        self.path = path
        self._is_guest = is_guest
        self.writer: GroupWriter | None = None
        self.runner: UnitRunner | None = None
        self._durability = durability
        self._is_file = path != ":memory:"
        self._migrations = load_migrations(self.kind)
        self._lock: IO[bytes] | None = None
        self._connection: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None
        self._connections: list[sqlite3.Connection] = []
        self._closing = asyncio.Lock()

    async def open(self) -> None:
        if self._connection is not None:
            return
        try:
            if self._is_file:
                self._refuse_other_files()
                if not self._is_guest:
                    self._lock = take_lock(self.path)
                elif not os.path.exists(self.path):  # noqa: ASYNC240 - one look, at start
                    raise NotADatabase(f"there is no database {self.path}: has it been served?")
            connection = self._connect()
            refuse_moved(connection, self.path)
            if self._is_guest:
                await self._check_schema(connection)
            else:
                self._drop_left_log(connection)
                self._migrate(connection)
            self.runner = UnitRunner(connection, self._storage_error)
            self._connection = connection
            if self._is_file:
                self._reader = self._connect()
                self.writer = GroupWriter(self.runner, Checkpoints(self._connect))
        except BaseException as error:
            self._disconnect()
            if isinstance(error, sqlite3.Error):
                raise self._storage_error(error) from error
            raise

    async def check(self) -> None:
        connection = self._free_connection()
        refuse_moved(connection, self.path)
        await self._check_schema(connection)

    async def _check_schema(self, connection: sqlite3.Connection) -> None:
        schema = connection.execute("PRAGMA user_version").fetchone()[0]
        if schema != len(self._migrations):
            raise SchemaOutdated(
                f"{self.path} now has schema {schema}, and this palaver works with "
                f"{len(self._migrations)}: restart it"
            )

    async def close(self) -> None:
        self.runner = None
        async with self._closing:
            if self.writer is not None:
                await self.writer.stop()
                self.writer = None
            self._disconnect()

    async def read(self, sql: str, parameters: Parameters) -> list[Row]:
        connection = self._free_connection()
        try:
            return connection.execute(sql, parameters).fetchall()
        except (sqlite3.Error, UnicodeError, OverflowError) as error:
            raise self._storage_error(error) from error

    def _free_connection(self) -> sqlite3.Connection:
        """One that no commit is using. Raises: Unavailable: they are closed."""
        is_busy = self.writer is not None and self.writer.is_busy
        connection = self._reader if is_busy else self._connection
        if connection is None:
            raise self._closed()
        return connection

    async def write(self, unit: Sequence[Statement], *, is_long: bool = False) -> int:
        if self.runner is None:
            raise self._closed()
        if self.writer is not None:
            return await self.writer.submit(unit, is_long=is_long)
        job = Job(unit, None)
        self.runner.run_group((job,))
        if job.error is not None:
            raise job.error
        return job.changed

    def gauges(self) -> dict[str, float]:
        """The writer's queue: spec of /metrics."""
        writer, runner = self.writer, self.runner
        if runner is None:
            return {}
        found: dict[str, float] = {"commits": runner.commits, "units": runner.units}
        if writer is not None:
            found |= {"queue": writer.waiting, "lag_s": writer.lag_s}
        return found

    def _refuse_other_files(self) -> None:
        """SQLite takes a file shorter than a header for an empty one, and writes over it."""
        try:
            with open(self.path, "rb") as file:
                begin = file.read(len(_HEADER))
        except OSError:
            return  # there is none yet, or SQLite will say why it cannot be read
        if begin.strip(b"\0") and begin != _HEADER:
            raise self._not_a_database("it begins otherwise")

    def _not_a_database(self, reason: object) -> NotADatabase:
        return NotADatabase(
            f"{self.path} is not an SQLite database, or a damaged one ({reason}); "
            "move it away, or give palaver another file"
        )

    def _connect(self) -> sqlite3.Connection:
        """In autocommit: every BEGIN is ours. Threads are separated by the design above."""
        connection = sqlite3.connect(
            self.path,
            timeout=BUSY_MS / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=_CACHED_STATEMENTS,
        )
        self._connections.append(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {self._durability}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")  # see checkpoints.py
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        if self._is_guest:  # the server's turns do not pay for it; what commands erase is gone
            connection.execute("PRAGMA secure_delete = ON")
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """One transaction a migration, so that a crash leaves a whole schema, if an old one."""
        current = connection.execute("PRAGMA user_version").fetchone()[0]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if owner != APPLICATION_ID and (tables or current):
            raise NotADatabase(
                f"{self.path} is an SQLite database of another program; "
                "give palaver a file of its own"
            )
        lend_functions(connection)
        for migration in pending_migrations(self._migrations, current, where=self.path):
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{migration.script}\n"
                f"PRAGMA application_id = {APPLICATION_ID};\n"
                f"PRAGMA user_version = {migration.number};\nCOMMIT;"
            )

    def _drop_left_log(self, connection: sqlite3.Connection) -> None:
        """Of a `palaver db migrate` that was killed; one that runs holds a lock of its own."""
        if has_log(connection):
            with suppress(Unavailable), take_lock(f"{self.path}{MOVE_SUFFIX}"), writing(connection):
                drop_log(connection)

    def _disconnect(self) -> None:
        """The connection that writes is closed last, and tidies the write-ahead log away."""
        self._connection = self._reader = self.runner = None
        while self._connections:
            self._connections.pop().close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _closed(self) -> Unavailable:
        return Unavailable(f"the database {self.path} is closed", public=NOT_NOW)

    def _storage_error(self, error: BaseException) -> StorageError:
        """The one place that knows SQLite's errors."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        translated: StorageError
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            translated = self._not_a_database(error)
            translated.public = NOT_NOW
        elif getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
            translated = Unavailable(f"{self.path}: {error}", public=str(error))  # a move's
        elif code == sqlite3.SQLITE_FULL:
            told = "is full; nothing was stored"
            translated = Unavailable(f"the disk of {self.path} {told}", public=f"the disk {told}")
        elif code == sqlite3.SQLITE_CANTOPEN:
            translated = Unavailable(
                f"{self.path} cannot be opened: its folder must exist and be writable",
                public=NOT_NOW,
            )
        elif code in _TROUBLES:
            translated = Unavailable(f"{self.path} cannot be used now: {error}", public=NOT_NOW)
        else:
            refused = f"the database refused: {error}"
            translated = StorageError(f"{self.path}: {refused}", public=refused)
        translated.__cause__ = error
        return translated


_TROUBLES = (
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
)
"""What passes, or what an operator can mend, without a change to what is stored."""


def take_lock(path: str) -> IO[bytes]:
    """`<path>-lock`, held open while the database is used. The system drops it with the process.

    Raises:
        Unavailable: another process holds it, or the folder cannot be written.
    """
    try:
        file = open(f"{path}-lock", "ab")  # noqa: SIM115 (held open on purpose)
    except OSError as error:
        raise Unavailable(f"{path} cannot be opened: {error.strerror}") from error
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise Unavailable(
            f"{Path(path).name} is already in use by another palaver process ({os.fspath(path)}); "
            "use PostgreSQL for several processes"
        ) from error
    return file
