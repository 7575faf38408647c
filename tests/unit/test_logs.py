"""Lines of the log: their form, the turn they belong to, and what never stands in them."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from palaver import logs

KEY = "k3y-0f-the-studio"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No secrets and no request of another test."""
    monkeypatch.setattr(logs, "_kept", {})
    token = logs._request.set(None)
    yield
    logs._request.reset(token)


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    undo = logs.configure("debug", "json", stream)
    yield stream
    undo()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def say(text: str, *values: object, logger: str = "palaver.test", **extra: object) -> None:
    logging.getLogger(logger).warning(text, *values, extra=extra)


# --- form --------------------------------------------------------------------------------------


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    say("callback %s\nanswered %d", "x", 500, flow="Order", line=3)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warn",
        "logger": "palaver.test",
        "message": "callback x\nanswered 500",
        "flow": "Order",
        "line": 3,
    }


def test_an_exception_stands_in_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("it broke")
    except ValueError:
        logging.getLogger("palaver.test").exception("failed")
    (line,) = lines(stream)
    assert line["error"].endswith("ValueError: it broke")


def test_people_get_text_on_a_terminal() -> None:
    stream = Terminal()
    undo = logs.configure("info", "auto", stream)
    try:
        say("it rains", flow="Order")
        logs.begin_request()
        say("it pours")
    finally:
        undo()
    first, second = stream.getvalue().splitlines()
    assert first.endswith("warn  palaver.test  it rains  [flow Order]")
    assert f"[turn {logs.turn_id()}]" in second


@pytest.mark.parametrize(("form", "is_json"), [("auto", True), ("json", True), ("text", False)])
def test_elsewhere_it_is_json_unless_told_otherwise(form: str, is_json: bool) -> None:
    stream = io.StringIO()
    undo = logs.configure("info", form, stream)
    try:
        say("it rains")
    finally:
        undo()
    assert stream.getvalue().startswith("{") == is_json


def test_levels_are_those_of_the_setting_and_libraries_are_quiet() -> None:
    stream = io.StringIO()
    undo = logs.configure("info", "json", stream)
    try:
        for name in ("palaver.test", "library"):
            logging.getLogger(name).debug("debug")
            logging.getLogger(name).info("info")
            logging.getLogger(name).warning("warning")
    finally:
        undo()
    assert [(line["logger"], line["message"]) for line in lines(stream)] == [
        ("palaver.test", "info"),
        ("palaver.test", "warning"),
        ("library", "warning"),
    ]


# --- the turn's id -------------------------------------------------------------------------------


def test_lines_of_a_request_share_its_id_and_others_have_none(stream: io.StringIO) -> None:
    async def request() -> None:
        logs.begin_request()
        say("first")
        await asyncio.sleep(0)
        say("second", logger="library")
        await asyncio.create_task(later())

    async def later() -> None:
        say("third")

    async def both() -> None:
        await asyncio.gather(asyncio.create_task(request()), asyncio.create_task(request()))
        say("outside")

    asyncio.run(both())
    found: dict[str | None, list[str]] = {}
    for line in lines(stream):
        found.setdefault(line.get("turn"), []).append(line["message"])
    assert found.pop(None) == ["outside"]
    assert sorted(found.values()) == [["first", "second", "third"]] * 2
    assert all(turn is not None and len(turn) == 12 for turn in found)


# --- secrets -------------------------------------------------------------------------------------


def test_a_kept_secret_never_appears(stream: io.StringIO) -> None:
    logs.keep_secret(KEY, {"A": "a value of _env", "B": [{"c": 'quoted "secret"\n'}], "D": 12345})
    say("key %s and %r", KEY, {"x": KEY})
    say("a value of _env", note="with a value of _env")
    say(json.dumps({"env": 'quoted "secret"\n'}))
    try:
        raise ValueError(KEY)
    except ValueError:
        logging.getLogger("library").exception("failed")
    written = stream.getvalue()
    for secret in (KEY, "a value of _env", "quoted"):
        assert secret not in written
    assert lines(stream)[0]["message"] == "key … and {'x': '…'}"


def test_short_texts_are_no_secrets(stream: io.StringIO) -> None:
    logs.keep_secret("a", {"b": "to"}, None, True)
    say("a letter to b")
    assert lines(stream)[0]["message"] == "a letter to b"


def test_a_secret_inside_a_longer_one_leaves_nothing_of_it(stream: io.StringIO) -> None:
    logs.keep_secret("hunter", "hunter-2-the-movie")
    say("hunter-2-the-movie")
    assert lines(stream)[0]["message"] == "…"


def test_a_secret_of_a_request_is_hidden_in_its_lines_only(stream: io.StringIO) -> None:
    async def request(secret: str | None) -> None:
        logs.begin_request()
        if secret is not None:
            logs.note_secrets([secret, {"text": secret}])
        say("pin 4711-0815")

    async def both() -> None:
        await asyncio.create_task(request("4711-0815"))
        await asyncio.create_task(request(None))

    asyncio.run(both())
    assert [line["message"] for line in lines(stream)] == ["pin …", "pin 4711-0815"]
    logs.note_secrets(["outside of a request"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def", "Authorization: …"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': '…'}"),
        ('{"X-Api-Key":"abc|def"}', '{"X-Api-Key":"…"}'),
        (r"{\"X-Api-Key\": \"abc\"}", r"{\"X-Api-Key\": \"…\"}"),
        ("X-Api-Signature: sha256=00", "X-Api-Signature: …"),
        ("sent bearer abcdefgh.ijk", "sent bearer …"),
        ("postgresql://ann:secret@host/db", "postgresql://…@host/db"),
        ("http://x.test/a?b=1&token=abc", "http://x.test/a?…"),
        ("the bearer of news", "the bearer of news"),
        ("authorization of users", "authorization of users"),
        ("a basic flow: ok", "a basic flow: ok"),
    ],
)
def test_what_looks_like_a_credential_is_hidden(stream: io.StringIO, text: str, shown: str) -> None:
    say("%s", text)
    assert lines(stream)[0]["message"] == shown


def test_authors_keep_their_queries_but_not_tokens(stream: io.StringIO) -> None:
    say("http://x.test/a?b=1&access_token=abc#c", logger=logs.AUTHORS)
    assert lines(stream)[0]["message"] == "http://x.test/a?b=1&access_token=…#c"
