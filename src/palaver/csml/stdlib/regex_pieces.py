"""Pieces of translated regular expressions and how they are put together.

Spec: csml-language §10.3. A `Node` is a piece of RE2 syntax with what limits need to know about
it. Nothing in here knows the author's syntax; `regex_syntax` does.

RE2's `\\b` knows ASCII words only. A pattern with Unicode word boundaries therefore has a second
translation, for marked texts: there every word character that is not a plain ASCII one stands
between `_` and `Z`, so that RE2 sees a word byte on either side. In such a text `_` itself is
`_` U+D800 `Z`, and `Z` is `_` U+D801 `Z`; so a `_` byte only ever begins a character and a `Z`
byte only ever ends one.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from palaver.csml.stdlib import regex_sets as sets
from palaver.csml.stdlib.regex_sets import Ranges

MAX_DEPTH: Final = 250
"""How deep groups, repetitions and classes may nest, as in the reference."""

MAX_SIZE: Final = 400_000
"""Instructions of a program; the reference allows 10 MB, some 330 000 of its own."""

MAX_SKIPPED: Final = 64_000
"""Instructions that may be left out, in optional pieces. RE2 looks at each of them from each: the
time it takes to compile grows with the square, to some 3 s here."""

MAX_REPEAT: Final = 1_000
"""The largest repetition RE2 takes, also as a product of nested ones."""

MAX_TEXT: Final = 16 * MAX_SIZE
"""Characters of a translation."""

MAX_CLASS_WIDTH: Final = 100
"""Instructions of a class that are looked at for one character, at most."""

OPEN_MARK: Final = "_"
CLOSE_MARK: Final = "Z"
MARKED_SIGNS: Final = {"_": "\ud800", "Z": "\ud801"}


class Node(NamedTuple):
    """A translated piece.

    `repeat` is the largest product of counted repetitions in it, `skipped` how much of `size` is
    in pieces that need not be there (of a class, what is looked at for one character).
    """

    text: str
    size: int = 0
    width: int = 0
    depth: int = 0
    repeat: int = 1
    slots: tuple[int, ...] = ()
    is_flags: bool = False
    skipped: int = 0


def sequence(nodes: list[Node]) -> Node:
    if len(nodes) == 1:
        return nodes[0]
    return joined(nodes, "")


def joined(nodes: list[Node], separator: str) -> Node:
    size = sum([node.size for node in nodes]) + (len(nodes) if separator else 0)
    width = sum([node.width for node in nodes])
    is_optional = separator and not all(node.size for node in nodes)
    return checked(
        Node(
            separator.join([node.text for node in nodes]),
            size,
            width,
            1 + max([node.depth for node in nodes], default=0),
            max([node.repeat for node in nodes], default=1),
            tuple([slot for node in nodes for slot in node.slots]),
            skipped=width if is_optional else sum([node.skipped for node in nodes]),
        )
    )


def checked(node: Node) -> Node:
    if node.size > MAX_SIZE or node.skipped > MAX_SKIPPED:
        raise ValueError("pattern is too large")
    if node.depth > MAX_DEPTH:
        raise ValueError("pattern is nested too deep")
    return node


def repeated(node: Node, low: int, high: int | None, *, lazy: bool) -> Node:
    """`node{low,high}`; `high` None is without limit."""
    greed = "?" if lazy else ""
    times = max(low, high or 0, 1)
    size = node.size * times + (2 if high is None else times - low)
    skipped = node.skipped * low + (node.width + 1) * (times - low)
    if high is None:
        skipped = node.skipped * times + (0 if low == 1 else node.width)
    checked(Node("", size, depth=node.depth + 1, skipped=skipped))
    width = node.width * times + size - node.size * times
    if (low, high) in _SIMPLE:
        text = f"(?:{node.text}){_SIMPLE[low, high]}{greed}"
        return Node(text, size, width, node.depth + 1, node.repeat, node.slots, skipped=skipped)
    if len(node.text) * (times // max(1, MAX_REPEAT // node.repeat) + 3) > MAX_TEXT:
        raise ValueError("pattern is too large")
    copies = _copies(node, low, "")
    if high is None:
        copies.append(f"(?:{node.text})*{greed}")
    else:
        copies += _copies(node, high - low, greed, optional=True)
    repeat = min(times, max(1, MAX_REPEAT // node.repeat)) * node.repeat
    text = "".join(copies) or f"(?:{node.text}){{0}}"
    slots = node.slots * max(1, len(copies))
    return Node(f"(?:{text})", size, width, node.depth + 1, repeat, slots, skipped=skipped)


_SIMPLE: Final[dict[tuple[int, int | None], str]] = {(0, 1): "?", (0, None): "*", (1, None): "+"}


def _copies(node: Node, times: int, greed: str, *, optional: bool = False) -> list[str]:
    """`times` repetitions in as few copies as RE2's limit allows."""
    largest = max(1, MAX_REPEAT // node.repeat)
    counts = [largest] * (times // largest) + ([times % largest] if times % largest else [])
    low = "0," if optional else ""
    return [f"(?:{node.text}){{{low}{count}}}{greed}" for count in counts]


# --- characters --------------------------------------------------------------------------------


class Spelling(NamedTuple):
    text: str
    size: int


def _code(code: int) -> str:
    character = chr(code)
    return character if character.isascii() and character.isalnum() else f"\\x{{{code:X}}}"


def _class_text(ranges: Ranges) -> str:
    if len(ranges) == 1 and ranges[0][0] == ranges[0][1]:
        return _code(ranges[0][0])
    parts = [_code(low) if low == high else f"{_code(low)}-{_code(high)}" for low, high in ranges]
    return f"[{''.join(parts)}]"


def _class_size(ranges: Ranges) -> int:
    """Instructions of a class: some two for each range beyond ASCII."""
    return 1 + sum(2 for _, high in ranges if high > 0x7F)


@lru_cache(maxsize=32)
def spelled(ranges: Ranges) -> Spelling:
    return Spelling(_class_text(ranges), _class_size(ranges))


@lru_cache(maxsize=32)
def spelled_with_marks(ranges: Ranges) -> Spelling:
    inner = sets.intersection(ranges, between_marks())
    signs = [(ord(sign), ord(mark)) for sign, mark in MARKED_SIGNS.items()]
    outer = sets.difference(ranges, sets.normal([*inner, *((sign, sign) for sign, _ in signs)]))
    has = [(mark, mark) for sign, mark in signs if any(low <= sign <= high for low, high in ranges)]
    inner = sets.normal([*inner, *has])
    parts = [_class_text(outer)] if outer else []
    if inner:
        parts.append(f"{OPEN_MARK}{_class_text(inner)}{CLOSE_MARK}")
    return Spelling(f"(?:{'|'.join(parts)})", _class_size(ranges) + 4)


@lru_cache(maxsize=1)
def between_marks() -> Ranges:
    """The word characters beyond ASCII."""
    return sets.difference(sets.words(), sets.ASCII)
