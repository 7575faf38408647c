"""`palaver`: finds the command, runs it, and turns what it raises into a message and an exit code.

Exit codes (product.md §3): 0 done · 1 the answer is no · 2 wrong usage · 3 the environment failed.
A command's module is imported only when the command runs, so that `palaver --help` is quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

import click

from palaver import __version__
from palaver.errors import PalaverError, StorageError, WrongUrl
from palaver.problems import EnvironmentFailed, FolderMissing, UsageError, nearest

COMMANDS: Final = {
    "serve": "Start the service: every DIR is a bot.",
    "chat": "Talk to a bot in the terminal.",
    "check": "Find what is wrong with a bot before a user does.",
    "new": "Make a small working bot.",
    "keys": "List, show and rotate credentials.",
    "users": "Export or erase a person's data.",
    "db": "Check, back up, restore, upgrade and move the database.",
    "worker": "Run jobs only, beside servers on PostgreSQL.",
    "jobs": "List, retry and cancel jobs.",
    "doctor": "Is this deployment sound? Each finding says what to do.",
}
"""Command (and its module `palaver.cli.<name>`, function `<name>`) and what `--help` says."""

NO, WRONG_USAGE, ENVIRONMENT = 1, 2, 3


class _Commands(click.Group):
    """The commands of COMMANDS, imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"palaver.cli.{cmd_name}"), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest command for one that is misspelled."""
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            hint = nearest(args[0], COMMANDS)
            ctx.fail(
                f"There is no command {args[0]!r}." + (f" {hint.capitalize()}" if hint else "")
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show tracebacks of unexpected errors.")
@click.version_option(__version__, package_name="palaver", prog_name="palaver")
def cli(debug: bool) -> None:
    """Palaver answers for your bots over the CSML, ChatBot.com and Clustaar APIs."""


def main(arguments: Sequence[str] | None = None) -> None:
    """The program: runs the arguments (the process's own by default) and exits."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(words))


def run(arguments: Sequence[str]) -> int:
    """Runs one command; what went wrong is said on stderr. Returns: the exit code."""
    shows_traceback = "--debug" in arguments or bool(os.environ.get("PALAVER_DEBUG"))
    try:
        result = cli.main(args=list(arguments), prog_name="palaver", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return WRONG_USAGE
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except PalaverError as error:
        click.echo(f"palaver: {error}", err=True)
        return exit_code(error)
    except BrokenPipeError:
        # The reader of our output went away (`palaver … | head`); nothing is left to be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if shows_traceback:
            raise
        what = str(error).partition("\n")[0] or "no message"
        click.echo(
            f"palaver: unexpected error: {type(error).__name__}: {what}\n"
            "This is a mistake in Palaver. Run it again as `palaver --debug …` to see where, "
            "and report that.",
            err=True,
        )
        return NO


def exit_code(error: PalaverError) -> int:
    """What the process ends with when the error ends it."""
    if isinstance(error, FolderMissing | UsageError | WrongUrl):
        return WRONG_USAGE
    if isinstance(error, EnvironmentFailed | StorageError):
        return ENVIRONMENT
    return NO


if __name__ == "__main__":
    main()
