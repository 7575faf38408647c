"""Who calls the Studio's API: keys, signatures, the replay window, the throttle.

Spec: csml-studio-api §2.3–§2.6. Order: key, signature, throttle; the body comes after.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from palaver.errors import Throttled, Unauthenticated
from palaver.http.dialects.base import Services
from palaver.http.keys import ApiKey, Throttle, api_key, is_signed
from palaver.http.request import Request

if TYPE_CHECKING:
    from palaver.services.bots import LoadedBot

_TIMESTAMP: Final = re.compile(r"[0-9]{1,15}")


class Gate:
    """Opens the public and the private endpoints."""

    def __init__(self, services: Services) -> None:
        self._access = services.access
        self._clock = services.clock
        self._throttle = Throttle(time.monotonic)
        self._processes = services.settings.workers

    def open_public(self, request: Request) -> LoadedBot:
        """The key alone opens; a time stamp or signature beside it is not looked at.

        Raises: Unauthenticated, Throttled.
        """
        bot, _ = self._find(request)
        self._admit(bot)
        return bot

    def open_private(self, request: Request) -> LoadedBot:
        """Key with time stamp, and a signature of both that is not too old or too new.

        Raises: Unauthenticated, Throttled.
        """
        bot, given = self._find(request)
        if given.timestamp is None or _TIMESTAMP.fullmatch(given.timestamp) is None:
            raise Unauthenticated("X-Api-Key must be <key>|<unix time> on this endpoint.")
        signature = request.headers.get("x-api-signature", "")
        secret = self._access.secret(bot, "studio_secret")
        if not secret or not is_signed(given.text, signature, secret):
            raise Unauthenticated("Invalid API signature.")
        age = self._clock.now().timestamp() - int(given.timestamp)
        window = bot.settings.studio.replay_window_s
        if abs(age) > window:
            raise Unauthenticated(f"The signature's time is more than {window:g} s off.")
        self._admit(bot)
        return bot

    def _find(self, request: Request) -> tuple[LoadedBot, ApiKey]:
        given = api_key(request)
        bot = self._access.find("studio_key", given.key) if given and given.key else None
        if bot is None or given is None:
            raise Unauthenticated("Invalid API key." if given else "X-Api-Key is missing.")
        return bot, given

    def _admit(self, bot: LoadedBot) -> None:
        rate = bot.settings.studio.rate
        # Every process of the server takes its share (product.md §7).
        if not self._throttle.admit(bot.id, rate / self._processes):
            raise Throttled(
                f"More than {rate} requests in a second with this key (setting [studio] rate)."
            )
