"""`palaver db migrate`: a SQLite database that may be in use becomes a PostgreSQL database.

    log ── copy a snapshot, read it back ── copy what changed, again and again
        ── stop writes: copy the last changes · compare ── target: commit, with a mark
        ── source: every further write fails, and says where the database is ── target: no mark

The target is loaded in one transaction, and the last changes are copied while the source's write
lock is held. So whatever ends this process earlier, the target is empty again and the server goes
on with the source. With its mark the target is served by nobody; the source's own mark decides:
without it the move has failed and the target is emptied by the next run, with it the next run ends
the move.

Digests are those of all rows. After the copy the target is read back whole. From then on they
follow the changes, on each side by what is read there: a changed row's old record is taken out, its
new one put in. So the time for which nobody can write depends on the changes of the last moment,
and not on the size of the database.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, Final

from palaver.errors import SchemaOutdated, StorageError, Unavailable
from palaver.storage.copies import Move, Progress, TableContent
from palaver.storage.sql.copies import open_database, require_ours, schema_of
from palaver.storage.sql.copyfiles import told
from palaver.storage.sql.layout import Key, Table, record_at, records_of, tables_of
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.sql.moves import (
    Log,
    Moved,
    connected,
    drop_log,
    mark_moved,
    moved_to,
    take_snapshot,
    writing,
)
from palaver.storage.sql.pgcopies import highest_numbers, no_progress, watched
from palaver.storage.sql.pgsession import Mark, PgSession, require_equal
from palaver.storage.sql.records import Digest
from palaver.storage.sql.sqlite import MOVE_SUFFIX, take_lock

_SMALL: Final = 200
"""So few changes are copied in a moment: the source may be stopped."""

_ROUNDS: Final = 10
"""After so many it is stopped, however much changes."""

_AT_ONCE: Final = 5_000
"""Rows of one piece of what changed."""


def move(path: str, conninfo: str, tell: Progress = no_progress, *, again: bool = False) -> Move:
    """Moves the database; returns when the source refuses writes and the target may be served.

    Args:
        again: also a database that was moved before, as it was then.

    Raises:
        Unavailable: the target cannot be reached or is in use, or another move is under way.
        StorageError: the target has rows, or differs after the copy; or the source was moved.
    """
    with told(path):
        with closing(open_database(path)) as looked_at:
            require_ours(looked_at, path)
        with _lock(path), PgSession(conninfo) as target:
            return _Moving(path, target, tell, again=again).run()


def _lock(path: str) -> IO[bytes]:
    """One move of a file at a time. Raises: Unavailable."""
    try:
        return take_lock(f"{path}{MOVE_SUFFIX}")
    except Unavailable as error:
        if isinstance(error.__cause__, BlockingIOError | PermissionError):
            raise Unavailable(f"{path} is being moved by another process") from error
        raise


class _Moving:
    """One run, under the lock of moves."""

    def __init__(self, path: str, target: PgSession, tell: Progress, *, again: bool) -> None:
        self._path = path
        self._target = target
        self._tell = tell
        self._again = again
        self._mark = Mark(os.path.abspath(path), secrets.token_hex(8))
        self._sent: dict[str, Digest] = {}
        self._stored: dict[str, Digest] = {}

    def run(self) -> Move:
        with (
            connected(self._path) as writer,
            connected(self._path) as one,
            connected(self._path) as other,
        ):
            moved = moved_to(writer)
            if self._ends_earlier(writer, moved):
                return self._result(self._ended(writer), 0, 0.0)
            if moved is not None and not self._again:
                raise Unavailable(f"{self._path} was moved to {moved.target} already")
            self._require_schema(writer)
            self._target.upgrade()
            return self._copy(writer, one, other)

    def _copy(
        self, writer: sqlite3.Connection, before: sqlite3.Connection, after: sqlite3.Connection
    ) -> Move:
        target, tables = self._target, tables_of(writer)
        log = Log(self._path, tables, target.keys(tables))
        with _logged(log, writer):
            with target.transaction():
                target.lock_all()
                if not target.is_empty(tables):
                    raise StorageError(
                        f"{target.where} has rows: give a database that has none (it is not "
                        "emptied, for it may be somebody's)"
                    )
                take_snapshot(before)
                done = log.end(before)
                self._load(before)
                rounds = 0
                while rounds < _ROUNDS:
                    take_snapshot(after)
                    log.require_whole(after)
                    end = log.end(after)
                    self._follow(log, before, after, done, end)
                    rounds += 1
                    before, after, is_small, done = after, before, end - done <= _SMALL, end
                    if is_small:
                        break
                began = time.monotonic()
                writer.execute("BEGIN IMMEDIATE")
                self._require_schema(writer)
                log.require_whole(writer)
                self._follow(log, before, writer, done, log.end(writer))
                contents = self._compared()
                target.finish(highest_numbers(writer))
                target.set_mark(self._mark)
            mark_moved(writer, Moved(target.where, self._mark.run))
            writer.execute("COMMIT")
        stopped_s = time.monotonic() - began
        self._end_move()
        return self._result(contents, rounds, stopped_s)

    def _require_schema(self, connection: sqlite3.Connection) -> None:
        schema, known = schema_of(connection), len(load_migrations("sqlite"))
        if schema != known:
            raise SchemaOutdated(
                f"{self._path} has schema {schema}, and this palaver works with {known}: "
                "start this palaver's server with it once, or run `palaver db upgrade`"
            )

    # --- copying -----------------------------------------------------------------------------

    def _load(self, source: sqlite3.Connection) -> None:
        """All rows of a snapshot, and back."""
        for table in tables_of(source):
            sent = self._sent[table.name] = Digest()
            records = watched(self._tell, "copying", table, records_of(source, table))
            self._target.load(table, sent.passing(records))
            self._target.analyze(table)
        for table in tables_of(source):
            stored = self._stored[table.name] = Digest()
            for record in watched(self._tell, "comparing", table, self._target.records(table)):
                stored.add(record)
        self._compared()

    def _follow(
        self,
        log: Log,
        before: sqlite3.Connection,
        now: sqlite3.Connection,
        done: int,
        end: int,
    ) -> None:
        """What changed from one snapshot to another."""
        tables = {table.name: table for table in tables_of(now)}
        for name, keys in log.changes(now, done, end):
            for at in range(0, len(keys), _AT_ONCE):
                self._replace(tables[name], keys[at : at + _AT_ONCE], before, now)
            self._tell("following", name, len(keys))

    def _replace(
        self, table: Table, keys: list[Key], before: sqlite3.Connection, now: sqlite3.Connection
    ) -> None:
        """Makes rows of the target those of the source; both digests follow."""
        target, columns = self._target, self._target.keys([table])[table.name]
        sent, stored = self._sent[table.name], self._stored[table.name]
        rows = []
        for key in keys:
            if (old := record_at(before, table, columns, key)) is not None:
                sent.remove(old)
            if (new := record_at(now, table, columns, key)) is not None:
                sent.add(new)
                rows.append(new)
        for record in target.records(table, keys=keys):
            stored.remove(record)
        target.delete(table, keys)
        target.load(table, rows)
        for record in target.records(table, keys=keys):
            stored.add(record)

    def _compared(self) -> dict[str, TableContent]:
        """Raises: StorageError: a table has other rows in the target."""
        found = {}
        for name, stored in self._stored.items():
            found[name] = stored.content()
            require_equal(self._target.where, name, self._sent[name].content(), found[name])
        return found

    # --- the end of a move -------------------------------------------------------------------

    def _ends_earlier(self, source: sqlite3.Connection, moved: Moved | None) -> bool:
        """Whether an earlier run has only its last step before it; empties what one left else."""
        mark = self._target.read_mark()
        if mark is None:
            return False
        if moved is not None and mark.run == moved.run:
            return True
        if mark.source != self._mark.source and not self._again:
            raise StorageError(
                f"a move of {mark.source} into {self._target.where} has not ended: end that one "
                "first, or give --yes to drop what it left"
            )
        with self._target.transaction():
            self._target.clear(tables_of(source))
            self._target.drop_mark()
        return False

    def _ended(self, source: sqlite3.Connection) -> dict[str, TableContent]:
        """Compares everything once more, and ends the earlier run's move."""
        for table in tables_of(source):
            sent, stored = Digest(), Digest()
            for digest, records in (
                (sent, records_of(source, table)),
                (stored, self._target.records(table)),
            ):
                for record in watched(self._tell, "comparing", table, records):
                    digest.add(record)
            self._sent[table.name], self._stored[table.name] = sent, stored
        contents = self._compared()
        self._end_move()
        return contents

    def _end_move(self) -> None:
        with self._target.transaction():
            self._target.drop_mark()

    def _result(self, contents: dict[str, TableContent], rounds: int, stopped_s: float) -> Move:
        schema = len(load_migrations("postgresql"))
        return Move(self._path, self._target.where, schema, rounds, round(stopped_s, 3), contents)


@contextmanager
def _logged(log: Log, writer: sqlite3.Connection) -> Iterator[None]:
    """With the log in the source; on any error the source is left as it was."""
    try:
        log.begin(writer)
        yield
    except BaseException:
        with suppress(sqlite3.Error):
            if writer.in_transaction:
                writer.execute("ROLLBACK")
            with writing(writer):
                drop_log(writer)
        raise
