"""Several processes on one PostgreSQL: `--workers`, two servers, a database that goes and comes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest

from palaver.errors import Unavailable
from palaver.model import Client
from palaver.storage.urls import open_storage
from tests.e2e.ledger import Ledger, Outside, said_at
from tests.e2e.server import PALAVER, START_S, STOP_S, Server, environment, palaver
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
    last_s = time.monotonic() + 2 * START_S
    while not is_so():
        assert time.monotonic() < last_s, "it never came to that"
        time.sleep(0.05)


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
    serving: Callable[..., Server], postgres_url: str, outside: Outside
) -> None:
    """Turns that say one message, several, and that call the outside, each from both servers; each
    request is sent to both at once, under one id, and is one turn."""
    flows = outside.flows()
    servers = [serving(flows, database=postgres_url).start() for _ in range(2)]
    servers[0].say("ann", "go")
    ids = [str(uuid.uuid4()) for _ in range(60)]

    def talk(number: int) -> tuple[str, ...]:
        place, server = divmod(number, 2)
        return tuple(servers[server].say("ann", f"event-{place}", request_id=ids[place]).texts)

    with ThreadPoolExecutor(12) as pool:
        said = list(pool.map(talk, range(120)))
    assert said[0::2] == said[1::2], "a repeat gets what was said, wherever it is asked"
    turns = sorted(set(said), key=lambda texts: int(texts[-1].split()[0]))
    events = [texts[-1].split()[1] for texts in turns]
    assert sorted(events) == sorted(f"event-{place}" for place in range(60))
    wanted = []
    for number, event in enumerate(events, 1):
        *before, _ = said_at(number)
        assert turns[number - 1] == (*before, f"{number} {event}")
        wanted += [("RECEIVE", event)]
        wanted += [("SEND", text) for text in turns[number - 1]]
    for server in servers:
        found = [
            (message["direction"], message["payload"]["content"]["text"])
            for message in server.messages("ann")[::-1]
        ]
        assert found == [("RECEIVE", "go"), *wanted]
        assert server.memories("ann") == {"n": 60, "last": events[-1]}


def test_many_people_on_two_servers_of_which_one_is_killed(
    serving: Callable[..., Server], postgres_url: str, outside: Outside
) -> None:
    servers = [serving(outside.flows(), database=postgres_url).start() for _ in range(2)]
    book = Ledger(*servers)
    people = book.people(8)
    for number in range(2):
        assert book.wait_for_answers(40)
        servers[number].kill()
        assert book.wait_for_answers(10), "the other server goes on"
        servers[number].start()
        book.started()
    assert book.wait_for_answers(40)
    book.close(people)


KEYS = """[keys]
studio_key = "studio"
chatbot_developer = "developer"
clustaar_private = "private"
"""


def goes_away_fast(database: PostgresServer) -> None:
    """As an operator stops it: connections are ended, what is open is rolled back."""
    database.stop()


def goes_away_at_once(database: PostgresServer) -> None:
    """As a crash does: nobody is told, the log is replayed at the next start."""
    database.stop(kills=True)


@pytest.mark.parametrize("goes", [goes_away_fast, goes_away_at_once])
def test_a_database_that_stops_under_load_is_503_until_it_is_back(
    serving: Callable[..., Server],
    own_server: PostgresServer,
    outside: Outside,
    goes: Callable[[PostgresServer], None],
) -> None:
    url = own_server.create_database()
    own_server.upgrade(url)
    server = serving(outside.flows(), KEYS, database=url).start()
    server.wait_for_words("/interlocutors/$id/reply")
    book = Ledger(server)
    people = book.people(8)
    for _ in range(3):
        assert book.wait_for_answers(40)
        goes(own_server)
        book.wait_for_refusals(20)
        check_refusals_of_all_dialects(server)
        own_server.start()
        assert book.wait_for_answers(40), "it does not recover by itself"
    assert server.request("GET", "/readyz").status_code == 200
    book.close(people)
    for answer in book.refusals:
        check_refusal(answer)
    assert server.starts == 1
    assert server.stop() == 0


def test_a_database_that_hangs_a_while_loses_nothing(
    serving: Callable[..., Server], own_server: PostgresServer, outside: Outside
) -> None:
    url = own_server.create_database()
    own_server.upgrade(url)
    server = serving(outside.flows(), database=url).start()
    book = Ledger(server)
    people = book.people(8)
    for _ in range(2):
        assert book.wait_for_answers(40)
        own_server.freeze()
        answers = book.answers
        time.sleep(3)
        assert book.answers <= answers + len(people), "what is told is stored"
        assert server.request("GET", "/livez").status_code == 200
        own_server.thaw()
        assert book.wait_for_answers(40), "it does not recover by itself"
    book.close(people)
    for answer in book.refusals:
        check_refusal(answer)
    assert server.stop() == 0


def test_a_database_that_hangs_is_503_in_time(
    serving: Callable[..., Server], own_server: PostgresServer, outside: Outside
) -> None:
    """And servers and workers can be stopped meanwhile."""
    url = own_server.create_database() + "&connect_timeout=2"
    own_server.upgrade(url)
    variables = {"PALAVER_DATABASE_ANSWER_S": "1"}
    server = serving(outside.flows(), KEYS, database=url, variables=variables).start()
    server.wait_for_words("/interlocutors/$id/reply")
    worker = subprocess.Popen(
        [PALAVER, "worker", "--database", url],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "Palaver runs jobs\n"
        book = Ledger(server)
        people = book.people(8)
        for _ in range(2):
            assert book.wait_for_answers(40)
            own_server.freeze()
            book.wait_for_refusals(20)
            check_refusals_of_all_dialects(server)
            own_server.thaw()
            assert book.wait_for_answers(40), "it does not recover by itself"
        book.close(people)
        for answer in book.refusals:
            check_refusal(answer)
        assert server.request("GET", "/readyz").status_code == 200
        assert server.starts == 1
        own_server.freeze()
        worker.terminate()
        assert server.stop() == 0
        assert worker.wait(STOP_S) == 0
    finally:
        worker.kill()
        worker.communicate()


@pytest.mark.skipif(sys.platform == "win32", reason="has no uvloop")
def test_a_crash_before_a_request_was_read_is_noticed(own_server: PostgresServer) -> None:
    import uvloop

    url = own_server.create_database()
    own_server.upgrade(url)
    client = Client("bot", "e2e", "ann")
    now = datetime.now(UTC)

    async def ask() -> None:
        storage = open_storage(url)
        await storage.open()
        try:
            assert await storage.list_memories(client, now) == ()
            own_server.freeze()
            asking = asyncio.create_task(storage.list_memories(client, now))
            await asyncio.sleep(0.2)
            own_server.crash_frozen()
            with pytest.raises(Unavailable):
                await asyncio.wait_for(asking, 20)  # sooner than a silent server counts as gone
        finally:
            await storage.close()

    uvloop.run(ask())


def check_refusal(answer: httpx.Response) -> None:
    """In the shape of the engine's errors, with a time to come again."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == 503
    assert answer.json()["message"]
    assert "Traceback" not in answer.text


def check_refusals_of_all_dialects(server: Server) -> None:
    """Each in its own shape, as their clients expect errors."""
    ready = server.request("GET", "/readyz")
    assert ready.status_code == 503
    assert ready.text, "it says why"
    assert server.request("GET", "/livez").status_code == 200
    event = {"payload": {"content_type": "text", "content": {"text": "x"}}, "metadata": {}}
    chat = {"client": {"user_id": "ann"}, "request_id": str(uuid.uuid4()), **event}
    query = {"query": "x", "sessionId": "session-of-ann"}
    bot = bot_in_output(server)
    made = {"type": "interlocutor", "userID": "ann"}
    for path, body, header, shape in (
        ("/v1/api/chat", chat, ("x-api-key", "studio"), {"statusCode", "error", "message"}),
        ("/query", query, ("authorization", "Bearer developer"), {"timestamp", "status"}),
        (
            f"/bots/{bot}/interlocutors/clustaar_web_chat",
            made,
            ("authorization", "Bearer private"),
            {"error"},
        ),
    ):
        answer = server.request("POST", path, json=body, headers=dict([header]))
        assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), (
            path,
            answer.text,
        )
        assert set(answer.json()) == shape, answer.text


def bot_in_output(server: Server) -> str:
    """The bot's id in the Clustaar dialect."""
    line = next(line for line in server.output if "/interlocutors/clustaar" in line)
    return line.partition("/bots/")[2].partition("/")[0]
