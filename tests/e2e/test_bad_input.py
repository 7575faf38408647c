"""Bad input on every route there is: a documented status, a readable answer, no traceback.

Routes come from the application's own table, so that a new one is tested the day it is written.
That no log holds a traceback is checked by the fixture that stops the server.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from palaver.config import ServerSettings
from palaver.wiring import build
from tests.e2e.server import ANSWER_S, BOT, Server, client_of, run_body

KEYS = {
    "studio_key": "studio-key",
    "studio_secret": "studio-secret",
    "engine_key": "engine-key",
    "chatbot_developer": "developer-token",
    "chatbot_client": "client-token",
    "clustaar_token": "clustaar-token",
    "clustaar_private": "clustaar-private",
}

SETTINGS = "[keys]\n" + "".join(f'{name} = "{key}"\n' for name, key in KEYS.items())

FLOWS = {"Default": 'start:\n  remember asked = event\n  say "hello {{event}}"\n'}

GOOD = {
    "engine": {"x-api-key": KEYS["engine_key"]},
    "studio": {"x-api-key": KEYS["studio_key"]},
    "chatbot": {"authorization": f"Bearer {KEYS['chatbot_developer']}"},
    "clustaar": {"authorization": f"Bearer {KEYS['clustaar_token']}"},
    "operations": {},
}
WRONG = {
    "x-api-key": "nobody's",
    "authorization": "Bearer nobody's",
    "x-api-signature": "sha256=00",
}
"""A credential of no one, in the form of each dialect."""

MIB = 1024 * 1024
LIMIT = 8 * MIB

DEEP = 10_000

BODIES = {
    "nothing": b"",
    "half a document": b'{"event": {"client": ',
    "no JSON": b"hello",
    "NaN": b'{"event": NaN}',
    "two documents": b"{} {}",
    "null": b"null",
    "a number": b"5",
    "a text": b'"hello"',
    "a list": b"[1, 2]",
    "an empty object": b"{}",
    "deep lists": b"[" * DEEP + b"]" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "lists that never end": b"[" * DEEP,
    "invalid UTF-8": b'{"event": "\xff\xfe"}',
    "UTF-16": '{"event": 1}'.encode("utf-16"),
    "a lone surrogate": rb'{"event": "\ud800"}',
    "a huge number": b'{"event": 1e999, "client": ' + b"9" * 5_000 + b"}",
}

WRONG_VALUES: list[Any] = [None, True, 5, -1.5, "", "x", [], [1], {}, {"x": 1}, "\x00", "\ud800"]
"""What stands, one after another, in place of each field of a good body."""

SEGMENTS = ["x", "%00", "%FF", "%2F", "..", "a" * 3_000, "%F0%9F%8D%95", "'; DROP TABLE x; --"]
"""What stands in place of each parameter of a path."""


def all_routes() -> list[tuple[str, str, str]]:
    """`(method, path template, dialect)` of every route at the root."""

    async def ask() -> list[tuple[str, str, str]]:
        async with build(ServerSettings(database=":memory:"), []) as service:
            return [
                (method, path, endpoint.dialect.name)
                for path, entry in service.app.table.entries()
                if entry.prefix_length == 0
                for method, endpoint in entry.endpoints.items()
            ]

    return sorted(asyncio.run(ask()), key=lambda route: (route[2], route[1], route[0]))


ROUTES = all_routes()

IDS = [f"{dialect}: {method} {path}" for method, path, dialect in ROUTES]


class Client:
    """One connection to the server under test."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=ANSWER_S)

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Any = None, **more: Any
    ) -> httpx.Response:
        """One request; whatever it is, the answer is one."""
        typed = {"content-type": "application/json", **(headers or {})}
        answer = self.http.request(method, path, content=body, headers=typed, **more)
        assert "Traceback" not in answer.text
        return answer


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(tmp_path_factory.mktemp("bad-input"), FLOWS, SETTINGS)
    server.start()
    client = Client(server)
    yield client
    client.http.close()
    server.close()
    assert "Traceback" not in server.log_text(), server.log_text()


@pytest.fixture(autouse=True)
def lives_on(client: Client) -> Iterator[None]:
    """After each test the server answers a good request as if nothing had been."""
    yield
    body = json.dumps(run_body("good", "still there")).encode()
    answer = client.send("POST", "/run", body, GOOD["engine"])
    assert answer.status_code == 200
    assert answer.json()["messages"][0]["payload"]["content"]["text"] == "hello still there"


def may_fail(method: str, path: str) -> bool:
    """Where csml-engine-runtime prescribes 500: a broken event (§2.3), an invalid bot (§19)."""
    return method == "POST" and path in ("/run", "/bots")


def expect_refusal(answer: httpx.Response, method: str, path: str) -> None:
    """Some 4xx that says why in JSON; 500 only where the reference's contract has it."""
    if answer.status_code == 500 and may_fail(method, path):
        return
    assert 200 <= answer.status_code < 500, (answer.status_code, answer.text)
    if answer.status_code >= 400 and method != "HEAD":
        assert answer.headers["content-type"].startswith("application/json"), answer.text
        assert answer.json(), "a refusal says why"


def concrete(path: str, segment: str = "x") -> str:
    return path.replace("{}", segment)


# --- every route -------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "dialect"), ROUTES, ids=IDS)
def test_bodies_that_are_no_good(method: str, path: str, dialect: str, client: Client) -> None:
    if method in ("GET", "DELETE"):
        pytest.skip("takes no body")
    for name, body in BODIES.items():
        answer = client.send(method, concrete(path), body, GOOD[dialect])
        try:
            expect_refusal(answer, method, path)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize(("method", "path", "dialect"), ROUTES, ids=IDS)
def test_a_body_over_the_limit(method: str, path: str, dialect: str, client: Client) -> None:
    if method in ("GET", "DELETE"):
        pytest.skip("takes no body")
    query = client_of("ann") if dialect == "engine" else None
    target, body = concrete(path), b" " * (LIMIT + 1)
    answer = client.send(method, target, body, GOOD[dialect], params=query)
    # Who you are and whether the thing is there may be asked before the body is read.
    wanted = (200,) if (method, path) in BODILESS else (401, 403, 404, 413)
    assert answer.status_code in wanted, (answer.status_code, answer.text)


BODILESS = {("POST", "/data/cleanup")}
"""POST routes that read no body."""


@pytest.mark.parametrize(("method", "path", "dialect"), ROUTES, ids=IDS)
def test_strange_paths_and_queries(method: str, path: str, dialect: str, client: Client) -> None:
    for segment in SEGMENTS if "{}" in path else []:
        target = concrete(path, segment if "%" in segment else quote(segment, safe=""))
        expect_refusal(client.send(method, target, b"{}", GOOD[dialect]), method, path)
    for query in ("?" + "a=1&" * 500, "?limit=x", "?limit=-1", "?limit=99999999999999999999"):
        expect_refusal(
            client.send(method, concrete(path) + query, b"{}", GOOD[dialect]), method, path
        )
    strange = "?bot_id=%FF&channel_id=%00&user_id=%ED%A0%80&pagination_key=%00&from_date=x"
    expect_refusal(
        client.send(method, concrete(path) + strange, b"{}", GOOD[dialect]), method, path
    )


@pytest.mark.parametrize(("method", "path", "dialect"), ROUTES, ids=IDS)
@pytest.mark.parametrize("credential", [{}, WRONG], ids=["no key", "a wrong key"])
def test_without_the_right_key(
    credential: dict[str, str], method: str, path: str, dialect: str, client: Client
) -> None:
    answer = client.send(method, concrete(path), b"{}", credential)
    if dialect == "operations" or (method, path) in PUBLIC:
        assert answer.status_code < 500, answer.text
        return
    allowed = (400, 403) if dialect == "engine" else (401,)
    assert answer.status_code in allowed, (answer.status_code, answer.text)


PUBLIC = {("GET", "/status"), ("POST", "/validate"), ("POST", "/data/cleanup")}
"""Open to everybody by csml-engine-runtime §19; so is all that is for operators."""


# --- each field --------------------------------------------------------------------------------


def replaced(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every copy of a JSON value with one field missing or with a wrong value in its place."""
    if not isinstance(value, dict):
        return
    for key in value:
        where = f"{place}.{key}"
        yield f"{where} missing", {k: v for k, v in value.items() if k != key}
        for wrong in WRONG_VALUES:
            yield f"{where} = {wrong!r}", {**value, key: wrong}
        for inner, changed in replaced(value[key], where):
            yield inner, {**value, key: changed}


TEXT = {"content_type": "text", "content": {"text": "hello"}}

BOT_BODY = {
    "id": "made",
    "name": "made",
    "default_flow": "main",
    "flows": [{"id": "m", "name": "main", "commands": [], "content": 'start:\n  say "hi"\n'}],
    "env": {"a": "b"},
}

BROKEN = [{"id": "m", "name": "main", "commands": [], "content": "start:\n  say\n"}]

GOOD_BODIES: dict[str, tuple[str, str, Any]] = {
    "run": ("engine", "/run", {**run_body("ann", "x"), "version_id": None}),
    "run a bot": ("engine", "/run", {"bot": BOT_BODY, "event": run_body("ann", "x")["event"]}),
    "validate": ("engine", "/validate", BOT_BODY),
    "bots": ("engine", "/bots", BOT_BODY),
    "open": ("engine", "/conversations/open", client_of("ann")),
    "close": ("engine", "/conversations/close", client_of("ann")),
    "chat": (
        "studio",
        "/v1/api/chat",
        {"client": {"user_id": "ann"}, "metadata": {"a": 1}, "payload": TEXT},
    ),
    "query": (
        "chatbot",
        "/query",
        {"sessionId": "session-of-ann", "query": "hi", "parameters": {"a": "b"}},
    ),
    "users": (
        "chatbot",
        "/users",
        {"userId": "ann", "attributes": {"default_name": "Ann", "town": "Ghent"}},
    ),
    "interlocutor": (
        "clustaar",
        "/bots/{hex}/interlocutors/clustaar_web_chat",
        {"type": "interlocutor", "userID": "ann", "firstName": "Ann"},
    ),
    "reply": ("clustaar", "/interlocutors/{person}/reply", {"type": "text", "message": "hi"}),
}


@pytest.fixture(scope="module")
def places(client: Client) -> dict[str, str]:
    """What stands for the bot and a person in the clustaar dialect."""
    client.server.wait_for_words("/interlocutors/$id/reply")
    line = next(line for line in client.server.output if "/interlocutors/clustaar" in line)
    bot_hex = line.partition("/bots/")[2].partition("/")[0]
    body = json.dumps({"type": "interlocutor", "userID": "bea"}).encode()
    path = f"/bots/{bot_hex}/interlocutors/clustaar_web_chat"
    made = client.send("POST", path, body, GOOD["clustaar"])
    assert made.status_code == 200, made.text
    return {"{hex}": bot_hex, "{person}": made.json()["data"]["id"]}


@pytest.mark.parametrize("name", GOOD_BODIES)
def test_each_field_missing_or_wrong(name: str, client: Client, places: dict[str, str]) -> None:
    dialect, path, good = GOOD_BODIES[name]
    for mark, value in places.items():
        path = path.replace(mark, value)
    answer = client.send("POST", path, json.dumps(good).encode(), GOOD[dialect])
    assert answer.status_code in (200, 201), (answer.status_code, answer.text)
    for what, body in replaced(good):
        answer = client.send("POST", path, json.dumps(body).encode(), GOOD[dialect])
        try:
            expect_refusal(answer, "POST", path)
        except AssertionError as error:
            raise AssertionError(f"{what}: {error}") from error


# --- documented statuses -----------------------------------------------------------------------

DOCUMENTED: list[tuple[str, str, bytes | Any, int]] = [
    ("engine", "/run", b"{", 400),
    ("engine", "/run", b"\xff", 400),
    ("engine", "/run", BODIES["deep lists"], 400),
    ("engine", "/run", {"event": run_body("a", "x")["event"]}, 400),
    ("engine", "/run", {"bot_id": BOT}, 400),
    ("engine", "/run", run_body("a", "x", bot="nobody"), 500),
    ("engine", "/bots", {**BOT_BODY, "flows": BROKEN}, 500),
    ("engine", "/validate", b"[", 400),
    ("engine", "/conversations/open", b"{}", 400),
    ("studio", "/v1/api/chat", b"{", 400),
    ("studio", "/v1/api/chat", b"\xff", 400),
    ("studio", "/v1/api/chat", BODIES["deep objects"], 400),
    ("studio", "/v1/api/chat", {"payload": TEXT}, 400),
    ("studio", "/v1/api/chat", {"client": {"user_id": 5}, "payload": TEXT}, 400),
    ("studio", "/v1/api/chat", b" " * (LIMIT + 1), 413),
    ("chatbot", "/query", b"{", 400),
    ("chatbot", "/query", BODIES["deep lists"], 400),
    ("chatbot", "/query", {"sessionId": "long-enough"}, 400),
    ("chatbot", "/query", {"sessionId": "short", "query": "hi"}, 400),
    ("chatbot", "/users", {"attributes": {}}, 400),
    ("chatbot", "/users", {"userId": "u", "attributes": {"a b": "c"}}, 400),
    ("clustaar", "/bots/{hex}/interlocutors/clustaar_web_chat", b"{", 400),
    ("clustaar", "/bots/{hex}/interlocutors/clustaar_web_chat", b"[]", 400),
    ("clustaar", "/bots/{hex}/interlocutors/clustaar_web_chat", {"userID": "u"}, 422),
    ("clustaar", f"/bots/{'0' * 24}/interlocutors/clustaar_web_chat", {}, 404),
    ("clustaar", "/interlocutors/{person}/reply", {"type": "text"}, 422),
    ("clustaar", "/interlocutors/{person}/reply", BODIES["deep lists"], 400),
    ("clustaar", f"/interlocutors/{'0' * 24}/reply", {"type": "text", "message": "x"}, 404),
]
"""Dialect, path, body, status. Specs: csml-engine-runtime §19, csml-studio-api §2.7,
chatbot-com §3.1, clustaar §2.4."""


@pytest.mark.parametrize(
    ("dialect", "path", "body", "status"),
    DOCUMENTED,
    ids=[f"{path} {str(body)[:40]}" for _, path, body, _ in DOCUMENTED],
)
def test_the_documented_status(
    dialect: str,
    path: str,
    body: bytes | Any,
    status: int,
    client: Client,
    places: dict[str, str],
) -> None:
    for mark, value in places.items():
        path = path.replace(mark, value)
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.send("POST", path, raw, GOOD[dialect])
    assert answer.status_code == status, answer.text
    assert answer.json(), "a refusal says why"


# --- below HTTP --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /run HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n",
        b"POST /run HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
    ],
    ids=["words", "version", "length", "chunk", "TLS", "long path", "long header"],
)
def test_what_is_not_even_http(raw: bytes, client: Client) -> None:
    import socket

    host, port = client.server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), ANSWER_S) as connection:
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while part := connection.recv(65536):
                answer += part
        except ConnectionError:
            pass
    assert b"Traceback" not in answer
    assert b" 200 " not in answer.split(b"\r\n")[0] or raw.startswith(b"GET /")


def test_a_client_that_goes_away_in_the_middle_of_its_body(client: Client) -> None:
    import socket

    host, port = client.server.url.removeprefix("http://").split(":")
    head = b"POST /run HTTP/1.1\r\nHost: x\r\nX-Api-Key: engine-key\r\nContent-Length: 1000\r\n\r\n"
    for sent in (head, head + b'{"bot_id"'):
        with socket.create_connection((host, int(port)), ANSWER_S) as connection:
            connection.sendall(sent)


def test_nothing_of_all_this_was_stored_for_people_who_were_refused(
    tmp_path: Path, client: Client
) -> None:
    body = {**run_body("refused", "x")}
    body["event"]["payload"]["content"] = {"text": 5}
    raw = json.dumps(body).encode()
    assert client.send("POST", "/run", raw, GOOD["engine"]).status_code == 500
    for path in ("/messages", "/conversations", "/memories"):
        answer = client.send("GET", path, None, GOOD["engine"], params=client_of("refused"))
        found = answer.json()
        assert not (found if isinstance(found, list) else next(iter(found.values())))
