"""What the APIs ask about one client. Spec: engine §17.5, §19.1."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.model import Client, Memory, Message, Status
from palaver.storage.protocol import ClientState, Page, Storage

from .makers import (
    ANNA,
    BERT,
    HOUR,
    NOW,
    SECOND,
    answer,
    closed,
    conversation,
    message,
    remember,
    said,
    texts,
    write,
)

pytestmark = pytest.mark.anyio


async def messages_of(storage: Storage, limit: int = 99, **options: Any) -> Page[Message]:
    asked: dict[str, Any] = {"after": None, "since": None, "until": None, "now": NOW}
    return await storage.list_messages(ANNA, limit=limit, **asked | options)


async def test_the_open_conversation_can_be_asked_for(storage: Storage) -> None:
    assert await storage.open_conversation(ANNA, NOW) is None
    await write(storage, conversations=(conversation(expires_at=NOW + HOUR),))
    assert await storage.open_conversation(ANNA, NOW) == conversation(expires_at=NOW + HOUR)
    assert await storage.open_conversation(ANNA, NOW + HOUR) is None
    assert await storage.open_conversation(BERT, NOW) is None


async def test_closing_closes_all_and_drops_hold_and_previous_bot(storage: Storage) -> None:
    await write(storage, conversations=(conversation("c1"), conversation("c2")))
    await write(storage, BERT, conversations=(conversation("c3"),), hold={"index": 1})
    await write(storage, hold={"index": 1}, previous_bot={"bot": "a"}, remembered={"a": "1"})
    await storage.close_conversations(ANNA, NOW + SECOND)
    assert await storage.load_client(ANNA, NOW) == ClientState(memories={"a": "1"})
    page = await storage.list_conversations(ANNA, limit=9, after=None, now=NOW)
    assert [(c.id, c.status, c.updated_at) for c in page.items] == [
        ("c2", Status.CLOSED, NOW + SECOND),
        ("c1", Status.CLOSED, NOW + SECOND),
    ]
    assert (await storage.load_client(BERT, NOW)).hold == {"index": 1}


async def test_closing_for_an_unknown_client_does_nothing(storage: Storage) -> None:
    await storage.close_conversations(ANNA, NOW)
    assert await storage.load_client(ANNA, NOW) == ClientState()


async def test_conversations_are_listed_newest_first_in_pages(storage: Storage) -> None:
    for number in range(5):
        made = closed(f"c{number}", created_at=NOW + number * SECOND)
        await write(storage, conversations=(made,))
    first = await storage.list_conversations(ANNA, limit=2, after=None, now=NOW)
    assert [c.id for c in first.items] == ["c4", "c3"]
    await write(storage, conversations=(conversation("c5", created_at=NOW + HOUR),))
    second = await storage.list_conversations(ANNA, limit=2, after=first.next_key, now=NOW)
    assert [c.id for c in second.items] == ["c2", "c1"]
    last = await storage.list_conversations(ANNA, limit=2, after=second.next_key, now=NOW)
    assert [c.id for c in last.items] == ["c0"]
    assert last.next_key is None


async def test_conversations_of_one_moment_all_appear_in_pages(storage: Storage) -> None:
    await write(storage, conversations=tuple(closed(f"c{n}") for n in range(4)))
    seen: list[str] = []
    after = None
    while True:
        page = await storage.list_conversations(ANNA, limit=1, after=after, now=NOW)
        seen += [c.id for c in page.items]
        after = page.next_key
        if after is None:
            break
    assert seen == ["c3", "c2", "c1", "c0"]


async def test_messages_are_listed_strictly_newest_first(storage: Storage) -> None:
    await write(storage, messages=said("hi", "hello", "what?"))
    await write(storage, messages=said("tea", "fine"))
    assert texts((await messages_of(storage)).items) == ["fine", "tea", "what?", "hello", "hi"]


async def test_a_message_comes_back_as_it_was(storage: Storage) -> None:
    payload = {"content_type": "x", "content": {"a": [1, 2.5, None, {"b": "é\u0000🍕"}]}}
    stored = message("", payload=payload, interaction_order=7, message_order=3, flow_id="other")
    await write(storage, messages=(stored,))
    assert (await messages_of(storage)).items == (stored,)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
async def test_pages_of_messages_are_stable_while_new_ones_come(
    storage: Storage, limit: int
) -> None:
    for turn in range(4):
        await write(storage, messages=said(f"{turn}a", f"{turn}b", f"{turn}c"))
    expected = texts((await messages_of(storage)).items)
    page = await messages_of(storage, limit)
    seen = texts(page.items)
    while page.next_key is not None:
        await write(storage, messages=said("new"))
        page = await messages_of(storage, limit, after=page.next_key)
        seen += texts(page.items)
    assert seen == expected


async def test_the_last_page_has_no_key_and_an_empty_page_neither(storage: Storage) -> None:
    await write(storage, messages=said("a", "b"))
    assert (await messages_of(storage, 2)).next_key is None
    assert await messages_of(storage, 0) == Page(())
    assert await storage.list_conversations(ANNA, limit=0, after=None, now=NOW) == Page(())


@pytest.mark.parametrize(
    "after", ["", "2", "§", "W10", "!!!", "a" * 5000, "OTk5OTk5OTk5OTk5OTk5OTk5OTk5"]
)
async def test_a_key_that_cannot_be_read_means_the_first_page(storage: Storage, after: str) -> None:
    await write(storage, messages=said("a", "b"), conversations=(conversation(),))
    assert texts((await messages_of(storage, 1, after=after)).items) == ["b"]
    page = await storage.list_conversations(ANNA, limit=1, after=after, now=NOW)
    assert page.items == (conversation(),)


async def test_messages_between_two_moments_both_included(storage: Storage) -> None:
    for hour in range(5):
        await write(storage, messages=said(f"{hour}", at=NOW + hour * HOUR))
    both = (
        message("early", created_at=NOW + 5 * HOUR),
        message("late", created_at=NOW + 7 * HOUR),
    )
    await write(storage, messages=both)

    async def between(since: int | None, until: int | None) -> list[str]:
        page = await messages_of(
            storage,
            since=None if since is None else NOW + since * HOUR,
            until=None if until is None else NOW + until * HOUR,
        )
        return texts(page.items)

    assert await between(1, 3) == ["3", "2", "1"]
    assert await between(6, None) == ["late"]
    assert await between(4, 6) == ["early", "4"]
    assert await between(None, 0) == ["0"]
    assert await between(6, 6) == []


async def test_a_turn_around_the_time_asked_for_has_nothing_in_it(storage: Storage) -> None:
    """Its first message is too early and its last too late; a page that meets it goes on."""
    around = (message("early"), message("late", created_at=NOW + 9 * HOUR))
    within = (message("within", created_at=NOW + 5 * HOUR),)
    for messages in (within, around, within, around, around):
        await write(storage, messages=messages)
    found, after = [], None
    while True:
        page = await messages_of(
            storage, limit=1, after=after, since=NOW + HOUR, until=NOW + 8 * HOUR
        )
        found += texts(page.items)
        after = page.next_key
        if after is None:
            break
    assert found == ["within", "within"]


async def test_expired_messages_and_conversations_are_not_listed(storage: Storage) -> None:
    until = NOW + HOUR
    await write(
        storage,
        messages=said("old"),
        conversations=(closed(expires_at=until),),
        expires_at=until,
    )
    await write(storage, messages=said("new"))
    assert texts((await messages_of(storage, now=until)).items) == ["new"]
    page = await storage.list_conversations(ANNA, limit=9, after=None, now=until)
    assert page.items == ()


async def test_the_hold_is_shown_with_the_moment_it_was_stored(storage: Storage) -> None:
    assert await storage.hold_of(ANNA, NOW) is None
    await write(storage, at=NOW + SECOND, hold={"index": 1}, expires_at=NOW + HOUR)
    assert await storage.hold_of(ANNA, NOW) == ({"index": 1}, NOW + SECOND)
    assert await storage.hold_of(ANNA, NOW + HOUR) is None
    await write(storage)
    assert await storage.hold_of(ANNA, NOW) is None


async def test_memories_are_listed_by_key(storage: Storage) -> None:
    await remember(storage, {"b": '{"x":[1,null]}', "a": '"tea"', "é": "2.5"})
    assert await storage.list_memories(ANNA, NOW) == (
        Memory("a", "tea", NOW),
        Memory("b", {"x": [1, None]}, NOW),
        Memory("é", 2.5, NOW),
    )
    assert await storage.find_memory(ANNA, "a", NOW) == Memory("a", "tea", NOW)
    assert await storage.find_memory(ANNA, "c", NOW) is None
    assert await storage.find_memory(BERT, "a", NOW) is None


async def test_a_memory_keeps_the_moment_of_its_first_time(storage: Storage) -> None:
    await remember(storage, {"a": "1"})
    await remember(storage, {"a": "2"}, at=NOW + HOUR)
    assert await storage.find_memory(ANNA, "a", NOW) == Memory("a", 2, NOW)


async def test_a_memory_that_expired_begins_anew(storage: Storage) -> None:
    await remember(storage, {"a": "1"}, expires_at=NOW + HOUR)
    assert await storage.list_memories(ANNA, NOW + HOUR) == ()
    assert await storage.find_memory(ANNA, "a", NOW + HOUR) is None
    await remember(storage, {"a": "2"}, at=NOW + HOUR)
    assert await storage.find_memory(ANNA, "a", NOW + HOUR) == Memory("a", 2, NOW + HOUR)


async def test_a_memory_can_be_saved_outside_of_a_turn(storage: Storage) -> None:
    until = NOW + HOUR
    await storage.save_memory(ANNA, "a", {"x": ["é", None]}, now=NOW, expires_at=until)
    assert await storage.find_memory(ANNA, "a", NOW) == Memory("a", {"x": ["é", None]}, NOW)
    assert await storage.find_memory(ANNA, "a", until) is None
    await write(storage, hold={"index": 1})
    await storage.save_memory(ANNA, "b", "2", now=NOW, expires_at=None)
    state = await storage.load_client(ANNA, NOW)
    assert (state.hold, dict(state.memories)) == (
        {"index": 1},
        {"a": '{"x":["é",null]}', "b": '"2"'},
    )


async def test_memories_are_deleted_one_or_all(storage: Storage) -> None:
    await remember(storage, {"a": "1", "b": "2", "c": "3"})
    await write(storage, BERT, remembered={"a": "1"})
    await storage.delete_memories(ANNA, "a")
    await storage.delete_memories(ANNA, "nothing")
    assert [m.key for m in await storage.list_memories(ANNA, NOW)] == ["b", "c"]
    await storage.delete_memories(ANNA, None)
    assert await storage.list_memories(ANNA, NOW) == ()
    assert len(await storage.list_memories(BERT, NOW)) == 1


async def everything(storage: Storage, client: Client, scope: str) -> None:
    await write(
        storage,
        client,
        conversations=(conversation(),),
        hold={"index": 1},
        remembered={"a": "1"},
        messages=said("hi", "hello"),
        answer=answer("k", scope=scope),
    )


async def has_nothing(storage: Storage, client: Client, scope: str) -> bool:
    page = await storage.list_messages(client, limit=9, after=None, since=None, until=None, now=NOW)
    conversations = await storage.list_conversations(client, limit=9, after=None, now=NOW)
    return (
        await storage.load_client(client, NOW) == ClientState()
        and page.items == ()
        and conversations.items == ()
        and await storage.find_answer(scope, "k", NOW) is None
    )


async def test_a_client_is_deleted_with_everything(storage: Storage) -> None:
    await everything(storage, ANNA, "a")
    await everything(storage, BERT, "b")
    await storage.delete_client(ANNA)
    assert await has_nothing(storage, ANNA, "a")
    assert not await has_nothing(storage, BERT, "b")
    assert await storage.find_answer("b", "k", NOW) is not None
    await storage.delete_client(ANNA)


async def test_a_bot_is_deleted_with_everything_of_its_clients(storage: Storage) -> None:
    other = Client("other", "web", "anna")
    for client, scope in ((ANNA, "a"), (BERT, "b"), (other, "o")):
        await everything(storage, client, scope)
    await storage.delete_bot("pizza")
    assert await has_nothing(storage, ANNA, "a")
    assert await has_nothing(storage, BERT, "b")
    assert await storage.find_answer("o", "k", NOW) is not None
    assert (await storage.load_client(other, NOW)).hold == {"index": 1}


async def test_what_expired_is_purged_and_counted(storage: Storage) -> None:
    until = NOW + HOUR
    await write(
        storage,
        conversations=(conversation(expires_at=until),),
        hold={"index": 1},
        remembered={"a": "1", "b": "2"},
        messages=said("hi", "hello"),
        expires_at=until,
        answer=answer("k"),
    )
    await everything(storage, BERT, "b")
    assert await storage.delete_expired(until - SECOND) == 0
    assert await storage.delete_expired(until) == 5
    assert await storage.delete_expired(until) == 0
    assert await storage.load_client(ANNA, NOW) == ClientState()
    assert not await has_nothing(storage, BERT, "b")
    assert await storage.delete_expired(NOW + 25 * HOUR) == 2
    assert await storage.find_answer("b", "k", NOW) is None


async def test_what_did_not_expire_survives_a_purge_of_the_rest(storage: Storage) -> None:
    await write(storage, conversations=(conversation(),), remembered={"a": "1"})
    await write(storage, hold={"index": 1}, remembered={"b": "2"}, expires_at=NOW + HOUR)
    assert await storage.delete_expired(NOW + HOUR) == 2
    state = await storage.load_client(ANNA, NOW)
    assert state == ClientState(conversation(), memories={"a": "1"})


async def test_more_is_purged_than_fits_one_transaction(storage: Storage) -> None:
    memories = {str(n): "1" for n in range(1200)}
    await remember(storage, memories, expires_at=NOW)
    assert await storage.delete_expired(NOW) == 1200
