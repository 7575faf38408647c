"""/openapi.json against the server it describes: requests of schemathesis on every route.

For each operation good and bad requests are made from its description. Whatever is sent, the
answer is a described one in its described shape, and good requests are not malformed.

    PALAVER_FUZZ=1000 uv run pytest tests/e2e/test_schemathesis.py     # so many of each kind; 10 else

What breaks the description in more ways, and faster, is in test_fuzz.py.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, Response
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation

from palaver.config import ServerSettings
from palaver.wiring import build
from tests.e2e.server import ANSWER_S, BOT, Server
from tests.e2e.test_bad_input import FLOWS, KEYS, SETTINGS

pytestmark = pytest.mark.slow

EXAMPLES = int(os.environ.get("PALAVER_FUZZ", "10"))
"""For each operation and mode."""

POSITIVE, NEGATIVE = GenerationMode.POSITIVE, GenerationMode.NEGATIVE

UNTHROTTLED = SETTINGS + "\n[studio]\nrate = 1000000\n"

CREDENTIALS = {
    "engine.key": ("x-api-key", KEYS["engine_key"]),
    "studio.key": ("x-api-key", KEYS["studio_key"]),
    "chatbot.developer": ("authorization", f"Bearer {KEYS['chatbot_developer']}"),
    "clustaar.private": ("authorization", f"Bearer {KEYS['clustaar_private']}"),
}
"""By the first security scheme of an operation."""

SAYS_MORE = {
    ("POST", "/run"): "neither bot nor bot_id",
    ("POST", "/memories"): "keys that are numbers, or too long",
    ("POST", "/interlocutors/{id}/reply"): "a target that is not in the bot",
    ("POST", "/users"): "segments that are not there",
    ("POST", "/v1/api/chat"): "a regex event, close_flows of another type",
    ("POST", "/prod/api/chat"): "a regex event, close_flows of another type",
}
"""Where a request may fit the description and yet be refused as malformed, and for what."""

NEVER_GOOD = {
    "POST /bots": "nobody guesses a flow",
    "POST /bots/{bot}/interlocutors/{id}": "there is no other channel",
    "PUT /users/{id}/session": "the session's name is in the body",
    "PUT /users/{id}/sessionAttributes": "the session's name is in the body",
}
"""Where no request that was made by chance succeeds."""


def read_document() -> dict[str, Any]:
    """/openapi.json, of a server without bots."""

    async def ask() -> httpx.Response:
        async with build(ServerSettings(database=":memory:"), []) as service:
            transport = httpx.ASGITransport(app=service.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
                return await http.get("/openapi.json")

    document: dict[str, Any] = asyncio.run(ask()).json()
    return document


DOCUMENT = read_document()


def operations() -> list[APIOperation[Any, Any, Any, Any]]:
    found = schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()
    return [result.ok() for result in found if isinstance(result, Ok)]


OPERATIONS = operations()


def resolved(value: Any) -> Any:
    """What a reference of the document stands for."""
    while isinstance(value, dict) and "$ref" in value:
        at: Any = DOCUMENT
        for part in value["$ref"].removeprefix("#/").split("/"):
            at = at[part]
        value = at
    return value


@cache
def validator(method: str, path: str, status: int, media_type: str) -> Any:
    """Of the body of an answer."""
    answer = resolved(DOCUMENT["paths"][path][method.lower()]["responses"][str(status)])
    schema = answer["content"][media_type]["schema"]
    return jsonschema_rs.validator_for({**schema, "components": DOCUMENT["components"]})


class Target:
    """The server, and what is in it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=ANSWER_S)
        server.wait_for_words("/interlocutors/$id/reply")
        line = next(line for line in server.output if "/interlocutors/clustaar" in line)
        self.bot = line.partition("/bots/")[2].partition("/")[0]
        person = self.http.post(
            f"/bots/{self.bot}/interlocutors/clustaar_web_chat",
            json={"type": "interlocutor", "userID": "ann"},
            headers=dict([CREDENTIALS["clustaar.private"]]),
        )
        self.person = person.json()["data"]["id"]
        developer = dict([CREDENTIALS["chatbot.developer"]])
        attributes = {"default_name": "Ann"}
        made = self.http.post(
            "/users", json={"userId": "ann", "attributes": attributes}, headers=developer
        )
        self.user = made.json()[0]["id"]
        query = {"sessionId": "session-of-ann", "query": "hi", "userId": "ann"}
        assert self.http.post("/query", json=query, headers=developer).status_code == 200
        engine = dict([CREDENTIALS["engine.key"]])
        versions = self.http.get(f"/bots/{BOT}/versions", headers=engine).json()["bots"]
        self.version = versions[0]["version_id"]

    def known(self, dialect: str) -> dict[str, str]:
        """Values of parameters that name something which exists."""
        if dialect == "clustaar":
            return {"bot": self.bot, "id": self.person}
        if dialect == "chatbot":
            return {"id": self.user, "sessionId": "session-of-ann"}
        bot = {"bot_id": BOT, "version_id": self.version}
        return {**bot, "channel_id": "web", "user_id": "ann", "key": "asked"}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    server = Server(tmp_path_factory.mktemp("schemathesis"), FLOWS, UNTHROTTLED)
    server.start()
    target = Target(server)
    yield target
    target.http.close()
    server.close()
    log = server.log_text()
    assert "Traceback" not in log, log
    assert not [key for key in KEYS.values() if key in log]


# --- one request -------------------------------------------------------------------------------


def headers_of(case: Case[Any], is_known: bool) -> dict[str, str]:
    headers = dict(case.headers or {})
    security = case.operation.definition.raw.get("security", [])
    if is_known and security:
        name, value = CREDENTIALS[next(iter(security[0]))]
        headers[name] = value
    return headers


def aim(case: Case[Any], known: dict[str, str]) -> None:
    """Lets a case ask for what there is."""
    if case.method.upper() == "DELETE" and "{bot_id}" in case.operation.path:
        return  # others still need the bot
    for place in (case.path_parameters, case.query):
        for name in known.keys() & (place or {}).keys():
            place[name] = known[name]
    body = case.body
    if isinstance(body, dict) and isinstance(body.get("event"), dict):
        body["bot_id"] = BOT
        body.pop("version_id", None)
        body.pop("bot", None)


def as_integers(value: Any) -> Any:
    """Whole numbers without a fraction: `2.0` is an integer to JSON Schema, not to the engine."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: as_integers(item) for key, item in value.items()}
    return [as_integers(item) for item in value] if isinstance(value, list) else value


def check(case: Case[Any], answer: Response, *, is_good: bool) -> None:
    """That the answer is one of those which the document has."""
    method, path = case.method.upper(), case.operation.path
    told = case.operation.definition.raw["responses"]
    status, body = answer.status_code, answer.text
    what = (status, body[:500], case.as_curl_command())
    assert str(status) in told, what
    assert "Traceback" not in body, what
    assert "Internal error" not in body, what
    assert status != 503, what
    assert not [key for key in KEYS.values() if key in body], what
    content = resolved(told[str(status)]).get("content", {})
    media_type = answer.headers.get("content-type", [""])[0].partition(";")[0]
    if not body:
        assert not media_type, what
        assert not content or path == "/conversations/open", what
    else:
        assert media_type in content, what
        if media_type == "application/json":
            errors = validator(method, path, status, media_type).iter_errors(answer.json())
            assert [error.message for error in errors] == [], what
    if is_good and (method, path) not in SAYS_MORE:
        assert status not in (400, 422), what


@pytest.mark.parametrize("mode", [POSITIVE, NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=[o.label for o in OPERATIONS])
def test_every_answer_is_a_described_one(
    operation: APIOperation[Any, Any, Any, Any], mode: GenerationMode, target: Target
) -> None:
    raw = operation.definition.raw
    places = {resolved(parameter)["in"] for parameter in raw["parameters"]}
    has_input = bool(places) or "requestBody" in raw
    if mode is NEGATIVE and "query" not in places and "requestBody" not in raw:
        pytest.skip("takes nothing that could be bad")
    dialect = raw["tags"][0]
    seen: list[int] = []

    @settings(
        max_examples=EXAMPLES if has_input else 1,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=operation.as_strategy(generation_mode=mode),
        aims=st.booleans(),
        has_key=st.integers(0, 5).map(bool),
    )
    def ask(case: Case[Any], aims: bool, has_key: bool) -> None:
        if aims:
            aim(case, target.known(dialect))
        if mode is POSITIVE:
            if case.headers:
                case.headers.pop("Idempotency-Key", None)
            case.body = as_integers(case.body)
        answer = case.call(
            base_url=target.server.url, headers=headers_of(case, has_key), timeout=ANSWER_S
        )
        seen.append(answer.status_code)
        check(case, answer, is_good=mode is POSITIVE and has_key)

    ask()
    if mode is POSITIVE and operation.label not in NEVER_GOOD:
        assert min(seen) < 300, seen


def test_the_document_is_valid_and_the_same_as_another_servers(target: Target) -> None:
    from openapi_spec_validator import validate

    assert json.loads(target.http.get("/openapi.json").content) == DOCUMENT
    validate(DOCUMENT)
