"""What another process changed: builds and keys, told by stamps; and figures of the moment."""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import Any, Protocol, runtime_checkable

from palaver.storage.protocol import BotStamp
from palaver.storage.sql.base import SqlPart


@runtime_checkable
class Measured(Protocol):
    """A driver with figures for /metrics."""

    def gauges(self) -> dict[str, float]:
        """By name; cheap, and at any moment."""
        ...


class SqlChanges(SqlPart):
    """`storage.protocol.Changes` in SQL."""

    async def changes_stamp(self) -> object:
        """A counter of the database: of all its writes (SQLite), of builds and keys."""
        return await self._driver.read(self._sql["change_counter"], ())

    async def bot_stamps(self) -> dict[str, BotStamp]:
        versions = dict[str, str](await self._driver.read(self._sql["newest_versions"], ()))
        keys: defaultdict[str, Any] = defaultdict(lambda: blake2b(digest_size=16))
        for bot_id, name, key in await self._driver.read(self._sql["all_keys"], ()):
            keys[bot_id].update(f"{name}={key}\n".encode("utf-8", "surrogatepass"))
        return {
            bot_id: BotStamp(
                versions.get(bot_id), keys[bot_id].hexdigest() if bot_id in keys else ""
            )
            for bot_id in sorted(versions.keys() | keys.keys())
        }

    def gauges(self) -> dict[str, float]:
        return self._driver.gauges() if isinstance(self._driver, Measured) else {}
