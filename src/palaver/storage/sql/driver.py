"""What the SQL store needs of a database: to read, and to write a unit of work.

A driver knows connections, transactions and its library's errors, and nothing of what is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

Parameters: TypeAlias = "tuple[str | bytes | int | None, ...]"
"""The values of `?1`, `?2` …, in order."""

Statement: TypeAlias = "tuple[str, Sequence[Parameters]]"
"""SQL and one or more sets of parameters: the statement runs once for each, in order."""

Command: TypeAlias = tuple[str, Parameters]
"""SQL and one set of parameters."""

Row: TypeAlias = tuple[Any, ...]


NOT_NOW = "the database cannot be used now; try again"
"""What users of the service are told of its troubles; the operator's log has the reason."""


class Driver(Protocol):
    """A database. All errors leave it as StorageError."""

    kind: str
    """As `Storage.kind`; also picks the queries and migrations."""

    is_shared: bool
    """Whether several processes use it at once: then it is a SharedDriver."""

    async def open(self) -> None:
        """Connects and brings the schema up to date where that is the server's task."""
        ...

    async def check(self) -> None:
        """Raises StorageError when the database does not answer or its schema is not current."""
        ...

    async def close(self) -> None:
        """Finishes pending writes, then disconnects. A second call does nothing."""
        ...

    async def read(self, sql: str, parameters: Parameters) -> list[Row]:
        """All rows, of a state that has every finished write."""
        ...

    async def write(self, unit: Sequence[Statement], *, is_long: bool = False) -> int:
        """Runs the statements in order, all or nothing, durably; how many rows they changed.

        Args:
            is_long: it may take more than some milliseconds.

        Raises:
            Unavailable: the database cannot take it now; nothing was written.
            StorageError: the unit itself cannot be stored; nothing was written.
        """
        ...


class Transaction(Protocol):
    """A transaction that is open. After an error it is over, and nothing of it was written."""

    async def run(self, commands: Sequence[Command]) -> list[list[Row]]:
        """The rows of each command, in one round trip."""
        ...

    async def commit(self, unit: Sequence[Statement] = ()) -> int:
        """Runs the unit and commits, in one round trip; how many rows it changed."""
        ...

    async def rollback(self) -> None:
        """Ends it; does nothing when it is over already."""
        ...


class SharedDriver(Driver, Protocol):
    """A database that several processes use: turns hold a transaction, and locks in it."""

    async def begin(self, commands: Sequence[Command]) -> tuple[Transaction, list[list[Row]]]:
        """Opens a transaction and runs its first commands, in one round trip."""
        ...

    async def upgrade(self) -> tuple[str, ...]:
        """Runs the migrations that are due, one process at a time; their names."""
        ...
