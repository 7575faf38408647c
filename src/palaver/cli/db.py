"""`palaver db`: the database's health, its schema, copies of it and their return."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from palaver.cli.options import database_option, join_settings
from palaver.problems import UsageError
from palaver.storage.copies import Copy, DatabaseFile, Health


@click.group()
def db() -> None:
    """Check, back up, restore and upgrade the database."""


@db.command("check")
@database_option
def check_database(database: str | None) -> int:
    """Read everything and say whether it is sound; the server may be running.

    Exits with 1 when it is not.
    """
    health = _file(database, "check").check()
    _say(health, _health_lines)
    return 1 if health.problems else 0


@db.command("backup")
@click.argument("target")
@database_option
def back_up_database(target: str, database: str | None) -> None:
    """Copy the database to the new file TARGET; the server may be running.

    The copy is compared with what was read before it gets its name.
    """
    _say(_file(database, "backup").back_up(target), _copy_lines)


@db.command("restore")
@click.argument("backup")
@database_option
@click.option("--yes", is_flag=True, help="Replace a database that is there.")
def restore_database(backup: str, database: str | None, *, yes: bool) -> None:
    """Put the file BACKUP in the place of the database; no server may be running.

    What was there is kept beside it.
    """
    file = _file(database, "restore")
    if os.path.exists(file.path) and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{file.path} is there already: give --yes to replace it")
        click.confirm(f"Replace {file.path} by {backup}?", abort=True, err=True)
    _say(file.restore(backup), _copy_lines)


@db.command("upgrade")
@database_option
def upgrade_database(database: str | None) -> None:
    """Bring the schema up to date. On SQLite `palaver serve` does so by itself."""
    from palaver.wiring import upgrade_database as upgrade

    for name in asyncio.run(upgrade(join_settings({"database": database}))):
        click.echo(f"ran {name}")
    click.echo("the schema is up to date")


def _file(database: str | None, command: str) -> DatabaseFile:
    """The SQLite database. Raises: UsageError: it is another one."""
    from palaver.wiring import database_file

    file = database_file(join_settings({"database": database}))
    if file is None:
        tool = {"backup": "pg_dump", "restore": "pg_restore"}.get(command, "PostgreSQL's own tools")
        raise UsageError(f"`palaver db {command}` is for SQLite files; for PostgreSQL use {tool}")
    return file


def _say(result: Any, lines: Callable[[Any], list[str]]) -> None:
    """For people on a terminal, else JSON."""
    if sys.stdout.isatty():
        click.echo("\n".join(lines(result)))
    else:
        click.echo(json.dumps(dataclasses.asdict(result), indent=2, ensure_ascii=False))


def _health_lines(health: Health) -> list[str]:
    lines = [f"{health.path}: {health.bytes:,} bytes, schema {health.schema}"]
    lines += [f"  {table:14}{rows:>12,}" for table, rows in health.rows.items()]
    return [*lines, *(health.problems or ("sound",))]


def _copy_lines(copy: Copy) -> list[str]:
    lines = [f"{copy.path}: {copy.bytes:,} bytes, sha256 {copy.sha256}"]
    lines += [f"  {table:14}{content.rows:>12,}" for table, content in copy.tables.items()]
    if copy.kept is not None:
        lines.append(f"the database that was there is now {copy.kept}")
    return lines
