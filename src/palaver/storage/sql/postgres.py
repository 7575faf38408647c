"""PostgreSQL as a Driver: any number of processes on one database.

Two sets of connections. A turn that calls nobody keeps one from its first statement to its commit;
what such a turn reads besides (a bot, a person) must not wait for other turns to end, so everything
that is done in one round trip has connections of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from palaver.errors import ConfigError, Conflict, SchemaOutdated, StorageError, Unavailable
from palaver.storage.sql.driver import NOT_NOW, Command, Parameters, Row, Statement
from palaver.storage.sql.migrate import Migration, load_migrations, pending_migrations
from palaver.storage.sql.pgconnection import ConnectionLost, PgConnection
from palaver.storage.sql.pgpool import Pool
from palaver.storage.sql.pgwatch import PgWatch

POOL_SIZE = 16
"""Turns of one process that may be in the database at once."""

CALLS_SHARE = 4
"""One connection for calls goes with so many for turns."""

APPLICATION = "palaver"
"""How servers and workers call themselves to the database."""

CONNECT_S = 5
POOL_WAIT_S = 30.0
LOCK_WAIT_S = 65
"""How long a statement waits for another process's turn; as `turn_wait_s` by default."""

STATEMENT_S = 70

ANSWER_S = 10.0
"""After this a server that says nothing, and does nothing, counts as gone. pgwatch.py has more."""

IDLE_TURN_S = 120
"""A turn that is silent for so long is rolled back: its process or its machine has died."""

UNFINISHED_MOVE = 1_000_000
"""Added to the schema's number while a move into the database may still fail: nobody serves it."""

_MIGRATION_LOCK = 0x50414C4156455200

_BEGIN: Command = ("BEGIN ISOLATION LEVEL READ COMMITTED", ())
_COMMIT: Command = ("COMMIT", ())
_ROLLBACK: Command = ("ROLLBACK", ())
_VERSION = "SELECT number FROM palaver_schema"

TCP_DEFAULTS = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""libpq's, in seconds and milliseconds, for whoever is not told otherwise: a peer that is gone
without a word is noticed within half a minute, also while nothing is asked."""

TCP_SESSION = "-c tcp_keepalives_idle=15 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""The same for the server, which else keeps the locks of a client that is gone."""

_DEFAULTS = {"application_name": APPLICATION, "connect_timeout": CONNECT_S, **TCP_DEFAULTS}

_SESSION = (
    f"-c statement_timeout={STATEMENT_S}s -c lock_timeout={LOCK_WAIT_S}s "
    f"-c idle_in_transaction_session_timeout={IDLE_TURN_S}s {TCP_SESSION} "
    # Every statement finds its rows by a key, so one plan serves all parameters.
    "-c plan_cache_mode=force_generic_plan -c jit=off"
)


class PostgresDriver:
    """A database that a libpq URL names.

    Args:
        url: `postgresql://user:password@host:port/name?sslmode=…`, all that libpq knows.
        pool_size: connections for turns; a quarter as many come on top.
        answer_s: how long a statement may be silent that neither waits for a lock nor is long.
        session: what libpq's `options` gets besides, of ours.
    """

    kind = "postgresql"
    is_shared = True

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = POOL_SIZE,
        answer_s: float = ANSWER_S,
        session: str = _SESSION,
    ) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise ConfigError(f"database: the URL is not understood: {error}") from error
        self._arguments: dict[str, Any] = {**_DEFAULTS, **given}
        self._arguments["options"] = f"{session} {given.get('options') or ''}".strip()
        self._arguments["client_encoding"] = "utf8"
        self._where = f"the database {given.get('dbname') or given.get('user') or ''!s}"
        self._pool_size = pool_size
        self._answer_s = answer_s
        self._migrations = load_migrations(self.kind)
        self._turns: Pool | None = None
        self._calls: Pool | None = None
        self._watch: PgWatch | None = None

    # --- life ------------------------------------------------------------------------------

    async def open(self) -> None:
        """Raises: SchemaOutdated when `palaver db upgrade` has to run first."""
        if self._calls is not None:
            return
        self._open_pools()
        try:
            await self.check()
        except BaseException:
            await self.close()
            raise

    def _open_pools(self) -> None:
        calls = max(1, self._pool_size // CALLS_SHARE)
        self._watch = PgWatch(self._connect_unwatched, self._answer_s, self._drop_idle)
        self._calls = Pool(self._connect, calls, POOL_WAIT_S)
        self._turns = Pool(self._connect, self._pool_size, POOL_WAIT_S)

    async def check(self) -> None:
        current = await self._schema()
        wanted = len(self._migrations)
        if current > wanted:
            self._pending(current)
        if current < wanted:
            has = f"has schema {current}" if current else "is empty"
            raise SchemaOutdated(
                f"{self._where} {has}, and this palaver works with schema {wanted}: "
                "run `palaver db upgrade` once"
            )

    async def _schema(self) -> int:
        """0: none yet."""
        connection = await self._acquire(self._calls)
        try:
            rows, _ = await connection.run([(_VERSION, ())])
            return int(rows[0][0][0])
        except psycopg.errors.UndefinedTable:
            return 0
        except Exception as error:
            raise self._storage_error(error) from error
        finally:
            self._give_back(self._calls, connection)

    def _pending(self, current: int) -> tuple[Migration, ...]:
        if current > UNFINISHED_MOVE:
            raise SchemaOutdated(
                f"a move into {self._where} has not ended: run `palaver db migrate` once more"
            )
        return pending_migrations(self._migrations, current, where=self._where)

    async def upgrade(self) -> tuple[str, ...]:
        """Runs the migrations that are due, one process at a time; their names.

        Raises:
            SchemaOutdated: the database is newer than this program.
        """
        done = []
        try:
            connection = await psycopg.AsyncConnection.connect(**self._arguments, autocommit=True)
            async with connection:
                await connection.execute("SET statement_timeout = 0")
                await connection.execute("SET lock_timeout = 0")
                await connection.execute(f"SELECT pg_advisory_lock({_MIGRATION_LOCK})")
                known = await connection.execute("SELECT to_regclass('palaver_schema')")
                row = await known.fetchone()
                current = 0
                if row is not None and row[0] is not None:
                    numbers = await connection.execute(_VERSION)
                    current = (await numbers.fetchone() or (0,))[0]
                for migration in self._pending(current):
                    async with connection.transaction():
                        await connection.execute(migration.script.encode())
                        await connection.execute("DELETE FROM palaver_schema")
                        await connection.execute(
                            "INSERT INTO palaver_schema VALUES (%s)", [migration.number]
                        )
                    done.append(f"{migration.number:04} {migration.name}")
        except psycopg.Error as error:
            raise self._storage_error(error) from error
        return tuple(done)

    async def close(self) -> None:
        for pool in (self._turns, self._calls, self._watch):
            if pool is not None:
                await pool.close()
        self._turns = self._calls = self._watch = None

    def gauges(self) -> dict[str, float]:
        """The pools, both together."""
        pools = [pool for pool in (self._turns, self._calls) if pool is not None]
        watching = 0 if self._watch is None else self._watch.count
        return {
            "connections": sum(pool.count for pool in pools) + watching,
            "connections_busy": sum(pool.busy for pool in pools),
            "connections_wanted": sum(pool.waiting for pool in pools),
        }

    # --- statements ------------------------------------------------------------------------

    async def read(self, sql: str, parameters: Parameters) -> list[Row]:
        rows, _ = await self._call([(sql, parameters)])
        return rows[0]

    async def write(self, unit: Sequence[Statement], *, is_long: bool = False) -> int:
        commands = commands_of(unit)
        if len(commands) > 1:
            commands = [_BEGIN, *commands, _COMMIT]
        _, changed = await self._call(commands, is_long=is_long)
        return changed

    async def _call(
        self, commands: Sequence[Command], *, is_long: bool = False
    ) -> tuple[list[list[Row]], int]:
        connection = await self._acquire(self._calls)
        try:
            return await connection.run(commands, is_long=is_long)
        except Exception as error:
            raise self._storage_error(error) from error
        finally:
            await self._settle(self._calls, connection)

    async def begin(
        self, commands: Sequence[Command]
    ) -> tuple[PostgresTransaction, list[list[Row]]]:
        """Opens a transaction and runs its first commands, in one round trip."""
        connection = await self._acquire(self._turns)
        try:
            rows, _ = await connection.run([_BEGIN, *commands])
        except BaseException as error:
            await self._settle(self._turns, connection)
            if isinstance(error, Exception):
                raise self._storage_error(error) from error
            raise
        return PostgresTransaction(self, connection), rows[1:]

    # --- connections -----------------------------------------------------------------------

    async def _connect(self) -> PgConnection:
        return PgConnection(await self._dial(), self._answer_s, self._watch)

    async def _connect_unwatched(self) -> PgConnection:
        """For the watch: its answer has to come before whoever is watched gives up."""
        return PgConnection(await self._dial(), self._answer_s / 2)

    async def _dial(self) -> psycopg.AsyncConnection[Any]:
        try:
            return await psycopg.AsyncConnection.connect(**self._arguments, autocommit=True)
        except (psycopg.Error, OSError) as error:
            if isinstance(error, psycopg.errors.ConnectionTimeout) and self._watch is not None:
                self._watch.note_loss(is_silent=True)
            reason = " ".join(str(error).split())
            message = f"{self._where} cannot be reached: {reason}"
            raise Unavailable(message, public=NOT_NOW) from error

    async def _acquire(self, pool: Pool | None) -> PgConnection:
        if pool is None or self._watch is None:
            raise Unavailable(f"{self._where} is closed")
        if self._watch.is_away:
            raise self._silent()
        return await pool.acquire()

    def _drop_idle(self, is_away: bool) -> None:
        for pool in (self._turns, self._calls):
            if pool is not None:
                pool.drop(self._silent() if is_away else None)

    def _silent(self) -> Unavailable:
        return Unavailable(f"{self._where} does not answer", public=NOT_NOW)

    async def _settle(self, pool: Pool | None, connection: PgConnection) -> None:
        """Gives a connection back, out of whatever transaction it is in."""
        try:
            if connection.is_in_transaction:
                await connection.run([_ROLLBACK])
        except (psycopg.Error, ConnectionLost):
            connection.close()
        except BaseException:
            connection.close()
            raise
        finally:
            self._give_back(pool, connection)

    @staticmethod
    def _give_back(pool: Pool | None, connection: PgConnection) -> None:
        if pool is None:
            connection.close()
        else:
            pool.release(connection)

    def _storage_error(self, error: BaseException) -> StorageError:
        return storage_error(error, self._where)


def with_tcp_defaults(conninfo: str) -> str:
    """For connections that others make: TCP_DEFAULTS as far as it does not say otherwise."""
    return make_conninfo("", **{**TCP_DEFAULTS, **conninfo_to_dict(conninfo)})


def storage_error(error: BaseException, where: str) -> StorageError:
    """The one place that knows PostgreSQL's errors."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, ConnectionLost):
        end = "what was being stored may or may not be"
        return Unavailable(
            f"the connection to {where} was lost ({error}); {end}",
            public=f"the connection to the database was lost; {end}",
        )
    state = getattr(error, "sqlstate", None) or ""
    text = " ".join(str(error).split())
    if state in _CONFLICTS or (
        state == "23505" and ("answer_pkey" in text or "queueing_lock" in text)
    ):
        told = "another turn came in between; try again"
        return Conflict(f"{told} ({text})", public=told)
    if state == "22012":  # only `check_fence` divides
        return Conflict("lease lost: another process went on with this client; try again")
    if state[:2] in _TROUBLES or state in _TROUBLES or not state:
        if isinstance(error, psycopg.Error):
            return Unavailable(f"{where} cannot be used now: {text}", public=NOT_NOW)
    elif state in ("42P01", "42703"):
        return SchemaOutdated(f"{where} has not our schema: {text}", public=NOT_NOW)
    return StorageError(f"{where} refused: {text}", public="the database refused this")


_CONFLICTS = ("40001", "40P01")
"""A serialization failure, a deadlock."""

_TROUBLES = ("08", "53", "57", "58", "25006", "25P03", "25P04", "55P03", "0A000", "28", "3D")
"""Classes and codes of what passes, or what an operator can mend: connections, resources, an
operator's shutdown, the system, a read-only standby, time-outs, a plan from before a migration."""


class PostgresTransaction:
    """A transaction that is open, on a connection of its own."""

    def __init__(self, driver: PostgresDriver, connection: PgConnection) -> None:
        self._driver = driver
        self._connection: PgConnection | None = connection

    async def run(self, commands: Sequence[Command]) -> list[list[Row]]:
        """One round trip. After an error the transaction is over."""
        return (await self._run(commands))[0]

    async def commit(self, unit: Sequence[Statement] = ()) -> int:
        """Runs the unit and commits, in one round trip; how many rows it changed."""
        _, changed = await self._run([*commands_of(unit), _COMMIT])
        await self.rollback()  # there is nothing left to roll back: gives the connection back
        return changed

    async def rollback(self) -> None:
        """Gives the connection back. Does nothing when it is back already."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._driver._settle(self._driver._turns, connection)

    async def _run(self, commands: Sequence[Command]) -> tuple[list[list[Row]], int]:
        if self._connection is None:
            raise StorageError("the transaction is over")
        try:
            return await self._connection.run(commands)
        except Exception as error:
            await self.rollback()
            raise self._driver._storage_error(error) from error
        except BaseException:
            await self.rollback()
            raise


def commands_of(unit: Sequence[Statement]) -> list[Command]:
    return [(sql, row) for sql, rows in unit for row in rows]
