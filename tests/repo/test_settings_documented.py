"""Every setting stands in docs/operations.md, in the table where an operator looks for it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from palaver.config import BotSettings, ServerSettings, key_of

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")


def named_below(heading: str) -> set[str]:
    """What the first column of the tables below a heading names."""
    start = re.search(rf"^#+ {re.escape(heading)}.*$", PAGE, re.MULTILINE)
    assert start is not None, f"docs/operations.md has no heading {heading!r}"
    rest = PAGE[start.end() :]
    end = re.search(r"^#", rest, re.MULTILINE)
    section = rest[: end.start()] if end else rest
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


def settings_in(kind: type) -> dict[str, str]:
    """The keys of a table by the names of the fields."""
    return {f.name: key_of(f) for f in dataclasses.fields(kind) if "read" in f.metadata}


SECTIONS = {
    f.name: f.metadata["section"]
    for f in dataclasses.fields(BotSettings)
    if "section" in f.metadata
}

FREE = {"env", "preprocess"}
"""Tables of [bot]'s dataclass that stand at the top of the file."""


def test_every_setting_of_the_service_is_named() -> None:
    assert named_below("Settings of the service") == set(settings_in(ServerSettings).values())


def test_every_setting_of_a_bot_is_named() -> None:
    assert named_below("[bot]") == set(settings_in(BotSettings).values()) - FREE
    assert all(f"[{name}]" in PAGE for name in FREE)


@pytest.mark.parametrize("table", SECTIONS)
def test_every_setting_of_a_table_is_named(table: str) -> None:
    assert named_below(f"[{table}]") == set(settings_in(SECTIONS[table]).values())
