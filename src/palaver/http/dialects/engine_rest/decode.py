"""Bodies and queries of the engine's REST API to what the services take.

What is left out or has a wrong type is `Malformed` here (400); what is well-formed but no event
is `EventRejected` (500 on this wire). Spec: csml-engine-runtime §1, §2, §19.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, TypeVar

import msgspec

from palaver.csml.alphabet import is_alphanumeric
from palaver.errors import Malformed
from palaver.http.dialects.events import EVENT_SCHEMA
from palaver.http.request import Request
from palaver.model import Bot, Client, Flow, Module, OtherBot
from palaver.types import MOST_DAYS, Json, JsonObject

T = TypeVar("T")

Count = Annotated[int, msgspec.Meta(ge=0)]
Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


class ClientBody(msgspec.Struct):
    """`{bot_id, channel_id, user_id}`."""

    bot_id: str
    channel_id: str
    user_id: str


class EventBody(msgspec.Struct):
    """The event of a run. `ttl_duration` and `low_data_mode` of another type are ignored."""

    client: ClientBody
    payload: Annotated[Any, msgspec.Meta(extra_json_schema=EVENT_SCHEMA)]
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    metadata: Any = None
    callback_url: str | None = None
    step_limit: Count | None = None
    ttl_duration: Annotated[Any, msgspec.Meta(description="Days; else ignored.")] = None
    low_data_mode: Annotated[Any, msgspec.Meta(description="A boolean; else ignored.")] = None


class OtherBotBody(msgspec.Struct):
    """One bot that may be switched to."""

    id: str
    name: str | None = None
    version_id: str | None = None


_BOT = msgspec.Meta(
    extra_json_schema={"anyOf": [{"$ref": "#/components/schemas/engine.BotBody"}, {"type": "null"}]}
)


class RunBody(msgspec.Struct):
    """`POST /run`. `bot` stays raw: its bytes tell repeats apart, and null counts as absent."""

    event: EventBody
    bot: Annotated[msgspec.Raw, _BOT] = msgspec.field(default_factory=msgspec.Raw)
    bot_id: str | None = None
    version_id: str | None = None
    apps_endpoint: str | None = None
    fn_endpoint: str | None = None
    multibot: list[OtherBotBody] | None = None


class FlowBody(msgspec.Struct):
    """A flow; all four are required."""

    id: str
    name: str
    content: str
    commands: list[str]


class ModuleBody(msgspec.Struct):
    """A module, with its flow or the place to fetch it from."""

    name: str
    url: str | None = None
    auth: str | None = None
    version: str | None = None
    flow: FlowBody | None = None


class BotBody(msgspec.Struct):
    """A complete bot. Components of another type than object count as none."""

    id: str
    name: str
    flows: list[FlowBody]
    default_flow: str
    apps_endpoint: str | None = None
    fn_endpoint: str | None = None
    modules: list[ModuleBody] | None = None
    multibot: list[OtherBotBody] | None = None
    custom_components: Any = None
    native_components: Any = None
    no_interruption_delay: Int32 | None = None
    env: Any = None


class MemoryBody(msgspec.Struct):
    """`POST /memories`; `value` may be null, not missing."""

    key: Annotated[str, msgspec.Meta(extra_json_schema={"pattern": "^\\w+$"})]
    value: Any


CLIENT: Final = msgspec.json.Decoder(ClientBody)
RUN: Final = msgspec.json.Decoder(RunBody)
BOT: Final = msgspec.json.Decoder(BotBody)
MEMORY: Final = msgspec.json.Decoder(MemoryBody)


async def decode_body(request: Request, decoder: msgspec.json.Decoder[T]) -> T:
    """The body, which must be announced as JSON. Raises: Malformed, TooLarge."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise Malformed("The Content-Type must be application/json.")
    return await request.json_as(decoder)


def bot_in(body: RunBody) -> BotBody | None:
    """The complete bot of a run, if there is one. Raises: Malformed."""
    raw = bytes(body.bot)
    if not raw or raw == b"null":
        return None
    try:
        return BOT.decode(raw)
    except msgspec.ValidationError as error:
        raise Malformed(f"bot: {error}.") from error


def bot_from_body(body: BotBody) -> Bot:
    """The domain's bot. `multibot` is left out: each run gives its own (§1.10)."""
    return Bot(
        id=body.id,
        name=body.name,
        flows=tuple(map(_flow, body.flows)),
        default_flow=body.default_flow,
        apps_endpoint=endpoint_of(body),
        modules=tuple(map(_module, body.modules or ())),
        custom_components=_object(body.custom_components),
        native_components=_object(body.native_components),
        no_interruption_delay=body.no_interruption_delay,
        env=body.env,
    )


def _flow(body: FlowBody) -> Flow:
    return Flow(body.id, body.name, body.content, tuple(body.commands))


def _module(body: ModuleBody) -> Module:
    flow = _flow(body.flow) if body.flow is not None else None
    return Module(body.name, body.url, body.auth, body.version or "latest", flow)


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def other_bots(bodies: list[OtherBotBody] | None) -> tuple[OtherBot, ...]:
    """The bots a run may switch to."""
    return tuple(OtherBot(other.id, other.name, other.version_id) for other in bodies or ())


def metadata_of(event: EventBody) -> JsonObject:
    """The event's metadata; what is no object counts as an empty one (engine §3, step 9)."""
    return event.metadata if isinstance(event.metadata, dict) else {}


def days(value: Json) -> int | None:
    """`ttl_duration`: whole days, never further than a date can say; else None."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return min(max(value, 0), MOST_DAYS)


# --- queries -----------------------------------------------------------------------------------

_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}")
PAGE_SIZE: Final = 25


def client_of_query(query: Mapping[str, str]) -> Client:
    """The three required parameters, as sent. Raises: Malformed."""
    missing = [name for name in Client._fields if name not in query]
    if missing:
        raise Malformed(f"Query parameters are missing: {', '.join(missing)}.")
    return Client(query["bot_id"], query["channel_id"], query["user_id"])


def integer_of(query: Mapping[str, str], name: str) -> int | None:
    """A whole number, None without the parameter. Raises: Malformed."""
    text = query.get(name)
    if text is None:
        return None
    if _INTEGER.fullmatch(text) is None:
        raise Malformed(f"{name} must be a whole number.")
    return int(text)


def limit_of(query: Mapping[str, str]) -> int:
    """How many items a page has: 25 by default and at most; 0 is an empty page."""
    limit = integer_of(query, "limit")
    return PAGE_SIZE if limit is None or limit < 0 else min(limit, PAGE_SIZE)


def dates_of(query: Mapping[str, str]) -> tuple[datetime | None, datetime | None]:
    """`from_date` and `to_date`, both inclusive; `to_date` counts only with the other."""
    since, until = integer_of(query, "from_date"), integer_of(query, "to_date")
    if since is None:
        return None, None
    # A second is meant whole: what was said at 12:00:05.7 is not after 12:00:05.
    end = None if until is None else _moment(until) + timedelta(microseconds=999_999)
    return _moment(since), end


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), 253_402_300_799), UTC)


MAX_BOT_ID_BYTES: Final = 1000
"""Far more than an id has; databases cannot index texts of any length."""


def check_bot_id(bot_id: str) -> None:
    """Raises Malformed for an id that no database could find a bot by."""
    if len(bot_id.encode()) > MAX_BOT_ID_BYTES:
        raise Malformed(f"bot_id is longer than {MAX_BOT_ID_BYTES} bytes.")


# --- memory keys -------------------------------------------------------------------------------

_NUMBER: Final = re.compile(r"[0-9]+(?:[eE][0-9]+)?|inf|infinity|nan", re.IGNORECASE)


def check_memory_key(key: str) -> None:
    """Raises Malformed for a key that no program could have made. Spec: §9.5."""
    if not is_alphanumeric(key.replace("_", "")) or not key:
        raise Malformed("key must be alphanumeric")
    if len(key.encode()) > 255:
        raise Malformed("key can't be longer than 255 character")
    if _NUMBER.fullmatch(key):
        raise Malformed("Int/Float can't be used as key")


def endpoint_of(body: BotBody | RunBody) -> str | None:
    """Where apps are, by either name; an empty text is an endpoint, too (engine §12)."""
    return body.fn_endpoint if body.apps_endpoint is None else body.apps_endpoint
