"""The one door: exactly once, in order, all or nothing. Spec: dialects.md §1, engine §3."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from palaver.csml.limits import Limits
from palaver.effects import HttpRequest
from palaver.engine.ask import Ask
from palaver.engine.engine import Engine, EngineSettings, Stopwatch
from palaver.errors import ConversationBusy, KeyReused, Unavailable
from palaver.model import Repeat, Turn
from palaver.storage.protocol import TurnWrite
from tests.unit.engine.making import ANN, BEN, House, encode, make_bot, runnable, settled, text

pytestmark = pytest.mark.anyio

COUNTER = "start: remember n = Or(n, 0) + 1 say n hold goto start"
CALLER = 'start: say "before" say HTTP("https://x/").get().send().data hold goto start'


def key(name: str = "k", fingerprint: str = "f", *, strict: bool = False) -> Repeat:
    return Repeat("scope", name, fingerprint, strict)


# --- repeats -----------------------------------------------------------------------------------


async def test_a_repeat_gets_the_stored_bytes_and_runs_nothing() -> None:
    house = House(COUNTER)
    first = await house.answer("hi", repeat=key())
    again = await house.answer("hi", repeat=key())
    assert again.body == first.body
    assert again.turn is None
    assert await house.memories() == {"n": 1}
    assert len(house.told) == 1


async def test_a_repeat_is_recognised_by_its_key() -> None:
    house = House(COUNTER)
    await house.answer("hi", repeat=key("k1"))
    await house.answer("hi", repeat=key("k2"))
    assert await house.memories() == {"n": 2}


async def test_a_strict_key_with_another_fingerprint_is_refused() -> None:
    house = House(COUNTER)
    await house.answer("hi", repeat=key(strict=True))
    with pytest.raises(KeyReused):
        await house.answer("ho", repeat=key(fingerprint="other", strict=True))
    assert await house.memories() == {"n": 1}


async def test_another_fingerprint_under_a_lenient_key_is_another_request() -> None:
    house = House(COUNTER)
    await house.answer("hi", repeat=key())
    await house.answer("ho", repeat=key(fingerprint="other"))
    assert await house.memories() == {"n": 2}


async def test_a_stored_answer_is_kept_for_a_day() -> None:
    house = House(COUNTER)
    await house.answer("hi", repeat=key())
    house.clock.pass_by(hours=23.9)
    assert (await house.answer("hi", repeat=key())).turn is None
    house.clock.pass_by(hours=0.2)
    assert (await house.answer("hi", repeat=key())).turn is not None


async def test_concurrent_duplicates_run_once() -> None:
    house = House(CALLER)
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    tasks = [asyncio.create_task(house.answer("hi", repeat=key())) for _ in range(5)]
    await settled()
    go.set()
    answers = await asyncio.gather(*tasks)
    assert len({answer.body for answer in answers}) == 1
    assert len(house.outside.calls) == 1
    assert sum(answer.turn is not None for answer in answers) == 1


async def test_a_repeat_of_a_request_that_failed_runs() -> None:
    house = House(COUNTER)

    async def broken() -> Ask:
        raise LookupError("no such bot")

    with pytest.raises(LookupError):
        await house.engine.handle(ANN, broken, encode, repeat=key())
    assert (await house.answer("hi", repeat=key())).turn is not None


async def test_a_repeat_whose_first_try_was_cancelled_runs() -> None:
    house = House(CALLER)
    never = asyncio.Event()
    house.outside.wait = never.wait  # type: ignore[assignment]
    task = asyncio.create_task(house.answer("hi", repeat=key()))
    await settled()
    second = asyncio.create_task(house.answer("hi", repeat=key()))
    await settled()
    house.outside.wait = None
    task.cancel()
    answer = await second
    assert answer.turn is not None
    assert task.cancelled()
    assert await house.messages() != []


# --- all or nothing ----------------------------------------------------------------------------


async def untouched(house: House) -> bool:
    return (
        await house.memories() == {}
        and await house.messages() == []
        and await house.conversations() == []
        and await house.hold() is None
        and house.told == []
    )


async def test_what_prepare_raises_leaves_everything_as_it_was() -> None:
    house = House(COUNTER)

    async def broken() -> Ask:
        raise LookupError

    with pytest.raises(LookupError):
        await house.engine.handle(ANN, broken, encode)
    assert await untouched(house)
    assert await house.said("hi") == ["1"]


async def test_what_encode_raises_leaves_everything_as_it_was() -> None:
    house = House(COUNTER)

    async def prepare() -> Ask:
        return house.ask("hi")

    def broken(turn: Turn) -> bytes:
        raise TypeError

    with pytest.raises(TypeError):
        await house.engine.handle(ANN, prepare, broken, repeat=key())
    assert await untouched(house)


async def test_a_failing_commit_raises_and_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    house = House(COUNTER)

    async def full(write: TurnWrite) -> None:
        raise Unavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(house.storage, "commit_turn", full)
        with pytest.raises(Unavailable):
            await house.answer("hi", repeat=key())
    assert await untouched(house)
    assert await house.said("hi", repeat=key()) == ["1"]


async def test_the_answer_is_encoded_before_anything_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    house = House(COUNTER)
    order: list[str] = []
    commit = house.storage.commit_turn

    async def noted(write: TurnWrite) -> None:
        order.append("commit")
        await commit(write)

    def encoded(turn: Turn) -> bytes:
        order.append("encode")
        return encode(turn)

    async def prepare() -> Ask:
        order.append("prepare")
        return house.ask("hi")

    monkeypatch.setattr(house.storage, "commit_turn", noted)
    await house.engine.handle(ANN, prepare, encoded, repeat=key())
    assert order == ["prepare", "encode", "commit"]


# --- in order ----------------------------------------------------------------------------------


async def test_a_clients_turns_follow_one_another() -> None:
    house = House(COUNTER)
    answers = await asyncio.gather(*(house.said(str(n)) for n in range(10)))
    assert answers == [[str(n + 1)] for n in range(10)]


async def test_another_client_does_not_wait() -> None:
    house = House(CALLER)
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    ann = asyncio.create_task(house.said("hi"))
    await settled()
    ben = asyncio.create_task(house.said("hi", BEN))
    await settled()
    assert len(house.outside.calls) == 2
    go.set()
    assert await ann == await ben == ["before", "answered"]


async def test_who_waits_too_long_is_told_that_the_conversation_is_busy() -> None:
    house = House(CALLER, settings=EngineSettings(turn_wait_s=0.01))
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    first = asyncio.create_task(house.said("hi"))
    await settled()
    with pytest.raises(ConversationBusy):
        await house.said("ho")
    go.set()
    assert await first == ["before", "answered"]


async def test_a_cancelled_turn_stores_nothing_and_frees_the_client() -> None:
    house = House(CALLER)
    never = asyncio.Event()
    house.outside.wait = never.wait  # type: ignore[assignment]
    task = asyncio.create_task(house.said("hi"))
    await settled()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await untouched(house)
    house.outside.wait = None
    assert await house.said("hi") == ["before", "answered"]


async def test_the_turn_may_be_taken_for_a_change_from_elsewhere() -> None:
    house = House(COUNTER)
    async with house.engine.exclusively(ANN):
        waiting = asyncio.create_task(house.said("hi"))
        await settled()
        assert not waiting.done()
        assert house.engine.waiting() == 1
        await house.storage.save_memory(ANN, "n", 41, now=house.clock.now(), expires_at=None)
    assert await waiting == ["42"]


# --- interruptions -----------------------------------------------------------------------------


async def test_an_event_that_interrupts_the_bot_is_dropped() -> None:
    house = House(runnable(make_bot(CALLER, no_interruption_delay=10)))
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    first = asyncio.create_task(house.turn("hi"))
    await settled()
    dropped = await house.turn("me too")
    assert dropped.is_dropped
    assert dropped.messages == ()
    go.set()
    assert not (await first).is_dropped
    assert "me too" not in str(await house.messages())


async def test_a_change_from_elsewhere_is_no_answer_that_could_be_interrupted() -> None:
    house = House(runnable(make_bot(COUNTER, no_interruption_delay=10)))
    async with house.engine.exclusively(ANN):
        waiting = asyncio.create_task(house.turn("hi"))
        await settled()
        assert not waiting.done()
    assert not (await waiting).is_dropped


async def test_without_the_delay_events_wait() -> None:
    house = House(CALLER)
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    tasks = [asyncio.create_task(house.turn(name)) for name in ("a", "b")]
    await settled()
    go.set()
    assert [turn.is_dropped for turn in await asyncio.gather(*tasks)] == [False, False]


async def test_a_repeat_of_the_running_request_is_no_interruption() -> None:
    house = House(runnable(make_bot(CALLER, no_interruption_delay=10)))
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    tasks = [asyncio.create_task(house.answer("hi", repeat=key())) for _ in range(2)]
    await settled()
    go.set()
    bodies = [answer.body for answer in await asyncio.gather(*tasks)]
    assert bodies[0] == bodies[1]
    assert "answered" in bodies[0].decode()


async def test_a_repeat_of_a_finished_request_is_no_interruption_either() -> None:
    house = House(runnable(make_bot(CALLER, no_interruption_delay=10)))
    finished = await house.answer("hi", repeat=key())
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    running = asyncio.create_task(house.turn("ho"))
    await settled()
    assert (await house.answer("hi", repeat=key())).body == finished.body
    assert (await house.turn("hi")).is_dropped
    go.set()
    assert not (await running).is_dropped


async def test_a_bot_that_answers_for_longer_than_the_delay_is_waited_for() -> None:
    house = House(runnable(make_bot(CALLER, no_interruption_delay=0.01)))
    go = asyncio.Event()
    house.outside.wait = go.wait  # type: ignore[assignment]
    first = asyncio.create_task(house.turn("hi"))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(house.turn("ho"))
    await settled()
    go.set()
    assert not (await first).is_dropped
    assert not (await second).is_dropped


# --- the outside and the clock -----------------------------------------------------------------


async def test_calls_go_out_and_answers_come_back() -> None:
    house = House(
        runnable(
            CALLER.replace('HTTP("https://x/").get().send().data', 'App("a", n = 1)'),
            apps="https://apps/",
        )
    )
    assert await house.said("hi") == ["before", "answered"]
    ((endpoint, call, client),) = house.outside.calls
    assert client == ANN
    assert endpoint == "https://apps/"
    assert call.data == {"n": 1}
    house = House(CALLER)
    await house.said("hi")
    assert isinstance(house.outside.calls[0], HttpRequest)


async def test_a_mail_is_delivered() -> None:
    house = House(
        'start: say SMTP("mail.x").auth("u", "p").send({"from": "a@x.org", "to": "b@x.org", "subject": "s", '
        '"text": "t"})'
    )
    await house.said("hi")
    assert house.outside.calls[0].recipients == ("b@x.org",)


@asynccontextmanager
async def ticking() -> AsyncIterator[list[int]]:
    """Another task, which counts how often it may go on."""
    ticks: list[int] = []

    async def tick() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0)

    ticker = asyncio.create_task(tick())
    yield ticks
    ticker.cancel()


async def test_others_go_on_while_a_turn_computes() -> None:
    house = House("start: do i = 0 while (i < 60000) { do i += 1 } say i")
    async with ticking() as ticks:
        assert await house.said("hi") == ["60000"]
    assert len(ticks) > 3


@pytest.mark.parametrize("part", ["content", "metadata"])
async def test_others_go_on_while_a_large_request_is_read(part: str) -> None:
    house = House("start: say Or(event.list, _metadata.list).length()")
    large = {"text": "hi", "list": [[n] for n in range(100_000)]}
    event = text("hi")._replace(content=large) if part == "content" else text("hi")
    metadata = large if part == "metadata" else {}
    async with ticking() as ticks:
        assert await house.said(event, metadata=metadata, low_data=True) == ["100000"]
    assert len(ticks) > 5


async def test_a_turn_that_computes_too_long_ends_by_its_limit() -> None:
    settings = EngineSettings(turn_compute_s=0.02)
    house = House(
        runnable("start:\n  while (true) { }", limits=Limits(instructions=10**9)), settings=settings
    )
    (error,) = await house.said("hi")
    assert error == "! the turn computes longer than turn_compute_s (0.02 s)"
    assert await house.conversations() == [("main", "start", "CLOSED")]


class Seconds:
    """The engine's `time`: it passes when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_s = 0.0
        monkeypatch.setattr("palaver.engine.engine.time", self)

    def monotonic(self) -> float:
        return self.passed_s

    async def pass_s(self, seconds: float) -> None:
        self.passed_s += seconds


async def test_a_turn_that_waits_too_long_ends_by_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = Seconds(monkeypatch)
    house = House('start: do HTTP("https://x/").get().send() do HTTP("https://x/").get().send()')
    house.outside.wait = lambda: seconds.pass_s(60)
    (error,) = await house.said("hi")
    assert error == "! the turn takes longer than turn_total_s (60 s)"
    assert len(house.outside.calls) == 1


async def test_waiting_is_not_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = Seconds(monkeypatch)
    busy = CALLER.replace("hold", "do i = 0 while (i < 60000) { do i += 1 } hold")
    house = House(busy, settings=EngineSettings(turn_compute_s=5))
    house.outside.wait = lambda: seconds.pass_s(6)
    assert await house.said("hi") == ["before", "answered"]


def test_what_is_left_for_a_call_is_never_negative() -> None:
    assert Stopwatch(1, 0).remaining_s() == 0


# --- what is stored with the turn --------------------------------------------------------------


async def test_messages_live_as_long_as_the_settings_or_the_request_say() -> None:
    house = House(COUNTER, settings=EngineSettings(ttl_days=2))
    await house.said("hi")
    house.clock.pass_by(days=1.9)
    assert await house.memories() == {"n": 1}
    house.clock.pass_by(days=0.2)
    assert await house.memories() == {}
    assert await house.messages() == []
    assert await house.said("hi", ttl_days=10) == ["1"]
    house.clock.pass_by(days=9)
    assert await house.memories() == {"n": 1}


async def test_a_ttl_of_no_days_expires_at_once() -> None:
    house = House(COUNTER)
    assert await house.said("hi", ttl_days=0) == ["1"]
    house.clock.pass_by(seconds=1)
    assert await house.memories() == {}
    assert await house.said("hi") == ["1"]


async def test_more_days_than_dates_can_tell_are_very_many() -> None:
    house = House(COUNTER, settings=EngineSettings(ttl_days=3_650_000))
    assert [await house.said("hi"), await house.said("hi")] == [["1"], ["2"]]


async def test_low_data_keeps_no_messages_but_the_conversation() -> None:
    house = House(COUNTER)
    await house.said("hi", low_data=True)
    assert await house.messages() == []
    assert await house.memories() == {"n": 1}
    assert await house.conversations() == [("main", "start", "OPEN")]
    house = House(COUNTER, settings=EngineSettings(low_data=True))
    await house.said("hi")
    assert await house.messages() == []
    await house.said("hi", low_data=False)
    assert len(await house.messages()) == 2


async def test_who_is_told_of_turns_is_told_after_they_are_stored() -> None:
    house = House(COUNTER)
    seen: list[Any] = []

    def after(ask: Ask, result: Any) -> None:
        seen.append(msgspec.json.decode(encode(result.turn))["said"])

    house.engine = Engine(
        house.storage, house.outside, house.clock, EngineSettings(),  # type: ignore[arg-type]
        load_other=house._other, after=after,
    )  # fmt: skip
    await house.said("hi")
    await house.said("ho")
    assert seen == [["1"], ["2"]]
