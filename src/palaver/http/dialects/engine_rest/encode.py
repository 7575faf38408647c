"""Records of the services as the engine's REST API shows them. Spec: csml-engine-runtime §19.1."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from palaver.csml.diagnostics import Diagnostic
from palaver.http.describe import (
    ANYTHING,
    BOOLEAN,
    INTEGER,
    MOMENT,
    OBJECT,
    Schema,
    listing,
    nullable,
    one_of,
    record,
    text,
)
from palaver.http.dialects.answers import (
    CLIENT_SCHEMA,
    client_object,
    shown_payload,
    turn_answer,
)
from palaver.http.wire import encode_json
from palaver.model import BotVersion, Client, Conversation, Flow, Memory, Message, Turn
from palaver.types import Json, JsonObject, iso_ms


def run_answer(turn: Turn, client: Client) -> bytes:
    """The answer to `POST /run`; `{}` when the event was dropped."""
    return b"{}" if turn.is_dropped else encode_json(turn_answer(turn, client))


def validation_answer(diagnostics: tuple[Diagnostic, ...]) -> JsonObject:
    """`{valid, errors}`: errors only, as the reference's server does."""
    errors: list[Json] = [
        {
            "flow": found.flow,
            "start_line": found.start.line,
            "start_column": found.start.column,
            "end_line": found.end.line if found.end else None,
            "end_column": found.end.column if found.end else None,
            "message": found.message,
        }
        for found in diagnostics
        if found.severity == "error"
    ]
    return {"valid": not errors, "errors": errors}


def flat_version(
    version: BotVersion, shown_id: str, *, engine_version: str, shows_env: bool
) -> JsonObject:
    """One version with its flows. Args: engine_version: of this program, as the reference does."""
    bot = version.bot
    return {
        "id": shown_id,
        "name": bot.name,
        "apps_endpoint": None,
        "flows": [_flow(flow) for flow in bot.flows],
        "default_flow": bot.default_flow,
        "no_interruption_delay": bot.no_interruption_delay,
        "env": bot.env if shows_env else None,
        "version_id": version.version_id,
        "engine_version": engine_version,
    }


def _flow(flow: Flow) -> Json:
    return {
        "id": flow.id,
        "name": flow.name,
        "content": flow.content,
        "commands": list(flow.commands),
    }


def listed_version(version: BotVersion, shown_id: str) -> JsonObject:
    """One version in the list; `custom_components` is JSON text, only when there are some."""
    bot = version.bot
    item: JsonObject = {
        "version_id": version.version_id,
        "id": shown_id,
        "name": bot.name,
        "default_flow": bot.default_flow,
        "engine_version": version.engine_version,
        "created_at": iso_ms(version.created_at),
    }
    if bot.custom_components:
        item["custom_components"] = encode_json(bot.custom_components).decode()
    return item


def conversation_object(conversation: Conversation, client: Client) -> JsonObject:
    """A conversation record. Args: client: as it was sent."""
    return {
        "id": conversation.id,
        "client": client_object(client),
        "flow_id": conversation.flow_id,
        "step_id": conversation.step_id,
        "status": conversation.status.value,
        "last_interaction_at": iso_ms(conversation.last_interaction_at),
        "updated_at": iso_ms(conversation.updated_at),
        "created_at": iso_ms(conversation.created_at),
    }


def message_object(message: Message, client: Client) -> JsonObject:
    """A stored message."""
    created_at = iso_ms(message.created_at)
    return {
        "client": client_object(client),
        "conversation_id": message.conversation_id,
        "flow_id": message.flow_id,
        "step_id": message.step_id,
        "direction": message.direction.value,
        "payload": shown_payload(message.payload),
        "interaction_order": message.interaction_order,
        "message_order": message.message_order,
        "created_at": created_at,
        "updated_at": created_at,
    }


def memory_object(memory: Memory) -> JsonObject:
    """A memory in its stored form."""
    return {
        "key": memory.key,
        "value": memory.value,
        "created_at": iso_ms(memory.created_at),
    }


def state_object(hold: JsonObject, stored_at: datetime, client: Client) -> JsonObject:
    """The pending hold: the reference's five members of it."""
    value: JsonObject = {
        "index": hold.get("index", {"command_index": 0, "loop_index": []}),
        "step_vars": hold.get("step_vars", {}),
        "hash": hold.get("hash", ""),
        "previous": hold.get("previous"),
        "secure": hold.get("secure", False),
    }
    return {
        "client": client_object(client),
        "type": "hold",
        "value": value,
        "created_at": iso_ms(stored_at),
    }


def page(name: str, items: list[Json], next_key: str | None) -> JsonObject:
    """A listing; `pagination_key` is absent on the last page."""
    listing: JsonObject = {name: items}
    if next_key is not None:
        listing["pagination_key"] = next_key
    return listing


# --- as /openapi.json tells it -----------------------------------------------------------------

STATUS: Final = record(
    {
        "server_ready": BOOLEAN,
        "database_type": text(),
        "server_port": INTEGER,
        "server_auth_enabled": BOOLEAN,
        "encryption_enabled": BOOLEAN,
        "debug_mode_enabled": BOOLEAN,
        "csml_log_level": text(),
        "engine_version": text(),
    }
)
VALIDATION: Final = record(
    {
        "valid": BOOLEAN,
        "errors": listing(
            record(
                {
                    "flow": text(),
                    "start_line": INTEGER,
                    "start_column": INTEGER,
                    "end_line": nullable(INTEGER),
                    "end_column": nullable(INTEGER),
                    "message": text(),
                }
            )
        ),
    }
)
_FLOW: Final = record(
    {"id": text(), "name": text(), "content": text(), "commands": listing(text())}
)
FLAT_VERSION: Final = record(
    {
        "id": text(),
        "name": text(),
        "apps_endpoint": nullable(text()),
        "flows": listing(_FLOW),
        "default_flow": text(),
        "no_interruption_delay": nullable(INTEGER),
        "env": ANYTHING,
        "version_id": text(),
        "engine_version": text(),
    }
)
LISTED_VERSION: Final = record(
    {
        "version_id": text(),
        "id": text(),
        "name": text(),
        "default_flow": text(),
        "engine_version": text(),
        "created_at": MOMENT,
    },
    optional={"custom_components": text(about="JSON as a text.")},
)
CONVERSATION: Final = record(
    {
        "id": text(),
        "client": CLIENT_SCHEMA,
        "flow_id": text(),
        "step_id": text(),
        "status": one_of("OPEN", "CLOSED"),
        "last_interaction_at": MOMENT,
        "updated_at": MOMENT,
        "created_at": MOMENT,
    }
)
MESSAGE: Final = record(
    {
        "client": CLIENT_SCHEMA,
        "conversation_id": text(),
        "flow_id": text(),
        "step_id": text(),
        "direction": one_of("SEND", "RECEIVE"),
        "payload": OBJECT,
        "interaction_order": INTEGER,
        "message_order": INTEGER,
        "created_at": MOMENT,
        "updated_at": MOMENT,
    }
)
MEMORY: Final = record({"key": text(), "value": ANYTHING, "created_at": MOMENT})
STATE: Final = record(
    {
        "client": CLIENT_SCHEMA,
        "type": one_of("hold"),
        "value": record(
            {
                "index": OBJECT,
                "step_vars": OBJECT,
                "hash": text(),
                "previous": ANYTHING,
                "secure": BOOLEAN,
            }
        ),
        "created_at": MOMENT,
    }
)


def page_of(name: str, item: Schema) -> Schema:
    """What `page` makes."""
    return record({name: listing(item)}, optional={"pagination_key": text()})
