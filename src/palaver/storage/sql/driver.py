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

Row: TypeAlias = tuple[Any, ...]


class Driver(Protocol):
    """A database. All errors leave it as StorageError."""

    kind: str
    """As `Storage.kind`; also picks the queries and migrations."""

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

    async def write(self, unit: Sequence[Statement]) -> int:
        """Runs the statements in order, all or nothing, durably; how many rows they changed.

        Raises:
            Unavailable: the database cannot take it now; nothing was written.
            StorageError: the unit itself cannot be stored; nothing was written.
        """
        ...
