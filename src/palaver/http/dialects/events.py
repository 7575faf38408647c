"""A payload as CSML knows it, `{"content_type": str, "content": object}`, to an `Event`.

Spec: csml-engine-runtime §2.3; the messages are the reference's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from palaver.errors import EventRejected
from palaver.http.describe import BOOLEAN, Schema, one_of, record, text
from palaver.http.wire import encode_sorted
from palaver.model import Event
from palaver.types import Json, JsonObject

_NO_TYPE: Final = "no content_type in event payload"
_NO_TARGET: Final = (
    "invalid content for event type flow_trigger: expect flow_id and optional step_id"
)

VALUE_KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "text": ("text", "no text content in event"),
    "payload": ("payload", "no payload content in event"),
    "regex": ("payload", "invalid payload for event type regex"),
    "file": ("url", "no url content in event"),
    "audio": ("url", "no url content in event"),
    "video": ("url", "no url content in event"),
    "image": ("url", "no url content in event"),
    "url": ("url", "no url content in event"),
}
"""Content type to the key of `content` that is the event's value, and what to say without it."""

_TRIGGER: Final = record({"flow_id": text()}, optional={"step_id": {"type": ["string", "null"]}})


def _payload_schema(kind: str, content: Schema) -> Schema:
    return record(
        {"content_type": one_of(kind), "content": content},
        optional={"secure": {**BOOLEAN, "description": "Keeps the event out of what is stored."}},
    )


EVENT_SCHEMA: Final[Schema] = {
    "oneOf": [
        *(_payload_schema(kind, record({key: text()})) for kind, (key, _) in VALUE_KEYS.items()),
        _payload_schema("flow_trigger", _TRIGGER),
    ]
}
"""What `event_from_payload` takes; any other payload is rejected by it, not by the decoder."""


def event_from_payload(payload: Json) -> Event:
    """Checks a payload and finds the event's string value. Raises: EventRejected."""
    if not isinstance(payload, dict):
        raise EventRejected(_NO_TYPE)
    content_type = payload.get("content_type")
    if not isinstance(content_type, str):
        raise EventRejected(_NO_TYPE)
    content = payload.get("content")
    is_secure = payload.get("secure") is True
    if content_type == "flow_trigger":
        return flow_trigger(content, secure=is_secure)._replace(received=payload)
    if content_type not in VALUE_KEYS:
        raise EventRejected(f"{content_type[:200]} is not a valid content_type")
    key, complaint = VALUE_KEYS[content_type]
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(value, str):
        raise EventRejected(complaint)
    return Event(content_type, content, value, is_secure, payload)


def flow_trigger(content: Json, *, secure: bool = False) -> Event:
    """A `flow_trigger`; its value is the content as JSON, keys sorted. Raises: EventRejected.

    Args:
        content: `{"flow_id": str, "step_id": str | None}` and whatever else.
    """
    if not isinstance(content, dict) or not isinstance(content.get("flow_id"), str):
        raise EventRejected(_NO_TARGET)
    if not isinstance(content.get("step_id"), str | None):
        raise EventRejected(_NO_TARGET)
    return Event("flow_trigger", content, encode_sorted(content).decode(), secure)


def jump_event(flow: str, step: str | None, more: JsonObject | None = None) -> Event:
    """A `flow_trigger` made by a dialect. Args: more: further content, readable as `event.x`."""
    target: JsonObject = {"flow_id": flow}
    if step is not None:
        target["step_id"] = step
    return flow_trigger({**(more or {}), **target})
