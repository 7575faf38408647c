"""The methods of the event. Spec: csml-language §11.3, csml-engine-runtime §22.12."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import SoftError
from palaver.csml.stdlib.events import EVENT
from palaver.csml.values import SECURE, Members, Meta, Value, content_type_of, secured
from tests.unit.csml.fakes import HERE, FakeRun, call, plain, value
from tests.unit.csml.talking import Talk

MATCH_ARRAY = "expect Array value as argument usage: match_array([a,b,c]) => a"


def event(content_type: str = "text", **content: Any) -> Value:
    return Value(value(content).data, HERE, Meta(content_type))


def accepting(*words: str) -> Value:
    return Value(Members({"accepts": value(list(words))}), HERE, Meta("button"))


HELLO = event(text="hello")
FILE = event("file", url="hello", size=41)
BOTH = {"text": "typed words", "payload": "intent:X"}


@pytest.mark.parametrize(
    ("this", "name", "args", "expected"),
    [
        (HELLO, "get_type", [], "text"),
        (FILE, "get_type", [], "file"),
        (FILE, "get_content", [], {"url": "hello", "size": 41}),
        (HELLO, "is_secure", [], False),
        (HELLO, "is_secure", [1], False),
        (event(text="a@b.co"), "is_email", [], True),
        (HELLO, "is_email", [], False),
        (event("payload", payload="a@b.co"), "is_email", [], False),
        (event("payload", payload="a@b.co"), "is_email", [1], False),
        (event(text=5), "is_email", [1], False),
        (HELLO, "match", ["hello", "no"], "hello"),
        (HELLO, "match", ["Hello"], None),
        (HELLO, "match", ["a", "b"], None),
        (HELLO, "match", [["x", "HELLO"]], ["x", "HELLO"]),
        (HELLO, "match", [5], None),
        (HELLO, "match", [{"accepts": "hello"}], {"accepts": "hello"}),
        (HELLO, "match", [accepting("no"), accepting("HELLO"), "hello"], {"accepts": ["HELLO"]}),
        (HELLO, "match_array", [["no", "hello"]], "hello"),
        (HELLO, "match_array", [["no"]], None),
        (HELLO, "match_array", [[]], None),
        (HELLO, "match_array", [["hello"], 1], "hello"),
        (event("payload", payload="hello"), "match", ["hello"], "hello"),
        (event("image", payload="hello"), "match", ["hello"], "hello"),
        (FILE, "match", ["hello"], None),
        (FILE, "match", [], None),
        (FILE, "match_array", ["x"], None),
        (FILE, "match_array", [], None),
        (event(text=5, payload="hello"), "match", ["hello"], "hello"),
        # Palaver: the payload of a payload event first, then its text
        (event("payload", **BOTH), "match", [accepting("intent:X")], {"accepts": ["intent:X"]}),
        (event("payload", **BOTH), "match", ["typed words"], "typed words"),
        (event("payload", **BOTH), "match", ["typed words", "intent:X"], "intent:X"),
        (event("text", **BOTH), "match", ["intent:X"], None),
        (event("text", **BOTH), "match", ["typed words"], "typed words"),
    ],
)
def test_results(this: Value, name: str, args: list[Any], expected: Any) -> None:
    assert plain(call(EVENT, name, this, *args)) == expected


@pytest.mark.parametrize(
    ("this", "name", "args", "text"),
    [
        (HELLO, "is_email", [1], "usage: is_email() => boolean"),
        (HELLO, "match", [], "usage: match(a) => a"),
        (HELLO, "match_array", [], MATCH_ARRAY),
        (HELLO, "match_array", ["hello"], MATCH_ARRAY),
    ],
)
def test_errors(this: Value, name: str, args: list[Any], text: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(EVENT, name, this, *args)
    assert (caught.value.text, caught.value.at) == (text, None)


@pytest.mark.parametrize(
    ("name", "usage"),
    [("get_type", "get_type() => string"), ("get_content", "get_content() => object")],
)
def test_counts_and_usage(name: str, usage: str) -> None:
    assert (EVENT[name].low, EVENT[name].high, EVENT[name].usage) == (0, 0, usage)


def test_the_content_keeps_the_type_of_the_event() -> None:
    content = call(EVENT, "get_content", FILE)
    assert content_type_of(content) == "file"
    assert content.data is FILE.data
    assert content.data.shared


def test_the_matching_argument_is_returned_itself() -> None:
    button = accepting("hello")
    assert call(EVENT, "match", HELLO, button) is button


def test_a_secure_event() -> None:
    this = secured(HELLO)
    run = FakeRun()
    run.event = Value("hello", HERE, SECURE)
    assert call(EVENT, "is_secure", this, run=run) is True
    assert call(EVENT, "get_content", this, run=run).is_secure
    assert call(EVENT, "get_type", this, run=run).meta == Meta()  # says that it is no secret


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a@b.co", True),
        ("a b@c.d", True),
        ("a@b.c.d", True),
        ("a@b..", True),
        ("a@..b", True),
        ("a\n@b.c\n", True),
        ("a@b", False),
        ("@b.c", False),
        ("a@.b", False),
        ("a@b.", False),
        ("a@.", False),
        ("a@b.c@d.e", False),
        ("a@@b.c", False),
        ("", False),
    ],
)
def test_addresses(text: str, expected: bool) -> None:
    assert call(EVENT, "is_email", event(text=text)) is expected


def test_objects_inside_the_event_have_its_content_type() -> None:
    content = {"text": "hi", "more": {"k": 1, "text": "inner"}}
    talk = Talk("start: say event.more.get_type() say event.more.get_content() say event.more.k")
    assert talk("hi", content=content) == [
        "text",
        ("text", {"k": 1, "text": "inner"}),
        "1",
    ]
