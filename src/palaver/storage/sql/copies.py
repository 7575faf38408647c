"""Copies of a SQLite database: made while a server writes, verified, put back; and its health.

Plain blocking functions for the command line. A copy is one file without a write-ahead log. It is
read in one snapshot; its rows are counted and hashed on both sides before it gets its name, so a
file that has the name of a backup is one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from palaver.errors import NotADatabase, SchemaOutdated, StorageError, Unavailable
from palaver.storage.copies import Copy, Health, TableContent
from palaver.storage.sql.migrate import lend_functions, load_migrations
from palaver.storage.sql.sqlite import APPLICATION_ID, take_lock

_BUSY_S: Final = 10.0

KEPT_SUFFIX: Final = ".before-restore"
"""What the database that a restored one replaces is called."""


class SqliteFile:
    """`storage.copies.DatabaseFile` of SQLite."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> Health:
        return check(self.path)

    def back_up(self, target: str) -> Copy:
        return back_up(self.path, target)

    def restore(self, backup: str) -> Copy:
        return restore(backup, self.path)

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
    with _told(target), _removed_on_failure(part):
        with closing(_open(source)) as original, closing(sqlite3.connect(part)) as copy:
            _require_ours(original, source)
            original.execute("BEGIN")
            original.execute("SELECT count(*) FROM sqlite_master").fetchone()  # the snapshot
            original.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            expected, found = contents(original), contents(copy)
            original.execute("ROLLBACK")
            if expected != found:
                raise StorageError(f"the copy of {source} differs from it; try again")
            schema = _schema_of(copy)
        _sync(part)
        os.replace(part, target)
        _sync(os.path.dirname(os.path.abspath(target)))
    return Copy(target, os.path.getsize(target), _sha256(target), schema, found)


def restore(backup: str, target: str) -> Copy:
    """Puts a backup in the place of a database that nobody uses.

    What was there is kept under another name.

    Raises:
        Unavailable: a server uses the database.
        StorageError: the backup is damaged or not ours, or of a newer palaver.
    """
    health = check(backup)
    if health.problems:
        raise StorageError(f"{backup} is not restored: {'; '.join(health.problems)}")
    part = f"{target}.part"
    with _told(target), closing(take_lock(target)), _removed_on_failure(part):
        with closing(_open(backup)) as source, closing(sqlite3.connect(part)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            expected, found = contents(source), contents(copy)
        if expected != found:
            raise StorageError(f"the copy of {backup} differs from it; try again")
        _sync(part)
        kept = _put_aside(target)
        os.replace(part, target)
        _sync(os.path.dirname(os.path.abspath(target)))
    return Copy(target, os.path.getsize(target), _sha256(target), health.schema, found, kept)


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


def check(path: str) -> Health:
    """Reads the whole database and its indexes. It may be in use.

    Raises:
        StorageError: there is no file, or it cannot be read at all.
    """
    with _told(path), closing(_open(path)) as connection:
        problems = [
            f"damaged: {row[0]}"
            for row in connection.execute("PRAGMA integrity_check(20)")
            if row[0] != "ok"
        ]
        owner = connection.execute("PRAGMA application_id").fetchone()[0]
        schema = _schema_of(connection)
        known = len(load_migrations("sqlite"))
        if owner != APPLICATION_ID:
            problems.append("it is a database of another program")
        elif schema > known:
            problems.append(f"schema {schema} is newer than this palaver's ({known}): upgrade it")
        elif schema < known:
            problems.append(f"schema {schema} is older than {known}: run `palaver db upgrade`")
        elif _shape(connection) != _expected_shape():
            problems.append("its tables are not those of this schema: restore a backup")
        rows = {}
        if not problems:
            for table in _tables(connection):
                rows[table] = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608
        size = _bytes_of(connection)
    return Health(path, size, schema, rows, tuple(problems))


def contents(connection: sqlite3.Connection) -> dict[str, TableContent]:
    """Rows and digests of every table, in one order wherever the rows lie."""
    found = {}
    for table in _tables(connection):
        key = [
            f'"{row[1]}"' for row in connection.execute(f'PRAGMA table_info("{table}")') if row[5]
        ]
        order = ", ".join(key) or "rowid"
        digest, rows = hashlib.sha256(), 0
        for row in connection.execute(f'SELECT * FROM "{table}" ORDER BY {order}'):  # noqa: S608
            digest.update(repr(row).encode("utf-8", "surrogatepass"))
            rows += 1
        found[table] = TableContent(rows, digest.hexdigest())
    return found


def _tables(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in rows if not name.startswith("sqlite_")]


def _shape(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(connection.execute("SELECT type, name FROM sqlite_master WHERE sql IS NOT NULL"))


def _expected_shape() -> set[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as fresh:
        lend_functions(fresh)
        for migration in load_migrations("sqlite"):
            fresh.executescript(migration.script)
        return _shape(fresh)


def _bytes_of(connection: sqlite3.Connection) -> int:
    """With what stands in the write-ahead log only."""
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    size: int = pages * connection.execute("PRAGMA page_size").fetchone()[0]
    return size


def _schema_of(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


# --- files -------------------------------------------------------------------------------------


def _open(path: str) -> sqlite3.Connection:
    if not os.path.exists(path):
        raise NotADatabase(f"there is no database {path}")
    return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)


def _require_ours(connection: sqlite3.Connection, path: str) -> None:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise NotADatabase(f"{path} is not a database of palaver")
    known = len(load_migrations("sqlite"))
    if _schema_of(connection) > known:
        raise SchemaOutdated(f"{path} was written by a newer palaver; upgrade this one")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What SQLite and the system say, as StorageErrors."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_FULL:
            raise Unavailable(f"the disk of {path} is full") from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise NotADatabase(
                f"{path}: not a SQLite database, or a damaged one: {error}"
            ) from error
        raise StorageError(f"{path}: {error}") from error
    except OSError as error:
        raise Unavailable(f"{error.filename or path}: {error.strerror or error}") from error


@contextmanager
def _removed_on_failure(path: str) -> Iterator[None]:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        yield
    except BaseException:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(path + suffix)
        raise


def _sync(path: str) -> None:
    """To the disk, also a folder's entries where the system lets us."""
    with contextlib.suppress(OSError):
        number = os.open(path or ".", os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
