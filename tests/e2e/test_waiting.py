"""No turn keeps other clients waiting, and turns in progress are finished when told to stop.

Told by the order of events, not by seconds: other answers arrive while a turn is still running.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.server import ANSWER_S, Gate, Server

OTHERS = 30

PLAIN = 'start:\n  say "hello {{event}}"\n'


def slow_flow(gate: Gate) -> str:
    return f"""start:
  remember asked = event
  do answer = HTTP("{gate.url}").get().send()
  say "after {{{{event}}}}"
"""


def looping_flow(gate: Gate) -> str:
    """Says by the gate when the loop is about to begin."""
    return f"""start:
  say "before"
  do answer = HTTP("{gate.url}").get().send()
  do n = 0
  while (true) {{
    do n = n + 1
  }}
"""


def test_an_endless_loop_ends_with_an_error_and_the_server_lives(
    serving: Callable[..., Server],
) -> None:
    loop = "start:\n  do n = 0\n  while (true) {\n    do n = n + 1\n  }\n"
    server = serving(
        {"Default": PLAIN, "Loop": loop}, variables={"PALAVER_MAX_INSTRUCTIONS": "90000"}
    )
    server.start()
    answer = server.say("ann", "/loop")
    assert answer.status == 200
    assert answer.body["conversation_end"] is True
    (error,) = answer.body["messages"]
    assert error["payload"]["content_type"] == "error"
    assert "max_instructions" in error["payload"]["content"]["error"]
    assert "Loop" in error["payload"]["content"]["error"], "the error says where"
    assert server.say("ann", "again").texts == ["hello again"]
    assert server.stop() == 0


def test_a_loop_without_end_keeps_nobody_waiting(
    serving: Callable[..., Server], gate: Gate
) -> None:
    flows = {"Default": PLAIN, "Loop": looping_flow(gate)}
    variables = {"PALAVER_MAX_INSTRUCTIONS": str(10**12), "PALAVER_TURN_COMPUTE_S": "10m"}
    server = serving(flows, variables=variables).start()
    with ThreadPoolExecutor() as pool:
        loop = pool.submit(server.say, "ann", "/loop")
        assert gate.arrived.wait(ANSWER_S)
        gate.open()
        for number in range(OTHERS):
            assert server.say(f"user-{number}", "x").texts == ["hello x"]
        assert not loop.done()
        server.kill()


def test_a_loop_ends_by_the_time_it_may_compute(serving: Callable[..., Server], gate: Gate) -> None:
    gate.open()
    variables = {"PALAVER_MAX_INSTRUCTIONS": str(10**12), "PALAVER_TURN_COMPUTE_S": "0.2s"}
    server = serving({"Default": looping_flow(gate)}, variables=variables).start()
    answer = server.say("ann", "x")
    assert answer.status == 200
    last = answer.body["messages"][-1]["payload"]
    assert "turn_compute" in last["content"]["error"]


def test_a_turn_that_waits_for_a_server_keeps_nobody_waiting(
    serving: Callable[..., Server], gate: Gate
) -> None:
    server = serving({"Default": PLAIN, "Slow": slow_flow(gate)}).start()
    with ThreadPoolExecutor(64) as pool:
        slow = [pool.submit(server.say, f"slow-{number}", "/slow") for number in range(40)]
        assert gate.arrived.wait(ANSWER_S)
        for number in range(OTHERS):
            assert server.say(f"user-{number}", "x").texts == ["hello x"]
        assert not any(turn.done() for turn in slow)
        gate.open()
        assert {turn.result(ANSWER_S).texts[0] for turn in slow} == {"after /slow"}


def test_turns_of_one_client_wait_for_each_other_in_order(
    serving: Callable[..., Server], gate: Gate
) -> None:
    server = serving({"Default": PLAIN, "Slow": slow_flow(gate)}).start()
    with ThreadPoolExecutor() as pool:
        first = pool.submit(server.say, "ann", "/slow")
        assert gate.arrived.wait(ANSWER_S)
        second = pool.submit(server.say, "ann", "second")
        for number in range(5):
            server.say(f"user-{number}", "x")
        assert not second.done(), "the second turn of a client overtook the first"
        gate.open()
        assert first.result(ANSWER_S).texts == ["after /slow"]
        assert second.result(ANSWER_S).texts == ["hello second"]
    said = [m["payload"]["content"]["text"] for m in server.messages("ann")[::-1]]
    assert said == ["/slow", "after /slow", "second", "hello second"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_turns_in_progress_finish(
    number: signal.Signals, serving: Callable[..., Server], gate: Gate
) -> None:
    server = serving({"Default": PLAIN, "Slow": slow_flow(gate)}).start()
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(server.say, "ann", "/slow")
        assert gate.arrived.wait(ANSWER_S)
        server.running.send_signal(number)
        wait_until_closed(server)
        gate.open()
        assert slow.result(ANSWER_S).texts == ["after /slow"]
    assert server.wait() == 0
    server.start()
    assert server.memories("ann") == {"asked": "/slow"}


def test_a_second_signal_stops_at_once_and_the_turn_never_happened(
    serving: Callable[..., Server], gate: Gate
) -> None:
    server = serving({"Default": PLAIN, "Slow": slow_flow(gate)}).start()
    with ThreadPoolExecutor() as pool:
        pool.submit(server.say, "ann", "/slow")
        assert gate.arrived.wait(ANSWER_S)
        server.running.send_signal(signal.SIGTERM)
        wait_until_closed(server)
        server.running.send_signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM
    server.start()
    assert server.memories("ann") == {}


def wait_until_closed(server: Server) -> None:
    """Until the port takes nobody new: the server has understood that it is to stop."""
    host, port = server.url.removeprefix("http://").split(":")
    while True:
        try:
            socket.create_connection((host, int(port)), 1).close()
        except OSError:
            return
        assert server.running.poll() is None, "the server stopped without finishing its turns"
