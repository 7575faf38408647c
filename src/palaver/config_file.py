"""A TOML file with the places of its keys: text in, values and `(line, column)` a key out.

`tomllib` gives values and no places. Once it has accepted the text, `find_places` walks it again
and notes where each key stands; it need not judge anything, for the text is known to be good.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from palaver.problems import FolderError, Problem

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the top, with the number of the item inside an array: `("airules", 0, "target")`."""

Place: TypeAlias = tuple[int, int]


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file: `values` as tomllib gives them, `places` for reports."""

    path: str
    values: Mapping[str, object]
    text: str = ""
    places: Mapping[KeyPath, Place] = field(default_factory=dict)

    def problem(
        self, key: KeyPath, reason: str, *, code: str = "setting", hint: str = ""
    ) -> Problem:
        """A finding at a key, or at the nearest of its parents that has a place."""
        while key and key not in self.places:
            key = key[:-1]
        line, column = self.places.get(key, (0, 0))
        lines = self.text.split("\n")
        shown = lines[line - 1] if 0 < line <= len(lines) else ""
        return Problem(self.path, line, column, reason, code, "error", shown, hint)


def parse_config(path: str, data: bytes) -> ConfigFile:
    """Reads TOML. Raises: FolderError when it is not UTF-8 or not TOML."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FolderError([bad_encoding(path, data, error)]) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FolderError([_syntax_problem(path, text, str(error))]) from error
    return ConfigFile(path, values, text, find_places(text))


def bad_encoding(path: str, data: bytes, error: UnicodeDecodeError) -> Problem:
    """The finding for a file that is not UTF-8: at the first bad byte."""
    before = data[: error.start]
    start = before.rfind(b"\n") + 1
    line, column = before.count(b"\n") + 1, len(before[start:].decode("utf-8", "replace")) + 1
    end = data.find(b"\n", start)
    shown = data[start : end if end >= 0 else len(data)].decode("utf-8", "replace")
    reason = f"the file is not UTF-8 (byte 0x{data[error.start]:02x})"
    hint = "save it as UTF-8 in your editor"
    return Problem(path, line, column, reason, "encoding", "error", shown, hint)


_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _syntax_problem(path: str, text: str, message: str) -> Problem:
    at = _AT.search(message)
    lines = text.split("\n")
    line, column = len(lines), len(lines[-1]) + 1
    if at and at[1]:
        line, column = int(at[1]), int(at[2])
    shown = lines[line - 1] if line <= len(lines) else ""
    return Problem(path, line, column, _AT.sub("", message), "toml", "error", shown)


# --- places ------------------------------------------------------------------------------------

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}\n#]+")


def find_places(text: str) -> dict[KeyPath, Place]:
    """Where each key of a well-formed TOML text stands; a dotted key notes all its parts."""
    return _Places(text).all()


class _Places:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.places: dict[KeyPath, Place] = {}
        self.counts: dict[KeyPath, int] = {}

    def all(self) -> dict[KeyPath, Place]:
        table: KeyPath = ()
        self.skip_blank()
        while self.at < len(self.text):
            if self.text[self.at] == "[":
                table = self.header()
            else:
                self.pair(table)
            self.skip_blank()
        return self.places

    def skip_blank(self) -> None:
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def note(self, path: KeyPath, offset: int) -> None:
        line = self.text.count("\n", 0, offset) + 1
        self.places.setdefault(path, (line, offset - self.text.rfind("\n", 0, offset)))

    def header(self) -> KeyPath:
        """`[a.b]` or `[[a.b]]`: the table that the following pairs belong to."""
        is_array = self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        path = self.key((), ends=is_array)
        self.at = self.text.index("]", self.at) + (2 if is_array else 1)
        return path

    def key(self, table: KeyPath, *, ends: bool = False) -> KeyPath:
        """A dotted key. Args: ends: it names a new item of an array of tables."""
        path = table
        while found := _KEY.match(self.text, self.at):
            path = (*path, _key_name(found[1]))
            self.at = found.end()
            self.note(path, found.start(1))
            has_more = self.text.startswith(".", self.at)
            if ends and not has_more:
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
                self.note(path, found.start(1))
            if not has_more:
                break
            self.at += 1
        return path

    def pair(self, table: KeyPath) -> None:
        path = self.key(table)
        self.at = self.text.index("=", self.at) + 1
        self.skip_blank()
        self.value(path)

    def value(self, path: KeyPath) -> None:
        opening = self.text[self.at : self.at + 1]
        if opening == "[":
            self.items(path)
        elif opening == "{":
            self.inline_table(path)
        else:
            found = _STRING.match(self.text, self.at) or _BARE.match(self.text, self.at)
            self.at = found.end() if found else len(self.text)

    def items(self, path: KeyPath) -> None:
        self.at += 1
        number = 0
        while self.more("]"):
            self.note((*path, number), self.at)
            self.value((*path, number))
            number += 1

    def inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self.more("}"):
            self.pair(path)

    def more(self, closing: str) -> bool:
        """Steps over blanks and a comma; at the closing bracket, steps over it and says no."""
        self.skip_blank()
        if self.text.startswith(",", self.at):
            self.at += 1
            self.skip_blank()
        if self.at >= len(self.text) or self.text[self.at] == closing:
            self.at += 1
            return False
        return True


def _key_name(written: str) -> str:
    if written[0] == "'":
        return written[1:-1]
    if written[0] == '"':
        (name,) = tomllib.loads(f"x = {written}").values()
        return str(name)
    return written
