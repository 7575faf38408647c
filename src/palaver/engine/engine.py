"""The one door: an event in, an answer stored and out, exactly once.

A client's turns are taken one after another; different clients never wait for each other. The
answer is encoded before anything is stored, so that turn and answer are one transaction, and
nothing leaves the process before it is on disk.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from palaver.csml.failures import BudgetExceeded
from palaver.effects import AppCall, Effect, HostAnswer, HostCall, HttpRequest
from palaver.engine import fiber
from palaver.engine.ask import Answer, Ask, Encode, Prepare
from palaver.engine.bots import RunnableBot
from palaver.engine.host import TurnHost
from palaver.engine.locks import Turnstile
from palaver.engine.outbound import Outbound
from palaver.engine.scenario import TurnInput
from palaver.engine.turn import LoadBuild, LoadOther, Result, World, dropped_turn, make_turn
from palaver.errors import ConversationBusy, KeyReused
from palaver.model import Client, NewJob, Repeat
from palaver.storage.protocol import (
    ClientState,
    Leased,
    OpenTurn,
    Storage,
    StoredAnswer,
    TurnWrite,
)
from palaver.types import Clock, expiry

PAUSE_S = 0.005
"""How long a turn computes before it lets others go on."""

LEASED_PAUSE_S, LEASED_PAUSE_MAX_S = 0.005, 0.05
"""Between two looks at a client whose turn another process holds."""


_CHANGE: Final = object()
"""Who holds a client's turn for a change from elsewhere: no bot is answering meanwhile."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What bounds a turn (product.md §7) and what applies when a request does not say."""

    turn_wait_s: float = 65
    turn_compute_s: float = 30
    turn_total_s: float = 60
    max_memory_bytes: int = 1024 * 1024
    ttl_days: int | None = None
    low_data: bool = False


async def _no_build(bot_id: str, version_id: str) -> RunnableBot | None:
    """Where no builds are stored, none is found."""
    return None


class Engine:
    """Takes turns.

    Args:
        load_other: finds a bot to switch to; raises BotNotFound.
        load_build: finds a stored build; None when it is gone.
        chance: where random choices come from.
        after: told of every stored turn, in order for each client (callbacks).
        jobs_of: what is to be enqueued with a turn, in its transaction.
    """

    def __init__(
        self,
        storage: Storage,
        outbound: Outbound,
        clock: Clock,
        settings: EngineSettings,
        *,
        load_other: LoadOther,
        load_build: LoadBuild | None = None,
        chance: random.Random | None = None,
        after: Callable[[Ask, Result], None] | None = None,
        jobs_of: Callable[[Ask, Result], tuple[NewJob, ...]] | None = None,
    ) -> None:
        self._storage = storage
        self._outbound = outbound
        self._clock = clock
        self._settings = settings
        self._load_other = load_other
        self._load_build = load_build or _no_build
        self._chance = chance or random.SystemRandom()
        self._after = after
        self._jobs_of = jobs_of
        self._turns = Turnstile(settings.turn_wait_s)

    async def handle(
        self, client: Client, prepare: Prepare, encode: Encode, *, repeat: Repeat | None = None
    ) -> Answer:
        """Waits for the client's turn, runs it, stores it with its answer, returns the answer.

        A repeat of a finished request gets the stored bytes and runs nothing; one of a running
        request waits for it. What `prepare` or `encode` raises leaves everything as it was.

        Raises:
            KeyReused: a strict repeat key came with another fingerprint.
            ConversationBusy: another turn of the client took longer than `turn_wait_s`.
            StorageError: nothing is stored.
        """
        identity = (repeat.scope, repeat.key) if repeat is not None else None
        if self._turns.current(client) is not None:
            dropped = await self._drop(client, prepare, encode, repeat, identity)
            if dropped is not None:
                return dropped
            self._storage.somebody_waits(client)
        if repeat is None:
            async with self._turns.turn(client):
                return await self._hold(client, prepare, encode, None, None)
        async with self._turns.turn(identity), self._turns.turn(client, identity):
            return await self._hold(client, prepare, encode, repeat, identity)

    def waiting(self) -> int:
        """How many requests wait for another turn of their client."""
        return self._turns.waiting()

    @asynccontextmanager
    async def exclusively(self, client: Client) -> AsyncIterator[None]:
        """The client's turn, for a change from elsewhere: it interrupts none and is not lost."""
        async with self._turns.turn(client, _CHANGE):
            opened = await self._begin(client, None)
            if isinstance(opened, Leased):
                opened = await self._outwait(client, None)
            try:
                await opened.lease()  # the change itself is made by other calls of the storage
                yield
            finally:
                await opened.abandon()

    # --- repeats and interruptions ---------------------------------------------------------

    def _stored_answer(self, stored: StoredAnswer, repeat: Repeat) -> Answer | None:
        if stored.fingerprint == repeat.fingerprint:
            return Answer(stored.body, None)
        if repeat.strict:
            raise KeyReused("this Idempotency-Key was used with another request; choose a new one")
        return None

    async def _drop(
        self,
        client: Client,
        prepare: Prepare,
        encode: Encode,
        repeat: Repeat | None,
        identity: tuple[str, str] | None,
    ) -> Answer | None:
        """The empty answer of an event that interrupts the bot (engine §3.7), else None."""
        running = self._turns.current(client)
        if running is None or running.identity is _CHANGE:
            return None
        if identity is not None and running.identity == identity:
            return None
        return await self._interrupt(time.monotonic() - running.since, prepare, encode, repeat)

    async def _interrupt(
        self, age_s: float, prepare: Prepare, encode: Encode, repeat: Repeat | None
    ) -> Answer | None:
        ask = await prepare()
        delay = ask.bot.bot.no_interruption_delay
        if not delay or age_s > delay:
            return None
        if repeat is not None:  # of a finished request: it interrupts nothing
            stored = await self._storage.find_answer(repeat.scope, repeat.key, self._clock.now())
            answer = None if stored is None else self._stored_answer(stored, repeat)
            if answer is not None:
                return answer
        turn = dropped_turn(ask)
        return Answer(encode(turn), turn)

    # --- holding the turn between processes --------------------------------------------------

    async def _hold(
        self,
        client: Client,
        prepare: Prepare,
        encode: Encode,
        repeat: Repeat | None,
        identity: tuple[str, str] | None,
    ) -> Answer:
        opened = await self._begin(client, identity)
        if isinstance(opened, Leased):
            if not opened.is_same:
                dropped = await self._interrupt(opened.age_s, prepare, encode, repeat)
                if dropped is not None:
                    return dropped
            opened = await self._outwait(client, identity)
        try:
            if opened.answer is not None and repeat is not None:
                stored = self._stored_answer(opened.answer, repeat)
                if stored is not None:
                    return stored
            return await self._take(opened, prepare, encode, repeat)
        finally:
            await opened.abandon()

    async def _begin(
        self, client: Client, identity: tuple[str, str] | None, *, waits: bool = False
    ) -> OpenTurn | Leased:
        return await self._storage.begin_turn(
            client,
            self._clock.now(),
            repeat=identity,
            waits=waits,
            behind=partial(self._turns.behind, client),
        )

    async def _outwait(self, client: Client, identity: tuple[str, str] | None) -> OpenTurn:
        """Asks again and again until the other process's turn is over. Raises: ConversationBusy."""
        wait_s = self._settings.turn_wait_s
        until = time.monotonic() + wait_s
        pause_s = LEASED_PAUSE_S
        while time.monotonic() < until:
            opened = await self._begin(client, identity, waits=True)
            if not isinstance(opened, Leased):
                return opened
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LEASED_PAUSE_MAX_S)
        raise ConversationBusy(
            f"a turn of this client in another process took longer than turn_wait_s ({wait_s:g} s)"
        )

    # --- taking a turn ---------------------------------------------------------------------

    async def _take(
        self, opened: OpenTurn, prepare: Prepare, encode: Encode, repeat: Repeat | None
    ) -> Answer:
        ask = await prepare()
        settings = self._settings
        now = self._clock.now()

        async def load_state(client: Client) -> ClientState:
            return await opened.load(client, now)

        world = World(
            run=partial(self._run, opened),
            load_state=load_state,
            load_other=self._load_other,
            load_build=self._load_build,
            pick=self._chance.randrange,
            now=now,
            max_memory_bytes=settings.max_memory_bytes,
        )
        result = await make_turn(ask, world)
        body = encode(result.turn)
        await opened.commit(self._write(ask, result, body, repeat, now))
        if self._after is not None:
            self._after(ask, result)
        return Answer(body, result.turn)

    def _write(
        self, ask: Ask, result: Result, body: bytes, repeat: Repeat | None, now: datetime
    ) -> TurnWrite:
        settings = self._settings
        days = ask.ttl_days if ask.ttl_days is not None else settings.ttl_days
        expires_at = expiry(now, days)
        low_data = ask.low_data if ask.low_data is not None else settings.low_data
        answer = None
        if repeat is not None:
            answer = StoredAnswer(repeat.scope, repeat.key, repeat.fingerprint, body, now)
        return TurnWrite(
            clients=tuple(
                span.write(expires_at=expires_at, low_data=low_data) for span in result.spans
            ),
            answer=answer,
            persons=ask.persons,
            sessions=ask.sessions,
            jobs=() if self._jobs_of is None else self._jobs_of(ask, result),
        )

    # --- running a scenario ----------------------------------------------------------------

    async def _run(
        self, opened: OpenTurn, bot: RunnableBot, turn: TurnInput, client: Client
    ) -> list[Effect]:
        """Runs a scenario in a fiber: it may wait for the outside and pauses when it computes."""
        stopwatch = Stopwatch(self._settings.turn_compute_s, self._settings.turn_total_s)
        host = TurnHost(self._clock, stopwatch.ask, chance=self._chance)

        async def answer(call: HostCall) -> HostAnswer:
            await opened.lease()
            return await self._call(bot, call, client, stopwatch.remaining_s())

        return await fiber.run_fiber(
            lambda: bot.scenario.run(turn, host, stopwatch.on_slice), answer
        )

    async def _call(
        self, bot: RunnableBot, call: HostCall, client: Client, remaining_s: float
    ) -> HostAnswer:
        if isinstance(call, HttpRequest):
            return await self._outbound.send(call, remaining_s)
        if isinstance(call, AppCall):
            return await self._outbound.app(bot.apps_endpoint, call, client, remaining_s)
        return await self._outbound.mail(call, remaining_s)


class Stopwatch:
    """Watches one run: how long it computes, how long it takes in all, when to pause."""

    def __init__(self, compute_s: float, total_s: float) -> None:
        self._compute_s = compute_s
        self._total_s = total_s
        self._began = self._resumed = time.monotonic()
        self._computed = 0.0

    def remaining_s(self) -> float:
        """What is left for a call."""
        return max(0.0, self._total_s - (time.monotonic() - self._began))

    def on_slice(self) -> None:
        """Called by running code every few milliseconds. Raises: BudgetExceeded."""
        now = time.monotonic()
        ran = now - self._resumed
        if self._computed + ran > self._compute_s:
            raise BudgetExceeded(
                f"the turn computes longer than turn_compute_s ({self._compute_s:g} s)",
                "turn_compute_s",
            )
        if ran >= PAUSE_S:
            self._computed += ran
            fiber.pause()
            self._resumed = time.monotonic()

    def ask(self, call: HostCall) -> HostAnswer:
        """Called by running code: waits for the outside. Raises: BudgetExceeded."""
        if self.remaining_s() <= 0:
            raise BudgetExceeded(
                f"the turn takes longer than turn_total_s ({self._total_s:g} s)", "turn_total_s"
            )
        self._computed += time.monotonic() - self._resumed
        answer: HostAnswer = fiber.ask(call)
        self._resumed = time.monotonic()
        return answer
