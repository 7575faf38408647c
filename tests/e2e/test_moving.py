"""`palaver db migrate` beside a server that people talk to, killed at any moment, and afterwards."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.ledger import THINKING_S
from tests.e2e.server import PALAVER, STOP_S, Server, environment, palaver, run_body
from tests.e2e.test_postgres import COUNTER, until

KILLS = int(os.environ.get("PALAVER_FAULTS", "3"))
"""How many migrations are killed before one is let through."""


class Talk:
    """People who talk, until they are told to stop.

    Attributes:
        acknowledged: by user, the numbers the bot answered with.
        refused: answers that were no 200.
    """

    def __init__(self, server: Server, users: int) -> None:
        self._server = server
        self.acknowledged: dict[str, list[int]] = {f"user {n}": [] for n in range(users)}
        self.refused: list[httpx.Response] = []
        self._ended = threading.Event()
        self._pool = ThreadPoolExecutor(users)
        for user in self.acknowledged:
            server.say(user, "go")
        self._talks = [self._pool.submit(self._talk, user) for user in self.acknowledged]

    def _talk(self, user: str) -> None:
        while not self._ended.is_set():
            answer = self._server.request("POST", "/run", json=run_body(user, "x"))
            if answer.status_code == 200:
                text = answer.json()["messages"][0]["payload"]["content"]["text"]
                self.acknowledged[user].append(int(text.split()[0]))
            else:
                self.refused.append(answer)
            time.sleep(THINKING_S)

    def end(self) -> None:
        self._ended.set()
        for talk in self._talks:
            talk.result()
        self._pool.shutdown()

    @property
    def count(self) -> int:
        return sum(map(len, self.acknowledged.values()))


def has_log(path: Path) -> bool:
    """Whether a move has begun to copy."""
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        sql = "SELECT count(*) FROM sqlite_master WHERE name = 'palaver_move_log'"
        return bool(connection.execute(sql).fetchone()[0])


def test_a_server_under_load_is_moved_and_nothing_acknowledged_is_lost(
    serving: Callable[..., Server], new_postgres_url: str, tmp_path: Path
) -> None:
    server = serving(COUNTER).start()
    talk = Talk(server, 6)
    until(lambda: talk.count > 100)
    done = palaver("db", "migrate", tmp_path / "palaver.db", new_postgres_url)
    assert done.returncode == 0, done.stderr
    assert "palaver serve --database" in done.stderr
    until(lambda: len(talk.refused) > 20)
    talk.end()

    assert {answer.status_code for answer in talk.refused} == {503}
    assert {answer.headers.get("retry-after") for answer in talk.refused} == {"1"}
    assert all("was moved to" in answer.text for answer in talk.refused)
    ready = server.request("GET", "/readyz")
    assert (ready.status_code, "was moved to" in ready.text) == (503, True)

    moved = serving(COUNTER, database=new_postgres_url).start()
    for user, numbers in talk.acknowledged.items():
        assert numbers == list(range(1, len(numbers) + 1))
        sent = [m for m in moved.messages(user) if m["direction"] == "SEND"]
        assert len(sent) == moved.memories(user)["n"] == len(numbers)
        assert moved.say(user, "y").texts == [f"{len(sent) + 1} y"]
    assert palaver("db", "check", "--database", new_postgres_url).returncode == 0

    # The old database says where to go, and does not start again.
    assert server.stop() == 0
    server.launch()
    assert server.wait() == 3
    assert "was moved to" in server.log_text()


def test_a_move_that_is_killed_leaves_the_server_alone_and_succeeds_the_next_time(
    serving: Callable[..., Server], new_postgres_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "palaver.db"
    server = serving(COUNTER).start()
    talk = Talk(server, 4)
    fill(path, 60_000)
    until(lambda: talk.count > 200)
    for kill in range(KILLS):
        command = [PALAVER, "db", "migrate", str(path), new_postgres_url]
        process = subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until(lambda: has_log(path))
        time.sleep(0.03 * (kill % 6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        enough = talk.count + 20
        until(lambda enough=enough: talk.count > enough)
    assert talk.refused == []
    done = palaver("db", "migrate", path, new_postgres_url)
    assert done.returncode == 0, done.stderr
    until(lambda: len(talk.refused) > 0)
    talk.end()
    moved = serving(COUNTER, database=new_postgres_url).start()
    for user, numbers in talk.acknowledged.items():
        assert moved.memories(user)["n"] == len(numbers)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_move_that_is_stopped_tidies_up(
    serving: Callable[..., Server],
    new_postgres_url: str,
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    path = tmp_path / "palaver.db"
    server = serving(COUNTER).start()
    for _ in range(5):
        server.say("ann", "x")
    fill(path, 60_000)
    process = subprocess.Popen(
        [PALAVER, "db", "migrate", str(path), new_postgres_url],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    until(lambda: has_log(path))
    process.send_signal(number)
    _, said = process.communicate(timeout=STOP_S)
    assert (process.returncode, said.strip()) == (130, b"stopped")
    assert not has_log(path)
    assert server.say("ann", "y").texts == ["5 y"]
    check = palaver("db", "check", "--database", f"sqlite:///{path}")
    assert check.returncode == 0, check.stdout
    assert palaver("db", "migrate", path, new_postgres_url).returncode == 0


def fill(path: Path, memories: int) -> None:
    """Enough for a copy to take a second or two: longer than whoever waits for it may sleep."""
    rows: list[tuple[Any, ...]] = [(b"c", f"m{n}", '"x"', 1) for n in range(memories)]
    with closing(sqlite3.connect(path, timeout=30)) as connection:
        connection.execute(
            "INSERT INTO client (client, bot_id, channel_id, user_id) VALUES (?, 'b', 'c', 'u')",
            (b"c",),
        )
        connection.executemany(
            "INSERT INTO memory (client, key, value, created_at) VALUES (?, ?, ?, ?)", rows
        )
        connection.commit()
