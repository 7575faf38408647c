"""The shape of the source: layers, sizes, and copies that stayed copies."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.places import ROOT, SOURCE

LONGEST = 700
"""Lines of one file. Look again from 600 on; past this it is two files."""

COPIES = ROOT / "tests" / "copies.sha256"


def test_layers_know_only_those_below_them() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr


def test_no_file_is_too_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST} == {}


def test_every_module_says_what_it_is() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in SOURCE.rglob("*.py")
        if path.stat().st_size and not path.read_text("utf-8").startswith(('"""', 'r"""'))
    ]
    assert silent == []


def test_no_expression_repeats_a_group_possessively() -> None:
    """Python before 3.11.5 gets `(?:…)*+` wrong (gh-106052); `(?>(?:…)*)` says the same."""
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in SOURCE.rglob("*.py")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if re.search(r"\)[*+?]\+", line) and not line.lstrip().startswith("#")
    ]
    assert wrong == []


def copied() -> dict[str, str]:
    """Hashes by path, as `sha256sum` writes them."""
    lines = COPIES.read_text("utf-8").splitlines()
    return {path: digest for digest, path in (line.split("  ", 1) for line in lines)}


@pytest.mark.parametrize(
    "place", ["tests/conformance/echo.py", "tests/conformance/recordings", "tests/acceptance"]
)
def test_copies_are_unchanged(place: str) -> None:
    wanted = {path: digest for path, digest in copied().items() if path.startswith(place)}
    assert wanted
    changed = [
        path
        for path, digest in wanted.items()
        if hashlib.sha256((ROOT / path).read_bytes()).hexdigest() != digest
    ]
    assert changed == []
    known = {*wanted, f"{place}/__init__.py", f"{place}/echo.py"}
    found = {
        str(path.relative_to(ROOT))
        for path in (ROOT / place).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert found - known == set(), "neither ours nor in the list of copies"
