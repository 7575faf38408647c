"""JSON text → decoded JSON, as author code reads it. Spec: csml-language §4.7.

In: a text of any size and depth. Out: Python's lists, dicts and scalars; `texts.from_json` makes
values of them. A large text is decoded in pieces, so that other clients need not wait for all of
it: first its members are found (`msgspec.Raw`, which makes nothing of them), then they are decoded
some thousand at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

import msgspec

from palaver.csml.bounds import (
    MAX_NESTING,
    PORTION,
    NestedTooDeep,
    Pay,
    free,
    in_portions,
    portions,
)
from palaver.types import Json

PIECE: Final = 64 * 1024
"""Bytes that are decoded at once; a millisecond or two."""

LEVELS: Final = 4
"""How deep pieces are looked for; each level reads the text once more."""


def parse_json(text: str, nesting: int = MAX_NESTING, give_way: Pay = free) -> Json:
    """Strict JSON.

    Args:
        give_way: told of the members while they are gone through; without it, all is done at once.

    Raises:
        NestedTooDeep: more arrays and objects within one another than `nesting`.
        ValueError: no JSON.
    """
    json = decode_json(text, nesting, give_way)
    if text.count("[") + text.count("{") > nesting:
        _check_nesting(json, nesting, give_way)
    return json


def decode_json(text: str, nesting: int, give_way: Pay) -> Json:
    """`parse_json` for those who count containers themselves; what is deeper may come out."""
    try:
        json = _decoded(text, give_way)
        if "-0" in text and _NEGATIVE_ZERO_AT_ALL.search(text):
            json = _decoded(_with_float_zeros(text, give_way), give_way)
    except RecursionError:
        raise NestedTooDeep(nesting) from None
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise ValueError(str(error)) from error
    return json


# --- pieces ------------------------------------------------------------------------------------

_decode = msgspec.json.Decoder().decode
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _decoded(text: str, give_way: Pay) -> Json:
    if len(text) <= PIECE or give_way is free or text.count("[") + text.count("{") <= PORTION:
        return _decode(text)  # type: ignore[no-any-return]
    return _in_pieces(text.strip(_BLANKS).encode(), LEVELS, give_way)


def _in_pieces(text: bytes, levels: int, give_way: Pay) -> Json:
    """A text without blanks around it."""
    first = text[:1]
    if len(text) <= PIECE or not levels or first not in b"[{":
        give_way(len(text) // 16 + 1)
        return _decode(text)  # type: ignore[no-any-return]
    if first == b"[":
        return list(_pieces(_decode_items(text), levels, give_way))
    members = _decode_members(text)
    return dict(zip(members, _pieces(members.values(), levels, give_way), strict=True))


def _pieces(raws: Iterable[msgspec.Raw], levels: int, give_way: Pay) -> Iterator[Json]:
    """What the texts say, in order; small ones are decoded together."""
    rest = iter(raws)
    while batch := list(islice(rest, PORTION)):
        joined = b"[" + b",".join(batch) + b"]"
        if len(joined) <= PIECE:
            give_way(PORTION)
            yield from _decode(joined)
        else:
            for raw in batch:
                yield _in_pieces(bytes(raw), levels - 1, give_way)


_BLANKS: Final = " \t\n\r"


# --- what is JSON, and not for authors ---------------------------------------------------------

_NEGATIVE_ZERO = re.compile(r'"(?>(?:[^"\\]++|\\.?)*)"?|-0(?![0-9.eE])', re.DOTALL)
"""Strings (to step over them), and the one integer that is a float in JSON (§4.7)."""

_NEGATIVE_ZERO_AT_ALL = re.compile(r"-0(?![0-9.eE])")
"""Rules most texts out at the speed of a search."""


def _with_float_zeros(text: str, give_way: Pay) -> str:
    """The text with `-0.0` for each `-0`."""
    pieces, done = [], 0
    for found in portions(_NEGATIVE_ZERO.finditer(text), give_way):
        if found[0] == "-0":
            pieces.append(text[done : found.end()])
            done = found.end()
    return ".0".join([*pieces, text[done:]])


def _check_nesting(json: Json, nesting: int, give_way: Pay) -> None:
    """Goes down level by level. Raises: NestedTooDeep."""
    level: list[Json] = [json] if json.__class__ in _CONTAINERS else []
    for _ in range(nesting):
        below: list[Json] = []
        for node in in_portions(level, len(level), give_way):
            children = _children(node, give_way)
            below += [child for child in children if child.__class__ in _CONTAINERS]
        level = below
        if not level:
            return
    if level:
        raise NestedTooDeep(nesting)


_CONTAINERS: Final = frozenset({dict, list})


def _children(container: Json, give_way: Pay) -> Iterable[Json]:
    if isinstance(container, dict):
        members = container.values()
        return portions(members, give_way) if len(members) > PORTION else members
    assert isinstance(container, list)  # noqa: S101 — only these two nest
    return portions(container, give_way) if len(container) > PORTION else container
