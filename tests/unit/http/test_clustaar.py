"""The clustaar dialect over a CSML bot: interlocutors, tokens, replies. Spec: clustaar §2."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from palaver import wiring
from palaver.config import BotSettings, KeySettings
from palaver.folder import BotFolder
from palaver.http.dialects import CLASSES
from palaver.http.dialects.clustaar.auth import read_interlocutor_token
from palaver.model import Bot, Flow
from palaver.services.aliases import hex_alias
from tests.unit.http import house as houses

TEA = "5c418eb73bb708000bd10001"
OTHER = "other bot"
TOKEN, PRIVATE, SINGLE = "tea-token", "tea-private", "one-token"
NOBODY = "f" * 24
PATIENCE = {OTHER: 30}
"""Seconds in which a bot drops what interrupts it."""

FLOWS = {
    "Default": """
start:
  if (event == "long") {
    do x = 0
    while (x < 300000) { do x = x + 1 }
    say "{{x}}"
    goto end
  }
  say "heard {{event}}"
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
  say "{{lamp}}"
  goto end

down:
  remember found = {"a": {"b": [1, null]}, "button": Button("x")}
  say "Down with {{lamp}}."
  say missing
  say Question("Where?", buttons = [Button("Up", payload = "UP")])
  say Wait(1)
  goto end
""",
}


def folder(bot_id: str, keys: KeySettings) -> BotFolder:
    commands = {"Order": ("/order", "TEA")}
    flows = tuple(Flow(name, name, text, commands.get(name, ())) for name, text in FLOWS.items())
    bot = Bot(bot_id, "Tea", flows, "Default", no_interruption_delay=PATIENCE.get(bot_id))
    return BotFolder(Path(), bot, BotSettings(id=bot_id, name="Tea", keys=keys), {}, "digest")


class House(houses.House):
    TOKEN = TOKEN

    def folders(self) -> list[BotFolder]:
        tea = folder(TEA, KeySettings(clustaar_token=TOKEN, clustaar_private=PRIVATE))
        other = folder(OTHER, KeySettings(clustaar_token=SINGLE, clustaar_private=SINGLE))
        return [tea, other]

    def create(self, user: str = "u", query: str = "", **more: Any) -> Any:
        body = {"type": "interlocutor", "userID": user, **more}
        answer = self.send("POST", f"{CREATE}{query}", body)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def meet(self, user: str = "u", **more: Any) -> str:
        return str(self.create(user, **more)["id"])

    def show(self, person: str) -> Any:
        return self.send("GET", f"/interlocutors/{person}", token=PRIVATE).json()["data"]

    def reply(self, person: str, body: Any, query: str = "", **more: Any) -> httpx.Response:
        return self.send("POST", f"/interlocutors/{person}/reply{query}", body, **more)

    def data(self, person: str, body: Any, query: str = "", **more: Any) -> Any:
        answer = self.reply(person, body, query, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


CREATE = f"/bots/{TEA}/interlocutors/clustaar_web_chat"


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    served = {name: CLASSES[name] for name in ("engine", "clustaar")}
    monkeypatch.setattr(wiring, "CLASSES", served)
    house = House()
    yield house
    house.close()


def said(message: str) -> dict[str, str]:
    return {"type": "text", "message": message}


def go(kind: str, target: str, **more: Any) -> dict[str, Any]:
    return {"type": "go_to_action", "target": {"type": kind, "id": target}, **more}


def step(flow: str, name: str) -> str:
    return hex_alias("step", f"{TEA}/{flow}/{name}")


def story(flow: str) -> str:
    return hex_alias("flow", f"{TEA}/{flow}")


def texts(data: Any) -> list[str]:
    return [action["text"] for action in data["fulfillment"]["actions"] if "text" in action]


def envelope(value: str, person: str, kind: str = "interlocutor") -> str:
    text = json.dumps({"value": value, "subject": {"id": person, "type": kind}})
    return base64.b64encode(text.encode()).decode()


def refused(answer: httpx.Response, status: int, kind: str) -> list[list[str]]:
    """Checks an error; the paths of its details."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["type"] == kind
    assert isinstance(error["message"], str)
    assert error["message"]
    assert ("details" in error) == (status == 422)
    assert answer.headers["access-control-allow-origin"] == "*"
    return [detail["path"] for detail in error.get("details", [])]


# --- tokens ------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Basic eA==", TOKEN, "Bearer nope"])
def test_a_missing_malformed_or_unknown_token_is_401_before_everything(
    house: House, header: str | None
) -> None:
    headers = {} if header is None else {"authorization": header}
    for method, path in (
        ("POST", CREATE),
        ("POST", f"/bots/{NOBODY}/interlocutors/clustaar_web_chat"),
        ("POST", f"/bots/{TEA}/interlocutors/facebook"),
        ("POST", f"/interlocutors/{NOBODY}/reply"),
        ("GET", f"/interlocutors/{NOBODY}"),
        ("PUT", f"/bots/{TEA}/interlocutors/{NOBODY}"),
    ):
        answer = house.send(method, path, token=None, raw=b"{", headers=headers)
        refused(answer, 401, "unauthorized")


def test_what_does_not_exist_is_404_with_any_token(house: House) -> None:
    person = house.meet()
    for method, path in (
        ("POST", f"/bots/{NOBODY}/interlocutors/clustaar_web_chat"),
        ("POST", f"/bots/{TEA}/interlocutors/facebook"),
        ("POST", f"/interlocutors/{NOBODY}/reply"),
        ("GET", f"/interlocutors/{NOBODY}"),
        ("PUT", "/interlocutors/nobody"),
        ("GET", f"/bots/{NOBODY}/interlocutors/{person}"),
        ("GET", f"/bots/{OTHER}/interlocutors/{person}"),
        ("GET", f"/interlocutors/{person}/nowhere"),
        ("GET", "/clustaar/nowhere"),
    ):
        for token in (TOKEN, PRIVATE, SINGLE):
            refused(house.send(method, path, token=token, raw=b"{"), 404, "not_found")


def test_a_token_that_is_too_weak_or_of_another_bot_is_403_before_the_body(house: House) -> None:
    data = house.create(query="?use_websocket=1")
    person, own = data["id"], envelope(data["socketToken"], data["id"])
    stranger = house.meet("v")
    for method, path, token in (
        ("POST", CREATE, SINGLE),
        ("POST", CREATE, own),
        ("POST", f"/interlocutors/{person}/reply", SINGLE),
        ("POST", f"/interlocutors/{stranger}/reply", own),
        ("GET", f"/interlocutors/{person}", SINGLE),
        ("GET", f"/interlocutors/{person}", TOKEN),
        ("GET", f"/interlocutors/{person}", own),
        ("PUT", f"/interlocutors/{person}", TOKEN),
    ):
        refused(house.send(method, path, token=token, raw=b"{"), 403, "forbidden")


def test_bot_token_private_key_and_own_token_talk(house: House) -> None:
    data = house.create(query="?use_websocket=1")
    own = envelope(data["socketToken"], data["id"])
    for token in (TOKEN, PRIVATE, own, own.rstrip("=")):
        assert texts(house.data(data["id"], said("x"), token=token)) == ["heard x"]
    lower = {"authorization": f"bearer {TOKEN}"}
    assert house.reply(data["id"], said("x"), token=None, headers=lower).status_code == 200


def test_a_single_token_opens_everything_of_its_bot(house: House) -> None:
    body = {"type": "interlocutor", "userID": "u"}
    path = f"/bots/{hex_alias('bot', OTHER)}/interlocutors/clustaar_web_chat"
    person = house.send("POST", path, body, token=SINGLE).json()["data"]["id"]
    shown = house.send("GET", f"/interlocutors/{person}", token=SINGLE).json()["data"]
    assert shown["botID"] == hex_alias("bot", OTHER)
    assert house.reply(person, said("x"), token=SINGLE).status_code == 200


def test_an_own_token_with_a_wrong_secret_is_unknown(house: House) -> None:
    with_secret = house.create("u", "?use_websocket=1")["id"]
    without = house.meet("v")
    for token in (
        envelope("wrong", with_secret),
        envelope("", without),
        envelope("x", NOBODY),
        envelope("x", with_secret, "bot"),
    ):
        refused(house.reply(with_secret, said("x"), token=token), 401, "unauthorized")


def test_an_own_token_is_read_leniently() -> None:
    text = '{ "subject":{"type":"interlocutor" ,"id":"i"}, "value":"s?>~ÿ", "more": 1}'
    for encoded in (base64.b64encode, base64.urlsafe_b64encode):
        token = encoded(text.encode()).decode()
        for spelled in (token, token.rstrip("="), token + "=="):
            claim = read_interlocutor_token(spelled)
            assert claim is not None
            assert claim == ("i", "s?>~ÿ")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        '{"value":"s"}',
        '{"value":"s","subject":[]}',
        '{"value":1,"subject":{"id":"i","type":"interlocutor"}}',
        '{"value":"s","subject":{"id":1,"type":"interlocutor"}}',
        '{"value":"s","subject":{"id":"i"}}',
        "[" * 1000,
        "\xff",
    ],
)
def test_anything_else_is_no_own_token(text: str) -> None:
    assert read_interlocutor_token(base64.b64encode(text.encode("latin-1")).decode()) is None
    assert read_interlocutor_token(text) is None


# --- creating ----------------------------------------------------------------------------------


def test_creating_twice_gives_one_interlocutor_unchanged(house: House) -> None:
    created = house.create("u", firstName="Ann", id="5a82df51bf8a1100a0615f4a", size=38)
    assert set(created) == {"type", "id"}
    assert re.fullmatch("[0-9a-f]{24}", created["id"])
    assert created["id"] != "5a82df51bf8a1100a0615f4a"
    assert house.create("u", firstName="Eve", email="e@example.com") == created
    shown = house.show(created["id"])
    assert (shown["firstName"], shown["email"]) == ("Ann", None)
    assert house.meet("U") != created["id"]


def test_simultaneous_creations_give_one_interlocutor_and_one_socket_token(house: House) -> None:
    async def all_at_once() -> list[Any]:
        body = {"type": "interlocutor", "userID": "race"}
        calls = [house.call("POST", f"{CREATE}?use_websocket=1", body) for _ in range(8)]
        return [answer.json()["data"] for answer in await asyncio.gather(*calls)]

    answers = house.runner.run(all_at_once())
    assert len({answer["id"] for answer in answers}) == 1
    assert sum("socketToken" in answer for answer in answers) == 1


def test_the_body_is_read_whatever_it_calls_itself_and_a_slash_is_overlooked(house: House) -> None:
    raw = b'{"type": "interlocutor", "userID": "u"}'
    form = {"content-type": "application/x-www-form-urlencoded"}
    first = house.send("POST", CREATE, raw=raw, headers=form).json()
    for path in (f"{CREATE}/", f"/clustaar{CREATE}", f"/clustaar{CREATE}/"):
        assert house.send("POST", path, raw=raw).json() == first


BAD_ATTRIBUTES: list[tuple[Any, str]] = [
    ({"firstName": "x" * 2001}, "firstName"),
    ({"lastName": 1}, "lastName"),
    ({"email": ["a"]}, "email"),
    ({"phoneNumber": False}, "phoneNumber"),
    ({"externalID": {}}, "externalID"),
    ({"location": "here"}, "location"),
    ({"location": {"lat": 1}}, "location.long"),
    ({"location": {"lat": True, "long": 1}}, "location.lat"),
    ({"location": {"lat": "1", "long": 1}}, "location.lat"),
    ({"customAttributes": None}, "customAttributes"),
    ({"customAttributes": []}, "customAttributes"),
    ({"customAttributes": {"a b": "x"}}, "customAttributes.a b"),
    ({"customAttributes": {"": "x"}}, "customAttributes."),
    ({"customAttributes": {"a\n": "x"}}, "customAttributes.a\n"),
    ({"customAttributes": {"a": 1}}, "customAttributes.a"),
    ({"customAttributes": {"a": None}}, "customAttributes.a"),
    ({"userID": "x" * 100}, "userID"),
    ({"userID": ""}, "userID"),
    ({"userID": None}, "userID"),
    ({"userID": 7}, "userID"),
    ({"type": "user"}, "type"),
    ({"type": ["interlocutor"]}, "type"),
    ({"type": None}, "type"),
]


@pytest.mark.parametrize(("wrong", "path"), BAD_ATTRIBUTES)
def test_a_wrong_field_is_named_at_creation_and_update(house: House, wrong: Any, path: str) -> None:
    person = house.meet("u", firstName="Ann")
    body = {"type": "interlocutor", "userID": "u", "firstName": "Eve", **wrong}
    wanted = [path.split(".")]
    assert refused(house.send("POST", CREATE, body), 422, "validation_error") == wanted
    answer = house.send("PUT", f"/interlocutors/{person}", body, token=PRIVATE)
    assert refused(answer, 422, "validation_error") == wanted
    assert house.show(person)["firstName"] == "Ann"


def test_all_problems_are_told_at_once(house: House) -> None:
    answer = house.send("POST", CREATE, {"firstName": 1, "customAttributes": {"a": 1, "-": "x"}})
    assert refused(answer, 422, "validation_error") == [
        ["type"],
        ["userID"],
        ["firstName"],
        ["customAttributes", "a"],
        ["customAttributes", "-"],
    ]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'"x"', b"a=b", b"\xff", b"[" * 99])
def test_a_body_that_is_no_object_is_400(house: House, raw: bytes) -> None:
    person = house.meet()
    refused(house.send("POST", CREATE, raw=raw), 400, "bad_request")
    refused(house.send("POST", f"/interlocutors/{person}/reply", raw=raw), 400, "bad_request")
    answer = house.send("PUT", f"/interlocutors/{person}", raw=raw, token=PRIVATE)
    refused(answer, 400, "bad_request")


# --- socket tokens -----------------------------------------------------------------------------


def test_a_socket_token_is_told_once(house: House) -> None:
    first = house.create("u", "?use_websocket=1")
    assert re.fullmatch("[A-Za-z0-9_-]{32}", first["socketToken"])
    assert house.create("u", "?use_websocket=1") == {"type": "interlocutor", "id": first["id"]}
    assert "socketToken" not in house.show(first["id"])


@pytest.mark.parametrize(
    ("query", "tells"),
    [("?use_websocket=0", False), ("?use_websocket=False", False), ("", False)]
    + [(f"?use_websocket={value}", True) for value in ("1", "true", "", "yes")],
)
def test_who_wants_a_socket_token_says_so(house: House, query: str, tells: bool) -> None:
    house.meet("later")
    assert ("socketToken" in house.create("new", query)) == tells
    assert ("socketToken" in house.create("later", query)) == tells


def test_the_first_socket_token_of_the_caller_counts(house: House) -> None:
    person = house.meet("u")
    assert "socketToken" not in house.create("u", socketToken="mine")
    assert "socketToken" not in house.create("u", "?use_websocket=1", socketToken="other")
    assert house.reply(person, said("x"), token=envelope("mine", person)).status_code == 200
    assert house.reply(person, said("x"), token=envelope("other", person)).status_code == 401
    new = house.create("v", "?use_websocket=1", socketToken="told")
    assert new["socketToken"] == "told"
    body = {"type": "interlocutor", "userID": "w", "socketToken": 1}
    assert refused(house.send("POST", CREATE, body), 422, "validation_error") == [["socketToken"]]


# --- reading and updating ----------------------------------------------------------------------

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000")


def test_a_new_interlocutor_has_every_key(house: House) -> None:
    person = house.meet("u")
    shown = house.show(person)
    assert DATE.fullmatch(shown.pop("createdAt"))
    assert shown == {
        "type": "interlocutor",
        "id": person,
        "userID": "u",
        "externalID": None,
        "location": None,
        "firstName": None,
        "lastName": None,
        "lastReplyAt": None,
        "email": None,
        "phoneNumber": None,
        "customAttributes": {},
        "botID": TEA,
    }
    alias = house.send("GET", f"/bots/{TEA}/interlocutors/{person}", token=PRIVATE)
    assert alias.json()["data"]["id"] == person


def test_an_update_overwrites_clears_keeps_and_merges(house: House) -> None:
    person = house.meet("u", firstName="Ann", email="a@b", customAttributes={"a": "1", "é_2": "2"})
    body = {
        "type": "interlocutor",
        "userID": "another",
        "id": NOBODY,
        "socketToken": 5,
        "email": None,
        "location": {"lat": 1, "long": -2.5, "name": "here"},
        "customAttributes": {"é_2": "3", "c": "4"},
    }
    answer = house.send("PUT", f"/bots/{TEA}/interlocutors/{person}", body, token=PRIVATE)
    assert (answer.status_code, answer.content) == (204, b"")
    shown = house.show(person)
    assert (shown["userID"], shown["firstName"], shown["email"]) == ("u", "Ann", None)
    assert shown["customAttributes"] == {"a": "1", "é_2": "3", "c": "4"}
    assert shown["location"] == {"lat": 1, "long": -2.5}
    cleared = {"type": "interlocutor", "userID": "u", "location": None}
    house.send("PUT", f"/interlocutors/{person}", cleared, token=PRIVATE)
    assert house.show(person)["location"] is None


def test_an_update_during_a_turn_is_kept_and_so_is_the_turn(house: House) -> None:
    person = house.meet("u")

    async def both() -> list[httpx.Response]:
        body = {"type": "interlocutor", "userID": "u", "firstName": "Ann"}
        path = f"/interlocutors/{person}"
        turn = asyncio.create_task(house.call("POST", f"{path}/reply", said("long")))
        await house.until_a_turn_runs()
        update = house.call("PUT", path, body, token=PRIVATE)
        return list(await asyncio.gather(turn, update))

    turn, update = house.runner.run(both())
    assert (turn.status_code, update.status_code) == (200, 204)
    shown = house.show(person)
    assert shown["firstName"] == "Ann"
    assert DATE.fullmatch(shown["lastReplyAt"])


# --- replies -----------------------------------------------------------------------------------


def test_an_answer_has_every_field(house: House) -> None:
    person = house.meet()
    answer = house.reply(person, {**said("/order"), "more": 1})
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    here = {"type": "step", "id": step("Order", "start"), "name": "start"}
    text = {"type": "send_text_action", "alternatives": ["Which tea?"], "text": "Which tea?"}
    assert answer.json() == {
        "data": {
            "fulfillment": {"actions": [text], "source": {"type": "step_actions", "step": here}},
            "session": {"values": {}},
            "interlocutor": {"type": "interlocutor", "id": person, "location": None},
            "input": said("/order"),
            "debug": None,
        }
    }
    data = house.data(person, said("oolong"))
    assert texts(data) == ["How many oolong?"]
    assert data["fulfillment"]["source"]["step"]["name"] == "cups"
    assert data["session"]["values"] == {"tea": "oolong"}


def test_the_last_reply_is_dated(house: House) -> None:
    person = house.meet()
    house.data(person, said("x"))
    assert DATE.fullmatch(house.show(person)["lastReplyAt"])


def test_a_custom_event_is_a_payload(house: House) -> None:
    person = house.meet()
    data = house.data(person, {"type": "custom_event", "name": "TEA"})
    assert texts(data) == ["Which tea?"]
    assert data["input"] == {"type": "custom_event", "name": "TEA"}
    data = house.data(person, {"type": "custom_event", "name": "ROOIBOS"})
    assert data["session"]["values"] == {"tea": "ROOIBOS"}


def test_a_jump_writes_its_values_first_and_they_are_shown_plain(house: House) -> None:
    person = house.meet()
    body = go("step", step("Cellar", "down"), sessionValues={"lamp": "oil", "n": 3}, label="x")
    data = house.data(person, body, "?debug=1")
    assert texts(data) == ["Down with oil."]
    button = {"title": "x", "payload": "x", "accepts": ["x", "x"]}
    found = {"a": {"b": [1, None]}, "button": button}
    assert data["session"]["values"] == {"lamp": "oil", "n": 3, "found": found}
    target = {"type": "step", "id": step("Cellar", "down"), "name": "down"}
    values = {"lamp": "oil", "n": 3}
    assert data["input"] == {"type": "go_to_action", "target": target, "sessionValues": values}
    kinds = [action["type"] for action in data["fulfillment"]["actions"]]
    assert kinds == ["send_text_action", "send_quick_replies_action", "wait_action"]
    logs = data["debug"]["logs"]
    assert [(log["type"], log["level"]) for log in logs] == [
        ("error", "error"),
        ("degraded", "warning"),
    ]
    assert all(DATE.fullmatch(log["createdAt"]) for log in logs)
    assert (data["debug"]["intentDetections"], data["debug"]["webhookCalls"]) == ([], [])
    data = house.data(person, go("story", story("Cellar"), sessionValues={"n": None}))
    assert texts(data) == ["oil"]
    assert "n" not in data["session"]["values"]
    assert data["input"]["target"]["name"] == "Cellar"


def test_an_encoded_jump_is_followed_only_from_a_button(house: House) -> None:
    person = house.meet()
    payload = f'goto:step:{step("Cellar", "down")}:{{"lamp":"wax"}}'
    click = {"type": "legacy_reply_to_message_action", "message": payload}
    data = house.data(person, click)
    assert texts(data) == ["Down with wax."]
    assert data["input"] == click
    for body in (said(payload[:60]), {"type": "custom_event", "name": payload}):
        assert texts(house.data(person, body))[0].startswith("heard goto:")
    unknown = {**click, "message": f"goto:step:{NOBODY}"}
    assert texts(house.data(person, unknown)) == [f"heard goto:step:{NOBODY}"]


def test_a_click_is_a_payload_and_the_webhook_form_a_text(house: House) -> None:
    person = house.meet()
    files = [{"url": "https://a.example/cv.pdf", "name": "cv"}]
    click = {"type": "legacy_reply_to_message_action", "message": "TEA", "attachments": files}
    data = house.data(person, click)
    assert (texts(data), data["input"]) == (["Which tea?"], click)
    message = {"type": "message", "text": "mint", "attachments": []}
    data = house.data(person, message)
    assert (data["session"]["values"], data["input"]) == ({"tea": "mint"}, message)


def test_satisfaction_goes_to_its_target_or_nowhere(house: House) -> None:
    person = house.meet()
    house.data(person, said("/order"))
    house.data(person, said("mint"))
    target = {"type": "story", "id": story("Order"), "name": "?"}
    body = {"type": "customer_satisfaction_callback_action", "kind": "positive", "target": target}
    data = house.data(person, {**body, "target": None}, "?debug=1")
    assert data["fulfillment"] == {"actions": [], "source": None}
    assert data["session"]["values"] == {"tea": "mint"}
    assert data["debug"]["logs"] == []
    data = house.data(person, body)
    assert texts(data) == ["Which tea?"]
    assert data["session"]["values"] == {"tea": "mint"}
    assert data["input"] == {**body, "target": {**target, "name": "Order"}}


def test_an_opened_page_is_answered_with_nothing_and_dated(house: House) -> None:
    person = house.meet()
    house.data(person, said("/order"))
    opened = {"type": "url_loaded_event", "url": "https://a.example/"}
    data = house.data(person, {**opened, "location": {"lat": 1, "long": 2}})
    assert data["fulfillment"] == {"actions": [], "source": None}
    assert data["input"] == opened
    assert data["interlocutor"]["location"] == {"lat": 1, "long": 2}
    assert house.show(person)["location"] == {"lat": 1, "long": 2}
    assert texts(house.data(person, said("mint"))) == ["How many mint?"]


def test_an_input_that_interrupts_the_bot_is_answered_with_nothing(house: House) -> None:
    body = {"type": "interlocutor", "userID": "u"}
    path = f"/bots/{OTHER}/interlocutors/clustaar_web_chat"
    person = house.send("POST", path, body, token=SINGLE).json()["data"]["id"]
    house.data(person, said("/order"), token=SINGLE)
    house.data(person, said("mint"), token=SINGLE)
    house.data(person, said("2"), token=SINGLE)

    async def both() -> list[httpx.Response]:
        path = f"/interlocutors/{person}/reply"
        turn = asyncio.create_task(house.call("POST", path, said("long"), token=SINGLE))
        await house.until_a_turn_runs()
        return [await house.call("POST", path, said("quick"), token=SINGLE), await turn]

    dropped, turn = (answer.json()["data"] for answer in house.runner.run(both()))
    assert texts(turn) == ["300000"]
    assert dropped["fulfillment"] == {"actions": [], "source": None}
    assert dropped["session"]["values"] == turn["session"]["values"] == {"tea": "mint", "cups": "2"}


@pytest.mark.parametrize(
    "value",
    [2**62, 2**64, -(2**70), 1e308, "\x00", "\u2028😀", [[[[]]]], {"_content_type": 1, "": {}}],
)
def test_session_values_of_any_kind_are_no_failure(house: House, value: Any) -> None:
    person = house.meet()
    body = go("story", story("Cellar"), sessionValues={"lamp": value, "": value, "a b": value})
    data = house.data(person, body)
    assert data["session"]["values"]["lamp"] == value
    assert house.data(person, go("story", story("Cellar")))["session"]["values"]["a b"] == value


def test_a_place_sent_with_any_reply_is_kept(house: House) -> None:
    person = house.meet("u", firstName="Ann")
    place = {"lat": 48.85, "long": 2.35}
    assert house.data(person, {**said("x"), "location": place})["interlocutor"]["location"] == place
    data = house.data(person, {**said("x"), "location": None})
    assert data["interlocutor"]["location"] == place
    shown = house.show(person)
    assert (shown["location"], shown["firstName"]) == (place, "Ann")


BAD_REPLIES: list[tuple[Any, list[str]]] = [
    ({}, ["type"]),
    ({"type": None}, ["type"]),
    ({"type": {}}, ["type"]),
    ({"type": "shout", "message": "x"}, ["type"]),
    ({"type": "text"}, ["message"]),
    ({"type": "text", "message": ""}, ["message"]),
    ({"type": "text", "message": "x" * 500}, ["message"]),
    ({"type": "text", "message": 1}, ["message"]),
    ({"type": "text", "message": "x", "location": "here"}, ["location"]),
    ({"type": "text", "message": "x", "location": {"lat": 1}}, ["location", "long"]),
    ({"type": "message", "text": "x" * 500}, ["text"]),
    ({"type": "message", "text": "x", "attachments": "a"}, ["attachments"]),
    ({"type": "message", "text": "x", "attachments": [1]}, ["attachments"]),
    ({"type": "message", "text": "x", "attachments": [{}]}, ["attachments", "0", "url"]),
    ({"type": "legacy_reply_to_message_action", "message": "x" * 1001}, ["message"]),
    ({"type": "legacy_reply_to_message_action"}, ["message"]),
    ({"type": "custom_event"}, ["name"]),
    ({"type": "custom_event", "name": ""}, ["name"]),
    ({"type": "custom_event", "name": 5}, ["name"]),
    ({"type": "url_loaded_event"}, ["url"]),
    ({"type": "go_to_action"}, ["target"]),
    ({"type": "go_to_action", "target": None}, ["target"]),
    ({"type": "go_to_action", "target": "x"}, ["target"]),
    ({"type": "go_to_action", "target": {"type": "step"}}, ["target", "id"]),
    ({"type": "go_to_action", "target": {"id": NOBODY}}, ["target", "type"]),
    (go("actions_block", NOBODY), ["target", "type"]),
    (go("step", "short"), ["target", "id"]),
    (go("step", NOBODY), ["target", "id"]),
    (go("story", NOBODY), ["target", "id"]),
    (go("story", step("Order", "start")), ["target", "id"]),
    (go("step", step("Order", "start"), sessionValues=[1]), ["sessionValues"]),
    ({"type": "customer_satisfaction_callback_action", "target": None}, ["kind"]),
    ({"type": "customer_satisfaction_callback_action", "kind": "positive"}, ["target"]),
]


@pytest.mark.parametrize(("body", "path"), BAD_REPLIES)
def test_a_bad_reply_is_422_and_changes_nothing(house: House, body: Any, path: list[str]) -> None:
    person = house.meet()
    assert refused(house.reply(person, body), 422, "validation_error") == [path]
    assert house.show(person)["lastReplyAt"] is None
    assert house.data(person, said("x"))["session"]["values"] == {}


def test_lengths_are_counted_in_characters(house: House) -> None:
    person = house.meet()
    assert house.reply(person, said("😀" * 499)).status_code == 200
    assert house.reply(person, said("😀" * 500)).status_code == 422


@pytest.mark.parametrize("query", ["", "?debug=0", "?debug=true", "?debug=", "?debug=01"])
def test_only_debug_1_switches_debugging_on(house: House, query: str) -> None:
    assert house.data(house.meet(), {**said("x"), "debug": 1}, query)["debug"] is None


def test_a_query_with_too_many_fields_is_400(house: House) -> None:
    query = "?" + "&".join(f"a{n}=1" for n in range(300))
    refused(house.reply(house.meet(), said("x"), query), 400, "bad_request")


# --- repeats -----------------------------------------------------------------------------------


def test_an_idempotency_key_repeats_the_answer(house: House) -> None:
    person = house.meet()
    key = {"idempotency-key": "k"}
    house.data(person, said("/order"))
    first = house.reply(person, said("mint"), headers=key)
    assert house.reply(person, said("mint"), headers=key).content == first.content
    refused(house.reply(person, said("oolong"), headers=key), 422, "validation_error")
    assert house.data(person, said("2"))["session"]["values"] == {"tea": "mint", "cups": "2"}


def test_creations_and_unanswered_inputs_are_repeated_too(house: House) -> None:
    key = {"idempotency-key": "k"}
    body = {"type": "interlocutor", "userID": "u"}
    path = f"{CREATE}?use_websocket=1"
    first = house.send("POST", path, body, headers=key)
    assert "socketToken" in first.json()["data"]
    assert house.send("POST", path, body, headers=key).content == first.content
    person = first.json()["data"]["id"]
    opened = {"type": "url_loaded_event", "url": "https://a.example/"}
    first = house.reply(person, opened, headers=key)
    assert house.reply(person, opened, headers=key).content == first.content
    refused(house.reply(person, said("x"), headers=key), 422, "validation_error")


# --- methods and pages -------------------------------------------------------------------------


def test_another_method_is_405_and_names_the_others(house: House) -> None:
    for method, path, allow in (
        ("GET", f"/interlocutors/{NOBODY}/reply", "POST"),
        ("DELETE", f"/interlocutors/{NOBODY}", "GET, HEAD, PUT"),
        ("GET", CREATE, "POST"),
    ):
        answer = house.send(method, path)
        refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == allow


def test_a_page_of_any_origin_may_call(house: House) -> None:
    for path in (CREATE, f"/interlocutors/{NOBODY}/reply", f"/interlocutors/{NOBODY}"):
        answer = house.send("OPTIONS", path, token=None)
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-allow-headers"].startswith(
            "Authorization, Content-Type"
        )
    assert house.reply(house.meet(), said("x")).headers["access-control-allow-origin"] == "*"
