"""How one setting is read: from a TOML value or an environment variable's text to a Python value.

A `Reader` takes what was written and returns the setting's value or raises `Wrong`, whose text
says what was expected. Text from the environment (`EnvironmentText`) may stand for a number, a
boolean or a list too, because the environment has nothing but texts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, field, fields
from typing import Any, TypeAlias

from palaver.config_file import ConfigFile, KeyPath
from palaver.problems import Problem, nearest

Reader: TypeAlias = Callable[[object], Any]


class EnvironmentText(str):
    """A value that came from an environment variable."""

    __slots__ = ()


class Wrong(Exception):
    """A value that a reader refuses; the text says what it expects (`a whole number`)."""


# --- readers -----------------------------------------------------------------------------------


def text(value: object) -> str:
    """Any text."""
    if isinstance(value, str):
        return str(value)
    raise Wrong("a text")


def some_text(value: object) -> str:
    """A text with something in it."""
    found = text(value)
    if not found.strip():
        raise Wrong("a text that is not empty")
    return found


def text_or_none(value: object) -> str | None:
    """A text; the empty one counts as none."""
    return text(value) or None


def boolean(value: object) -> bool:
    """true or false."""
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    if isinstance(value, EnvironmentText) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise Wrong("true or false")


def whole(minimum: int = 0, maximum: int | None = None) -> Reader:
    """A whole number within bounds."""
    expected = f"a whole number {_bounds(minimum, maximum)}"

    def read(value: object) -> int:
        if isinstance(value, EnvironmentText) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(expected)
        if value < minimum or (maximum is not None and value > maximum):
            raise Wrong(expected)
        return value

    return read


def number(minimum: float, maximum: float) -> Reader:
    """A number within bounds, whole or not."""
    expected = f"a number {_bounds(minimum, maximum)}"

    def read(value: object) -> float:
        if isinstance(value, EnvironmentText):
            try:
                value = float(value)
            except ValueError:
                raise Wrong(expected) from None
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Wrong(expected)
        if not minimum <= value <= maximum:
            raise Wrong(expected)
        return float(value)

    return read


_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?\s*")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def duration(value: object) -> float:
    """A time in seconds: a number of them, or a text like `500ms`, `5s`, `10m`, `24h`, `7d`."""
    expected = 'a time like "500ms", "5s", "10m", "24h" or "7d"'
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        if found[2] is None and not isinstance(value, EnvironmentText):
            raise Wrong(expected)
        seconds = float(found[1]) * _SECONDS[found[2] or "s"]
    else:
        raise Wrong(expected)
    if not math.isfinite(seconds) or not 0 <= seconds <= 1e10:
        raise Wrong(expected)
    return seconds


_SIZE = re.compile(r"\s*(\d{1,15})\s*(B|kB|KB|KiB|MB|MiB|GB|GiB)?\s*")
_BYTES = {"B": 1, "kB": 1000, "KB": 1000, "MB": 10**6, "GB": 10**9}
_BYTES |= {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}


def size(value: object) -> int:
    """A number of bytes: a number, or a text like `16kB` or `8MiB`."""
    expected = 'a size like 16000, "16kB" or "8MiB"'
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        if found[2] is None and not isinstance(value, EnvironmentText):
            raise Wrong(expected)
        return max(1, int(found[1]) * _BYTES[found[2] or "B"])
    raise Wrong(expected)


def texts(value: object) -> tuple[str, ...]:
    """A list of texts; in the environment, separated by commas."""
    if isinstance(value, EnvironmentText):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(str(item) for item in value)
    raise Wrong("a list of texts")


def raw_texts(value: object) -> tuple[str, ...]:
    """As `texts`, but nothing is trimmed around the commas (an engine variable's rule)."""
    if isinstance(value, EnvironmentText):
        return tuple(part for part in value.split(",") if part)
    return texts(value)


def choice(*names: str) -> Reader:
    """One of some words."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in names:
            return str(value)
        listed = ", ".join(f'"{name}"' for name in names[:-1])
        raise Wrong(f'{listed} or "{names[-1]}"')

    return read


def text_lists(value: object) -> dict[str, tuple[str, ...]]:
    """A table whose values are lists of texts."""
    if isinstance(value, dict):
        try:
            return {str(name): texts(items) for name, items in value.items()}
        except Wrong:
            pass
    raise Wrong("a table of lists of texts")


def text_table(value: object) -> dict[str, str]:
    """A table whose values are texts."""
    if isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return {str(name): str(item) for name, item in value.items()}
    raise Wrong("a table of texts")


def plain_json(value: object) -> Any:
    """Anything JSON can say; dates and times become their ISO texts."""
    if isinstance(value, dict):
        return {str(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise Wrong("a value JSON can hold (no inf, no nan)")
    if isinstance(value, str):
        return str(value)
    return value if isinstance(value, bool | int | float) else str(value)


def json_table(value: object) -> dict[str, Any]:
    """A table of anything JSON can say."""
    if not isinstance(value, dict):
        raise Wrong("a table")
    found: dict[str, Any] = plain_json(value)
    return found


def _bounds(minimum: float, maximum: float | None) -> str:
    return f"of at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"


# --- settings ----------------------------------------------------------------------------------


def setting(
    default: Any,
    read: Reader,
    *,
    key: str | None = None,
    engine_variable: str | None = None,
    older_variable: str | None = None,
) -> Any:
    """A field of a settings dataclass.

    Args:
        key: its name in the file, where that is not the field's.
        engine_variable: the name the reference engine has for it in the environment.
        older_variable: another one, which counts less.
    """
    variables = tuple(name for name in (older_variable, engine_variable) if name)
    metadata = {"read": read, "key": key, "engine_variables": variables}
    if isinstance(default, dict):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def section(kind: type) -> Any:
    """A field that holds the settings of a table of its own."""
    return field(default_factory=kind, metadata={"section": kind})


def key_of(setting_field: Field[Any]) -> str:
    """The name a setting has in the file."""
    return setting_field.metadata.get("key") or setting_field.name


def settings_of(kind: type) -> Iterator[Field[Any]]:
    """The settings of a dataclass, without its sections."""
    return (f for f in fields(kind) if "read" in f.metadata)


_REFERENCE = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


class TableReader:
    """Reads the tables of one file into settings, collecting what is wrong.

    Args:
        environment: where `"$NAME"` values come from.
    """

    def __init__(self, file: ConfigFile, environment: Mapping[str, str]) -> None:
        self.file = file
        self.environment = environment
        self.problems: list[Problem] = []

    def refuse(self, path: KeyPath, reason: str, hint: str = "") -> None:
        """Notes a problem at a key."""
        self.problems.append(self.file.problem(path, reason, hint=hint))

    def expand(self, value: object, path: KeyPath) -> object:
        """The value with every `"$NAME"` in it replaced."""
        if isinstance(value, dict):
            return {name: self.expand(item, (*path, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [self.expand(item, (*path, number)) for number, item in enumerate(value)]
        if isinstance(value, str) and (found := _REFERENCE.fullmatch(value)):
            if found[1] in self.environment:
                return EnvironmentText(self.environment[found[1]])
            self.refuse(path, f"the environment has no {found[1]}", f"set it: export {found[1]}=…")
            return None
        return value

    def table(self, name: str, known: Mapping[str, Reader]) -> dict[str, Any]:
        """One table's values by key; what is missing or wrong is left out.

        Args:
            name: the table's own key at the top of the file.
            known: a reader for each key it may have.
        """
        table = self.file.values.get(name, {})
        if not isinstance(table, dict):
            self.refuse((name,), f"{name} must be a table ([{name}])")
            return {}
        found = {}
        for key, written in table.items():
            path = (name, key)
            if key not in known:
                self.refuse(path, f"[{name}] has no setting {key!r}", nearest(key, known))
                continue
            before = len(self.problems)
            value = self.expand(written, path)
            if len(self.problems) > before:
                continue
            try:
                found[key] = known[key](value)
            except Wrong as wrong:
                self.refuse(path, f"{key} must be {wrong}, not {shown(value)}")
        return found

    def settings(self, name: str, kind: type) -> dict[str, Any]:
        """One table's values by the names of the fields of `kind`."""
        names = {key_of(f): f.name for f in settings_of(kind)}
        readers = {key_of(f): f.metadata["read"] for f in settings_of(kind)}
        return {names[key]: value for key, value in self.table(name, readers).items()}


def shown(value: object) -> str:
    """A value as an error message shows it; the text of a variable is not shown."""
    if isinstance(value, EnvironmentText):
        return "what the environment says"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    written = repr(value) if not isinstance(value, str) else f'"{value}"'
    return written if len(written) <= 60 else written[:59] + "…"
