"""Plain code that can wait: running author code inside the event loop without blocking it.

The language is plain closures: fast, but they cannot `await`. So a turn runs in a greenlet. When
it asks the outside something, or has computed for a while, it switches back to the coroutine that
drives it, which awaits on its behalf and switches back in. Other clients go on meanwhile.

Measured in `benchmarks/suspending.py` (two shared cores, CPython 3.11): a greenlet costs a turn
8 µs, a hop to a worker thread 40 µs (100 with one question asked), generators at every level three
times all evaluation. So greenlets, and the language stays plain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class _Pause:
    """What a fiber switches out with to let others go on."""


PAUSE = _Pause()


async def run_fiber(work: Callable[[], T], answer: Callable[[Any], Awaitable[Any]]) -> T:
    """Runs `work`; awaits `answer(request)` for every `ask(request)` made inside.

    Exceptions of `work` come out here; those of `answer` are raised inside, at the `ask`. When
    this coroutine is cancelled, `work` is unwound.
    """
    fiber = greenlet(work)
    try:
        request = fiber.switch()
        while not fiber.dead:
            if request is PAUSE:
                await asyncio.sleep(0)
                request = fiber.switch(None)
                continue
            try:
                reply = await answer(request)
            except Exception as error:
                request = fiber.throw(error)
            else:
                request = fiber.switch(reply)
        return request  # type: ignore[no-any-return]
    finally:
        if not fiber.dead:
            fiber.throw()


def ask(request: Any) -> Any:
    """Inside a fiber: waits for the driver's answer."""
    return getcurrent().parent.switch(request)


def pause() -> None:
    """Inside a fiber: lets others go on."""
    getcurrent().parent.switch(PAUSE)
