"""The superset's messages as clustaar actions (dialects §3; limits: clustaar §3.4).

In: the messages of a turn, `{"content_type": str, "content": …}`, perhaps with the `native` form
of the dialect they were written for. Out: the actions of `fulfillment` and the entries of
`debug.logs`. What actions cannot say is one such entry a message. Pure.
"""

from __future__ import annotations

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
    Losses,
    button_of,
    buttons_of,
    component_of,
    Component,
    text_of,
)
from palaver.http.dialects.degrade import chunked, split_text
from palaver.model import Message
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

LONGEST_TEXT: Final = 1000
LONGEST_ALT: Final = 500
LONGEST_EVENT: Final = 200
LONGEST_REPLY_TITLE: Final = 60
MOST_REPLIES: Final = 11
WAIT_S: Final = (0.5, 7.0)

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
Encoder: TypeAlias = Callable[[JsonObject, Losses], Actions]


class Encoded(NamedTuple):
    """What a turn said: `fulfillment.actions` and `debug.logs`."""

    actions: Actions
    logs: list[JsonObject]


def encode_messages(messages: Iterable[Message], bot: LoadedBot) -> Encoded:
    """All messages of a turn, in order. Args: bot: the one that said them."""
    encoded = Encoded([], [])
    for message in messages:
        kind, text = log_of(message.payload)
        if kind is not None:
            encoded.logs.append(_log(kind, text, message.created_at))
            continue
        losses = Losses(bot)
        encoded.actions.extend(encode_payload(message.payload, losses))
        if losses.texts:
            encoded.logs.append(_log("degraded", "; ".join(losses.texts), message.created_at))
    return encoded


def encode_payload(payload: JsonObject, losses: Losses) -> Actions:
    """One message: its native form when that is an action, else what the table says."""
    native = payload.get(NATIVE)
    if isinstance(native, dict) and native.get("type") in DISPLAYABLE:
        return [native]
    kind, content = text_of(payload.get("content_type")), payload.get("content")
    if not isinstance(content, dict):  # an array, or nothing
        return _texts(text_of(content), losses)
    encoder = ENCODERS.get(kind.removeprefix("Component."), _event)
    return encoder({**content} if encoder is not _event else {"": kind, **content}, losses)
