"""What the engine and the services need of a database, as sentences of the domain.

Every back end passes one suite (tests/conformance/storage). A method either did all of what it
says, durably, or raised a StorageError and did nothing. Reads see every finished write.

`client` is the triple (bot, channel, user); `JSON` is decoded JSON. Expired rows are never read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

import msgspec

from palaver.model import (
    BotVersion,
    Client,
    Conversation,
    Job,
    JobStatus,
    Memory,
    Message,
    NewJob,
    Person,
    QueueFigures,
    Session,
)
from palaver.types import Json, JsonObject


class ClientState(msgspec.Struct, frozen=True):
    """All that a turn reads, in one read. `memories` map a key to its stored JSON *text*.

    `conversation` is the open one or None. `hold` and `previous_bot` are opaque documents.
    """

    conversation: Conversation | None = None
    hold: JsonObject | None = None
    previous_bot: JsonObject | None = None
    memories: Mapping[str, str] = msgspec.field(default_factory=dict)


class StoredAnswer(msgspec.Struct, frozen=True):
    """An answer kept for repeats, byte for byte."""

    scope: str
    key: str
    fingerprint: str
    body: bytes
    created_at: datetime


class ClientWrite(msgspec.Struct, frozen=True):
    """What one turn changes for one client, written in one transaction with everything else.

    Order of application: memories are forgotten (`forgets_all`, then `forgotten`), then
    `remembered` is written (key → JSON text). `conversations` are inserted or replaced by id.
    `hold`, `previous_bot` replace what was there; None deletes. `messages` are appended in order
    (`is_secure` ones already carry only their content type). `expires_at` goes to all rows
    written. Rows that do not change are not written.
    """

    client: Client
    at: datetime
    conversations: tuple[Conversation, ...] = ()
    hold: JsonObject | None = None
    previous_bot: JsonObject | None = None
    forgets_all: bool = False
    forgotten: tuple[str, ...] = ()
    remembered: Mapping[str, str] = msgspec.field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    expires_at: datetime | None = None


class TurnWrite(msgspec.Struct, frozen=True):
    """One unit of work: all of it or nothing.

    `clients` has one entry, or one a bot after a switch. `answer` is kept for 24 hours, the last
    20 of its scope; older ones are trimmed in the same write. It is erased with the first of the
    clients, or with `answered`, where no client is written. `jobs` are enqueued in order, but
    those whose key waits already.
    """

    clients: tuple[ClientWrite, ...]
    answer: StoredAnswer | None = None
    persons: tuple[Person, ...] = ()
    sessions: tuple[Session, ...] = ()
    jobs: tuple[NewJob, ...] = ()
    answered: Client | None = None


FARTHEST_RETRY = timedelta(minutes=15)
"""No job that failed is put off for longer (`jobs.protocol.RetryPolicy`)."""

CLIENT_SCOPE = "client:"
"""A scope of answers that is one client: this, and the JSON array of the triple, without blanks.
Such answers lie beside the client's other rows."""


def nobody() -> int:
    """No request waits behind."""
    return 0


@dataclass(frozen=True, slots=True)
class Leased:
    """Another process is in a turn of the client, and waits for the outside; or it waits for one
    since before.

    `age_s`: since when it is in its turn; infinite: it waits for it. `is_same`: its request has the
    same repeat key.
    """

    age_s: float
    is_same: bool


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of a listing, newest first. `next_key` continues it, None on the last page."""

    items: tuple[T, ...]
    next_key: str | None = None


class OpenTurn(Protocol):
    """A client's turn that is held: nobody else writes a turn of the client meanwhile.

    Ends with `commit` or `abandon`; `abandon` is called in any case.
    """

    @property
    def answer(self) -> StoredAnswer | None:
        """What was kept under the repeat key when the turn began."""
        ...

    def load(self, client: Client, now: datetime) -> Awaitable[ClientState]:
        """As `Turns.load_client`; also of another client, when the turn goes on with its bot. It
        then holds that client too.

        Raises:
            ConversationBusy: another turn of that client takes too long.
        """
        ...

    async def lease(self) -> None:
        """Before the first call outside: holds the turn without holding the database."""
        ...

    async def commit(self, write: TurnWrite) -> None:
        """As `Turns.commit_turn`. Raises: Conflict when the lease was lost."""
        ...

    async def abandon(self) -> None:
        """Lets go, with nothing written."""
        ...


class Turns(Protocol):
    """What the engine needs."""

    async def begin_turn(
        self,
        client: Client,
        now: datetime,
        *,
        repeat: tuple[str, str] | None = None,
        waits: bool = False,
        behind: Callable[[], int] = nobody,
    ) -> OpenTurn | Leased:
        """Waits until no other process writes for the client and holds its turn.

        In one process the caller keeps a client's turns apart; this does so between processes.
        When another one calls the outside in its turn, `Leased` comes at once, and nothing is
        held: ask again later.

        Args:
            repeat: scope and key of an answer to look for.
            waits: the caller will ask again, several times a second: its place among the requests
                that do is kept, and no other process goes before it.
            behind: how many requests of this process wait for the client behind this one; they
                have places, too. Asked whenever it matters.

        Raises:
            ConversationBusy: another process computes for too long.
        """
        ...

    def somebody_waits(self, client: Client) -> None:
        """A request has come that waits for a turn of this process; see `behind`."""
        ...

    async def load_client(self, client: Client, now: datetime) -> ClientState: ...

    async def find_answer(self, scope: str, key: str, now: datetime) -> StoredAnswer | None:
        """The answer kept under the key, at most 24 hours old."""
        ...

    async def commit_turn(self, write: TurnWrite) -> None:
        """Raises: Unavailable when the database cannot take it; then nothing was written."""
        ...


class Clients(Protocol):
    """What is known about one client, for the APIs."""

    async def open_conversation(self, client: Client, now: datetime) -> Conversation | None: ...

    async def close_conversations(self, client: Client, now: datetime) -> None:
        """Closes all of the client's conversations, drops its hold and previous bot."""
        ...

    async def list_conversations(
        self, client: Client, *, limit: int, after: str | None, now: datetime
    ) -> Page[Conversation]: ...

    async def list_messages(
        self,
        client: Client,
        *,
        limit: int,
        after: str | None,
        since: datetime | None,
        until: datetime | None,
        now: datetime,
    ) -> Page[Message]:
        """Strictly newest first: of one turn the last answer first, the received event last."""
        ...

    async def hold_of(self, client: Client, now: datetime) -> tuple[JsonObject, datetime] | None:
        """The pending hold and when it was stored."""
        ...

    async def list_memories(self, client: Client, now: datetime) -> tuple[Memory, ...]:
        """Sorted by key."""
        ...

    async def find_memory(self, client: Client, key: str, now: datetime) -> Memory | None: ...

    async def save_memory(
        self, client: Client, key: str, value: Json, *, now: datetime, expires_at: datetime | None
    ) -> None: ...

    async def delete_memories(self, client: Client, key: str | None) -> None:
        """One memory, or all of them."""
        ...

    async def delete_client(self, client: Client) -> None:
        """Everything about one client: conversations, messages, memories, state, answers, jobs."""
        ...

    async def clients_of_user(self, bot_id: str, user_id: str) -> tuple[Client, ...]:
        """The user's clients on all channels of a bot, sorted. Reads all clients of the bot."""
        ...

    async def count_client(self, client: Client) -> dict[str, int]:
        """How much `delete_client` would delete, expired or not.

        `{"conversations", "turns", "memories", "states", "answers", "jobs"}`; a state is a hold or
        a previous bot.
        """
        ...


class Versions(Protocol):
    """Builds of bots."""

    async def save_version(self, version: BotVersion) -> None: ...

    async def latest_version(self, bot_id: str) -> BotVersion | None: ...

    async def find_version(self, bot_id: str, version_id: str) -> BotVersion | None: ...

    async def list_versions(
        self, bot_id: str, *, limit: int, after: str | None
    ) -> Page[BotVersion]:
        """Newest first."""
        ...

    async def delete_versions(self, bot_id: str, version_id: str | None) -> None:
        """One version, or all of the bot's. Unknown ones are no error."""
        ...

    async def delete_bot(self, bot_id: str) -> None:
        """All versions and everything about all clients of the bot."""
        ...

    async def folder_digest(self, bot_id: str) -> str | None:
        """The digest of the folder the bot was last loaded from."""
        ...

    async def save_folder_digest(self, bot_id: str, digest: str) -> None: ...

    async def bot_ids(self) -> tuple[str, ...]:
        """Bots with at least one version, sorted."""
        ...


class People(Protocol):
    """Users and interlocutors of the dialects."""

    async def create_person(self, person: Person) -> Person:
        """Inserts, or returns the one that already has this bot, channel and user id.

        Race-safe: two simultaneous calls give one person.
        """
        ...

    async def save_person(self, person: Person) -> None:
        """Inserts or replaces by id."""
        ...

    async def find_person(self, bot_id: str, channel_id: str, user_id: str) -> Person | None: ...

    async def person(self, person_id: str) -> Person | None: ...

    async def newest_session(self, bot_id: str, name: str) -> Session | None: ...

    async def save_session(self, session: Session) -> None:
        """Inserts or replaces by id."""
        ...

    async def sessions_of(self, person_id: str) -> tuple[Session, ...]:
        """All of a person's sessions, newest first."""
        ...

    async def persons_of_user(self, bot_id: str, user_id: str) -> tuple[Person, ...]:
        """The user's persons on all channels of a bot, sorted by channel."""
        ...

    async def delete_person(self, person_id: str) -> None:
        """A person and all of its sessions."""
        ...


class Credentials(Protocol):
    """Generated keys, by bot and name (`studio_key`, `clustaar_token` …)."""

    async def keys_of(self, bot_id: str) -> dict[str, str]: ...

    async def save_keys(self, bot_id: str, keys: Mapping[str, str]) -> None:
        """Inserts those that are not there yet; what is there stays. Race-safe."""
        ...

    async def replace_key(self, bot_id: str, name: str, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class BotStamp:
    """What tells whether a bot changed: its newest build, and a digest of its stored keys."""

    version_id: str | None
    keys: str


class Changes(Protocol):
    """How one process notices what another one changed. Spec: product.md §5."""

    async def changes_stamp(self) -> object:
        """Equal to the one before: no builds and no keys changed since. Costs microseconds.

        It may differ although nothing of interest changed; `bot_stamps` then tells.
        """
        ...

    async def bot_stamps(self) -> dict[str, BotStamp]:
        """Every bot with a build or a key."""
        ...

    def gauges(self) -> dict[str, float]:
        """Figures of this moment for /metrics, by name; none must be there."""
        ...


class Jobs(Protocol):
    """Jobs as an operator sees them; in a turn they are enqueued by `TurnWrite.jobs`."""

    async def add_job(self, job: NewJob) -> bool:
        """False: a job waits under its key already, and nothing was added.

        A job's client is found from then on (`Clients.clients_of_user`), until it is purged.
        """
        ...

    async def list_jobs(
        self, status: JobStatus | None = None, *, limit: int, after: int = 0
    ) -> tuple[Job, ...]:
        """By id, oldest first, those with an id above `after`."""
        ...

    async def jobs_of_client(self, client: Client) -> tuple[Job, ...]:
        """All jobs that are about a client, oldest first."""
        ...

    async def job_figures(self, now: datetime) -> tuple[QueueFigures, ...]:
        """Of every queue with a job, by name; cheap enough to be asked every few seconds."""
        ...

    async def revive_job(self, job_id: int) -> bool:
        """A dead job waits again, with all its attempts; False: no dead job has this id."""
        ...

    async def cancel_job(self, job_id: int) -> bool:
        """Deletes a job; one that runs is stopped within seconds. False: there is none."""
        ...


class LeasedJobs(Jobs, Protocol):
    """What a worker needs where jobs are taken by a lease (SQLite, memory).

    A job belongs to its `owner` until the lease ends; every change of an owner who lost it is
    refused with False.
    """

    async def take_job(self, owner: bytes, now: datetime, until: datetime) -> Job | None:
        """The first job that is due, or whose worker died; None: there is none.

        A lock's jobs one at a time, in order. Taken over, it counts one attempt more. What is
        further ahead than anybody sets it (a lease beyond `until`, a retry beyond FARTHEST_RETRY)
        is from before the clock was set back, and is due.
        """
        ...

    async def next_job_at(self, now: datetime) -> datetime | None:
        """When, after now, a job is due or a lease ends; None: nothing waits for the time."""
        ...

    async def extend_job(self, job_id: int, owner: bytes, until: datetime) -> bool: ...

    async def finish_job(self, job_id: int, owner: bytes) -> bool: ...

    async def postpone_job(
        self, job_id: int, owner: bytes, run_at: datetime, error: str | None
    ) -> bool:
        """It waits again. Without an error the attempt does not count: it was broken off."""
        ...

    async def bury_job(self, job_id: int, owner: bytes, error: str) -> bool:
        """It is dead."""
        ...


class Storage(Turns, Clients, Versions, People, Credentials, Changes, Jobs, Protocol):
    """A whole database."""

    kind: str
    """`sqlite`, `postgresql` or `memory`, as `GET /status` shows it."""

    async def open(self) -> None:
        """Connects, migrates (SQLite), takes the file's lock. Raises: StorageError."""
        ...

    async def upgrade(self) -> tuple[str, ...]:
        """Before `open`, where that does not migrate (PostgreSQL): runs the migrations that are
        due, one process at a time; their names."""
        ...

    async def check(self) -> None:
        """Raises StorageError when the database does not answer or its schema is not current."""
        ...

    async def missing_keys(self) -> tuple[str, ...]:
        """Ids of keys that sealed something here and are not on the cipher's ring, in order."""
        ...

    async def note_key(self) -> None:
        """Remembers that the cipher's first key seals here; whoever seals does it before."""
        ...

    async def close(self) -> None:
        """Finishes pending writes, then disconnects."""
        ...

    async def delete_expired(self, now: datetime) -> int:
        """Purges expired conversations, messages, memories, states and old answers; how many."""
        ...
