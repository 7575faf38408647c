"""Builds of bots, the dialects' users and sessions, generated keys."""

from __future__ import annotations

import asyncio

import pytest

from palaver.storage.protocol import Page, Storage

from .makers import HOUR, NOW, SECOND, person, session, version

pytestmark = pytest.mark.anyio


async def test_a_build_is_read_back_whole(storage: Storage) -> None:
    await storage.save_version(version("v1"))
    assert await storage.find_version("pizza", "v1") == version("v1")
    assert await storage.latest_version("pizza") == version("v1")
    assert await storage.find_version("pizza", "v2") is None
    assert await storage.find_version("other", "v1") is None
    assert await storage.latest_version("other") is None


async def test_the_newest_build_is_the_one_saved_last(storage: Storage) -> None:
    for name in ("v1", "v2", "v1"):
        await storage.save_version(version(name))
    latest = await storage.latest_version("pizza")
    assert latest is not None
    assert latest.version_id == "v1"
    page = await storage.list_versions("pizza", limit=9, after=None)
    assert [v.version_id for v in page.items] == ["v1", "v2"]


async def test_builds_are_listed_newest_first_in_pages(storage: Storage) -> None:
    for number in range(5):
        await storage.save_version(version(f"v{number}"))
    first = await storage.list_versions("pizza", limit=2, after=None)
    await storage.save_version(version("v5"))
    second = await storage.list_versions("pizza", limit=2, after=first.next_key)
    third = await storage.list_versions("pizza", limit=2, after=second.next_key)
    pages = [[v.version_id for v in page.items] for page in (first, second, third)]
    assert pages == [["v4", "v3"], ["v2", "v1"], ["v0"]]
    assert third.next_key is None
    assert await storage.list_versions("pizza", limit=0, after=None) == Page(())


async def test_builds_are_deleted_one_or_all(storage: Storage) -> None:
    for name in ("v1", "v2", "v3"):
        await storage.save_version(version(name))
    await storage.save_version(version("v1", "other"))
    await storage.delete_versions("pizza", "v3")
    await storage.delete_versions("pizza", "nothing")
    assert await storage.latest_version("pizza") == version("v2")
    await storage.delete_versions("pizza", None)
    await storage.delete_versions("nothing", None)
    assert await storage.latest_version("pizza") is None
    assert await storage.bot_ids() == ("other",)


async def test_builds_of_one_content_live_and_die_by_themselves(storage: Storage) -> None:
    for name, env in (("v1", {"a": 1}), ("v2", {"a": 2}), ("v3", {"a": 3})):
        await storage.save_version(version(name, env=env))
    await storage.delete_versions("pizza", "v1")
    assert await storage.find_version("pizza", "v1") is None
    assert await storage.find_version("pizza", "v2") == version("v2", env={"a": 2})
    await storage.save_version(version("v2", name="Another"))
    assert await storage.find_version("pizza", "v3") == version("v3", env={"a": 3})
    assert await storage.latest_version("pizza") == version("v2", name="Another")
    await storage.delete_versions("pizza", None)
    await storage.save_version(version("v4"))
    assert await storage.latest_version("pizza") == version("v4")


async def test_builds_stored_and_deleted_at_once_stay_whole(storage: Storage) -> None:
    """A content must not go with its last build while another one comes that points at it."""

    async def push(number: int) -> None:
        await storage.save_version(version(f"v{number}", "pizza" if number % 2 else "other"))

    async def delete(bot_id: str) -> None:
        await storage.delete_versions(bot_id, None)

    for number in range(0, 40, 4):
        await asyncio.gather(
            push(number), delete("pizza"), push(number + 1), delete("other"), push(number + 2)
        )
        for bot_id in ("pizza", "other"):
            page = await storage.list_versions(bot_id, limit=99, after=None)
            found = [await storage.find_version(bot_id, v.version_id) for v in page.items]
            assert found == list(page.items)
            assert bool(found) == (bot_id in await storage.bot_ids())


async def test_bots_with_a_build_are_listed_by_id(storage: Storage) -> None:
    assert await storage.bot_ids() == ()
    for bot_id in ("pizza", "a", "é", "pizza"):
        await storage.save_version(version("v1", bot_id))
    assert await storage.bot_ids() == ("a", "pizza", "é")


async def test_a_deleted_bot_has_no_builds_and_no_people(storage: Storage) -> None:
    for bot_id, letter in (("pizza", "a"), ("other", "b")):
        await storage.save_version(version("v1", bot_id))
        await storage.save_person(person(letter * 24, bot_id=bot_id))
        await storage.save_session(session(letter, bot_id=bot_id))
        await storage.save_keys(bot_id, {"studio_key": "k"})
    await storage.delete_bot("pizza")
    assert await storage.bot_ids() == ("other",)
    assert await storage.person("a" * 24) is None
    assert await storage.person("b" * 24) is not None
    assert await storage.newest_session("pizza", "s") is None
    assert await storage.newest_session("other", "s") is not None
    assert await storage.keys_of("pizza") == {"studio_key": "k"}


async def test_a_person_is_found_by_either_id(storage: Storage) -> None:
    stored = person(attributes={"a": [1, None]}, last_seen_at=NOW + HOUR, secret="s3cret")
    assert await storage.create_person(stored) == stored
    assert await storage.person(stored.id) == stored
    assert await storage.find_person("pizza", "chatbot", "anna") == stored
    assert await storage.find_person("pizza", "chatbot", "bert") is None
    assert await storage.person("c" * 24) is None


async def test_a_user_who_is_created_twice_stays_the_first(storage: Storage) -> None:
    first = await storage.create_person(person("a" * 24))
    assert await storage.create_person(person("b" * 24, attributes={})) == first
    assert await storage.person("b" * 24) is None


async def test_simultaneous_creations_give_one_person(storage: Storage) -> None:
    calls = [storage.create_person(person(f"{n:024x}")) for n in range(20)]
    assert len({found.id for found in await asyncio.gather(*calls)}) == 1


async def test_a_saved_person_replaces_the_one_with_its_id(storage: Storage) -> None:
    await storage.save_person(person())
    await storage.save_person(person(user_id="anne", attributes={"name": "Anne"}))
    found = await storage.find_person("pizza", "chatbot", "anne")
    assert found == person(user_id="anne", attributes={"name": "Anne"})
    assert await storage.find_person("pizza", "chatbot", "anna") is None


async def test_the_newest_session_of_a_name_counts(storage: Storage) -> None:
    assert await storage.newest_session("pizza", "s") is None
    await storage.save_session(session("s1"))
    await storage.save_session(session("s2", started_at=NOW + SECOND))
    await storage.save_session(session("s3", started_at=NOW - SECOND))
    await storage.save_session(session("s4", name="t", started_at=NOW + HOUR))
    await storage.save_session(session("s5", bot_id="other", started_at=NOW + HOUR))
    newest = await storage.newest_session("pizza", "s")
    assert newest == session("s2", started_at=NOW + SECOND)


async def test_of_sessions_that_began_at_once_the_later_one_counts(storage: Storage) -> None:
    for name in ("s2", "s1"):
        await storage.save_session(session(name))
    await storage.save_session(session("s2", data={"x": [1]}, first_message="hi"))
    assert await storage.newest_session("pizza", "s") == session("s1")
    assert await storage.sessions_of("a" * 24) == (
        session("s1"),
        session("s2", data={"x": [1]}, first_message="hi"),
    )


async def test_a_persons_sessions_are_listed_newest_first(storage: Storage) -> None:
    for number in (1, 3, 2):
        await storage.save_session(session(f"s{number}", started_at=NOW + number * SECOND))
    await storage.save_session(session("x", person_id="b" * 24))
    found = await storage.sessions_of("a" * 24)
    assert [s.id for s in found] == ["s3", "s2", "s1"]
    assert await storage.sessions_of("c" * 24) == ()


async def test_saved_keys_never_replace_what_is_there(storage: Storage) -> None:
    assert await storage.keys_of("pizza") == {}
    await storage.save_keys("pizza", {"studio_key": "a"})
    await storage.save_keys("pizza", {"studio_key": "b", "clustaar_token": "c"})
    await storage.save_keys("pizza", {})
    assert await storage.keys_of("pizza") == {"clustaar_token": "c", "studio_key": "a"}
    assert await storage.keys_of("other") == {}


async def test_a_key_is_replaced_on_demand(storage: Storage) -> None:
    await storage.replace_key("pizza", "studio_key", "a")
    await storage.replace_key("pizza", "studio_key", "b")
    assert await storage.keys_of("pizza") == {"studio_key": "b"}


async def test_a_folders_digest_is_kept_until_its_bot_is_deleted(storage: Storage) -> None:
    assert await storage.folder_digest("pizza") is None
    for digest in ("d1", "d2"):
        await storage.save_folder_digest("pizza", digest)
    await storage.save_folder_digest("other", "d3")
    assert await storage.folder_digest("pizza") == "d2"
    await storage.delete_bot("pizza")
    assert await storage.folder_digest("pizza") is None
    assert await storage.folder_digest("other") == "d3"
