"""What commands share: options that are settings, folders, and the way from both to settings."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from palaver.config import ServerSettings, server_settings
from palaver.folder import BotFolder

FOLDER = click.Path(path_type=Path)


def folders_argument(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`DIR…`. That a folder is there is judged by `read_folder`, which words it better."""
    metavar = "DIR..." if required else "[DIR]..."
    return click.argument("folders", metavar=metavar, nargs=-1, type=FOLDER, required=required)


def database_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--database URL`."""
    text = "sqlite:///FILE, :memory: or postgresql://…  [default: sqlite:///palaver.db]"
    return click.option("--database", metavar="URL", help=text)(function)


def join_settings(
    options: Mapping[str, object], folders: Sequence[BotFolder] = ()
) -> ServerSettings:
    """Settings from options (None: not given), the environment and the folders' `[server]`."""
    tables = [(str(folder.path / "palaver.toml"), folder.server) for folder in folders]
    return server_settings(options, os.environ, tables)
