"""What the command line asks of a database that is a file: its health, copies, their return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TableContent:
    """What is in a table: how many rows, and the digest of all of them in order."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A backup that was made or put back.

    Attributes:
        sha256: of the file.
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


class DatabaseFile(Protocol):
    """A database that is one file. Its functions block."""

    path: str

    def check(self) -> Health:
        """Reads the whole database. It may be in use.

        Raises:
            StorageError: there is no file, or it cannot be read at all.
        """
        ...

    def back_up(self, target: str) -> Copy:
        """Copies the database, which may be in use, to a new file.

        Raises:
            StorageError: there is something at the target, the source is no database of ours, the
                disk is full, or the copy differs; then no file is left at the target.
        """
        ...

    def restore(self, backup: str) -> Copy:
        """Puts a backup in the place of the database, which nobody may use.

        What was there is kept under another name.

        Raises:
            Unavailable: a server uses the database.
            StorageError: the backup is damaged or not ours, or of a newer palaver.
        """
        ...

    def is_in_use(self) -> bool:
        """Whether a server holds the database."""
        ...
