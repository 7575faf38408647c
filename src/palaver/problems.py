"""What is wrong with the files of a bot: where, what, and what to do about it.

A `Problem` is a finding in a file, whatever the file is written in; `check`, `serve` and the
others show the same text. Nothing here reads files.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from palaver.errors import ConfigError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding.

    Attributes:
        path: the file or folder, as the person named it.
        line, column: from 1, in characters; 0 when the finding has no place in the file.
        reason: one sentence, without a full stop.
        code: stable name of the kind of finding, kebab case.
        source_line: the text of `line`, for the picture; empty for none.
        hint: what to do, or empty.
        is_advice: a finding of ours that hinders no bot from being served.
    """

    path: str
    line: int
    column: int
    reason: str
    code: str = "invalid"
    severity: Severity = "error"
    source_line: str = ""
    hint: str = ""
    is_advice: bool = False

    @property
    def hinders(self) -> bool:
        """Whether a bot with this problem cannot be served."""
        return self.severity == "error" and not self.is_advice

    def place(self) -> str:
        """`path:line:column`, as editors and terminals make it a link."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    def picture(self) -> str:
        """The whole finding: place and reason, the line with a caret, the hint."""
        lines = [f"{self.place()}: {self.severity}: {self.reason}"]
        if self.line and self.source_line.strip():
            blank = "".join("\t" if c == "\t" else " " for c in self.source_line[: self.column - 1])
            lines += [f"    {self.source_line.rstrip()}", f"    {blank}^"]
        if self.hint:
            lines.append(f"    {self.hint}")
        return "\n".join(lines)


class FolderError(ConfigError):
    """A folder that cannot be loaded. `problems` lists everything that is wrong, never empty."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem.picture() for problem in self.problems))


class FolderMissing(ConfigError):
    """The path names no folder: the command was called with a wrong argument."""


class UsageError(ConfigError):
    """Options, or their values in the environment, that cannot be used."""


class EnvironmentFailed(ConfigError):
    """The machine refuses what was asked for: a port that is taken, a file that is not writable."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that offers the known name most like `name`, or lists a few; may be empty."""
    names = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if found:
        return f"did you mean {lowered[found[0]]!r}?"
    return f"known: {', '.join(names)}" if names and len(names) <= 12 else ""
