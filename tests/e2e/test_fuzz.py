"""Malformed requests made up by chance, on every route: a readable refusal, and nothing breaks.

    PALAVER_FUZZ=1000 uv run pytest tests/e2e/test_fuzz.py     # so many on each route; 25 else

A request is made of what the route's description knows (its fields, its parameters), broken in one
or more ways: bytes cut, doubled or changed, values of other types, members that are missing or too
many, strange paths, queries and headers. `PALAVER_FUZZ_SEED` changes the chance.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.server import BOT, Server, client_of, run_body
from tests.e2e.test_bad_input import (
    BODIES,
    FLOWS,
    GOOD,
    IDS,
    KEYS,
    ROUTES,
    SEGMENTS,
    SETTINGS,
    WRONG,
    WRONG_VALUES,
    Client,
    concrete,
    expect_refusal,
)
from tests.e2e.test_schemathesis import DOCUMENT, resolved

pytestmark = pytest.mark.slow

REQUESTS = int(os.environ.get("PALAVER_FUZZ", "25"))

SEED = os.environ.get("PALAVER_FUZZ_SEED", "fuzz")

GROWTH_MB = 96
"""What the process may have grown by after its first requests: caches, arenas and pools fill up."""

UNTHROTTLED = SETTINGS + "\n[studio]\nrate = 1000000\n"

TYPES = ("application/json", "text/plain", "", "application/x-www-form-urlencoded", "a/b; =")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(tmp_path_factory.mktemp("fuzz"), FLOWS, UNTHROTTLED).start()
    client = Client(server)
    for number in range(200):
        client.http.post("/run", json=run_body(f"warm {number}", "x"), headers=GOOD["engine"])
    before = memory_mb(server)
    yield client
    answer = client.http.post("/run", json=run_body("good", "x"), headers=GOOD["engine"])
    assert answer.json()["messages"][0]["payload"]["content"]["text"] == "hello x"
    grown = memory_mb(server) - before
    print(f"grown by {grown:.0f} MB to {before + grown:.0f}")
    client.http.close()
    assert server.running.poll() is None, "the server died"
    server.close()
    log = server.log_text()
    assert "Traceback" not in log, log[-20_000:]
    assert "internal error" not in log.lower()
    assert not [key for key in KEYS.values() if key in log], "a secret is in the log"
    assert grown < GROWTH_MB


def memory_mb(server: Server) -> float:
    """What the process has in memory (RSS); 0 where the system does not tell."""
    status = Path(f"/proc/{server.running.pid}/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize(("method", "path", "dialect"), ROUTES, ids=IDS)
def test_requests_broken_by_chance(method: str, path: str, dialect: str, client: Client) -> None:
    chance = random.Random(f"{SEED} {method} {path}")
    for number in range(REQUESTS):
        request = broken_request(chance, method, path, dialect)
        try:
            answer = client.http.send(client.http.build_request(method, **request))
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
            continue  # this client does not send such a thing
        try:
            assert "Traceback" not in answer.text
            assert "Internal error" not in answer.text
            assert not [key for key in KEYS.values() if key in answer.text], "a secret"
            if not answer.is_success and answer.status_code != 304:
                expect_refusal(answer, method, path)
        except AssertionError as error:
            raise AssertionError(f"request {number}: {request!r:.2000}: {error}") from error


# --- making requests ---------------------------------------------------------------------------


def broken_request(chance: random.Random, method: str, path: str, dialect: str) -> dict[str, Any]:
    """What httpx needs to send it: `{"url", "content", "headers", "params"}`."""
    target = path
    while "{}" in target:
        known = "ann" if method == "DELETE" else BOT  # others still need the bot
        segment = chance.choice([known, "ann", *SEGMENTS, text_by(chance)])
        if "%" not in segment:
            segment = quote(segment.encode("utf-8", "replace"), safe="")
        target = target.replace("{}", segment, 1)
    headers: dict[str, Any] = dict(chance.choice([GOOD[dialect]] * 8 + [{}, WRONG]))
    if chance.random() < 0.2:
        headers["content-type"] = chance.choice(TYPES)
    else:
        headers["content-type"] = "application/json"
    if chance.random() < 0.1:
        headers["idempotency-key"] = chance.choice(["", "x", "a" * 300, "\xe9", "a b"])
    params = dict(client_of("ann")) if dialect == "engine" and chance.random() < 0.8 else {}
    for name in ("limit", "pagination_key", "from_date", "page", "version_id", text_by(chance)):
        if chance.random() < 0.15:
            params[name] = chance.choice(["", "-1", "99999999999999999999", "x", text_by(chance)])
    if params and chance.random() < 0.2:
        params.pop(chance.choice(list(params)))
    body = b"" if method in ("GET", "DELETE") else broken_body(chance, method, path)
    params = {key: value.encode("utf-8", "replace") for key, value in params.items()}
    return {"url": target, "content": body, "headers": headers, "params": params or None}


def broken_body(chance: random.Random, method: str, path: str) -> bytes:
    if chance.random() < 0.1:
        return chance.choice(list(BODIES.values()))
    document = sample(chance, body_schema(method, path), 0)
    for _ in range(chance.randrange(1, 4)):
        document = changed(chance, document)
    text = json.dumps(document).encode("utf-8", "replace")
    return text if chance.random() < 0.6 else damaged(chance, text)


def changed(chance: random.Random, value: Any) -> Any:
    """With one part of it of another type, gone, or too much."""
    if isinstance(value, dict) and value and chance.random() < 0.8:
        copy = dict(value)
        key = chance.choice(list(copy))
        how = chance.randrange(4)
        if how == 0:
            del copy[key]
        elif how == 1:
            copy[text_by(chance)] = chance.choice(WRONG_VALUES)
        else:
            copy[key] = changed(chance, copy[key])
        return copy
    if isinstance(value, list) and value and chance.random() < 0.7:
        index = chance.randrange(len(value))
        return [*value[:index], changed(chance, value[index]), *value[index + 1 :]]
    return chance.choice([*WRONG_VALUES, text_by(chance), 2**70, -0.0, "x" * 20_000])


def damaged(chance: random.Random, text: bytes) -> bytes:
    """Cut, doubled, or with other bytes somewhere."""
    place = chance.randrange(len(text) + 1)
    other = chance.randbytes(chance.randrange(1, 4))
    hows: list[Callable[[], bytes]] = [
        lambda: text[:place],
        lambda: text[:place] + text,
        lambda: text[:place] + other + text[place:],
        lambda: text[:place] + other + text[place + 1 :],
        lambda: chance.randbytes(chance.randrange(200)),
    ]
    return chance.choice(hows)()


def text_by(chance: random.Random) -> str:
    letters = "aZ0 _-.,:;/\\\"'{}[]$%&?#\n\t\0\x7fé漢🍕\u202e"
    return "".join(chance.choice(letters) for _ in range(chance.randrange(12)))


# --- what routes expect ------------------------------------------------------------------------


@cache
def body_schema(method: str, path: str) -> Any:
    """Of the description whose path has the same shape; None: it has no body."""
    parts = path.split("/")
    for described, operations in DOCUMENT["paths"].items():
        others = described.split("/")
        if len(others) == len(parts) and all(
            ours == theirs or (ours == "{}" and theirs.startswith("{"))
            for ours, theirs in zip(parts, others, strict=True)
        ):
            body = resolved(operations.get(method.lower(), {}).get("requestBody", {}))
            for content in body.get("content", {}).values():
                return content["schema"]
    return None


def sample(chance: random.Random, schema: Any, depth: int) -> Any:
    """Something near to what the schema asks for."""
    schema = resolved(schema) if schema else {}
    if depth > 6:
        return None
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return sample(chance, chance.choice(schema[several]), depth + 1)
    if "const" in schema or "enum" in schema:
        return schema.get("const") or chance.choice(schema.get("enum", [None]))
    kinds = schema.get("type")
    kind = chance.choice(kinds) if isinstance(kinds, list) else kinds
    if "properties" in schema or kind == "object":
        return {
            name: sample(chance, part, depth + 1)
            for name, part in schema.get("properties", {}).items()
            if name in schema.get("required", ()) or chance.random() < 0.6
        } or {"x": 1}
    if kind == "array":
        return [sample(chance, schema.get("items"), depth + 1) for _ in range(chance.randrange(3))]
    plain: dict[Any, Any] = {"string": "ann", "integer": 1, "number": 1.5, "boolean": True}
    return plain.get(kind, {"text": "x"})


def test_every_route_with_a_body_is_described() -> None:
    """Else its requests would be broken only in their outer shape."""
    unknown = {
        (method, path)
        for method, path, _ in ROUTES
        if method in ("POST", "PUT") and body_schema(method, concrete(path, "{}")) is None
    }
    assert len(unknown) <= 3, unknown
