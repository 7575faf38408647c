"""`queries.sql` → statements by name. Knows the file's format, not what the statements mean."""

from __future__ import annotations

import re
from importlib.resources import files

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


class Query:
    """One statement: `text` for the driver, `description` for people."""

    __slots__ = ("description", "name", "text")

    def __init__(self, name: str, description: str, text: str) -> None:
        self.name = name
        self.description = description
        self.text = text


def parse_queries(source: str) -> dict[str, Query]:
    """Statements each under `-- name: …`, described by the comment lines that follow.

    Raises:
        ValueError: a name comes twice, or has no statement or no description.
    """
    pieces = _NAME.split(source)[1:]
    queries: dict[str, Query] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        lines = [line.strip() for line in body.strip().splitlines()]
        description = " ".join(line[2:].strip() for line in lines if line.startswith("--"))
        text = " ".join(line for line in lines if line and not line.startswith("--"))
        if name in queries or not description or not text.endswith(";"):
            raise ValueError(f"query {name!r} is there twice, or has no description or statement")
        queries[name] = Query(name, description, text.rstrip(";"))
    return queries


def load_queries(kind: str) -> dict[str, str]:
    """All statements for a backend: the common ones, replaced by those of `queries.<kind>.sql`."""
    folder = files(__package__)
    queries = parse_queries(folder.joinpath("queries.sql").read_text("utf-8"))
    differing = folder.joinpath(f"queries.{kind}.sql")
    if differing.is_file():
        queries |= parse_queries(differing.read_text("utf-8"))
    return {name: query.text for name, query in queries.items()}
