"""What holds for all dialects: paths, prefixes, methods, errors, life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from palaver.errors import Invalid, SchemaOutdated, Unavailable
from palaver.http.dialects.base import Cors, Dialect, Problem, Route
from palaver.http.request import Request, Response, json_response
from tests.unit.http.fakes import Caller


class Toy(Dialect):
    """A dialect with everything a dialect may have."""

    name = "toy"
    prefix = "/toy"
    roots = ("/toys",)
    tolerates_slash = True
    statuses = {Invalid: 422}  # noqa: RUF012

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/toys", self.echo),
            Route("POST", "/toys", self.make, idempotent=True),
            Route("GET", "/toys/new", self.fixed),
            Route("GET", "/toys/{id}", self.echo),
            Route("PUT", "/toys/{id}/parts/{part}", self.echo),
            Route("GET", "/bots/{bot}/toys/{id}", self.echo),
            Route("PUT", "/bots/{id}", self.echo),
            Route("GET", "/toys/{id}/break", self.fail),
            Route("POST", "/toys/invalid", self.invalid),
        )

    def render_error(self, request: Request, problem: Problem) -> Response:
        return json_response({"toy": problem.status, "why": problem.message}, problem.status)

    def cors_of(self, path: str) -> Cors | None:
        return Cors() if path.startswith("/toys") else None

    made = 0

    async def echo(self, request: Request) -> Response:
        return json_response(
            {"params": request.params, "query": request.query, "path": request.path}
        )

    async def make(self, request: Request) -> Response:
        async def make() -> Response:
            body = await request.json_object()
            await asyncio.sleep(0)
            self.made += 1
            return json_response({"made": self.made, **body}, 400 if "bad" in body else 200)

        return await self.once(request, request.headers.get("x-api-key", ""), make)

    async def fixed(self, request: Request) -> Response:
        return json_response("fixed")

    async def fail(self, request: Request) -> Response:
        raise RuntimeError("a secret detail")

    async def invalid(self, request: Request) -> Response:
        raise Invalid("no")


@pytest.fixture
def toys() -> Caller:
    return Caller(lambda services: (Toy(services),))


def test_a_path_is_found_at_the_root_and_under_the_prefix(toys: Caller) -> None:
    for path in ("/toys/7", "/toy/toys/7", "/toys/7/", "/toy/toys/7/"):
        answer = toys.send("GET", path + "?a=1&b=%20&a=2")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json; charset=utf-8"
        assert answer.json() == {
            "params": {"id": "7"},
            "query": {"a": "2", "b": " "},
            "path": "/toys/7",
        }


def test_a_literal_segment_wins_over_a_parameter(toys: Caller) -> None:
    assert toys.send("GET", "/toys/new").json() == "fixed"


def test_parameters_are_decoded_each_by_itself(toys: Caller) -> None:
    answer = toys.send("PUT", "/toys/a%2Fb/parts/%C3%A9")
    assert answer.json()["params"] == {"id": "a/b", "part": "é"}
    assert toys.send("GET", "/bots/x/toys/y").json()["params"] == {"bot": "x", "id": "y"}
    assert toys.send("GET", "/toys//parts").status_code == 404


def test_head_is_get_without_a_body(toys: Caller) -> None:
    answer = toys.send("HEAD", "/toys/new")
    assert answer.status_code == 200
    assert answer.content == b""
    assert answer.headers["content-length"] == "7"
    assert toys.send("HEAD", "/livez").status_code == 200


def test_another_method_is_405_with_those_allowed(toys: Caller) -> None:
    answer = toys.send("DELETE", "/toys")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert answer.json()["toy"] == 405
    assert toys.send("POST", "/livez").status_code == 405


def test_a_path_that_dialects_share_allows_the_methods_of_all(toys: Caller) -> None:
    answer = toys.send("PATCH", "/bots/b")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert answer.json()["toy"] == 405


def test_another_method_on_the_engines_own_paths_is_404(toys: Caller) -> None:
    for method, path in (("POST", "/status"), ("GET", "/run"), ("PATCH", "/engine/bots/b")):
        answer = toys.send(method, path)
        assert answer.status_code == 404
        assert answer.json() == {
            "code": 404,
            "message": f"There is no {method} {answer.json()['message'].split()[-1]}",
        }


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/nothing", "code"),
        ("/", None),
        ("/engine/nothing", "code"),
        ("/studio", "statusCode"),
        ("/studio/nothing", "statusCode"),
        ("/v1/api/nothing/here", "statusCode"),
        ("/prod/x", "statusCode"),
        ("/toy/nothing", "toy"),
        ("/toys/1/2/3", "toy"),
        ("/toyshop", "code"),
        ("/%00/%ff", "code"),
        ("/" + "a/" * 2000, "code"),
    ],
)
def test_an_unknown_path_is_answered_in_its_dialects_shape(
    toys: Caller, path: str, shape: str | None
) -> None:
    answer = toys.send("GET", path)
    if shape is None:
        assert answer.status_code == 200
        return
    assert answer.status_code == 404
    assert answer.json()[shape] == 404


def test_an_unforeseen_error_is_logged_under_a_number_and_hidden(
    toys: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    answer = toys.send("GET", "/toys/1/break")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert "Traceback" not in answer.text
    number = answer.json()["why"].split()[-1].rstrip(".")
    assert number in caplog.text
    assert "a secret detail" in caplog.text


def test_a_dialect_may_have_its_own_statuses(toys: Caller) -> None:
    assert toys.send("POST", "/toys/invalid").status_code == 422


def test_pages_may_ask_and_read_where_a_dialect_says_so(toys: Caller) -> None:
    asked = toys.send("OPTIONS", "/toys/1", headers={"origin": "https://a.example"})
    assert asked.status_code == 204
    assert asked.content == b""
    assert asked.headers["access-control-allow-origin"] == "*"
    assert asked.headers["access-control-allow-methods"] == "GET, HEAD"
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    for path in ("/toys/1", "/toys/1/break", "/toys/1/2/3"):
        assert toys.send("GET", path).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in toys.send("GET", "/livez").headers


def test_cors_origins_open_every_route_to_their_pages(toys: Caller) -> None:
    toys.app = toys.make_app(cors_origins=("https://a.example",))
    answer = toys.send("GET", "/livez", headers={"origin": "https://a.example"})
    assert answer.headers["access-control-allow-origin"] == "https://a.example"
    assert answer.headers["vary"] == "Origin"
    answer = toys.send("GET", "/livez", headers={"origin": "https://b.example"})
    assert "access-control-allow-origin" not in answer.headers


# --- Idempotency-Key on routes that are no turn --------------------------------------------------


def test_a_repeated_key_gets_the_stored_answer(toys: Caller) -> None:
    once = {"idempotency-key": "k"}
    first = toys.send("POST", "/toys", {"a": 1}, headers=once)
    assert first.json() == {"made": 1, "a": 1}
    assert toys.send("POST", "/toy/toys", {"a": 1}, headers=once).content == first.content
    assert toys.send("POST", "/toys", {"a": 2}, headers=once).status_code == 422
    assert toys.send("POST", "/toys?x=1", {"a": 1}, headers=once).status_code == 422
    assert toys.send("POST", "/toys", {"a": 1}).json()["made"] == 2
    assert toys.send("POST", "/toys", {"a": 1}, headers=once, key="other").json()["made"] == 3


def test_only_answers_with_status_200_are_kept(toys: Caller) -> None:
    once = {"idempotency-key": "k"}
    assert toys.send("POST", "/toys", {"bad": 1}, headers=once).status_code == 400
    assert toys.send("POST", "/toys", {"a": 1}, headers=once).json() == {"made": 2, "a": 1}


def test_simultaneous_repeats_do_it_once(toys: Caller) -> None:
    async def all_at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=toys.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            calls = (
                client.post("/toys", json={"a": 1}, headers={"idempotency-key": "k"})
                for _ in range(8)
            )
            return await asyncio.gather(*calls)

    assert {answer.content for answer in asyncio.run(all_at_once())} == {b'{"made":1,"a":1}'}


# --- operations ----------------------------------------------------------------------------------


def test_the_page_says_what_runs_here_and_escapes_it(caller: Caller) -> None:
    answer = caller.send("GET", "/")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Pizza &amp; &lt;Co&gt;" in answer.text


def test_livez_touches_nothing_and_readyz_gives_the_reason(caller: Caller) -> None:
    assert caller.send("GET", "/readyz").status_code == 200
    for error in (Unavailable("the database is stopped"), SchemaOutdated("schema 3, not 4")):
        caller.storage.broken = error
        answer = caller.send("GET", "/readyz")
        assert answer.status_code == 503
        assert answer.json()["reason"] == str(error)
        assert caller.send("GET", "/livez").status_code == 200


def live(app: Any) -> list[str]:
    sent: list[str] = []
    messages = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> dict[str, str]:
        return {"type": next(messages)}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    asyncio.run(app({"type": "lifespan"}, receive, send))
    return sent


def test_the_lifespan_opens_before_and_closes_after(caller: Caller) -> None:
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        seen.append("open")
        yield
        seen.append("closed")

    app = caller.make_app(lifespan=lifespan)
    assert live(app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert seen == ["open", "closed"]
    assert live(caller.app) == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


def test_a_start_that_fails_is_said(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise Unavailable("no database")
        yield

    caplog.set_level(logging.CRITICAL)
    assert live(caller.make_app(lifespan=lifespan)) == ["lifespan.startup.failed"]


def test_every_route_that_changes_something_by_post_can_be_repeated(caller: Caller) -> None:
    asks_only = {"/validate", "/conversations/open", "/conversations/close", "/data/cleanup"}
    for dialect in caller.dialects:
        for route in dialect.routes():
            if route.method == "POST" and route.path not in asks_only:
                assert route.idempotent, route.path
