"""The superset's messages as clustaar actions. Spec: dialects §3, clustaar §3.4."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from palaver.http.dialects.clustaar.cards import file_name
from palaver.http.dialects.clustaar.encode import (
    DISPLAYABLE,
    encode_messages,
    encode_payload,
)
from palaver.http.dialects.clustaar.parts import Losses
from palaver.model import Direction, Message
from tests.unit.http.fakes import FakeBot

AT = datetime(2026, 1, 5, 9, 30, 0, 123000, UTC)
STEP = "a" * 24
STORY = "f" * 24
ANY: Any = FakeBot()


def encode(content_type: str, content: Any, **more: Any) -> list[Any]:
    return encode_payload({"content_type": content_type, "content": content, **more}, Losses(ANY))


def lost(content_type: str, content: Any) -> list[str]:
    losses = Losses(ANY)
    encode_payload({"content_type": content_type, "content": content}, losses)
    return list(losses.texts)


def button(title: Any, **more: Any) -> dict[str, Any]:
    return {"content_type": "button", "content": {"title": title, "payload": title, **more}}


def text(said: str) -> dict[str, Any]:
    return {"type": "send_text_action", "alternatives": [said], "text": said}


def say_back(message: str) -> dict[str, Any]:
    return {"type": "legacy_reply_to_message_action", "message": message}


def card(title: str, **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "subtitle": None,
        "alt": None,
        "imageURL": None,
        "url": None,
        "buttons": [],
    }
    return {"type": "card", "title": title, **empty, **more}


def opening(url: str, title: str = "Open") -> dict[str, Any]:
    action = {"type": "open_url_action", "url": url}
    return {"type": "button", "title": title, "action": action}


# --- texts, waits ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "content", "actions"),
    [
        ("text", {"text": "hi"}, [text("hi")]),
        ("text", {"text": "<b>&"}, [text("<b>&")]),
        ("text", {"text": None}, []),
        ("text", {"text": ""}, []),
        ("text", {}, []),
        ("text", {"text": ["a", ""]}, [text('["a",""]')]),
        ("array", [1, "é", {"a": None}], [text('[1,"é",{"a":null}]')]),
        ("text", None, []),
        ("text", {"text": "x" * 1000}, [text("x" * 1000)]),
        ("text", {"text": "a " + "x" * 1000}, [text("a"), text("x" * 1000)]),
        ("wait", {"duration": 1500}, [{"type": "wait_action", "duration": 1.5}]),
        ("typing", {"duration": 2000}, [{"type": "wait_action", "duration": 2}]),
        ("wait", {"duration": 0}, [{"type": "wait_action", "duration": 0.5}]),
        ("wait", {"duration": -3}, [{"type": "wait_action", "duration": 0.5}]),
        ("wait", {"duration": 10**400}, [{"type": "wait_action", "duration": 7}]),
        ("wait", {"duration": True}, []),
        ("wait", {}, []),
    ],
)
def test_texts_and_waits(content_type: str, content: Any, actions: list[Any]) -> None:
    assert encode(content_type, content) == actions


def test_only_what_was_changed_counts_as_lost() -> None:
    assert lost("text", {"text": "hi"}) == []
    assert lost("text", {"text": None}) == []
    assert lost("text", {"text": "x " * 600}) == ["a text was split into 2"]
    assert lost("wait", {"duration": 500}) == []
    assert lost("wait", {"duration": 60000}) == ["a wait of 60000 ms became one of 7000 ms"]


# --- addresses ---------------------------------------------------------------------------------


def test_an_image_has_an_absolute_web_address_else_it_is_a_text() -> None:
    image = {"type": "send_image_action", "imageURL": "https://a.example/i.png", "alt": None}
    assert encode("image", {"url": " https://a.example/i.png "}) == [image]
    assert encode("image", {"url": image["imageURL"], "alt": "I"}) == [{**image, "alt": "I"}]
    for bad in ("/i.png", "ftp://a.example/i.png", "https:///i.png", "https://a.example/ i.png"):
        assert encode("image", {"url": bad}) == [text(bad)]
        assert lost("image", {"url": bad}) == [
            "an image is no absolute address of at most 500 characters"
        ]
    long = "https://a.example/" + "i" * 483
    assert encode("image", {"url": long}) == [text(long)]
    assert encode("image", {"url": None}) == []
    (cut,) = encode("image", {"url": image["imageURL"], "alt": "word " * 101})
    assert len(cut["alt"]) <= 500


@pytest.mark.parametrize("content_type", ["video", "audio", "file"])
def test_a_file_is_a_card_named_as_the_file_is(content_type: str) -> None:
    url = "https://a.example/x/my%20film.mp4?t=1#z"
    (action,) = encode(content_type, {"url": url})
    assert action == {
        "type": "send_cards_action",
        "cards": [card("my film.mp4", buttons=[opening(url)])],
    }
    assert encode(content_type, {"url": "film.mp4"}) == [text("film.mp4")]
    assert lost(content_type, {"url": url}) == [
        f"a message of type {content_type} became a card that opens it"
    ]


def test_a_file_without_a_name_is_called_by_its_address() -> None:
    assert file_name("https://a.example/dir/") == "dir"
    assert file_name("https://a.example/") == "https://a.example/"
    assert file_name("https://[bad/") == "https://[bad/"


def test_an_address_is_a_card_that_opens_it() -> None:
    url = "https://a.example"
    shown = encode("url", {"url": url, "title": "Page", "text": "visit"})
    assert shown == [
        {
            "type": "send_cards_action",
            "cards": [card("Page", subtitle="visit", url=url, buttons=[opening(url)])],
        }
    ]
    (same,) = encode("url", {"url": url, "title": "Page", "text": "Page"})
    assert same["cards"][0]["subtitle"] is None
    (bare,) = encode("url", {"url": url})
    assert bare["cards"][0]["title"] == url
    assert encode("url", {"url": "example.com"}) == [text("example.com")]


# --- buttons -----------------------------------------------------------------------------------


def test_a_question_without_a_title_takes_that_of_its_first_button() -> None:
    (action,) = encode("question", {"buttons": [button("One"), button("Two")]})
    assert action["message"] == "One"


def test_a_question_without_buttons_is_its_title() -> None:
    assert encode("question", {"title": "Well?", "buttons": []}) == [text("Well?")]
    assert encode("question", {"title": "Well?", "buttons": "none"}) == [text("Well?")]
    assert encode("question", {"buttons": []}) == []


def test_buttons_may_be_mere_texts_or_bare_contents() -> None:
    (action,) = encode("question", {"title": "Q", "buttons": ["a", {"title": "b"}, 3, None]})
    assert action["buttons"] == [
        {"type": "quick_reply", "title": "a", "action": say_back("a")},
        {"type": "quick_reply", "title": "b", "action": say_back("b")},
        {"type": "quick_reply", "title": "3", "action": say_back("3")},
    ]
    assert lost("question", {"buttons": ["a", None]}) == ["a button has neither title nor payload"]


def test_a_payload_that_is_no_text_is_its_json() -> None:
    (action,) = encode("question", {"buttons": [button("t", payload=["p", {"q": 1}])]})
    assert action["buttons"][0]["action"] == say_back('["p",{"q":1}]')


def test_a_button_without_title_shows_its_payload_and_one_without_payload_says_its_title() -> None:
    (action,) = encode("question", {"buttons": [button("", payload="P"), button("T", payload="")]})
    assert [b["title"] for b in action["buttons"]] == ["P", "T"]
    assert [b["action"]["message"] for b in action["buttons"]] == ["P", "T"]


def test_a_payload_too_long_to_come_back_is_replaced_by_the_title() -> None:
    (action,) = encode("question", {"buttons": [button("T", payload="p" * 1001)]})
    assert action["buttons"][0]["action"] == say_back("T")
    assert lost("question", {"buttons": [button("T", payload="p" * 1001)]})
    (action,) = encode("question", {"buttons": [button("", payload="p" * 1001)]})
    assert action["buttons"][0]["action"] == say_back("p" * 1000)


def test_an_address_among_buttons_opens_and_a_bad_one_is_left_out() -> None:
    good = {"content_type": "url", "content": {"url": "app://open/x", "title": "Look"}}
    bad = {"content_type": "url", "content": {"url": "x", "title": "Bad"}}
    (action,) = encode("question", {"title": "Q", "buttons": [good, bad]})
    assert action["buttons"] == [
        {
            "type": "quick_reply",
            "title": "Look",
            "action": {"type": "open_url_action", "url": "app://open/x"},
        }
    ]
    assert encode("question", {"title": "Q", "buttons": [bad]}) == [text("Q")]


def test_an_encoded_jump_is_a_jump_when_its_target_exists() -> None:
    payloads = [f'goto:step:{STEP}:{{"a":1}}', f"goto:story:{STORY}", f"goto:step:{'b' * 24}"]
    buttons = [button("t", payload=payload) for payload in payloads]
    (action,) = encode("question", {"title": "Q", "buttons": buttons})
    step = {"type": "step", "id": STEP, "name": "size"}
    story = {"type": "story", "id": STORY, "name": "Order"}
    assert [b["action"] for b in action["buttons"]] == [
        {"type": "go_to_action", "target": step, "sessionValues": {"a": 1}},
        {"type": "go_to_action", "target": story, "sessionValues": None},
        say_back(payloads[2]),
    ]


def test_a_lone_button_asks_with_its_own_title() -> None:
    assert encode("button", {"title": "Call", "payload": "C"}) == [
        {
            "type": "send_quick_replies_action",
            "message": "Call",
            "buttons": [{"type": "quick_reply", "title": "Call", "action": say_back("C")}],
        }
    ]
    assert encode("button", {}) == []


def test_twelve_buttons_are_eleven_and_one_under_the_same_title() -> None:
    listed = [button(f"B{n}") for n in range(12)]
    first, second = encode("question", {"title": "Q", "buttons": listed})
    assert [len(first["buttons"]), len(second["buttons"])] == [11, 1]
    assert first["message"] == second["message"] == "Q"


def test_titles_are_cut_and_told_once() -> None:
    long = "word " * 300
    assert lost("question", {"title": long, "buttons": [button(long), button(long)]}) == [
        "a payload is longer than 1000 characters",
        "the title of a question was cut to 1000 characters",
        "the title of a button was cut to 60 characters",
    ]
    (action,) = encode("question", {"title": long, "buttons": [button(long)]})
    assert len(action["message"]) <= 1000
    assert len(action["buttons"][0]["title"]) <= 60
    assert action["buttons"][0]["title"].endswith("word…")


# --- cards -------------------------------------------------------------------------------------


def test_a_card_with_four_buttons_is_followed_by_itself_with_the_fourth() -> None:
    content = {"title": "C", "subtitle": "s", "buttons": [button(f"B{n}") for n in range(4)]}
    actions = encode("card", content)
    assert [[len(c["buttons"]) for c in a["cards"]] for a in actions] == [[3], [1]]
    (carousel,) = encode("carousel", {"cards": [{"content_type": "card", "content": content}]})
    assert [len(c["buttons"]) for c in carousel["cards"]] == [3, 1]
    assert {(c["title"], c["subtitle"]) for c in carousel["cards"]} == {("C", "s")}


def test_cards_are_filled_up_to_twenty_five() -> None:
    cards = [{"title": f"C{n}"} for n in range(51)]
    actions = encode("carousel", {"cards": cards})
    assert [len(a["cards"]) for a in actions] == [25, 25, 1]
    assert encode("carousel", {"cards": []}) == []
    image = {"content_type": "image", "content": {"url": "https://a.example/i.png"}}
    assert encode("carousel", {"cards": [image]}) == []
    assert lost("carousel", {"cards": [image]}) == ["a component image among cards was left out"]
    assert encode("carousel", {"cards": None}) == []


def test_a_card_needs_a_title_and_its_addresses_must_be_good() -> None:
    (action,) = encode("card", {"subtitle": "s", "image_url": "i.png", "url": "https://a.example"})
    assert action["cards"] == [card("s", subtitle="s", url="https://a.example")]
    assert encode("card", {})[0]["cards"] == [card("…")]
    assert encode("card", {"title": None, "buttons": [button("B")]})[0]["cards"][0]["title"] == "B"
    assert lost("card", {"title": "T", "image_url": "i.png"})


def test_titles_of_cards_are_cut() -> None:
    (action,) = encode(
        "card", {"title": "t " * 60, "subtitle": "s" * 81, "buttons": [button("b" * 21)]}
    )
    (shown,) = action["cards"]
    assert len(shown["title"]) <= 80
    assert shown["subtitle"] == "s" * 79 + "…"
    assert shown["buttons"][0]["title"] == "b" * 19 + "…"
    assert shown["buttons"][0]["action"] == say_back("b" * 21)


# --- the rest ----------------------------------------------------------------------------------


def test_input_like_components_are_their_title() -> None:
    for kind in ("input", "Component.radio", "calendar"):
        assert encode(kind, {"title": "When?"}) == [text("When?")]
        assert lost(kind, {"title": "When?"}) == [f"a component {kind} became its title"]
    event = {"type": "send_js_event_action", "event": "input", "payload": {"min": 1}}
    assert encode("input", {"min": 1}) == [event]


def test_any_other_component_is_an_event_of_the_page() -> None:
    for kind in ("object", "Component.banner", "Component.image", "closure"):
        (action,) = encode(kind, {"a": [1]})
        assert action == {"type": "send_js_event_action", "event": kind, "payload": {"a": [1]}}
    assert encode("x" * 300, {})[0]["event"] == "x" * 200
    assert encode("", {})[0]["event"] == "component"


@pytest.mark.parametrize("kind", sorted(DISPLAYABLE))
def test_a_native_action_is_shown_as_its_author_wrote_it(kind: str) -> None:
    native = {"type": kind, "alternatives": ["a", "b"], "text": "b"}
    assert encode("text", {"text": "b"}, native=native) == [native]


def test_a_form_of_another_dialect_is_not_looked_at() -> None:
    assert encode("text", {"text": "b"}, native={"type": "quickReplies"}) == [text("b")]
    assert encode("text", {"text": "b"}, native={"type": ["text"]}) == [text("b")]
    assert encode("text", {"text": "b"}, native="text") == [text("b")]


def test_errors_debug_output_and_losses_stand_in_the_logs_in_order() -> None:
    payloads: list[Any] = [
        {"content_type": "error", "content": {"error": "no x"}},
        {"content_type": "wait", "content": {"duration": 1}},
        {"content_type": "debug", "content": {"args": ["a", "b"]}},
        {"content_type": "error", "content": "odd"},
        {"content_type": "text", "content": {"text": "hi"}},
    ]
    said = [Message("c", "F", "s", Direction.SEND, p, 0, 0, AT) for p in payloads]
    encoded = encode_messages(said, ANY)
    assert [a["type"] for a in encoded.actions] == ["wait_action", "send_text_action"]
    at = {"createdAt": "2026-01-05T09:30:00+0000"}
    changed = "a wait of 1 ms became one of 500 ms"
    assert encoded.logs == [
        {"type": "error", "level": "error", "message": "no x", **at},
        {"type": "degraded", "level": "warning", "message": changed, **at},
        {"type": "debug", "level": "debug", "message": "a b", **at},
        {"type": "error", "level": "error", "message": "odd", **at},
    ]
