"""`palaver db`: the database's health, its schema, copies of it, their return, and its move."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Mapping
from typing import Any

import click

from palaver.cli.options import database_option, join_settings
from palaver.problems import UsageError
from palaver.storage.copies import Copy, Health, Move, StoredDatabase, TableContent


@click.group()
def db() -> None:
    """Check, back up, restore, upgrade and move the database."""


@db.command("check")
@database_option
def check_database(database: str | None) -> int:
    """Read everything and say whether it is sound; servers may be running.

    Exits with 1 when it is not.
    """
    health = _stored(database).check()
    _say(health, _health_lines)
    return 1 if health.problems else 0


@db.command("backup")
@click.argument("target")
@database_option
def back_up_database(target: str, database: str | None) -> None:
    """Copy the database to the new file TARGET; servers may be running.

    TARGET is a SQLite database, also when the database is PostgreSQL. It is compared with what was
    read before it gets its name.
    """
    _say(_stored(database).back_up(target), _copy_lines)


@db.command("restore")
@click.argument("backup")
@database_option
@click.option("--yes", is_flag=True, help="Replace a database that is there.")
def restore_database(backup: str, database: str | None, *, yes: bool) -> None:
    """Put the file BACKUP in the place of the database; no server may be running.

    A SQLite file that was there is kept beside it. A PostgreSQL database is emptied.
    """
    stored = _stored(database)
    if not yes and stored.has_data():
        if not sys.stdin.isatty():
            raise UsageError(f"{stored.name} is there already: give --yes to replace it")
        click.confirm(f"Replace {stored.name} by {backup}?", abort=True, err=True)
        yes = True
    _say(stored.restore(backup, replaces=yes), _copy_lines)


@db.command("migrate")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option(
    "--yes", is_flag=True, help="Also what was moved before, or was left by another move."
)
def migrate_database(source: str, target: str, *, yes: bool) -> None:
    """Move the SQLite database FROM to the empty PostgreSQL database TO; a server may be running.

    At the end everything is compared, and FROM takes no more writes: its server answers 503 from
    then on. Until then it goes on with FROM, whatever becomes of this command.
    """
    from palaver.cli.banner import shown_database
    from palaver.wiring import move_database, path_of_database

    path = path_of_database(source)
    if path is None:
        raise UsageError(
            "FROM must be a SQLite file, sqlite:///FILE; `palaver db backup FILE --database …` "
            "makes one of PostgreSQL"
        )
    if not target.startswith(("postgresql:", "postgres:")):
        raise UsageError(
            "TO must be postgresql://…; `palaver db backup FILE` copies to another SQLite file"
        )
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # tidies up, as Ctrl-C does
    _say(move_database(path, target, _progress, again=yes), _move_lines)
    click.echo(
        f"start the server on it: palaver serve --database '{shown_database(target)}'", err=True
    )


@db.command("upgrade")
@database_option
def upgrade_database(database: str | None) -> None:
    """Bring the schema up to date. On SQLite `palaver serve` does so by itself."""
    from palaver.wiring import upgrade_database as upgrade

    for name in asyncio.run(upgrade(join_settings({"database": database}))):
        click.echo(f"ran {name}")
    click.echo("the schema is up to date")


def _stored(database: str | None) -> StoredDatabase:
    """Raises: UsageError: it is in memory only."""
    from palaver.wiring import stored_database

    found = stored_database(join_settings({"database": database}), _progress)
    if found is None:
        raise UsageError("a database in memory is gone with its process: give a file or PostgreSQL")
    return found


def _progress(what: str, table: str, rows: int) -> None:
    """One line that is written over, for people who wait."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{what} {table}: {rows:,} rows", nl=False, err=True)


def _say(result: Any, lines: Callable[[Any], list[str]]) -> None:
    """For people on a terminal, else JSON."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    if sys.stdout.isatty():
        click.echo("\n".join(lines(result)))
    else:
        click.echo(json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False))


def _health_lines(health: Health) -> list[str]:
    lines = [f"{health.path}: {health.bytes:,} bytes, schema {health.schema}"]
    lines += [f"  {table:14}{rows:>12,}" for table, rows in health.rows.items()]
    return [*lines, *(health.problems or ("sound",))]


def _copy_lines(copy: Copy) -> list[str]:
    lines = [f"{copy.path}: {copy.bytes:,} bytes, sha256 {copy.sha256}", *_contents(copy.tables)]
    if copy.kept is not None:
        lines.append(f"the database that was there is now {copy.kept}")
    return lines


def _move_lines(move: Move) -> list[str]:
    return [
        f"{move.source} is now {move.target}, schema {move.schema}",
        *_contents(move.tables),
        f"equal on both sides; writes waited for {move.stopped_s:.3f} s",
    ]


def _contents(tables: Mapping[str, TableContent]) -> list[str]:
    return [f"  {name:14}{found.rows:>12,}  {found.digest}" for name, found in tables.items()]
