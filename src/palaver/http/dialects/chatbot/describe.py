"""The routes of ChatBot.com's wire for /openapi.json. Spec: chatbot-com.

The bodies stand beside what reads them, in `decode` and `users`; what `answers` makes is
described here.
"""

from __future__ import annotations

from typing import Final

from palaver.http.describe import (
    ANYTHING,
    BOOLEAN,
    INTEGER,
    MOMENT,
    NUMBER,
    OBJECT,
    Answer,
    Operation,
    Schema,
    Surface,
    listing,
    nullable,
    record,
    text,
)
from palaver.http.dialects.chatbot.decode import QUERY as _QUERY
from palaver.http.dialects.chatbot.users import (
    NEW_USER,
    SESSION_ATTRIBUTES,
    SESSION_ATTRIBUTES_FORM,
    SESSION_OF_USER,
    SESSION_OF_USER_FORM,
)

_STATUS: Final = record({"code": INTEGER, "type": text()})
_REFUSED: Final = record({"code": INTEGER, "type": text(), "message": text()})
_BEARER: Final[Schema] = {"type": "http", "scheme": "bearer"}

SURFACE: Final = Surface(
    "ChatBot.com's API. Numbers and booleans may come as texts; null counts as not sent.",
    record({"timestamp": MOMENT, "status": _REFUSED}),
    {"developer": _BEARER, "client": _BEARER},
)

_ENVELOPE: Final = record({"timestamp": MOMENT, "status": _STATUS}, optional={"id": text()})

_ANSWER: Final = record(
    {
        "result": record(
            {
                "source": text(),
                "resolvedQuery": text(),
                "confidence": NUMBER,
                "score": NUMBER,
                "lifespan": INTEGER,
                "incomplete": BOOLEAN,
                "storyId": text(),
                "interaction": record({"id": nullable(text()), "name": text(), "action": text()}),
                "parameters": OBJECT,
                "sessionParameters": OBJECT,
                "contexts": listing(OBJECT),
                "fulfillment": listing(record({"type": ANYTHING})),
            },
            optional={"trigger": text()},
        ),
        "sessionId": text(),
        "timestamp": MOMENT,
        "status": _STATUS,
    }
)

_USER: Final = record(
    {
        "id": text(),
        "userId": text(),
        "banned": BOOLEAN,
        "attributes": OBJECT,
        "sessionAttributes": OBJECT,
        "conversations": listing(
            record(
                {
                    "id": text(),
                    "date": text(),
                    "createdAt": text(),
                    "firstMessage": nullable(text()),
                }
            )
        ),
        "segments": listing(record({"id": text()})),
        "createdAt": text(about="With a space instead of the T."),
        "lastSeen": text(),
    }
)

QUERY: Final = Operation(
    "One event of a person",
    {200: Answer("All the bot said.", _ANSWER)},
    _QUERY,
    keys=("developer", "client"),
    errors=(404, 503),
    about="404 when `storyId` or `goto` names nothing.",
)
CREATE_USER: Final = Operation(
    "Creates a user",
    {
        200: Answer(
            "Created: an array of one envelope, or the envelope, as the bot's setting says.",
            {"anyOf": [listing(_ENVELOPE), _ENVELOPE]},
        )
    },
    NEW_USER,
    keys=("developer",),
)
SHOW_USER: Final = Operation(
    "One user", {200: Answer("The user.", _USER)}, keys=("developer",), errors=(404, 503)
)


def _update(summary: str, body: Schema, form: Schema) -> Operation:
    return Operation(
        summary,
        {200: Answer("Written.", _ENVELOPE)},
        body,
        keys=("developer",),
        errors=(404, 503),
        form=form,
        about="Attributes may also come as flat keys, `attributes.<name>`, in JSON or in a form.",
    )


UPDATE_SESSION_OF_USER: Final = _update(
    "Writes attributes of a user's live session", SESSION_OF_USER, SESSION_OF_USER_FORM
)
UPDATE_SESSION: Final = _update(
    "Writes attributes of a live session", SESSION_ATTRIBUTES, SESSION_ATTRIBUTES_FORM
)
