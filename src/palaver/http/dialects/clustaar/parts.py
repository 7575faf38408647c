"""What clustaar actions are made of: texts, addresses, buttons (clustaar §3.3, §3.4).

In: pieces of superset messages, whose members an author may have given any JSON. Out: pieces of
actions within their limits. Whatever does not fit is told to `Losses`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from palaver.http.dialects.degrade import cut_title
from palaver.http.dialects.jumps import jump_of
from palaver.http.wire import encode_json
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

LONGEST_URL: Final = 500
LONGEST_REPLY: Final = 1000

WEB_ADDRESS: Final = re.compile(r"(?i:https?)://[^\s/?#]\S*")
"""What an image may have as its address."""

ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#]\S*")
"""What a button may open: scheme and host."""


@dataclass(slots=True)
class Losses:
    """What one message loses on its way; `bot` is the one whose message it is."""

    bot: LoadedBot
    texts: dict[str, None] = field(default_factory=dict)

    def note(self, text: str) -> None:
        """Something is lost; said twice, it counts once."""
        self.texts[text] = None

    def cut(self, text: str, limit: int, what: str) -> str:
        """The text within the limit; noted when it was longer. Args: what: `a title` …"""
        if len(text) > limit:
            self.note(f"{what} was cut to {limit} characters")
        return cut_title(text, limit)

    def address(self, value: Json, pattern: re.Pattern[str], what: str) -> str | None:
        """The address, or None, noted, when clustaar does not take it; None for none."""
        text = text_of(value).strip()
        if not text:
            return None
        if len(text) > LONGEST_URL or pattern.fullmatch(text) is None:
            self.note(f"{what} is no absolute address of at most {LONGEST_URL} characters")
            return None
        return text


def date_text(moment: datetime) -> str:
    """`2019-07-14T09:11:59+0000`. Args: moment: in UTC. Spec: clustaar §0.2."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S+0000")


def text_of(value: Json) -> str:
    """A text as it is, nothing for null, JSON without blanks for anything else."""
    if isinstance(value, str):
        return value
    return "" if value is None else encode_json(value).decode()


class Component(NamedTuple):
    """A superset payload, wherever it stands."""

    kind: str
    content: JsonObject


def component_of(item: Json, default: str) -> Component:
    """An element of a list: `{content_type, content}`, or bare content, or a mere text.

    Args:
        default: what bare contents and texts are: `button`, `card`.
    """
    if isinstance(item, dict):
        kind, content = item.get("content_type"), item.get("content")
        if isinstance(kind, str) and isinstance(content, dict):
            return Component(kind, content)
        return Component(default, item)
    text = text_of(item)
    return Component(default, {"title": text})


class Button(NamedTuple):
    """A button of either sort; `title` is still as long as the author wrote it."""

    title: str
    action: JsonObject


def buttons_of(items: Json, losses: Losses) -> list[Button]:
    """The buttons of a question or a card; those that cannot be clicked are left out, noted."""
    listed = items if isinstance(items, list) else []
    buttons = (button_of(component_of(item, "button"), losses) for item in listed)
    return [button for button in buttons if button is not None]


def button_of(component: Component, losses: Losses) -> Button | None:
    """One button; None, noted, for what has neither title nor payload, or no good address."""
    kind, content = component
    if kind == "url":
        url = losses.address(content.get("url"), ADDRESS, "the address of a button")
        if url is None:
            return None
        title = text_of(content.get("title")) or url
        return Button(title, {"type": "open_url_action", "url": url})
    title, payload = text_of(content.get("title")), text_of(content.get("payload"))
    if not title and not payload:
        losses.note("a button has neither title nor payload")
        return None
    return Button(title or payload, _click(payload or title, title, losses))


def _click(payload: str, title: str, losses: Losses) -> JsonObject:
    """The action of a payload: the jump it encodes, else a message sent back (dialects §2)."""
    jump = jump_of(payload, losses.bot)
    if jump is not None:
        kind, reference = payload.split(":", 3)[1:3]
        return {
            "type": "go_to_action",
            "target": {"type": kind, "id": reference, "name": jump.step or jump.flow},
            "sessionValues": jump.values or None,
        }
    if len(payload) > LONGEST_REPLY:
        losses.note(f"a payload is longer than {LONGEST_REPLY} characters")
        payload = (title or payload)[:LONGEST_REPLY]
    return {"type": "legacy_reply_to_message_action", "message": payload}
