"""What the command line asks of a database: its health, copies, their return, and its move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class TableContent:
    """What is in a table: how many rows, and their digest, which is the same on all databases."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup that was made or put back.

    Attributes:
        path: of the file, or the database in words where it was put back into one that is none.
        bytes: that it takes.
        sha256: of the backup.
        kept: where the database that was there before is now, if there was one.
    """

    path: str
    bytes: int
    sha256: str
    schema: int
    tables: dict[str, TableContent]
    kept: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What `check` found. `problems` is empty for a sound database."""

    path: str
    bytes: int
    schema: int
    rows: dict[str, int]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A database that is now another one.

    Attributes:
        source, target: in words, without passwords.
        rounds: how often what had changed meanwhile was copied.
        stopped_s: for how long the source took no writes before it refused them.
    """

    source: str
    target: str
    schema: int
    rounds: int
    stopped_s: float
    tables: dict[str, TableContent]


Progress: TypeAlias = "Callable[[str, str, int], None]"
"""Told now and then: what is done ("copying"), to which table, with how many rows so far."""


class StoredDatabase(Protocol):
    """A database that outlives its process. Its functions block."""

    name: str
    """For people: a path, or words without a password."""

    def check(self) -> Health:
        """Reads the whole database. It may be in use.

        Raises:
            StorageError: it is not there, or cannot be read at all.
        """
        ...

    def back_up(self, target: str) -> Copy:
        """Copies the database, which may be in use, to a new file: a SQLite database.

        Raises:
            StorageError: there is something at the target, the source is no database of ours, the
                disk is full, or the copy differs; then no file is left at the target.
        """
        ...

    def restore(self, backup: str, *, replaces: bool) -> Copy:
        """Puts a backup in the place of the database, which nobody may use.

        Args:
            replaces: also of one that has something in it. A file is kept under another name.

        Raises:
            Unavailable: a server uses the database.
            StorageError: the backup is damaged or not ours, or of another version's schema; or the
                database has something in it.
        """
        ...

    def has_data(self) -> bool:
        """Whether restoring would replace something."""
        ...


class DatabaseFile(StoredDatabase, Protocol):
    """A database that is one file."""

    path: str

    def is_in_use(self) -> bool:
        """Whether a server holds the database."""
        ...
