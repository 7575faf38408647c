"""Names shared by every layer: JSON aliases and the clock. Imports nothing of ours."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A JSON value as `msgspec.json.decode` gives it."""

JsonObject: TypeAlias = dict[str, Json]


class Clock(Protocol):
    """Where time comes from, so that a test can hold it still."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


MOST_DAYS: Final = 365_000
"""To live; a later moment no date can tell."""


def expiry(now: datetime, days: int | None) -> datetime | None:
    """When what is to live for so many days is over; None: never."""
    return None if days is None else now + timedelta(days=min(days, MOST_DAYS))


def iso_ms(moment: datetime) -> str:
    """`2024-05-01T09:30:00.123Z`: ISO 8601 in UTC with milliseconds, the spelling of every wire."""
    return moment.isoformat("T", "milliseconds")[:23] + "Z"
