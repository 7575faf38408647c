"""A turn as the engine and the Studio tell it: the response object of csml-engine-runtime §10.2.

Both wires show messages in CSML's own form, which is the superset's; only what the superset adds
for other dialects is left out (dialects §1, §3).
"""

from __future__ import annotations

from typing import Final

from palaver.http.describe import (
    BOOLEAN,
    INTEGER,
    MOMENT,
    Schema,
    listing,
    one_of,
    record,
    text,
)
from palaver.model import Client, Turn
from palaver.types import JsonObject, iso_ms

NATIVE: Final = "native"
"""The member of a superset payload that holds another dialect's own form."""


def shown_payload(payload: JsonObject) -> JsonObject:
    """A stored payload as these wires show it."""
    if NATIVE not in payload:
        return payload
    return {key: value for key, value in payload.items() if key != NATIVE}


def turn_answer(turn: Turn, client: Client) -> JsonObject:
    """The response object.

    Args:
        client: as the answer shows it (ids of the dialect's own shape).
    """
    order = turn.interaction_order
    return {
        "messages": [
            {
                "payload": shown_payload(message.payload),
                "interaction_order": order,
                "conversation_id": turn.conversation_id,  # also of what another bot said (§8.4)
                "direction": "SEND",
            }
            for message in turn.messages
        ],
        "conversation_end": turn.conversation_end,
        "request_id": turn.request_id,
        "received_at": iso_ms(turn.received_at),
        "client": client_object(client),
    }


def client_object(client: Client) -> JsonObject:
    """`{bot_id, channel_id, user_id}`."""
    return {
        "bot_id": client.bot_id,
        "channel_id": client.channel_id,
        "user_id": client.user_id,
    }


# --- as /openapi.json tells it -----------------------------------------------------------------

CLIENT_SCHEMA: Final[Schema] = record({"bot_id": text(), "channel_id": text(), "user_id": text()})

TURN_SCHEMA: Final[Schema] = record(
    {
        "messages": listing(
            record(
                {
                    "payload": record({"content_type": text(), "content": {}}),
                    "interaction_order": INTEGER,
                    "conversation_id": text(),
                    "direction": one_of("SEND"),
                }
            )
        ),
        "conversation_end": BOOLEAN,
        "request_id": text(),
        "received_at": MOMENT,
        "client": CLIENT_SCHEMA,
    }
)
"""What `turn_answer` makes."""
