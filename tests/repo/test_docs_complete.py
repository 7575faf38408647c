"""Rules, settings and change notes are all described."""

from __future__ import annotations

import re
from pathlib import Path

from palaver.csml.checker import RULES

ROOT = Path(__file__).parents[2]


def test_every_rule_of_the_checker_is_described() -> None:
    page = (ROOT / "docs/csml/checker.md").read_text(encoding="utf-8")

    assert [rule.code for rule in RULES if f"`{rule.code}`" not in page] == []


def test_every_dependency_is_described() -> None:
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = project[project.index("\ndependencies = [") : project.index("[tool.")]
    names = re.findall(r'^  "([A-Za-z0-9-]+)', listed, re.MULTILINE)

    assert names
    assert [name for name in names if f"**{name}**" not in page] == []


def test_change_notes_have_a_kind() -> None:
    notes = [note.name for note in (ROOT / "changes").iterdir()]
    shape = re.compile(r"\d+\.(added|changed|fixed|removed)\.md")

    assert [name for name in notes if not shape.fullmatch(name)] == []
