"""`palaver new`: a small working bot in a folder that is new or empty."""

from __future__ import annotations

import shlex
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from palaver.cli.options import FOLDER
from palaver.problems import EnvironmentFailed, UsageError


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER)
@click.option(
    "--kind",
    type=click.Choice(["csml", "stories", "steps"]),
    default="csml",
    show_default=True,
    help="How the bot is written.",
)
def new(folder: Path, kind: str) -> None:
    """Make a small working bot, with a test, in DIR (new or empty)."""
    if kind != "csml":
        raise UsageError(f"{kind} bots come with a later release; this one makes --kind csml")
    create(folder, kind)
    click.echo(f"Made {folder}. Now:")
    for command, does in (("check", "find mistakes"), ("chat", "talk to it"), ("serve", "run it")):
        line = f"  palaver {command} {shlex.quote(str(folder))}"
        click.echo(line.ljust(40) + f"  # {does}")


def create(folder: Path, kind: str) -> None:
    """Writes the template's files.

    Raises:
        UsageError: something is in the folder's place already.
        EnvironmentFailed: the files cannot be written.
    """
    name = folder.resolve().name or "bot"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is there already and not an empty folder")
        folder.mkdir(parents=True, exist_ok=True)
        _copy(resources.files("palaver.cli") / "templates" / kind, folder, name)
    except OSError as error:
        reason = error.strerror or str(error)
        raise EnvironmentFailed(f"cannot write {error.filename or folder}: {reason}") from error


def _copy(template: Traversable, folder: Path, name: str) -> None:
    for part in template.iterdir():
        if part.is_dir():
            (folder / part.name).mkdir()
            _copy(part, folder / part.name, name)
        else:
            text = part.read_text(encoding="utf-8").replace("@NAME@", _toml_text(name))
            (folder / part.name).write_text(text, encoding="utf-8")


def _toml_text(name: str) -> str:
    """The name inside a TOML text's quotes."""
    return "".join(c if c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in name)
