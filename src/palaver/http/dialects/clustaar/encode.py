"""The superset's messages as clustaar actions (dialects §3; limits: clustaar §3.4).

In: the messages of a turn, `{"content_type": str, "content": …}`, perhaps with the `native` form
of the dialect they were written for. Out: the actions of `fulfillment` and the entries of
`debug.logs`. What actions cannot say is one such entry a message. Pure.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from palaver.http.dialects.answers import NATIVE
from palaver.http.dialects.clustaar.cards import MOST_CARDS, cards_of, file_card, url_card
from palaver.http.dialects.clustaar.documents import is_number
from palaver.http.dialects.clustaar.parts import (
    ADDRESS,
    WEB_ADDRESS,
    Button,
    Component,
    Losses,
    button_of,
    buttons_of,
    component_of,
    date_text,
    text_of,
)
from palaver.http.dialects.degrade import chunked, split_text
from palaver.model import Message
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

logger = logging.getLogger(__name__)

LONGEST_TEXT: Final = 1000
LONGEST_ALT: Final = 500
LONGEST_EVENT: Final = 200
LONGEST_REPLY_TITLE: Final = 60
MOST_REPLIES: Final = 11
WAIT_MS: Final = (500, 7000)
"""The shortest and the longest wait."""

DISPLAYABLE: Final = frozenset(
    {
        "send_text_action",
        "send_image_action",
        "wait_action",
        "send_quick_replies_action",
        "send_cards_action",
        "send_simple_cards_action",
        "send_choices_list_action",
        "ask_location_action",
        "ask_document_action",
        "send_js_event_action",
    }
)
"""Types of native forms that are this dialect's, ready to be shown. Spec: clustaar §3.1."""

Actions: TypeAlias = list[JsonObject]
Encoder: TypeAlias = Callable[[Component, Losses], Actions]


class Encoded(NamedTuple):
    """What a turn said: `fulfillment.actions` and `debug.logs`."""

    actions: Actions
    logs: list[JsonObject]


def encode_messages(messages: Iterable[Message], bot: LoadedBot) -> Encoded:
    """All messages of a turn, in order. Args: bot: the one that said them."""
    encoded = Encoded([], [])
    for message in messages:
        log = _log_of(message)
        if log is not None:
            encoded.logs.append(log)
            continue
        losses = Losses(bot)
        encoded.actions.extend(encode_payload(message.payload, losses))
        if losses.texts:
            lost = "; ".join(losses.texts)
            encoded.logs.append(_log("degraded", lost, message.created_at))
            logger.debug("degraded for clustaar: %s", lost)
    return encoded


def encode_payload(payload: JsonObject, losses: Losses) -> Actions:
    """One message: its native form when that is an action, else what the table says."""
    native = payload.get(NATIVE)
    if isinstance(native, dict) and text_of(native.get("type")) in DISPLAYABLE:
        return [native]
    content = payload.get("content")
    if not isinstance(content, dict):  # an array: no component
        return _texts(content, losses)
    component = Component(text_of(payload.get("content_type")), content)
    return ENCODERS.get(component.kind, _other)(component, losses)


# --- what stands in the logs -------------------------------------------------------------------

LEVELS: Final[Mapping[str, str]] = {"error": "error", "debug": "debug", "degraded": "warning"}
"""`type` of a log entry to its `level`."""


def _log_of(message: Message) -> JsonObject | None:
    """An error or a debug message as a log entry; None for what people see."""
    kind, content = message.payload.get("content_type"), message.payload.get("content")
    if kind not in ("error", "debug"):
        return None
    told: Json = content
    if isinstance(content, dict):
        told = content.get("error") if kind == "error" else content.get("args")
    texts = told if isinstance(told, list) else [told]
    return _log(str(kind), " ".join(map(text_of, texts)), message.created_at)


def _log(kind: str, text: str, at: datetime) -> JsonObject:
    return {"type": kind, "level": LEVELS[kind], "message": text, "createdAt": date_text(at)}


# --- texts and waits ---------------------------------------------------------------------------


def _text(component: Component, losses: Losses) -> Actions:
    return _texts(component.content.get("text"), losses)


def _texts(value: Json, losses: Losses) -> Actions:
    """A text in as many actions as it needs; none for null and for nothing."""
    pieces = [piece for piece in split_text(text_of(value), LONGEST_TEXT) if piece]
    if len(pieces) > 1:
        losses.note(f"a text was split into {len(pieces)}")
    return [
        {"type": "send_text_action", "alternatives": [piece], "text": piece} for piece in pieces
    ]


def _wait(component: Component, losses: Losses) -> Actions:
    """Milliseconds to seconds; what is no number is no wait."""
    wanted = component.content.get("duration")
    if not is_number(wanted):
        losses.note("a wait has no duration")
        return []
    duration = min(max(wanted, WAIT_MS[0]), WAIT_MS[1])
    if duration != wanted:
        losses.note(f"a wait of {wanted} ms became one of {duration} ms")
    seconds = duration / 1000
    return [{"type": "wait_action", "duration": int(seconds) if seconds.is_integer() else seconds}]


# --- addresses ---------------------------------------------------------------------------------


def _image(component: Component, losses: Losses) -> Actions:
    content = component.content
    url = losses.address(content.get("url"), WEB_ADDRESS, "an image")
    if url is None:
        return _texts(content.get("url"), losses)
    alt = losses.cut(text_of(content.get("alt")), LONGEST_ALT, "the text of an image")
    return [{"type": "send_image_action", "imageURL": url, "alt": alt or None}]


def _file(component: Component, losses: Losses) -> Actions:
    """A video, an audio, a file: a card that opens it."""
    address = component.content.get("url")
    url = losses.address(address, ADDRESS, f"the address of the {component.kind}")
    if url is None:
        return _texts(address, losses)
    losses.note(f"a message of type {component.kind} became a card that opens it")
    return _card_actions([file_card(url, losses)], losses)


def _url(component: Component, losses: Losses) -> Actions:
    address = component.content.get("url")
    url = losses.address(address, ADDRESS, "the address")
    if url is None:
        return _texts(address, losses)
    return _card_actions([url_card(component.content, url, losses)], losses)


# --- buttons and cards -------------------------------------------------------------------------


def _question(component: Component, losses: Losses) -> Actions:
    buttons = buttons_of(component.content.get("buttons"), losses)
    title = component.content.get("title")
    return _quick_replies(text_of(title), buttons, losses) if buttons else _texts(title, losses)


def _lone_button(component: Component, losses: Losses) -> Actions:
    button = button_of(component, losses)
    return [] if button is None else _quick_replies(button.title, [button], losses)


def _quick_replies(title: str, buttons: list[Button], losses: Losses) -> Actions:
    """A question; its title is repeated when it has too many buttons for one action."""
    message = losses.cut(title or buttons[0].title, LONGEST_TEXT, "the title of a question")
    replies: list[JsonObject] = [
        {
            "type": "quick_reply",
            "title": losses.cut(button.title, LONGEST_REPLY_TITLE, "the title of a button"),
            "action": button.action,
        }
        for button in buttons
    ]
    parts = chunked(replies, MOST_REPLIES)
    if len(parts) > 1:
        losses.note(f"{len(buttons)} buttons were split into {len(parts)} messages")
    return [
        {"type": "send_quick_replies_action", "message": message, "buttons": list(part)}
        for part in parts
    ]


def _card(component: Component, losses: Losses) -> Actions:
    cards = cards_of(component.content, losses)
    return [action for card in cards for action in _card_actions([card], losses)]


def _carousel(component: Component, losses: Losses) -> Actions:
    items = component.content.get("cards")
    cards: Actions = []
    for item in items if isinstance(items, list) else []:
        kind, content = component_of(item, "card")
        if kind == "card":
            cards.extend(cards_of(content, losses))
        else:
            losses.note(f"a component {kind} among cards was left out")
    return _card_actions(cards, losses)


def _card_actions(cards: Actions, losses: Losses) -> Actions:
    parts = chunked(cards, MOST_CARDS)
    if len(parts) > 1:
        losses.note(f"{len(cards)} cards were split into {len(parts)} messages")
    return [{"type": "send_cards_action", "cards": list(part)} for part in parts]


# --- other components --------------------------------------------------------------------------


def _input(component: Component, losses: Losses) -> Actions:
    """A component of the web chat that asks for something: its title is the question."""
    title = component.content.get("title")
    if not text_of(title):
        return _other(component, losses)
    losses.note(f"a component {component.kind} became its title")
    return _texts(title, losses)


def _other(component: Component, losses: Losses) -> Actions:
    event = component.kind[:LONGEST_EVENT] or "component"
    return [{"type": "send_js_event_action", "event": event, "payload": component.content}]


INPUTS: Final = ("input", "radio", "dropdown", "multiselect", "checkbox", "calendar", "signature")
"""Input-like components of the Studio's web chat. Spec: csml-studio-api §16.4."""

ENCODERS: Final[Mapping[str, Encoder]] = {
    "text": _text,
    "wait": _wait,
    "typing": _wait,
    "image": _image,
    "video": _file,
    "audio": _file,
    "file": _file,
    "url": _url,
    "question": _question,
    "quickreply": _question,
    "button": _lone_button,
    "card": _card,
    "carousel": _carousel,
    **dict.fromkeys(INPUTS, _input),
    **dict.fromkeys((f"Component.{name}" for name in INPUTS), _input),
}
"""Content type to its encoder; every other one is an event of the page."""
