"""The tasks: expiry and notifications."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import pytest

from palaver.effects import CallFailed, HttpAnswer
from palaver.errors import PalaverError
from palaver.jobs.protocol import JobAborted
from palaver.jobs.tasks import expire_task, notify_task
from palaver.model import Client, Job, JobStatus
from palaver.storage.memory import MemoryStorage
from palaver.storage.protocol import ClientWrite, TurnWrite
from palaver.storage.sql.migrate import load_migrations

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANN = Client("bot", "web", "ann")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Clock:
    def now(self) -> datetime:
        return NOW


def job(**arguments: Any) -> Job:
    return Job(7, "t", arguments, JobStatus.RUNNING, 0)


class Poster:
    def __init__(self, answer: HttpAnswer | CallFailed) -> None:
        self.answer = answer
        self.posted: list[tuple[str, bytes, float]] = []

    async def post_json(self, url: str, body: bytes, timeout_s: float) -> HttpAnswer | CallFailed:
        self.posted.append((url, body, timeout_s))
        return self.answer


async def test_what_expired_is_deleted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    storage = MemoryStorage()
    await storage.open()
    past = NOW - timedelta(seconds=1)
    write = ClientWrite(ANN, past, remembered={"a": "1"}, expires_at=past)
    await storage.commit_turn(TurnWrite((write,)))
    task = expire_task(storage, Clock())
    assert task.every_s == 60
    await task.function(job())
    assert "1 expired rows deleted" in caplog.text
    await storage.close()
    await task.function(job())
    assert "could not be deleted" in caplog.text


async def test_a_notification_is_posted() -> None:
    poster = Poster(HttpAnswer(204, {}, ""))
    await notify_task(poster).function(job(url="http://x/", body='{"é":1}'))
    assert poster.posted == [("http://x/", '{"é":1}'.encode(), 5.0)]


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_a_notification_that_is_not_taken_fails(status: int) -> None:
    task = notify_task(Poster(HttpAnswer(status, {}, "")))
    with pytest.raises(PalaverError, match=f"http://x/ answered {status}"):
        await task.function(job(url="http://x/", body="{}"))


async def test_a_notification_that_cannot_be_sent_fails() -> None:
    failed = CallFailed("http://x/ cannot be reached")
    with pytest.raises(PalaverError, match="cannot be reached"):
        await notify_task(Poster(failed)).function(job(url="http://x/", body="{}"))


async def test_a_notification_without_an_address_is_given_up() -> None:
    with pytest.raises(JobAborted):
        await notify_task(Poster(HttpAnswer(200, {}, ""))).function(job(body="{}"))


def test_the_migration_holds_the_schema_of_the_procrastinate_that_is_installed() -> None:
    """Another one brings migrations of its own, which become a migration of ours."""
    theirs = files("procrastinate.sql").joinpath("schema.sql").read_text("utf-8").strip()
    ours = "\n".join(migration.script for migration in load_migrations("postgresql"))
    assert theirs in ours
