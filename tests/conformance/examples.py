"""Examples in the documentation: Markdown in, programs with their conversations out.

A page shows a program in a fence called `csml`; the fence after it, called `talk`, is what
happens when somebody talks to it:

    > what the person says                     > {"content_type": …} for other events
    < what the bot says
      a line more of the same text
    < {"content_type": …, "content": …}        a message that has at least these members
    < ! what an error message says             without its " at line …"

or, called `problems`, what `palaver check` finds, a line each: `flow:line:column severity code:
reason`. The rules for the program's own comments (`// flow: name` …) stand in docs/csml/README.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

CLOSING = "```"


@dataclass(frozen=True)
class Line:
    """A line of a talk: `mark` is `>` or `<`, `number` its place in the page."""

    mark: str
    text: str
    number: int


@dataclass(frozen=True)
class Example:
    """A program and what follows from it; `kind` is `talk` or `problems`."""

    page: str
    number: int
    program: str
    kind: str
    lines: tuple[Line, ...]

    @property
    def place(self) -> str:
        return f"{self.page}:{self.number}"


@dataclass
class Fence:
    """A fenced block; `number` is the line of its first content line."""

    name: str
    number: int
    lines: list[str] = field(default_factory=list)


class PageError(Exception):
    """A page's example cannot be read; the message begins with its place."""


def pages() -> list[Path]:
    """All pages with examples."""
    return sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


def examples_of(page: Path) -> Iterator[Example]:
    """The examples of a page, in order. Raises: PageError for a program without its outcome."""
    name = page.relative_to(ROOT).as_posix()
    program: Fence | None = None
    for fence in fences_of(page.read_text(encoding="utf-8")):
        if fence.name == "csml":
            if program is not None:
                raise PageError(f"{name}:{program.number}: the program has no talk or problems")
            program = fence
        elif fence.name in ("talk", "problems"):
            if program is None:
                raise PageError(f"{name}:{fence.number}: there is no program above")
            lines = tuple(lines_of(fence, name))
            yield Example(name, program.number, "\n".join(program.lines), fence.name, lines)
            program = None
    if program is not None:
        raise PageError(f"{name}:{program.number}: the program has no talk or problems")


def fences_of(text: str) -> Iterator[Fence]:
    """The fenced blocks of a page."""
    fence: Fence | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        if fence is None:
            if line.startswith(CLOSING):
                fence = Fence(line.removeprefix(CLOSING).strip(), number + 1)
        elif line == CLOSING:
            yield fence
            fence = None
        else:
            fence.lines.append(line)


def lines_of(fence: Fence, page: str) -> Iterator[Line]:
    """The lines of a talk, texts of several lines joined; of problems, as they are."""
    said: list[str] = []
    mark, began = "", 0
    for number, line in enumerate(fence.lines, start=fence.number):
        if fence.name == "problems":
            yield Line("", line, number)
        elif line[:1] in ("<", ">"):
            if mark:
                yield Line(mark, "\n".join(said), began)
            mark, began, said = line[0], number, [line[2:]]
        elif mark and line.startswith("  "):
            said.append(line[2:])
        else:
            raise PageError(f"{page}:{number}: a line of a talk begins with '>' or '<'")
    if mark:
        yield Line(mark, "\n".join(said), began)


# --- the program ---------------------------------------------------------------------------------

_PART = re.compile(r"// (flow|module): (\S+)")
_GIVEN = re.compile(r"// (env|metadata): (.*)")
_COMPONENT = re.compile(r"// component: (\S+) (.*)")


@dataclass
class Written:
    """What a program's text holds: flows and modules by name, and what its comments give."""

    flows: dict[str, list[str]] = field(default_factory=dict)
    modules: dict[str, list[str]] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    components: dict[str, Any] = field(default_factory=dict)


def read_program(text: str) -> Written:
    """Splits a program's text. A flow keeps the line that names it, so that lines count from it;
    a program without such a line is one flow, `main`."""
    written = Written()
    lines: list[str] = []
    for line in text.splitlines():
        if part := _PART.fullmatch(line):
            lines = []
            (written.flows if part[1] == "flow" else written.modules)[part[2]] = lines
        elif not written.flows and not written.modules and not lines:
            lines = written.flows.setdefault("main", [])
        if given := _GIVEN.fullmatch(line):
            written.given[given[1]] = json.loads(given[2])
        elif component := _COMPONENT.fullmatch(line):
            written.components[component[1]] = json.loads(component[2])
        lines.append(line)
    return written
