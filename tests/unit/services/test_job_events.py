"""Events by jobs, and notifications as jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from palaver.engine.ask import Answer, Ask
from palaver.engine.turn import Result
from palaver.jobs.protocol import JobAborted
from palaver.model import Chosen, Client, Direction, Event, Job, JobStatus, Message, Repeat, Turn
from palaver.services.callbacks import Callbacks, jobs_of, notifications
from palaver.services.events import Events, event_job

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ANN = Client("bot", "web", "ann")
HELLO = Event("text", {"text": "hello"}, "hello")


class FakeChat:
    def __init__(self) -> None:
        self.repeats: list[Repeat] = []
        self.asks: list[Ask] = []

    async def answer(
        self, client: Client, prepare: Any, encode: Any, *, repeat: Repeat | None = None
    ) -> Answer:
        assert repeat is not None
        self.repeats.append(repeat)
        self.asks.append(await prepare())
        return Answer(b"{}", None)


def events(chat: FakeChat, *served: str) -> Events:
    studio = SimpleNamespace(webhook="http://hook/", end_notice=False, webhook_retries=2)
    bot = SimpleNamespace(runnable=object(), uuid="uuid", settings=SimpleNamespace(studio=studio))
    bots = SimpleNamespace(find=lambda bot_id: bot if bot_id in served else None)
    clock = SimpleNamespace(now=lambda: NOW)
    return Events(bots, chat, clock)  # type: ignore[arg-type]


def stored(number: int, arguments: Any) -> Job:
    return Job(number, "event", arguments, JobStatus.RUNNING, 0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_job_run_twice_repeats_one_request() -> None:
    chat = FakeChat()
    job = event_job(ANN, HELLO, {"from": "schedule"})
    assert job.client == ANN
    run = events(chat, "bot").run
    for number in (7, 7, 8):
        await run(stored(number, job.arguments))
    first, again, other = chat.repeats
    assert first == again != other
    assert first.scope == 'client:["bot","web","ann"]'
    ask = chat.asks[0]
    assert (ask.event, ask.metadata, ask.client) == (HELLO, {"from": "schedule"}, ANN)
    assert (ask.webhook_url, ask.notice_retries) == ("http://hook/", 2)


@pytest.mark.anyio
@pytest.mark.parametrize("arguments", [{}, {"client": "ann"}, event_job(ANN, HELLO).arguments])
async def test_an_event_that_cannot_be_given_is_given_up(arguments: Any) -> None:
    with pytest.raises(JobAborted):
        await events(FakeChat()).run(stored(1, arguments))


def a_turn(*texts: str) -> Turn:
    messages = tuple(
        Message(
            "c", "f", "s", Direction.SEND, {"content_type": "text", "content": {"text": text}},
            0, order, NOW,
        )
        for order, text in enumerate(texts)
    )  # fmt: skip
    return Turn(
        request_id="r", client=ANN, received_at=NOW, conversation_id="c", messages=messages,
        conversation_end=True, interaction_order=0, chosen=Chosen.COMMAND, flow="f", flow_id="f",
        step="s", is_held=False, memories={},
    )  # fmt: skip


def a_result(*texts: str) -> Result:
    turn = a_turn(*texts)
    span = SimpleNamespace(client=ANN, sent=turn.messages)
    return Result(turn, (span,))  # type: ignore[arg-type]


def an_ask(retries: int) -> Ask:
    return Ask(
        bot=None,  # type: ignore[arg-type]
        client=ANN,
        event=HELLO,
        request_id="r",
        received_at=NOW,
        callback_url="http://back/",
        webhook_url="http://hook/",
        end_notice=False,
        notice_retries=retries,
    )


def test_with_retries_each_notification_is_a_job_of_the_client() -> None:
    ask, result = an_ask(3), a_result("a", "é")
    jobs = jobs_of(ask, result)
    back = [body.decode() for body in notifications(ask, result, end=True)]
    hook = [body.decode() for body in notifications(ask, result, end=False)]
    assert [job.arguments for job in jobs] == [
        *({"url": "http://back/", "body": body} for body in back),
        *({"url": "http://hook/", "body": body} for body in hook),
    ]
    assert len(back) == 3
    assert len(hook) == 2
    assert {(job.task, job.client, job.max_attempts) for job in jobs} == {("notify", ANN, 4)}
    Callbacks(None).after_turn(ask, result)  # type: ignore[arg-type] # posts nothing


def test_without_retries_there_are_no_jobs() -> None:
    assert jobs_of(an_ask(0), a_result("a")) == ()
