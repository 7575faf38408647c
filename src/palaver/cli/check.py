"""`palaver check`: everything that is wrong with bots' folders, for people, programs or GitHub."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from palaver.cli.options import folders_argument
from palaver.folder import BotFolder, read_folder, read_folders
from palaver.problems import FolderError, Problem


@click.command()
@folders_argument(required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "github"]),
    default="text",
    show_default=True,
    help="For people, for programs, or as GitHub's annotations.",
)
def check(folders: tuple[Path, ...], form: str) -> int:
    """Find what is wrong with a bot before a user does.

    Exits with 1 when there is an error.
    """
    good, problems = check_folders(folders)
    click.echo(_FORMS[form](good, problems))
    return 1 if any(problem.severity == "error" for problem in problems) else 0


def check_folders(paths: Sequence[Path]) -> tuple[tuple[BotFolder, ...], tuple[Problem, ...]]:
    """The folders that hold a bot without errors, and all findings of all of them."""
    good: list[BotFolder] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            folder = read_folder(path)
        except FolderError as error:
            problems += error.problems
        else:
            good.append(folder)
            problems += folder.warnings
    if len(good) > 1 and len(good) == len(paths):
        try:
            read_folders(paths)  # two bots with one id are found only together
        except FolderError as error:
            problems += error.problems
    return tuple(good), tuple(problems)


def as_text(good: Sequence[BotFolder], problems: Sequence[Problem]) -> str:
    """Pictures with carets, and a last line that counts."""
    lines = [problem.picture() for problem in problems]
    errors = sum(problem.severity == "error" for problem in problems)
    warnings = len(problems) - errors
    if problems:
        counted = [_count(errors, "error"), _count(warnings, "warning")]
        lines.append(" and ".join(part for part in counted if part))
    else:
        lines += [f"{f.path}: {_count(len(f.bot.flows), 'flow')}, no problems" for f in good]
    return "\n".join(lines)


def as_json(good: Sequence[BotFolder], problems: Sequence[Problem]) -> str:
    """`{"ok": bool, "problems": [{path, line, column, severity, code, message, hint}, …]}`."""
    is_good = not any(problem.severity == "error" for problem in problems)
    found = [
        {
            "path": problem.path,
            "line": problem.line,
            "column": problem.column,
            "severity": problem.severity,
            "code": problem.code,
            "message": problem.reason,
            "hint": problem.hint,
        }
        for problem in problems
    ]
    return json.dumps({"ok": is_good, "problems": found}, indent=2, ensure_ascii=False)


def as_github(good: Sequence[BotFolder], problems: Sequence[Problem]) -> str:
    """Workflow commands: `::error file=…,line=…,col=…::message`."""
    lines = []
    for problem in problems:
        kind = {"info": "notice"}.get(problem.severity, problem.severity)
        place = f"file={_property(problem.path)}"
        if problem.line:
            place += f",line={problem.line},col={problem.column}"
        message = problem.reason + (f"\n{problem.hint}" if problem.hint else "")
        lines.append(f"::{kind} {place}::{_data(message)}")
    return "\n".join(lines) if lines else as_text(good, problems)


_FORMS: Final[Mapping[str, Callable[[Sequence[BotFolder], Sequence[Problem]], str]]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
