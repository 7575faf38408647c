"""Exception classes to statuses: the one place that knows both.

    RequestError, EngineError, StorageError …  →  STATUSES, corrected by a dialect's `statuses`
    anything else                              →  500, logged under an id; the client sees the id

A dialect renders the `Problem` its own way.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from typing import Final

from palaver.errors import (
    BotNotFound,
    Clash,
    Conflict,
    ConversationBusy,
    EngineError,
    EventRejected,
    Forbidden,
    KeyMissing,
    KeyReused,
    Malformed,
    NotFound,
    PalaverError,
    RequestError,
    StorageError,
    Throttled,
    TooLarge,
    Unauthenticated,
    Unavailable,
    VersionNotFound,
)
from palaver.http.dialects.base import Problem

logger = logging.getLogger(__name__)


class MethodNotAllowed(RequestError):
    """The path exists with other methods: `allow`."""

    def __init__(self, method: str, allow: tuple[str, ...]) -> None:
        super().__init__(f"{method} is not allowed here; allowed: {', '.join(allow)}.")
        self.allow = allow


STATUSES: Final[Mapping[type[Exception], int]] = {
    Malformed: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Clash: 409,
    TooLarge: 413,
    KeyReused: 422,
    Throttled: 429,
    RequestError: 400,
    BotNotFound: 404,
    VersionNotFound: 404,
    EventRejected: 400,
    ConversationBusy: 503,
    EngineError: 500,
    Unavailable: 503,
    Conflict: 503,
    KeyMissing: 503,
    StorageError: 500,
    PalaverError: 500,
}
"""The nearest class of an exception's ancestry decides."""


def status_of(error: Exception, overrides: Mapping[type[Exception], int]) -> int:
    """The status of an exception, in a dialect with these overrides."""
    for ancestor in type(error).__mro__:
        status = overrides.get(ancestor) or STATUSES.get(ancestor)
        if status is not None:
            return status
    return 500


def problem_of(
    error: Exception, overrides: Mapping[type[Exception], int], *, where: str
) -> Problem:
    """What to tell about an exception. Logs what is not the client's fault.

    Args:
        where: method and path, for the log.
    """
    if not isinstance(error, PalaverError):
        number = uuid.uuid4().hex[:12]
        logger.error("internal error %s at %s", number, where, exc_info=error)
        return Problem(500, f"Internal error; the server's log has it under {number}.")
    status = status_of(error, overrides)
    if status >= 500:
        logger.warning("%s: %s: %s", where, type(error).__name__, error)
    headers: tuple[tuple[str, str], ...] = ()
    if isinstance(error, MethodNotAllowed):
        headers = (("allow", ", ".join(error.allow)),)
    elif error.retryable:
        headers = (("retry-after", "1"),)
    problems = error.problems if isinstance(error, Malformed) else ()
    message = error.public if isinstance(error, StorageError) else str(error)
    return Problem(status, message or type(error).__doc__ or "", problems, headers)
