"""Documents keep their promises: every command is told of, every link leads somewhere."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from palaver import config
from palaver.cli.main import COMMANDS
from tests.repo.places import ROOT, SOURCE, pages

README = (ROOT / "README.md").read_text("utf-8")

TABLES = [
    kind
    for kind in vars(config).values()
    if dataclasses.is_dataclass(kind) and getattr(kind, "__module__", "") == config.__name__
]


# --- settings ----------------------------------------------------------------------------------


def described() -> set[tuple[str, str]]:
    """`(class, field)` of every line of config.py that a docstring follows."""
    found = set()
    for node in ast.parse((SOURCE / "config.py").read_text("utf-8")).body:
        if not isinstance(node, ast.ClassDef):
            continue
        for line, after in zip(node.body, node.body[1:], strict=False):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name) and is_text:
                found.add((node.name, line.target.id))
    return found


def fields() -> Iterator[tuple[str, str]]:
    for table in TABLES:
        if table.__name__.startswith("_"):
            continue
        yield from ((table.__name__, field.name) for field in dataclasses.fields(table))


def test_every_setting_says_in_the_source_what_it_is_for() -> None:
    assert not set(fields()) - described()


# --- promises ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["uv run palaver serve examples/pizza", "uv run pytest", "pip install uv"]
)
def test_the_readme_names_the_commands(command: str) -> None:
    assert command in README


def test_what_the_readme_serves_is_there() -> None:
    assert (ROOT / "examples" / "pizza" / "flows").is_dir()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_told_of(command: str) -> None:
    assert any(f"palaver {command}" in page.read_text("utf-8") for page in pages())


@pytest.mark.parametrize("script", ["scripts/check", "scripts/test", "scripts/serve", ".ci/run"])
def test_scripts_can_be_run(script: str) -> None:
    assert (ROOT / script).stat().st_mode & 0o111
    assert (ROOT / script).read_text("utf-8").startswith("#!/usr/bin/env bash\n")


# --- links -------------------------------------------------------------------------------------

LINK = re.compile(r"(?<!!)\[[^\]\[]*\]\(([^)\s]+)\)")


def links(page: Path) -> Iterator[str]:
    """Targets of a page's links, but not those to other sites nor what stands in code."""
    text = re.sub(r"^(```+).*?^\1", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in LINK.findall(re.sub(r"`[^`\n]*`", "", text)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#{1,6} +(.+?) *#*$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", list(pages()), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    lost: list[Any] = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        if not place.exists() or (
            anchor and place.suffix == ".md" and anchor not in anchors(place)
        ):
            lost.append(target)
    assert not lost
