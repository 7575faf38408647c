"""Small things to store, with every field that a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import structs

from palaver.model import (
    Bot,
    BotVersion,
    Client,
    Conversation,
    Direction,
    Flow,
    Message,
    Module,
    OtherBot,
    Person,
    Session,
    Status,
)
from palaver.storage.protocol import ClientWrite, Storage, StoredAnswer, TurnWrite

ANNA = Client("pizza", "web", "anna")
BERT = Client("pizza", "web", "bert")
NOW = datetime(2024, 5, 1, 9, 30, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


def conversation(id: str = "c1", **changes: Any) -> Conversation:
    made = Conversation(id, "order", "start", Status.OPEN, NOW, NOW, NOW)
    return structs.replace(made, **changes)


def closed(id: str = "c1", **changes: Any) -> Conversation:
    return conversation(id, status=Status.CLOSED, **changes)


def message(text: str, **changes: Any) -> Message:
    payload = {"content_type": "text", "content": {"text": text}}
    made = Message("c1", "order", "start", Direction.SEND, payload, 1, 0, NOW)  # type: ignore[arg-type]
    return structs.replace(made, **changes)


def said(*texts: str, at: datetime = NOW) -> tuple[Message, ...]:
    """One message received, then those sent."""
    return tuple(
        message(
            text,
            direction=Direction.SEND if order else Direction.RECEIVE,
            message_order=order,
            created_at=at,
        )
        for order, text in enumerate(texts)
    )


def texts(messages: tuple[Message, ...]) -> list[Any]:
    return [m.payload["content"]["text"] for m in messages]  # type: ignore[index,call-overload]


def version(id: str, bot_id: str = "pizza", **changes: Any) -> BotVersion:
    made = Bot(
        bot_id,
        "Pizza",
        (Flow("f1", "order", "start:\n  say 'hi'\n", ("order", "/pizza/")),),
        "order",
        modules=(Module("m", url="http://modules.test/m"),),
        multibot=(OtherBot("other", "Other"),),
        custom_components={"Menu": {"params": [{"items": {"type": "Array"}}]}},
        no_interruption_delay=3,
        env={"token": "secret", "rates": [1, 2.5, None]},
    )
    return BotVersion(id, replace(made, **changes), "1.11.2", NOW)


def person(id: str = "a" * 24, user_id: str = "anna", **changes: Any) -> Person:
    made = Person(id, "pizza", "chatbot", user_id, {"name": "Anna"}, NOW)
    return replace(made, **changes)


def session(id: str, name: str = "s", **changes: Any) -> Session:
    made = Session(id, "pizza", name, "a" * 24, NOW, NOW)
    return replace(made, **changes)


def answer(key: str, body: bytes = b"{}", **changes: Any) -> StoredAnswer:
    return structs.replace(StoredAnswer("client anna", key, "print", body, NOW), **changes)


async def write(storage: Storage, client: Client = ANNA, /, **changes: Any) -> None:
    """Commits a turn of one client; `answer`, `persons`, `sessions` go to the turn."""
    outer = {k: changes.pop(k) for k in ("answer", "persons", "sessions") if k in changes}
    part = ClientWrite(client, changes.pop("at", NOW), **changes)
    await storage.commit_turn(TurnWrite((part,), **outer))


async def remember(storage: Storage, memories: Mapping[str, str], **changes: Any) -> None:
    await write(storage, remembered=memories, **changes)
