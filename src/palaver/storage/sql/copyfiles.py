"""Files that are databases: written whole or not at all, and what can go wrong with them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from palaver.errors import NotADatabase, StorageError, Unavailable


@contextmanager
def told(path: str) -> Iterator[None]:
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
def removed_on_failure(path: str) -> Iterator[None]:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    try:
        yield
    except BaseException:
        for suffix in ("", "-journal", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(path + suffix)
        raise


def sync(path: str) -> None:
    """To the disk, also a folder's entries where the system lets us."""
    with contextlib.suppress(OSError):
        number = os.open(path or ".", os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
