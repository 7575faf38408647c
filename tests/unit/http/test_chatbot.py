"""The chatbot dialect over a CSML bot, served whole. Spec: chatbot-com §1–§4, dialects §2–§4."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from palaver import wiring
from palaver.config import BotSettings, KeySettings
from palaver.folder import BotFolder
from palaver.http.dialects import CLASSES
from palaver.http.dialects.chatbot.people import Profile, new_person, profile_of
from palaver.model import Bot, Client, Flow, Person, Session
from palaver.services.aliases import hex_alias
from palaver.services.users import Users
from palaver.storage.memory import MemoryStorage
from palaver.storage.protocol import TurnWrite
from palaver.types import JsonObject
from tests.unit.http import house as houses
from tests.unit.http.fakes import NOW

TEA, OTHER = "tea", "5c418eb73bb708000bd10002"
DEVELOPER, CLIENT, FOREIGN = "tea-developer", "tea-client", "other-developer"
NOBODY = "f" * 24
SESSION = "session-01"

FLOWS = {
    "Default": """
start:
  if (event == "slow") {
    do x = 0
    while (x < 300000) { do x = x + 1 }
  }
  say "heard {{event}}, {{event.close_flows}}"
  goto end
""",
    "Order": """
start:
  say "Which tea?"
  hold
  remember tea = event
  goto cups

cups:
  say "How many {{tea}}?"
  hold
  remember cups = event
  goto end
""",
    "Cellar": """
start:
  say "The cellar, {{lamp}}."
  hold
  goto down

down:
  remember found = {"a": [1, "é"], "button": Button("x")}
  remember nothing = null
  remember n = 3
  remember yes = true
  say "Down with {{lamp}}."
  say Card("A very long card title that tells the whole story of this scone and of the baker who made it")
  say missing
  goto end
""",
}


def step(flow: str, name: str) -> str:
    return hex_alias("step", f"{TEA}/{flow}/{name}")


def story(flow: str) -> str:
    return hex_alias("flow", f"{TEA}/{flow}")


class MovableClock:
    def __init__(self) -> None:
        self.moment = NOW

    def now(self) -> datetime:
        return self.moment

    def move(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class House(houses.House):
    TOKEN = DEVELOPER

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = MovableClock()
        self.storage = MemoryStorage()
        served = {name: CLASSES[name] for name in ("engine", "chatbot")}
        monkeypatch.setattr(wiring, "CLASSES", served)
        monkeypatch.setattr(wiring, "SystemClock", lambda: self.clock)
        monkeypatch.setattr(wiring, "open_storage", lambda url, **_: self.storage)
        super().__init__()

    def folders(self) -> list[BotFolder]:
        commands = {"Order": ("/order", "TEA"), "Cellar": ("/cellar",)}
        flows = tuple(Flow(n, n, text, commands.get(n, ())) for n, text in FLOWS.items())
        tea = BotSettings(
            id=TEA,
            name="Tea",
            confidence=1.0,
            keys=KeySettings(chatbot_developer=DEVELOPER, chatbot_client=CLIENT, engine_key="e"),
        )
        other = BotSettings(
            id=OTHER,
            name="Other",
            create_user_answer="object",
            session_idle_s=2,
            delay_ms=7,
            lifespan=3,
            keys=KeySettings(chatbot_developer=FOREIGN, chatbot_client="other-client"),
        )
        folders = [
            BotFolder(Path(), Bot(TEA, "Tea", flows, "Default"), tea, {}, "digest"),
            BotFolder(
                Path(),
                Bot(OTHER, "Other", flows, "Default", no_interruption_delay=30),
                other,
                {},
                "digest",
            ),
        ]
        return folders

    def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> str:
        """A call that must be refused; its message."""
        answer = self.send(method, path, body, **more)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        shown = answer.json()
        assert set(shown) == {"timestamp", "status"}
        assert shown["status"]["code"] == status
        assert set(shown["status"]) == {"code", "type", "message"}
        return str(shown["status"]["message"])

    def query(self, said: str | None = None, session: str = SESSION, **more: Any) -> Any:
        """The result of a query that must succeed."""
        token = more.pop("token", CLIENT)
        body = {"sessionId": session, **({} if said is None else {"query": said}), **more}
        answer = self.send("POST", "/query", body, token=token)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    def create(self, **more: Any) -> str:
        body = {"userId": "u", "attributes": {"a": "b"}, **more}
        answer = self.send("POST", "/users", body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()[0]["id"])

    def user(self, user: str) -> Any:
        answer = self.send("GET", f"/users/{user}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def person(self, user_id: str = SESSION, bot: str = TEA) -> Person | None:
        return self.runner.run(self.storage.find_person(bot, "chatbot", user_id))

    def session(self, name: str = SESSION) -> Session | None:
        return self.runner.run(self.storage.newest_session(TEA, name))

    def memories(self, user_id: str = SESSION) -> dict[str, Any]:
        client = Client(TEA, "chatbot", user_id)
        found = self.runner.run(self.storage.list_memories(client, self.clock.now()))
        return {memory.key: memory.value for memory in found}


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House(monkeypatch)
    yield house
    house.close()


def messages(result: Any) -> list[str]:
    return [entry["message"] for entry in result["fulfillment"] if "message" in entry]


UNSET = dict.fromkeys(
    (
        "default_email",
        "default_name",
        "default_url",
        "default_id",
        "default_avatar",
        "default_language",
        "default_timezone",
        "default_gender",
        "default_ip",
        "default_city",
        "default_country",
        "default_referrer",
        "default_real_name",
    )
)
PATHS = (
    ("POST", "/users"),
    ("GET", f"/users/{NOBODY}"),
    ("PUT", f"/users/{NOBODY}/sessionAttributes"),
    ("PUT", f"/users/{NOBODY}/session"),
    ("PUT", f"/sessions/{SESSION}/attributes"),
)


# --- who may come in ---------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), [*PATHS, ("POST", "/query")])
def test_no_or_a_wrong_token_is_refused_before_the_body_is_read(
    house: House, method: str, path: str
) -> None:
    for headers in (
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer nobody"},
        {"authorization": f"Basic {DEVELOPER}"},
        {"authorization": DEVELOPER},
    ):
        house.refused(401, method, path, token=None, headers=headers, raw=b"{")


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_the_client_token_opens_query_alone(house: House, method: str, path: str) -> None:
    house.refused(401, method, path, token=CLIENT, raw=b"{")


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   "])
def test_the_schemes_case_and_blanks_do_not_matter(house: House, scheme: str) -> None:
    headers = {"authorization": f"{scheme}{CLIENT}"}
    body = {"sessionId": SESSION, "query": "hi"}
    assert house.send("POST", "/query", body, token=None, headers=headers).status_code == 200


def test_pages_may_call_query_and_nothing_else(house: House) -> None:
    asked = {"origin": "https://shop", "access-control-request-method": "POST"}
    answer = house.send("OPTIONS", "/query", token=None, headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "authorization, content-type" in answer.headers["access-control-allow-headers"].lower()
    refusal = house.send("POST", "/query", {}, headers={"origin": "https://shop"})
    assert refusal.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in house.send("POST", "/users", {}).headers


def test_unknown_paths_and_methods_answer_in_the_dialects_shape(house: House) -> None:
    house.refused(404, "GET", "/chatbot/nowhere", token=None)
    house.refused(405, "GET", "/query")
    assert house.send("DELETE", f"/users/{NOBODY}").headers["allow"] == "GET, HEAD"


# --- POST /query -------------------------------------------------------------------------------


def test_an_answer_has_every_field_in_order(house: House) -> None:
    body = {"sessionId": SESSION, "query": "hi", "unknown": {}}
    answer = house.send("POST", "/chatbot/query", body, token=CLIENT)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    expected = {
        "result": {
            "source": "custom",
            "resolvedQuery": "hi",
            "confidence": 1,
            "score": 0,
            "lifespan": 2,
            "incomplete": False,
            "storyId": story("Default"),
            "interaction": {"id": step("Default", "start"), "name": "start", "action": ""},
            "parameters": {},
            "sessionParameters": UNSET,
            "contexts": [],
            "fulfillment": [{"type": "text", "delay": 2000, "message": "heard hi, Null"}],
        },
        "sessionId": SESSION,
        "timestamp": "2026-01-05T09:30:00.123Z",
        "status": {"code": 200, "type": "success"},
    }
    assert answer.json() == expected
    assert answer.text == json.dumps(expected, separators=(",", ":"))


def test_a_hold_is_a_context_until_the_conversation_ends(house: House) -> None:
    result = house.query("/order")
    place = {"id": step("Order", "start"), "name": "start", "action": ""}
    assert (result["score"], result["storyId"]) == (1, story("Order"))
    assert (result["interaction"], result["contexts"]) == (place, [{**place, "parameters": {}}])
    assert house.query("sencha")["contexts"][0]["name"] == "cups"
    result = house.query("two")
    assert (result["score"], result["contexts"]) == (1, [])
    assert result["sessionParameters"] == UNSET | {"tea": "sencha", "cups": "two"}


def test_confidence_and_lifespan_in_force_are_shown(house: House) -> None:
    result = house.query("hi", confidence="0.7", lifespan="5", reset="true", debug="false")
    assert (result["confidence"], result["lifespan"]) == (0.7, 5)
    result = house.query("hi", token="other-client")
    assert (result["confidence"], result["lifespan"]) == (0.5, 3)
    assert result["fulfillment"][0]["delay"] == 7


def test_a_trigger_is_a_payload(house: House) -> None:
    result = house.query(trigger="TEA")
    assert [*result][:3] == ["source", "resolvedQuery", "trigger"]
    assert (result["resolvedQuery"], result["trigger"], result["score"]) == ("", "TEA", 1)
    assert house.query(trigger="oolong")["sessionParameters"]["tea"] == "oolong"


def test_welcome_closes_what_was_open_and_starts_the_storys_flow(house: House) -> None:
    house.query("/order")
    result = house.query(trigger="welcome")
    assert (result["score"], result["contexts"], result["storyId"]) == (1, [], story("Default"))
    assert messages(result) == ['heard {"close_flows":true,"flow_id":"Default"}, true']
    assert house.query("sencha")["score"] == 0
    assert house.query(trigger="welcome", storyId=story("Order"))["storyId"] == story("Order")
    other = house.query("/cellar", storyId=story("Order"))
    assert other["storyId"] == story("Cellar")


def test_a_goto_goes_there_and_comes_before_trigger_and_query(house: House) -> None:
    result = house.query("hi", trigger="TEA", goto=step("Order", "cups"))
    assert "trigger" not in result
    assert (result["resolvedQuery"], result["score"]) == ("", 1)
    assert result["interaction"]["id"] == step("Order", "cups")
    assert house.query("hi", trigger="TEA")["trigger"] == "TEA"


def test_an_encoded_jump_in_a_query_is_followed_with_its_values(house: House) -> None:
    result = house.query(f'goto:step:{step("Cellar", "down")}:{{"lamp":"oil","gone":null}}')
    assert messages(result)[0] == "Down with oil."
    assert result["score"] == 1
    result = house.query(f"goto:story:{story('Cellar')}", parameters={"lamp": "wick"})
    assert messages(result) == ["The cellar, wick."]
    assert house.query(f"goto:step:{NOBODY}", session="session-02")["score"] == 0


@pytest.mark.parametrize("value", ["1e308", "-0.0", "1e-400", '"\\u0000"', "[[[[[[[[1]]]]]]]]"])
def test_values_of_a_jump_are_no_failure(house: House, value: str) -> None:
    assert house.query(f'goto:step:{step("Cellar", "down")}:{{"lamp":{value}}}')["score"] == 1


@pytest.mark.parametrize("values", ["", "{", "[]", "5", '{"a":1e999}', '{"a":NaN}'])
def test_a_jump_with_bad_values_is_a_text(house: House, values: str) -> None:
    result = house.query(f"goto:step:{step('Cellar', 'down')}:{values}")
    assert result["score"] == (1 if values == "" else 0)


def test_session_parameters_are_memories_over_attributes_as_texts(house: House) -> None:
    house.create(attributes={"default_name": "Ann", "default_username": "ann", "n": "one"})
    result = house.query(goto=step("Cellar", "down"), userId="u", parameters={"lamp": "oil"})
    shown = result["sessionParameters"]
    assert [*shown][:13] == [*UNSET]
    assert shown["default_name"] == "Ann"
    assert {name: shown[name] for name in [*shown][13:]} == {
        "default_username": "ann",
        "n": "3",
        "lamp": "oil",
        "found": '{"a":[1,"é"],"button":{"title":"x","payload":"x","accepts":["x","x"]}}',
        "yes": "true",
    }


def test_debug_entries_come_when_asked_for(house: House) -> None:
    entries = house.query(goto=step("Cellar", "down"), parameters={"lamp": "oil"})["fulfillment"]
    assert [entry["type"] for entry in entries] == ["text", "card"]
    entries = house.query(goto=step("Cellar", "down"), debug=True)["fulfillment"]
    assert [entry["type"] for entry in entries] == ["text", "card", "degraded", "error"]
    assert all("delay" not in entry for entry in entries if entry.get("debug"))


def test_parameters_are_memories_and_null_forgets(house: House) -> None:
    house.query("hi", parameters={"lamp": "oil", "a-b": "c"})
    assert house.memories() == {"lamp": "oil", "a-b": "c"}
    result = house.query("/cellar", parameters={"lamp": None})
    assert house.memories() == {"a-b": "c"}
    assert "lamp" not in result["sessionParameters"]


def test_reset_closes_the_conversation_and_keeps_memories(house: House) -> None:
    house.query("/order")
    house.query("sencha")
    result = house.query("two", reset=True)
    assert (result["score"], result["contexts"]) == (0, [])
    assert house.memories() == {"tea": "sencha"}


BAD: list[dict[str, Any]] = [
    {"sessionId": None},
    {"sessionId": "x" * 9},
    {"sessionId": "x" * 65},
    {"sessionId": 1234567890},
    {"query": None},
    {"query": ""},
    {"query": "x" * 257},
    {"query": 42},
    {"trigger": ""},
    {"trigger": "x" * 51},
    {"trigger": ["welcome"]},
    {"goto": "x" * 23},
    {"goto": "x" * 25},
    {"query": "", "goto": step("Order", "cups")},
    {"storyId": "x" * 23},
    {"confidence": 0.09},
    {"confidence": 1.01},
    {"confidence": "high"},
    {"confidence": "nan"},
    {"confidence": "1e0"},
    {"confidence": True},
    {"confidence": 10**400},
    {"confidence": "9" * 5000},
    {"lifespan": 0},
    {"lifespan": 11},
    {"lifespan": 1.5},
    {"lifespan": "1.5"},
    {"lifespan": False},
    {"lifespan": 10**400},
    {"reset": 1},
    {"reset": "yes"},
    {"debug": []},
    {"debug": "True"},
    {"userId": ""},
    {"userId": "x" * 257},
    {"userId": 5},
    {"parameters": []},
    {"parameters": {f"k{n}": "v" for n in range(100)}},
    {"parameters": {"": "v"}},
    {"parameters": {"a b": "v"}},
    {"parameters": {"ż": "v"}},
    {"parameters": {"x\n": "v"}},
    {"parameters": {"n" * 129: "v"}},
    {"parameters": {"a": ""}},
    {"parameters": {"a": "v" * 1025}},
    {"parameters": {"a": 7}},
    {"parameters": {"a": {"b": "c"}}},
]


@pytest.mark.parametrize("change", BAD, ids=lambda change: str(change)[:60])
def test_a_field_that_breaks_its_rule_is_named_and_nothing_is_stored(
    house: House, change: dict[str, Any]
) -> None:
    message = house.refused(400, "POST", "/query", {"sessionId": SESSION, "query": "hi"} | change)
    assert message.startswith(next(iter(change)))
    assert house.session() is None
    assert house.person() is None


GOOD: list[dict[str, Any]] = [
    {"sessionId": "ż" * 64},
    {"query": "ż" * 256},
    {"query": "   "},
    {"trigger": "x" * 50},
    {"confidence": 0.1},
    {"confidence": 1},
    {"confidence": "1.0"},
    {"lifespan": 10.0},
    {"lifespan": "1"},
    {"parameters": {}},
    {"parameters": None, "debug": None, "storyId": None, "confidence": None},
    {"parameters": {f"k{n}": "v" for n in range(99)}},
    {"parameters": {"n" * 128: "v" * 1024, "default_name": "v" * 1024}},
]


@pytest.mark.parametrize("change", GOOD, ids=lambda change: str(change)[:60])
def test_a_field_at_its_limit_is_taken(house: House, change: dict[str, Any]) -> None:
    body = {"sessionId": SESSION, "query": "hi"} | change
    assert house.send("POST", "/query", body).status_code == 200


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"null", b"\xff{}", b"[" * 10_000])
@pytest.mark.parametrize("path", ["/query", "/users"])
def test_a_body_that_is_no_object_is_refused(house: House, path: str, raw: bytes) -> None:
    house.refused(400, "POST", path, raw=raw)


@pytest.mark.parametrize(
    "said",
    [
        {"goto": NOBODY},
        {"query": "hi", "storyId": NOBODY},
        {"trigger": "welcome", "storyId": NOBODY},
        {"goto": step("Order", "cups"), "storyId": NOBODY},
    ],
)
def test_what_names_nothing_is_404_and_leaves_everything_as_it_was(
    house: House, said: dict[str, Any]
) -> None:
    house.refused(404, "POST", "/query", {"sessionId": SESSION, "parameters": {"a": "b"}} | said)
    assert house.person() is None
    assert house.session() is None
    house.query("hi")
    before = (house.session(), house.person(), house.memories())
    house.clock.move(5)
    house.refused(404, "POST", "/query", {"sessionId": SESSION, "parameters": {"a": "b"}} | said)
    assert (house.session(), house.person(), house.memories()) == before


# --- sessions and their users ------------------------------------------------------------------


def test_who_talks_becomes_a_user_named_after_the_session(house: House) -> None:
    house.query("hello")
    person = house.person()
    assert person is not None
    shown = house.user(person.id)
    assert shown["userId"] == SESSION
    assert [c["firstMessage"] for c in shown["conversations"]] == ["hello"]
    assert person.id[:8] == f"{int(NOW.timestamp()):08x}"


def test_the_first_query_is_the_first_message(house: House) -> None:
    house.query(trigger="welcome")
    session = house.session()
    assert session is not None
    assert session.first_message is None
    house.query("x", trigger="TEA")
    house.query("now")
    house.query("later")
    session = house.session()
    assert session is not None
    assert session.first_message == "now"


def test_a_session_lives_for_ten_idle_minutes(house: House) -> None:
    house.query("/order", parameters={"lamp": "oil"})
    house.clock.move(599.9)
    assert house.query("sencha")["score"] == 1
    first = house.session()
    house.clock.move(600)
    result = house.query("two")
    assert (result["score"], result["contexts"]) == (0, [])
    assert result["sessionParameters"]["tea"] == "sencha"
    second = house.session()
    assert first is not None
    assert second is not None
    assert (first.id != second.id, first.person_id) == (True, second.person_id)
    shown = house.user(second.person_id)
    assert [c["firstMessage"] for c in shown["conversations"]] == ["two", "/order"]
    assert shown["lastSeen"] == "2026-01-05 09:50:00.023Z"
    assert shown["conversations"][1]["date"] == "2026-01-05 09:30:00.123Z"
    assert shown["conversations"][1]["createdAt"] == "2026-01-05 09:30:00.123Z"


def test_sessions_begin_and_end_after_the_clock_was_set_back(house: House) -> None:
    house.query("/order")
    first = house.session()
    house.clock.move(-86_400)
    house.query("sencha")
    assert house.session() == replace(first, last_active_at=house.clock.moment)
    house.clock.move(599)
    house.query("one")
    assert house.session().id == first.id, "not yet idle for ten minutes"
    house.clock.move(600)
    house.query("two")
    second = house.session()
    assert second.id != first.id
    house.clock.move(5)
    house.query("three")
    assert house.session().id == second.id, "the newest counts, whatever the clock said"


def test_another_live_session_shares_the_client_and_keeps_its_conversation(house: House) -> None:
    house.create()
    house.query("/order", userId="u")
    house.clock.move(400)
    assert house.query("matcha", session="session-02", userId="u")["score"] == 1
    house.clock.move(400)
    assert house.query("two", userId="u")["score"] == 1
    assert house.memories("u") == {"tea": "matcha", "cups": "two"}
    assert house.memories() == {}


def test_a_new_session_finds_the_conversation_of_an_expired_one_closed(house: House) -> None:
    house.create()
    house.query("/order", userId="u")
    house.clock.move(601)
    assert house.query("matcha", session="session-02", userId="u")["score"] == 0


def test_a_session_is_linked_where_it_begins(house: House) -> None:
    house.create(userId="u")
    house.create(userId="v")
    house.query("hi", userId="u")
    house.query("hi", userId="v")
    session, person = house.session(), house.person("u")
    assert session is not None
    assert person is not None
    assert session.person_id == person.id
    house.clock.move(601)
    house.query("hi")
    again = house.session()
    assert again is not None
    assert (again.id != session.id, again.person_id) == (True, person.id)
    house.clock.move(601)
    house.query("hi", userId="v")
    moved, other = house.session(), house.person("v")
    assert moved is not None
    assert other is not None
    assert moved.person_id == other.id


def test_an_unknown_user_id_leaves_the_session_its_own_user(house: House) -> None:
    house.query("hi", userId="nobody")
    assert house.person("nobody") is None
    assert house.person() is not None


def test_a_user_created_under_the_sessions_name_is_its_user(house: House) -> None:
    user = house.create(userId=SESSION, attributes={"default_name": "Ann"})
    assert house.query("hi")["sessionParameters"]["default_name"] == "Ann"
    assert len(house.user(user)["conversations"]) == 1


def test_many_first_requests_at_once_make_one_user_and_one_session(house: House) -> None:
    async def all_at_once() -> list[httpx.Response]:
        body = {"sessionId": SESSION, "query": "hi"}
        made = {"userId": SESSION, "attributes": {"a": "b"}}
        calls = [house.call("POST", "/query", body) for _ in range(8)]
        return await asyncio.gather(*calls, house.call("POST", "/users", made))

    *answers, creation = house.runner.run(all_at_once())
    assert {answer.status_code for answer in answers} == {200}
    assert creation.status_code in (200, 400)
    person = house.person()
    assert person is not None
    assert len(house.user(person.id)["conversations"]) == 1


def test_two_users_cannot_both_begin_a_session(house: House) -> None:
    house.create(userId="u")
    house.create(userId="v")

    async def at_once() -> None:
        for user in ("u", "v", "u", "v"):
            calls.append(
                asyncio.ensure_future(house.call("POST", "/query", body | {"userId": user}))
            )
        await asyncio.gather(*calls)

    calls: list[asyncio.Future[httpx.Response]] = []
    body = {"sessionId": SESSION, "query": "hi"}
    house.runner.run(at_once())
    people = [house.person("u"), house.person("v")]
    begun = [len(house.user(person.id)["conversations"]) for person in people if person]
    assert sorted(begun) == [0, 1]


def test_a_session_begun_by_anothers_request_meanwhile_takes_the_request_along(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.create(userId="u")
    house.create(userId="v")
    find, calls = house.storage.newest_session, 0

    async def find_then_begin(bot_id: str, name: str) -> Session | None:
        nonlocal calls
        calls += 1
        found = await find(bot_id, name)
        if calls == 1:  # what the other request stores between the two looks of this one
            person = await house.storage.find_person(TEA, "chatbot", "v")
            assert person is not None
            await house.storage.save_session(Session("5" * 24, TEA, name, person.id, NOW, NOW))
        return found

    monkeypatch.setattr(house.storage, "newest_session", find_then_begin)
    house.query("/order", userId="u", parameters={"mine": "yes"})
    assert house.memories("u") == {}
    assert house.memories("v") == {"mine": "yes"}


def test_an_event_that_interrupts_the_bot_is_answered_with_nothing(house: House) -> None:
    async def both() -> list[httpx.Response]:
        def say(text: str) -> Any:
            body = {"sessionId": SESSION, "query": text}
            return house.call("POST", "/query", body, token=FOREIGN)

        await say("begin")
        slow = asyncio.ensure_future(say("slow"))
        await house.until_a_turn_runs()
        return [await say("too early"), await slow]

    early, slow = (answer.json()["result"] for answer in house.runner.run(both()))
    assert messages(slow) == ["heard slow, Null"]
    assert (early["fulfillment"], early["contexts"], early["score"]) == ([], [], 0)
    assert early["interaction"] == {"id": None, "name": "", "action": ""}
    assert early["storyId"] == hex_alias("flow", f"{OTHER}/Default")


def test_bots_do_not_share_users_or_sessions(house: House) -> None:
    house.query("hi")
    person = house.person()
    assert person is not None
    house.refused(404, "GET", f"/users/{person.id}", token=FOREIGN)
    body = {"attributes": {"a": "b"}}
    house.refused(404, "PUT", f"/sessions/{SESSION}/attributes", body, token=FOREIGN)


def test_an_interlocutor_of_another_dialect_is_no_user(house: House) -> None:
    person = Person("a" * 24, TEA, "clustaar_web_chat", "u", {}, NOW)
    house.runner.run(house.storage.save_person(person))
    house.refused(404, "GET", f"/users/{person.id}")


# --- users -------------------------------------------------------------------------------------


def test_a_created_user_is_answered_as_an_array_of_one_envelope(house: House) -> None:
    [envelope] = house.send("POST", "/users", {"userId": "u", "attributes": {"a": "b"}}).json()
    assert [*envelope] == ["id", "timestamp", "status"]
    assert house.user(envelope["id"]) == {
        "id": envelope["id"],
        "userId": "u",
        "banned": False,
        "attributes": dict.fromkeys(
            [
                *("default_email", "default_name", "default_url", "default_avatar"),
                *("default_language", "default_timezone", "default_gender", "default_ip"),
                *("default_city", "default_region", "default_country", "default_referrer"),
                "default_username",
            ]
        )
        | {"a": "b"},
        "sessionAttributes": {},
        "conversations": [],
        "segments": [],
        "createdAt": "2026-01-05 09:30:00.123Z",
        "lastSeen": "2026-01-05 09:30:00.123Z",
    }
    assert house.send("HEAD", f"/users/{envelope['id']}").status_code == 200


def test_the_bots_setting_makes_it_an_object(house: House) -> None:
    answer = house.send("POST", "/users", {"userId": "u", "attributes": {"a": "b"}}, token=FOREIGN)
    assert answer.json()["status"] == {"code": 200, "type": "success"}


def test_an_email_address_stands_for_the_user_id(house: House) -> None:
    body = {"attributes": {"default_email": "a@b.example"}}
    [envelope] = house.send("POST", "/users", body).json()
    assert len(house.user(envelope["id"])["userId"]) == 36


def test_null_attributes_are_not_set(house: House) -> None:
    user = house.create(attributes={"plan": None, "default_name": None, "segments": "x"})
    attributes = house.user(user)["attributes"]
    assert "plan" not in attributes
    assert (attributes["default_name"], attributes["segments"]) == (None, "x")


@pytest.mark.parametrize(
    "change",
    [
        {"userId": None},
        {"userId": ""},
        {"userId": "x" * 257},
        {"userId": 17},
        {"attributes": None},
        {"attributes": {}},
        {"attributes": ["plan"]},
        {"attributes": {f"k{n}": "v" for n in range(100)}},
        {"attributes": {"a.b": "v"}},
        {"attributes": {"default_name": "v" * 257}},
        {"attributes": {"default_name": ""}},
        {"attributes": {"plan": "v" * 1025}},
        {"attributes": {"plan": True}},
        {"segments": 5},
        {"segments": "short"},
        {"segments": [NOBODY, None]},
        {"segments": NOBODY},
        {"segments": [NOBODY]},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_bad_user_is_refused(house: House, change: dict[str, Any]) -> None:
    body = {"userId": "u", "attributes": {"a": "b"}, **change}
    assert house.refused(400, "POST", "/users", body).startswith(next(iter(change)))
    assert house.person("u") is None


def test_a_user_id_is_given_once(house: House) -> None:
    house.create()
    body = {"userId": "u", "attributes": {"a": "c"}}
    assert "userId" in house.refused(400, "POST", "/users", body)
    assert house.send("POST", "/users", body, token=FOREIGN).status_code == 200


@pytest.mark.parametrize("user", [NOBODY, "u", "%2F", "x" * 5000])
def test_an_unknown_user_is_404(house: House, user: str) -> None:
    house.create()
    house.refused(404, "GET", f"/users/{user}")


def test_what_another_dialect_kept_of_a_person_is_no_failure() -> None:
    bot: Any = type("Bot", (), {"id": "b"})
    person = new_person(bot, "u", Profile({"a": "b"}, ("s",), banned=True), NOW)
    assert profile_of(person) == Profile({"a": "b"}, ("s",), banned=True)
    odd: Any = {"attributes": {"a": 5, "b": "c"}, "segments": {}, "banned": "no"}
    assert profile_of(replace(person, attributes=odd)) == Profile({"b": "c"})
    assert profile_of(replace(person, attributes={"attributes": []})) == Profile({})


# --- session attributes ------------------------------------------------------------------------


def test_session_attributes_are_memories_and_keep_the_session_alive(house: House) -> None:
    house.query("hi")
    person = house.person()
    assert person is not None
    house.clock.move(599)
    for path in ("sessionAttributes", "session"):
        body = {"sessionId": SESSION, "attributes": {"lamp": path, "b": "c", "gone": None}}
        answer = house.send("PUT", f"/users/{person.id}/{path}", body)
        assert answer.json() == {
            "timestamp": "2026-01-05T09:39:59.123Z",
            "status": {"code": 200, "type": "success"},
        }
    other: dict[str, Any] = {"sessionId": 5, "attributes": {"b": None}}
    assert house.send("PUT", f"/sessions/{SESSION}/attributes", other).status_code == 200
    assert house.memories() == {"lamp": "session"}
    shown = house.user(person.id)
    assert shown["sessionAttributes"] == {"lamp": "session"}
    assert "lamp" not in shown["attributes"]
    house.clock.move(599)
    assert messages(house.query("/cellar")) == ["The cellar, session."]
    house.clock.move(600)
    assert house.user(person.id)["sessionAttributes"] == {}


FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_flat_keys_and_forms_are_attributes_too(house: House) -> None:
    house.query("hi")
    path = f"/sessions/{SESSION}/attributes"
    for raw, headers in (
        (b'{"attributes.one": "1", "attributes": {"two": "2"}}', {}),
        (b'{"attributes.three": "3"}', FORM),
        (b"attributes.four=4+4&sessionId=x&attributes.five=%C5%BC", FORM),
    ):
        assert house.send("PUT", path, raw=raw, headers=headers).status_code == 200
    assert house.memories() == {"one": "1", "two": "2", "three": "3", "four": "4 4", "five": "ż"}


@pytest.mark.parametrize(
    ("raw", "headers"),
    [
        (b"attributes.four=4", {}),
        (b"", FORM),
        (b"attributes=4", FORM),
        (b"attributes.a=", FORM),
        (b"attributes.a=%FF", FORM),
        (b"attributes.a=\xff", FORM),
        (b"attributes.a b=c", FORM),
        (b"&".join(b"attributes.k%d=v" % n for n in range(2000)), FORM),
        (b"sessionId=" + SESSION.encode(), FORM),
        (b'{"attributes": "x", "attributes.a": "b"}', {}),
        (b'{"attributes": {}}', {}),
        (b'{"attributes": {"a": 5}}', {}),
        (b'{"attributes": {"default_name": "%s"}}' % (b"v" * 257), {}),
    ],
)
def test_bad_session_attributes_are_refused(
    house: House, raw: bytes, headers: dict[str, str]
) -> None:
    house.query("hi")
    house.refused(400, "PUT", f"/sessions/{SESSION}/attributes", raw=raw, headers=headers)
    assert house.memories() == {}


@pytest.mark.parametrize("session", [None, "x" * 9, "x" * 65, 1234567890])
def test_the_users_call_needs_a_session_id(house: House, session: Any) -> None:
    body = {"sessionId": session, "attributes": {"a": "b"}}
    house.refused(400, "PUT", f"/users/{NOBODY}/session", body)


def test_a_session_that_is_unknown_or_expired_or_anothers_is_404(house: House) -> None:
    other = house.create()
    house.query("hi")
    person = house.person()
    assert person is not None
    body = {"sessionId": SESSION, "attributes": {"a": "b"}}
    house.refused(404, "PUT", f"/users/{other}/sessionAttributes", body)
    house.refused(404, "PUT", f"/users/{NOBODY}/sessionAttributes", body)
    house.refused(404, "PUT", f"/users/{person.id}/session", body | {"sessionId": "x" * 10})
    house.refused(404, "PUT", "/sessions/short/attributes", body)
    house.clock.move(600)
    house.refused(404, "PUT", f"/users/{person.id}/session", body)
    house.refused(404, "PUT", f"/sessions/{SESSION}/attributes", body)
    assert house.memories() == {}


# --- repeats -----------------------------------------------------------------------------------


def test_an_idempotency_key_repeats_the_answer_of_a_query(house: House) -> None:
    def ask(said: str, token: str = CLIENT) -> httpx.Response:
        body = {"sessionId": SESSION, "query": said}
        return house.send("POST", "/query", body, token=token, headers={"idempotency-key": "k"})

    first = ask("/order")
    house.clock.move(1000)
    assert ask("/order").content == first.content
    assert ask("sencha").json()["status"]["code"] == 422
    assert ask("/order", DEVELOPER).content != first.content
    session = house.session()
    assert session is not None
    assert session.started_at == NOW + timedelta(seconds=1000)


def test_an_idempotency_key_makes_one_user(house: House) -> None:
    key = {"idempotency-key": "k"}
    body = {"userId": "u", "attributes": {"a": "b"}}
    first = house.send("POST", "/users", body, headers=key)
    assert house.send("POST", "/users", body, headers=key).content == first.content
    house.refused(422, "POST", "/users", {**body, "userId": "v"}, headers=key)


def test_the_answer_kept_for_a_new_user_goes_with_the_user(house: House) -> None:
    body = {"userId": "u", "attributes": {"a": "b"}}
    house.send("POST", "/users", body, headers={"idempotency-key": "k"})
    users = Users(house.storage, house.clock)

    async def erase() -> JsonObject:
        return await users.erase(await users.find(TEA, "u"))

    proof = house.runner.run(erase())
    assert proof["complete"] is True
    removed: Any = proof["removed"]
    assert (removed["answers"], removed["persons"]) == (1, 1)


def test_user_and_session_are_stored_with_the_turn_or_not_at_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, units = house.storage.commit_turn, []

    async def count(write: TurnWrite) -> None:
        units.append(write)
        await commit(write)

    monkeypatch.setattr(house.storage, "commit_turn", count)
    house.query("hi")
    [unit] = units
    assert [person.user_id for person in unit.persons] == [SESSION]
    assert [session.name for session in unit.sessions] == [SESSION]
