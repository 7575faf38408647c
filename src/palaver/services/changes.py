"""Noticing what another process changed: keys rotated, builds published. Spec: product.md §5.

Twice a second the storage's stamp is compared with the last one, which reads nothing else while
nothing changed; when it differs, the stamps of all bots tell which ones to look at again.
"""

from __future__ import annotations

import asyncio
import logging

from palaver.errors import PalaverError
from palaver.services.access import Access
from palaver.services.bots import Bots
from palaver.storage.protocol import BotStamp, Changes

logger = logging.getLogger(__name__)

LOOK_S = 0.5


class Watcher:
    """Keeps what is served like what is stored."""

    def __init__(self, changes: Changes, bots: Bots, access: Access) -> None:
        self._changes = changes
        self._bots = bots
        self._access = access
        self._stamp: object = None
        self._known: dict[str, BotStamp] = {}

    async def begin(self) -> None:
        """What is served now is what is stored now."""
        self._stamp = await self._changes.changes_stamp()
        self._known = await self._changes.bot_stamps()

    async def run(self) -> None:
        """Looks for ever. A database that does not answer is asked again, and told of once."""
        is_well = True
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                await self.look()
            except PalaverError as error:
                if is_well:
                    logger.warning("changes of other processes cannot be seen now: %s", error)
                is_well = False
            else:
                is_well = True

    async def look(self) -> None:
        """Takes over what changed since the last look."""
        stamp = await self._changes.changes_stamp()
        if stamp == self._stamp:
            return
        stamps = await self._changes.bot_stamps()
        for bot_id in sorted(stamps.keys() | self._known.keys()):
            if stamps.get(bot_id) != self._known.get(bot_id):
                await self._take_over(bot_id, stamps.get(bot_id))
        self._stamp, self._known = stamp, stamps

    async def _take_over(self, bot_id: str, stamp: BotStamp | None) -> None:
        known = self._known.get(bot_id)
        bot = self._bots.find(bot_id)
        newest = stamp.version_id if stamp else None
        if bot is None or newest is None or newest != bot.version_id:
            try:
                await self._bots.renew(bot_id)
            except PalaverError as error:
                logger.warning("the new build of bot %s is not served: %s", bot_id, error)
        served = self._bots.find(bot_id)
        if served is not None and stamp and (known is None or stamp.keys != known.keys):
            await self._access.refresh(served, served.settings.keys.given())
