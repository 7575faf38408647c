"""A process that dies in the middle of a job: another one takes the job over.

The job gives a person an event; its turn calls the outside, where the process is killed. What it
says is posted to the bot's webhook by further jobs, where a process is killed again.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from palaver.jobs.protocol import JobStatus, NewJob
from palaver.model import Client, Event, Job
from palaver.services.events import event_job
from palaver.storage.urls import open_storage
from tests.e2e.server import (
    BOT,
    PALAVER,
    START_S,
    STOP_S,
    Gate,
    Server,
    environment,
    palaver,
    write_bot,
)

TAKEN_OVER_S = 120
"""Leases of jobs and of turns end within 15 s each."""

ANN = Client(BOT, "e2e", "ann")


class Receiver:
    """A webhook. It takes what comes once it is open; before, whoever posts waits."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.taken: list[Any] = []
        self.status = 200
        self._opened = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                texts = [m["payload"]["content"].get("text") for m in body["messages"]]
                said = texts[0] if texts else None
                receiver.begun.append(said)
                if receiver._opened.wait(4):
                    status = receiver.status
                    if status < 300:
                        receiver.taken.append(said)
                    self.send_response(status)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, *arguments: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                """Whoever posted was killed."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self) -> None:
        self._opened.set()

    def close(self) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def wait_for(is_so: Callable[[], Any], seconds: float = TAKEN_OVER_S) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.05)


def enqueue(database: str, job: NewJob) -> None:
    async def add() -> None:
        storage = open_storage(database, is_guest=True)
        await storage.open()
        assert await storage.add_job(job)
        await storage.close()

    asyncio.run(add())


def stored_jobs(database: str, status: JobStatus | None = None) -> tuple[Job, ...]:
    """For waiting: a command takes half a second of a processor."""

    async def find() -> tuple[Job, ...]:
        storage = open_storage(database, is_guest=True)
        await storage.open()
        try:
            return await storage.list_jobs(status, limit=9)
        finally:
            await storage.close()

    return asyncio.run(find())


def jobs_of(database: str, *words: str) -> list[dict[str, Any]]:
    done = palaver("jobs", "list", *words, "--database", database)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def flows(gate: Gate) -> dict[str, str]:
    return {
        "Default": "start:\n  remember n = 0\n  goto end\n",
        "Scheduled": f"""start:
  remember n = n + 1
  say "one"
  do answer = HTTP("{gate.url}").get().send()
  say "two"
  goto end
""",
    }


def bot_settings(receiver: Receiver, retries: int = 5) -> str:
    return (
        f'[studio]\nwebhook = "{receiver.url}"\nwebhook_retries = {retries}\nend_notice = false\n'
    )


def scheduled() -> NewJob:
    content = {"flow_id": "Scheduled", "step_id": None}
    return event_job(ANN, Event("flow_trigger", content, json.dumps(content, sort_keys=True)))


def check_once(server: Server, receiver: Receiver) -> None:
    """The event had its effect once; its messages came in order, each at least once."""
    assert server.memories("ann") == {"n": 1}
    said = [m["payload"]["content"].get("text") for m in server.messages("ann")[::-1]]
    assert said[-2:] == ["one", "two"]
    assert said.count("one") == said.count("two") == 1
    wait_for(lambda: "two" in receiver.taken)
    assert list(dict.fromkeys(receiver.taken)) == ["one", "two"]
    assert receiver.taken[-1] == "two"


def test_serve_killed_in_a_job_goes_on_with_it(
    serving: Callable[..., Server], database: str, gate: Gate, receiver: Receiver
) -> None:
    server = serving(flows(gate), bot_settings(receiver), database=database).start()
    server.say("ann", "hi")
    enqueue(server.database, scheduled())
    assert gate.arrived.wait(START_S)
    server.kill()
    gate.open()
    server.start()
    wait_for(lambda: receiver.begun)
    server.kill()  # in the middle of the first notification
    receiver.open()
    server.start()
    check_once(server, receiver)
    wait_for(lambda: not stored_jobs(server.database))


def test_a_job_whose_processes_die_again_and_again_is_dead_with_the_reason(
    serving: Callable[..., Server], database: str, gate: Gate, receiver: Receiver
) -> None:
    receiver.open()
    server = serving(flows(gate), bot_settings(receiver), database=database).start()
    server.say("ann", "hi")
    attempts = 2
    enqueue(server.database, replace(scheduled(), max_attempts=attempts))
    for _ in range(attempts):
        assert gate.arrived.wait(START_S)
        server.kill()
        gate.arrived.clear()
        server.start()
    wait_for(lambda: stored_jobs(server.database, JobStatus.DEAD))
    (job,) = jobs_of(server.database)
    assert (job["task"], job["error"]) == ("event", "its workers died")
    assert job["attempts"] >= attempts
    assert not gate.arrived.is_set(), "it is not run again"
    assert server.memories("ann") == {"n": 0}, "none of its turns happened"
    gate.open()
    assert palaver("jobs", "retry", str(job["id"]), "--database", server.database).returncode == 0
    wait_for(lambda: server.memories("ann") == {"n": 1})
    check_once(server, receiver)


def test_jobs_can_be_listed_retried_and_cancelled_beside_a_server(
    serving: Callable[..., Server], gate: Gate, receiver: Receiver
) -> None:
    gate.open()
    receiver.open()
    receiver.status = 500
    server = serving(flows(gate), bot_settings(receiver, retries=1)).start()
    server.say("ann", "hi")
    enqueue(server.database, scheduled())
    wait_for(lambda: len(stored_jobs(server.database, JobStatus.DEAD)) == 2)
    first, second = jobs_of(server.database, "dead")
    assert (first["task"], first["attempts"]) == ("notify", 2)
    assert first["error"] == f"{receiver.url} answered 500"
    receiver.status = 200
    assert palaver("jobs", "retry", str(first["id"]), cwd=server.place).returncode == 0
    assert palaver("jobs", "cancel", str(second["id"]), cwd=server.place).returncode == 0
    wait_for(lambda: receiver.taken)
    assert receiver.taken == ["one"]
    wait_for(lambda: not stored_jobs(server.database))
    refused = palaver("jobs", "retry", "999", cwd=server.place)
    assert (refused.returncode, refused.stderr) == (
        1,
        "palaver: no dead job has the id 999; see `palaver jobs list`\n",
    )


def test_a_server_without_jobs_runs_none(
    serving: Callable[..., Server], gate: Gate, receiver: Receiver
) -> None:
    server = serving(flows(gate), bot_settings(receiver), options=["--no-jobs"]).start()
    server.say("ann", "hi")
    enqueue(server.database, scheduled())
    time.sleep(6)  # longer than it looks for jobs of other processes
    assert [job["status"] for job in jobs_of(server.database)] == [JobStatus.WAITING]
    assert not gate.arrived.is_set()


def test_a_worker_on_sqlite_is_refused(tmp_path: Path) -> None:
    done = palaver("worker", "--database", f"sqlite:///{tmp_path}/palaver.db", cwd=tmp_path)
    assert done.returncode == 2
    assert "`palaver worker` needs PostgreSQL" in done.stderr
    assert "palaver serve" in done.stderr


# --- PostgreSQL --------------------------------------------------------------------------------


class Worker:
    """A `palaver worker`."""

    def __init__(self, database: str, place: Path) -> None:
        self.process = subprocess.Popen(
            [PALAVER, "worker", str(place / BOT), "--database", database],
            cwd=place,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line == "Palaver runs jobs\n", line + self.process.stdout.read()

    def kill(self) -> None:
        self.process.kill()
        self.log()

    def stop(self) -> int:
        self.process.terminate()
        log = self.log()
        assert "Traceback" not in log, log
        return self.process.returncode

    def log(self) -> str:
        said, _ = self.process.communicate(timeout=STOP_S)
        return said


@pytest.fixture
def working(tmp_path: Path) -> Iterator[Callable[[str], Worker]]:
    workers: list[Worker] = []

    def start(database: str) -> Worker:
        workers.append(Worker(database, tmp_path))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


def test_a_worker_killed_in_a_job_is_replaced_by_another(
    serving: Callable[..., Server],
    working: Callable[[str], Worker],
    postgres_url: str,
    gate: Gate,
    receiver: Receiver,
) -> None:
    server = serving(
        flows(gate), bot_settings(receiver), options=["--no-jobs"], database=postgres_url
    ).start()
    server.say("ann", "hi")
    first = working(postgres_url)
    enqueue(postgres_url, scheduled())
    assert gate.arrived.wait(START_S)
    second = working(postgres_url)
    first.kill()
    gate.open()
    wait_for(lambda: receiver.begun)
    third = working(postgres_url)
    second.kill()  # in the middle of the first notification
    receiver.open()
    check_once(server, receiver)
    wait_for(lambda: not stored_jobs(postgres_url))
    assert third.stop() == 0


def test_a_worker_outlives_a_database_that_is_gone_for_a_while(
    tmp_path: Path, working: Callable[[str], Worker], receiver: Receiver
) -> None:
    from tests.postgres import PostgresServer

    receiver.open()
    server = PostgresServer()
    try:
        server.start()
        url = server.create_database()
        server.upgrade(url)
        write_bot(tmp_path / BOT, {"Default": "start:\n  goto end\n"})
        worker = working(url)
        server.stop()
        time.sleep(2)
        server.start()
        body = json.dumps({"messages": []})
        enqueue(url, NewJob("notify", {"url": receiver.url, "body": body}))
        wait_for(lambda: receiver.taken)
        assert worker.stop() == 0
    finally:
        server.remove()
