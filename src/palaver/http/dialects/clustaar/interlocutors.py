"""Interlocutors: created or fetched, read, updated (clustaar §1.5, §2.4–§2.6).

A `Person` is the record: `attributes` holds the documented members that were ever set, under
their names on the wire; `secret` is the socketToken.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from palaver.errors import NotFound
from palaver.http.describe import Schema, nullable, one_of, record, text
from palaver.http.dialects.base import Dialect
from palaver.http.dialects.clustaar.auth import CHANNEL, Gate
from palaver.http.dialects.clustaar.documents import LOCATION, Document, read_location
from palaver.http.dialects.clustaar.parts import date_text
from palaver.http.request import Request, Response, empty_response, json_response
from palaver.model import Client, Person
from palaver.types import JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

LONGEST_USER_ID: Final = 99
LONGEST_ATTRIBUTE: Final = 2000
TEXTS: Final = ("firstName", "lastName", "email", "phoneNumber", "externalID")
"""Members that are a text or null."""

_KEY: Final = re.compile(r"\w+")


class Interlocutors:
    """The handlers of the three routes, and what finds an interlocutor for the others."""

    def __init__(self, dialect: Dialect, gate: Gate) -> None:
        self._dialect = dialect
        self._services = dialect.services
        self._gate = gate

    # --- finding -------------------------------------------------------------------------------

    def bot_of(self, request: Request) -> LoadedBot:
        """The bot the path names. Raises: NotFound."""
        bot = self._services.bots.find(request.params["bot"])
        if bot is None:
            raise NotFound("There is no bot with this id.")
        return bot

    async def find(self, request: Request) -> tuple[LoadedBot, Person]:
        """The interlocutor the path names, with its bot. Raises: NotFound."""
        person = await self._services.storage.person(request.params["id"])
        if person is None or person.channel_id != CHANNEL:
            raise NotFound("There is no interlocutor with this id.")
        bot = self._services.bots.find(person.bot_id)
        if bot is None:
            raise NotFound("The interlocutor's bot is not served.")
        if "bot" in request.params and self.bot_of(request).id != bot.id:
            raise NotFound("The bot has no interlocutor with this id.")
        return bot, person

    # --- creating ------------------------------------------------------------------------------

    async def create(self, request: Request) -> Response:
        """`POST /bots/{bot}/interlocutors/clustaar_web_chat`: creates or fetches."""
        caller = await self._gate.caller(request)
        bot = self.bot_of(request)
        caller.may_create(bot)
        given = read_interlocutor(await request.json_object())
        wants_socket = request.query.get("use_websocket", "0").lower() not in ("0", "false")
        secret = given.socket_token
        if secret is None and wants_socket:
            secret = secrets.token_urlsafe(24)
        about: list[Client] = []

        async def handle() -> Response:
            person, has_set = await self._create(bot, given, secret)
            about.append(client_of(person))
            shown: JsonObject = {"type": "interlocutor", "id": person.id}
            if wants_socket and has_set:
                shown["socketToken"] = person.secret
            return json_response({"data": shown})

        return await self._dialect.once(request, caller.token, handle, about)

    async def _create(
        self, bot: LoadedBot, given: Given, secret: str | None
    ) -> tuple[Person, bool]:
        """The interlocutor, and whether this call set its socketToken."""
        storage = self._services.storage
        new = Person(
            id=secrets.token_hex(12),
            bot_id=bot.id,
            channel_id=CHANNEL,
            user_id=given.user_id,
            attributes=given.attributes,
            created_at=self._services.clock.now(),
            secret=secret,
        )
        person = await storage.create_person(new)
        if person.id == new.id or secret is None or person.secret is not None:
            return person, person.id == new.id and secret is not None
        async with self._services.chat.exclusively(client_of(person)):
            person = await storage.person(person.id) or person
            if person.secret is not None:
                return person, False
            person = replace(person, secret=secret)
            await storage.save_person(person)
        return person, True

    async def refuse_channel(self, request: Request) -> Response:
        """`POST /bots/{bot}/interlocutors/<anything else>`. Raises: NotFound."""
        await self._gate.caller(request)
        raise NotFound(f"There is no channel of this name; there is {CHANNEL}.")

    # --- reading and updating ------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        """`GET /interlocutors/{id}`."""
        caller = await self._gate.caller(request)
        bot, person = await self.find(request)
        caller.may_manage(bot)
        return json_response({"data": shown_person(person, bot)})

    async def update(self, request: Request) -> Response:
        """`PUT /interlocutors/{id}`: keys present overwrite, custom attributes are merged."""
        caller = await self._gate.caller(request)
        bot, person = await self.find(request)
        caller.may_manage(bot)
        body = await request.json_object()
        given = read_interlocutor({k: v for k, v in body.items() if k != "socketToken"})
        storage = self._services.storage
        async with self._services.chat.exclusively(client_of(person)):
            person = await storage.person(person.id) or person
            attributes = merged(person.attributes, given.attributes)
            await storage.save_person(replace(person, attributes=attributes))
        return empty_response()


def client_of(person: Person) -> Client:
    """The engine's client behind an interlocutor."""
    return Client(person.bot_id, person.channel_id, person.user_id)


# --- on the wire ------------------------------------------------------------------------------


class Given(NamedTuple):
    """A body of create or update; `attributes` has the keys that were present."""

    user_id: str
    attributes: JsonObject
    socket_token: str | None


def interlocutor_schema(**more: Schema) -> Schema:
    """What `read_interlocutor` takes. Args: more: members that only some bodies have."""
    custom: Schema = {
        "type": "object",
        "propertyNames": {"pattern": r"^\w+$"},
        "additionalProperties": text(),
    }
    return record(
        {"type": one_of("interlocutor"), "userID": text(1, LONGEST_USER_ID)},
        optional={
            **{name: nullable(text(0, LONGEST_ATTRIBUTE)) for name in TEXTS},
            "location": LOCATION,
            "customAttributes": custom,
            **more,
        },
    )


CREATED: Final = interlocutor_schema(socketToken=text(1, LONGEST_ATTRIBUTE))
UPDATED: Final = interlocutor_schema()


def read_interlocutor(body: JsonObject) -> Given:
    """Checks the body of a creation or an update. Raises: Invalid, with one problem a field."""
    document = Document(body)
    document.one_of("type", ("interlocutor",))
    user_id = document.text("userID", LONGEST_USER_ID)
    attributes: JsonObject = {
        name: document.text_or_null(name, LONGEST_ATTRIBUTE) for name in TEXTS if name in body
    }
    if "location" in body:
        attributes["location"] = read_location(document)
    if "customAttributes" in body:
        attributes["customAttributes"] = _read_custom(document)
    token = None
    if "socketToken" in body:
        token = document.text("socketToken", LONGEST_ATTRIBUTE)
    document.finish()
    return Given(user_id, attributes, token)


def _read_custom(document: Document) -> JsonObject:
    custom = document.object("customAttributes")
    if custom is None:
        return {}
    for key, value in custom.values.items():
        if _KEY.fullmatch(key) is None:
            custom.refuse(key, "a key has letters, digits and underscores only")
        elif not isinstance(value, str):
            custom.refuse(key, "must be a string")
    return custom.values


def merged(old: JsonObject, new: JsonObject) -> JsonObject:
    """Attributes after an update. Spec: clustaar §2.6."""
    before, after = old.get("customAttributes"), new.get("customAttributes")
    if isinstance(before, dict) and isinstance(after, dict):
        new = {**new, "customAttributes": {**before, **after}}
    return {**old, **new}


def shown_person(person: Person, bot: LoadedBot) -> JsonObject:
    """An interlocutor as §2.5 shows it, every key present."""
    get = person.attributes.get
    seen_at = person.last_seen_at
    return {
        "type": "interlocutor",
        "id": person.id,
        "userID": person.user_id,
        "externalID": get("externalID"),
        "location": get("location"),
        "firstName": get("firstName"),
        "lastName": get("lastName"),
        "createdAt": date_text(person.created_at),
        "lastReplyAt": None if seen_at is None else date_text(seen_at),
        "email": get("email"),
        "phoneNumber": get("phoneNumber"),
        "customAttributes": get("customAttributes") or {},
        "botID": bot.hex_id,
    }
