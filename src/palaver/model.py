"""The nouns of the engine, frozen. No I/O, no HTTP, no SQL; imports errors, types and effects only.

Times are aware datetimes in UTC. JSON means decoded JSON (`types.Json`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple

import msgspec

from palaver.types import Json, JsonObject


class Client(NamedTuple):
    """One person on one channel of one bot: the key of everything. Spec: engine §1.1."""

    bot_id: str
    channel_id: str
    user_id: str


# --- bots --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow's source. `commands` are its trigger texts, as written."""

    id: str
    name: str
    content: str
    commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Module:
    """A set of functions other flows import; `flow` is None until its text was fetched."""

    name: str
    url: str | None = None
    auth: str | None = None
    version: str = "latest"
    flow: Flow | None = None


@dataclass(frozen=True, slots=True)
class OtherBot:
    """A bot this one may switch to."""

    id: str
    name: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Bot:
    """Everything a bot is, as its author gave it; one build of it once it is stored.

    `default_flow` is an id or a name. `custom_components` maps a name to a descriptor
    (csml-language §8.5). `env` is any JSON.
    """

    id: str
    name: str
    flows: tuple[Flow, ...]
    default_flow: str
    apps_endpoint: str | None = None
    modules: tuple[Module, ...] = ()
    multibot: tuple[OtherBot, ...] = ()
    custom_components: JsonObject = field(default_factory=dict)
    native_components: JsonObject = field(default_factory=dict)
    no_interruption_delay: int | None = None
    env: Json = None
    kind: Literal["csml", "stories", "steps"] = "csml"


@dataclass(frozen=True, slots=True)
class BotVersion:
    """One stored build. `bot` has no `apps_endpoint` and no `multibot`: each run gives them."""

    version_id: str
    bot: Bot
    engine_version: str
    created_at: datetime


# --- what arrives ------------------------------------------------------------------------------


class Event(NamedTuple):
    """What the person did. `value` is bare `event` in a script. Spec: engine §2.3.

    `received` is the payload as it came, where it says more than type and content.
    """

    content_type: str
    content: JsonObject
    value: str
    secure: bool = False
    received: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a request sent again is recognised (dialects.md §1).

    `scope` is what the key belongs to: the client, or a credential and route. `fingerprint`
    digests what must be equal. When `strict`, the same key with another fingerprint is refused
    (KeyReused); otherwise it is simply another request.
    """

    scope: str
    key: str
    fingerprint: str
    strict: bool


# --- what is kept ------------------------------------------------------------------------------


class Status(StrEnum):
    """Whether a conversation can go on."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class Conversation(msgspec.Struct, frozen=True):
    """A client's span of turns. `flow_id` holds a flow's id or its name (engine §5.2)."""

    id: str
    flow_id: str
    step_id: str
    status: Status
    created_at: datetime
    updated_at: datetime
    last_interaction_at: datetime
    expires_at: datetime | None = None


class Direction(StrEnum):
    """Who said it."""

    SEND = "SEND"
    RECEIVE = "RECEIVE"


class Message(msgspec.Struct, frozen=True):
    """One recorded message; `payload` is the superset form (dialects.md §1)."""

    conversation_id: str
    flow_id: str
    step_id: str
    direction: Direction
    payload: JsonObject
    interaction_order: int
    message_order: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """One long-term memory in its stored form (csml-language §7.4)."""

    key: str
    value: Json
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """A dialect's user (chatbot) or interlocutor (clustaar): permanent, found by either id.

    `id` is the platform's (24 hex digits), `user_id` the caller's. `attributes` is the dialect's
    own record. `secret` is clustaar's socketToken.
    """

    id: str
    bot_id: str
    channel_id: str
    user_id: str
    attributes: JsonObject
    created_at: datetime
    last_seen_at: datetime | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One live or past span under a caller's session name (chatbot). The newest one counts.

    `id` is the conversation record's id (24 hex digits); `data` the dialect's own state.
    """

    id: str
    bot_id: str
    name: str
    person_id: str
    started_at: datetime
    last_active_at: datetime
    first_message: str | None = None
    data: JsonObject = field(default_factory=dict)


# --- jobs --------------------------------------------------------------------------------------


class NewJob(msgspec.Struct, frozen=True):
    """A task to be run later, at least once.

    `client`: whom it is about: its jobs run one at a time, in order, and are erased with it.
    `lock`: the same for any other name; at most one of the two. `key`: at most one job waits under
    it. `run_at`: not before then; None: at once. `max_attempts`: instead of the task's own.
    """

    task: str
    arguments: JsonObject = msgspec.field(default_factory=dict)
    client: Client | None = None
    lock: str | None = None
    key: str | None = None
    run_at: datetime | None = None
    max_attempts: int | None = None
    queue: str = "default"


class JobStatus(StrEnum):
    """Where a job is in its life; one that succeeded is deleted."""

    WAITING = "waiting"
    """Due now or later, or behind another job of its lock."""
    RUNNING = "running"
    """A worker has it, or had it when it died."""
    DEAD = "dead"
    """It failed for good: for an operator to look at, and to retry or cancel."""


class Job(msgspec.Struct, frozen=True):
    """One stored launch of a task. `attempts` have failed so far, the last one with `error`."""

    id: int
    task: str
    arguments: JsonObject
    status: JobStatus
    attempts: int
    queue: str = "default"
    lock: str | None = None
    key: str | None = None
    run_at: datetime | None = None
    max_attempts: int | None = None
    error: str | None = None


class QueueFigures(NamedTuple):
    """How many jobs a queue has, and for how many seconds the oldest one that is due has waited."""

    queue: str
    waiting: int
    running: int
    dead: int
    lag_s: float


# --- a turn's result ---------------------------------------------------------------------------


class Chosen(StrEnum):
    """Why the turn ran where it ran (dialects.md §4: `score`)."""

    COMMAND = "command"
    TRIGGER = "trigger"
    HOLD = "hold"
    CONVERSATION = "conversation"
    """An open conversation without a hold: its step again."""
    INTENT = "intent"
    DEFAULT = "default"


class LogLine(msgspec.Struct, frozen=True):
    """What the author logged: for the operator."""

    flow: str
    line: int
    text: str
    level: str


class Turn(msgspec.Struct, frozen=True):
    """Everything one event led to.

    `messages` are those sent, in order; `flow` (its name) and `step` the last position;
    `is_held` tells whether the conversation waits on a hold; `memories` all of the client's after
    the turn, in stored form. `client` is the new bot's after a switch. `is_dropped` marks an event
    that came while the bot was still answering (`no_interruption_delay`); `is_failed` one that a
    fatal error ended, whose message is the last.
    """

    request_id: str
    client: Client
    received_at: datetime
    conversation_id: str
    messages: tuple[Message, ...]
    conversation_end: bool
    interaction_order: int
    chosen: Chosen
    flow: str
    flow_id: str
    step: str
    is_held: bool
    memories: Mapping[str, Json]
    logs: tuple[LogLine, ...] = ()
    is_dropped: bool = False
    is_failed: bool = False
