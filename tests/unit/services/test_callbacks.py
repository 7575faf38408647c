"""Notifications: a body a message, in order, after the turn. Spec: engine §11, studio §8."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import msgspec
import pytest

from palaver.effects import CallFailed, HttpAnswer
from palaver.engine.engine import Engine, EngineSettings
from palaver.engine.turn import Result
from palaver.services.callbacks import Callbacks, jobs_of, notifications
from tests.unit.engine.making import ANN, BEN, House, make_bot, runnable, settled

pytestmark = pytest.mark.anyio

URL = "https://x/callback"
HOOK = "https://x/hook"


class Receiver:
    """Takes notifications, or holds them up."""

    def __init__(self) -> None:
        self.got: list[tuple[str, Any]] = []
        self.answer: Any = HttpAnswer(200, {}, "")
        self.go = asyncio.Event()
        self.go.set()

    async def post_json(self, url: str, body: bytes, timeout_s: float) -> Any:
        await self.go.wait()
        self.got.append((url, msgspec.json.decode(body)))
        await asyncio.sleep(0)
        return self.answer

    def texts(self, url: str = URL) -> list[Any]:
        """What came to an address: texts, or `end` for a body without messages."""
        return [
            (body["messages"][0]["payload"]["content"].get("text") if body["messages"] else "end")
            for to, body in self.got
            if to == url
        ]


class Notified(House):
    """A house whose turns are told to a receiver."""

    def __init__(self, bot: Any) -> None:
        super().__init__(bot)
        self.receiver = Receiver()
        self.callbacks = Callbacks(self.receiver)  # type: ignore[arg-type]
        self.engine = Engine(
            self.storage, self.outside, self.clock, EngineSettings(),  # type: ignore[arg-type]
            load_other=self._other, after=self._after,
        )  # fmt: skip

    def _after(self, ask: Any, result: Result) -> None:
        self.told.append(result)
        self.callbacks.after_turn(ask, result)


async def test_every_message_is_posted_on_its_own_in_order() -> None:
    house = Notified("start: say 1 say 2 say 3 hold")
    await house.said("hi", callback_url=URL)
    await house.callbacks.finish(60)
    assert house.receiver.texts() == ["1", "2", "3"]
    assert [body["conversation_end"] for _, body in house.receiver.got] == [False] * 3


async def test_a_notification_is_the_envelope_of_an_answer() -> None:
    house = Notified("start: say 1 hold")
    turn = await house.turn("hi", callback_url=URL)
    await house.callbacks.finish(60)
    ((_, body),) = house.receiver.got
    assert body == {
        "messages": [
            {
                "payload": {"content_type": "text", "content": {"text": "1"}},
                "interaction_order": 0,
                "conversation_id": turn.conversation_id,
                "direction": "SEND",
            }
        ],
        "conversation_end": False,
        "request_id": turn.request_id,
        "received_at": "2026-01-05T09:30:00.000Z",
        "client": ANN._asdict(),
    }


async def test_an_end_is_told_by_a_last_body_without_messages() -> None:
    house = Notified("start: say 1")
    await house.said("hi", callback_url=URL)
    await house.callbacks.finish(60)
    assert house.receiver.texts() == ["1", "end"]
    assert [body["conversation_end"] for _, body in house.receiver.got] == [False, True]


async def test_an_error_tells_the_end_itself() -> None:
    house = Notified("start: say 1 say 1 / 0")
    await house.said("hi", callback_url=URL)
    await house.callbacks.finish(60)
    assert len(house.receiver.got) == 2
    assert house.receiver.got[1][1]["conversation_end"] is True


async def test_a_webhook_need_not_be_told_of_the_end() -> None:
    house = Notified("start: say 1")
    await house.said("hi", callback_url=URL, webhook_url=HOOK, end_notice=False)
    await house.callbacks.finish(60)
    assert house.receiver.texts() == ["1", "end"]
    assert house.receiver.texts(HOOK) == ["1"]


async def test_a_switch_of_bots_is_the_end_for_the_first_one() -> None:
    house = Notified(runnable(make_bot("start: say 1 goto @ in other"), others=("other",)))
    house.others["other"] = runnable(make_bot("start: say 2 hold", id="other"))
    ask = house.ask("hi", shown_bot_id="shown")
    await house.said("hi")
    (result,) = house.told
    bodies = [msgspec.json.decode(body) for body in notifications(ask, result, end=True)]
    assert [body["conversation_end"] for body in bodies] == [False, True, False]
    assert [body["client"]["bot_id"] for body in bodies] == ["shown", "shown", "other"]
    first, _, last = (body["messages"][0]["conversation_id"] for body in bodies)
    assert first != last == result.turn.conversation_id


async def test_an_error_that_is_not_fatal_does_not_tell_the_end() -> None:
    house = Notified("start: say 1 do x = unknown")
    await house.said("hi", callback_url=URL)
    await house.callbacks.finish(60)
    ends = [body["conversation_end"] for _, body in house.receiver.got]
    assert ends == [False] * (len(ends) - 1) + [True]
    assert house.receiver.texts()[-1] == "end"


async def test_the_bot_may_be_shown_by_another_id() -> None:
    house = Notified("start: say 1 hold")
    await house.said("hi", callback_url=URL, shown_bot_id="0b50ddf9")
    await house.callbacks.finish(60)
    assert house.receiver.got[0][1]["client"]["bot_id"] == "0b50ddf9"


async def test_nothing_is_told_without_an_address_or_a_message() -> None:
    house = Notified("start: hold")
    await house.said("hi", callback_url=URL)
    await house.said("hi")
    await house.callbacks.finish(60)
    assert house.receiver.got == []


async def test_the_answer_does_not_wait_for_the_receiver() -> None:
    house = Notified("start: say 1 hold goto start")
    house.receiver.go.clear()
    assert await house.said("hi", callback_url=URL) == ["1"]
    assert house.receiver.got == []
    house.receiver.go.set()
    await house.callbacks.finish(60)
    assert house.receiver.texts() == ["1"]


async def test_a_clients_later_turns_stay_behind_the_earlier_ones() -> None:
    house = Notified("start: say event hold goto start")
    house.receiver.go.clear()
    for said in ("a", "b", "c"):
        await house.said(said, callback_url=URL)
    house.receiver.go.set()
    await house.callbacks.finish(60)
    assert house.receiver.texts() == ["a", "b", "c"]


async def test_clients_do_not_hold_up_each_other() -> None:
    house = Notified("start: say event hold goto start")
    await asyncio.gather(house.said("a", callback_url=URL), house.said("b", BEN, callback_url=URL))
    await settled()
    assert sorted(house.receiver.texts()) == ["a", "b"]


async def test_settling_waits_for_ones_own_but_not_for_ever() -> None:
    house = Notified("start: say 1 hold goto start")
    await house.callbacks.settle(ANN)
    house.receiver.go.clear()
    await house.said("hi", callback_url=URL)
    await house.callbacks.settle(BEN, timeout_s=60)
    await house.callbacks.settle(ANN, timeout_s=0.01)
    assert house.receiver.got == []
    house.receiver.go.set()
    await house.callbacks.settle(ANN, timeout_s=60)
    assert house.receiver.texts() == ["1"]


async def test_finishing_does_not_wait_for_ever() -> None:
    house = Notified("start: say 1 hold")
    house.receiver.go.clear()
    await house.said("hi", callback_url=URL)
    await house.callbacks.finish(0.01)
    assert house.receiver.got == []
    house.receiver.go.set()
    await house.callbacks.finish(60)


@pytest.mark.parametrize("answer", [CallFailed("nobody there"), HttpAnswer(500, {}, "")])
async def test_a_receiver_that_fails_is_noted_and_the_rest_is_sent(
    answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    house = Notified("start: say 1 say 2 hold")
    house.receiver.answer = answer
    with caplog.at_level(logging.WARNING, "palaver.services.callbacks"):
        await house.said("hi", callback_url=URL)
        await house.callbacks.finish(60)
    assert house.receiver.texts() == ["1", "2"]
    assert len(caplog.records) == 2


async def test_where_retries_are_on_each_notification_is_a_job() -> None:
    house = Notified("start: say 1")
    ask = house.ask("hi", callback_url=URL, webhook_url=HOOK, notice_retries=2)
    await house.turn("hi", callback_url=URL, notice_retries=2)
    (result,) = house.told
    await house.callbacks.finish(60)
    assert house.receiver.got == []

    made = jobs_of(ask, result)
    assert [job.arguments["url"] for job in made] == [URL, URL, HOOK, HOOK]
    assert {job.max_attempts for job in made} == {3}
    assert jobs_of(house.ask("hi", callback_url=URL), result) == ()
