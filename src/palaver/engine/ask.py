"""What a dialect hands to the engine, and gets back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeAlias

import msgspec

from palaver.engine.bots import RunnableBot
from palaver.model import Client, Event, Person, Session, Turn
from palaver.types import Json


class Ask(msgspec.Struct, frozen=True):
    """One event for one client, as a dialect hands it over.

    Attributes:
        metadata: becomes `_metadata`; whatever JSON the request had.
        closes_first: close the open conversation and drop its hold before anything else.
        memories: written before the turn in the same transaction, plain JSON; None forgets.
        relaunches: a flow_trigger whose flow ends without a hold is followed by the step the
            client was on (studio).
        callback_url: gets every message, in order, after the turn is stored.
        webhook_url: likewise (the bot's own); `end_notice`: it also learns of the end.
        notice_retries: how often a notification that was not taken is tried again.
        step_limit, ttl_days, low_data: the engine API's options; None for the settings'.
        persons, sessions: the dialect's own records, written with the turn.
        shown_bot_id: the bot id that answers, callbacks and apps are shown.
    """

    bot: RunnableBot
    client: Client
    event: Event
    request_id: str
    received_at: datetime
    metadata: Json = msgspec.field(default_factory=dict)
    closes_first: bool = False
    memories: Mapping[str, Json] = msgspec.field(default_factory=dict)
    relaunches: bool = False
    callback_url: str | None = None
    webhook_url: str | None = None
    end_notice: bool = True
    notice_retries: int = 0
    step_limit: int | None = None
    ttl_days: int | None = None
    low_data: bool | None = None
    persons: tuple[Person, ...] = ()
    sessions: tuple[Session, ...] = ()
    shown_bot_id: str | None = None

    def shown(self, client: Client) -> Client:
        """A client of this turn as the outside knows it: with the id that the caller used."""
        if self.shown_bot_id is None or client.bot_id != self.client.bot_id:
            return client
        return client._replace(bot_id=self.shown_bot_id)


class Answer(msgspec.Struct, frozen=True):
    """What goes out: the encoded body. `turn` is None when a stored answer was replayed."""

    body: bytes
    turn: Turn | None


Prepare: TypeAlias = Callable[[], Awaitable[Ask]]
"""Makes the Ask while the client's turn is held: reads the dialect's records race-free. It may be
called twice for one request, so it changes nothing."""

Encode: TypeAlias = Callable[[Turn], bytes]
"""The dialect's answer to a turn; pure."""
