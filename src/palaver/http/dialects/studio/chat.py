"""The Chat API: one event of an end user in, all messages of the bot out. Spec: §3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple
from uuid import uuid4

import msgspec

from palaver.errors import EventRejected, Malformed
from palaver.http.describe import Answer, Operation
from palaver.http.dialects.answers import TURN_SCHEMA, turn_answer
from palaver.http.dialects.base import Dialect
from palaver.http.dialects.events import EVENT_SCHEMA, event_from_payload
from palaver.http.dialects.jumps import jump_of
from palaver.http.dialects.studio.auth import Gate
from palaver.http.request import Request, Response
from palaver.http.wire import encode_json
from palaver.model import Client, Event, Repeat, Turn
from palaver.services.chat import Ask, Prepare
from palaver.types import JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot


class ClientBody(msgspec.Struct):
    """Bot and channel are the key's; what the caller says of them is ignored."""

    user_id: Annotated[str, msgspec.Meta(extra_json_schema={"minLength": 1})]


class PayloadBody(msgspec.Struct):
    """The event's envelope."""

    content_type: str
    content: dict[str, Any]
    secure: Any = msgspec.UNSET


class ChatBody(msgspec.Struct):
    """`POST /chat`. Unknown properties are ignored."""

    client: ClientBody
    payload: Annotated[PayloadBody, msgspec.Meta(extra_json_schema={"allOf": [EVENT_SCHEMA]})]
    metadata: dict[str, Any] | None = None
    request_id: str | None = None
    callback_url: str | None = None


_BODY: Final = msgspec.json.Decoder(ChatBody)

CHAT: Final = Operation(
    "One event of an end user",
    {200: Answer("All the bot said.", TURN_SCHEMA)},
    ChatBody,
    keys=("key",),
    errors=(429, 503),
    about="Bot and channel are the key's. A `regex` event is refused here.",
)


class _Said(NamedTuple):
    """What the event asks for: the event, memories of a jump, and two ways to begin."""

    event: Event
    memories: JsonObject
    closes_first: bool
    relaunches: bool


class ChatApi:
    """The endpoint's handler."""

    def __init__(self, dialect: Dialect, gate: Gate) -> None:
        self._dialect = dialect
        self._services = dialect.services
        self._gate = gate

    async def chat(self, request: Request) -> Response:
        """Takes one turn."""
        bot = self._gate.open_public(request)
        body = await request.json_as(_BODY)
        if not body.client.user_id:
            raise Malformed("client.user_id must not be empty.")
        said = _read_event(body.payload, bot)
        client = Client(bot.id, bot.channel_uuid, body.client.user_id)
        answer = await self._services.chat.answer(
            client,
            _preparation(request, bot, client, body, said),
            lambda turn: encode_turn(turn, bot),
            repeat=await self._repeat_of(request, client, body),
        )
        return Response(answer.body)

    async def _repeat_of(self, request: Request, client: Client, body: ChatBody) -> Repeat | None:
        key = request.headers.get("x-api-key", "").partition("|")[0]
        repeat = await self._dialect.repeat_of(request, credential=key, route="POST /chat")
        if repeat is not None or body.request_id is None:
            return repeat
        payload = msgspec.to_builtins(body.payload)
        return self._dialect.repeat_of_event(client, body.request_id, payload, body.metadata or {})


def _preparation(
    request: Request, bot: LoadedBot, client: Client, body: ChatBody, said: _Said
) -> Prepare:
    request_id = str(uuid4()) if body.request_id is None else body.request_id
    channel = bot.settings.studio

    async def prepare() -> Ask:
        return Ask(
            bot=bot.runnable,
            client=client,
            event=said.event,
            request_id=request_id,
            received_at=request.received_at,
            metadata={**(body.metadata or {}), "_channel": {"type": "api", "name": bot.name}},
            closes_first=said.closes_first,
            memories=said.memories,
            relaunches=said.relaunches,
            callback_url=body.callback_url,
            webhook_url=channel.webhook,
            end_notice=channel.end_notice,
            notice_retries=channel.webhook_retries,
            shown_bot_id=bot.uuid,
        )

    return prepare


def _read_event(body: PayloadBody, bot: LoadedBot) -> _Said:
    """The payload as an event; a click on a button that jumps as the jump (dialects §2)."""
    if body.content_type == "regex":  # the engine's own, not the Studio's (§3.1)
        raise EventRejected("regex is not a valid content_type")
    event = event_from_payload(msgspec.to_builtins(body))
    if event.content_type == "payload":
        jump = jump_of(event.value, bot)
        if jump is not None:
            return _Said(jump.event(), jump.values, closes_first=False, relaunches=False)
    if event.content_type == "flow_trigger":
        closes = event.content.get("close_flows")
        if not isinstance(closes, bool | None):
            raise EventRejected("close_flows must be true or false")
        is_relaunch = bot.settings.studio.relaunch and not closes
        return _Said(event, {}, closes_first=bool(closes), relaunches=is_relaunch)
    return _Said(event, {}, closes_first=False, relaunches=False)


def encode_turn(turn: Turn, bot: LoadedBot) -> bytes:
    """The answer of §3.2; a dropped event is a turn without messages (§19, 23)."""
    client = turn.client
    if client.bot_id == bot.id:
        client = client._replace(bot_id=bot.uuid)
    answer = turn_answer(turn, client)
    if turn.is_dropped:
        answer |= {"messages": [], "conversation_end": False}
    return encode_json(answer)
