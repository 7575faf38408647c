"""Copies of a PostgreSQL database, and its health. A backup is the same file as one of SQLite.

It is read in one moment while servers write, and its rows are counted and hashed on both sides
before the file gets its name. Restoring is one transaction: until its end nobody sees anything.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from typing import Final

from palaver.errors import StorageError
from palaver.storage.cipher import Cipher
from palaver.storage.copies import Copy, Health, Progress, TableContent
from palaver.storage.sql import copies
from palaver.storage.sql.bodies import Bodies
from palaver.storage.sql.copyfiles import removed_on_failure, sha256_of, sync, told
from palaver.storage.sql.layout import Table, loose_ends, records_of, tables_of
from palaver.storage.sql.migrate import load_migrations
from palaver.storage.sql.pgsession import PgSession, require_equal
from palaver.storage.sql.records import Digest

_MADE: Final = re.compile(
    r"^CREATE (?:UNIQUE )?(?:TABLE|INDEX|FUNCTION|TRIGGER) (\w+)", re.MULTILINE
)

_TOLD_EVERY: Final = 10_000
"""Rows between two words about progress."""


def no_progress(what: str, table: str, rows: int) -> None:
    """Nobody watches."""


class PostgresDatabase:
    """`storage.copies.StoredDatabase` of PostgreSQL.

    Args:
        conninfo: a libpq URL.
        cipher: keys that should open what is sealed.
    """

    def __init__(
        self, conninfo: str, tell: Progress = no_progress, cipher: Cipher | None = None
    ) -> None:
        self._conninfo = conninfo
        self._tell = tell
        self._cipher = cipher
        self.name = PgSession(conninfo).where

    def has_data(self) -> bool:
        with self._session() as session:
            return not session.is_empty(expected_tables())

    def _session(self) -> PgSession:
        return PgSession(self._conninfo)

    # --- health ------------------------------------------------------------------------------

    def check(self) -> Health:
        rows: dict[str, int] = {}
        with self._session() as session, session.snapshot():
            size = session.run(session.sql["size"])[0][0]
            schema = session.schema()
            problems = _schema_problems(session, schema)
            if not problems:
                bodies = Bodies(self._cipher)
                for table in expected_tables():
                    records = self._watched("reading", table, session.records(table))
                    rows[table.name] = bodies.read(table, records)
                problems += bodies.problems()
                problems += loose_ends(expected_tables(), session.run)
                problems += _numbering_problems(session)
        return Health(self.name, size, schema, rows, tuple(problems))

    # --- backup ------------------------------------------------------------------------------

    def back_up(self, target: str) -> Copy:
        if os.path.exists(target):
            raise StorageError(f"{target} is there already: give the backup another name")
        part = f"{target}.part"
        with told(target), removed_on_failure(part):
            with self._session() as session, closing(_new_file(part)) as file, session.snapshot():
                schema = session.require_schema()
                expected = self._save_all(session, file)
                file.execute("COMMIT")
                found = copies.contents(file)
                for name, content in expected.items():
                    require_equal(target, name, content, found[name])
            sync(part)
            os.replace(part, target)
            sync(os.path.dirname(os.path.abspath(target)))
        return Copy(target, os.path.getsize(target), sha256_of(target), schema, found)

    def _save_all(self, session: PgSession, file: sqlite3.Connection) -> dict[str, TableContent]:
        """Every table into the file; what was read."""
        expected = {}
        for table in tables_of(file):
            digest = Digest()
            records = self._watched("copying", table, session.records(table, numbered=True))
            marks = ", ".join("?" * len(table.columns))
            file.executemany(
                f'INSERT INTO "{table.name}" ({table.listed}) VALUES ({marks})',  # noqa: S608
                map(table.recorder.row, digest.passing(records)),
            )
            expected[table.name] = digest.content()
        for name, _, sequence in session.run(session.sql["sequences"]):
            if name == "procrastinate_jobs":  # ids of jobs are never used again
                ((last, is_used),) = session.run(f'SELECT last_value, is_called FROM "{sequence}"')  # noqa: S608
                file.execute("DELETE FROM sqlite_sequence WHERE name = 'job'")
                file.execute("INSERT INTO sqlite_sequence VALUES ('job', ?)", (last * is_used,))
        return expected

    # --- restore -----------------------------------------------------------------------------

    def restore(self, backup: str, *, replaces: bool) -> Copy:
        health = copies.require_sound(backup)
        with (
            told(backup),
            closing(copies.open_database(backup)) as file,
            self._session() as session,
        ):
            session.upgrade()
            with session.transaction():
                session.lock_all()
                tables = tables_of(file)
                if not session.is_empty(tables):
                    if not replaces:
                        raise StorageError(f"{self.name} has data in it")
                    session.clear(tables)
                file.execute("BEGIN")
                found = load_all(file, session, self._tell)
                session.finish(highest_numbers(file))
            size = session.run(session.sql["size"])[0][0]
        return Copy(self.name, size, sha256_of(backup), health.schema, found)

    def _watched(self, what: str, table: Table, records: Iterator[bytes]) -> Iterator[bytes]:
        return watched(self._tell, what, table, records)


def load_all(
    file: sqlite3.Connection, session: PgSession, tell: Progress
) -> dict[str, TableContent]:
    """Copies every table of a SQLite database, reads it back, and compares.

    Raises:
        StorageError: what was read back differs.
    """
    found = {}
    for table in tables_of(file):
        sent, stored = Digest(), Digest()
        records = watched(tell, "copying", table, records_of(file, table))
        session.load(table, sent.passing(records))
        session.analyze(table)
        for record in watched(tell, "comparing", table, session.records(table)):
            stored.add(record)
        require_equal(session.where, table.name, sent.content(), stored.content())
        found[table.name] = stored.content()
    return found


def highest_numbers(file: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """By table and column, the highest number that SQLite has given."""
    found = {}
    for table in tables_of(file):
        if len(table.key) == 1 and table.kinds_of(table.key) == (int,):
            (column,) = table.key
            sql = f'SELECT coalesce(max("{column}"), 0) FROM "{table.name}"'  # noqa: S608
            found[table.name, column] = file.execute(sql).fetchone()[0]
    for name, number in file.execute("SELECT name, seq FROM sqlite_sequence"):
        found[name, "id"] = max(number, found.get((name, "id"), 0))
    return found


def watched(tell: Progress, what: str, table: Table, records: Iterator[bytes]) -> Iterator[bytes]:
    """The records; tells how many went by."""
    count = 0
    for count, record in enumerate(records, 1):
        yield record
        if not count % _TOLD_EVERY:
            tell(what, table.name, count)
    tell(what, table.name, count)


# --- what is expected --------------------------------------------------------------------------


def expected_tables() -> tuple[Table, ...]:
    """The tables of the current schema."""
    with closing(sqlite3.connect(":memory:")) as fresh:
        copies.make_schema(fresh)
        return tables_of(fresh)


def _schema_problems(session: PgSession, schema: int) -> list[str]:
    known = len(load_migrations("postgresql"))
    if session.read_mark() is not None:
        return ["a move into it has not ended: run `palaver db migrate` once more"]
    if schema > known:
        return [f"schema {schema} is newer than this palaver's ({known}): upgrade it"]
    if schema < known:
        return [f"schema {schema} is older than {known}: run `palaver db upgrade`"]
    schema_file = files(__package__).joinpath("schema.postgresql.sql").read_text("utf-8")
    there = {name for (name,) in session.run(session.sql["names"])}
    there |= {f"{table}.{column}" for table, column in session.run(session.sql["columns"])}
    wanted = {*_MADE.findall(schema_file), *_columns_of_data()}
    missing = sorted(wanted - there)
    return [f"its schema lacks {', '.join(missing)}: restore a backup"] if missing else []


def _columns_of_data() -> Iterator[str]:
    for table in expected_tables():
        if table.name != "job":  # that is a table of procrastinate's here
            yield from (f"{table.name}.{column}" for column in table.columns)


def _numbering_problems(session: PgSession) -> list[str]:
    """A sequence behind its column would give a number twice."""
    problems = []
    for table, column, sequence in session.run(session.sql["sequences"]):
        ((highest,),) = session.run(f'SELECT max("{column}") FROM "{table}"')  # noqa: S608
        ((last, is_used),) = session.run(f'SELECT last_value, is_called FROM "{sequence}"')  # noqa: S608
        if highest is not None and highest > last - (not is_used):
            problems.append(f"{sequence} is at {last}, and {table}.{column} goes up to {highest}")
    return problems


def _new_file(path: str) -> sqlite3.Connection:
    """An empty database of ours, in a transaction. It is synced when it is whole."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA synchronous = OFF")
    copies.make_schema(connection)
    connection.execute("BEGIN")
    return connection
