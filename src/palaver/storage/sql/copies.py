"""Copies of a SQLite database: made while a server writes, verified, put back; and its health.

Plain blocking functions for the command line. A copy is one file without a write-ahead log. It is
read in one snapshot; its rows are counted and hashed on both sides before it gets its name, so a
file that has the name of a backup is one.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

from palaver.errors import NotADatabase, SchemaOutdated, StorageError, Unavailable
from palaver.storage.cipher import Cipher
from palaver.storage.copies import Copy, Health
from palaver.storage.sql.bodies import Bodies
from palaver.storage.sql.copyfiles import removed_on_failure, sha256_of, sync, told
from palaver.storage.sql.layout import OURS, contents_of, loose_ends, records_of, tables_of
from palaver.storage.sql.migrate import lend_functions, load_migrations
from palaver.storage.sql.moves import drop_log, moved_to, refuse_moved
from palaver.storage.sql.sqlite import APPLICATION_ID, take_lock

_BUSY_S: Final = 10.0

KEPT_SUFFIX: Final = ".before-restore"
"""What the database that a restored one replaces is called."""


contents = contents_of


class SqliteFile:
    """`storage.copies.DatabaseFile` of SQLite."""

    def __init__(self, path: str, cipher: Cipher | None = None) -> None:
        self.path = self.name = path
        self._cipher = cipher

    def check(self) -> Health:
        return check(self.path, self._cipher)

    def back_up(self, target: str) -> Copy:
        return back_up(self.path, target)

    def restore(self, backup: str, *, replaces: bool) -> Copy:
        if not replaces and self.has_data():
            raise StorageError(f"{self.path} is there already")
        return restore(backup, self.path)

    def has_data(self) -> bool:
        return os.path.exists(self.path)

    def is_in_use(self) -> bool:
        if not os.path.exists(f"{self.path}-lock"):
            return False
        try:
            take_lock(self.path).close()
        except Unavailable:
            return True
        return False


# --- backup ------------------------------------------------------------------------------------


def back_up(source: str, target: str) -> Copy:
    """Copies a database that may be in use to a new file.

    Raises:
        StorageError: there is something at the target, the source is no database of ours, the
            disk is full, or the copy differs; then no file is left at the target.
    """
    if os.path.exists(target):
        raise StorageError(f"{target} is there already: give the backup another name")
    part = f"{target}.part"
    with told(target), removed_on_failure(part):
        with closing(open_database(source)) as original, closing(sqlite3.connect(part)) as copy:
            require_ours(original, source)
            refuse_moved(original, source)
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            drop_log(copy)  # of a move that is under way: the copy has no part in it
            copy.commit()
            expected, found = contents(original), contents(copy)
            original.execute("ROLLBACK")
            if expected != found:
                raise StorageError(f"the copy of {source} differs from it; try again")
            schema = schema_of(copy)
        sync(part)
        os.replace(part, target)
        sync(os.path.dirname(os.path.abspath(target)))
    return Copy(target, os.path.getsize(target), sha256_of(target), schema, found)


def restore(backup: str, target: str) -> Copy:
    """Puts a backup in the place of a database that nobody uses.

    What was there is kept under another name.

    Raises:
        Unavailable: a server uses the database.
        StorageError: the backup is damaged or not ours, or of a newer palaver.
    """
    health = require_sound(backup)
    part = f"{target}.part"
    with told(target), closing(take_lock(target)), removed_on_failure(part):
        with closing(open_database(backup)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            expected, found = contents(source), contents(copy)
        if expected != found:
            raise StorageError(f"the copy of {backup} differs from it; try again")
        sync(part)
        kept = _put_aside(target)
        os.replace(part, target)
        sync(os.path.dirname(os.path.abspath(target)))
    return Copy(target, os.path.getsize(target), sha256_of(target), health.schema, found, kept)


def require_sound(backup: str) -> Health:
    """Raises: StorageError: the file is damaged, or not one that can be restored."""
    with told(backup), closing(open_database(backup)) as connection:
        health = _health(connection, backup)
    if health.problems:
        raise StorageError(f"{backup} is not restored: {'; '.join(health.problems)}")
    return health


def _put_aside(path: str) -> str | None:
    """Keeps the database under another name, whole: its write-ahead log is written into it."""
    if not os.path.exists(path):
        return None
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = path + KEPT_SUFFIX
    for suffix in ("-wal", "-shm"):
        # Of a database that could not be opened; a log beside the new file would be taken for its.
        if os.path.exists(path + suffix):
            os.replace(path + suffix, kept + suffix)
    os.replace(path, kept)
    return kept


# --- health ------------------------------------------------------------------------------------


def check(path: str, cipher: Cipher | None = None) -> Health:
    """Reads the whole database and its indexes. It may be in use.

    Args:
        cipher: keys that should open what is sealed.

    Raises:
        StorageError: there is no file, or it cannot be read at all.
    """
    with told(path), closing(open_database(path)) as connection:
        health = _health(connection, path)
        if health.problems:
            return health
        tables, bodies = tables_of(connection), Bodies(cipher)
        rows = {table.name: bodies.read(table, records_of(connection, table)) for table in tables}
        problems = (*bodies.problems(), *loose_ends(tables, _rows(connection)))
    return replace(health, rows=rows, problems=problems)


def _health(connection: sqlite3.Connection, path: str) -> Health:
    """Of the file and its schema, not of what the rows say."""
    connection.execute("BEGIN")
    problems = [
        f"damaged: {row[0]}"
        for row in connection.execute("PRAGMA integrity_check(20)")
        if row[0] != "ok"
    ]
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    schema = schema_of(connection)
    known = len(load_migrations("sqlite"))
    if owner != APPLICATION_ID:
        problems.append("it is a database of another program")
    elif schema > known:
        problems.append(f"schema {schema} is newer than this palaver's ({known}): upgrade it")
    elif schema < known:
        problems.append(f"schema {schema} is older than {known}: run `palaver db upgrade`")
    elif (moved := moved_to(connection)) is not None:
        problems.append(f"it was moved to {moved.target}")
    elif _shape(connection) != _expected_shape():
        problems.append("its tables are not those of this schema: restore a backup")
    return Health(path, _bytes_of(connection), schema, {}, tuple(problems))


def _rows(connection: sqlite3.Connection) -> Callable[[str], list[tuple[Any, ...]]]:
    return lambda sql: connection.execute(sql).fetchall()


def _shape(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    """Without the log of a move, which does no harm."""
    rows = connection.execute("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL")
    return {(kind, name) for kind, name in rows if not name.startswith(OURS)}


def _expected_shape() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        make_schema(fresh)
        return _shape(fresh)


def make_schema(connection: sqlite3.Connection) -> None:
    """The current schema in an empty database."""
    lend_functions(connection)
    migrations = load_migrations("sqlite")
    for migration in migrations:
        connection.executescript(migration.script)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(migrations)}")


def _bytes_of(connection: sqlite3.Connection) -> int:
    """With what stands in the write-ahead log only."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size: int = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    return size


def schema_of(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


# --- opening ----------------------------------------------------------------------------------


def open_database(path: str) -> sqlite3.Connection:
    if not os.path.exists(path):
        raise NotADatabase(f"there is no database {path}")
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)


def require_ours(connection: sqlite3.Connection, path: str) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise NotADatabase(f"{path} is not a database of palaver")
    known = len(load_migrations("sqlite"))
    if schema_of(connection) > known:
        raise SchemaOutdated(f"{path} was written by a newer palaver; upgrade this one")
