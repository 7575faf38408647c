"""People who talk to a server that is being tortured, and keep books of what it said.

    book = Ledger(server, Outside())
    people = book.people(8)             # threads that say 1, 2, 3 … until `book.close(people)`
    book.wait_for_answers(20)           # … and meanwhile things happen to the server
    book.close(people)                  # each turn is stored once, in order, with all its messages

The flow takes three kinds of turns by turns: one that calls the outside, one that says three
messages, one that says one.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.e2e.server import ANSWER_S, START_S, Server, run_body

RETRY_S = 0.05
"""Between two attempts of somebody who was told to come again."""

THINKING_S = 0.01
"""Between an answer and the next turn: so many people are load enough."""


class Outside:
    """A server that flows call. It answers after up to 20 ms, so that calls are met in progress."""

    def __init__(self) -> None:
        chance = random.Random(1)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                time.sleep(0.02 * chance.random())
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *arguments: object) -> None:
                """Whoever asked was killed."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def flows(self) -> dict[str, str]:
        """The first event is taken in silence; each later one is counted, and told its number."""
        return {
            "Default": f"""start:
  remember n = 0
  hold
  goto count
count:
  remember n = n + 1
  remember last = event
  if (n % 3 == 1) {{
    do answer = HTTP("{self.url}").get().send()
    say "outside {{{{n}}}}"
  }}
  if (n % 3 == 2) {{
    say "first {{{{n}}}}"
    say "second {{{{n}}}}"
  }}
  say "{{{{n}}}} {{{{event}}}}"
  hold
  goto count
"""
        }


def said_at(number: int) -> list[str]:
    """What the flow answers to the person's turn of this number."""
    before = {1: [f"outside {number}"], 2: [f"first {number}", f"second {number}"]}
    return [*before.get(number % 3, []), f"{number} {number}"]


class Ledger:
    """What all people were told, and what the test does to the servers they talk to.

    Attributes:
        servers: person `n` talks to server `n` modulo their number; of the same database.
        answers: turns that were acknowledged. repeats: requests sent again with their id.
        refusals: answers of 503, in order.

    Args:
        repeats_answered: whether people also repeat requests that were answered, now and then.
    """

    def __init__(self, *servers: Server, repeats_answered: bool = True) -> None:
        self.servers = servers
        self.repeats_answered = repeats_answered
        self.answers = 0
        self.repeats = 0
        self.refusals: list[httpx.Response] = []
        self.is_over = False
        self.changed = threading.Condition()

    def people(self, number: int) -> list[Person]:
        people = [Person(self, n) for n in range(number)]
        for person in people:
            person.start()
        return people

    def close(self, people: list[Person]) -> None:
        """Everybody finishes the turn they are at; then the books are compared."""
        self.is_over = True
        for person in people:
            person.join(2 * ANSWER_S)
            assert not person.is_alive(), f"{person.name} still waits at {person.said}"
        assert [person.trouble for person in people if person.trouble] == []
        for person in people:
            self.check(person)

    def check(self, person: Person) -> None:
        """What is stored is exactly what was said and answered, once and in order."""
        server = self.servers[-1]
        last = {"last": str(person.said)} if person.said else {}
        assert server.memories(person.name) == {"n": person.said, **last}
        history = server.messages(person.name)[::-1]
        found = [(m["direction"], m["payload"]["content"]["text"]) for m in history]
        wanted = [("RECEIVE", "go")]
        for number in range(1, person.said + 1):
            wanted.append(("RECEIVE", str(number)))
            wanted += [("SEND", text) for text in said_at(number)]
        assert found == wanted
        assert len({m["conversation_id"] for m in history}) == 1

    # --- waiting ---------------------------------------------------------------------------

    def note(self, *, answers: int = 0, repeats: int = 0) -> None:
        with self.changed:
            self.answers += answers
            self.repeats += repeats
            self.changed.notify_all()

    def refused(self, answer: httpx.Response) -> None:
        with self.changed:
            self.refusals.append(answer)
            self.changed.notify_all()

    def wait_for_answers(self, more: int, seconds: float = START_S) -> bool:
        """Until so many more were given; False when it took too long."""
        with self.changed:
            goal = self.answers + more
            return self.changed.wait_for(lambda: self.answers >= goal, seconds)

    def wait_for_refusals(self, more: int) -> None:
        with self.changed:
            goal = len(self.refusals) + more
            assert self.changed.wait_for(lambda: len(self.refusals) >= goal, START_S), "no 503"

    def wait_for_start(self, server: Server, number: int) -> None:
        """Until the server was started once more than so often."""
        with self.changed:
            assert self.changed.wait_for(lambda: server.starts > number, START_S), "no start"

    def started(self) -> None:
        with self.changed:
            self.changed.notify_all()


class Person(threading.Thread):
    """Says 1, 2, 3 … and checks each answer.

    When no answer comes every other one asks again with the same request id, as a client with
    retries does; the others look into their memory whether the turn was taken. Now and then an
    acknowledged request is sent again, too: its answer is the same.

    Attributes:
        said: the number said last. trouble: why this person gave up.
    """

    def __init__(self, book: Ledger, number: int) -> None:
        super().__init__(name=f"person-{number}", daemon=True)
        self.book = book
        self.server = book.servers[number % len(book.servers)]
        self.asks_again = number % 2 == 0
        self.said = 0
        self.trouble = ""

    def run(self) -> None:
        try:
            self.turn("go", [])
            while not self.book.is_over:
                time.sleep(THINKING_S)
                self.said += 1
                self.turn(str(self.said), said_at(self.said))
        except BaseException as error:
            self.trouble = f"{self.name} at {self.said}: {type(error).__name__}: {error}"

    def turn(self, text: str, wanted: list[str]) -> None:
        request_id = str(uuid.uuid4())
        attempts = 0
        while True:
            start = self.server.starts
            attempts += 1
            try:
                found = self.ask(text, request_id)
            except httpx.HTTPError:
                self.book.wait_for_start(self.server, start)
                if not self.asks_again and self.was_taken(text):
                    return
                continue
            if found is None:
                continue
            assert found == wanted, f"said {text}, got {found}"
            self.book.note(answers=1, repeats=attempts - 1)
            if self.book.repeats_answered and self.said % 5 == 0:
                self.repeat(text, request_id, wanted)
            return

    def ask(self, text: str, request_id: str) -> list[str] | None:
        """The texts of the answer; None: not now. Raises: httpx.HTTPError: no answer."""
        body = run_body(self.name, text, request_id=request_id)
        answer = self.server.request("POST", "/run", json=body)
        if answer.status_code == 503:
            self.book.refused(answer)
            time.sleep(RETRY_S)
            return None
        assert answer.status_code == 200, (answer.status_code, answer.text)
        contents: list[Any] = [m["payload"]["content"] for m in answer.json()["messages"]]
        return [content.get("text", content) for content in contents]

    def repeat(self, text: str, request_id: str, wanted: list[str]) -> None:
        try:
            found = self.ask(text, request_id)
        except httpx.HTTPError:
            return
        assert found in (None, wanted), f"said {text} again, got {found}"
        self.book.note(repeats=1)

    def was_taken(self, text: str) -> bool:
        while True:
            start = self.server.starts
            try:
                answer = self.server.request("GET", "/memories", params=self.client)
            except httpx.HTTPError:
                self.book.wait_for_start(self.server, start)
                continue
            if answer.status_code == 503:
                self.book.refused(answer)
                time.sleep(RETRY_S)
                continue
            number = {m["key"]: m["value"] for m in answer.json()}.get("n", -1)
            current = 0 if text == "go" else int(text)
            assert number in (current, current - 1), f"{text} said, and n is {number}"
            return bool(number == current)

    @property
    def client(self) -> dict[str, str]:
        client: dict[str, str] = run_body(self.name, "")["event"]["client"]
        return client
