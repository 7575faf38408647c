"""The engine's REST API. Spec: csml-engine-runtime §19."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from palaver.errors import ConversationBusy, EngineError, Unavailable
from palaver.http.dialects.engine_rest import decode
from palaver.model import Client
from tests.unit.http.fakes import UUID_BOT, Caller

KEY = "engine-key"
BOT: dict[str, Any] = {
    "id": "b",
    "name": "Tiny",
    "default_flow": "main",
    "env": {"CITY": "Oslo"},
    "flows": [{"id": "f", "name": "main", "content": "start:\n  say 1\n", "commands": ["/a"]}],
}
EVENT: dict[str, Any] = {
    "request_id": "r",
    "client": {"bot_id": "b", "channel_id": "c", "user_id": "u"},
    "payload": {"content_type": "text", "content": {"text": "hi"}},
    "metadata": {"n": 1},
}
WHO = "bot_id=b&channel_id=c&user_id=u"


def run(caller: Caller, **body: Any) -> Any:
    return caller.send("POST", "/run", {"bot": BOT, "event": EVENT, **body}, key=KEY)


def event(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**EVENT, **changes}.items() if value is not ...}


# --- running ---------------------------------------------------------------------------------


def test_a_run_answers_with_the_response_object(caller: Caller) -> None:
    answer = run(caller)
    assert answer.status_code == 200
    assert answer.json() == {
        "messages": [
            {
                "payload": {"content_type": "text", "content": {"text": "1: hi"}},
                "interaction_order": 2,
                "conversation_id": "conv",
                "direction": "SEND",
            }
        ],
        "conversation_end": True,
        "request_id": "r",
        "received_at": "2026-01-05T09:30:00.123Z",
        "client": {"bot_id": "b", "channel_id": "c", "user_id": "u"},
    }
    ask = caller.chat.asks[0]
    assert ask.metadata == {"n": 1}
    assert not ask.relaunches
    (asked,) = caller.bots.asked
    assert asked["bot"].flows[0].commands == ("/a",)
    assert asked["bot"].env == {"CITY": "Oslo"}


def test_the_options_of_an_event_are_handed_on(caller: Caller) -> None:
    run(
        caller,
        event=event(
            step_limit=3, ttl_duration=2, low_data_mode=True, callback_url="http://x/", more=1
        ),
    )
    ask = caller.chat.asks[0]
    assert (ask.step_limit, ask.ttl_days, ask.low_data) == (3, 2, True)
    assert ask.callback_url == "http://x/"


def test_callbacks_are_tried_again_as_a_served_bots_folder_says(caller: Caller) -> None:
    caller.bots.bot.retries = 4
    pizza = {**EVENT["client"], "bot_id": "pizza"}
    run(caller, event=event(callback_url="http://x/", client=pizza))
    run(caller, event=event(callback_url="http://x/"))
    run(caller, event=event(client=pizza))
    assert [ask.notice_retries for ask in caller.chat.asks] == [4, 0, 0]


def test_ttl_and_low_data_of_another_type_are_ignored(caller: Caller) -> None:
    run(caller, event=event(ttl_duration="2", low_data_mode="yes"))
    run(caller, event=event(ttl_duration=10**30, low_data_mode=None))
    assert (caller.chat.asks[0].ttl_days, caller.chat.asks[0].low_data) == (None, None)
    assert caller.chat.asks[1].ttl_days == 365_000


@pytest.mark.parametrize("metadata", [None, ..., [1], "x"])
def test_metadata_that_is_no_object_is_empty(caller: Caller, metadata: Any) -> None:
    assert run(caller, event=event(metadata=metadata)).status_code == 200
    assert caller.chat.asks[0].metadata == {}


def test_a_request_id_is_made_when_none_is_given(caller: Caller) -> None:
    assert len(run(caller, event=event(request_id=...)).json()["request_id"]) == 36
    assert run(caller, event=event(request_id="")).json()["request_id"] == ""


def test_a_stored_bot_is_named_and_null_counts_as_absent(caller: Caller) -> None:
    answer = run(
        caller,
        bot=None,
        bot_id="b",
        version_id="v1",
        fn_endpoint="http://apps/",
        multibot=[{"id": "o"}],
    )
    assert answer.status_code == 200
    (asked,) = caller.bots.asked
    assert (asked["bot"], asked["bot_id"], asked["version_id"]) == (None, "b", "v1")
    assert asked["apps_endpoint"] == "http://apps/"
    assert asked["multibot"][0].id == "o"


@pytest.mark.parametrize(
    "body",
    [
        [],
        "text",
        {},
        {"bot": BOT},
        {"event": {}},
        {"event": EVENT},
        {"event": EVENT, "bot": None},
        {"event": EVENT, "version_id": "v"},
        {"event": EVENT, "bot": {"id": "x"}},
        {"event": EVENT, "bot": {**BOT, "flows": {}}},
        {"event": EVENT, "bot": {**BOT, "no_interruption_delay": "x"}},
        {"event": EVENT, "bot": {**BOT, "flows": [{"id": "a", "name": "a", "content": "x"}]}},
        {"event": EVENT, "bot_id": 5},
        {"event": event(request_id=5), "bot": BOT},
        {"event": event(request_id=None), "bot": BOT},
        {"event": event(client="x"), "bot": BOT},
        {"event": event(client={"bot_id": "b", "user_id": "u"}), "bot": BOT},
        {"event": event(payload=...), "bot": BOT},
        {"event": event(step_limit="x"), "bot": BOT},
        {"event": event(step_limit=-1), "bot": BOT},
        {"event": event(step_limit=1.5), "bot": BOT},
    ],
)
def test_a_run_that_cannot_be_decoded_is_400(caller: Caller, body: Any) -> None:
    answer = caller.send("POST", "/run", body, key=KEY)
    assert answer.status_code == 400
    assert answer.json()["code"] == 400
    assert answer.json()["message"]
    assert caller.chat.asks == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff",
        b'{"a": "\xff"}',
        b"[" * 10_000 + b"]" * 10_000,
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    ],
)
def test_what_is_not_json_is_400(caller: Caller, raw: bytes) -> None:
    for path in ("/run", "/validate", "/bots", "/conversations/open", f"/memories?{WHO}"):
        answer = caller.send("POST", path, raw=raw, key=KEY)
        assert answer.status_code == 400, path
        assert answer.json()["code"] == 400


def test_a_body_must_be_announced_as_json(caller: Caller) -> None:
    for content_type in ("text/plain", "", "application/x-www-form-urlencoded"):
        answer = caller.send("POST", "/run", raw=b"{}", headers={"content-type": content_type})
        assert answer.status_code == 400
        assert "Content-Type" in answer.json()["message"]


def test_a_body_that_is_too_large_is_413(caller: Caller) -> None:
    answer = caller.send("POST", "/run", raw=b" " * (8 * 1024 * 1024 + 1), key=KEY)
    assert answer.status_code == 413
    assert answer.json()["code"] == 413


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"content_type": "text", "content": {"text": 4}}, "no text content in event"),
        ({"content_type": "text", "content": "hi"}, "no text content in event"),
        ({"content_type": "smoke", "content": {}}, "smoke is not a valid content_type"),
        ({"content_type": "url", "content": {"text": "x"}}, "no url content in event"),
        ({"content_type": "flow_trigger", "content": {}}, "invalid content for event type"),
        ({"content_type": "regex", "content": {}}, "invalid payload for event type regex"),
        ({"content": {}}, "no content_type in event payload"),
        ("hi", "no content_type in event payload"),
    ],
)
def test_an_event_without_usable_content_is_500(caller: Caller, payload: Any, message: str) -> None:
    answer = run(caller, event=event(payload=payload))
    assert answer.status_code == 500
    assert message in answer.json()["message"]


def test_a_flow_trigger_has_its_content_as_value(caller: Caller) -> None:
    content = {"step_id": None, "flow_id": "f", "a": [1]}
    run(caller, event=event(payload={"content_type": "flow_trigger", "content": content}))
    assert caller.chat.asks[0].event.value == '{"a":[1],"flow_id":"f","step_id":null}'


def test_unknown_bots_and_versions_are_500(caller: Caller) -> None:
    answer = run(caller, bot=None, bot_id="none")
    assert (answer.status_code, answer.json()["message"]) == (500, "bot (none) not found in db")
    assert run(caller, bot=None, bot_id="b", version_id="none").status_code == 500


def test_failures_of_the_services_have_their_status(caller: Caller) -> None:
    for error, status in (
        (EngineError("invalid bot"), 500),
        (ConversationBusy("busy"), 503),
        (Unavailable("gone"), 503),
        (ValueError("bug"), 500),
    ):
        caller.chat.fails = error
        answer = run(caller)
        assert answer.status_code == status
        assert ("retry-after" in answer.headers) == (status == 503)


def test_what_is_wrong_with_the_database_is_for_the_log(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caller.chat.fails = Unavailable("db at 10.0.0.1 refused", public="try again")
    assert run(caller).json() == {"code": 503, "message": "try again"}
    assert "10.0.0.1" in caplog.text


def test_a_dropped_event_is_an_empty_object(caller: Caller) -> None:
    caller.chat.dropped = True
    assert run(caller).content == b"{}"


# --- repeats ---------------------------------------------------------------------------------

ID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


def test_a_uuid_sent_again_with_the_same_event_and_bot_is_a_repeat(caller: Caller) -> None:
    first = run(caller, event=event(request_id=ID))
    assert run(caller, event=event(request_id=ID)).content == first.content
    other = {"content_type": "text", "content": {"text": "other"}}
    assert run(caller, event=event(request_id=ID, payload=other)).content != first.content
    assert run(caller, event=event(request_id=ID, metadata={})).content != first.content
    assert (
        run(caller, event=event(request_id=ID), bot={**BOT, "name": "x"}).content != first.content
    )
    assert len(caller.chat.asks) == 4


def test_another_event_under_the_same_uuid_leaves_the_first_ones_answer_alone(
    caller: Caller,
) -> None:
    first = run(caller, event=event(request_id=ID))
    run(caller, event=event(request_id=ID, metadata={"other": 1}))
    assert run(caller, event=event(request_id=ID)).content == first.content
    assert len(caller.chat.asks) == 2


def test_a_bot_is_the_same_under_its_id_and_its_uuid(caller: Caller) -> None:
    first = run(caller, bot=None, bot_id="pizza", event=event(request_id=ID))
    again = run(caller, bot=None, bot_id=UUID_BOT, event=event(request_id=ID))
    other = run(caller, bot=None, bot_id="pizza", version_id="v", event=event(request_id=ID))
    assert first.content == again.content != other.content


def test_closing_under_an_idempotency_key_closes_once(caller: Caller) -> None:
    def close(user: str) -> Any:
        who = {**EVENT["client"], "user_id": user}
        headers = {"Idempotency-Key": "k"}
        return caller.send("POST", "/conversations/close", who, key=KEY, headers=headers)

    for _ in range(2):
        assert (close("u").status_code, close("u").content) == (200, b"")
    assert [call[0] for call in caller.storage.calls].count("close") == 1
    assert close("v").status_code == 422


def test_metadata_that_count_as_empty_are_equal(caller: Caller) -> None:
    first = run(caller, event=event(request_id=ID, metadata={}))
    for same in (None, ..., [1], "x"):
        assert run(caller, event=event(request_id=ID, metadata=same)).content == first.content


def test_a_request_id_that_is_no_uuid_only_traces(caller: Caller) -> None:
    assert run(caller).content != run(caller).content
    run(caller, event=event(request_id=ID.replace("-", "")))
    run(caller, event=event(request_id=ID.replace("-", "")))
    assert len(caller.chat.asks) == 4


def test_an_idempotency_key_refuses_another_body(caller: Caller) -> None:
    def send(path: str, body: Any) -> Any:
        return caller.send("POST", path, body, key=KEY, headers={"Idempotency-Key": "k"})

    body = {"bot": BOT, "event": EVENT}
    first = send("/run", body)
    assert send("/engine/run", body).content == first.content
    assert send("/run", {**body, "more": 1}).status_code == 422
    assert len(caller.chat.asks) == 1


# --- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/bots/b"),
        ("DELETE", "/bots/b"),
        ("GET", "/bots/b/versions"),
        ("GET", "/bots/b/versions/v"),
        ("DELETE", "/bots/b/versions/v"),
        ("GET", f"/conversations?{WHO}"),
        ("GET", f"/messages?{WHO}"),
        ("GET", f"/state?{WHO}"),
        ("GET", f"/memories?{WHO}"),
        ("GET", f"/memories/k?{WHO}"),
        ("DELETE", f"/memories?{WHO}"),
        ("DELETE", f"/memories/k?{WHO}"),
        ("DELETE", f"/data/clients?{WHO}"),
        ("DELETE", "/data/bots/b"),
    ],
)
def test_without_the_right_key_the_engine_says_403(caller: Caller, method: str, path: str) -> None:
    for key in (None, "wrong", "engine-key ", "KEY"):
        for prefix in ("", "/engine"):
            assert caller.send(method, prefix + path, key=key).status_code == 403
    for key in ("engine-key", "server-key"):
        assert caller.send(method, path, key=key).status_code in (200, 204, 404)
    assert caller.storage.calls == [] or caller.storage.calls[0][0] != "delete_expired"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/run", {"bot": BOT, "event": EVENT}),
        ("/bots", BOT),
        ("/conversations/open", EVENT["client"]),
        ("/conversations/close", EVENT["client"]),
        (f"/memories?{WHO}", {"key": "k", "value": 1}),
    ],
)
def test_decoding_comes_before_the_key(caller: Caller, path: str, body: Any) -> None:
    assert caller.send("POST", path, body).status_code == 403
    assert caller.send("POST", path, {}).status_code == 400
    assert caller.chat.asks == []
    assert caller.storage.memories == {}


def test_a_query_is_decoded_before_the_key_too(caller: Caller) -> None:
    for path in ("/memories?bot_id=b", "/messages?" + WHO + "&limit=x", "/state"):
        assert caller.send("GET", path).status_code == 400


def test_an_open_engine_asks_for_no_key(caller: Caller) -> None:
    caller.access.engine_is_open = True
    assert caller.send("POST", "/run", {"bot": BOT, "event": EVENT}).status_code == 200
    assert caller.send("GET", "/status").json()["server_auth_enabled"] is False


def test_pages_of_other_origins_are_refused(caller: Caller) -> None:
    for path in ("/status", "/nothing"):
        answer = caller.send("GET", path, headers={"origin": "https://evil.example"})
        if path == "/status":
            assert answer.status_code == 400
            assert answer.json()["message"] == "Origin is not allowed to make this request"
    assert caller.send("GET", "/status", headers={"origin": "http://test"}).status_code == 200


# --- status and validation -------------------------------------------------------------------


def test_status_tells_what_runs(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEBUG", raising=False)
    assert caller.send("GET", "/engine/status").json() == {
        "server_ready": True,
        "database_type": "memory",
        "server_port": 8000,
        "server_auth_enabled": True,
        "encryption_enabled": False,
        "debug_mode_enabled": False,
        "csml_log_level": caller.send("GET", "/status").json()["csml_log_level"],
        "engine_version": "0.1.0",
    }


def test_status_tells_of_debug_when_the_variable_is_there(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEBUG", "false")
    assert caller.send("GET", "/status").json()["debug_mode_enabled"] is True


def test_status_tells_of_a_database_in_trouble(caller: Caller) -> None:
    caller.storage.broken = Unavailable("disk full")
    status = caller.send("GET", "/status").json()
    assert (status["server_ready"], status["database_type"]) == (False, "Setup error: disk full")


def test_validate_needs_no_key_and_says_where(caller: Caller) -> None:
    assert caller.send("POST", "/validate", BOT).json() == {"valid": True, "errors": []}
    broken = {**BOT, "flows": [{**BOT["flows"][0], "content": "start:\n  break\n"}]}
    assert caller.send("POST", "/engine/validate", broken).json() == {
        "valid": False,
        "errors": [
            {
                "flow": "main",
                "start_line": 3,
                "start_column": 3,
                "end_line": None,
                "end_column": None,
                "message": "at line 3,\n'break'",
            }
        ],
    }


# --- versions --------------------------------------------------------------------------------


def test_versions_are_stored_and_shown(caller: Caller) -> None:
    made = caller.send("POST", "/bots", BOT, key=KEY)
    assert made.status_code == 201
    assert made.json() == {"version_id": "v1", "engine_version": "0.1.0"}
    flat = caller.send("GET", "/bots/b", key=KEY).json()
    assert flat == {
        "id": "b",
        "name": "Tiny",
        "apps_endpoint": None,
        "flows": BOT["flows"],
        "default_flow": "main",
        "no_interruption_delay": None,
        "env": {"CITY": "Oslo"},
        "version_id": "v1",
        "engine_version": "0.1.0",
    }
    assert caller.send("GET", "/bots/b/versions/v1", key=KEY).json() == flat
    with_parts = {**BOT, "custom_components": {"C": {"params": []}}, "fn_endpoint": "http://a"}
    caller.send("POST", "/bots", with_parts, key=KEY)
    listed = caller.send("GET", "/bots/b/versions?limit=1", key=KEY).json()
    assert listed == {
        "bots": [
            {
                "version_id": "v2",
                "id": "b",
                "name": "Tiny",
                "default_flow": "main",
                "engine_version": "0.1.0",
                "created_at": "2026-01-05T09:30:00.123Z",
                "custom_components": '{"C":{"params":[]}}',
            }
        ],
        "pagination_key": "more",
    }


def test_a_minimal_bot_is_stored(caller: Caller) -> None:
    bot = {"id": "m", "name": "", "flows": [], "default_flow": ""}
    assert caller.send("POST", "/bots", bot, key=KEY).status_code == 201


def test_an_invalid_bot_is_500(caller: Caller) -> None:
    broken = {**BOT, "flows": [{**BOT["flows"][0], "content": "break"}]}
    assert caller.send("POST", "/bots", broken, key=KEY).status_code == 500


def test_unknown_versions_are_404_and_deleting_them_is_fine(caller: Caller) -> None:
    assert caller.send("GET", "/bots/none", key=KEY).status_code == 404
    assert caller.send("GET", "/bots/none/versions/x", key=KEY).status_code == 404
    assert caller.send("GET", "/bots/none/versions", key=KEY).json() == {"bots": []}
    assert caller.send("DELETE", "/bots/none", key=KEY).status_code == 204
    assert caller.send("DELETE", "/bots/none/versions/x", key=KEY).status_code == 204


def test_the_env_of_a_loaded_bot_is_not_for_other_bots_keys(caller: Caller) -> None:
    caller.send("POST", "/bots", {**BOT, "id": "pizza"}, key=KEY)
    assert caller.send("GET", "/bots/pizza", key=KEY).json()["env"] == {"CITY": "Oslo"}
    other: Any = type(caller.bot)(id="other", uuid="o", hex_id="h")
    caller.access._bots["engine_key", "other-key"] = other
    assert caller.send("GET", "/bots/pizza", key="other-key").json()["env"] is None
    assert caller.send("GET", "/bots/pizza", key="server-key").json()["env"] == {"CITY": "Oslo"}


def test_a_folder_bots_uuid_is_its_id_and_answers_show_what_was_sent(caller: Caller) -> None:
    client = {"bot_id": UUID_BOT, "channel_id": "c", "user_id": "u"}
    answer = run(caller, bot=None, bot_id=UUID_BOT, event=event(client=client))
    assert answer.json()["client"] == client
    ask = caller.chat.asks[0]
    assert ask.client == Client("pizza", "c", "u")
    assert ask.shown_bot_id == UUID_BOT
    assert caller.bots.asked[0]["bot_id"] == "pizza"
    caller.send("POST", "/conversations/close", client, key=KEY)
    assert caller.storage.calls[-1] == ("close", Client("pizza", "c", "u"))
    shown = caller.send("POST", "/conversations/open", client, key=KEY).json()["client"]
    assert shown == client
    caller.send("POST", "/bots", {**BOT, "id": UUID_BOT}, key=KEY)
    assert caller.bots.versions["v1"].bot.id == "pizza"
    assert caller.send("GET", f"/bots/{UUID_BOT}", key=KEY).json()["id"] == UUID_BOT


# --- conversations, messages, state, memories ---------------------------------------------------


def test_the_open_conversation_is_shown_and_none_is_an_empty_body(caller: Caller) -> None:
    answer = caller.send("POST", "/conversations/open", EVENT["client"], key=KEY)
    assert answer.json() == {
        "id": "conv",
        "client": EVENT["client"],
        "flow_id": "Default",
        "step_id": "start",
        "status": "OPEN",
        "last_interaction_at": "2026-01-05T09:30:00.123Z",
        "updated_at": "2026-01-05T09:30:00.123Z",
        "created_at": "2026-01-05T09:30:00.123Z",
    }
    nobody = {**EVENT["client"], "user_id": "nobody"}
    answer = caller.send("POST", "/conversations/open", nobody, key=KEY)
    assert (answer.status_code, answer.content) == (200, b"")
    answer = caller.send("POST", "/conversations/close", nobody, key=KEY)
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("query", "limit", "after"),
    [
        ("", 25, None),
        ("&limit=2", 2, None),
        ("&limit=-1", 25, None),
        ("&limit=1000", 25, None),
        ("&limit=3&pagination_key=", 3, None),
        ("&limit=3&pagination_key=p2", 3, "p2"),
    ],
)
def test_listings_come_in_pages(caller: Caller, query: str, limit: int, after: str | None) -> None:
    answer = caller.send("GET", f"/conversations?{WHO}{query}", key=KEY).json()
    assert answer["pagination_key"] == "p2"
    assert caller.storage.calls == [("conversations", Client("b", "c", "u"), limit, after)]


def test_a_limit_of_zero_is_an_empty_page(caller: Caller) -> None:
    for path, name in (("/conversations", "conversations"), ("/messages", "messages")):
        assert caller.send("GET", f"{path}?{WHO}&limit=0", key=KEY).json() == {name: []}
    assert caller.send("GET", "/bots/b/versions?limit=0", key=KEY).json() == {"bots": []}


@pytest.mark.parametrize("query", ["limit=x", "limit=1.5", "limit=", "limit=٣", "from_date=x"])
def test_numbers_in_queries_must_be_whole(caller: Caller, query: str) -> None:
    assert caller.send("GET", f"/messages?{WHO}&{query}", key=KEY).status_code == 400


def test_messages_are_listed_between_dates(caller: Caller) -> None:
    def asked(query: str) -> tuple[Any, Any]:
        caller.send("GET", f"/messages?{WHO}{query}", key=KEY)
        found = caller.storage.calls[-1][2]
        return found["since"], found["until"]

    since = datetime(2001, 9, 9, 1, 46, 40, tzinfo=UTC)
    assert asked("") == (None, None)
    assert asked("&to_date=1") == (None, None)
    assert asked("&from_date=1000000000") == (since, None)
    assert asked("&from_date=1000000000&to_date=1000000000") == (
        since,
        since.replace(microsecond=999_999),
    )
    assert asked("&from_date=-5&to_date=9999999999999999999")[1].year == 9999
    answer = caller.send("GET", f"/messages?{WHO}", key=KEY).json()
    assert answer == {
        "messages": [
            {
                "client": EVENT["client"],
                "conversation_id": "conv",
                "flow_id": "Default",
                "step_id": "start",
                "direction": "RECEIVE",
                "payload": {"content_type": "text", "content": {"text": "hi"}},
                "interaction_order": 0,
                "message_order": 0,
                "created_at": "2026-01-05T09:30:00.123Z",
                "updated_at": "2026-01-05T09:30:00.123Z",
            }
        ]
    }


def test_the_state_shows_the_hold_or_null(caller: Caller) -> None:
    state = caller.send("GET", f"/state?{WHO}", key=KEY).json()
    assert state == {
        "client": EVENT["client"],
        "type": "hold",
        "value": {
            "index": {"command_index": 0, "loop_index": []},
            "step_vars": {"a": 1},
            "hash": "abc",
            "previous": None,
            "secure": False,
        },
        "created_at": "2026-01-05T09:30:00.123Z",
    }
    nobody = "bot_id=b&channel_id=c&user_id=nobody"
    assert caller.send("GET", f"/state?{nobody}", key=KEY).content == b"null"


def test_memories_are_written_read_and_removed(caller: Caller) -> None:
    created = caller.send("POST", f"/memories?{WHO}", {"key": "größe", "value": [1]}, key=KEY)
    assert (created.status_code, created.content) == (201, b"")
    shown = {"key": "größe", "value": [1], "created_at": "2026-01-05T09:30:00.123Z"}
    assert caller.send("GET", f"/memories?{WHO}", key=KEY).json() == [shown]
    assert caller.send("GET", f"/memories/gr%C3%B6%C3%9Fe?{WHO}", key=KEY).json() == shown
    assert caller.send("GET", f"/memories/none?{WHO}", key=KEY).content == b"null"
    assert caller.send("DELETE", f"/memories/none?{WHO}", key=KEY).status_code == 204
    assert caller.send("DELETE", f"/memories?{WHO}", key=KEY).status_code == 204
    assert caller.send("GET", f"/memories?{WHO}", key=KEY).json() == []
    caller.send("POST", f"/memories?{WHO}", {"key": "n", "value": None}, key=KEY)
    assert caller.send("GET", f"/memories/n?{WHO}", key=KEY).json()["value"] is None


@pytest.mark.parametrize(
    "body",
    [
        {"key": "a-b", "value": 1},
        {"key": "a b", "value": 1},
        {"key": "", "value": 1},
        {"key": "12", "value": 1},
        {"key": "1e5", "value": 1},
        {"key": "inf", "value": 1},
        {"key": "NaN", "value": 1},
        {"key": "k" * 256, "value": 1},
        {"key": "é" * 128, "value": 1},
        {"key": 1, "value": 1},
        {"key": "k"},
        {"value": 1},
        [],
        {"key": "big", "value": "x" * 1024 * 1024},
    ],
)
def test_memories_that_are_not_allowed_are_400(caller: Caller, body: Any) -> None:
    assert caller.send("POST", f"/memories?{WHO}", body, key=KEY).status_code == 400
    assert caller.storage.memories == {}


def test_all_memories_of_a_client_together_have_a_limit(caller: Caller) -> None:
    half = "x" * 600_000
    for key, who, status in (
        ("a", WHO, 201),
        ("a", WHO, 201),
        ("b", WHO, 400),
        ("b", WHO.replace("user_id=u", "user_id=v"), 201),
    ):
        answer = caller.send("POST", f"/memories?{who}", {"key": key, "value": half}, key=KEY)
        assert answer.status_code == status, key
    answer = caller.send("POST", f"/memories?{WHO}", {"key": "b", "value": half}, key=KEY)
    assert "setting max_memory_bytes" in answer.json()["message"]


@pytest.mark.parametrize(("length", "status"), [(1000, 200), (1001, 400), (50_000, 400)])
def test_the_id_of_a_bot_has_a_length_that_databases_can_find(
    caller: Caller, length: int, status: int
) -> None:
    bot_id = "b" * length
    client = {**EVENT["client"], "bot_id": bot_id}
    assert run(caller, event=event(client=client)).status_code == status
    answer = caller.send("GET", f"/state?bot_id={bot_id}&channel_id=c&user_id=u", key=KEY)
    assert answer.status_code == status
    stored = caller.send("POST", "/bots", {**BOT, "id": bot_id}, key=KEY)
    assert stored.status_code == (201 if status == 200 else status)


def test_memory_keys_are_words() -> None:
    for key in ("_", "1a", "a_1", "k" * 255, "größe_2", "1_000", "नाम", "กุ", "½", "ⓐ", "٣"):
        decode.check_memory_key(key)


@pytest.mark.parametrize("query", ["", "bot_id=b&channel_id=c", "channel_id=c&user_id=u"])
def test_the_client_has_three_parts(caller: Caller, query: str) -> None:
    for method, path in (
        ("GET", "/conversations"),
        ("GET", "/messages"),
        ("GET", "/state"),
        ("GET", "/memories"),
        ("GET", "/memories/a"),
        ("DELETE", "/memories"),
        ("DELETE", "/memories/a"),
        ("DELETE", "/data/clients"),
    ):
        assert caller.send(method, f"{path}?{query}", key=KEY).status_code == 400
    body = {"key": "a", "value": 1}
    assert caller.send("POST", f"/memories?{query}", body, key=KEY).status_code == 400


def test_data_are_removed(caller: Caller) -> None:
    assert caller.send("DELETE", f"/data/clients?{WHO}", key=KEY).status_code == 204
    assert caller.send("DELETE", f"/data/bots/{UUID_BOT}", key=KEY).status_code == 204
    cleaned = caller.send("POST", "/data/cleanup")
    assert (cleaned.status_code, cleaned.content) == (200, b"")
    assert caller.storage.calls == [
        ("delete_client", Client("b", "c", "u")),
        ("delete_bot", "pizza"),
        ("delete_expired",),
    ]
    assert caller.bots.forgotten == ["pizza"]
