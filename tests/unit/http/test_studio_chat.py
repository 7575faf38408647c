"""The Studio's Chat API and its gate. Spec: csml-studio-api §2, §3."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from palaver.errors import ConversationBusy, Throttled, Unauthenticated
from palaver.http.dialects.studio import Studio
from palaver.http.keys import Throttle, is_signed
from palaver.http.request import Request
from palaver.model import Client
from tests.unit.http.fakes import CHANNEL, NOW, UUID_BOT, WEBHOOK, Caller

HELLO: dict[str, Any] = {
    "client": {"user_id": "u"},
    "metadata": {},
    "payload": {"content_type": "text", "content": {"text": "Hello"}},
}
ID = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


def chat(caller: Caller, body: Any = HELLO, **options: Any) -> Any:
    return caller.send("POST", "/v1/api/chat", body, **{"key": "KEY", **options})


def said(content_type: str, **content: Any) -> dict[str, Any]:
    return {**HELLO, "payload": {"content_type": content_type, "content": content}}


def without(*path: str) -> dict[str, Any]:
    """HELLO without the field at the path."""
    name, *rest = path
    if not rest:
        return {key: value for key, value in HELLO.items() if key != name}
    inner = {key: value for key, value in HELLO[name].items() if key != rest[0]}
    return {**HELLO, name: inner}


def test_a_text_gets_all_documented_fields(caller: Caller) -> None:
    answer = chat(caller, {**HELLO, "request_id": "mine", "sandbox": True})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json() == {
        "messages": [
            {
                "payload": {"content_type": "text", "content": {"text": "1: Hello"}},
                "interaction_order": 2,
                "conversation_id": "conv",
                "direction": "SEND",
            }
        ],
        "conversation_end": True,
        "request_id": "mine",
        "received_at": "2026-01-05T09:30:00.123Z",
        "client": {"bot_id": UUID_BOT, "channel_id": CHANNEL, "user_id": "u"},
    }
    ask = caller.chat.asks[0]
    assert ask.client == Client("pizza", CHANNEL, "u")
    assert ask.bot == "runnable pizza"  # type: ignore[comparison-overlap]
    assert ask.shown_bot_id == UUID_BOT
    assert (ask.webhook_url, ask.end_notice) == (WEBHOOK, True)


def test_all_addresses_are_one_handler(caller: Caller) -> None:
    for path in ("/prod/api/chat", "/studio/v1/api/chat", "/studio/prod/api/chat"):
        assert caller.send("POST", path, HELLO, key="KEY").status_code == 200
    assert chat(caller).json()["request_id"] != chat(caller).json()["request_id"]


def test_the_channel_is_added_to_the_metadata_by_the_server(caller: Caller) -> None:
    chat(caller, {**HELLO, "metadata": {"n": 1, "_channel": {"type": "forged"}}})
    chat(caller, {**HELLO, "metadata": None})
    chat(caller, without("metadata"))
    channel = {"type": "api", "name": "Pizza & <Co>"}
    assert [ask.metadata for ask in caller.chat.asks] == [
        {"n": 1, "_channel": channel},
        {"_channel": channel},
        {"_channel": channel},
    ]


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (said("text", text=""), ""),
        (said("text", text="Grüße 🥐", colour="blue"), "Grüße 🥐"),
        (said("payload", payload="BUY", title="Buy"), "BUY"),
        (said("image", url="https://x/1.png"), "https://x/1.png"),
        (said("file", url="https://x/1.pdf"), "https://x/1.pdf"),
        (said("flow_trigger", flow_id="Menu"), '{"flow_id":"Menu"}'),
    ],
)
def test_the_value_of_an_event(caller: Caller, body: Any, value: str) -> None:
    assert chat(caller, body).status_code == 200
    event = caller.chat.asks[0].event
    assert event.value == value
    assert event.content == body["payload"]["content"]


@pytest.mark.parametrize(
    "body",
    [
        [1, 2],
        {},
        without("client"),
        without("payload"),
        without("client", "user_id"),
        without("payload", "content_type"),
        without("payload", "content"),
        {**HELLO, "client": "u"},
        {**HELLO, "client": {"user_id": 7}},
        {**HELLO, "client": {"user_id": ""}},
        {**HELLO, "metadata": [1]},
        {**HELLO, "metadata": "x"},
        {**HELLO, "request_id": 5},
        {**HELLO, "callback_url": 5},
        {**HELLO, "payload": "Hello"},
        {**HELLO, "payload": {"content_type": "text", "content": "Hello"}},
        {**HELLO, "payload": {"content_type": 4, "content": {}}},
        said("hologram", text="x"),
        said("regex", payload="x"),
        said("text"),
        said("text", text=5),
        said("payload", text="x"),
        said("file", url=None),
        said("flow_trigger", step_id="start"),
        said("flow_trigger", flow_id=3),
        said("flow_trigger", flow_id="a", step_id=3),
        said("flow_trigger", flow_id="a", close_flows="yes"),
    ],
)
def test_a_bad_body_is_400_in_the_error_shape(caller: Caller, body: Any) -> None:
    answer = chat(caller, body)
    assert answer.status_code == 400
    error = answer.json()
    assert (error["statusCode"], error["error"]) == (400, "Bad Request")
    assert error["message"]
    assert set(error) == {"statusCode", "error", "message"}
    assert caller.chat.asks == []


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b'{"client": ', b"\xff\xfe", b'{"a": "\xff"}', b"[" * 10_000 + b"]" * 10_000],
)
def test_what_is_not_json_is_400(caller: Caller, raw: bytes) -> None:
    assert chat(caller, None, raw=raw).status_code == 400


@pytest.mark.parametrize(
    "content_type", ["text/plain", "", "application/x-www-form-urlencoded", "application/json"]
)
def test_the_body_is_json_whatever_its_type_says(caller: Caller, content_type: str) -> None:
    assert chat(caller, HELLO, headers={"content-type": content_type}).status_code == 200


def test_eight_mebibytes_are_read_and_one_byte_more_is_413(caller: Caller) -> None:
    import json

    body = json.dumps(HELLO).encode()
    assert chat(caller, None, raw=body.ljust(8 * 1024 * 1024)).status_code == 200
    answer = chat(caller, None, raw=body.ljust(8 * 1024 * 1024 + 1))
    assert answer.status_code == 413
    assert answer.json()["statusCode"] == 413


# --- conversations ---------------------------------------------------------------------------


def test_close_flows_closes_first_and_does_not_relaunch(caller: Caller) -> None:
    chat(caller, said("flow_trigger", flow_id="a", close_flows=True))
    chat(caller, said("flow_trigger", flow_id="a", close_flows=False))
    chat(caller, HELLO)
    caller.bot.relaunch = False
    chat(caller, said("flow_trigger", flow_id="a"))
    assert [(ask.closes_first, ask.relaunches) for ask in caller.chat.asks] == [
        (True, False),
        (False, True),
        (False, False),
        (False, False),
    ]


@pytest.mark.parametrize(
    ("payload", "content", "memories"),
    [
        ("goto:step:" + "a" * 24, {"flow_id": "Order", "step_id": "size"}, {}),
        ("goto:story:" + "f" * 24, {"flow_id": "Order"}, {}),
        ("goto:story:" + "f" * 24 + ':{"a":[1]}', {"flow_id": "Order"}, {"a": [1]}),
    ],
)
def test_a_payload_that_encodes_a_jump_is_the_jump(
    caller: Caller, payload: str, content: Any, memories: Any
) -> None:
    chat(caller, said("payload", payload=payload))
    ask = caller.chat.asks[0]
    assert (ask.event.content_type, ask.event.content) == ("flow_trigger", content)
    assert ask.memories == memories
    assert not ask.closes_first
    assert not ask.relaunches


@pytest.mark.parametrize(
    "payload",
    [
        "goto:",
        "goto:step:" + "b" * 24,
        "goto:tower:" + "a" * 24,
        "goto:step:" + "f" * 24,
        "goto:story:Order",
        "goto:step:" + "a" * 24 + ":[1]",
        "goto:step:" + "a" * 24 + ":{",
    ],
)
def test_a_jump_to_nothing_is_an_ordinary_payload(caller: Caller, payload: str) -> None:
    chat(caller, said("payload", payload=payload))
    chat(caller, said("text", text="goto:step:" + "a" * 24))
    assert caller.chat.asks[0].event.value == payload
    assert caller.chat.asks[1].event.content_type == "text"


def test_a_dropped_event_is_a_turn_without_messages(caller: Caller) -> None:
    caller.chat.dropped = True
    answer = chat(caller).json()
    assert (answer["messages"], answer["conversation_end"]) == ([], False)


def test_a_busy_client_is_503(caller: Caller) -> None:
    caller.chat.fails = ConversationBusy("busy")
    answer = chat(caller)
    assert (answer.status_code, answer.json()["error"]) == (503, "Service Unavailable")


# --- repeats ---------------------------------------------------------------------------------


def test_a_uuid_with_the_same_event_is_a_repeat_of_the_same_client(caller: Caller) -> None:
    body = {**HELLO, "request_id": ID}
    first = chat(caller, body)
    assert chat(caller, {**body, "callback_url": None}).content == first.content
    assert chat(caller, {**body, "client": {"user_id": "v"}}).content != first.content
    assert chat(caller, {**body, "metadata": {"a": 1}}).content != first.content
    assert chat(caller, {**said("text", text="x"), "request_id": ID}).status_code == 200
    assert len(caller.chat.asks) == 4


def test_an_idempotency_key_is_one_of_key_and_route(caller: Caller) -> None:
    once = {"Idempotency-Key": "k"}
    first = chat(caller, headers=once)
    again = caller.send(
        "POST", "/prod/api/chat", HELLO, headers={**once, "X-Api-Key": "KEY|1600000000"}
    )
    assert again.content == first.content
    other = chat(caller, said("text", text="x"), headers=once)
    assert (other.status_code, other.json()["error"]) == (422, "Unprocessable Entity")
    assert len(caller.chat.asks) == 1


# --- the gate --------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [None, "", "nosuchkey", "|1", "key"])
def test_without_a_known_key_it_is_401(caller: Caller, key: str | None) -> None:
    answer = chat(caller, key=key, headers={"origin": "https://shop.example"})
    assert answer.status_code == 401
    assert answer.json()["error"] == "Unauthorized"
    assert answer.headers["access-control-allow-origin"] == "*"


def test_on_a_public_endpoint_only_the_key_counts(caller: Caller) -> None:
    assert chat(caller, headers={"X-Api-Key": "KEY|1", "X-Api-Signature": "x"}).status_code == 200


def test_preflights_need_no_key(caller: Caller) -> None:
    for path in ("/v1/api/chat", "/prod/api/chat", "/studio/v1/api/chat"):
        answer = caller.send("OPTIONS", path, headers={"origin": "https://shop.example"})
        assert answer.status_code == 204
        assert answer.headers["access-control-allow-methods"] == "POST"
        allowed = answer.headers["access-control-allow-headers"].lower()
        assert {"content-type", "accept", "x-api-key", "x-api-signature"} <= set(
            allowed.split(", ")
        )


def test_a_wrong_method_is_405_and_an_unknown_path_404(caller: Caller) -> None:
    answer = caller.send("GET", "/v1/api/chat", key="KEY")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.json()["error"] == "Method Not Allowed"
    answer = caller.send("GET", "/v1/api/nothing/here", key="KEY")
    assert (answer.status_code, answer.json()["error"]) == (404, "Not Found")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("more", [{}, {"secure": True}, {"secure": None}])
def test_the_payload_is_recorded_as_it_came(caller: Caller, more: dict[str, Any]) -> None:
    payload = {"content_type": "text", "content": {"text": "hi", "more": 1}, **more}
    assert chat(caller, {"client": {"user_id": "u"}, "payload": payload}).status_code == 200
    event = caller.chat.asks[-1].event
    assert event.received == payload
    assert event.secure is (more.get("secure") is True)
    trigger = {"content_type": "flow_trigger", "content": {"flow_id": "Menu"}, **more}
    assert chat(caller, {"client": {"user_id": "u"}, "payload": trigger}).status_code == 200
    assert caller.chat.asks[-1].event.received == trigger


def test_more_than_the_rate_is_429(caller: Caller) -> None:
    caller.bot.rate = 2
    assert [chat(caller, {}).status_code for _ in range(3)] == [400, 400, 429]
    assert "setting [studio] rate" in chat(caller, {}).json()["message"]


def test_each_of_several_processes_takes_its_share_of_the_rate() -> None:
    caller = Caller(workers=4)
    caller.bot.rate = 8
    assert [chat(caller, {}).status_code for _ in range(3)] == [400, 400, 429]
    answer = chat(caller)
    assert (answer.headers["retry-after"], answer.json()["error"]) == ("1", "Too Many Requests")
    assert caller.chat.asks == []


def test_a_bucket_refills_with_time() -> None:
    now = [0.0]
    throttle = Throttle(lambda: now[0])
    assert [throttle.admit("a", 2) for _ in range(3)] == [True, True, False]
    assert throttle.admit("b", 2)
    now[0] = 0.5
    assert [throttle.admit("a", 2) for _ in range(2)] == [True, False]
    now[0] = 100
    assert [throttle.admit("a", 2) for _ in range(3)] == [True, True, False]


# The chat endpoint is public, so the private door is tried by itself.


def private(caller: Caller, key: str, signature: str | None = None, method: str = "GET") -> None:
    (studio,) = (d for d in caller.dialects if isinstance(d, Studio))
    if signature is None:
        made = hmac.new(b"SECRET", key.encode(), hashlib.sha256).hexdigest()
        signature = f"sha256={made}"
    headers = [(b"x-api-key", key.encode()), (b"x-api-signature", signature.encode())]
    scope = {"type": "http", "method": method, "path": "/v1/api/bot", "headers": headers}
    bot = studio.gate.open_private(Request(scope, asyncio.Queue().get, received_at=NOW))
    assert bot is caller.bot  # type: ignore[comparison-overlap]


def stamp(skew: int = 0) -> str:
    return f"KEY|{int(NOW.timestamp()) + skew}"


def test_a_fresh_signature_opens_again_and_again(caller: Caller) -> None:
    for skew in (-299, 0, 0, 299):
        private(caller, stamp(skew))


def test_a_private_endpoint_refuses_everything_else(caller: Caller) -> None:
    good = hmac.new(b"SECRET", stamp().encode(), hashlib.sha256).hexdigest()
    wrong: list[tuple[str, str | None]] = [
        ("KEY", None),
        ("KEY|soon", None),
        ("KEY|", None),
        ("KEY|-5", None),
        ("KEY|" + "9" * 400, None),
        ("none|1", None),
        (stamp(-302), None),
        (stamp(302), None),
        (stamp(), ""),
        (stamp(), "sha256=0000"),
        (stamp(), good),
        (stamp(), f"sha256={good.upper()}"),
        (stamp(), "sha256=é"),
    ]
    for key, signature in wrong:
        with pytest.raises(Unauthenticated):
            private(caller, key, signature)


def test_private_and_public_calls_share_the_throttle(caller: Caller) -> None:
    caller.bot.rate = 1
    private(caller, stamp())
    assert chat(caller).status_code == 429
    with pytest.raises(Throttled):
        private(caller, stamp())


def test_the_worked_example_of_the_document() -> None:
    signature = "sha256=11149dfb1b13c5ab043ec7fa3cda19bbcb11f9090c28e0f267764859fa827996"
    assert is_signed("KEY|1600000000", signature, "SECRET")
    assert not is_signed("KEY|1600000001", signature, "SECRET")
