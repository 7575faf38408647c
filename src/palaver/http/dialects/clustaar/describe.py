"""Clustaar's routes for /openapi.json. Spec: clustaar §2.

The bodies stand beside what reads them, in `interlocutors` and `decode`.
"""

from __future__ import annotations

from typing import Final

from palaver.http.describe import (
    OBJECT,
    Answer,
    Operation,
    Parameter,
    Schema,
    Surface,
    listing,
    nullable,
    one_of,
    record,
    text,
)
from palaver.http.dialects.clustaar.decode import INPUT
from palaver.http.dialects.clustaar.documents import LOCATION
from palaver.http.dialects.clustaar.interlocutors import CREATED, TEXTS, UPDATED

_BEARER: Final[Schema] = {"type": "http", "scheme": "bearer"}

SURFACE: Final = Surface(
    "Clustaar's API. A slash at the end of a path is overlooked.",
    record(
        {
            "error": record(
                {"type": text(), "message": text()},
                optional={"details": listing(record({"path": listing(text()), "message": text()}))},
            )
        }
    ),
    {"private": _BEARER, "bot": _BEARER, "interlocutor": _BEARER},
    refusal=(401, 403),
)

_DEBUG: Final = Parameter("debug", text(), about="`1`: with logs in the answer.")
_SOCKET: Final = Parameter("use_websocket", text(), about="`1`: with a socketToken.")

_PERSON: Final = record(
    {
        "type": one_of("interlocutor"),
        "id": text(),
        "userID": text(),
        "location": LOCATION,
        **{name: nullable(text()) for name in TEXTS},
        "createdAt": text(),
        "lastReplyAt": nullable(text()),
        "customAttributes": OBJECT,
        "botID": text(),
    }
)

_ANSWER: Final = record(
    {
        "data": record(
            {
                "fulfillment": record({"actions": listing(OBJECT), "source": nullable(OBJECT)}),
                "session": record({"values": OBJECT}),
                "interlocutor": record(
                    {"type": one_of("interlocutor"), "id": text(), "location": LOCATION}
                ),
                "input": OBJECT,
                "debug": nullable(OBJECT),
            }
        )
    }
)

CREATE: Final = Operation(
    "Creates an interlocutor, or fetches the one with the same userID",
    {
        200: Answer(
            "Its id.",
            record(
                {
                    "data": record(
                        {"type": one_of("interlocutor"), "id": text()},
                        optional={"socketToken": nullable(text())},
                    )
                }
            ),
        )
    },
    CREATED,
    (_SOCKET,),
    ("private", "bot"),
    errors=(404, 422, 503),
)
REFUSE_CHANNEL: Final = Operation(
    "Another channel than clustaar_web_chat: there is none",
    {},
    keys=("private", "bot"),
    errors=(404, 503),
)
SHOW: Final = Operation(
    "One interlocutor",
    {200: Answer("The interlocutor.", record({"data": _PERSON}))},
    keys=("private",),
    errors=(404, 503),
)
UPDATE: Final = Operation(
    "Updates an interlocutor; keys present overwrite, custom attributes are merged",
    {204: Answer("Updated.")},
    UPDATED,
    keys=("private",),
    errors=(404, 422, 503),
)
REPLY: Final = Operation(
    "One input of an interlocutor",
    {200: Answer("What the bot answers.", _ANSWER)},
    INPUT,
    (_DEBUG,),
    ("private", "bot", "interlocutor"),
    errors=(404, 422, 503),
)
