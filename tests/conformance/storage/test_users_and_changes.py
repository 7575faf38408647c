"""What erasure and the noticing of changes ask of a storage."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from palaver.model import Client, JobStatus, NewJob
from palaver.storage.protocol import Storage, TurnWrite
from tests.conformance.storage.makers import (
    ANNA,
    BERT,
    HOUR,
    NOW,
    SECOND,
    answer,
    conversation,
    person,
    said,
    session,
    version,
    write,
)

pytestmark = pytest.mark.anyio

ON_PHONE = ANNA._replace(channel_id="phone")


async def test_a_users_clients_are_found_on_all_channels(storage: Storage) -> None:
    for client in (ANNA, ON_PHONE, BERT, ANNA._replace(bot_id="other")):
        await write(storage, client)
    assert await storage.clients_of_user("pizza", "anna") == (ON_PHONE, ANNA)
    assert await storage.clients_of_user("pizza", "nobody") == ()
    assert all(isinstance(c, Client) for c in await storage.clients_of_user("pizza", "anna"))


async def test_what_is_counted_is_what_is_deleted(storage: Storage) -> None:
    kinds = ("conversations", "turns", "memories", "states", "answers", "jobs")
    nothing = dict.fromkeys(kinds, 0)
    assert await storage.count_client(ANNA) == nothing
    await write(storage, BERT, remembered={"a": "1"})
    await write(
        storage,
        conversations=(conversation("c1"), conversation("c2")),
        messages=said("hi", "hello"),
        remembered={"a": "1", "b": "2", "c": "3"},
        hold={"x": 1},
        previous_bot={"y": 1},
        answer=answer("k"),
    )
    await storage.add_job(NewJob("t", client=ANNA))
    counts = {"conversations": 2, "turns": 1, "memories": 3, "states": 2, "answers": 1, "jobs": 1}
    assert await storage.count_client(ANNA) == counts
    await storage.delete_client(ANNA)
    assert await storage.count_client(ANNA) == nothing
    assert (await storage.count_client(BERT))["memories"] == 1


async def test_expired_rows_are_counted_for_they_are_there(storage: Storage) -> None:
    await write(storage, remembered={"a": "1"}, expires_at=NOW - SECOND)
    assert (await storage.count_client(ANNA))["memories"] == 1


async def test_a_clients_jobs_are_read_with_their_arguments(storage: Storage) -> None:
    later = NOW + HOUR
    await storage.add_job(NewJob("first", {"text": "hello"}, client=ANNA, run_at=later))
    await storage.add_job(NewJob("of bert", client=BERT))
    await storage.add_job(NewJob("of nobody", lock="anna"))
    await storage.add_job(NewJob("second", client=ANNA, key="k"))
    first, second = await storage.jobs_of_client(ANNA)
    assert (first.task, first.status, first.run_at) == ("first", JobStatus.WAITING, later)
    assert first.arguments == {"text": "hello"}
    assert (second.task, second.run_at) == ("second", None)
    await storage.delete_client(ANNA)
    assert await storage.jobs_of_client(ANNA) == ()
    assert len(await storage.jobs_of_client(BERT)) == 1


async def test_a_client_of_whom_there_are_only_jobs_is_found_while_there_are(
    storage: Storage,
) -> None:
    await storage.add_job(NewJob("t", client=ANNA))
    await storage.delete_expired(NOW)
    assert await storage.clients_of_user("pizza", "anna") == (ANNA,)
    (job,) = await storage.jobs_of_client(ANNA)
    await storage.cancel_job(job.id)
    await storage.delete_expired(NOW)
    assert await storage.clients_of_user("pizza", "anna") == ()


async def test_an_answer_to_no_turn_is_erased_with_whom_it_is_about(storage: Storage) -> None:
    for key, client in (("k", ANNA), ("l", BERT), ("m", None)):
        await storage.commit_turn(TurnWrite((), answer(key), answered=client))
    assert (await storage.count_client(ANNA))["answers"] == 1
    await storage.delete_client(ANNA)
    assert await storage.find_answer("client anna", "k", NOW) is None
    for key in ("l", "m"):
        assert await storage.find_answer("client anna", key, NOW) is not None


async def test_a_client_of_whom_there_is_only_an_answer_is_found_while_it_is_kept(
    storage: Storage,
) -> None:
    await write(storage, answer=answer("k"), expires_at=NOW - SECOND)
    await storage.delete_expired(NOW)
    assert await storage.clients_of_user("pizza", "anna") == (ANNA,)
    await storage.delete_expired(NOW + 25 * HOUR)
    assert await storage.clients_of_user("pizza", "anna") == ()


async def test_jobs_are_counted_by_queue(storage: Storage) -> None:
    assert await storage.job_figures(datetime.now(UTC)) == ()
    begun = datetime.now(UTC)
    await storage.add_job(NewJob("due long ago", queue="slow", run_at=begun - HOUR))
    await storage.add_job(NewJob("later", queue="later", run_at=begun + HOUR))
    await storage.add_job(NewJob("now"))
    await storage.add_job(NewJob("now"))
    default, later, slow = await storage.job_figures(datetime.now(UTC))
    waited_s = (datetime.now(UTC) - begun).total_seconds() + 0.1
    assert default[:4] == ("default", 2, 0, 0)
    assert 0 <= default.lag_s <= waited_s
    assert later == ("later", 1, 0, 0, 0.0)
    assert slow[:4] == ("slow", 1, 0, 0)
    assert 3599 < slow.lag_s <= 3600 + waited_s


async def test_a_person_is_deleted_with_its_sessions(storage: Storage) -> None:
    await storage.save_person(person("a" * 24))
    await storage.save_person(person("b" * 24, "anna", channel_id="clustaar"))
    await storage.save_person(person("c" * 24, "bert"))
    await storage.save_session(session("1" * 24, person_id="a" * 24))
    await storage.save_session(session("2" * 24, person_id="c" * 24))
    found = await storage.persons_of_user("pizza", "anna")
    assert [p.id for p in found] == ["a" * 24, "b" * 24]
    await storage.delete_person("a" * 24)
    assert await storage.person("a" * 24) is None
    assert await storage.sessions_of("a" * 24) == ()
    assert len(await storage.sessions_of("c" * 24)) == 1
    assert [p.id for p in await storage.persons_of_user("pizza", "anna")] == ["b" * 24]


async def test_stamps_tell_the_newest_build_and_whether_keys_changed(storage: Storage) -> None:
    assert await storage.bot_stamps() == {}
    await storage.save_version(version("v1"))
    await storage.save_version(version("v2"))
    await storage.save_keys("other", {"studio_key": "k"})
    before = await storage.bot_stamps()
    assert list(before) == ["other", "pizza"]
    assert before["pizza"].version_id == "v2"
    assert before["other"].version_id is None
    await storage.replace_key("other", "studio_key", "another")
    after = await storage.bot_stamps()
    assert after["other"] != before["other"]
    assert after["pizza"] == before["pizza"]


async def test_the_stamp_stands_still_while_nothing_changes(storage: Storage) -> None:
    await storage.save_version(version("v1"))
    stamp = await storage.changes_stamp()
    assert await storage.changes_stamp() == stamp


async def test_a_change_by_another_connection_moves_the_stamp(
    storage: Storage, beside: Storage
) -> None:
    """Also the first of all, and a deletion."""
    stamps = [await storage.changes_stamp()]
    for change in (
        beside.save_version(version("v1")),
        beside.save_version(version("v2")),
        beside.delete_versions("pizza", "v2"),
        beside.save_keys("pizza", {"studio_key": "k"}),
        beside.replace_key("pizza", "studio_key", "l"),
        beside.delete_bot("pizza"),
    ):
        await change
        stamps.append(await storage.changes_stamp())
        assert stamps[-1] != stamps[-2]
