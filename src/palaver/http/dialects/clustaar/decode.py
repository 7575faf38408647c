"""What an interlocutor did, as an event for the engine (clustaar §2.7, dialects §2).

In: the body of a reply and the bot it is for. Out: an `Input`; a body that is no good input is
`Invalid`, with every problem in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from palaver.http.describe import OBJECT, Schema, listing, nullable, one_of, record, text
from palaver.http.dialects.clustaar.documents import LOCATION, Document, read_location
from palaver.http.dialects.events import event_from_payload
from palaver.http.dialects.jumps import Jump, jump_of
from palaver.model import Event
from palaver.services.aliases import is_short_id
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

LONGEST_TEXT: Final = 499
LONGEST_REPLY: Final = 1000
KINDS: Final = ("positive", "neutral", "negative")


class Said(NamedTuple):
    """One kind of input, read.

    `event` is None for an input nothing answers; `shown` are the documented fields of its type.
    """

    event: Event | None
    shown: JsonObject
    memories: JsonObject


class Input(NamedTuple):
    """An accepted input.

    Attributes:
        event: what the engine gets; None: nothing happens and nothing is answered.
        memories: session values to be written first.
        shown: `data.input` of the answer: the type as sent, and that type's fields.
        location: where the person is, when the body says so.
    """

    event: Event | None
    memories: JsonObject
    shown: JsonObject
    location: JsonObject | None


_Reader: TypeAlias = "Callable[[Document, LoadedBot], Said]"


def read_input(body: JsonObject, bot: LoadedBot) -> Input:
    """Checks a reply's body. Raises: Invalid, with one problem a field."""
    document = Document(body)
    kind = document.one_of("type", READERS)
    said = READERS[kind](document, bot) if kind else Said(None, {}, {})
    location = read_location(document)
    document.finish()
    return Input(said.event, said.memories, {"type": kind, **said.shown}, location)


def _text(document: Document, bot: LoadedBot) -> Said:
    message = document.text("message", LONGEST_TEXT)
    return Said(_text_event(message), {"message": message}, {})


def _message(document: Document, bot: LoadedBot) -> Said:
    """The form texts have in webhooks."""
    text = document.text("text", LONGEST_TEXT)
    return Said(_text_event(text), {"text": text, **_attachments(document)}, {})


def _legacy_reply(document: Document, bot: LoadedBot) -> Said:
    """A click on a payload button; a jump when its payload encodes one (dialects §2)."""
    message = document.text("message", LONGEST_REPLY)
    shown = {"message": message, **_attachments(document)}
    jump = jump_of(message, bot)
    if jump is not None:
        return Said(jump.event(), shown, jump.values)
    return Said(_payload_event(message), shown, {})


def _go_to(document: Document, bot: LoadedBot) -> Said:
    target, shown_target = _target(document, bot)
    values = document.object_or_null("sessionValues")
    memories = values.values if values is not None else {}
    shown = {"target": shown_target, "sessionValues": document.values.get("sessionValues")}
    return Said(target.event() if target else None, shown, memories)


def _custom_event(document: Document, bot: LoadedBot) -> Said:
    name = document.text("name")
    return Said(_payload_event(name), {"name": name}, {})


def _url_loaded(document: Document, bot: LoadedBot) -> Said:
    """A page was opened: no bot written in flows has a story for an address."""
    return Said(None, {"url": document.text("url")}, {})


def _satisfaction(document: Document, bot: LoadedBot) -> Said:
    kind = document.one_of("kind", KINDS)
    if document.values.get("target", "") is None:
        return Said(None, {"kind": kind, "target": None}, {})
    target, shown = _target(document, bot)
    return Said(target.event() if target else None, {"kind": kind, "target": shown}, {})


READERS: Final[Mapping[str, _Reader]] = {
    "text": _text,
    "go_to_action": _go_to,
    "custom_event": _custom_event,
    "legacy_reply_to_message_action": _legacy_reply,
    "customer_satisfaction_callback_action": _satisfaction,
    "url_loaded_event": _url_loaded,
    "message": _message,
}
"""`type` of an input to its reader."""

_TARGET: Final = record({"type": one_of("step", "story"), "id": text(24, 24)})
_ATTACHMENTS: Final = nullable(
    listing(record({"url": text(1)}, optional={"name": nullable(text(0, 150))}))
)


def _input(
    kind: str, members: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None
) -> Schema:
    more = {"location": LOCATION, **(optional or {})}
    return record({"type": one_of(kind), **members}, optional=more)


INPUT: Final[Schema] = {
    "oneOf": [
        _input("text", {"message": text(1, LONGEST_TEXT)}),
        _input("go_to_action", {"target": _TARGET}, {"sessionValues": nullable(OBJECT)}),
        _input("custom_event", {"name": text(1)}),
        _input(
            "legacy_reply_to_message_action",
            {"message": text(1, LONGEST_REPLY)},
            {"attachments": _ATTACHMENTS},
        ),
        _input(
            "customer_satisfaction_callback_action",
            {"kind": one_of(*KINDS), "target": nullable(_TARGET)},
        ),
        _input("url_loaded_event", {"url": text(1)}),
        _input("message", {"text": text(1, LONGEST_TEXT)}, {"attachments": _ATTACHMENTS}),
    ]
}
"""What the READERS take; a target must be in the bot besides."""


def _target(document: Document, bot: LoadedBot) -> tuple[Jump | None, Json]:
    """The required `target`, and how it is shown: with the name it has in the bot (§3.2)."""
    target = document.object("target")
    if target is None:
        return None, None
    kind = target.one_of("type", ("step", "story"))
    reference = target.text("id")
    if not kind or not reference:
        return None, None
    if not is_short_id(reference):
        target.refuse("id", "must be 24 letters and digits")
        return None, None
    jump = find_target(bot, kind, reference)
    if jump is None:
        target.refuse("id", f"there is no {kind} with this id in the bot")
        return None, None
    return jump, {"type": kind, "id": reference, "name": jump.step or jump.flow}


def find_target(bot: LoadedBot, kind: str, reference: str) -> Jump | None:
    """Where a target leads. Args: kind: `step` or `story`."""
    if kind == "step":
        place = bot.find_step(reference)
        return Jump(*place, {}) if place is not None else None
    flow = bot.find_flow(reference)
    return Jump(flow, None, {}) if flow is not None else None


def _attachments(document: Document) -> JsonObject:
    """`attachments` as they came; each has a url, perhaps a name."""
    for attachment in document.objects("attachments"):
        attachment.text("url")
        attachment.text_or_null("name", 150)
    given = document.values.get("attachments")
    return {} if given is None else {"attachments": given}


def _text_event(text: str) -> Event:
    return event_from_payload({"content_type": "text", "content": {"text": text}})


def _payload_event(payload: str) -> Event:
    return event_from_payload({"content_type": "payload", "content": {"payload": payload}})
