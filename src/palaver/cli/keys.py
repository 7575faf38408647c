"""`palaver keys`: a bot's credentials. BOT is a folder, or the id of a bot in the database.

Keys that a folder fixes are read from it; all others were generated and are in the database.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TypeVar

import click

from palaver.cli.options import database_option, join_settings
from palaver.config import KEY_NAMES
from palaver.errors import ConfigError
from palaver.folder import BotFolder, read_folder
from palaver.problems import UsageError, nearest

T = TypeVar("T")


@click.group()
def keys() -> None:
    """List, show and rotate credentials. BOT is a bot's id or its folder."""


@keys.command("list")
@click.argument("bot")
@database_option
def list_keys(bot: str, database: str | None) -> None:
    """List the keys of BOT; the keys themselves are shown by `keys show`."""
    found, fixed = _find(bot, database)
    origin = {name: "palaver.toml" if name in fixed else "generated" for name in found}
    if sys.stdout.isatty():
        for name in KEY_NAMES:
            click.echo(f"{name:20}{origin.get(name, 'none')}")
    else:
        click.echo(json.dumps(origin, indent=2))


@keys.command("show")
@click.argument("bot")
@click.argument("name")
@database_option
def show_key(bot: str, name: str, database: str | None) -> None:
    """Print one key of BOT, and nothing else."""
    _require_name(name)
    found, _ = _find(bot, database)
    if name not in found:
        hint = "set it in palaver.toml: it is never generated" if name == "engine_key" else ""
        raise ConfigError(f"{bot} has no {name}{': ' if hint else ''}{hint}")
    click.echo(found[name])


@keys.command("rotate")
@click.argument("bot")
@click.argument("name")
@database_option
def rotate_key(bot: str, name: str, database: str | None) -> None:
    """Replace one generated key of BOT and print the new one."""
    _require_name(name)
    folder = _folder(bot)
    if folder and name in folder.settings.keys.given():
        raise ConfigError(f"{name} stands in {folder.path / 'palaver.toml'}: change it there")
    if name == "engine_key":
        raise ConfigError("engine_key is never generated: set it in palaver.toml")
    from palaver.services.access import GENERATORS

    bot_id = folder.bot.id if folder else bot
    key = GENERATORS[name](bot_id)
    _run(_replace(bot_id, name, key, database, folder))
    click.echo(key)


def _require_name(name: str) -> None:
    if name not in KEY_NAMES:
        hint = nearest(name, KEY_NAMES)
        raise UsageError(f"there is no key {name!r}; {hint}")


def _folder(bot: str) -> BotFolder | None:
    """The folder that BOT means, if it means one rather than an id."""
    path = Path(bot)
    return read_folder(path) if path.is_dir() else None


def _find(bot: str, database: str | None) -> tuple[dict[str, str], frozenset[str]]:
    """All keys of a bot by name, and the names of those its folder fixes."""
    folder = _folder(bot)
    given = folder.settings.keys.given() if folder else {}
    stored = _run(_stored(folder.bot.id if folder else bot, database, folder))
    if not given and not stored:
        raise ConfigError(f"no keys of {bot} are in the database; has it been served?")
    return stored | given, frozenset(given)


async def _stored(bot_id: str, database: str | None, folder: BotFolder | None) -> dict[str, str]:
    from palaver.wiring import open_credentials

    settings = join_settings({"database": database}, [folder] if folder else [])
    async with open_credentials(settings) as credentials:
        return await credentials.keys_of(bot_id)


async def _replace(
    bot_id: str, name: str, key: str, database: str | None, folder: BotFolder | None
) -> None:
    from palaver.wiring import open_credentials

    settings = join_settings({"database": database}, [folder] if folder else [])
    async with open_credentials(settings) as credentials:
        if not await credentials.keys_of(bot_id):
            raise ConfigError(f"no keys of {bot_id} are in the database; has it been served?")
        await credentials.replace_key(bot_id, name, key)


def _run(coroutine: Coroutine[None, None, T]) -> T:
    return asyncio.run(coroutine)
