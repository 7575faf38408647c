"""Plain code that can wait."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from palaver.engine import fiber

pytestmark = pytest.mark.anyio


async def echo(request: Any) -> Any:
    await asyncio.sleep(0)
    return ("answer", request)


async def test_the_result_of_the_work_comes_out() -> None:
    assert await fiber.run_fiber(lambda: 5, echo) == 5


async def test_a_question_is_answered_where_it_was_asked() -> None:
    def work() -> Any:
        return [fiber.ask(1), fiber.ask("two")]

    assert await fiber.run_fiber(work, echo) == [("answer", 1), ("answer", "two")]


async def test_a_question_may_be_asked_deep_inside() -> None:
    def deep(level: int) -> Any:
        return fiber.ask(level) if level == 50 else deep(level + 1)

    assert await fiber.run_fiber(lambda: list(map(deep, [0])), echo) == [("answer", 50)]


async def test_an_exception_of_the_work_comes_out() -> None:
    def work() -> None:
        fiber.ask(1)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await fiber.run_fiber(work, echo)


async def test_an_exception_of_the_answer_is_raised_at_the_question() -> None:
    async def fail(request: Any) -> Any:
        raise KeyError(request)

    def work() -> str:
        try:
            fiber.ask("x")
        except KeyError as error:
            return f"caught {error}"
        return "not raised"

    assert await fiber.run_fiber(work, fail) == "caught 'x'"


async def test_an_exception_of_the_answer_that_nobody_catches_comes_out() -> None:
    async def fail(request: Any) -> Any:
        raise KeyError(request)

    with pytest.raises(KeyError):
        await fiber.run_fiber(lambda: fiber.ask("x"), fail)


async def test_a_pause_lets_others_go_on() -> None:
    order: list[str] = []

    def work(name: str) -> None:
        for _ in range(3):
            order.append(name)
            fiber.pause()

    await asyncio.gather(
        fiber.run_fiber(lambda: work("a"), echo), fiber.run_fiber(lambda: work("b"), echo)
    )
    assert order == ["a", "b", "a", "b", "a", "b"]


async def test_many_fibers_wait_at_once() -> None:
    async def slow(request: Any) -> Any:
        await asyncio.sleep(0.01)
        return request

    works = [fiber.run_fiber(lambda n=n: fiber.ask(n) + 1, slow) for n in range(50)]  # type: ignore[misc]
    assert await asyncio.gather(*works) == list(range(1, 51))


@pytest.mark.parametrize("stop", ["waits", "pauses"])
async def test_cancellation_unwinds_the_work(stop: str) -> None:
    unwound: list[str] = []

    def work() -> None:
        try:
            while True:
                if stop == "waits":
                    fiber.ask(None)
                else:
                    fiber.pause()
        finally:
            unwound.append(stop)

    async def for_ever(request: Any) -> Any:
        await asyncio.Event().wait()

    task = asyncio.create_task(fiber.run_fiber(work, for_ever))
    await asyncio.sleep(0.005)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert unwound == [stop]
