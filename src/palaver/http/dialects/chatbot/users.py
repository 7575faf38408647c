"""Users and the attributes of their sessions. Spec: chatbot-com §3.2, §3.4, §3.6."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from palaver.errors import NotFound
from palaver.http.describe import Schema, listing, nullable, record, text
from palaver.http.dialects.chatbot import fields
from palaver.http.dialects.chatbot.answers import envelope, memory_texts, user_object
from palaver.http.dialects.chatbot.people import (
    Profile,
    client_of,
    find_user,
    is_live,
    new_person,
    touched,
)
from palaver.http.request import Request, Response, json_response
from palaver.http.wire import kind_of
from palaver.model import Client, Person, Session
from palaver.types import Json, JsonObject, expiry

if TYPE_CHECKING:
    from palaver.http.dialects.chatbot import Chatbot
    from palaver.services.bots import LoadedBot


class UsersApi:
    """The handlers. All want the developer token."""

    def __init__(self, dialect: Chatbot) -> None:
        self._dialect = dialect
        self._services = dialect.services
        self._storage = dialect.services.storage

    # --- users -----------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        """`POST /users`: an array of one envelope, or the envelope, as the bot's setting says."""
        bot, token = self._dialect.open(request)
        about: list[Client] = []

        async def make() -> Response:
            user_id, profile = _new_user(await request.json_object())
            person = await self._create(bot, user_id, profile, request.received_at)
            about.append(client_of(bot, user_id))
            answer = envelope(self._services.clock.now(), made=person.id)
            return json_response([answer] if bot.settings.create_user_answer == "array" else answer)

        return await self._dialect.once(request, token, make, about)

    async def _create(
        self, bot: LoadedBot, user_id: str, profile: Profile, now: datetime
    ) -> Person:
        """Raises: Malformed, when somebody has the `userId`."""
        wanted = new_person(bot, user_id, profile, now)
        async with self._dialect.beginning("user", bot, user_id):
            person = await self._storage.create_person(wanted)
        if person.id != wanted.id:
            fields.refuse("userId", "is another user's")
        return person

    async def show(self, request: Request) -> Response:
        """`GET /users/{id}`."""
        bot, _ = self._dialect.open(request)
        person = await self._user(request, bot)
        sessions = await self._storage.sessions_of(person.id)
        now = request.received_at
        held: dict[str, str] = {}
        if any(is_live(session, bot, now) for session in sessions):
            memories = await self._storage.list_memories(client_of(bot, person.user_id), now)
            held = memory_texts({memory.key: memory.value for memory in memories})
        return json_response(user_object(person, sessions, held))

    async def _user(self, request: Request, bot: LoadedBot) -> Person:
        person = await find_user(self._storage, bot, request.params["id"])
        if person is None:
            raise NotFound(f"There is no user {request.params['id'][:100]}.")
        return person

    # --- sessions --------------------------------------------------------------------------

    async def update_session_of_user(self, request: Request) -> Response:
        """`PUT /users/{id}/sessionAttributes`: the body names the session."""
        bot, token = self._dialect.open(request)
        about: list[Client] = []

        async def update() -> Response:
            body = await fields.attribute_body(request)
            name = fields.required_text(body, "sessionId", 10, 64)
            changes = _session_attributes(body)
            person = await self._user(request, bot)
            session = await self._live_session(bot, name, request.received_at)
            if session.person_id != person.id:
                raise NotFound(f"The session {name} is another user's.")
            about.append(client_of(bot, person.user_id))
            return await self._update(request, bot, session, person, changes)

        return await self._dialect.once(request, token, update, about)

    async def update_session(self, request: Request) -> Response:
        """`PUT /sessions/{sessionId}/attributes`: the path names the session."""
        bot, token = self._dialect.open(request)
        about: list[Client] = []

        async def update() -> Response:
            changes = _session_attributes(await fields.attribute_body(request))
            name = request.params["sessionId"]
            session = await self._live_session(bot, name, request.received_at)
            person = await find_user(self._storage, bot, session.person_id)
            if person is None:
                raise NotFound(f"The user of the session {name[:100]} is gone.")
            about.append(client_of(bot, person.user_id))
            return await self._update(request, bot, session, person, changes)

        return await self._dialect.once(request, token, update, about)

    async def _live_session(self, bot: LoadedBot, name: str, now: datetime) -> Session:
        session = await self._storage.newest_session(bot.id, name)
        if session is None or not is_live(session, bot, now):
            raise NotFound(f"There is no live session {name[:100]}.")
        return session

    async def _update(
        self,
        request: Request,
        bot: LoadedBot,
        session: Session,
        person: Person,
        changes: dict[str, str | None],
    ) -> Response:
        """Writes the attributes as memories (dialects §2); that is activity, too (§1.5)."""
        now = request.received_at
        client = client_of(bot, person.user_id)
        expires_at = expiry(now, self._services.settings.ttl_days)
        async with self._services.chat.exclusively(client):
            for name, value in changes.items():
                if value is None:
                    await self._storage.delete_memories(client, name)
                else:
                    await self._storage.save_memory(
                        client, name, value, now=now, expires_at=expires_at
                    )
            latest = await self._storage.newest_session(bot.id, session.name) or session
            await self._storage.save_session(touched(latest, now))
        return json_response(envelope(self._services.clock.now()))


_ATTRIBUTES: Final = fields.attributes_schema(1, fields.LONGEST_NAME_VALUE)

SESSION_ATTRIBUTES: Final = record({"attributes": _ATTRIBUTES})
"""What `_session_attributes` takes; flat keys `attributes.<name>` do as well."""

SESSION_OF_USER: Final = record(
    {"sessionId": fields.text_schema(10, 64), "attributes": _ATTRIBUTES}
)

SESSION_ATTRIBUTES_FORM: Final = fields.flat_schema({})
SESSION_OF_USER_FORM: Final = fields.flat_schema({"sessionId": fields.text_schema(10, 64)})

_SEGMENT: Final = text(24, 24)

NEW_USER: Final[Schema] = {
    **record(
        {"attributes": _ATTRIBUTES},
        optional={
            "userId": nullable(fields.text_schema(1, 256)),
            "segments": {"anyOf": [_SEGMENT, listing(_SEGMENT), {"type": "null"}]},
        },
        about="Without a userId, attributes.default_email is required.",
    ),
    "anyOf": [
        {"required": ["userId"], "properties": {"userId": {"type": "string"}}},
        {
            "properties": {
                "attributes": {
                    "required": ["default_email"],
                    "properties": {"default_email": {"type": "string"}},
                }
            }
        },
    ],
}
"""What `_new_user` takes."""


def _session_attributes(body: JsonObject) -> dict[str, str | None]:
    return fields.attributes(
        body.get("attributes"),
        "attributes",
        fewest=1,
        longest_name_value=fields.LONGEST_NAME_VALUE,
    )


def _new_user(body: JsonObject) -> tuple[str, Profile]:
    """`userId` and what is kept of the user. Raises: Malformed."""
    user_id = fields.text(body, "userId", 1, 256)
    segments = _segments(body.get("segments"))
    given = fields.attributes(
        body.get("attributes"),
        "attributes",
        fewest=1,
        longest_name_value=fields.LONGEST_NAME_VALUE,
    )
    attributes = fields.merged({}, given)
    if user_id is None:
        if "default_email" not in attributes:
            fields.refuse("userId", "is required, unless attributes.default_email is given")
        user_id = str(uuid4())
    for segment in segments:
        fields.refuse("segments", f"there is no segment {segment}")
    return user_id, Profile(attributes)


def _segments(value: Json) -> list[str]:
    """Ids of segments: one, or a list of them."""
    listed = [] if value is None else value if isinstance(value, list) else [value]
    for item in listed:
        if not isinstance(item, str):
            fields.refuse("segments", f"must be ids, not {kind_of(item)}")
        if len(item) != 24:
            fields.refuse("segments", "length of an id must be 24")
    return [item for item in listed if isinstance(item, str)]
