"""What has expired is deleted for good, now and then. Reading never shows it anyway."""

from __future__ import annotations

import asyncio
import logging

from palaver.errors import StorageError
from palaver.storage.protocol import Storage
from palaver.types import Clock

logger = logging.getLogger(__name__)

EVERY_S = 60.0


async def purge_for_ever(storage: Storage, clock: Clock, every_s: float = EVERY_S) -> None:
    """Purges expired data and answers kept long enough; what fails is tried again next time."""
    while True:
        await asyncio.sleep(every_s)
        try:
            purged = await storage.delete_expired(clock.now())
        except StorageError as error:
            logger.warning("expired data could not be deleted: %s", error)
        else:
            if purged:
                logger.info("%d expired rows deleted", purged)
