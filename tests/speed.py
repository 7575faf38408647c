"""Limits of time that hold on a machine of any speed, however busy it is.

What is measured is the processor's time, which does not pass while others compute, in proportion
to what a loop takes on the same machine at the same moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LOOPS, LOOPS_S = 400_000, 0.011
"""What the loop takes on the machine whose seconds limits are written in."""


def slowness() -> float:
    """How many times slower than that machine this one is; never less than 1."""
    return max(1.0, _cpu_s(_loop) / LOOPS_S)


@contextmanager
def takes_at_most(limit_s: float) -> Iterator[None]:
    """Fails when the block takes longer."""
    before = slowness()
    began = time.process_time()
    yield
    took = time.process_time() - began
    allowed = limit_s * max(before, slowness())
    assert took < allowed, f"took {took:.2f} s, and may take {allowed:.2f} s on this machine"


def is_ever_quicker(work: Callable[[], object], limit_s: float, *, tries: int = 20) -> bool:
    """Whether some run takes less: the quickest tells most about the code."""
    return any(_cpu_s(work) < limit_s * slowness() for _ in range(tries))


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _loop() -> None:
    total = 0
    for number in range(LOOPS):
        total ^= number
