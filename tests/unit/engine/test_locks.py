"""One turn at a time for each key: order, time-outs, cancellation, nothing lost, nothing left."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from palaver.engine.locks import Turnstile
from palaver.errors import ConversationBusy
from tests.unit.engine.making import settled

pytestmark = pytest.mark.anyio


class Queue:
    """Clients of one key; remembers who had the turn."""

    def __init__(self, wait_s: float = 5) -> None:
        self.turnstile = Turnstile(wait_s)
        self.had: list[str] = []

    async def visit(self, name: str, leave: asyncio.Event | None = None) -> None:
        async with self.turnstile.turn("key", name):
            self.had.append(name)
            if leave is not None:
                await leave.wait()

    async def line_up(self, *names: str) -> tuple[asyncio.Event, list[asyncio.Task[None]]]:
        """The first one holds the turn until the event, the others wait in order."""
        leave = asyncio.Event()
        tasks = [asyncio.create_task(self.visit(names[0], leave))]
        tasks += [asyncio.create_task(self.visit(name)) for name in names[1:]]
        await settled()
        return leave, tasks

    def is_empty(self) -> bool:
        return self.turnstile.current("key") is None and self.turnstile.waiting() == 0


async def test_turns_are_taken_in_order_of_arrival() -> None:
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b", "c", "d")
    assert queue.had == ["a"]
    leave.set()
    await asyncio.gather(*tasks)
    assert queue.had == ["a", "b", "c", "d"]
    assert queue.is_empty()


async def test_different_keys_never_wait() -> None:
    turnstile = Turnstile(5)
    async with turnstile.turn("a"), turnstile.turn("b"):
        assert turnstile.current("a") is not None
        assert turnstile.current("b") is not None


async def test_who_holds_the_turn_is_known() -> None:
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b")
    current = queue.turnstile.current("key")
    assert current is not None
    assert current.identity == "a"
    leave.set()
    await asyncio.gather(*tasks)


async def test_waiting_too_long_is_an_error_and_leaves_the_queue() -> None:
    queue = Queue(wait_s=0.01)
    leave, (holder, late) = await queue.line_up("a", "b")
    with pytest.raises(ConversationBusy, match="turn_wait_s"):
        await late
    assert queue.turnstile.waiting() == 0
    leave.set()
    await holder
    assert queue.is_empty()


async def test_who_is_cancelled_while_waiting_is_passed_over() -> None:
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b", "c")
    tasks[1].cancel()
    await settled()
    assert queue.turnstile.waiting() == 1
    leave.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert queue.had == ["a", "c"]
    assert queue.is_empty()


async def test_who_is_cancelled_in_the_moment_of_being_woken_passes_the_turn_on() -> None:
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b", "c")
    leave.set()
    await asyncio.sleep(0)  # `a` leaves: `b` has the turn, but does not know yet
    tasks[1].cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[1], asyncio.CancelledError)
    assert queue.had == ["a", "c"]
    assert queue.is_empty()


async def test_the_last_one_cancelled_in_the_moment_of_being_woken_frees_the_key() -> None:
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b")
    leave.set()
    await asyncio.sleep(0)
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert queue.is_empty()


async def test_who_was_cancelled_just_before_the_turn_is_passed_on_is_cancelled_and_no_more() -> (
    None
):
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b", "c")
    tasks[1].cancel()  # its waiting is over, but it has not been told when `a` leaves
    leave.set()
    found: list[Any] = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found[1], asyncio.CancelledError)
    assert queue.had == ["a", "c"]
    assert queue.is_empty()


async def test_cancelled_in_any_interleaving_nothing_is_lost() -> None:
    for pauses in range(6):
        for victims in [(1,), (2,), (1, 2), (1, 3), (1, 2, 3)]:
            queue = Queue()
            leave, tasks = await queue.line_up("a", "b", "c", "d")
            leave.set()
            for _ in range(pauses):
                await asyncio.sleep(0)
            for victim in victims:
                tasks[victim].cancel()
            found = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(f is None or isinstance(f, asyncio.CancelledError) for f in found)
            assert queue.is_empty()
            assert set("abcd") - set(queue.had) <= {"abcd"[victim] for victim in victims}


async def test_an_error_inside_the_turn_frees_it() -> None:
    turnstile = Turnstile(5)
    with pytest.raises(ZeroDivisionError):
        async with turnstile.turn("key"):
            raise ZeroDivisionError
    assert turnstile.current("key") is None


async def test_the_age_of_a_turn_begins_when_it_is_given() -> None:
    queue = Queue()
    leave, tasks = await queue.line_up("a", "b")
    first = queue.turnstile.current("key")
    assert first is not None
    since = first.since
    await asyncio.sleep(0.01)
    second_leaves = asyncio.Event()
    tasks.append(asyncio.create_task(queue.visit("c", second_leaves)))
    leave.set()
    await settled()
    second = queue.turnstile.current("key")
    assert second is not None
    assert second.since > since
    second_leaves.set()
    await asyncio.gather(*tasks)
