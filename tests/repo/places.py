"""Where the repository's files are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

SOURCE = ROOT / "src" / "palaver"


def pages() -> Iterator[Path]:
    """All documents for people."""
    yield from sorted(ROOT.glob("*.md"))
    yield from sorted((ROOT / "docs").rglob("*.md"))
