"""What a move leaves in the SQLite database that is moved: a log of changed rows, then a mark.

While rows are copied, triggers write the keys of all that changes into a log. At the end, in one
transaction, the log goes and a mark comes: other triggers, which make every further write fail with
words that say where the database is now. A run that was killed leaves its log; whoever comes next,
the server or another move, drops it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Final, NamedTuple

from palaver.errors import StorageError, Unavailable
from palaver.storage.sql.layout import OURS, Key, Table, tables_of

_LOG: Final = f"{OURS}move_log"
_LOG_TRIGGER: Final = f"{OURS}move_"
_MOVED: Final = f"{OURS}moved"
_MOVED_TRIGGER: Final = f"{OURS}moved_"

_CHANGES: Final = {"INSERT": ("NEW",), "UPDATE": ("OLD", "NEW"), "DELETE": ("OLD",)}
"""What to log when a row changes: the key it had, the key it has."""

_LONGEST_KEY: Final = 3
"""Columns."""

_BUSY_S: Final = 30.0
"""How long a server's commit is waited for."""


class Moved(NamedTuple):
    """Where a database is now, in words without a password, and the number of the move."""

    target: str
    run: str


# --- marks -------------------------------------------------------------------------------------


def moved_to(connection: sqlite3.Connection) -> Moved | None:
    """Where the database was moved to, if it was."""
    if not _exists(connection, _MOVED):
        return None
    return Moved(*connection.execute(f"SELECT target, run FROM {_MOVED}").fetchone())  # noqa: S608


def refuse_moved(connection: sqlite3.Connection, path: str) -> None:
    """Raises: Unavailable: the data is elsewhere by now."""
    moved = moved_to(connection)
    if moved is not None:
        told = f"was moved to {moved.target}: give palaver that database"
        raise Unavailable(f"{path} {told}", public=f"the database {told}")


def has_log(connection: sqlite3.Connection) -> bool:
    """A move is under way, or its process has died."""
    return _exists(connection, _LOG)


def drop_log(connection: sqlite3.Connection) -> None:
    """Removes the log and what writes it."""
    _drop_triggers(connection, _LOG_TRIGGER)
    connection.execute(f"DROP TABLE IF EXISTS {_LOG}")


def mark_moved(connection: sqlite3.Connection, moved: Moved) -> None:
    """Makes every write but this transaction's fail from its commit on."""
    drop_log(connection)
    _drop_triggers(connection, _MOVED_TRIGGER)
    connection.execute(f"DROP TABLE IF EXISTS {_MOVED}")
    tables = tables_of(connection)
    connection.execute(f"CREATE TABLE {_MOVED} (target TEXT NOT NULL, run TEXT NOT NULL)")
    connection.execute(f"INSERT INTO {_MOVED} VALUES (?, ?)", moved)  # noqa: S608
    words = f"the database was moved to {moved.target}".replace("'", "''")
    for table in tables:
        for change in _CHANGES:
            connection.execute(
                f"CREATE TRIGGER {_MOVED_TRIGGER}{table.name}_{change.lower()} "
                f"BEFORE {change} ON \"{table.name}\" BEGIN SELECT RAISE(ABORT, '{words}'); END"
            )


def _drop_triggers(connection: sqlite3.Connection, prefix: str) -> None:
    for name in _triggers(connection, prefix):
        connection.execute(f'DROP TRIGGER "{name}"')


def _triggers(connection: sqlite3.Connection, prefix: str) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
    # `palaver_move_` does not begin `palaver_moved_…`.
    return [name for (name,) in rows if name.startswith(prefix)]


def _exists(connection: sqlite3.Connection, table: str) -> bool:
    sql = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?"
    return bool(connection.execute(sql, (table,)).fetchone()[0])


# --- the log -----------------------------------------------------------------------------------


class Log:
    """Which rows changed. Written by triggers in whatever process changes them.

    Args:
        path: of the database.
        keys: by table, the columns by which a row is known on both sides.
    """

    def __init__(
        self, path: str, tables: Sequence[Table], keys: Mapping[str, Sequence[str]]
    ) -> None:
        self._path = path
        self._keys = {table.name: tuple(keys[table.name]) for table in tables}

    def begin(self, connection: sqlite3.Connection) -> None:
        """Puts the triggers in; drops what a run that was killed left."""
        columns = ", ".join(f"k{number}" for number in range(_LONGEST_KEY))
        with writing(connection):
            drop_log(connection)
            connection.execute(
                f"CREATE TABLE {_LOG} (n INTEGER PRIMARY KEY, name TEXT NOT NULL, {columns})"
            )
            for statement in self._triggers().values():
                connection.execute(statement)

    def _triggers(self) -> dict[str, str]:
        """Statements by the name of the trigger."""
        found = {}
        for table, key in self._keys.items():
            columns = ", ".join(f"k{number}" for number in range(len(key)))
            for change, sides in _CHANGES.items():
                name = f"{_LOG_TRIGGER}{table}_{change.lower()}"
                begin = f'CREATE TRIGGER {name} AFTER {change} ON "{table}"'
                entries = "".join(
                    f"INSERT INTO {_LOG} (name, {columns}) VALUES ('{table}', "  # noqa: S608
                    + ", ".join(f'{side}."{column}"' for column in key)
                    + "); "
                    for side in sides
                )
                found[name] = f"{begin} BEGIN {entries}END"
        return found

    def require_whole(self, connection: sqlite3.Connection) -> None:
        """Raises: StorageError: somebody dropped the log or changed the schema meanwhile."""
        if not has_log(connection) or set(_triggers(connection, _LOG_TRIGGER)) != set(
            self._triggers()
        ):
            raise StorageError(f"{self._path} was changed by something else meanwhile; try again")

    def end(self, connection: sqlite3.Connection) -> int:
        """The number of the last entry the connection sees."""
        found: int = connection.execute(f"SELECT coalesce(max(n), 0) FROM {_LOG}").fetchone()[0]  # noqa: S608
        return found

    def changes(
        self, connection: sqlite3.Connection, after: int, end: int
    ) -> Iterator[tuple[str, list[Key]]]:
        """Tables and the keys of their rows that changed between two entries."""
        for table, key in self._keys.items():
            columns = ", ".join(f"k{number}" for number in range(len(key)))
            rows = connection.execute(
                f"SELECT DISTINCT {columns} FROM {_LOG} WHERE name = ? AND n > ? AND n <= ?",  # noqa: S608
                (table, after, end),
            ).fetchall()
            if rows:
                yield table, rows


# --- connections -------------------------------------------------------------------------------


@contextmanager
def connected(path: str) -> Iterator[sqlite3.Connection]:
    """In autocommit, beside a server that may be running."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    with closing(connection):
        connection.execute("PRAGMA journal_mode = WAL")  # a reader must not stop the writer
        yield connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that nobody else writes beside; rolled back on any error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def take_snapshot(connection: sqlite3.Connection) -> None:
    """What the connection reads from now on is what is committed now."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
