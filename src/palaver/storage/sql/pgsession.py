"""One connection to PostgreSQL for whole tables: copies, moves and checks, from the command line.

It blocks, and knows tables as `layout.Table`s and rows as records. What servers do goes another way
(postgres.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from itertools import chain
from types import TracebackType
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from palaver.errors import ConfigError, SchemaOutdated, StorageError, Unavailable
from palaver.storage.sql.layout import Key, Table
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.sql.postgres import (
    APPLICATION,
    CONNECT_S,
    TCP_SESSION,
    UNFINISHED_MOVE,
    PostgresDriver,
    storage_error,
    with_tcp_defaults,
)
from palaver.storage.sql.queries import parse_queries
from palaver.storage.sql.records import Kind, Recorder

_SESSION: Final = (
    "-c statement_timeout=0 -c idle_in_transaction_session_timeout=0 -c lock_timeout=5s -c jit=off "
    + TCP_SESSION
)

_NAME: Final = f"{APPLICATION} db"
"""Not that of a server, for servers are counted."""

_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER: Final = b"\xff\xff"

_PIECE: Final = 1 << 18
"""Bytes sent at once."""

_SILENT_S: Final = 15
"""A worker that gave no sign for so long is gone."""

_FENCES_FROM: Final = 1_000_000_000_000_000
"""New clients' fences are microseconds since 1970, far above."""

_TYPES: Final[dict[Kind, str]] = {int: "bigint", str: "text", bytes: "bytea"}

_STORED_AS: Final = {"job": "procrastinate_jobs"}
"""Tables that are called otherwise here, and have other columns."""

_JOBS: Final = "palaver_jobs"
"""Where jobs are copied to before procrastinate gets them. It is gone with the transaction."""


class Mark(NamedTuple):
    """A move that has not ended: from which file, and its number."""

    source: str
    run: str


class PgSession:
    """A connection, to be used as a context: psycopg's errors leave it as StorageErrors.

    Args:
        conninfo: a libpq URL.

    Attributes:
        where: the database in words, without user and password.
    """

    def __init__(self, conninfo: str) -> None:
        try:
            given = conninfo_to_dict(conninfo)
        except psycopg.ProgrammingError as error:
            raise ConfigError(f"database: the URL is not understood: {error}") from error
        self._conninfo = conninfo
        self._options = f"{_SESSION} {given.get('options') or ''}".strip()
        port = f":{given['port']}" if given.get("port") else ""
        name = given.get("dbname") or given.get("user") or ""
        self.where = f"{name} at {given.get('host') or 'localhost'}{port}"
        self.sql = _queries()
        self._connection: psycopg.Connection[Any] | None = None
        self._keys: dict[str, tuple[str, ...]] = {}
        self._reading: Generator[bytes, None, None] = (b"" for _ in ())

    def __enter__(self) -> PgSession:
        try:
            self._connection = psycopg.connect(
                make_conninfo(
                    with_tcp_defaults(self._conninfo),
                    application_name=_NAME,
                    connect_timeout=CONNECT_S,
                    options=self._options,
                    client_encoding="utf8",
                ),
                autocommit=True,
            )
        except psycopg.Error as error:
            raise Unavailable(
                f"{self.where} cannot be reached: {' '.join(str(error).split())}"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """What was not committed is rolled back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if isinstance(error, psycopg.Error):
            raise storage_error(error, self.where) from error

    @property
    def _pg(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            raise Unavailable(f"{self.where} is closed")
        return self._connection

    def run(self, sql: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement, none if it gives none."""
        cursor = self._pg.execute(sql.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    @contextmanager
    def transaction(self, begin: str = "BEGIN") -> Iterator[None]:
        """Committed at the end, rolled back on any error."""
        self.run(begin)
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):
                self._reading.close()  # of whoever broke off; the connection waits for its end
                self.run("ROLLBACK")
            raise
        self.run("COMMIT")

    def snapshot(self) -> Any:
        """A transaction that reads one moment."""
        return self.transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    # --- the schema --------------------------------------------------------------------------

    def schema(self) -> int:
        """Its number, 0 if there is none; more than UNFINISHED_MOVE while a move has not ended."""
        if not self.run(self.sql["has_schema"])[0][0]:
            return 0
        return int(self.run(self.sql["schema_number"])[0][0])

    def require_schema(self) -> int:
        """Raises: SchemaOutdated: it is not the one that this program works with."""
        schema, known = self.schema(), len(load_migrations("postgresql"))
        if schema != known:
            what = "has no schema" if not schema else f"has schema {schema}, not {known}"
            if schema > UNFINISHED_MOVE:
                what = "is the target of a move that has not ended: run it once more"
            raise SchemaOutdated(f"{self.where} {what}; `palaver db upgrade` makes it current")
        return schema

    def upgrade(self) -> None:
        """Raises: SchemaOutdated: it is newer than this program."""
        conninfo = make_conninfo(self._conninfo, application_name=_NAME)
        asyncio.run(PostgresDriver(conninfo).upgrade())

    def read_mark(self) -> Mark | None:
        """The move that has not ended, if there is one."""
        if self.schema() < UNFINISHED_MOVE:
            return None
        return Mark(*self.run(self.sql["read_mark"])[0])

    def set_mark(self, mark: Mark) -> None:
        self.run(self.sql["begin_move"], [UNFINISHED_MOVE])
        self.run(self.sql["make_mark"])
        self.run(self.sql["set_mark"], mark)

    def drop_mark(self) -> None:
        self.run(self.sql["end_move"], [UNFINISHED_MOVE])
        self.run(self.sql["drop_mark"])

    # --- all tables --------------------------------------------------------------------------

    def lock_all(self) -> None:
        """Nobody else reads or writes until the end of the transaction.

        Raises:
            Unavailable: a server or a worker is connected.
        """
        names = ["palaver_schema", *self._our_tables()]
        try:
            self.run(f"LOCK TABLE {_listed(names)} IN ACCESS EXCLUSIVE MODE")
        except psycopg.errors.LockNotAvailable as error:
            raise Unavailable(f"{self.where} is in use: stop servers and workers") from error
        users = self.run(self.sql["users"], [APPLICATION])[0][0]
        workers = self.run(self.sql["workers"], [_SILENT_S])[0][0]
        if users or workers:
            raise Unavailable(
                f"{self.where} is in use by {users} connections of servers and {workers} workers: "
                f"stop them (one that was killed counts for {_SILENT_S} seconds)"
            )

    def is_empty(self, tables: Iterable[Table]) -> bool:
        """Whether those of the tables that are there have no rows."""
        names = sorted({*map(_stored_as, tables)}.intersection(self._our_tables()))
        exists = " OR ".join(f'EXISTS (SELECT FROM "{name}")' for name in names)
        return not names or not self.run(f"SELECT {exists}")[0][0]

    def clear(self, tables: Iterable[Table]) -> None:
        """Deletes all rows, and what procrastinate keeps about jobs."""
        jobs = [name for name in self._our_tables() if name.startswith("procrastinate_")]
        self.run(f"TRUNCATE {_listed({*map(_stored_as, tables), *jobs})}")

    def keys(self, tables: Iterable[Table]) -> dict[str, tuple[str, ...]]:
        """The columns of the primary key, by table."""
        if not self._keys:
            self._keys = {name: tuple(columns) for name, columns in self.run(self.sql["keys"])}
        return {table.name: self._keys[_stored_as(table)] for table in tables}

    def finish(self, highest: Mapping[tuple[str, str], int]) -> None:
        """After all is copied: rows made from now on get higher numbers.

        Args:
            highest: by table and column, the highest number that was ever given.
        """
        names = {stored: table for table, stored in _STORED_AS.items()}
        for stored, column, sequence in self.run(self.sql["sequences"]):
            number = highest.get((names.get(stored, stored), column), 0)
            if number:
                self.run("SELECT setval(%s::regclass, %s)", [f'"{sequence}"', number])
        if highest.get(("turn", "id"), 0) >= _FENCES_FROM:
            self.run(self.sql["raise_fences"])

    def _our_tables(self) -> list[str]:
        return [name for (name,) in self.run(self.sql["our_tables"])]

    # --- one table ---------------------------------------------------------------------------

    def records(
        self, table: Table, *, keys: Sequence[Key] | None = None, numbered: bool = False
    ) -> Iterator[bytes]:
        """Rows of a table. They are to be read before anything else is asked.

        Args:
            keys: those of these primary keys; all by default.
            numbered: as SQLite takes them, in the order of its primary key.
        """
        query = self._query(table, numbered=numbered)
        if keys is not None:
            query += f" JOIN {self._put_keys(table, keys)} USING ({_listed(self._key(table))})"
        if numbered:
            query += f" ORDER BY {_listed(table.key)}"
        self._reading = self._read(query)
        return self._reading

    def _read(self, query: str) -> Generator[bytes, None, None]:
        with self._pg.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT binary)".encode()) as copy:
            is_first = True
            for data in copy:
                record = bytes(data)
                if is_first:
                    is_first, record = False, record[len(_HEADER) :]
                if record and record != _TRAILER:
                    yield record

    def _query(self, table: Table, *, numbered: bool = False) -> str:
        source = f'"{table.name}"'
        if table.name == "job":
            source = f"({self.sql['jobs']}) AS job"
        elif table.name == "turn" and numbered:
            source = f"({self.sql['numbered_turns']}) AS turn"
        columns = (
            f'"{column}"::{_TYPES[kind]}'
            for column, kind in zip(table.columns, table.kinds, strict=True)
        )
        return f"SELECT {', '.join(columns)} FROM {source}"  # noqa: S608 - names of ours

    def load(self, table: Table, records: Iterable[bytes]) -> None:
        """Inserts rows, which must not be there yet."""
        if table.name != "job":
            self._copy_in(table.name, table.listed, records)
            return
        self._make_temporary(_JOBS, table.columns, table.kinds)
        self._copy_in(_JOBS, table.listed, records)
        self.run(self.sql["add_jobs"])

    def delete(self, table: Table, keys: Sequence[Key]) -> None:
        """Deletes rows by their primary keys."""
        there = self._put_keys(table, keys)
        matches = " AND ".join(f'k."{column}" = t."{column}"' for column in self._key(table))
        self.run(f'DELETE FROM "{_stored_as(table)}" AS t USING {there} AS k WHERE {matches}')  # noqa: S608

    def analyze(self, table: Table) -> None:
        """Plans, the servers' too, need to know how much there is."""
        self.run(f'ANALYZE "{_stored_as(table)}"')

    def _key(self, table: Table) -> tuple[str, ...]:
        return self.keys([table])[table.name]

    def _put_keys(self, table: Table, keys: Sequence[Key]) -> str:
        """The keys as a temporary table; its name."""
        name, columns = f"palaver_keys_{table.name}", self._key(table)
        kinds = table.kinds_of(columns)
        self._make_temporary(name, columns, kinds)
        self._copy_in(name, _listed(columns), map(Recorder(kinds).record, keys))
        self.run(f"ANALYZE {name}")
        return name

    def _make_temporary(self, name: str, columns: Sequence[str], kinds: Sequence[Kind]) -> None:
        made = ", ".join(
            f'"{column}" {_TYPES[kind]}' for column, kind in zip(columns, kinds, strict=True)
        )
        self.run(f"DROP TABLE IF EXISTS pg_temp.{name}")
        self.run(f"CREATE TEMPORARY TABLE {name} ({made}) ON COMMIT DROP")

    def _copy_in(self, table: str, columns: str, records: Iterable[bytes]) -> None:
        sql = f'COPY "{table}" ({columns}) FROM STDIN (FORMAT binary)'
        with self._pg.cursor().copy(sql.encode()) as copy:
            for piece in _pieces(chain([_HEADER], records, [_TRAILER])):
                copy.write(piece)


def _pieces(records: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in fewer pieces."""
    held: list[bytes] = []
    size = 0
    for record in records:
        held.append(record)
        size += len(record)
        if size >= _PIECE:
            yield b"".join(held)
            held.clear()
            size = 0
    yield b"".join(held)


def _stored_as(table: Table) -> str:
    return _STORED_AS.get(table.name, table.name)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _queries() -> dict[str, str]:
    source = files(__package__).joinpath("copies.postgresql.sql").read_text("utf-8")
    return {name: query.text for name, query in parse_queries(source).items()}


def require_equal(where: str, table: str, expected: object, found: object) -> None:
    """Raises: StorageError: a table is not the same on both sides."""
    if expected != found:
        raise StorageError(f"{where}: table {table} differs: {found} instead of {expected}")
