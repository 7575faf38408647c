"""What happens to one client of one bot within a turn, and how effects change it.

Most turns have one span; a bot switch begins another. Pure: no storage, no clock.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec
from msgspec import structs

from palaver.effects import Effect, End, Fail, Forget, Goto, Hold, Log, Remember, Say, SwitchBot
from palaver.engine.bots import RunnableBot
from palaver.engine.scenario import Entry
from palaver.model import (
    Client,
    Conversation,
    Direction,
    Event,
    LogLine,
    Message,
    Status,
)
from palaver.storage.protocol import ClientState, ClientWrite
from palaver.types import Json, JsonObject

SECRET: JsonObject = {"content_type": "secure"}
"""What is stored of a secure event (engine §3, step 13)."""


BUILD = "build"
"""Member of a stored hold: the build it was made on."""


def error_payload(text: str) -> JsonObject:
    """The message of an error (engine §13)."""
    return {"content_type": "error", "content": {"error": text}}


def encode_memory(value: Json) -> str:
    """A memory's stored form as text."""
    return msgspec.json.encode(value).decode()


class StoredMemories(Mapping[str, Json]):
    """Memories in stored form, decoded when they are looked at."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, name: str) -> Json:
        return msgspec.json.decode(self._texts[name])  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class Span:
    """One client's part of a turn.

    Args:
        conversation: the open one to go on with; None begins a new one.
        first_order: how many messages of the turn were said before this span.
    """

    def __init__(
        self,
        client: Client,
        bot: RunnableBot,
        state: ClientState,
        conversation: Conversation | None,
        entry: Entry,
        *,
        now: datetime,
        first_order: int = 0,
    ) -> None:
        self.client = client
        self.bot = bot
        self.state = state
        self.now = now
        self.conversation = conversation or Conversation(
            str(uuid.uuid4()), entry.flow, entry.step, Status.OPEN, now, now, now
        )
        self.closed: list[Conversation] = []
        self.memories: dict[str, str] = dict(state.memories)
        self.remembered: dict[str, str] = {}
        self.forgotten: dict[str, None] = {}
        self.forgets_all = False
        self.messages: list[Message] = []
        self.sent: list[Message] = []
        self.logs: list[LogLine] = []
        self.hold: JsonObject | None = None
        self.previous_bot = state.previous_bot
        self.switch: SwitchBot | None = None
        self.ended = self.failed = False
        self.interaction_order = 0
        self._first_order = first_order
        self.flow = self.flow_id = entry.flow
        self.step = entry.step

    def enter(self, entry: Entry) -> None:
        """The position becomes the entry's: the flow's name, as the reference stores (§5.2)."""
        self.flow = self.flow_id = entry.flow
        self.step = entry.step
        self.hold, self.ended, self.failed = None, False, False

    def close(self, conversation: Conversation) -> None:
        """Closes another conversation of the client."""
        self.closed.append(
            structs.replace(
                conversation,
                status=Status.CLOSED,
                updated_at=self.now,
                last_interaction_at=self.now,
            )
        )

    # --- messages --------------------------------------------------------------------------

    def receive(self, event: Event, *, is_secret: bool) -> None:
        """Records the event; of a secret one only that it came."""
        if is_secret:
            payload = SECRET
        else:
            plain: JsonObject = {"content_type": event.content_type, "content": event.content}
            payload = event.received or plain
        self._append(payload, Direction.RECEIVE, 0)

    def say(self, payload: JsonObject) -> None:
        order = self._first_order + len(self.sent)
        self.sent.append(self._append(payload, Direction.SEND, order))

    def _append(self, payload: JsonObject, direction: Direction, order: int) -> Message:
        message = Message(
            self.conversation.id,
            self.flow_id,
            self.step,
            direction,
            payload,
            self.interaction_order,
            order,
            self.now,
        )
        self.messages.append(message)
        return message

    # --- effects ---------------------------------------------------------------------------

    def apply(self, effect: Effect) -> None:
        """Folds one effect in."""
        match effect:
            case Say(payload):
                self.say(payload)
            case Goto(flow, step, counts):
                self.step = step
                if flow is not None:
                    self.flow_id = flow
                    self.flow = self._flow_name(flow)
                self.interaction_order += counts
            case Remember(name, value):
                self.remember(name, value)
            case Forget(names):
                self.forget(names)
            case Hold(record):
                self.hold = record
                if self.bot.version_id is not None:
                    self.hold = {**record, BUILD: self.bot.version_id}
            case End():
                self.ended = True
            case Fail(text):
                self.fail(text)
            case SwitchBot():
                self.switch = effect
            case Log(flow, line, text, level):
                self.logs.append(LogLine(flow, line, text, level))

    def fail(self, text: str) -> None:
        """A fatal error: said, and the conversation is over (engine §13.2)."""
        self.say(error_payload(text))
        self.ended = self.failed = True
        self.hold = self.switch = None

    def _flow_name(self, flow_id: str) -> str:
        return next((flow.name for flow in self.bot.bot.flows if flow.id == flow_id), flow_id)

    def remember(self, name: str, value: Json) -> None:
        self.memories[name] = self.remembered[name] = encode_memory(value)

    def forget(self, names: tuple[str, ...] | None) -> None:
        if names is None:
            self.forgets_all = True
            self.memories.clear()
            self.remembered.clear()
            return
        for name in names:
            self.memories.pop(name, None)
            self.remembered.pop(name, None)
            self.forgotten[name] = None

    def check_memories(self, max_bytes: int) -> None:
        """A turn that would leave too much in memory fails, and its memories are not kept."""
        if not self.remembered:
            return
        size = sum(map(len, self.memories)) + sum(map(len, self.memories.values()))
        if size > max_bytes:
            self.remembered = {}
            self.memories = dict(self.state.memories)
            self.fail(
                f"the memories of this client need more than max_memory_bytes ({max_bytes})"
                f" at line 0, column 0 at flow [{self.flow}]"
            )

    # --- result ----------------------------------------------------------------------------

    def write(self, *, expires_at: datetime | None, low_data: bool) -> ClientWrite:
        """Everything to store for this client."""
        now = self.now
        was = self.conversation
        conversation = Conversation(
            was.id,
            self.flow_id,
            self.step,
            Status.CLOSED if self.ended else Status.OPEN,
            was.created_at,
            now,
            now,
            expires_at,
        )
        return ClientWrite(
            client=self.client,
            at=now,
            conversations=(*self.closed, conversation),
            hold=self.hold,
            previous_bot=None if self.ended else self.previous_bot,
            forgets_all=self.forgets_all,
            forgotten=tuple(self.forgotten),
            remembered=self.remembered,
            messages=() if low_data else tuple(self.messages),
            expires_at=expires_at,
        )
