"""YAML texts → JSON, and values → YAML text. Spec: csml-language §10.13.

PyYAML splits a text into events; what they mean is decided here, because its own rules are those
of YAML 1.1 (`yes`, `017`, dates). Nothing is ever constructed but JSON. Work is bounded: depth,
and the nodes that aliases stand for, are limited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import yaml

from palaver.csml.bounds import MAX_NESTING, MAX_TEXT, PORTION, NestedTooDeep, too_large
from palaver.csml.stdlib.documents import Pay, bounded, decimal, free, whole
from palaver.csml.texts import float_json, scalar_json, wrapper_of
from palaver.csml.values import ClosureData, Data, Items, Members, Value, numeric
from palaver.types import Json

MAX_ALIASED: Final = 100_000
"""Nodes that the aliases of one text may stand for."""

_LOADER: Final[Any] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


# --- reading -----------------------------------------------------------------------------------


class _Node(NamedTuple):
    """A complete node. `key`: its text as a key, None for collections; `size`: nodes in it."""

    value: Json
    key: str | None
    size: int = 1
    depth: int = 0


class _Open:
    """A collection whose end has not come. `key` waits for its value."""

    __slots__ = ("anchor", "depth", "key", "size", "value")

    def __init__(self, value: list[Json] | dict[str, Json], anchor: str | None) -> None:
        self.value = value
        self.anchor = anchor
        self.key: str | None = None
        self.size = 1
        self.depth = 0


def parse_yaml(text: str, pay: Pay = free, nesting: int = MAX_NESTING) -> Json:
    """The JSON of a text that is one YAML document.

    Raises:
        ValueError: not YAML, no document or several, too much behind aliases.
        NestedTooDeep: collections within collections, aliases counted as what they stand for.
    """
    shield = _Shield(text)
    composer = _Composer(pay, shield.removed, nesting)
    try:
        for event in yaml.parse(shield.text, Loader=_LOADER):
            composer.take(event)
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError(f"not YAML: {error}") from error
    if composer.root is None:
        raise ValueError("not YAML: there is no document")
    return composer.root.value


class _Composer:
    """Builds JSON from events with an explicit stack of open collections."""

    def __init__(self, pay: Pay, text_of: Callable[[str], str], nesting: int) -> None:
        self.pay = pay
        self.nesting = nesting
        self.text_of = text_of
        self.open: list[_Open] = []
        self.anchors: dict[str, _Node] = {}
        self.aliased = 0
        self.root: _Node | None = None

    def take(self, event: Any) -> None:
        self.pay(1)
        if isinstance(event, yaml.ScalarEvent):
            text = self.text_of(event.value)
            node = _Node(_scalar(text, event.tag, plain=not event.style), text)
            if event.anchor:
                self.anchors[event.anchor] = node
            self.add(node)
        elif isinstance(event, yaml.SequenceStartEvent):
            self.start(_Open([], event.anchor))
        elif isinstance(event, yaml.MappingStartEvent):
            self.start(_Open({}, event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            self.end()
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event.anchor or "")
        elif isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise ValueError("not YAML: more than one document")

    def start(self, collection: _Open) -> None:
        if len(self.open) >= self.nesting:
            raise NestedTooDeep(self.nesting)
        if collection.anchor:
            # within itself it has no name yet: nothing can contain itself
            self.anchors.pop(collection.anchor, None)
        self.open.append(collection)

    def end(self) -> None:
        done = self.open.pop()
        node = _Node(done.value, None, done.size, done.depth + 1)
        if done.anchor:
            self.anchors[done.anchor] = node
        self.add(node)

    def alias(self, name: str) -> None:
        node = self.anchors.get(name)
        if node is None:
            raise ValueError("not YAML: unknown alias")
        self.aliased += node.size
        if len(self.open) + node.depth > self.nesting:
            raise NestedTooDeep(self.nesting)
        if self.aliased > MAX_ALIASED:
            raise ValueError("not YAML: too much behind aliases")
        self.pay(node.size)
        self.add(node)

    def add(self, node: _Node) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth)
        if isinstance(parent.value, list):
            parent.value.append(node.value)
        elif parent.key is not None:
            parent.value[parent.key] = node.value
            parent.key = None
        elif node.key is not None:
            parent.key = node.key
        else:
            raise ValueError("not YAML: a collection as a key")


# PyYAML refuses control characters, breaks lines at those of YAML 1.1 and takes no tab before
# the first scalar; the reference differs. So these characters pass through it as others, of
# private planes, that the text does not use.
_ODD: Final = frozenset(map(chr, (*range(9), 11, 12, *range(14, 32), *range(0x7F, 0xA0)))) | set(
    "\u2028\u2029\ufeff\ufffe\uffff"
)
_PRIVATE: Final = (*range(0xF0000, 0xFFFFE), *range(0x100000, 0x10FFFE))


class _Shield:
    """A text as PyYAML takes it; `removed` gives the original characters back."""

    def __init__(self, text: str) -> None:
        mark = "\ufeff" if text.startswith("\ufeff") else ""
        rest = text[len(mark) :]
        tabs = len(rest) - len(rest.lstrip("\t")) if rest.strip() else 0
        odd = _ODD.intersection(rest) | set(rest[:tabs])
        self.text = text
        self.back: dict[int, str] = {}
        if odd:
            used = set(rest)
            free_codes = (code for code in _PRIVATE if chr(code) not in used)
            self.back = dict(zip(free_codes, sorted(odd), strict=False))
            codes = {ord(char): code for code, char in self.back.items()}
            lead = rest[:tabs].translate(codes)
            codes.pop(ord("\t"), None)
            self.text = mark + lead + rest[tabs:].translate(codes)

    def removed(self, text: str) -> str:
        return text.translate(self.back) if self.back else text


# --- scalars -----------------------------------------------------------------------------------

_CORE: Final = "tag:yaml.org,2002:"
_NULLS: Final = frozenset({"~", "null", ""})
_NOT_FINITE = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9][0-9]*)")
_ZEROS = re.compile(r"[+-]?0[0-9]+")
_BASED = re.compile(r"([+-]?)0(?:x([0-9a-fA-F]+)|o([0-7]+)|b([01]+))")
_MAX_BASED: Final = 1100
"""Digits of a hexadecimal, octal or binary int; more exceed every float."""


def _scalar(text: str, tag: str | None, *, plain: bool) -> Json:
    if tag is None:
        return _plain(text) if plain else text
    if tag.startswith(_CORE):
        tagged = _TAGGED.get(tag.removeprefix(_CORE))
        if tagged is not None:
            return tagged(text)
    return text


def _plain(text: str) -> Json:
    """What an unquoted scalar stands for."""
    if text in _NULLS or _NOT_FINITE.fullmatch(text):
        return None
    if text in ("true", "false"):
        return text == "true"
    if _ZEROS.fullmatch(text):
        return text
    number = _int(text)
    if number is None:
        number = decimal(text)
    return text if number is None else number


def _int(text: str) -> int | float | None:
    """A decimal, hexadecimal, octal or binary int (a float beyond 64 bits), None for others."""
    if _DECIMAL.fullmatch(text):
        return whole(text)
    based = _BASED.fullmatch(text)
    if based is None or len(text) > _MAX_BASED:
        return None
    sign, hexadecimal, octal, binary = based.groups()
    number = int(hexadecimal or octal or binary, 16 if hexadecimal else 8 if octal else 2)
    return bounded(-number if sign == "-" else number)


def _tagged_int(text: str) -> Json:
    number = _int(text)
    if number is None:
        raise ValueError("not YAML: !!int of something else")
    return number


def _tagged_float(text: str) -> Json:
    if _NOT_FINITE.fullmatch(text):
        return None
    number = decimal(text)
    if number is None:
        raise ValueError("not YAML: !!float of something else")
    return number


def _tagged_bool(text: str) -> Json:
    if text not in ("true", "false"):
        raise ValueError("not YAML: !!bool of something else")
    return text == "true"


def _tagged_null(text: str) -> Json:
    if text not in _NULLS:
        raise ValueError("not YAML: !!null of something else")
    return None


_TAGGED: Final[dict[str, Callable[[str], Json]]] = {
    "int": _tagged_int,
    "float": _tagged_float,
    "bool": _tagged_bool,
    "null": _tagged_null,
}


# --- writing -----------------------------------------------------------------------------------

_SPECIAL = re.compile(
    r"""^[ &*?|\-<>=!%@.]|^0x|[ ]\Z|[:{}\[\],#`"'\\\0-\x06\x08-\x1a\x1c-\x1f]|^\Z"""
)
_WORDS: Final = frozenset(
    spelling
    for word in ("yes", "no", "true", "false", "on", "off", "null")
    for spelling in (word, word.capitalize(), word.upper())
) | {"~"}
_ESCAPES: Final = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), 0x7F)},
    **{ord(char): "\\" + name for char, name in zip('"\\\n\t\r', '"\\ntr', strict=True)},
}

_Entries = Iterator[tuple[str | None, Value]]


def yaml_of(value: Value, limit: int = MAX_TEXT, pay: Pay = free) -> str:
    """A block style document, keys sorted, ending with a newline.

    Args:
        limit: characters; more raise BudgetExceeded.
        pay: pays for the members while they are written.
    """
    out: list[str] = ["---\n"]
    left = limit
    written = 0
    stack: list[tuple[_Entries, int]] = []
    entries = _entries(value.data)
    if entries is None:
        out.append(_leaf(value.data) + "\n")
    else:
        stack.append((entries, 0))
    beside_dash = False
    while stack:
        entries, indent = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            continue
        key, member = entry
        margin = "" if beside_dash else " " * indent
        inner = _inner(member)
        beside_dash = key is None and inner is not None
        if inner is not None:
            stack.append((inner, indent + 2))
            piece = margin + ("- " if key is None else f"{_string(key)}:\n")
        else:
            piece = f"{margin}{'-' if key is None else _string(key) + ':'} {_leaf(member.data)}\n"
        written += 1
        if written % PORTION == 0:
            pay(PORTION)
        left -= len(piece)
        if left < 0:
            raise too_large(limit)
        out.append(piece)
    return "".join(out)


def _entries(data: Data) -> _Entries | None:
    """(key, value) of a collection, keys None in an array; None for scalars and empty ones."""
    if isinstance(data, Members) and data:
        return iter([(key, data[key]) for key in sorted(data)])
    if isinstance(data, Items) and data:
        return iter([(None, item) for item in data])
    if isinstance(data, ClosureData):
        return iter([("_closure", Value(data.node.source))])
    return None


def _inner(value: Value) -> _Entries | None:
    """The entries of a nested value; a component is wrapped as in JSON (§4.7)."""
    tag = wrapper_of(value)
    if tag is None:
        return _entries(value.data)
    return iter([("content", Value(value.data)), ("content_type", Value(tag))])


def _leaf(data: Data) -> str:
    if isinstance(data, str):
        return _string(data)
    if isinstance(data, Items | Members):
        return "[]" if isinstance(data, Items) else "{}"
    text = float_json(data) if isinstance(data, float) else scalar_json(data)
    return "~" if text == "null" else text


def _string(text: str) -> str:
    if text in _WORDS or _SPECIAL.search(text) or numeric(text) is not None:
        return f'"{text.translate(_ESCAPES)}"'
    return text
