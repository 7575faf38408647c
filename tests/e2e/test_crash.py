"""What an operator trusts: kill the server at any moment, and the next one goes on.

`PALAVER_FAULTS=200 pytest tests/e2e/test_crash.py` kills it so often on each back end; 10 times by
default. `PALAVER_FAULTS_SEED` changes the moments. `-rP` shows the figures.
"""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.ledger import Ledger, Outside
from tests.e2e.server import ANSWER_S, Gate, Server, write_bot

FAULTS = int(os.environ.get("PALAVER_FAULTS", "10"))

PEOPLE = 16

START_TAKES_S = 1.0
"""About; to be killed in."""

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
"""The first event is taken in silence; each later one is counted and told with its number."""


def test_a_conversation_goes_on_after_a_restart(serving: Callable[..., Server]) -> None:
    server = serving(COUNTER).start()
    assert server.say("ann", "go").texts == []
    assert server.say("ann", "a").texts == ["1 a"]
    assert server.stop() == 0
    server.start()
    assert server.say("ann", "b").texts == ["2 b"]


def test_a_conversation_goes_on_after_kill_9(serving: Callable[..., Server]) -> None:
    server = serving(COUNTER).start()
    server.say("ann", "go")
    for number, text in enumerate("abc", 1):
        assert server.say("ann", text).texts == [f"{number} {text}"]
        server.kill()
        server.start()
    assert server.say("ann", "d").texts == ["4 d"]


def test_a_turn_that_was_killed_half_way_never_happened(
    tmp_path: Path, serving: Callable[..., Server], gate: Gate
) -> None:
    flow = f"""start:
  remember n = 0
  hold
  remember n = n + 1
  say "before"
  do answer = HTTP("{gate.url}").get().send()
  say "{{{{n}}}} {{{{event}}}}"
  hold
  say "done {{{{n}}}}"
"""
    server = serving({"Default": flow}).start()
    server.say("ann", "go")
    request_id = str(uuid.uuid4())
    with ThreadPoolExecutor() as pool:
        lost = pool.submit(server.say, "ann", "a", request_id=request_id)
        assert gate.arrived.wait(ANSWER_S)
        server.kill()
        with pytest.raises(httpx.HTTPError):
            lost.result(ANSWER_S)
    server.start()
    assert server.memories("ann") == {"n": 0}
    assert [message["direction"] for message in server.messages("ann")] == ["RECEIVE"]
    gate.open()
    assert server.say("ann", "a", request_id=request_id).texts == ["before", "1 a"]
    assert server.say("ann", "a", request_id=request_id).texts == ["before", "1 a"], "a repeat"
    assert server.say("ann", "b").texts == ["done 1"]


def test_a_new_build_after_a_crash_is_there_whole_or_not_at_all(
    tmp_path: Path, serving: Callable[..., Server], database: str
) -> None:
    server = serving({"Default": 'start:\n  say "build 0"\n'}, database=database).start()
    for number in range(1, 4):
        server.kill()
        write_bot(tmp_path / "bot", {"Default": f'start:\n  say "build {number}"\n'})
        server.launch()
        # Killed at some moment of its start, which takes half a second or more.
        time.sleep(0.2 * number)
        server.kill()
        folders, server.folders = server.folders, []
        server.start()
        assert server.say("ann", "hi").texts in ([[f"build {number - 1}"], [f"build {number}"]])
        server.kill()
        server.folders = folders
        server.start()
        assert server.say("ann", "hi").texts == [f"build {number}"]


# --- kill -9 under load ------------------------------------------------------------------------


def test_kill_9_under_load_loses_nothing_and_does_nothing_twice(
    serving: Callable[..., Server], database: str, outside: Outside
) -> None:
    server = serving(outside.flows(), database=database).start()
    book = Ledger(server)
    people = book.people(PEOPLE)
    began = time.monotonic()
    seed = os.environ.get("PALAVER_FAULTS_SEED", "faults")
    chance = random.Random(seed)
    starting = 0
    for _ in range(FAULTS):
        # Those whose turns called the outside wait for the dead server's leases, on PostgreSQL.
        book.wait_for_answers(chance.randrange(1, 60), seconds=5)
        # Somewhere within a turn or a commit: these take a millisecond or a few.
        time.sleep(chance.random() * 0.01)
        server.kill()
        if chance.random() < 0.2:
            starting += 1
            server.launch()
            time.sleep(chance.random() * START_TAKES_S)
            server.kill()
        server.start()
        book.started()
    assert book.wait_for_answers(PEOPLE)
    book.close(people)
    print(
        f"{server.database.partition(':')[0]}, seed {seed}: {FAULTS + starting} times kill -9, "
        f"{starting} of them while starting; {book.answers} turns acknowledged, "
        f"{book.repeats} requests repeated, in {time.monotonic() - began:.0f} s"
    )
