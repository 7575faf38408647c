"""The world for a running turn: time, chance, and questions to the outside.

Running code is synchronous. Its questions are handed to `ask`, which stops the code and lets the
engine answer them (through `outbound.py`); this module knows nothing of how that is done.
"""

from __future__ import annotations

import mmap
import random
import uuid
from collections.abc import Callable
from typing import Final

from palaver.effects import HostAnswer, HostCall
from palaver.types import Clock

TICKS_A_MS: Final = 10_000
"""UUIDs of version 1 count tenths of a microsecond …"""

EPOCH_TICKS: Final = 0x01B2_1DD2_1381_4000
"""… from 1582 to 1970."""

_MULTICAST: Final = 1 << 40
"""The bit of a node that says it is random and no network card's. Spec: RFC 9562 §6.10."""

_SYSTEM: Final = random.SystemRandom()


class TurnHost:
    """Implements `effects.Host` for one turn.

    Args:
        ask: puts a question to the outside and gives the answer, in whatever time it takes.
        chance: where numbers come from; the system's generator by default, a seeded one in tests.
    """

    def __init__(
        self,
        clock: Clock,
        ask: Callable[[HostCall], HostAnswer],
        *,
        chance: random.Random | None = None,
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._chance = chance or _SYSTEM
        self._ticks = 0

    def now_ms(self) -> int:
        moment = self._clock.now()
        return int(moment.timestamp()) * 1000 + moment.microsecond // 1000

    def random(self) -> float:
        return self._chance.random()

    def below(self, limit: int) -> int:
        return self._chance.randrange(limit)

    def uuid(self, version: int) -> str:
        bits = self._chance.getrandbits
        if version == 4:
            return str(uuid.UUID(int=bits(128), version=4))
        # The clock may stand still; the count keeps the ids of a turn apart.
        self._ticks += 1
        ticks = EPOCH_TICKS + self.now_ms() * TICKS_A_MS + self._ticks % TICKS_A_MS
        fields = (
            ticks & 0xFFFF_FFFF,
            ticks >> 32 & 0xFFFF,
            ticks >> 48 & 0x0FFF,
            bits(6),
            bits(8),
            bits(48) | _MULTICAST,
        )
        return str(uuid.UUID(fields=fields, version=1))

    def memory_bytes(self) -> int:
        try:
            with open("/proc/self/statm", "rb") as file:
                return int(file.read().split()[1]) * mmap.PAGESIZE
        except OSError:  # not Linux
            return 0

    def call(self, request: HostCall) -> HostAnswer:
        return self._ask(request)
