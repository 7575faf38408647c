"""What running author code asks for. Both languages yield these; the engine acts on them.

Effects are collected in order. `Say`, `Log`, `Goto`, `Remember`, `Forget` may come many times;
`End`, `Hold`, `Fail` or `SwitchBot` closes the list, except after a step that merely returned.

`HostCall`s are the other direction: running code stops and gets an answer (`HostAnswer`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

from palaver.types import Json, JsonObject


class Say(NamedTuple):
    """A message for the client: `{"content_type": str, "content": object}`."""

    payload: JsonObject


class Remember(NamedTuple):
    """A memory's value as it is to be stored (csml-language §7.4), the last of the turn."""

    name: str
    value: Json


class Forget(NamedTuple):
    """`names` is None for all memories that were there when the turn began."""

    names: tuple[str, ...] | None


class Log(NamedTuple):
    """A line for the operator's log, never for the client."""

    flow: str
    line: int
    text: str
    level: str


class Goto(NamedTuple):
    """The conversation moves. `flow` is None when only the step changes (csml-engine-runtime §5.3).

    `counts` tells whether the move counts for `interaction_order`.
    """

    flow: str | None
    step: str
    counts: bool = True


class Hold(NamedTuple):
    """The turn is over; the conversation waits here. `record` is opaque to the engine."""

    record: JsonObject


class End(NamedTuple):
    """The conversation is over."""


class Fail(NamedTuple):
    """A fatal error of the author's program: said to the client, then the conversation ends.

    `limit` names the setting when a budget was exceeded.
    """

    text: str
    limit: str | None = None


class SwitchBot(NamedTuple):
    """Go on in another bot. `flow` and `step` are None where the author named none."""

    bot: str
    flow: str | None
    step: str | None


Effect: TypeAlias = Say | Remember | Forget | Log | Goto | Hold | End | Fail | SwitchBot


# --- the outside -------------------------------------------------------------------------------


class HttpRequest(NamedTuple):
    """A call to a web address. `body` is the text to send, or None for no body."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str | None
    verify_tls: bool = True


class AppCall(NamedTuple):
    """A call of one of the bot's apps. Spec: csml-language §9.1."""

    name: str
    data: JsonObject


class Mail(NamedTuple):
    """A mail to deliver. Spec: csml-language §10.8. `security`: `tls`, `starttls` or `none`."""

    server: str
    port: int
    security: str
    username: str
    password: str
    mechanisms: tuple[str, ...]
    sender: str
    recipients: tuple[str, ...]
    message: bytes


class HttpAnswer(NamedTuple):
    """What came back; header names in lower case; `body` decoded as UTF-8, bad bytes replaced.

    `url` is the normalised address that error texts show.
    """

    status: int
    headers: dict[str, str]
    body: str
    url: str = ""


class CallFailed(NamedTuple):
    """Nothing came back. `text` is the reference's message: `<url>: Connection Failed: …`."""

    text: str


HostCall: TypeAlias = HttpRequest | AppCall | Mail
HostAnswer: TypeAlias = HttpAnswer | CallFailed | None
"""None: a mail was delivered."""


class Host(Protocol):
    """The world as running code sees it: time, chance and the outside."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""
        ...

    def random(self) -> float:
        """A number in [0, 1)."""
        ...

    def below(self, limit: int) -> int:
        """A whole number in [0, limit), for choices and shuffles. Args: limit: at least 1."""
        ...

    def uuid(self, version: int) -> str:
        """A UUID of version 1 or 4, hyphenated, lower case."""
        ...

    def memory_bytes(self) -> int:
        """Memory that the process takes; 0 where the system does not tell."""
        ...

    def call(self, request: HostCall) -> HostAnswer:
        """Asks the outside and waits. An app that fails with a status is an `HttpAnswer` too."""
        ...
