"""Every recorded conversation of the reference engine, played in process on memory storage.

One test a scenario, named `file: scenario`; one service for all, as one server would have.
`python tests/conformance/recordings/replay.py URL FILE…` plays the same against a running server.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palaver.config import ServerSettings
from palaver.wiring import build
from tests.conformance import echo
from tests.conformance.recordings import replay

RECORDINGS = Path(__file__).parent / "recordings"

ANSWER_S = 60
"""A turn may compute for 30 s; an answer that takes longer than this never comes."""

KNOWN_CONTRADICTIONS = {
    "chained methods work on each result": (
        'its `"abc"[0].to_uppercase()` says ABC, the method running on the whole string; the mark '
        "in expressions 'methods and paths behind a string index' wants the character's"
    ),
    "a hold inside the body of nested single statements": (
        "behind `if (…) hold` it skips the rest of the body on resume; the marks in statements "
        "'a hold first in a block' want it to go on behind the hold"
    ),
    "two to the power 63 is no int": (
        "its mark prints 2^63 as 9223372036854775808; expressions 'numbers read from JSON' and "
        "'which strings are numbers' print the same float as 9223372036854776000"
    ),
    "integer literals with underscores or too large": (
        "its mark prints 2^63 as 9223372036854775808; expressions 'numbers read from JSON' and "
        "'which strings are numbers' print the same float as 9223372036854776000"
    ),
    "messages and memories before a fatal error stay": (
        "its list of conversations has no `id`; the marks in rest 'conversations open, close and "
        "list' want one"
    ),
    "default flow given by id and a missing start": (
        "its mark wraps `say _metadata._context` in `_context`; errors 'metadata._context' and "
        "its own recording do not"
    ),
    "malformed strings and interpolations": (
        'it refuses `"\\}}"`; the marks in expressions \'escaped braces at the start and after '
        "other alphabets' want it to be the text }}"
    ),
    "words that cannot be identifiers": (
        "it refuses `say true_love`; the marks in expressions 'names that begin with true or "
        "false' want such names read"
    ),
    "malformed step headers": (
        "it refuses `iffy:` and `matched:` behind a step; the marks in expressions 'step names "
        "that begin with a keyword' accept them"
    ),
    "programs that do not parse": (
        "two of its programs, `iffy:` and `matched:` behind a step, parse by the marks in "
        "expressions 'step names that begin with a keyword'"
    ),
}
"""Scenarios that no engine can pass together with another recording, or with a `palaver` mark of
one, and which. A scenario that Palaver merely fails does not belong here."""


def _scenarios() -> Iterator[Any]:
    for file in sorted(RECORDINGS.glob("*.json")):
        for scenario in json.loads(file.read_text("utf-8")):
            name = scenario["name"]
            marks: list[pytest.MarkDecorator] = []
            if name in KNOWN_CONTRADICTIONS:
                marks = [pytest.mark.xfail(reason=KNOWN_CONTRADICTIONS[name], strict=True)]
            yield pytest.param(scenario, id=f"{file.stem}: {name}", marks=marks)


SCENARIOS = list(_scenarios())


class InProcess:
    """A whole Palaver on a loop of its own in a thread; `send` is what `replay` wants."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="palaver", daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(ANSWER_S), "the service did not start"
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(ANSWER_S)
        assert not self._thread.is_alive(), "the service did not stop"

    def send(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        asking = asyncio.run_coroutine_threadsafe(
            self._client.request(method, path, params=query, json=body), self._loop
        )
        try:
            answer = asking.result(ANSWER_S)
        except TimeoutError:
            asking.cancel()
            return -1, "timeout"
        return answer.status_code, replay.decode(answer.content)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            try:
                runner.run(self._live())
            except BaseException as error:
                self._failure = error
                self._ready.set()

    async def _live(self) -> None:
        async with build(ServerSettings(database=":memory:"), []) as service:
            transport = httpx.ASGITransport(service.app)
            base_url = "http://palaver"
            async with httpx.AsyncClient(transport=transport, base_url=base_url) as client:
                self._client = client
                self._ready.set()
                await self._stop.wait()


@pytest.fixture(scope="module")
def service() -> Iterator[InProcess]:
    running = InProcess()
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def echo_url() -> Iterator[str]:
    server = echo.serve(0)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_recorded_conversation(
    scenario: dict[str, Any], service: InProcess, echo_url: str
) -> None:
    problems = replay.check(scenario, service.send, echo_url)
    assert not problems, "\n".join([scenario.get("spec", ""), *problems])


def test_the_table_of_contradictions_names_scenarios_that_exist() -> None:
    names = {parameters.values[0]["name"] for parameters in SCENARIOS}
    assert set(KNOWN_CONTRADICTIONS) <= names


def test_no_name_is_used_twice() -> None:
    names = [parameters.values[0]["name"] for parameters in SCENARIOS]
    twice = {name for name in names if names.count(name) > 1} & set(KNOWN_CONTRADICTIONS)
    assert not twice
