"""Who calls the clustaar API: the bot token, the private key, an interlocutor's own token.

Spec: clustaar §2.2, §2.10. Order: the token (401), what the path names (404), whether the token
opens it (403); the body comes after.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from palaver.errors import Forbidden, Malformed, Unauthenticated
from palaver.http.dialects.base import Services
from palaver.http.keys import bearer_token
from palaver.http.request import Request
from palaver.http.wire import decode_json
from palaver.model import Person

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

CHANNEL: Final = "clustaar_web_chat"


class Caller(NamedTuple):
    """Whom a token stands for; each member says what it opens, None for nothing.

    Attributes:
        token: as it came.
        private_bot: id of the bot whose private key it is.
        bot: id of the bot whose access token it is (of a single-token bot it is both).
        person: id of the interlocutor whose token it is.
    """

    token: str
    private_bot: str | None = None
    bot: str | None = None
    person: str | None = None

    def may_manage(self, bot: LoadedBot) -> None:
        """For reading and changing interlocutors. Raises: Forbidden."""
        if bot.id != self.private_bot:
            raise Forbidden("This needs the private API key of the bot.")

    def may_create(self, bot: LoadedBot) -> None:
        """For creating interlocutors. Raises: Forbidden."""
        if bot.id not in (self.private_bot, self.bot):
            raise Forbidden("This needs a token of the bot.")

    def may_talk(self, bot: LoadedBot, person: Person) -> None:
        """For talking as an interlocutor. Raises: Forbidden."""
        if person.id != self.person and bot.id not in (self.private_bot, self.bot):
            raise Forbidden("This needs a token of the bot or of the interlocutor.")


class Gate:
    """Knows callers by their tokens."""

    def __init__(self, services: Services) -> None:
        self._access = services.access
        self._people = services.storage

    async def caller(self, request: Request) -> Caller:
        """Raises: Unauthenticated."""
        token = bearer_token(request)
        if token is None:
            raise Unauthenticated("Authorization must be: Bearer <token>.")
        private = self._access.find("clustaar_private", token)
        public = self._access.find("clustaar_token", token)
        if private is not None or public is not None:
            return Caller(
                token,
                private_bot=None if private is None else private.id,
                bot=None if public is None else public.id,
            )
        person = await self._person_of(token)
        if person is None:
            raise Unauthenticated("Unknown token.")
        return Caller(token, person=person.id)

    async def _person_of(self, token: str) -> Person | None:
        claim = read_interlocutor_token(token)
        if claim is None:
            return None
        person = await self._people.person(claim.person)
        if person is None or person.channel_id != CHANNEL or person.secret is None:
            return None
        is_theirs = hmac.compare_digest(person.secret.encode(), claim.secret.encode())
        return person if is_theirs else None


class Claim(NamedTuple):
    """What an interlocutor token says; whether it is true is seen from the secret."""

    person: str
    secret: str


_STANDARD: Final = str.maketrans("-_", "+/", "= \t")


def read_interlocutor_token(token: str) -> Claim | None:
    """Opens the envelope: Base64 of either alphabet, padded or not; None when it is none."""
    text = token.translate(_STANDARD)
    try:
        envelope = decode_json(
            base64.b64decode(text + "=" * (-len(text) % 4), validate=True), max_nesting=8
        )
    except (ValueError, binascii.Error, Malformed):
        return None
    subject = envelope.get("subject") if isinstance(envelope, dict) else None
    if not isinstance(envelope, dict) or not isinstance(subject, dict):
        return None
    secret, person = envelope.get("value"), subject.get("id")
    if not isinstance(secret, str) or not isinstance(person, str):
        return None
    return Claim(person, secret) if subject.get("type") == "interlocutor" else None
