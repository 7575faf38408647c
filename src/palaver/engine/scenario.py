"""What the engine drives, whatever a bot is written in.

A scenario is one immutable build of a bot, ready to run: a CSML program, a tree of interactions,
a set of steps. The engine keeps its place for it and never looks inside: `Place.hold` is the
scenario's own document (a CSML hold; the contexts, failures and pending value of a story; the
current step of a step story).

    choose(event, place)  which flow and step the event goes to, and whether a hold is resumed
    run(entry, host …)    runs it, returning effects in order

A story set fits as it is: `choose` matches the query against the contexts in `place.hold`, `run`
renders responses as `Say`s, asks webhooks through `host.call`, and closes with `Hold(record)`
(contexts are open) or `End()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import msgspec

from palaver.effects import Effect, Host
from palaver.model import Chosen, Event
from palaver.types import Json, JsonObject


class Place(NamedTuple):
    """Where a client stands: the open conversation's flow and step (None: none is open).

    `hold` is what the scenario's last `Hold` effect carried, None when nothing is pending.
    """

    flow: str | None
    step: str | None
    hold: JsonObject | None


class Entry(NamedTuple):
    """Where an event goes. `flow` is the flow's name, `flow_id` its id.

    `hold` is the record to resume, None to run the step from its start. `closes` tells that the
    open conversation cannot go on (its flow is gone) and a new one begins.
    """

    flow: str
    flow_id: str
    step: str
    chosen: Chosen
    hold: JsonObject | None = None
    closes: bool = False


class TurnInput(msgspec.Struct, frozen=True):
    """What a run may know. `memories` map a key to its stored JSON text."""

    entry: Entry
    event: Event
    bot_id: str
    metadata: Json
    memories: Mapping[str, str]
    step_limit: int | None = None
    previous_bot: JsonObject | None = None
    env: Json = None
    has_apps: bool = False
    options: Mapping[str, Json] = msgspec.field(default_factory=dict)


class Scenario(Protocol):
    """One build, ready to run. Immutable, shared by all turns."""

    def choose(self, event: Event, place: Place, pick: Callable[[int], int]) -> Entry:
        """Where the event goes. Args: pick: a random number below its argument."""
        ...

    def resume(self, place: Place) -> Entry | None:
        """Goes on at the place, whatever the event says; None when its flow is not there."""
        ...

    def begin(self) -> Entry:
        """Where a conversation begins that nothing else leads anywhere."""
        ...

    def find_step(self, flow: str, step: str) -> bool:
        """Whether the build has that flow (id or name) and step."""
        ...

    def flow_steps(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """All flows as (id, name, step names), in order; for aliases and listings."""
        ...

    def run(self, turn: TurnInput, host: Host, on_slice: Callable[[], None]) -> list[Effect]:
        """Runs until hold, end, error or bot switch. Raises nothing: failures are effects.

        Args:
            on_slice: called every few milliseconds of work; lets others go on.
        """
        ...
