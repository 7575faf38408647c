"""Who may enter: keys of bots, given in folders or generated and stored.

Looked up by a digest of the token, so the time an answer takes tells nothing about a key.
Spec: product.md §2 (keys), dialects.md §1.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
import string
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from palaver.errors import KeyMissing
from palaver.logs import keep_secret
from palaver.services.aliases import bot_hex
from palaver.storage.protocol import Credentials

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

logger = logging.getLogger(__name__)

_ALPHANUMERIC: Final = string.ascii_letters + string.digits


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def _clustaar_token(bot_id: str) -> str:
    """The vendor's envelope around a secret. Spec: clustaar §2.2."""
    subject = {"id": bot_hex(bot_id), "type": "bot"}
    envelope = json.dumps({"value": _random_text(32), "subject": subject})
    return base64.b64encode(envelope.encode()).decode()


GENERATORS: Final[Mapping[str, Callable[[str], str]]] = {
    "studio_key": lambda bot_id: _random_text(32),
    "studio_secret": lambda bot_id: _random_text(64),
    "chatbot_developer": lambda bot_id: secrets.token_urlsafe(24),
    "chatbot_client": lambda bot_id: secrets.token_urlsafe(24),
    "clustaar_token": _clustaar_token,
    "clustaar_private": lambda bot_id: secrets.token_urlsafe(32),
}
"""Key name → how one is made for a bot id. The engine's key is never generated."""

_NO_BOT: Final = ""
"""Under which the service's own key is stored."""

_OWN: Final[Mapping[str, Callable[[str], str]]] = {"repeats": lambda _: secrets.token_hex(32)}


class Access:
    """Finds the bot that a key opens.

    Args:
        engine_keys: further keys of the engine's REST API (ENGINE_SERVER_API_KEYS).
        is_loopback: whether the service can be reached from this machine only.
        lost_keys: ids of encryption keys that are lost for good.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        engine_keys: tuple[str, ...],
        is_loopback: bool,
        lost_keys: Collection[str] = (),
    ) -> None:
        self._credentials = credentials
        self._lost_keys = lost_keys
        self._is_loopback = is_loopback
        self._own_key = b""
        self._bots: dict[tuple[str, bytes], LoadedBot] = {}
        self._keys: dict[str, dict[str, str]] = {}
        keep_secret(*engine_keys)
        self._engine_digests = {_digest(key) for key in engine_keys if key}
        self._has_engine_key = bool(self._engine_digests)

    async def open(self) -> None:
        """Reads, or makes, the service's own key. Call it before `fingerprint`."""
        own = await self._ensured(_NO_BOT, _OWN)
        self._own_key = bytes.fromhex(own["repeats"])

    def fingerprint(self, *parts: bytes | str) -> str:
        """64 hexadecimal digits by which an equal request is known again, in every process.

        It is stored. A digest without a key would tell what was said under `hold_secure` to
        whoever reads the database: a PIN is found by trying all of them.
        """
        state = hmac.new(self._own_key, digestmod="sha256")
        for part in parts:
            state.update(part.encode() if isinstance(part, str) else part)
        return state.hexdigest()

    async def admit(self, bot: LoadedBot, given: Mapping[str, str]) -> None:
        """Makes a bot's keys known: those given, else those stored, else new ones."""
        wanted = {name: make for name, make in GENERATORS.items() if name not in given}
        self._remember(bot, {**await self._ensured(bot.id, wanted), **given})

    async def _ensured(
        self, owner: str, wanted: Mapping[str, Callable[[str], str]]
    ) -> dict[str, str]:
        """The stored keys, with new ones for those of `wanted` that are not there."""
        stored = await self._stored(owner, wanted)
        missing = {name: make(owner) for name, make in wanted.items() if name not in stored}
        if missing:
            await self._credentials.save_keys(owner, missing)
            stored = await self._credentials.keys_of(owner)
        return stored

    async def _stored(
        self, owner: str, wanted: Mapping[str, Callable[[str], str]]
    ) -> dict[str, str]:
        """All new where nobody will ever open what is there."""
        try:
            return await self._credentials.keys_of(owner)
        except KeyMissing as error:
            if not set(error.key_ids) <= set(self._lost_keys):
                raise
            whose = f"bot {owner}" if owner else "the service itself"
            logger.warning("%s gets new keys, for %s", whose, error)
        for name, make in wanted.items():
            await self._credentials.replace_key(owner, name, make(owner))
        return await self._credentials.keys_of(owner)

    async def refresh(self, bot: LoadedBot, given: Mapping[str, str]) -> None:
        """Reads a bot's keys again, after one was replaced elsewhere."""
        self._remember(bot, {**await self._credentials.keys_of(bot.id), **given})

    def renew(self, bot: LoadedBot) -> None:
        """A new build of a bot came into force: its keys, if they are known, open that one."""
        keys = self._keys.get(bot.id)
        if keys is not None:
            self._remember(bot, keys)

    def _remember(self, bot: LoadedBot, keys: dict[str, str]) -> None:
        keep_secret(*keys.values())
        self._bots = {key: found for key, found in self._bots.items() if found.id != bot.id}
        self._keys[bot.id] = keys
        for name, key in keys.items():
            self._bots[name, _digest(key)] = bot
        self._has_engine_key = bool(self._engine_digests) or any(
            "engine_key" in known for known in self._keys.values()
        )

    def find(self, kind: str, token: str) -> LoadedBot | None:
        """The bot whose key of this kind the token is (`studio_key`, `chatbot_client` …)."""
        return self._bots.get((kind, _digest(token)))

    def opens_engine(self, token: str) -> bool:
        """Whether it is one of ENGINE_SERVER_API_KEYS."""
        return _digest(token) in self._engine_digests

    @property
    def engine_is_open(self) -> bool:
        """Whether the engine's REST API needs no key: none is configured, on a loopback host."""
        return not self._has_engine_key and self._is_loopback

    def secret(self, bot: LoadedBot, name: str) -> str:
        """One of a bot's keys by name; empty when there is none."""
        return self._keys.get(bot.id, {}).get(name, "")

    def keys_of(self, bot: LoadedBot) -> Mapping[str, str]:
        """All of a bot's keys by name."""
        return self._keys.get(bot.id, {})


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
