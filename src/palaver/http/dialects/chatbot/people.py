"""Users, their sessions, and which of them a request belongs to. Spec: chatbot-com §1.3–§1.5.

A user is a `Person` of the channel `chatbot`; a conversation of the API is a `Session`. A session
lives until the bot's `session_idle_s` passed without a request; the newest one under a name
counts. Nothing here writes during a turn: what a turn changes goes with its Ask.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from palaver.model import Client, Person, Session
from palaver.storage.protocol import People
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

CHANNEL: Final = "chatbot"
"""`Client.channel_id` of everybody who comes through this dialect."""


def new_id(now: datetime) -> str:
    """24 hexadecimal digits; the first eight are the time in seconds, so ids sort by age."""
    return f"{int(now.timestamp()):08x}{secrets.token_hex(8)}"


def client_of(bot: LoadedBot, user_id: str) -> Client:
    """The engine's client of a user."""
    return Client(bot.id, CHANNEL, user_id)


# --- users -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Profile:
    """What this dialect keeps of a user, in `Person.attributes`."""

    attributes: dict[str, str]
    segments: tuple[str, ...] = ()
    banned: bool = False

    def to_json(self) -> JsonObject:
        attributes: dict[str, Json] = {**self.attributes}
        return {
            "attributes": attributes,
            "segments": list(self.segments),
            "banned": self.banned,
        }


def profile_of(person: Person) -> Profile:
    """The profile of a stored user; what another dialect wrote there is not looked at."""
    attributes, segments = person.attributes.get("attributes"), person.attributes.get("segments")
    known = attributes.items() if isinstance(attributes, dict) else ()
    return Profile(
        {name: value for name, value in known if isinstance(value, str)},
        tuple(map(str, segments)) if isinstance(segments, list) else (),
        person.attributes.get("banned") is True,
    )


def new_person(bot: LoadedBot, user_id: str, profile: Profile, now: datetime) -> Person:
    """A user nobody has seen yet."""
    return Person(
        id=new_id(now),
        bot_id=bot.id,
        channel_id=CHANNEL,
        user_id=user_id,
        attributes=profile.to_json(),
        created_at=now,
        last_seen_at=now,
    )


async def find_user(people: People, bot: LoadedBot, person_id: str) -> Person | None:
    """The bot's user with a server id."""
    person = await people.person(person_id)
    if person is None or (person.bot_id, person.channel_id) != (bot.id, CHANNEL):
        return None
    return person


# --- sessions ----------------------------------------------------------------------------------


def is_live(session: Session, bot: LoadedBot, now: datetime) -> bool:
    """Whether the session goes on with a request that comes now."""
    return (now - session.last_active_at).total_seconds() < bot.settings.session_idle_s


def touched(session: Session, now: datetime, first_message: str | None = None) -> Session:
    """The session after a request. Args: first_message: kept unless there is one already."""
    return replace(
        session,
        last_active_at=now,
        first_message=session.first_message or first_message,
    )


class Visit(NamedTuple):
    """Whose request it is.

    Attributes:
        person: stored, or a new one when `is_new`.
        session: the live one; None when the request begins another.
        before: the session that ended under the name of the one that begins.
    """

    person: Person
    session: Session | None
    is_new: bool = False
    before: Session | None = None


async def find_visit(
    people: People, bot: LoadedBot, name: str, user_id: str | None, now: datetime
) -> Visit:
    """The user and the live session of a request. Spec: §1.3, "Linking a session to a user".

    A session that begins anew under its old name stays with its user (§1.5) unless the request
    names another.

    Args:
        name: the caller's `sessionId`.
        user_id: the request's `userId`, looked at only where a session begins.
    """
    last = await people.newest_session(bot.id, name)
    owner = await find_user(people, bot, last.person_id) if last is not None else None
    if last is not None and owner is not None and is_live(last, bot, now):
        return Visit(owner, last)
    if user_id is not None:
        named = await people.find_person(bot.id, CHANNEL, user_id)
        if named is not None:
            return Visit(named, None, before=last)
    if owner is None:
        owner = await people.find_person(bot.id, CHANNEL, name)
    if owner is None:
        return Visit(new_person(bot, name, Profile({}), now), None, is_new=True, before=last)
    return Visit(owner, None, before=last)


async def has_expired(people: People, visit: Visit, bot: LoadedBot, now: datetime) -> bool:
    """Whether all sessions of a visitor have ended, so that the conversation is closed.

    A second live session shares the client, and keeps its conversation (dialects §4).
    """
    if visit.session is not None or visit.is_new:
        return False
    sessions = await people.sessions_of(visit.person.id)
    return bool(sessions) and not any(is_live(session, bot, now) for session in sessions)


def new_session(
    bot: LoadedBot, name: str, person: Person, now: datetime, *, before: Session | None = None
) -> Session:
    """A session that begins; its id is the conversation's.

    It never begins before the one it follows, even when the clock was set back: the one that
    began last counts.
    """
    began = now if before is None else max(now, before.started_at)
    return Session(new_id(now), bot.id, name, person.id, began, now)
