"""Logs: lines for people on a terminal, JSON lines elsewhere; a turn's id in each line of a
request; and no secrets, whoever logs them.

`configure` sets the process up once. `begin_request` gives the running request an id; every line
logged within it, in whatever module, carries the id as `turn`. Secrets are made known with
`keep_secret` (keys, bot environments) or `note_secrets` (of one request: what answered a
`hold_secure`); wherever one of them turns up in a line, `…` stands instead. Lines of Palaver's own
also lose what follows `?` in an address.

Imports nothing of ours but types, so that every layer may call it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from random import getrandbits
from typing import Any, Final, TextIO

from palaver.types import Json

HIDDEN: Final = "…"

SHORTEST: Final = 4
"""Characters of the shortest secret; hiding shorter ones would make lines unreadable."""

AUTHORS: Final = "palaver.bot"
"""The logger of what authors `log`."""

LEVELS: Final = {
    "error": logging.ERROR,
    "warn": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": logging.DEBUG,
}


# --- the running request -----------------------------------------------------------------------


class _Request:
    """What is known about the running request. The id is written down when it is first needed."""

    __slots__ = ("number", "secrets")

    def __init__(self) -> None:
        self.number = getrandbits(48)
        self.secrets: tuple[str, ...] = ()


_request: ContextVar[_Request | None] = ContextVar("palaver_request", default=None)


def begin_request() -> None:
    """A request begins in this task: lines logged in it, and in tasks it starts, share an id."""
    _request.set(_Request())


def turn_id() -> str | None:
    """The running request's id, 12 hexadecimal digits."""
    request = _request.get()
    return None if request is None else f"{request.number:012x}"


def note_secrets(values: Iterable[Json]) -> None:
    """Texts that must not appear in lines of the running request: all texts in the values."""
    request = _request.get()
    if request is not None:
        request.secrets += tuple(text for value in values for text in _spellings(value))


# --- secrets -----------------------------------------------------------------------------------

_kept: dict[str, None] = {}


def keep_secret(*values: Json) -> None:
    """Texts that must not appear in any line, from now on: all texts in the values."""
    for value in values:
        _kept.update(dict.fromkeys(_spellings(value)))


def _spellings(value: Json) -> Iterable[str]:
    """The texts in a JSON value, plain and as JSON writes them."""
    if isinstance(value, str):
        if len(value.strip()) >= SHORTEST:
            yield value
            for escaped in (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]):
                if escaped != value:
                    yield escaped
    elif isinstance(value, dict):
        for item in value.values():
            yield from _spellings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _spellings(item)


_PATTERNS: Final = (
    # A header, or what looks like one in a dictionary or in JSON.
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|x-api-key|x-api-signature|set-cookie|cookie)"
            r"(\\?[\"']?\s*[:=]\s*\\?[\"']?)(?:(bearer|basic|token)\s+)?[^\s\"',;}\\]+"
        ),
        rf"\1\2{HIDDEN}",
    ),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"(\w+://)[^\s/@:]*:[^\s/@]*@"), rf"\1{HIDDEN}@"),
    (
        re.compile(r"(?i)([?&](?:[\w-]*(?:token|key|secret|password|signature|sig))=)[^\s&\"'#]+"),
        rf"\1{HIDDEN}",
    ),
)

_QUERY: Final = re.compile(r"(\bhttps?://[^\s?\"']+\?)[^\s\"']+")


def hide_secrets(text: str) -> str:
    """The text without any secret that is known or looks like one."""
    request = _request.get()
    secrets = [*_kept, *request.secrets] if request is not None else list(_kept)
    for secret in sorted((s for s in secrets if s in text), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


# --- lines -------------------------------------------------------------------------------------

_STANDARD: Final = frozenset(
    (*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName", "color_message")
)


class _Formatter(logging.Formatter):
    """What both forms share."""

    def text_of(self, record: logging.LogRecord) -> str:
        text = hide_secrets(record.getMessage())
        return text if record.name == AUTHORS else _QUERY.sub(rf"\1{HIDDEN}", text)

    def extras_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """What was given as `extra`, without secrets."""
        found = {k: v for k, v in record.__dict__.items() if k not in _STANDARD}
        return {k: hide_secrets(v) if isinstance(v, str) else v for k, v in found.items()}

    def trace_of(self, record: logging.LogRecord) -> str | None:
        return hide_secrets(self.formatException(record.exc_info)) if record.exc_info else None


class JsonLines(_Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `message`, `turn`, `error`, extras."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _iso(record.created),
            "level": _LEVEL_WORDS.get(record.levelno, record.levelname.lower()),
            "logger": record.name,
            "message": self.text_of(record),
        }
        turn = turn_id()
        if turn is not None:
            line["turn"] = turn
        line |= self.extras_of(record)
        trace = self.trace_of(record)
        if trace is not None:
            line["error"] = trace
        return json.dumps(line, ensure_ascii=False, default=str)


class HumanLines(_Formatter):
    """`09:30:00 warn  palaver.services.callbacks  callback failed: …  [turn 4f1c…]`."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = _LEVEL_WORDS.get(record.levelno, record.levelname.lower())
        notes = [f"{name} {value}" for name, value in self.extras_of(record).items()]
        turn = turn_id()
        if turn is not None:
            notes.append(f"turn {turn}")
        line = f"{clock} {level:5} {record.name}  {self.text_of(record)}"
        if notes:
            line += f"  [{', '.join(notes)}]"
        trace = self.trace_of(record)
        return line if trace is None else f"{line}\n{trace}"


_LEVEL_WORDS: Final = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warn",
    logging.ERROR: "error",
    logging.CRITICAL: "error",
}


def _iso(moment: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    return f"{whole}.{int(moment * 1000) % 1000:03d}Z"


def configure(
    level: str = "info", form: str = "auto", stream: TextIO | None = None
) -> Callable[[], None]:
    """Sends the lines of the whole process to a stream (stderr).

    Args:
        level: of Palaver's own lines and the authors': error, warn, info, debug, trace. Libraries
            are heard from `warn` on.
        form: `json`, `text`, or `auto`: text on a terminal.

    Returns:
        What undoes it.
    """
    stream = stream or sys.stderr
    is_text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(HumanLines() if is_text else JsonLines())
    root, ours = logging.getLogger(), logging.getLogger("palaver")
    before = (root.level, ours.level)
    root.addHandler(handler)
    root.setLevel(max(logging.WARNING, LEVELS[level]))
    ours.setLevel(LEVELS[level])

    def undo() -> None:
        root.removeHandler(handler)
        root.setLevel(before[0])
        ours.setLevel(before[1])

    return undo
