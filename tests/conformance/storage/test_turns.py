"""What one turn reads and writes. Spec: engine §1, §17; dialects §1."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from unittest.mock import ANY

import pytest

from palaver.errors import ConversationBusy, StorageError, Unavailable
from palaver.model import Client
from palaver.storage import local
from palaver.storage.protocol import (
    ClientState,
    ClientWrite,
    Leased,
    OpenTurn,
    Storage,
    TurnWrite,
)
from palaver.storage.sql import shared_turn
from palaver.types import JsonObject

from .makers import (
    ANNA,
    BERT,
    HOUR,
    NOW,
    SECOND,
    answer,
    closed,
    conversation,
    person,
    remember,
    said,
    session,
    texts,
    write,
)

pytestmark = pytest.mark.anyio


async def test_an_unknown_client_has_nothing(storage: Storage) -> None:
    assert await storage.load_client(ANNA, NOW) == ClientState()


async def test_a_turn_is_read_back_whole(storage: Storage) -> None:
    opened = conversation(expires_at=NOW + HOUR)
    hold: JsonObject = {"index": 3, "vars": {"n": [1, 2.5, None, True, "é\u0000"]}}
    previous: JsonObject = {"bot": "other", "flow": "f", "step": "s"}
    await write(
        storage,
        conversations=(opened,),
        hold=hold,
        previous_bot=previous,
        remembered={"drink": '"tea"', "n": "1"},
    )
    assert await storage.load_client(ANNA, NOW) == ClientState(
        opened, hold, previous, {"drink": '"tea"', "n": "1"}
    )


OTHER = Client("other", "web", "anna")


async def begun(storage: Storage, client: Client) -> OpenTurn:
    turn = await storage.begin_turn(client, NOW)
    assert not isinstance(turn, Leased)
    return turn


async def test_a_turn_that_switches_keeps_others_from_both_clients(storage: Storage) -> None:
    await write(storage, OTHER, hold={"n": 1})
    turn = await begun(storage, ANNA)
    await turn.lease()
    for _ in range(2):
        assert (await turn.load(OTHER, NOW)).hold == {"n": 1}
    assert await storage.begin_turn(OTHER, NOW) == Leased(ANY, is_same=False)
    parts = (ClientWrite(ANNA, NOW), ClientWrite(OTHER, NOW, hold={"n": 2}))
    await turn.commit(TurnWrite(parts))
    await turn.abandon()
    turn = await begun(storage, OTHER)
    assert (await turn.load(OTHER, NOW)).hold == {"n": 2}
    await turn.abandon()


async def test_a_turn_that_switches_waits_for_the_other_client(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (shared_turn, local):
        monkeypatch.setattr(module, "BESIDE_MOMENT_S", 600)
    first, second = await begun(storage, OTHER), await begun(storage, ANNA)
    await first.lease()
    await second.lease()
    switching = asyncio.ensure_future(second.load(OTHER, NOW))
    await asyncio.sleep(0.05)
    assert not switching.done()
    await first.commit(TurnWrite((ClientWrite(OTHER, NOW, hold={"n": 1}),)))
    await first.abandon()
    assert (await switching).hold == {"n": 1}
    await second.abandon()


async def test_of_turns_that_switch_into_each_other_one_gives_up(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (shared_turn, local):
        monkeypatch.setattr(module, "BESIDE_MOMENT_S", 0.05)
    first, second = await begun(storage, ANNA), await begun(storage, OTHER)
    results: list[str] = []

    async def switch(turn: OpenTurn, target: Client) -> None:
        await turn.lease()
        try:
            await turn.load(target, NOW)
            results.append("stored")
        except ConversationBusy:
            results.append("gave up")
        await turn.abandon()

    await asyncio.gather(switch(first, OTHER), switch(second, ANNA))
    assert results == ["gave up", "stored"]
    for client in (ANNA, OTHER):
        await (await begun(storage, client)).abandon()


async def test_clients_are_apart(storage: Storage) -> None:
    await write(storage, conversations=(conversation(),), remembered={"a": "1"}, hold={})
    alike = [
        BERT,
        Client("pizz", "aweb", "anna"),
        Client("pizza", "", "webanna"),
        Client("pizzaweb", "", "anna"),
    ]
    for other in alike:
        assert await storage.load_client(other, NOW) == ClientState()


async def test_hold_and_previous_bot_are_replaced_by_every_turn(storage: Storage) -> None:
    await write(storage, hold={"index": 1}, previous_bot={"bot": "a"})
    await write(storage, hold={"index": 2})
    state = await storage.load_client(ANNA, NOW)
    assert (state.hold, state.previous_bot) == ({"index": 2}, None)
    await write(storage)
    assert (await storage.load_client(ANNA, NOW)).hold is None


async def test_a_turn_that_changes_no_conversation_leaves_it_open(storage: Storage) -> None:
    await write(storage, conversations=(conversation(),))
    await write(storage, remembered={"a": "1"})
    assert (await storage.load_client(ANNA, NOW)).conversation == conversation()


async def test_a_conversation_is_replaced_by_its_id(storage: Storage) -> None:
    await write(storage, conversations=(conversation(),))
    moved = conversation(step_id="amount", updated_at=NOW + SECOND, last_interaction_at=NOW)
    await write(storage, conversations=(moved,))
    assert (await storage.load_client(ANNA, NOW)).conversation == moved
    page = await storage.list_conversations(ANNA, limit=9, after=None, now=NOW)
    assert page.items == (moved,)


async def test_a_closed_conversation_is_not_loaded(storage: Storage) -> None:
    await write(storage, conversations=(conversation(),))
    await write(storage, conversations=(closed(),))
    assert (await storage.load_client(ANNA, NOW)).conversation is None


@pytest.mark.parametrize("order", [1, -1])
async def test_one_turn_may_close_a_conversation_and_open_the_next(
    storage: Storage, order: int
) -> None:
    await write(storage, conversations=(conversation("c1"),))
    await write(storage, conversations=(closed("c1"), conversation("c2"))[::order])
    assert (await storage.load_client(ANNA, NOW)).conversation == conversation("c2")


async def test_memories_are_forgotten_before_new_ones_are_written(storage: Storage) -> None:
    await remember(storage, {"a": "1", "b": "2", "c": "3"})
    await remember(storage, {"a": "9"}, forgotten=("a", "b", "nothing"))
    assert (await storage.load_client(ANNA, NOW)).memories == {"a": "9", "c": "3"}
    await remember(storage, {"d": "4"}, forgets_all=True)
    assert (await storage.load_client(ANNA, NOW)).memories == {"d": "4"}


async def test_a_thousand_memories_with_any_keys(storage: Storage) -> None:
    memories = {
        f"key {i} \"'\\ é \u0000 \n 🍕": f'{{"n":{i},"t":"\\u0000é🍕"}}' for i in range(1000)
    }
    await remember(storage, memories)
    assert (await storage.load_client(ANNA, NOW)).memories == memories


async def test_nothing_that_expired_is_loaded(storage: Storage) -> None:
    until = NOW + HOUR
    await write(
        storage,
        conversations=(conversation(expires_at=until),),
        hold={"index": 1},
        previous_bot={"bot": "a"},
        remembered={"a": "1"},
        expires_at=until,
    )
    assert (await storage.load_client(ANNA, until - timedelta(microseconds=1))).hold is not None
    assert await storage.load_client(ANNA, until) == ClientState()


async def test_every_write_refreshes_the_expiry_of_what_it_writes(storage: Storage) -> None:
    await remember(storage, {"a": "1", "b": "2"}, expires_at=NOW + HOUR)
    await remember(storage, {"a": "1"}, expires_at=NOW + 2 * HOUR)
    await remember(storage, {"c": "3"})
    assert (await storage.load_client(ANNA, NOW + HOUR)).memories == {"a": "1", "c": "3"}


async def test_a_switch_writes_two_clients_at_once(storage: Storage) -> None:
    other = Client("other", "web", "anna")
    old = ClientWrite(ANNA, NOW, conversations=(closed(),), messages=said("go", "bye"))
    new = ClientWrite(other, NOW, conversations=(conversation("c9"),), previous_bot={"bot": "a"})
    await storage.commit_turn(TurnWrite((old, new)))
    state = await storage.load_client(other, NOW)
    assert state == ClientState(conversation("c9"), None, {"bot": "a"}, {})
    assert (await storage.load_client(ANNA, NOW)).conversation is None


async def test_a_turn_writes_the_dialects_records_too(storage: Storage) -> None:
    await write(storage, persons=(person(),), sessions=(session("s1"),))
    assert await storage.person("a" * 24) == person()
    assert await storage.newest_session("pizza", "s") == session("s1")


async def test_a_turn_that_cannot_be_stored_leaves_nothing(storage: Storage) -> None:
    """Two ids for one user: the last statement of the unit fails."""
    await write(storage, remembered={"a": "1"}, persons=(person(),))
    with pytest.raises(StorageError):
        await write(
            storage,
            conversations=(conversation(),),
            remembered={"a": "2"},
            messages=said("hi"),
            answer=answer("k"),
            persons=(person("b" * 24),),
        )
    assert await storage.load_client(ANNA, NOW) == ClientState(memories={"a": "1"})
    assert await storage.find_answer("client anna", "k", NOW) is None


async def test_many_turns_at_once_are_all_stored(storage: Storage) -> None:
    async def talk(name: str) -> None:
        client = Client("pizza", "web", name)
        for number in range(5):
            await write(storage, client, remembered={"n": str(number)}, messages=said(str(number)))
            assert (await storage.load_client(client, NOW)).memories == {"n": str(number)}

    await asyncio.gather(*[talk(f"user {i}") for i in range(40)])
    page = await storage.list_messages(
        Client("pizza", "web", "user 7"), limit=9, after=None, since=None, until=None, now=NOW
    )
    assert texts(page.items) == ["4", "3", "2", "1", "0"]


async def test_of_turns_at_once_only_the_bad_one_fails(storage: Storage) -> None:
    await write(storage, persons=(person(),))
    good = [
        write(storage, Client("pizza", "web", str(i)), remembered={"n": str(i)}) for i in range(9)
    ]
    bad = write(storage, BERT, remembered={"n": "0"}, persons=(person("b" * 24),))
    results = await asyncio.gather(*good[:4], bad, *good[4:], return_exceptions=True)
    assert [type(r) for r in results if r is not None] == [StorageError]
    for i in range(9):
        state = await storage.load_client(Client("pizza", "web", str(i)), NOW)
        assert state.memories == {"n": str(i)}
    assert await storage.load_client(BERT, NOW) == ClientState()


async def test_an_answer_is_kept_byte_for_byte(storage: Storage) -> None:
    kept = answer("k", b'{"a": 1}\xff\x00')
    await write(storage, answer=kept)
    assert await storage.find_answer("client anna", "k", NOW) == kept
    assert await storage.find_answer("client anna", "other", NOW) is None
    assert await storage.find_answer("client bert", "k", NOW) is None


async def test_an_answer_is_found_for_24_hours(storage: Storage) -> None:
    await write(storage, answer=answer("k"))
    assert await storage.find_answer("client anna", "k", NOW + 24 * HOUR) is not None
    assert await storage.find_answer("client anna", "k", NOW + 24 * HOUR + SECOND) is None


async def test_a_scope_keeps_its_last_20_answers(storage: Storage) -> None:
    await write(storage, answer=answer("0", scope="another"))
    for number in range(25):
        await write(storage, answer=answer(str(number)))
    found = [await storage.find_answer("client anna", str(n), NOW) for n in range(25)]
    assert [f.key for f in found if f] == [str(n) for n in range(5, 25)]
    assert await storage.find_answer("another", "0", NOW) is not None


async def test_a_newer_answer_replaces_the_one_under_its_key(storage: Storage) -> None:
    for number in range(20):
        await write(storage, answer=answer(str(number)))
    for _ in range(5):
        await write(storage, answer=answer("7", b"new", fingerprint="other"))
    found = await storage.find_answer("client anna", "7", NOW)
    assert found == answer("7", b"new", fingerprint="other")
    assert await storage.find_answer("client anna", "0", NOW) is not None


async def test_a_closed_storage_is_unavailable(storage: Storage) -> None:
    await storage.close()
    for call in (
        lambda: storage.load_client(ANNA, NOW),
        lambda: write(storage),
        lambda: storage.bot_ids(),
        lambda: storage.check(),
    ):
        with pytest.raises(Unavailable):
            await call()
    await storage.close()


async def test_a_storage_that_was_never_opened_is_unavailable(closed_storage: Storage) -> None:
    with pytest.raises(Unavailable):
        await closed_storage.load_client(ANNA, NOW)
    with pytest.raises(Unavailable):
        await write(closed_storage)
    await closed_storage.close()


async def test_an_open_storage_passes_its_check(storage: Storage) -> None:
    await storage.check()
    assert storage.kind in {"memory", "sqlite", "postgresql"}
