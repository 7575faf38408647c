"""A conversation as a text that people can read, and back.

> what the person says
< a text of the bot
! an error, without its place
* a component: its content type and content as JSON with sorted keys
. the conversation ends
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Turn(NamedTuple):
    """What was said, and the lines that answered."""

    said: str
    lines: list[str]


def read_transcript(file: Path) -> Iterator[Turn]:
    """The turns of a file, in order."""
    turn: Turn | None = None
    for line in file.read_text("utf-8").splitlines():
        if line.startswith("> "):
            if turn is not None:
                yield turn
            turn = Turn(line[2:], [])
        elif line.strip():
            assert turn is not None
            turn.lines.append(line)
    if turn is not None:
        yield turn


def lines_of(answer: Any, echo_url: str) -> list[str]:
    """An answer of `POST /run` as lines; the address of the echo server does not count."""
    found = [_line(message["payload"]) for message in answer["messages"]]
    if answer["conversation_end"]:
        found.append(".")
    return [line.replace(echo_url, "$ECHO$") for line in found]


def _line(payload: Any) -> str:
    kind, content = payload["content_type"], payload["content"]
    if kind == "text":
        return f"< {content['text']}"
    if kind == "error":
        return f"! {content['error'].partition(' at line ')[0]}"
    return f"* {kind} {json.dumps(content, ensure_ascii=False, sort_keys=True)}"
