"""Sentences of csml-engine-runtime that need the whole service: several routes, several dialects.

One test a rule, with its section. What one module decides alone stands in `unit/`; what the
reference was heard to say stands in `recordings/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from palaver.config import ServerSettings
from palaver.folder import read_folders
from palaver.wiring import Service, build
from tests.e2e.server import write_bot

pytestmark = pytest.mark.anyio

STUDIO_KEY, CHATBOT_KEY, CLUSTAAR_KEY = "studio", "chatbot", "clustaar"

SETTINGS = f"""
[bot]
id = "served"
[keys]
studio_key = "{STUDIO_KEY}"
chatbot_client = "{CHATBOT_KEY}"
clustaar_token = "{CLUSTAAR_KEY}"
"""

FLOW = 'start:\n  say "one {{event}}"\n  hold\n  say "two {{event}}"\n'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def flow(name: str, content: str, *commands: str) -> dict[str, Any]:
    return {"id": f"id-{name}", "name": name, "content": content, "commands": list(commands)}


def bot(*flows: dict[str, Any], **more: Any) -> dict[str, Any]:
    first = flows[0]["name"]
    return {"id": "b", "name": "B", "default_flow": first, "flows": list(flows), **more}


def client(user: str = "ann", bot_id: str = "b") -> dict[str, str]:
    return {"bot_id": bot_id, "channel_id": "c", "user_id": user}


class Caller:
    """One service and what a client of the engine's API asks it."""

    def __init__(self, service: Service, http: httpx.AsyncClient) -> None:
        self.service = service
        self.http = http

    async def run(self, who: dict[str, str], said: Any, **body: Any) -> httpx.Response:
        payload = {"content_type": "text", "content": {"text": said}}
        event = {
            "client": who,
            "payload": payload if isinstance(said, str) else said,
            "request_id": "r",
            "metadata": {},
            **body.pop("event", {}),
        }
        return await self.http.post("/run", json={"event": event, **body})

    async def said(self, who: dict[str, str], said: Any, **body: Any) -> list[Any]:
        answer = await self.run(who, said, **body)
        assert answer.status_code == 200, answer.text
        return [m["payload"]["content"].get("text") for m in answer.json()["messages"]]

    async def store(self, body: dict[str, Any]) -> str:
        answer = await self.http.post("/bots", json=body)
        assert answer.status_code == 201, answer.text
        version: str = answer.json()["version_id"]
        return version

    async def get(self, path: str, who: dict[str, str], **query: Any) -> Any:
        answer = await self.http.get(path, params={**who, **query})
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def serving(place: Path | None = None, **settings: Any) -> AsyncIterator[Caller]:
    folders = []
    if place is not None:
        folders = read_folders([write_bot(place / "bot", {"Default": FLOW}, SETTINGS)])
    async with build(ServerSettings(database=":memory:", **settings), folders) as service:
        transport = httpx.ASGITransport(service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            yield Caller(service, http)


# --- which bot (§2.1, §15) ---------------------------------------------------------------------


async def test_deleting_the_newest_build_brings_the_one_before_back(tmp_path: Path) -> None:
    """§15: latest is the newest that there is."""
    async with serving(tmp_path) as caller:
        new = await caller.store(bot(flow("Default", 'start:\n  say "new"\n'), id="served"))
        who = client(bot_id="served")
        assert await caller.said(who, "x", bot_id="served") == ["new"]
        await caller.http.delete(f"/bots/served/versions/{new}")
        assert await caller.said(who, "x", bot_id="served") == ["one x"]


@pytest.mark.parametrize("path", ["/bots/served", "/data/bots/served"])
async def test_a_bot_without_builds_answers_over_no_dialect(path: str, tmp_path: Path) -> None:
    """§2.1: an unknown bot is `bot (ID) not found in db`; its keys stay what they were."""
    async with serving(tmp_path) as caller:
        (loaded,) = caller.service.bots.loaded()
        assert (await caller.http.delete(path)).status_code == 204
        assert (await caller.http.get("/bots/served")).status_code == 404
        run = await caller.run(client(bot_id="served"), "x", bot_id="served")
        payload = {"content_type": "text", "content": {"text": "x"}}
        studio = await caller.http.post(
            "/v1/api/chat",
            headers={"x-api-key": STUDIO_KEY},
            json={"client": {"user_id": "u"}, "payload": payload},
        )
        chatbot = await caller.http.post(
            "/query",
            headers={"authorization": f"Bearer {CHATBOT_KEY}"},
            json={"sessionId": "session-of-ann", "query": "x"},
        )
        assert [a.status_code for a in (run, studio, chatbot)] == [500, 500, 500]
        assert all("bot (served) not found in db" in a.text for a in (run, studio, chatbot))
        await caller.store(bot(flow("Default", 'start:\n  say "back"\n'), id=loaded.uuid))
        assert await caller.said(client(bot_id="served"), "x", bot_id="served") == ["back"]


async def test_a_bot_and_a_version_that_are_null_count_as_absent() -> None:
    async with serving() as caller:
        await caller.store(bot(flow("A", FLOW)))
        said = await caller.said(client(), "x", bot=None, version_id=None, bot_id="b")
        assert said == ["one x"]


async def test_a_bot_in_the_request_is_not_stored() -> None:
    async with serving() as caller:
        await caller.said(client(), "x", bot=bot(flow("A", FLOW)))
        assert (await caller.http.get("/bots/b")).status_code == 404
        assert (await caller.run(client(), "x", bot_id="b")).status_code == 500


async def test_top_level_multibot_replaces_the_bots_own_even_when_absent() -> None:
    async with serving() as caller:
        await caller.store(bot(flow("A", FLOW), id="other"))
        here = bot(flow("A", "start:\n  goto start in other\n"), multibot=[{"id": "other"}])
        answer = (await caller.run(client(), "x", bot=here)).json()
        (message,) = answer["messages"]
        assert message["payload"]["content"] == {
            "error": "Switching to Bot: (other) is not allowed"
        }
        assert answer["conversation_end"] is True


# --- switching bots (§8.4) ---------------------------------------------------------------------

HERE = 'start:\n  say "here"\n  remember k = 1\n  goto start in other\n'
THERE = 'start:\n  say "{{event}} {{_metadata._context.previous_bot.bot}}"\n  hold\n  say "t"\n'


async def test_all_messages_of_a_switch_have_the_new_conversation_and_client() -> None:
    async with serving() as caller:
        await caller.store(bot(flow("Main", THERE), id="other"))
        answer = (
            await caller.run(client(), "hi", bot=bot(flow("A", HERE)), multibot=[{"id": "other"}])
        ).json()
        payloads = [m["payload"] for m in answer["messages"]]
        assert [p["content_type"] for p in payloads] == ["text", "switch_bot", "text"]
        assert payloads[1]["content"] == {"bot_id": "other", "client": client()}
        assert payloads[2]["content"] == {"text": "hi b"}
        assert answer["client"] == client(bot_id="other")
        assert answer["conversation_end"] is False
        opened = (await caller.http.post("/conversations/open", json=client(bot_id="other"))).json()
        assert {m["conversation_id"] for m in answer["messages"]} == {opened["id"]}


async def test_each_bot_keeps_its_own_messages_and_memories_and_the_old_one_is_closed() -> None:
    async with serving() as caller:
        await caller.store(bot(flow("Main", THERE), id="other"))
        await caller.run(client(), "hi", bot=bot(flow("A", HERE)), multibot=[{"id": "other"}])
        old = (await caller.get("/messages", client()))["messages"]
        new = (await caller.get("/messages", client(bot_id="other")))["messages"]
        assert [m["payload"]["content_type"] for m in reversed(old)] == [
            "text",
            "text",
            "switch_bot",
        ]
        assert [m["payload"]["content"]["text"] for m in new] == ["hi b"]
        assert [m["key"] for m in await caller.get("/memories", client())] == ["k"]
        assert await caller.get("/memories", client(bot_id="other")) == []
        (closed,) = (await caller.get("/conversations", client()))["conversations"]
        assert closed["status"] == "CLOSED"


async def test_an_explicit_close_forgets_where_the_client_came_from() -> None:
    """§5.1, §5.4."""
    async with serving() as caller:
        await caller.store(bot(flow("Main", THERE), id="other"))
        await caller.run(client(), "hi", bot=bot(flow("A", HERE)), multibot=[{"id": "other"}])
        there = client(bot_id="other")
        await caller.http.post("/conversations/close", json=there)
        assert await caller.get("/state", there) is None
        answer = (await caller.run(there, "hi", bot_id="other")).json()
        assert answer["messages"][0]["payload"]["content_type"] == "error"


# --- priority (§4.4) ---------------------------------------------------------------------------

ASKING = flow("Ask", 'start:\n  say "?"\n  hold\n  say "answered {{event}}"\n  hold\n')
HELP = flow("Help", 'start:\n  say "help"\n  hold\n', "help", "ÉCOUTE")


@pytest.mark.parametrize("word", ["help", "HELP", "écoute"])
async def test_a_command_beats_a_hold_and_keeps_the_conversation(word: str) -> None:
    async with serving() as caller:
        both = bot(ASKING, HELP)
        first = (await caller.run(client(), "x", bot=both)).json()
        second = (await caller.run(client(), word, bot=both)).json()
        ids = {m["conversation_id"] for a in (first, second) for m in a["messages"]}
        assert len(ids) == 1
        assert second["messages"][0]["payload"]["content"]["text"] == "help"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"flow_id": "HELP"}, ["help"]),
        ({"flow_id": "ID-help", "step_id": None}, ["help"]),
        ({"flow_id": "nowhere", "step_id": "there"}, ["?"]),
    ],
)
async def test_a_trigger_finds_its_flow_or_the_default_one(content: Any, said: list[str]) -> None:
    async with serving() as caller:
        await caller.said(client(), "x", bot=bot(ASKING, HELP))
        trigger = {"content_type": "flow_trigger", "content": content}
        assert await caller.said(client(), trigger, bot=bot(ASKING, HELP)) == said


async def test_a_flow_that_is_gone_closes_the_conversation_and_begins_a_new_one() -> None:
    async with serving() as caller:
        await caller.said(client(), "help", bot=bot(ASKING, HELP))
        assert await caller.said(client(), "x", bot=bot(ASKING)) == ["?"]
        listed = (await caller.get("/conversations", client()))["conversations"]
        assert [c["status"] for c in listed] == ["OPEN", "CLOSED"]


# --- edited steps (§6.3, §6.4) -----------------------------------------------------------------


async def test_an_edited_step_is_done_again_and_another_one_is_not_noticed() -> None:
    async with serving() as caller:
        source = 'start:\n  say "q"\n  hold\n  say "a {{event}}"\n  hold\nlater:\n  say "l"\n'
        await caller.said(client("ann"), "x", bot=bot(flow("A", source)))
        await caller.said(client("ben"), "x", bot=bot(flow("A", source)))
        edited = source.replace('"q"', '"new q"')
        assert await caller.said(client("ann"), "y", bot=bot(flow("A", edited))) == ["new q"]
        elsewhere = source.replace('"l"', '"other"').replace('"q"', '"q"   // a comment')
        assert await caller.said(client("ben"), "y", bot=bot(flow("A", elsewhere))) == ["a y"]


# --- time to live, low data (§17) --------------------------------------------------------------


async def test_without_days_to_live_nothing_is_left_after_the_turn() -> None:
    async with serving() as caller:
        source = 'start:\n  say "q"\n  remember k = 1\n  hold\n  say "a"\n'
        for _ in range(2):
            said = await caller.said(
                client(), "x", bot=bot(flow("A", source)), event={"ttl_duration": 0}
            )
            assert said == ["q"]
        for path in ("/conversations", "/messages", "/memories", "/state"):
            found = await caller.get(path, client())
            assert not (next(iter(found.values())) if isinstance(found, dict) else found), path


async def test_low_data_keeps_everything_but_messages() -> None:
    async with serving(low_data_mode=True) as caller:
        source = 'start:\n  say "q"\n  remember k = 1\n  hold\n  say "a"\n'
        assert await caller.said(client(), "x", bot=bot(flow("A", source))) == ["q"]
        assert (await caller.get("/messages", client()))["messages"] == []
        assert (await caller.get("/state", client()))["type"] == "hold"
        assert len(await caller.get("/memories", client())) == 1
        wants = {"low_data_mode": False}
        assert await caller.said(client(), "x", bot=bot(flow("A", source)), event=wants) == ["a"]
        assert len((await caller.get("/messages", client()))["messages"]) == 2


# --- listings (§19.1) --------------------------------------------------------------------------


async def test_pages_do_not_shift_when_something_comes_in_between() -> None:
    async with serving() as caller:
        for number in range(30):
            await caller.said(client(), f"{number}", bot=bot(flow("A", FLOW)))
        first = await caller.get("/messages", client())
        assert len(first["messages"]) == 25
        await caller.said(client(), "between", bot=bot(flow("A", FLOW)))
        seen, key = first["messages"], first["pagination_key"]
        while key is not None:
            page = await caller.get("/messages", client(), pagination_key=key)
            seen, key = [*seen, *page["messages"]], page.get("pagination_key")
        texts = [m["payload"]["content"]["text"] for m in seen if m["direction"] == "RECEIVE"]
        assert texts == [str(number) for number in reversed(range(30))]


# --- one at a time (§3.7, §3.8) ----------------------------------------------------------------


async def test_turns_of_one_client_never_overlap() -> None:
    async with serving() as caller:
        counting = (
            "start:\n  if (_memory.n == Null) remember n = 0\n"
            "  remember n = n + 1\n  say n\n  hold\n  goto start\n"
        )
        both = [caller.run(client(), "x", bot=bot(flow("A", counting))) for _ in range(20)]
        answers = await asyncio.gather(*both)
        said = [
            m["payload"]["content"]["text"]
            for a in answers
            for m in a.json()["messages"]
            if m["payload"]["content_type"] == "text"
        ]
        assert sorted(map(int, said)) == list(range(1, 21))
