"""Titles, buttons and cards of the superset, as chatbot responses have them.

Spec: dialects §3; limits: chatbot-com §2.1. What is lost on the way is noted in `Losses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from palaver.http.dialects.degrade import chunked, cut_title
from palaver.http.wire import encode_json
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

LONGEST_TITLE: Final = 640
"""Of quick replies and of a button response."""

LONGEST_CARD_TITLE: Final = 80
LONGEST_SUBTITLE: Final = 80
LONGEST_BUTTON_TITLE: Final = 80
LONGEST_POSTBACK: Final = 256
MOST_CARD_BUTTONS: Final = 3

_STEP: Final = "goto:step:"


class Losses:
    """What one message loses. `texts` are told once each, in order."""

    def __init__(self, bot: LoadedBot) -> None:
        self.bot = bot
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        if text not in self.texts:
            self.texts.append(text)

    def cut(self, title: str, limit: int, what: str) -> str:
        """The title within the limit. Args: what: how to call it: `a title`."""
        if len(title) > limit:
            self.note(f"{what} was cut to {limit} characters")
        return cut_title(title, limit)


class Component(NamedTuple):
    """A message or a part of one: its content type and its content."""

    kind: str
    content: JsonObject

    def text(self, *keys: str) -> str:
        """The first of the members that has a text; "" when none has."""
        return next((text for text in map(text_of, map(self.content.get, keys)) if text), "")


def text_of(value: Json) -> str:
    """A text as it is, null as "", anything else as JSON without blanks."""
    if isinstance(value, str):
        return value
    return "" if value is None else encode_json(value).decode()


def component_of(value: Json, default: str) -> Component | None:
    """A part of a message, wrapped as `{content_type, content}` or bare; None for what is neither.

    Args:
        default: what a bare object is.
    """
    if not isinstance(value, dict):
        return None
    content = value.get("content")
    if isinstance(content, dict) and isinstance(value.get("content_type"), str):
        return Component(text_of(value["content_type"]), content)
    return Component(default, value)


# --- buttons -----------------------------------------------------------------------------------


def buttons_of(value: Json, losses: Losses) -> list[JsonObject]:
    """All buttons of a list that can be shown."""
    items = value if isinstance(value, list) else []
    shown = [button_of(item, losses) for item in items]
    if None in shown:
        losses.note("a button without a title was left out")
    return [button for button in shown if button is not None]


def button_of(item: Json, losses: Losses) -> JsonObject | None:
    """`{type, title, value}`: `url`, `goto` (a jump to a step without values) or `postback`."""
    button = component_of(item, "button") or Component("button", {"title": item})
    title = button.text("title", "text", "payload", "url")
    if not title:
        return None
    shown = losses.cut(title, LONGEST_BUTTON_TITLE, "a button's title")
    if button.kind == "url":
        return {"type": "url", "title": shown, "value": button.text("url", "title")}
    payload = button.text("payload") or title
    step = payload.removeprefix(_STEP)
    if step != payload and losses.bot.find_step(step) is not None:
        return {"type": "goto", "title": shown, "value": step}
    return {"type": "postback", "title": shown, "value": _postback(payload, title, losses)}


def _postback(payload: str, title: str, losses: Losses) -> str:
    """What a click can send back: a `query` is shorter than some payloads (§4.1).

    A button's title is as good an answer as its payload (csml-language §11.4), so it goes instead.
    """
    if len(payload) <= LONGEST_POSTBACK:
        return payload
    losses.note(f"a payload is longer than {LONGEST_POSTBACK} characters, a click sends the title")
    return title[:LONGEST_POSTBACK]


# --- cards -------------------------------------------------------------------------------------


def cards_of(card: Component, losses: Losses) -> list[JsonObject]:
    """`{title, subtitle, imageUrl, buttons}` without what the card has not.

    One with more than three buttons is followed by itself with the next ones; one without any
    text is left out.
    """
    buttons = buttons_of(card.content.get("buttons"), losses)
    title = card.text("title", "text", "subtitle") or (
        text_of(buttons[0]["title"]) if buttons else ""
    )
    if not title:
        losses.note("a card without a title was left out")
        return []
    face: JsonObject = {"title": losses.cut(title, LONGEST_CARD_TITLE, "a title")}
    subtitle = card.text("subtitle")
    if subtitle:
        face["subtitle"] = losses.cut(subtitle, LONGEST_SUBTITLE, "a subtitle")
    image = card.text("image_url")
    if image:
        face["imageUrl"] = image
    lists = chunked(buttons, MOST_CARD_BUTTONS) or ((),)
    if len(lists) > 1:
        losses.note(f"a card with {len(buttons)} buttons was split into {len(lists)}")
    return [{**face, "buttons": list(part)} for part in lists]
