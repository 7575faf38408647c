"""Cards of `send_cards_action` (clustaar §3.4): from cards, addresses and files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import unquote, urlsplit

from palaver.http.dialects.clustaar.parts import (
    ADDRESS,
    WEB_ADDRESS,
    Button,
    Losses,
    buttons_of,
    text_of,
)
from palaver.http.dialects.degrade import chunked
from palaver.types import JsonObject

LONGEST_TITLE: Final = 80
LONGEST_BUTTON: Final = 20
MOST_BUTTONS: Final = 3
MOST_CARDS: Final = 25
OPEN: Final = "Open"
"""The button of a card that stands for an address."""


def cards_of(content: JsonObject, losses: Losses) -> list[JsonObject]:
    """A superset card; one with too many buttons is followed by itself with the next ones."""
    buttons = buttons_of(content.get("buttons"), losses)
    subtitle = text_of(content.get("subtitle"))
    title = text_of(content.get("title")) or subtitle or (buttons[0].title if buttons else "…")
    image = losses.address(content.get("image_url"), WEB_ADDRESS, "the image of a card")
    url = losses.address(content.get("url"), ADDRESS, "the address of a card")
    if len(buttons) > MOST_BUTTONS:
        losses.note(f"a card's {len(buttons)} buttons were spread over several cards")
    return [
        _card(losses, title, subtitle, image, url, part)
        for part in chunked(buttons, MOST_BUTTONS) or [()]
    ]


def url_card(content: JsonObject, url: str, losses: Losses) -> JsonObject:
    """A card for an address, with a button that opens it."""
    title = text_of(content.get("title")) or url
    text = text_of(content.get("text"))
    return _card(losses, title, text if text != title else "", None, url, [_opening(url)])


def file_card(url: str, losses: Losses) -> JsonObject:
    """A card for a video, an audio or a file, named as the file is."""
    return _card(losses, file_name(url), "", None, None, [_opening(url)])


def file_name(url: str) -> str:
    """The last segment of the path, decoded; the address itself when the path has none."""
    try:
        path = urlsplit(url).path
    except ValueError:  # a bad IPv6 host
        return url
    return unquote(path.rstrip("/").rpartition("/")[2]) or url


def _opening(url: str) -> Button:
    return Button(OPEN, {"type": "open_url_action", "url": url})


def _card(
    losses: Losses,
    title: str,
    subtitle: str,
    image: str | None,
    url: str | None,
    buttons: Sequence[Button],
) -> JsonObject:
    return {
        "type": "card",
        "title": losses.cut(title, LONGEST_TITLE, "the title of a card"),
        "subtitle": losses.cut(subtitle, LONGEST_TITLE, "the subtitle of a card") or None,
        "alt": None,
        "imageURL": image,
        "url": url,
        "buttons": [
            {
                "type": "button",
                "title": losses.cut(button.title, LONGEST_BUTTON, "the title of a button"),
                "action": button.action,
            }
            for button in buttons
        ],
    }
