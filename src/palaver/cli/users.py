"""`palaver users`: a person's data, exported or erased; also while the server runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from palaver.cli.options import database_option, join_settings
from palaver.folder import BotFolder, read_folder
from palaver.types import JsonObject

if TYPE_CHECKING:
    from palaver.services.users import User, Users

_channel = click.option("--channel", metavar="C", help="One channel only.  [default: all]")


@click.group()
def users() -> None:
    """Export or erase a person's data. BOT is a bot's id or its folder."""


@users.command("export")
@click.argument("bot")
@click.argument("user")
@_channel
@database_option
def export_user(bot: str, user: str, channel: str | None, database: str | None) -> None:
    """Print all that is stored about USER as one JSON document."""
    click.echo(_json(asyncio.run(_export(bot, user, channel, database))))


@users.command("erase")
@click.argument("bot")
@click.argument("user")
@_channel
@database_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_user(bot: str, user: str, channel: str | None, database: str | None, *, yes: bool) -> int:
    """Erase all that is stored about USER, and print a proof as JSON.

    Exits with 1 when something is left: the user wrote meanwhile; erase again.
    """
    asks = not yes and sys.stdin.isatty()
    proof = asyncio.run(_erase(bot, user, channel, database, asks=asks))
    click.echo(_json(proof))
    return 0 if proof["complete"] else 1


async def _export(bot: str, user: str, channel: str | None, database: str | None) -> JsonObject:
    async with _found(bot, user, channel, database) as (service, found):
        return await service.export(found)


async def _erase(
    bot: str, user: str, channel: str | None, database: str | None, *, asks: bool
) -> JsonObject:
    async with _found(bot, user, channel, database) as (service, found):
        if asks:
            counts = await service.counts(found)
            listed = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
            text = f"Erase {listed} of user {found.user_id} of bot {found.bot_id} for good?"
            click.confirm(text, abort=True, err=True)
        return await service.erase(found)


@asynccontextmanager
async def _found(
    bot: str, user: str, channel: str | None, database: str | None
) -> AsyncIterator[tuple[Users, User]]:
    from palaver.services.users import Users
    from palaver.types import SystemClock
    from palaver.wiring import open_beside

    folders = _folders(bot)
    bot_id = folders[0].bot.id if folders else bot
    settings = join_settings({"database": database}, folders)
    async with open_beside(settings) as storage:
        service = Users(storage, SystemClock())
        yield service, await service.find(bot_id, user, channel)


def _folders(bot: str) -> list[BotFolder]:
    """The folder that BOT means, if it means one rather than an id."""
    path = Path(bot)
    return [read_folder(path)] if path.is_dir() else []


def _json(value: JsonObject) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
