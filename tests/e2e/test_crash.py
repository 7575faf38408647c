"""What an operator trusts: kill the server at any moment, and the next one goes on.

`PALAVER_FAULTS=200 pytest tests/e2e/test_crash.py` kills it so often; 10 times by default.
"""

from __future__ import annotations

import os
import random
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.e2e.server import ANSWER_S, START_S, Gate, Server, write_bot

FAULTS = int(os.environ.get("PALAVER_FAULTS", "10"))

PEOPLE = 8

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


# --- kill -9 under load ------------------------------------------------------------------------


class Load:
    """Shared by those who talk: the server of the moment, and how much was answered so far."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.answers = 0
        self.is_over = False
        self.changed = threading.Condition()

    def answered(self) -> None:
        with self.changed:
            self.answers += 1
            self.changed.notify_all()

    def wait_for_answers(self, more: int) -> None:
        """Until so many more were given by the server as it runs now."""
        with self.changed:
            goal = self.answers + more
            assert self.changed.wait_for(lambda: self.answers >= goal, START_S), "no answers"

    def wait_for_start(self, number: int) -> None:
        """Until the server was started once more than so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.server.starts > number, START_S), "no start"

    def restart(self) -> None:
        self.server.kill()
        self.server.start()
        with self.changed:
            self.changed.notify_all()


class Talker(threading.Thread):
    """One person who says 1, 2, 3 … and checks each answer.

    After a crash every other one asks again with the same request id, as a client with retries
    does; the others look into their memory whether the turn was taken.
    """

    def __init__(self, load: Load, number: int) -> None:
        super().__init__(name=f"person-{number}", daemon=True)
        self.load = load
        self.asks_again = number % 2 == 0
        self.said = 0
        self.trouble = ""

    def run(self) -> None:
        try:
            self.turn("go", [])
            while not self.load.is_over:
                self.said += 1
                self.turn(str(self.said), [f"{self.said} {self.said}"])
        except BaseException as error:
            self.trouble = f"{self.name} at {self.said}: {type(error).__name__}: {error}"

    def turn(self, text: str, wanted: list[str]) -> None:
        request_id = str(uuid.uuid4())
        while True:
            start = self.load.server.starts
            try:
                answer = self.load.server.say(self.name, text, request_id=request_id)
            except httpx.HTTPError:
                self.load.wait_for_start(start)
                if not self.asks_again and self.was_taken(text):
                    return
            else:
                assert answer.texts == wanted, f"said {text}, got {answer.texts}"
                self.load.answered()
                return

    def was_taken(self, text: str) -> bool:
        while True:
            start = self.load.server.starts
            try:
                number = self.load.server.memories(self.name).get("n", -1)
            except httpx.HTTPError:
                self.load.wait_for_start(start)
                continue
            current = 0 if text == "go" else int(text)
            assert number in (current, current - 1), f"{text} said, and n is {number}"
            return bool(number == current)


def test_kill_9_under_load_loses_nothing_and_does_nothing_twice(
    serving: Callable[..., Server],
) -> None:
    load = Load(serving(COUNTER).start())
    people = [Talker(load, number) for number in range(PEOPLE)]
    for person in people:
        person.start()
    chance = random.Random(os.environ.get("PALAVER_FAULTS_SEED", "faults"))
    for _ in range(FAULTS):
        load.wait_for_answers(chance.randrange(1, 60))
        # Somewhere within a turn or a commit: these take a millisecond or a few.
        time.sleep(chance.random() * 0.01)
        load.restart()
    load.wait_for_answers(PEOPLE)
    load.is_over = True
    for person in people:
        person.join(ANSWER_S)
        assert not person.is_alive()
    assert [person.trouble for person in people if person.trouble] == []
    for person in people:
        check_ledger(load.server, person)


def check_ledger(server: Server, person: Talker) -> None:
    """What is stored is exactly what was said and answered, in order."""
    assert server.memories(person.name) == {"n": person.said}
    history = server.messages(person.name)[::-1]
    texts = [(m["direction"], m["payload"]["content"]["text"]) for m in history]
    wanted = [("RECEIVE", "go")]
    for number in range(1, person.said + 1):
        wanted += [("RECEIVE", str(number)), ("SEND", f"{number} {number}")]
    assert texts == wanted
    stamps = [message["created_at"] for message in history]
    assert stamps == sorted(stamps)


def test_a_new_build_after_a_crash_is_there_whole_or_not_at_all(
    tmp_path: Path, serving: Callable[..., Server]
) -> None:
    server = serving({"Default": 'start:\n  say "build 0"\n'}).start()
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
