"""What is known about a person: all of it in one document, and nothing of it after erasure."""

from __future__ import annotations

import pytest

from palaver.errors import NotFound
from palaver.model import Client, NewJob
from palaver.services.users import Users
from palaver.storage.memory import MemoryStorage
from palaver.storage.protocol import TurnWrite
from tests.conformance.storage.makers import (
    ANNA,
    BERT,
    HOUR,
    NOW,
    answer,
    conversation,
    message,
    person,
    said,
    session,
    write,
)

pytestmark = pytest.mark.anyio

PERSON = "a" * 24


class FrozenClock:
    def now(self) -> object:
        return NOW


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def storage(anyio_backend: str) -> MemoryStorage:
    storage = MemoryStorage()
    await storage.open()
    await write(
        storage,
        ANNA._replace(channel_id="chatbot"),
        conversations=(conversation(),),
        messages=said("hello", "which size?"),
        remembered={"size": '"large"'},
        hold={"step": "ask"},
        answer=answer("k"),
        persons=(person(PERSON, secret="TOKEN"),),
        sessions=(session("1" * 24, first_message="hello", data={"x": 1}),),
    )
    await write(storage, ANNA, messages=said("on the web"))
    await write(storage, BERT, messages=said("of bert"))
    due = NewJob("event", {"text": "your pizza is cold"}, client=ANNA, run_at=NOW + HOUR)
    await storage.add_job(due)
    return storage


@pytest.fixture
def users(storage: MemoryStorage) -> Users:
    return Users(storage, FrozenClock())  # type: ignore[arg-type]


async def test_all_that_is_known_is_exported(users: Users) -> None:
    document = await users.export(await users.find("pizza", "anna"))
    assert document["format"] == "palaver.user/1"
    chatbot, web = document["clients"]
    assert (chatbot["channel_id"], web["channel_id"]) == ("chatbot", "web")
    assert [m["payload"]["content"]["text"] for m in chatbot["messages"]] == [
        "hello",
        "which size?",
    ]
    assert [c["id"] for c in chatbot["conversations"]] == ["c1"]
    assert chatbot["memories"] == [
        {"key": "size", "value": "large", "created_at": "2024-05-01T09:30:00.123Z"}
    ]
    assert chatbot["hold"] == {"held_at": "2024-05-01T09:30:00.123Z", "state": {"step": "ask"}}
    (known,) = document["persons"]
    assert known["attributes"] == {"name": "Anna"}
    assert [s["first_message"] for s in known["sessions"]] == ["hello"]
    assert "TOKEN" not in str(document)
    assert "bert" not in str(document)


async def test_what_is_still_to_be_done_about_a_person_is_exported(users: Users) -> None:
    chatbot, web = (await users.export(await users.find("pizza", "anna")))["clients"]
    assert chatbot["jobs"] == []
    assert web["jobs"] == [
        {
            "id": 1,
            "task": "event",
            "status": "waiting",
            "run_at": "2024-05-01T10:30:00.123Z",
            "arguments": {"text": "your pizza is cold"},
            "attempts": 0,
            "error": None,
        }
    ]


async def test_long_histories_are_exported_whole_and_in_order(
    storage: MemoryStorage, users: Users
) -> None:
    for number in range(600):
        await write(
            storage,
            ANNA,
            conversations=(conversation(f"c{number}", created_at=NOW + number * HOUR),),
            messages=(message(f"m{number}", created_at=NOW + number * HOUR),),
        )
    document = await users.export(await users.find("pizza", "anna", "web"))
    (web,) = document["clients"]
    said = [m["payload"]["content"]["text"] for m in web["messages"]]
    assert said == ["on the web", *(f"m{number}" for number in range(600))]
    assert [c["id"] for c in web["conversations"]] == [f"c{number}" for number in range(600)]


async def test_a_user_is_found_by_the_persons_id_too(users: Users) -> None:
    assert (await users.find("pizza", PERSON)).user_id == "anna"
    with pytest.raises(NotFound):
        await users.find("other", PERSON)


async def test_erasing_leaves_nothing_and_says_so(storage: MemoryStorage, users: Users) -> None:
    found = await users.find("pizza", "anna")
    proof = await users.erase(found)
    assert proof["complete"] is True
    assert proof["channels"] == ["chatbot", "web"]
    assert proof["removed"] == {
        "conversations": 1,
        "messages": 3,
        "turns": 2,
        "memories": 1,
        "states": 1,
        "answers": 1,
        "jobs": 1,
        "persons": 1,
        "sessions": 1,
    }
    assert set(proof["left"].values()) == {0}
    with pytest.raises(NotFound):
        await users.find("pizza", "anna")
    assert await users.find("pizza", "bert")


async def test_answers_kept_for_a_person_who_said_nothing_are_erased(
    storage: MemoryStorage, users: Users
) -> None:
    await storage.save_person(person("c" * 24, "carl"))
    carl = Client("pizza", "chatbot", "carl")
    await storage.commit_turn(TurnWrite((), answer("created"), answered=carl))
    proof = await users.erase(await users.find("pizza", "carl"))
    assert proof["complete"] is True
    assert (proof["removed"]["answers"], proof["removed"]["persons"]) == (1, 1)
    assert await storage.find_answer("client anna", "created", NOW) is None


async def test_one_channel_can_be_erased_alone(users: Users) -> None:
    proof = await users.erase(await users.find("pizza", "anna", "web"))
    assert proof["removed"]["turns"] == 1
    assert [c.channel_id for c in (await users.find("pizza", "anna")).clients] == ["chatbot"]


async def test_what_comes_meanwhile_is_told(
    storage: MemoryStorage, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def deleted_and_written_again(person_id: str) -> None:
        await write(storage, ANNA, remembered={"a": "1"})

    monkeypatch.setattr(storage, "delete_person", deleted_and_written_again)
    proof = await users.erase(await users.find("pizza", "anna"))
    assert proof["complete"] is False
    assert proof["left"]["memories"] == 1


async def test_nobody_is_not_found(users: Users) -> None:
    with pytest.raises(NotFound, match="nobody of bot pizza on channel web"):
        await users.find("pizza", "nobody", "web")
