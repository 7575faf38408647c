"""The superset's messages as responses in rendered form: `result.fulfillment`.

In: the messages of a turn, `{"content_type": str, "content": …}`, perhaps with the `native` form
of the dialect they were written for. Out: responses in order, each with its `delay`; among them,
where the request asked for debug, entries `{type, debug: true, message}` for errors, debug output
and what was lost, one a message. Pure. Spec: dialects §3; limits: chatbot-com §2.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

from palaver.http.dialects.answers import NATIVE
from palaver.http.dialects.chatbot.parts import (
    LONGEST_TITLE,
    Component,
    Losses,
    button_of,
    buttons_of,
    cards_of,
    component_of,
    text_of,
)
from palaver.http.dialects.degrade import chunked, split_text
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

LONGEST_TEXT: Final = 1024
MOST_REPLIES: Final = 11
MOST_CARDS: Final = 10
LONGEST_DELAY_MS: Final = 24 * 3600 * 1000
"""No sum of waits grows beyond a day: a script may multiply."""

VISIBLE: Final = frozenset({"text", "image", "quickReplies", "card", "cards", "button"})
"""Types of native forms that are this dialect's, ready to be shown. Spec: §2.1."""

Responses: TypeAlias = list[JsonObject]
Encoder: TypeAlias = Callable[[Component, Losses], Responses]


def encode_messages(
    payloads: Iterable[JsonObject], bot: LoadedBot, *, debug: bool = False
) -> Responses:
    """All messages of a turn, in order.

    Args:
        payloads: in superset form.
        bot: the one that said them.
        debug: whether the debug entries are wanted.
    """
    writer = _Writer(bot, tells=debug)
    for payload in payloads:
        writer.write(payload)
    return writer.finished()


class _Writer:
    """Responses so far, and the waits that no message has taken yet.

    Args:
        tells: whether the debug entries are wanted.
    """

    def __init__(self, bot: LoadedBot, *, tells: bool) -> None:
        self._bot = bot
        self._tells = tells
        self._entries: Responses = []
        self._wait_ms: float | None = None

    def write(self, payload: JsonObject) -> None:
        kind, content = payload.get("content_type"), payload.get("content")
        if kind in ("error", "debug"):
            self._tell(str(kind), _told(content))
        elif kind in ("wait", "typing"):
            self._wait(content)
        else:
            losses = Losses(self._bot)
            for response in encode_payload(payload, losses):
                self._show(response)
            if losses.texts:
                self._tell("degraded", f"{kind}: {'; '.join(losses.texts)}")

    def finished(self) -> Responses:
        """All entries; a wait nothing came after is gone."""
        if self._wait_ms is not None:
            self._tell("degraded", "wait: no message comes after it")
        return self._entries

    def _wait(self, content: Json) -> None:
        duration = content.get("duration") if isinstance(content, dict) else None
        if isinstance(duration, bool) or not isinstance(duration, int | float):
            self._tell("degraded", "wait: it has no duration")
            return
        total = (self._wait_ms or 0) + min(max(duration, 0), 2 * LONGEST_DELAY_MS)
        if total > LONGEST_DELAY_MS:
            self._tell("degraded", f"wait: it is longer than {LONGEST_DELAY_MS} ms")
        self._wait_ms = min(total, LONGEST_DELAY_MS)

    def _show(self, response: JsonObject) -> None:
        """Takes the waits, else the bot's delay; `type` and `delay` stand first."""
        delay = self._bot.settings.delay_ms
        if self._wait_ms is not None:
            delay = math.floor(self._wait_ms + 0.5)
        self._wait_ms = None
        self._entries.append({"type": response["type"], "delay": delay, **response})

    def _tell(self, kind: str, message: str) -> None:
        if self._tells:
            self._entries.append({"type": kind, "debug": True, "message": message})


def _told(content: Json) -> str:
    """The text of an error, or what `debug` was given."""
    told = content
    if isinstance(content, dict):
        told = content.get("error", content.get("args", content))
    return " ".join(map(text_of, told)) if isinstance(told, list) else text_of(told)


# --- one message -------------------------------------------------------------------------------


def encode_payload(payload: JsonObject, losses: Losses) -> Responses:
    """One message: its native form when that is a response, else what the table says.

    Responses have a `delay` only if their native form has one.
    """
    native = payload.get(NATIVE)
    if isinstance(native, dict) and native.get("type") in VISIBLE:
        return [native]
    content = payload.get("content")
    if not isinstance(content, dict):  # an array: no component
        return _texts(text_of(content), losses)
    component = Component(text_of(payload.get("content_type")), content)
    return ENCODERS.get(component.kind, _other)(component, losses)


def _text(component: Component, losses: Losses) -> Responses:
    return _texts(component.text("text"), losses)


def _texts(text: str, losses: Losses) -> Responses:
    """A text in as many responses as it needs; none for an empty one."""
    pieces = [piece for piece in split_text(text, LONGEST_TEXT) if piece]
    if len(pieces) > 1:
        losses.note(f"a text was split into {len(pieces)}")
    return [{"type": "text", "message": piece} for piece in pieces]


def _image(component: Component, losses: Losses) -> Responses:
    url = component.text("url")
    return [{"type": "image", "imageUrl": url}] if url else _as_text(component, losses)


def _file(component: Component, losses: Losses) -> Responses:
    url = component.text("url")
    if not url:
        return _as_text(component, losses)
    losses.note("shown as its address")
    return _texts(url, losses)


def _url(component: Component, losses: Losses) -> Responses:
    return _button_response(component.text("text", "title", "url"), component, losses)


def _button(component: Component, losses: Losses) -> Responses:
    return _button_response(component.text("title", "payload"), component, losses)


def _button_response(title: str, component: Component, losses: Losses) -> Responses:
    button = button_of({"content_type": component.kind, "content": component.content}, losses)
    if button is None:
        return _as_text(component, losses)
    cut = losses.cut(title, LONGEST_TITLE, "a title")
    return [{"type": "button", "title": cut, "buttons": [button]}]


def _question(component: Component, losses: Losses) -> Responses:
    buttons = buttons_of(component.content.get("buttons"), losses)
    return _choices(component, buttons, losses) if buttons else _as_text(component, losses)


def _choices(component: Component, buttons: Responses, losses: Losses) -> Responses:
    """Quick replies, as many as it takes for all buttons (at least one)."""
    title = component.text("title", "text") or text_of(buttons[0]["title"])
    title = losses.cut(title, LONGEST_TITLE, "a title")
    lists = chunked(buttons, MOST_REPLIES)
    if len(lists) > 1:
        losses.note(f"{len(buttons)} buttons were split into {len(lists)} messages")
    return [{"type": "quickReplies", "title": title, "buttons": list(part)} for part in lists]


def _card(component: Component, losses: Losses) -> Responses:
    cards = cards_of(component, losses)
    return [{"type": "card", **card} for card in cards] or _as_text(component, losses)


def _carousel(component: Component, losses: Losses) -> Responses:
    """One list of cards for every ten."""
    items = component.content.get("cards")
    cards: Responses = []
    for item in items if isinstance(items, list) else []:
        card = component_of(item, "card")
        if card is None:
            losses.note("something that is no card was left out")
        else:
            cards.extend(cards_of(card, losses))
    lists = chunked(cards, MOST_CARDS)
    if len(lists) > 1:
        losses.note(f"{len(cards)} cards were split into {len(lists)} messages")
    shown: Responses = [{"type": "cards", "elements": list(part)} for part in lists]
    return shown or _as_text(component, losses)


def _other(component: Component, losses: Losses) -> Responses:
    """Any other component: few choices are quick replies, else its text or title, else nothing."""
    buttons = buttons_of(component.content.get("buttons"), losses)
    if 0 < len(buttons) <= MOST_REPLIES:
        return _choices(component, buttons, losses)
    if buttons:
        losses.note(f"its {len(buttons)} choices cannot be shown")
    return _as_text(component, losses)


def _as_text(component: Component, losses: Losses) -> Responses:
    text = component.text("text", "title")
    losses.note("shown as its text" if text else "there is nothing of it to show")
    return _texts(text, losses)


ENCODERS: Final[Mapping[str, Encoder]] = {
    "text": _text,
    "image": _image,
    "video": _file,
    "audio": _file,
    "file": _file,
    "url": _url,
    "question": _question,
    "button": _button,
    "card": _card,
    "carousel": _carousel,
}
