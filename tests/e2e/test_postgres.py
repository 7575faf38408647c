"""Several processes on one PostgreSQL: `--workers`, two servers, a database that goes and comes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.e2e.server import Server, palaver
from tests.postgres import PostgresServer

COUNTER = {
    "Default": """start:
  remember n = 0
  hold
  goto count
count:
  remember n = n + 1
  say "{{n}} {{event}}"
  hold
  goto count
"""
}


def workers_of(server: Server) -> list[int]:
    """The processes that a `serve --workers` started."""
    pid = server.running.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(process: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until(is_so: Callable[[], bool]) -> None:
    for _ in range(400):
        if is_so():
            return
        time.sleep(0.05)
    raise AssertionError("it never came to that")


def test_a_fresh_database_is_upgraded_first(
    serving: Callable[..., Server], new_postgres_url: str
) -> None:
    server = serving(COUNTER, database=new_postgres_url)
    server.launch()
    assert server.wait() == 3
    assert "run `palaver db upgrade`" in server.log_text()
    assert palaver("db", "upgrade", "--database", new_postgres_url).returncode == 0
    server.start()
    server.say("ann", "go")
    assert server.say("ann", "a").texts == ["1 a"]
    server.kill()
    server.start()
    assert server.say("ann", "b").texts == ["2 b"]
    assert server.stop() == 0


def test_workers_share_a_port_and_are_replaced(
    serving: Callable[..., Server], postgres_url: str
) -> None:
    server = serving(COUNTER, database=postgres_url, options=["--workers", "3"]).start()
    until(lambda: len(workers_of(server)) == 3)
    server.say("ann", "go")
    with ThreadPoolExecutor(16) as pool:
        said = [answer.texts[0] for answer in pool.map(lambda _: server.say("ann", "x"), range(40))]
    assert sorted(said, key=lambda text: int(text.split()[0])) == [f"{n} x" for n in range(1, 41)]
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM version").fetchone() == (1,)
    first, *others = workers_of(server)
    os.kill(first, signal.SIGKILL)
    server.wait_for_words("ended with signal 9; starting another")
    until(lambda: len(workers_of(server)) == 3)
    assert set(workers_of(server)) > set(others)
    assert server.say("ann", "y").texts == ["41 y"]
    workers = workers_of(server)
    assert server.stop() == 0
    assert not any(map(is_alive, workers))


def test_workers_end_with_their_parent(serving: Callable[..., Server], postgres_url: str) -> None:
    server = serving(COUNTER, database=postgres_url, options=["--workers", "2"]).start()
    until(lambda: len(workers_of(server)) == 2)
    workers = workers_of(server)
    server.running.kill()
    server.running.wait()
    until(lambda: not any(map(is_alive, workers)))


def test_what_stops_the_first_worker_stops_all(
    serving: Callable[..., Server], new_postgres_url: str
) -> None:
    server = serving(COUNTER, database=new_postgres_url, options=["--workers", "3"])
    server.launch()
    assert server.wait() == 3
    assert server.log_text().count("run `palaver db upgrade`") == 1


def test_one_client_hammered_over_two_servers_has_a_total_order(
    serving: Callable[..., Server], postgres_url: str
) -> None:
    servers = [serving(COUNTER, database=postgres_url).start() for _ in range(2)]
    servers[0].say("ann", "go")

    def talk(number: int) -> str:
        return servers[number % 2].say("ann", str(number)).texts[0]

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(talk, range(80)))
    order = sorted(said, key=lambda text: int(text.split()[0]))
    assert [int(text.split()[0]) for text in order] == list(range(1, 81))
    recorded = [
        message["payload"]["content"]["text"]
        for message in reversed(servers[1].messages("ann"))
        if message["direction"] == "SEND"
    ]
    assert recorded == order


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


def test_a_database_that_stops_under_load_is_503_until_it_is_back(
    serving: Callable[..., Server], own_server: PostgresServer
) -> None:
    url = own_server.create_database()
    own_server.upgrade(url)
    server = serving(COUNTER, database=url).start()
    stopped, ended = threading.Event(), threading.Event()
    acknowledged: dict[str, list[int]] = {}
    refused: list[httpx.Response] = []

    def talk(user: str) -> None:
        server.say(user, "go")
        while not ended.is_set():
            body = {
                "bot_id": "bot",
                "event": {
                    "client": {"bot_id": "bot", "channel_id": "e2e", "user_id": user},
                    "payload": {"content_type": "text", "content": {"text": "x"}},
                    "metadata": {},
                },
            }
            answer = server.request("POST", "/run", json=body)
            if answer.status_code == 200:
                text = answer.json()["messages"][0]["payload"]["content"]["text"]
                acknowledged.setdefault(user, []).append(int(text.split()[0]))
            else:
                refused.append(answer)
                time.sleep(0.05)

    users = [f"user {n}" for n in range(6)]
    with ThreadPoolExecutor(len(users)) as pool:
        talks = [pool.submit(talk, user) for user in users]
        until(lambda: len(acknowledged) == len(users))
        own_server.stop()
        stopped.set()
        until(lambda: len(refused) > 20)
        assert server.request("GET", "/readyz").status_code == 503
        own_server.start()
        before = sum(map(len, acknowledged.values()))
        until(lambda: sum(map(len, acknowledged.values())) > before + 60)
        ended.set()
        for done in talks:
            done.result()
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers.get("retry-after") for answer in refused} == {"1"}
    for user, numbers in acknowledged.items():
        assert numbers == sorted(set(numbers))  # nothing lost that was told, nothing told twice
        sent = [m for m in server.messages(user) if m["direction"] == "SEND"]
        assert len(sent) == server.memories(user)["n"] >= numbers[-1]
    assert server.stop() == 0
