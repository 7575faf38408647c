"""`palaver worker`: runs jobs only, any number of times beside the servers on one PostgreSQL."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, Final

import click

from palaver.cli.options import database_option, folders_argument, join_settings
from palaver.config import ServerSettings
from palaver.folder import BotFolder, read_folders
from palaver.logs import configure
from palaver.problems import UsageError

END_S: Final = 12
"""After a signal: jobs have 5 seconds, what they tell others 5; then the process ends anyway."""


@click.command()
@folders_argument(required=False)
@database_option
def worker(folders: tuple[Path, ...], database: str | None) -> None:
    """Run jobs until told to stop. With DIRs, their settings and bots; without, the stored bots.

    On SQLite `palaver serve` runs the jobs itself.
    """
    bots = read_folders(folders)
    settings = join_settings({"database": database}, bots)
    if not settings.database.startswith(("postgresql:", "postgres:")):
        raise UsageError(
            "`palaver worker` needs PostgreSQL: on SQLite one process at a time uses the database, "
            "and `palaver serve` runs its jobs. Give --database postgresql://…"
        )
    configure(settings.log_level, settings.log_format)
    _run(_work(dataclasses.replace(settings, jobs=True), bots))


def _run(working: Coroutine[Any, Any, None]) -> None:
    if sys.platform == "win32":
        asyncio.run(working)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(working)


async def _work(settings: ServerSettings, bots: Sequence[BotFolder]) -> None:
    from palaver.wiring import build

    told = asyncio.Event()

    def stop() -> None:
        if told.is_set():  # a second signal: jobs that run are another's, when their lease ends
            os._exit(1)
        told.set()
        timer = threading.Timer(END_S, os._exit, (0,))  # a database that hangs keeps libraries
        timer.daemon = True
        timer.start()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    async with build(settings, bots):
        click.echo("Palaver runs jobs")
        sys.stdout.flush()
        await told.wait()
