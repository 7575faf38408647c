"""Jumps that travel as text: `goto:<kind>:<id>[:<values>]`, common to all dialects.

A button made from a jump has this payload where buttons carry only text; a click brings it back.
Spec: dialects §2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from palaver.errors import Malformed
from palaver.http.dialects.events import jump_event
from palaver.http.wire import decode_json, encode_json
from palaver.model import Event
from palaver.types import JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot


class Jump(NamedTuple):
    """Where to: a flow's name and a step of it (None: its start); `values` become memories."""

    flow: str
    step: str | None
    values: JsonObject

    def event(self) -> Event:
        """The jump as a `flow_trigger`."""
        return jump_event(self.flow, self.step)


def jump_of(payload: str, bot: LoadedBot) -> Jump | None:
    """The jump a payload encodes; None when it is none or its target is not in the bot."""
    if not payload.startswith("goto:"):
        return None
    kind, _, rest = payload[5:].partition(":")
    target, _, text = rest.partition(":")
    if len(target) != 24:
        return None
    values: JsonObject = {}
    if text:
        try:
            decoded = decode_json(text.encode("utf-8", "replace"))
        except Malformed:
            return None
        if not isinstance(decoded, dict):
            return None
        values = decoded
    if kind == "step":
        place = bot.find_step(target)
        return Jump(place[0], place[1], values) if place else None
    if kind == "story":
        flow = bot.find_flow(target)
        return Jump(flow, None, values) if flow is not None else None
    return None


def jump_payload(
    kind: Literal["step", "story"], target: str, values: JsonObject | None = None
) -> str:
    """The payload of a button that jumps. Args: target: the 24-character id."""
    tail = ":" + encode_json(values).decode() if values else ""
    return f"goto:{kind}:{target}{tail}"
