"""What does it cost to let plain code wait? Prints microseconds a turn and ratios to a plain call.

    uv run python benchmarks/suspending.py

Compares, for a run that never waits and for one that asks the outside once: a plain call, a
greenlet (what Palaver does, `engine/fiber.py`), a hop to a worker thread with a blocking host,
and a generator at every level of a nest of calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from palaver.engine.fiber import ask, run_fiber

DEPTH = 20
ROUNDS = 20_000


def nest(depth: int) -> int:
    return nest(depth - 1) + 1 if depth else 0


def generator_nest(depth: int) -> Generator[None, None, int]:
    if not depth:
        return 0
        yield
    below = yield from generator_nest(depth - 1)
    return below + 1


def drive(generator: Generator[Any, Any, int]) -> int:
    try:
        while True:
            next(generator)
    except StopIteration as stop:
        return int(stop.value)


async def answer(_: Any) -> int:
    return 1


async def timed(turn: Callable[[], Awaitable[Any]]) -> float:
    """Microseconds a turn."""
    await turn()
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(ROUNDS):
            await turn()
        best = min(best, time.perf_counter() - start)
    return best / ROUNDS * 1e6


async def main() -> None:
    loop = asyncio.get_running_loop()
    pool = ThreadPoolExecutor(1)

    async def plain() -> None:
        nest(DEPTH)

    async def fiber() -> None:
        await run_fiber(lambda: nest(DEPTH), answer)

    async def thread() -> None:
        await loop.run_in_executor(pool, nest, DEPTH)

    async def generators() -> None:
        drive(generator_nest(DEPTH))

    async def fiber_asking() -> None:
        await run_fiber(lambda: nest(DEPTH) + ask("outside"), answer)

    def blocking() -> int:
        return nest(DEPTH) + asyncio.run_coroutine_threadsafe(answer(None), loop).result()

    async def thread_asking() -> None:
        await loop.run_in_executor(pool, blocking)

    base = await timed(plain)
    print(f"{'a plain call':34s} {base:8.2f} µs")
    for name, turn in (
        ("a greenlet", fiber),
        ("a worker thread", thread),
        ("generators all the way", generators),
        ("a greenlet that asks once", fiber_asking),
        ("a worker thread that asks once", thread_asking),
    ):
        cost = await timed(turn)
        print(f"{name:34s} {cost:8.2f} µs   +{cost - base:7.2f}   x{cost / base:5.1f}")
    pool.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
