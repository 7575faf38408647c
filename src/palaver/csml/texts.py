"""Values as text and as JSON, and back. Spec: csml-language §4.7, §7.4.

Every text of an object has its keys sorted by code point. Sizes are bounded while a text is
built, because shared containers can be exponentially larger than they look, and so is nesting
(`bounds`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import Final, TypeAlias

from palaver.csml.bounds import (
    MAX_NESTING,
    MAX_TEXT,
    NestedTooDeep,
    Pay,
    check_value,
    free,
    in_portions,
    too_deep,
    too_large,
)
from palaver.csml.failures import SoftError
from palaver.csml.source import BEGINNING, NOWHERE, Position
from palaver.csml.values import (
    INT_MAX,
    INT_MIN,
    KINDS,
    ClosureData,
    Data,
    Items,
    Members,
    Meta,
    Value,
)
from palaver.types import Json

CONTAINERS: Final = frozenset({Items, Members})

PLAIN: Final = frozenset(KINDS.values()) | {"text"}
"""Content types whose values stand in JSON without a wrapper (§4.7)."""


# --- text --------------------------------------------------------------------------------------


def float_text(number: float) -> str:
    """Shortest decimal that round-trips, never with an exponent, no trailing `.0`."""
    if number != number:
        return "NaN"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    text = repr(number)
    if "e" in text:
        return _expand_large(text) if abs(number) >= 1 else _expand_small(text)
    return text.removesuffix(".0")


def _expand_large(text: str) -> str:
    """`1.5e+22` → `15000000000000000000000`: the shortest digits, then zeros."""
    mantissa, exponent = text.split("e")
    whole, _, fraction = mantissa.partition(".")
    return whole + fraction + "0" * (int(exponent) - len(fraction))


def _expand_small(text: str) -> str:
    """`1.5e-07` → `0.00000015`."""
    sign, text = ("-", text[1:]) if text.startswith("-") else ("", text)
    digits, exponent = text.split("e")
    return f"{sign}0.{'0' * (-int(exponent) - 1)}{digits.replace('.', '')}"


def float_json(number: float) -> str:
    """`4.0`, `1e16`, `1e-6`; NaN and infinities are `null`. Spec: csml-language §19."""
    if not math.isfinite(number):
        return "null"
    text = repr(number)
    if "e" not in text:
        return text
    if 1e-5 <= abs(number) < 1:
        return _expand_small(text)
    mantissa, exponent = text.split("e")
    return f"{mantissa}e{int(exponent)}"


def to_text(value: Value) -> str:
    """What `{{ }}`, `to_string()`, `join`, `say` of a scalar and `debug` show."""
    data = value.data
    kind = data.__class__
    if kind is str:
        return data  # type: ignore[return-value]
    if kind is int:
        return int.__repr__(data)
    if kind is bool:
        return "true" if data else "false"
    if kind is float:
        return float_text(data)  # type: ignore[arg-type]
    if kind is Items or kind is Members:
        return json_text(value)
    return "Null"


def json_text(
    value: Value,
    limit: int = MAX_TEXT,
    nesting: int = MAX_NESTING,
    *,
    wrap_top: bool = False,
    spend: Callable[[int], object] | None = None,
) -> str:
    """Compact JSON with sorted keys.

    Args:
        limit: characters; more raise BudgetExceeded.
        nesting: arrays and objects within one another; more raise BudgetExceeded.
        wrap_top: whether the value itself is wrapped as a nested component would be.
        spend: pays an instruction for every `JSON_BYTES` characters while they are written.
    """
    writer = _Writer(limit, nesting, spend)
    if wrap_top:
        writer.member(value)
    else:
        writer.write(value.data)
    return "".join(writer.out)


JSON_BYTES: Final = 4
"""Characters of JSON text an instruction pays for; writing them is slow."""

LOOK_EVERY: Final = 4096
"""Characters of JSON text between two payments."""


class _Writer:
    """Appends pieces of JSON text, counting."""

    __slots__ = ("left", "limit", "nesting", "next_look", "open", "out", "paid", "spend")

    def __init__(self, limit: int, nesting: int, spend: Callable[[int], object] | None) -> None:
        self.out: list[str] = []
        self.nesting = nesting
        self.open = 0
        self.left = self.paid = self.limit = limit
        self.spend = spend
        self.next_look = max(0, limit - LOOK_EVERY)
        """`left` below this: time to pay, or over the limit."""

    def put(self, piece: str) -> None:
        self.left -= len(piece)
        if self.left < self.next_look:
            self.look()
        self.out.append(piece)

    def look(self) -> None:
        """Pays for what was written since the last look. Raises: BudgetExceeded."""
        if self.left < 0:
            raise too_large(self.limit)
        if self.spend is not None:
            self.spend((self.paid - self.left) // JSON_BYTES)
        self.paid = self.left
        self.next_look = max(0, self.left - LOOK_EVERY)

    def member(self, value: Value) -> None:
        tag = wrapper_of(value)
        if tag is None:
            self.write(value.data)
        else:
            self.put('{"content":')
            self.write(value.data)
            self.put(f',"content_type":{encode_basestring(tag)}}}')

    def write(self, data: Data) -> None:
        if data.__class__ not in CONTAINERS:
            self.put(scalar_json(data))
            return
        if self.open == self.nesting:
            raise too_deep(self.nesting)
        self.open += 1
        if isinstance(data, Items):
            self.put("[")
            for number, item in enumerate(data):
                if number:
                    self.put(",")
                self.member(item)
            self.put("]")
        elif isinstance(data, Members):
            self.put("{")
            for number, key in enumerate(sorted(data)):
                self.put(("," if number else "") + encode_basestring(key) + ":")
                self.member(data[key])
            self.put("}")
        self.open -= 1


def scalar_json(data: Data) -> str:
    """JSON text of a scalar (or closure)."""
    if data is None:
        return "null"
    if data is True or data is False:
        return "true" if data else "false"
    if isinstance(data, int):
        return int.__repr__(data)
    if isinstance(data, float):
        return float_json(data)
    if isinstance(data, str):
        return encode_basestring(data)
    if isinstance(data, ClosureData):
        return '{"_closure":' + encode_basestring(data.node.source) + "}"
    raise TypeError(data)


def wrapper_of(value: Value) -> str | None:
    """The content type to wrap a nested value with, or None for a plain one."""
    meta = value.meta
    if meta is None or meta.content_type is None or meta.content_type in PLAIN:
        return None
    return meta.content_type


# --- JSON for the wire -------------------------------------------------------------------------


def to_json(
    value: Value, limit: int = MAX_TEXT, nesting: int = MAX_NESTING, give_way: Pay = free
) -> Json:
    """The JSON form; members that are components are wrapped (§4.7), the value itself is not.

    Args:
        give_way: told of the members while they are gone through.

    Raises: BudgetExceeded for one that is larger, or nested deeper, than the limits.
    """
    if value.data.__class__ in CONTAINERS:
        check_value(value, limit, nesting, give_way)
        if give_way is not free:
            return _json_of(value.data, _nesting_json(give_way), give_way)
    return _json_of(value.data, _nested_json)


def _nesting_json(give_way: Pay) -> Callable[[Value], Json]:
    """`_nested_json` that gives way."""

    def nested(value: Value) -> Json:
        inner = _json_of(value.data, nested, give_way)
        if value.meta is None or (tag := wrapper_of(value)) is None:
            return inner
        return {"content_type": tag, "content": inner}

    return nested


def _nested_json(value: Value) -> Json:
    inner = _json_of(value.data, _nested_json)
    if value.meta is None or (tag := wrapper_of(value)) is None:
        return inner
    return {"content_type": tag, "content": inner}


def bare_items(items: Items, limit: int = MAX_TEXT, nesting: int = MAX_NESTING) -> Json:
    """An array said by itself: elements of the top level are not wrapped (§6.1)."""
    return [to_json(item, limit, nesting) for item in items]


def _json_of(data: Data, nested: Callable[[Value], Json], pay: Pay = free) -> Json:
    kind = data.__class__
    if kind is str or kind is int or kind is bool or data is None:
        return data  # type: ignore[return-value]
    if isinstance(data, Items):
        items = data if pay is free else in_portions(data, len(data), pay)
        return [nested(item) for item in items]
    if isinstance(data, Members):
        members = data.items() if pay is free else in_portions(data.items(), len(data), pay)
        return {key: nested(member) for key, member in members}
    if kind is ClosureData:
        return {"_closure": data.node.source}  # type: ignore[union-attr]
    return data if math.isfinite(data) else None  # type: ignore[arg-type,return-value]


def from_json(json: Json, at: Position = NOWHERE, pay: Pay = free) -> Value:
    """A value from decoded JSON (§4.7). Raises: SoftError for ints from 2^63 to 2^64-1.

    Args:
        pay: pays for the members while they are made.
    """
    return Value(data_from_json(json, at, pay), at)


def data_from_json(json: Json, at: Position, pay: Pay = free) -> Data:
    kind = json.__class__
    if kind is str or kind is bool or json is None:
        return json  # type: ignore[return-value]
    if kind is int:
        return int_from_json(json)  # type: ignore[arg-type]
    if kind is float:
        return json  # type: ignore[return-value]
    if kind is list:
        items = in_portions(json, len(json), pay)  # type: ignore[arg-type]
        return Items(
            [
                Value(item, at)  # type: ignore[arg-type]
                if item.__class__ in _AS_IT_IS
                else Value(data_from_json(item, at, pay), at)
                for item in items
            ]
        )
    members = in_portions(json.items(), len(json), pay)  # type: ignore[union-attr,arg-type]
    return Members(
        {
            key: Value(item, at)
            if item.__class__ in _AS_IT_IS
            else Value(data_from_json(item, at, pay), at)
            for key, item in members
        }
    )


def take_json(json: Json, at: Position, pay: Pay, nesting: int, depth: int = 0) -> Data:
    """`data_from_json` of what nobody else has: it is emptied, for all of it at once takes long.

    Raises:
        NestedTooDeep: more containers within one another than `nesting`, below `depth` of them.
    """
    kind = json.__class__
    if kind is not list and kind is not dict:
        return data_from_json(json, at)
    if depth == nesting:
        raise NestedTooDeep(nesting)
    depth += 1
    data: Items | Members
    if kind is list:
        items = in_portions(json, len(json), pay)  # type: ignore[arg-type]
        data = Items(
            [
                Value(item, at)  # type: ignore[arg-type]
                if item.__class__ in _AS_IT_IS
                else Value(take_json(item, at, pay, nesting, depth), at)
                for item in items
            ]
        )
    else:
        members = in_portions(json.items(), len(json), pay)  # type: ignore[union-attr,arg-type]
        data = Members(
            {
                key: Value(item, at)
                if item.__class__ in _AS_IT_IS
                else Value(take_json(item, at, pay, nesting, depth), at)
                for key, item in members
            }
        )
    json.clear()  # type: ignore[union-attr]
    return data


_AS_IT_IS: Final = frozenset({str, bool, float, type(None)})
"""Types of JSON that are data without a change."""


def int_from_json(number: int) -> int | float:
    """64-bit ints stay; 2^63 … 2^64-1 is refused; anything beyond is a float."""
    if INT_MIN <= number <= INT_MAX:
        return number
    if INT_MAX < number < 2**64:
        raise SoftError("Number is larger than a 64-bit integer")
    try:
        return float(number)
    except OverflowError:
        raise SoftError("Number is larger than a 64-bit integer") from None


# --- the persistent form -----------------------------------------------------------------------


def to_memory(value: Value, pay: Pay = free) -> Json:
    """The form kept in memories and holds, with info where there is any (§7.4).

    Args:
        pay: pays for the members while they are written.
    """
    form = _stored(value, pay, inside_object=False)
    info = value.info
    if info is None:
        return form
    return {"_additional_info": _json_of(info, _nested_json), "value": form}


def to_hold(value: Value, pay: Pay = free) -> Json:
    """The form kept with a hold: as a memory's, without info (§9, `Or`)."""
    return _stored(value, pay, inside_object=False)


def _stored(value: Value, pay: Pay, *, inside_object: bool) -> Json:
    data = value.data
    if value.is_wholly_secure:
        return None  # what came from a hold_secure is never stored (product.md §5)
    if isinstance(data, Items):
        items = in_portions(data, len(data), pay)
        return [_stored(item, pay, inside_object=inside_object) for item in items]
    if isinstance(data, Members):
        entries = in_portions(data.items(), len(data), pay)
        members: Json = {key: _stored(item, pay, inside_object=True) for key, item in entries}
        tag = value.meta.content_type if value.meta and value.meta.content_type else "object"
        if inside_object and tag == "object":
            return members
        return {"_content_type": tag, "_content": members}
    if isinstance(data, ClosureData):
        return {
            "_closure": {
                "source": data.node.source,
                "at": list(data.node.at),
                "captured": {name: to_memory(item, pay) for name, item in data.captured.items()},
            }
        }
    if isinstance(data, float) and not math.isfinite(data):
        return None
    return data


RestoreClosure: TypeAlias = Callable[[str, Position], ClosureData]
"""Makes a closure from its source and the place of that. Raises ValueError when it is none."""


def from_memory(json: Json, closure: RestoreClosure, at: Position = NOWHERE) -> Value:
    """Reads what `to_memory` wrote, or plain JSON written through the memory API.

    Args:
        closure: ValueError from it gives Null.
    """
    if isinstance(json, dict):
        if "_additional_info" in json and "value" in json:
            inner = from_memory(json["value"], closure, at)
            info = from_memory(json["_additional_info"], closure, at).data
            if isinstance(info, Members):
                meta = inner.meta or Meta()
                return Value(inner.data, at, meta._replace(info=info))
            return inner
        if "_content_type" in json and "_content" in json:
            inner = from_memory(json["_content"], closure, at)
            tag = json["_content_type"]
            plain = not isinstance(tag, str) or tag == "object"
            return Value(inner.data, at, None if plain else Meta(content_type=str(tag)))
        if isinstance(stored := json.get("_closure"), dict) and isinstance(
            stored.get("source"), str
        ):
            return Value(_stored_closure(stored, closure, at), at)
        return Value(
            Members({key: from_memory(item, closure, at) for key, item in json.items()}), at
        )
    if isinstance(json, list):
        return Value(Items([from_memory(item, closure, at) for item in json]), at)
    try:
        return Value(data_from_json(json, at), at)
    except SoftError:  # a number that another program stored, too large for an int
        return Value(float(json), at)  # type: ignore[arg-type]


def _stored_closure(stored: dict[str, Json], closure: RestoreClosure, at: Position) -> Data:
    try:
        data = closure(str(stored["source"]), _place(stored.get("at")))
    except ValueError:
        return None
    captured = stored.get("captured")
    if isinstance(captured, dict):
        data.captured = {name: from_memory(item, closure, at) for name, item in captured.items()}
    return data


def _place(stored: Json) -> Position:
    """The place a closure's text was kept with; the beginning when there is none to be trusted."""
    match stored:
        case [int(line), int(column)] if 0 < line < FARTHEST and 0 < column < FARTHEST:
            return Position(line, column)
    return BEGINNING


FARTHEST: Final = 100_000
"""Lines and columns that a stored place may have: whoever parses the closure counts up to them."""
