"""The superset's messages as chatbot responses. Spec: dialects §3, chatbot-com §2.1."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from palaver.http.dialects.chatbot.encode import encode_messages

STEP = "a" * 24
BOT: Any = SimpleNamespace(
    settings=SimpleNamespace(delay_ms=2000),
    find_step=lambda step: ("Order", "size") if step == STEP else None,
)


def message(content_type: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"content_type": content_type, "content": content, **more}


def encode(*payloads: Any, debug: bool = False) -> list[Any]:
    return encode_messages(payloads, BOT, debug=debug)


def shown(content_type: str, content: Any, **more: Any) -> list[Any]:
    """The responses of one message without their delays."""
    entries = encode(message(content_type, content, **more))
    assert all(entry.pop("delay") == 2000 for entry in entries)
    return entries


def lost(content_type: str, content: Any) -> str:
    """What one message loses; "" when nothing."""
    told = [e for e in encode(message(content_type, content), debug=True) if "debug" in e]
    assert len(told) < 2
    assert all(entry["type"] == "degraded" for entry in told)
    return told[0]["message"] if told else ""


def button(title: Any, **more: Any) -> dict[str, Any]:
    return message("button", {"title": title, "payload": title, "accepts": [title], **more})


def postback(title: str, value: str | None = None) -> dict[str, Any]:
    return {"type": "postback", "title": title, "value": value or title}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "message": said}


# --- each kind ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "content", "responses"),
    [
        ("text", {"text": "<b>hi</b>"}, [text("<b>hi</b>")]),
        ("text", {"text": None}, []),
        ("text", {"text": ""}, []),
        ("text", {}, []),
        ("image", {"url": "https://x/a.png"}, [{"type": "image", "imageUrl": "https://x/a.png"}]),
        ("image", {"title": "no url"}, [text("no url")]),
        ("video", {"url": "https://x/v"}, [text("https://x/v")]),
        ("audio", {"url": "https://x/a"}, [text("https://x/a")]),
        ("file", {"url": "https://x/f"}, [text("https://x/f")]),
        ("file", {"url": None}, []),
        ("input", {"title": "Your name?", "type": "text"}, [text("Your name?")]),
        ("object", {"text": "first", "title": "second"}, [text("first")]),
        ("Component.map", {"lat": 1}, []),
        ("array", [1, {"a": "é"}], [text('[1,{"a":"é"}]')]),
        ("closure", {"_closure": "() {}"}, []),
        ("question", {"title": "Sure?", "buttons": []}, [text("Sure?")]),
        ("question", {"buttons": "nonsense"}, []),
        ("card", {"buttons": []}, []),
        ("carousel", {"cards": []}, []),
        ("carousel", {"cards": "nonsense"}, []),
        ("button", {}, []),
    ],
)
def test_simple_kinds(content_type: str, content: Any, responses: list[Any]) -> None:
    assert shown(content_type, content) == responses


def test_type_and_delay_stand_first() -> None:
    assert [*encode(message("text", {"text": "hi"}))[0]] == ["type", "delay", "message"]


def test_a_url_is_a_button_response() -> None:
    content = {"url": "https://x", "title": "Our page", "text": "visit us"}
    link = {"type": "url", "title": "Our page", "value": "https://x"}
    assert shown("url", content) == [{"type": "button", "title": "visit us", "buttons": [link]}]
    assert lost("url", content) == ""


def test_a_lone_button_has_its_own_title() -> None:
    expected = {"type": "button", "title": "Go", "buttons": [postback("Go", "GO")]}
    assert shown("button", {"title": "Go", "payload": "GO"}) == [expected]


def test_buttons_of_every_kind() -> None:
    buttons = [
        button("Yes", payload="Y"),
        message("url", {"url": "https://x", "title": "Look", "text": "t"}),
        {"title": "bare", "payload": "B"},
        "only text",
        button("jump", payload=f"goto:step:{STEP}"),
        button("with values", payload=f'goto:step:{STEP}:{{"a":1}}'),
        button("to a story", payload=f"goto:story:{STEP}"),
        button("nowhere", payload="goto:step:" + "b" * 24),
        button("object", payload={"a": [1, "é"]}),
        button("null", payload=None),
    ]
    [response] = shown("question", {"title": "Q", "buttons": buttons})
    assert response["type"] == "quickReplies"
    assert response["buttons"] == [
        postback("Yes", "Y"),
        {"type": "url", "title": "Look", "value": "https://x"},
        postback("bare", "B"),
        postback("only text"),
        {"type": "goto", "title": "jump", "value": STEP},
        postback("with values", f'goto:step:{STEP}:{{"a":1}}'),
        postback("to a story", f"goto:story:{STEP}"),
        postback("nowhere", "goto:step:" + "b" * 24),
        postback("object", '{"a":[1,"é"]}'),
        postback("null"),
    ]


def test_a_question_without_a_title_takes_its_first_buttons() -> None:
    [response] = shown("question", {"buttons": [button("a"), button("b")]})
    assert response["title"] == "a"


def test_a_button_without_any_text_is_left_out() -> None:
    content = {"title": "Q", "buttons": [button("a"), button(None), None, {}]}
    assert shown("question", content)[0]["buttons"] == [postback("a")]
    assert "left out" in lost("question", content)


def test_a_card_shows_what_it_has() -> None:
    bare = {"type": "card", "title": "Bun", "buttons": []}
    assert shown("card", {"title": "Bun", "subtitle": None, "image_url": ""}) == [bare]
    full = {"title": "Bun", "subtitle": "s", "image_url": "https://x", "buttons": [button("a")]}
    expected = {
        "title": "Bun",
        "subtitle": "s",
        "imageUrl": "https://x",
        "buttons": [postback("a")],
    }
    assert shown("card", full) == [{"type": "card", **expected}]
    carousel = {"cards": [message("card", full), {"title": "bare"}, "nonsense"]}
    elements = [expected, {"title": "bare", "buttons": []}]
    assert shown("carousel", carousel) == [{"type": "cards", "elements": elements}]


def test_other_components_with_few_choices_are_quick_replies() -> None:
    content = {"title": "Which?", "buttons": [button(f"b{n}") for n in range(11)]}
    [response] = shown("choices_list", content)
    assert (response["type"], response["title"], len(response["buttons"])) == (
        "quickReplies",
        "Which?",
        11,
    )
    content["buttons"] = [button(f"b{n}") for n in range(12)]
    assert shown("choices_list", content) == [text("Which?")]
    assert "12 choices" in lost("choices_list", content)


def test_a_native_response_is_shown_as_it_was_written() -> None:
    native = {"type": "text", "message": "exactly", "more": 1}
    assert shown("text", {"text": "lost"}, native=native) == [native]
    own = {**native, "delay": 5}
    assert encode(message("text", {"text": "lost"}, native=own)) == [own]
    foreign = {"type": "send_text_action", "alternatives": ["a"]}
    assert shown("text", {"text": "kept"}, native=foreign) == [text("kept")]


# --- limits ------------------------------------------------------------------------------------


def test_titles_are_cut_and_told_once_a_message() -> None:
    words = "word " * 40
    card = {"title": words, "subtitle": words, "buttons": [button(words), button(words)]}
    [response] = shown("card", card)
    for title in (response["title"], response["subtitle"], response["buttons"][0]["title"]):
        assert title == "word " * 15 + "word…"
    assert lost("card", card).count("a button's title") == 1


def test_a_question_title_has_640_characters() -> None:
    [response] = shown("question", {"title": "x" * 641, "buttons": [button("a")]})
    assert response["title"] == "x" * 639 + "…"


@pytest.mark.parametrize(("length", "pieces"), [(1024, 1), (1025, 2), (2049, 3)])
def test_a_text_has_1024_characters(length: int, pieces: int) -> None:
    entries = shown("text", {"text": "ż" * length})
    assert len(entries) == pieces
    assert "".join(entry["message"] for entry in entries) == "ż" * length
    assert bool(lost("text", {"text": "ż" * length})) == (pieces > 1)


def test_eleven_buttons_then_another_message_with_the_title_again() -> None:
    entries = shown("question", {"title": "Q", "buttons": [button(f"b{n}") for n in range(12)]})
    assert [(e["title"], len(e["buttons"])) for e in entries] == [("Q", 11), ("Q", 1)]


def test_three_buttons_of_a_card_then_the_card_again() -> None:
    card = {"title": "C", "subtitle": "s", "buttons": [button(f"b{n}") for n in range(7)]}
    assert [len(e["buttons"]) for e in shown("card", card)] == [3, 3, 1]
    [response] = shown("carousel", {"cards": [message("card", card)]})
    assert [e["subtitle"] for e in response["elements"]] == ["s", "s", "s"]


def test_ten_cards_then_another_list() -> None:
    cards = [message("card", {"title": f"c{n}"}) for n in range(21)]
    assert [len(e["elements"]) for e in shown("carousel", {"cards": cards})] == [10, 10, 1]


def test_a_payload_that_no_click_can_send_gives_way_to_the_title() -> None:
    content = {"title": "Go", "payload": "p" * 257}
    assert shown("button", content)[0]["buttons"] == [postback("Go")]
    assert "256" in lost("button", content)
    assert shown("button", {**content, "payload": "p" * 256})[0]["buttons"][0]["value"] == "p" * 256


# --- waits and debug entries -------------------------------------------------------------------


def wait(duration: Any, kind: str = "wait") -> dict[str, Any]:
    return message(kind, {"duration": duration})


def test_waits_add_up_to_the_next_messages_delay() -> None:
    hi = message("text", {"text": "hi"})
    entries = encode(hi, wait(1500, "typing"), wait(0.6), hi, hi, wait(0), hi)
    assert [entry["delay"] for entry in entries] == [2000, 1501, 2000, 0]


def test_a_skipped_message_leaves_the_waits_to_the_next() -> None:
    said, empty = message("text", {"text": "hi"}), message("text", {"text": None})
    error = message("error", {"error": "oh"})
    assert [e["delay"] for e in encode(wait(100), empty, error, wait(50), said)] == [150]


def test_a_split_message_waits_once() -> None:
    entries = encode(wait(7), message("text", {"text": "x" * 2000}))
    assert [entry["delay"] for entry in entries] == [7, 2000]


@pytest.mark.parametrize("duration", [None, "5", True, [1]])
def test_a_wait_that_is_no_number_is_none(duration: Any) -> None:
    said = message("text", {"text": "hi"})
    assert encode(wait(duration), said)[0]["delay"] == 2000
    assert encode(message("wait", None), said)[0]["delay"] == 2000
    assert [e["type"] for e in encode(wait(duration), said, debug=True)] == ["degraded", "text"]


@pytest.mark.parametrize(("duration", "delay"), [(-5, 0), (1e300, 86_400_000)])
def test_a_delay_stays_within_a_day(duration: float, delay: int) -> None:
    said = message("text", {"text": "hi"})
    assert encode(wait(duration), wait(duration), said)[0]["delay"] == delay


def test_a_wait_at_the_end_is_dropped_and_told() -> None:
    said = message("text", {"text": "hi"})
    assert len(encode(said, wait(5))) == 1
    assert encode(said, wait(5), debug=True)[1]["type"] == "degraded"


def test_errors_and_debug_output_are_entries_of_debug() -> None:
    payloads = (
        message("text", {"text": "a"}),
        message("error", {"error": "it broke"}),
        message("debug", {"args": ["x", 1, {"y": 2}]}),
        message("debug", "odd"),
        message("text", {"text": "b"}),
    )
    assert [entry["message"] for entry in encode(*payloads)] == ["a", "b"]
    assert encode(*payloads, debug=True)[1:4] == [
        {"type": "error", "debug": True, "message": "it broke"},
        {"type": "debug", "debug": True, "message": 'x 1 {"y":2}'},
        {"type": "debug", "debug": True, "message": "odd"},
    ]


def test_what_is_lost_stands_behind_the_message() -> None:
    long, plain = message("card", {"title": "x" * 81}), message("text", {"text": "hi"})
    entries = encode(plain, long, plain, debug=True)
    assert [entry["type"] for entry in entries] == ["text", "card", "degraded", "text"]


@pytest.mark.parametrize(
    "payload", [{}, {"content_type": None}, {"content_type": 5, "content": {}}, {"content": None}]
)
def test_odd_payloads_are_no_failure(payload: dict[str, Any]) -> None:
    assert encode(payload) == []
