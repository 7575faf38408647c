"""`palaver jobs`: what waits, runs or has failed for good; also while the server runs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from palaver.cli.options import database_option, join_settings
from palaver.types import iso_ms

if TYPE_CHECKING:
    from palaver.jobs.protocol import Job, JobStatus, Queue

_ids = click.argument("ids", metavar="ID...", type=int, nargs=-1, required=True)


@click.group()
def jobs() -> None:
    """List, retry and cancel jobs."""


@jobs.command("list")
@click.argument("status", type=click.Choice(["waiting", "running", "dead"]), required=False)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True)
@click.option("--after", type=int, default=0, metavar="ID", help="Go on behind this job.")
@database_option
def list_jobs(status: str | None, limit: int, after: int, database: str | None) -> None:
    """Show jobs, oldest first: those with STATUS, or all."""
    from palaver.jobs.protocol import JobStatus

    wanted = None if status is None else JobStatus(status)
    found = asyncio.run(_list(wanted, limit, after, database))
    if sys.stdout.isatty():
        for job in found:
            click.echo(_line(job))
        click.echo(f"{len(found)} jobs")
    else:
        click.echo(json.dumps([_shown(job) for job in found], indent=2, ensure_ascii=False))


@jobs.command("retry")
@_ids
@database_option
def retry_jobs(ids: tuple[int, ...], database: str | None) -> int:
    """Let dead jobs run again, with all their attempts."""
    return asyncio.run(_each(ids, database, lambda queue, number: queue.retry(number), "waits"))


@jobs.command("cancel")
@_ids
@database_option
def cancel_jobs(ids: tuple[int, ...], database: str | None) -> int:
    """Delete jobs; those that run are stopped within seconds."""
    return asyncio.run(
        _each(ids, database, lambda queue, number: queue.cancel(number), "cancelled")
    )


async def _list(
    status: JobStatus | None, limit: int, after: int, database: str | None
) -> tuple[Job, ...]:
    from palaver.wiring import open_queue

    async with open_queue(join_settings({"database": database})) as queue:
        return await queue.list(status, limit=limit, after=after)


async def _each(
    ids: tuple[int, ...],
    database: str | None,
    change: Callable[[Queue, int], Awaitable[None]],
    done: str,
) -> int:
    """Changes each; one that cannot be changed is said, and does not keep the others."""
    from palaver.errors import JobError
    from palaver.wiring import open_queue

    code = 0
    async with open_queue(join_settings({"database": database})) as queue:
        for number in ids:
            try:
                await change(queue, number)
            except JobError as error:
                click.echo(f"palaver: {error}", err=True)
                code = 1
            else:
                click.echo(f"job {number} {done}")
    return code


def _line(job: Job) -> str:
    at = f", at {iso_ms(job.run_at)}" if job.run_at is not None else ""
    tried = f", {job.attempts} failed attempts" if job.attempts else ""
    why = f": {job.error}" if job.error else ""
    return f"{job.id:>8}  {job.status:8} {job.task}{at}{tried}{why}"


def _shown(job: Job) -> dict[str, object]:
    """Without arguments: they may hold what people said."""
    return {
        "id": job.id,
        "task": job.task,
        "status": job.status.value,
        "queue": job.queue,
        "attempts": job.attempts,
        "run_at": None if job.run_at is None else iso_ms(job.run_at),
        "lock": job.lock,
        "key": job.key,
        "error": job.error,
    }
