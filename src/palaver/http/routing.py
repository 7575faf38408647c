"""Paths to routes: exact ones by one dictionary look-up, templates by a tree of segments.

Every dialect's routes are entered at the root and under its prefix. Dialects may share a path;
an entry then has the methods of all of them. Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from palaver.http.dialects.base import Dialect, Route


class Endpoint(NamedTuple):
    """A route with its dialect; `names` are the template's parameters, in order."""

    dialect: Dialect
    route: Route
    names: tuple[str, ...]


class Entry:
    """One path: its endpoints by method. `prefix_length` is how much of it is the prefix."""

    __slots__ = ("endpoints", "prefix_length")

    def __init__(self, prefix_length: int) -> None:
        self.prefix_length = prefix_length
        self.endpoints: dict[str, Endpoint] = {}

    def methods(self) -> tuple[str, ...]:
        """All methods that are answered, sorted, HEAD included."""
        more = ("HEAD",) if "GET" in self.endpoints else ()
        return tuple(sorted({*self.endpoints, *more}))

    @property
    def dialect(self) -> Dialect:
        """The dialect that answers for the path: the first that admits to wrong methods."""
        dialects = [endpoint.dialect for endpoint in self.endpoints.values()]
        return next((d for d in dialects if not d.hides_methods), dialects[0])


class Found(NamedTuple):
    """An entry and the values of its parameters, decoded, in order."""

    entry: Entry
    values: tuple[str, ...]


class _Node:
    __slots__ = ("children", "entry", "parameter")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.entry: Entry | None = None


class Table:
    """All paths. Built once, then only read."""

    def __init__(self, dialects: Sequence[Dialect]) -> None:
        self._exact: dict[str, Found] = {}
        self._tree = _Node()
        for dialect in dialects:
            for route in dialect.routes():
                for prefix in dict.fromkeys(("", dialect.prefix)):
                    self._add(dialect, route, prefix)

    def _add(self, dialect: Dialect, route: Route, prefix: str) -> None:
        segments = (prefix + route.path).split("/")[1:]
        names = tuple(part[1:-1] for part in segments if _is_parameter(part))
        entry = self._entry(segments, prefix)
        if route.method in entry.endpoints:
            raise ValueError(f"{route.method} {prefix}{route.path} has two handlers")
        entry.endpoints[route.method] = Endpoint(dialect, route, names)

    def _entry(self, segments: list[str], prefix: str) -> Entry:
        if not any(map(_is_parameter, segments)):
            path = "/" + "/".join(segments)
            return self._exact.setdefault(path, Found(Entry(len(prefix)), ())).entry
        node = self._tree
        for part in segments:
            if _is_parameter(part):
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.children.setdefault(part, _Node())
        node.entry = node.entry or Entry(len(prefix))
        return node.entry

    def find(self, path: str, raw_path: bytes | None = None) -> Found | None:
        """The entry of a path.

        Args:
            path: percent-decoded.
            raw_path: as it was sent; needed to tell `%2F` inside a segment from a slash.
        """
        found = self._exact.get(path)
        if found is not None:
            return found
        if raw_path is not None and b"%" in raw_path:
            segments = [unquote(part) for part in raw_path.decode("latin-1").split("/")[1:]]
        else:
            segments = path.split("/")[1:]
        return _walk(self._tree, segments, 0, ())

    def entries(self) -> Iterable[tuple[str, Entry]]:
        """All paths as templates, for tests and listings."""
        for path, found in self._exact.items():
            yield path, found.entry
        yield from _entries(self._tree, "")


def _is_parameter(part: str) -> bool:
    return part.startswith("{")


def _walk(node: _Node, segments: list[str], at: int, values: tuple[str, ...]) -> Found | None:
    """Depth first, literal before parameter; never deeper than the templates are long."""
    if at == len(segments):
        return Found(node.entry, values) if node.entry is not None else None
    part = segments[at]
    child = node.children.get(part)
    found = _walk(child, segments, at + 1, values) if child is not None else None
    if found is None and node.parameter is not None and part:
        found = _walk(node.parameter, segments, at + 1, (*values, part))
    return found


def _entries(node: _Node, path: str) -> Iterable[tuple[str, Entry]]:
    if node.entry is not None:
        yield path, node.entry
    for part, child in node.children.items():
        yield from _entries(child, f"{path}/{part}")
    if node.parameter is not None:
        yield from _entries(node.parameter, f"{path}/{{}}")
