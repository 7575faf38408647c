"""Numbered migrations, forward only: which ones a database still needs. Runs none itself.

`migrations/<kind>/0001_words.sql` brings schema 0 (an empty file) to schema 1, and so on. Once a
release had a migration it is never edited; `schema.<kind>.sql` is what all of them lead to.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from dataclasses import dataclass
from importlib.resources import files

from palaver.errors import SchemaOutdated

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema; `script` leads from `number - 1` to `number`."""

    number: int
    name: str
    script: str


def load_migrations(kind: str) -> tuple[Migration, ...]:
    """All migrations of a backend, in order, numbered from 1 without gaps."""
    found = []
    for entry in files(__package__).joinpath("migrations").joinpath(kind).iterdir():
        match = _FILE.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), match[2], entry.read_text("utf-8")))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError(f"the migrations of {kind} are not numbered 1, 2, 3 …")
    return tuple(found)


def lend_functions(connection: sqlite3.Connection) -> None:
    """What SQLite lacks and its migrations call: `sha256(blob)`, as PostgreSQL has it."""
    connection.create_function(
        "sha256", 1, lambda body: hashlib.sha256(body).digest(), deterministic=True
    )


def pending_migrations(
    migrations: tuple[Migration, ...], current: int, *, where: str
) -> tuple[Migration, ...]:
    """Those that a database at schema `current` has not had.

    Raises:
        SchemaOutdated: the database is ahead of this program.
    """
    if current > len(migrations):
        raise SchemaOutdated(
            f"{where} has schema {current}, and this palaver knows {len(migrations)}: "
            "it was written by a newer palaver; upgrade this one"
        )
    return migrations[current:]
