"""Clocks that jump: somebody sets them, a machine wakes up, a time server corrects what was wrong.

The server's process has a clock that the test sets (`clock/sitecustomize.py`), forward and back.
What the database's own clock does to leases and jobs is in unit/engine/test_two_processes.py and
unit/jobs/test_procrastinate.py.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ledger import Ledger, Outside
from tests.e2e.server import ANSWER_S, Gate, Server, client_of, run_body
from tests.e2e.test_postgres import until
from tests.e2e.test_worker_crash import (
    Receiver,
    bot_settings,
    check_once,
    enqueue,
    flows,
    scheduled,
    stored_jobs,
    wait_for,
)

HOUR, DAY = 3600, 86_400

JUMPS = {"an hour back": -HOUR, "a day back": -DAY, "a day forward": DAY}

jumps = pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)

days = pytest.mark.parametrize("jump", [-DAY, DAY], ids=["a day back", "a day forward"])

ECHO = {"Default": 'start:\n  say "{{event}}"\n  hold\n  goto start\n'}


class Clock:
    """The clock of the servers of a test."""

    def __init__(self, place: Path) -> None:
        self._file = place / "clock"
        self.set(0)

    def set(self, off_s: int) -> None:
        """So many seconds off from now on."""
        written = self._file.with_suffix(".new")
        written.write_text(str(off_s))
        written.replace(self._file)
        self.off_s = off_s

    @property
    def variables(self) -> dict[str, str]:
        """Of the processes that are to have it."""
        folder = Path(__file__).parent / "clock"
        return {"PYTHONPATH": str(folder), "E2E_CLOCK": str(self._file)}

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.off_s)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


Serving = Callable[..., Server]


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["payload"]["content"]["text"] for message in messages]


@jumps
def test_turns_under_load_are_as_ever(
    serving: Serving, database: str, clock: Clock, outside: Outside, jump: int
) -> None:
    server = serving(outside.flows(), database=database, variables=clock.variables).start()
    # Stored answers are kept for 24 hours by the clock, so nobody repeats what was answered.
    book = Ledger(server, repeats_answered=False)
    people = book.people(6)
    assert book.wait_for_answers(20)
    for off_s in (jump, 0, jump):
        clock.set(off_s)
        assert book.wait_for_answers(30)
    server.stop()
    server.start()
    book.started()
    assert book.wait_for_answers(30)
    book.close(people)
    assert book.refusals == []


@jumps
def test_lists_and_their_cursors_go_by_position(
    serving: Serving, database: str, clock: Clock, jump: int
) -> None:
    server = serving(ECHO, database=database, variables=clock.variables).start()

    def page(**more: str) -> tuple[list[str], str | None]:
        query = {**client_of("ann"), "limit": "7", **more}
        answer = server.request("GET", "/messages", params=query).json()
        return texts(answer["messages"]), answer.get("pagination_key")

    said = [str(number) for number in range(12)]
    for text in said[:10]:
        server.say("ann", text)
    newest, key = page()
    clock.set(jump)
    for text in said[10:]:
        server.say("ann", text)
    doubled = [text for text in said for _ in range(2)]
    assert texts(server.messages("ann")[::-1]) == doubled
    found = newest
    while key is not None:  # the pages after the one that was read before the jump
        older, key = page(pagination_key=key)
        found = found + older
    assert found[::-1] == doubled[:20]
    server.stop()
    server.start()
    assert texts(server.messages("ann")[::-1]) == doubled


@days
def test_all_conversations_are_listed_once(
    serving: Serving, database: str, clock: Clock, jump: int
) -> None:
    server = serving(
        {"Default": 'start:\n  say "x"\n'}, database=database, variables=clock.variables
    ).start()
    for off_s in (0, jump, 0, jump):
        clock.set(off_s)
        for _ in range(3):
            server.say("ann", "hi")
    found: list[str] = []
    query = {**client_of("ann"), "limit": "5"}
    while True:
        page = server.request("GET", "/conversations", params=query).json()
        found += [conversation["id"] for conversation in page["conversations"]]
        if not page.get("pagination_key"):
            break
        query["pagination_key"] = page["pagination_key"]
    assert len(found) == len(set(found)) == 12


@days
def test_a_turn_that_calls_the_outside_meanwhile_is_finished(
    serving: Serving, database: str, clock: Clock, gate: Gate, jump: int
) -> None:
    flow = f"""start:
  do answer = HTTP("{gate.url}").get().send()
  say "after {{{{event}}}}"
"""
    server = serving(
        {"Default": ECHO["Default"], "Slow": flow}, database=database, variables=clock.variables
    ).start()
    request_id = str(uuid.uuid4())
    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.say, "ann", "/slow", request_id=request_id)
        assert gate.arrived.wait(ANSWER_S)
        clock.set(jump)
        if jump < DAY:  # for so long answers are kept
            repeat = pool.submit(server.say, "ann", "/slow", request_id=request_id)
        second = pool.submit(server.say, "ann", "second")
        assert server.say("bob", "x").texts == ["x"], "nobody else waits"
        gate.open()
        assert first.result(ANSWER_S).texts == ["after /slow"]
        assert second.result(ANSWER_S).texts == ["second"]
        if jump < DAY:
            assert repeat.result(ANSWER_S).texts == ["after /slow"]
    assert sorted(texts(server.messages("ann"))) == ["/slow", "after /slow", "second", "second"]


@pytest.mark.parametrize("jump", [-HOUR, -DAY], ids=["an hour back", "a day back"])
def test_a_repeat_gets_its_stored_answer(
    serving: Serving, database: str, clock: Clock, jump: int
) -> None:
    server = serving(ECHO, database=database, variables=clock.variables).start()
    request_id = str(uuid.uuid4())
    assert server.say("ann", "once", request_id=request_id).texts == ["once"]
    clock.set(jump)
    assert server.say("ann", "once", request_id=request_id).texts == ["once"]
    assert texts(server.messages("ann")) == ["once", "once"], "said and answered a single time"


@days
def test_the_delay_without_interruptions_ends(
    serving: Serving, database: str, clock: Clock, gate: Gate, jump: int
) -> None:
    flow = f"""start:
  say "before"
  do answer = HTTP("{gate.url}").get().send()
  say "after {{{{event}}}}"
"""
    server = serving(
        {"Default": flow},
        "[bot]\nno_interruption_delay = 30\n",
        database=database,
        variables=clock.variables,
    ).start()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.say, "ann", "one")
        assert gate.arrived.wait(ANSWER_S)
        clock.set(jump)
        assert server.say("ann", "two").body == {}, "the delay counts seconds, not the clock"
        gate.open()
        assert first.result(ANSWER_S).texts == ["before", "after one"]
    assert server.say("ann", "three").texts == ["before", "after three"]


def test_what_is_live_is_not_deleted_and_what_was_deleted_stays_away(
    serving: Serving, database: str, clock: Clock
) -> None:
    variables = {**clock.variables, "PALAVER_TTL_DAYS": "2"}
    flow = "start:\n  remember first = event\n  hold\n  goto more\nmore:\n  say event\n  hold\n  goto more\n"
    server = serving({"Default": flow}, database=database, variables=variables).start()
    server.say("ann", "go")
    for off_s in (-HOUR, -DAY, DAY, 0):
        clock.set(off_s)
        assert server.request("POST", "/data/cleanup").status_code < 300
        assert server.memories("ann") == {"first": "go"}
    assert server.say("ann", "still held").texts == ["still held"]
    clock.set(3 * DAY)
    assert server.memories("ann") == {}
    assert server.request("POST", "/data/cleanup").status_code < 300
    for off_s in (0, -DAY):
        clock.set(off_s)
        assert (server.memories("ann"), server.messages("ann")) == ({}, [])
    server.say("ann", "anew")
    assert server.memories("ann") == {"first": "anew"}


@days
def test_jobs_are_run_and_tried_again(
    serving: Serving, database: str, clock: Clock, gate: Gate, receiver: Receiver, jump: int
) -> None:
    gate.open()
    receiver.open()
    receiver.status = 500
    server = serving(
        flows(gate), bot_settings(receiver), database=database, variables=clock.variables
    ).start()
    server.say("ann", "hi")
    enqueue(server.database, scheduled())
    wait_for(lambda: len(receiver.begun) >= 2)  # failed twice: the next pause is two seconds
    clock.set(jump)
    enqueue(server.database, scheduled())
    receiver.status = 200
    wait_for(lambda: receiver.taken.count("two") == 2)
    assert receiver.taken == ["one", "two", "one", "two"]
    wait_for(lambda: not stored_jobs(server.database))


@days
def test_a_job_whose_process_died_is_taken_over(
    serving: Serving, database: str, clock: Clock, gate: Gate, receiver: Receiver, jump: int
) -> None:
    receiver.open()
    server = serving(
        flows(gate), bot_settings(receiver), database=database, variables=clock.variables
    ).start()
    server.say("ann", "hi")
    enqueue(server.database, scheduled())
    assert gate.arrived.wait(ANSWER_S)
    server.kill()
    gate.open()
    clock.set(jump)
    server.start()
    wait_for(lambda: server.memories("ann") == {"n": 1})
    check_once(server, receiver)
    wait_for(lambda: not stored_jobs(server.database))


@days
def test_a_throttled_key_is_admitted_again(serving: Serving, clock: Clock, jump: int) -> None:
    settings = '[keys]\nstudio_key = "key"\n[studio]\nrate = 1\n'
    server = serving(ECHO, settings, variables=clock.variables).start()

    def chat() -> int:
        body = {
            "client": {"user_id": "ann"},
            "payload": {"content_type": "text", "content": {"text": "x"}},
        }
        body |= {"request_id": "r", "metadata": {}}
        answer = server.request("POST", "/v1/api/chat", json=body, headers={"x-api-key": "key"})
        return answer.status_code

    until(lambda: chat() == 429)
    clock.set(jump)
    until(lambda: chat() == 200)


def test_ids_are_never_made_twice(serving: Serving, clock: Clock) -> None:
    flow = 'start:\n  say "{{UUID(\\"v1\\")}} {{UUID()}}"\n  hold\n  goto start\n'
    server = serving({"Default": flow}, variables=clock.variables).start()
    seen: list[str] = []
    conversations: list[str] = []
    for number in range(60):
        clock.set(JUMPS["an hour back"] * (number % 2))
        answer = server.request("POST", "/run", json=run_body("ann", "x")).json()
        seen += answer["messages"][0]["payload"]["content"]["text"].split()
        other = server.request("POST", "/run", json=run_body(f"user {number}", "x")).json()
        conversations.append(other["messages"][0]["conversation_id"])
    assert len(seen) == len(set(seen)) == 120
    assert len(set(conversations)) == 60
