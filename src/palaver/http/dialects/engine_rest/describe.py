"""The engine's routes for /openapi.json. Spec: csml-engine-runtime §19.

The bodies are the Structs of `decode`; what `encode` writes is described here.
"""

from __future__ import annotations

from typing import Final

import msgspec

from palaver.http.describe import (
    CODE_AND_MESSAGE,
    UUID,
    Answer,
    Operation,
    Parameter,
    Schema,
    Surface,
    nullable,
    record,
    text,
)
from palaver.http.dialects.answers import TURN_SCHEMA
from palaver.http.dialects.engine_rest import decode, encode

SURFACE: Final = Surface(
    "The CSML engine's REST API. Bodies and queries are read before the key is looked at.",
    CODE_AND_MESSAGE,
    {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
    refusal=(403,),
    errors=(400,),  # a page of another origin
)

_KEYS: Final = ("key",)
_WHOLE: Final[Schema] = {"type": "string", "pattern": r"^[+-]?[0-9]{1,19}$"}

_CLIENT: Final = tuple(
    Parameter(name, text(), required=True) for name in ("bot_id", "channel_id", "user_id")
)
_PAGE: Final = (
    Parameter("limit", _WHOLE, about="How many: 25 by default and at most; 0 is an empty page."),
    Parameter("pagination_key", text(), about="Of the page before; an unknown one is the first."),
)
_DATES: Final = (
    Parameter("from_date", _WHOLE, about="Unix seconds, inclusive."),
    Parameter("to_date", _WHOLE, about="Unix seconds, inclusive; only with from_date."),
)


def _keyed(
    summary: str,
    answers: dict[int, Answer],
    *parameters: Parameter,
    body: type[msgspec.Struct] | None = None,
    errors: tuple[int, ...] = (503,),
    about: str = "",
) -> Operation:
    return Operation(
        summary, answers, body, parameters, _KEYS, open_without=True, errors=errors, about=about
    )


def _ok(about: str, schema: Schema | None = None) -> dict[int, Answer]:
    return {200: Answer(about, schema)}


_GONE: Final = {204: Answer("Done; nothing of the kind may have been there.")}
_EMPTY: Final = {200: Answer("Done.")}
_CREATED: Final = {201: Answer("Stored.")}

STATUS: Final = Operation("What runs here", _ok("The status.", encode.STATUS), errors=())

RUN: Final = _keyed(
    "One event for one client",
    _ok(
        "All the bot said; `{}` when the event was dropped.",
        {"anyOf": [TURN_SCHEMA, {"type": "object", "maxProperties": 0}]},
    ),
    body=decode.RunBody,
    errors=(500, 503),
    about="500 for a malformed event, an invalid bot, an unknown bot or version (§13.3).",
)
VALIDATE: Final = Operation(
    "What is wrong with a bot",
    _ok("The errors.", encode.VALIDATION),
    decode.BotBody,
    errors=(),
)
CREATE_BOT: Final = _keyed(
    "Stores a version of a bot",
    {201: Answer("Stored.", record({"version_id": UUID, "engine_version": text()}))},
    body=decode.BotBody,
    errors=(500, 503),
    about="500 for an invalid bot.",
)
LATEST_VERSION: Final = _keyed(
    "The newest version of a bot", _ok("With its flows.", encode.FLAT_VERSION), errors=(404, 503)
)
ONE_VERSION: Final = _keyed(
    "One version of a bot", _ok("With its flows.", encode.FLAT_VERSION), errors=(404, 503)
)
VERSIONS: Final = _keyed(
    "All versions of a bot, newest first",
    _ok("Without flows.", encode.page_of("bots", encode.LISTED_VERSION)),
    *_PAGE,
)
DELETE_VERSIONS: Final = _keyed("Removes all versions of a bot", _GONE)
DELETE_VERSION: Final = _keyed("Removes one version of a bot", _GONE)

OPEN_CONVERSATION: Final = _keyed(
    "The client's open conversation",
    _ok("The conversation, or an empty body without a content type.", encode.CONVERSATION),
    body=decode.ClientBody,
)
CLOSE_CONVERSATIONS: Final = _keyed(
    "Closes the client's conversations and drops its hold", _EMPTY, body=decode.ClientBody
)
CONVERSATIONS: Final = _keyed(
    "The client's conversations, newest first",
    _ok("A page.", encode.page_of("conversations", encode.CONVERSATION)),
    *_CLIENT,
    *_PAGE,
)
MESSAGES: Final = _keyed(
    "The client's messages of both directions, newest first",
    _ok("A page.", encode.page_of("messages", encode.MESSAGE)),
    *_CLIENT,
    *_PAGE,
    *_DATES,
)
STATE: Final = _keyed(
    "What the client's conversation waits for",
    _ok("The hold, or null.", nullable(encode.STATE)),
    *_CLIENT,
)
MEMORIES: Final = _keyed(
    "The client's memories, sorted by key",
    _ok("All of them.", {"type": "array", "items": encode.MEMORY}),
    *_CLIENT,
)
MEMORY: Final = _keyed(
    "One memory of the client", _ok("The memory, or null.", nullable(encode.MEMORY)), *_CLIENT
)
CREATE_MEMORY: Final = _keyed(
    "Writes a memory of the client", _CREATED, *_CLIENT, body=decode.MemoryBody
)
DELETE_MEMORIES: Final = _keyed("Removes all memories of the client", _GONE, *_CLIENT)
DELETE_MEMORY: Final = _keyed("Removes one memory of the client", _GONE, *_CLIENT)
DELETE_CLIENT: Final = _keyed("Removes everything about the client", _GONE, *_CLIENT)
DELETE_BOT: Final = _keyed("Removes a bot's versions and all about its clients", _GONE)
CLEANUP: Final = Operation("Purges what has expired", _EMPTY)
