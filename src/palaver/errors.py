"""The tree of errors. Leaves live beside what raises them; the families are here.

    PalaverError                 message for people, `retryable`
      CsmlError
        SourceError              text that does not parse or check: `diagnostics`, never empty
        RunError                 a program's fatal error (data in the turn, never an HTTP status)
          BudgetExceeded         a limit of the turn, named
      EngineError                BotNotFound · VersionNotFound · BotInvalid ·
                                 EventRejected · ConversationBusy
      StorageError               Unavailable · Conflict · SchemaOutdated · NotADatabase · KeyMissing
      RequestError               Malformed (Invalid) · KeyReused · Unauthenticated · Forbidden ·
                                 NotFound · Clash · TooLarge · Throttled
      ConfigError                a folder, a setting or an option that cannot be used

No domain error knows an HTTP status: `http/errors.py` maps classes to statuses once.
"""

from __future__ import annotations


class PalaverError(Exception):
    """Anything Palaver raises on purpose; `str(error)` is a message for people."""

    retryable = False
    """Whether the same request may succeed later."""


class CsmlError(PalaverError):
    """Something about a CSML text or program."""


class EngineError(PalaverError):
    """A turn that could not be taken."""


class BotNotFound(EngineError):
    """No bot has this id. Spec: csml-engine-runtime §2.1."""


class VersionNotFound(EngineError):
    """The bot has no version of this id. Spec: csml-engine-runtime §2.1."""


class EventRejected(EngineError):
    """The event has no usable content. Spec: csml-engine-runtime §2.3."""


class ConversationBusy(EngineError):
    """Another turn of the same client took longer than a request may wait."""

    retryable = True


class StorageError(PalaverError):
    """The database refused or failed.

    Args:
        message: for the operator; it may name hosts and files.
        public: what whoever uses the service is told instead.
    """

    def __init__(self, message: str, *, public: str | None = None) -> None:
        super().__init__(message)
        self.public = public or message


class Unavailable(StorageError):
    """The database does not answer now (stopped, disk full, shutting down)."""

    retryable = True


class Conflict(StorageError):
    """Another process changed the same things meanwhile; nothing was written."""

    retryable = True


class SchemaOutdated(StorageError):
    """The database's schema is older or newer than this program's."""


class KeyMissing(StorageError):
    """What is stored was sealed with a key that this process was not given: `key_ids`."""

    def __init__(self, message: str, *key_ids: str) -> None:
        super().__init__(
            message, public="this is encrypted with a key that the server was not given"
        )
        self.key_ids = key_ids


class NotADatabase(StorageError):
    """The file that should hold the database is something else."""


class RequestError(PalaverError):
    """A request that cannot be served as it is."""


class Malformed(RequestError):
    """The request is not what the route takes: not JSON, a field missing, a wrong type.

    Args:
        message: for people.
        problems: one `(path, text)` a field, where the dialect lists them.
    """

    def __init__(
        self, message: str, problems: tuple[tuple[tuple[str, ...], str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.problems = problems


class Invalid(Malformed):
    """Well-formed, and yet not acceptable (clustaar's 422; 400 elsewhere)."""


class KeyReused(RequestError):
    """An `Idempotency-Key` came again with another body. Spec: dialects §1."""


class Unauthenticated(RequestError):
    """No credential, or one nobody issued."""


class Forbidden(RequestError):
    """A good credential that does not open this."""


class NotFound(RequestError):
    """The thing named does not exist."""


class Clash(RequestError):
    """The change contradicts what is stored."""


class TooLarge(RequestError):
    """The body is larger than `max_body_bytes`."""


class Throttled(RequestError):
    """Too many requests of one key within a second."""

    retryable = True


class JobError(PalaverError):
    """A job that cannot be enqueued, found or run."""


class ConfigError(PalaverError):
    """A folder, a setting or an option that cannot be used; says where and what to do."""


class WrongUrl(ConfigError):
    """`--database` is nothing that a storage could be opened with."""
