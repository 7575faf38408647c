"""The dialects as `chat` speaks them, and the session over a server that is not there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from palaver.cli.chat import Link, Session
from palaver.cli.talk import ChatbotTalk, Click, ClustaarTalk, StudioTalk, Talk, said_from_payload
from palaver.problems import EnvironmentFailed

BUTTON = {"content_type": "button", "content": {"title": "Large", "payload": "L"}}
QUESTION = {"content_type": "question", "content": {"title": "Size?", "buttons": [BUTTON]}}

Handler = Callable[[httpx.Request], httpx.Response]


class Terminal:
    """Types lines into a session, and keeps what it was asked and what it shows."""

    def __init__(self, talk: Talk, answers: list[Any], keys: dict[str, str] | None = None) -> None:
        self.talk = talk
        self.answers = answers
        self.keys = {talk.key: "KEY", **(keys or {})}
        self.requests: list[httpx.Request] = []
        self.shown: list[str] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[len(self.requests) - 1]
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(200, json=answer)

    def type(self, *lines: str) -> bool:
        async def all_lines() -> bool:
            transport = httpx.MockTransport(self.handle)
            async with httpx.AsyncClient(transport=transport, base_url="http://h") as http:
                session = Session(self.talk, Link(http, self.keys), self.shown.append)
                return all([await session.take(line) for line in lines])

        return asyncio.run(all_lines())

    def body(self, number: int) -> Any:
        return json.loads(self.requests[number].content)

    def text(self) -> str:
        return "\n".join(self.shown)


def studio_answer(*payloads: Any) -> dict[str, Any]:
    client = {"bot_id": "b", "channel_id": "c", "user_id": "you"}
    return {"messages": [{"payload": payload} for payload in payloads], "client": client}


def test_studio_shows_numbered_buttons_and_presses_them() -> None:
    terminal = Terminal(StudioTalk("you"), [studio_answer(QUESTION), studio_answer()])
    terminal.type("hello", "1")
    assert "Size?" in terminal.text()
    assert "1) Large" in terminal.text()
    assert terminal.requests[0].headers["X-Api-Key"] == "KEY"
    assert terminal.body(0)["payload"] == {"content_type": "text", "content": {"text": "hello"}}
    assert terminal.body(1)["payload"]["content"]["payload"] == "L"


def test_a_number_without_a_button_is_a_text() -> None:
    terminal = Terminal(StudioTalk("you"), [studio_answer(QUESTION), studio_answer()])
    terminal.type("hello", "2")
    assert terminal.body(1)["payload"]["content"] == {"text": "2"}


def test_studio_asks_the_engine_for_memories() -> None:
    memories = [
        {
            "key": "name",
            "value": {"_content_type": "object", "_content": {"first": "Zoë"}},
            "created_at": "",
        }
    ]
    terminal = Terminal(StudioTalk("you"), [studio_answer(), memories], {"engine_key": "E"})
    terminal.type("hello", "/memory")
    assert terminal.requests[1].url.params["channel_id"] == "c"
    assert terminal.requests[1].headers["X-Api-Key"] == "E"
    assert terminal.shown == ['name = {"first": "Zoë"}']


def test_studio_resets_by_closing_the_conversation() -> None:
    terminal = Terminal(StudioTalk("you"), [studio_answer()])
    terminal.type("/reset")
    assert terminal.body(0)["payload"]["content"]["close_flows"] is True


def test_chatbot_talks() -> None:
    quick = {"type": "quickReplies", "title": "Size?", "buttons": []}
    quick["buttons"] = [
        {"type": "postback", "title": "Large", "value": "L"},
        {"type": "goto", "title": "Go", "value": "5c"},
    ]
    result = {
        "fulfillment": [{"type": "text", "message": "Hi"}, quick],
        "sessionParameters": {"a": "b"},
    }
    terminal = Terminal(ChatbotTalk("you"), [{"result": result}] * 4)
    terminal.type("hello", "1", "2", "/memory", "/reset")
    assert terminal.requests[0].headers["Authorization"] == "Bearer KEY"
    assert [terminal.body(n).get("query") for n in range(3)] == ["hello", "L", None]
    assert terminal.body(2)["goto"] == "5c"
    assert terminal.body(3)["trigger"] == "welcome"
    assert len(terminal.body(0)["sessionId"]) >= 10
    assert 'a = "b"' in terminal.shown
    assert terminal.shown[0] == "Hi"


def test_clustaar_meets_once_talks_and_resets() -> None:
    action = {"type": "go_to_action", "target": {"type": "step", "id": "s"}}
    actions = [
        {"type": "send_text_action", "text": "Hi"},
        {"type": "wait_action", "duration": 1},
        {
            "type": "send_quick_replies_action",
            "message": "Size?",
            "buttons": [{"title": "L", "action": action}],
        },
        {"type": "send_cards_action", "cards": [{"title": "T", "subtitle": "S", "buttons": []}]},
    ]
    answer = {"data": {"fulfillment": {"actions": actions}, "session": {"values": {}}}}
    met = {"data": {"type": "interlocutor", "id": "i1"}}
    terminal = Terminal(ClustaarTalk("you", "hex"), [met, answer, answer, met, answer])
    terminal.type("hello", "1", "/reset", "again", "/memory")
    paths = [request.url.path for request in terminal.requests]
    assert paths[0] == "/bots/hex/interlocutors/clustaar_web_chat"
    assert paths[1:3] == ["/interlocutors/i1/reply"] * 2
    assert terminal.body(2) == action
    assert terminal.body(3)["userID"] == "you-1"
    assert terminal.shown[0] == "Hi"
    assert terminal.shown[-1] == "(no memories)"


def test_the_trace_is_the_last_exchange() -> None:
    terminal = Terminal(StudioTalk("you"), [studio_answer(QUESTION)])
    terminal.type("/trace", "hello", "/trace")
    assert "nothing was said yet" in terminal.shown[0]
    assert "POST /v1/api/chat" in terminal.text()


def test_words_that_are_no_command_of_ours_are_the_bots() -> None:
    terminal = Terminal(StudioTalk("you"), [studio_answer()] * 2)
    terminal.type("/help", "/exit")
    said = [terminal.body(n)["payload"]["content"]["text"] for n in range(2)]
    assert said == ["/help", "/exit"]


def test_quit_ends_and_blank_lines_say_nothing() -> None:
    terminal = Terminal(StudioTalk("you"), [])
    assert terminal.type("", "   ")
    assert not terminal.type("/quit")
    assert terminal.requests == []


def test_a_refusal_is_shown_and_the_talk_goes_on() -> None:
    refusal = httpx.Response(401, json={"message": "Invalid API key"})
    terminal = Terminal(StudioTalk("you"), [refusal, studio_answer()])
    assert terminal.type("a", "b")
    assert "401" in terminal.text()
    assert "Invalid API key" in terminal.text()


def test_no_server_is_the_environments_fault() -> None:
    terminal = Terminal(StudioTalk("you"), [httpx.ConnectError("refused")])
    with pytest.raises(EnvironmentFailed, match="no server answers at http://h"):
        terminal.type("a")


def test_another_server_is_the_environments_fault() -> None:
    terminal = Terminal(StudioTalk("you"), [httpx.Response(200, text="<html>")])
    with pytest.raises(EnvironmentFailed, match="is no Palaver"):
        terminal.type("a")


@pytest.mark.parametrize(
    ("payload", "text", "titles"),
    [
        ({"content_type": "text", "content": {"text": "Hi"}}, "Hi", []),
        ({"content_type": "url", "content": {"url": "u", "text": "u", "title": "T"}}, "u\nT", []),
        ({"content_type": "wait", "content": {"duration": 1}}, "", []),
        ({"content_type": "error", "content": {"error": "bad"}}, "bad", []),
        (BUTTON, "", ["Large"]),
        (QUESTION, "Size?", ["Large"]),
        (
            {
                "content_type": "carousel",
                "content": {
                    "cards": [
                        {"content_type": "card", "content": {"title": "C", "buttons": [BUTTON]}}
                    ]
                },
            },
            "C",
            ["Large"],
        ),
        ({"content_type": "map", "content": {"x": 1}}, "[map] {'x': 1}", []),
    ],
)
def test_csml_messages_are_shown(payload: dict[str, Any], text: str, titles: list[str]) -> None:
    said = said_from_payload(payload)
    assert said.text == text
    assert [click.title for click in said.clicks] == titles
    assert all(isinstance(click, Click) for click in said.clicks)
