"""Tables as both databases know them: what is copied, compared and counted, whichever it lies in.

The schema of SQLite says which tables and columns there are; PostgreSQL has the same ones, and some
of its own that are not data (fences, leases). Jobs differ: there they are procrastinate's, here a
table with the lease of its worker. A job that runs is taken for one that waits: its worker does not
come along.

A table or column that a migration adds to both databases is copied without a change here; one that
only SQLite gets belongs into _NOT_DATA, one that only PostgreSQL gets needs a default.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from palaver.errors import StorageError
from palaver.storage.copies import TableContent
from palaver.storage.sql.records import Digest, Kind, Mismatch, Recorder

_KINDS: Final[dict[str, Kind]] = {"INTEGER": int, "TEXT": str, "BLOB": bytes}

_NOT_DATA: Final = {"job": ("owner", "lease_until", "queued_at")}
"""Columns that belong to the process which runs now, or that each database counts by itself."""

_SAID: Final = {("job", "status"): "CASE status WHEN 'running' THEN 'waiting' ELSE status END"}
"""Columns that are not copied as they stand."""

OURS: Final = "palaver_"
"""What the names of tables begin with that are no data: marks of a move."""

_POINTS: Final = (
    ("conversation", "client", "client", "client"),
    ("memory", "client", "client", "client"),
    ("turn", "client", "client", "client"),
    ("version", "content", "content", "digest"),
)
"""Which column of which table names a row of which other."""

Key: TypeAlias = "tuple[Any, ...]"


@dataclass(frozen=True, slots=True)
class Table:
    """A table's name and what of it is data.

    Attributes:
        columns: names, in the order of the schema; kinds: what they hold.
        key: the columns of the primary key on SQLite, in order.
    """

    name: str
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    key: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The columns for SQL."""
        return ", ".join(f'"{column}"' for column in self.columns)

    @property
    def recorder(self) -> Recorder:
        return Recorder(self.kinds)

    def kinds_of(self, columns: Sequence[str]) -> tuple[Kind, ...]:
        return tuple(self.kinds[self.columns.index(column)] for column in columns)


def tables_of(connection: sqlite3.Connection) -> tuple[Table, ...]:
    """The tables of a SQLite database of ours, by name."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    names = [name for (name,) in rows if not name.startswith(("sqlite_", OURS))]
    return tuple(_table(connection, name) for name in names)


def _table(connection: sqlite3.Connection, name: str) -> Table:
    found = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
    data = [column for column in found if column[1] not in _NOT_DATA.get(name, ())]
    key = sorted((column[5], column[1]) for column in data if column[5])
    return Table(
        name,
        tuple(column[1] for column in data),
        tuple(_KINDS[column[2].upper()] for column in data),
        tuple(column for _, column in key),
    )


def loose_ends(
    tables: Sequence[Table], run: Callable[[str], list[tuple[Any, ...]]]
) -> tuple[str, ...]:
    """What points at rows that are not there. Args: run: a statement's rows, on any database."""
    there = {table.name for table in tables}
    found = []
    for table, column, other, key in _POINTS:
        if table in there and other in there:
            ((count,),) = run(
                f'SELECT count(*) FROM "{table}" AS a WHERE NOT EXISTS '  # noqa: S608
                f'(SELECT 1 FROM "{other}" AS b WHERE b."{key}" = a."{column}")'
            )
            if count:
                found.append(f"{count} rows of {table} have no {other}")
    return tuple(found)


# --- reading SQLite ----------------------------------------------------------------------------


def records_of(connection: sqlite3.Connection, table: Table) -> Iterator[bytes]:
    """All rows, in the order of the primary key.

    Raises:
        StorageError: a column holds what it is not made for.
    """
    order = ", ".join(f'"{column}"' for column in table.key)
    return _recorded(table, connection.execute(f"{_select(table)} ORDER BY {order}"))


def record_at(
    connection: sqlite3.Connection, table: Table, columns: Sequence[str], key: Key
) -> bytes | None:
    """The row with a key, which may be another one than the primary key."""
    where = " AND ".join(f'"{column}" = ?' for column in columns)
    rows = connection.execute(f"{_select(table)} WHERE {where}", key)
    return next(_recorded(table, rows), None)


def contents_of(connection: sqlite3.Connection) -> dict[str, TableContent]:
    """Rows and digests of every table."""
    found = {}
    for table in tables_of(connection):
        digest = Digest()
        for record in records_of(connection, table):
            digest.add(record)
        found[table.name] = digest.content()
    return found


def _recorded(table: Table, rows: sqlite3.Cursor) -> Iterator[bytes]:
    record = table.recorder.record
    for row in rows:
        try:
            yield record(row)
        except Mismatch as error:
            column = table.columns[error.column]
            raise StorageError(f"damaged: {table.name}.{column} holds {error}") from error


def _select(table: Table) -> str:
    said = [_SAID.get((table.name, column), f'"{column}"') for column in table.columns]
    return f'SELECT {", ".join(said)} FROM "{table.name}"'  # noqa: S608 - names of ours
