"""Reading fields of a body, with the limits of chatbot-com §1.2 and what callers may send for them.

Every reader takes the decoded body and a field's name and raises `Malformed`, naming the field.
A field that is null counts as not sent. Numbers may be numeric texts, booleans `"true"` and
`"false"` (§3.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NoReturn
from urllib.parse import parse_qsl

from palaver.errors import Malformed
from palaver.http import describe
from palaver.http.describe import Schema
from palaver.http.request import Request
from palaver.http.wire import kind_of
from palaver.types import Json, JsonObject

LONGEST_VALUE: Final = 1024
LONGEST_NAME_VALUE: Final = 256
"""Of `default_name`, where it is a user's or a session's attribute."""

MOST_ATTRIBUTES: Final = 99
_NAME: Final = re.compile(r"[\w-]{1,128}", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_BOOLEANS: Final = {"true": True, "false": False}
_FORM: Final = "application/x-www-form-urlencoded"
_MOST_FORM_FIELDS: Final = 1000
_FLAT: Final = "attributes."


def refuse(field: str, text: str) -> NoReturn:
    """Refuses a field. Raises: Malformed."""
    raise Malformed(f"{field}: {text}", (((field,), text),))


# --- single fields -----------------------------------------------------------------------------


def text(body: JsonObject, field: str, shortest: int, longest: int) -> str | None:
    """A text of so many code points, None when it was not sent."""
    value = body.get(field)
    if value is None:
        return None
    if not isinstance(value, str):
        refuse(field, f"must be a string, not {kind_of(value)}")
    if not shortest <= len(value) <= longest:
        if shortest == longest:
            refuse(field, f"length must be {longest}")
        refuse(field, f"length must be between {shortest} and {longest}")
    return value


def required_text(body: JsonObject, field: str, shortest: int, longest: int) -> str:
    """As `text`; refused when it was not sent."""
    value = text(body, field, shortest, longest)
    if value is None:
        refuse(field, "is required")
    return value


def number(body: JsonObject, field: str, lowest: float, highest: float) -> float | None:
    """A number within the bounds, which belong to it."""
    value = body.get(field)
    if value is None:
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(field, "must be a number")
    if not lowest <= value <= highest:
        refuse(field, f"must be between {lowest} and {highest}")
    return value


def whole(body: JsonObject, field: str, lowest: int, highest: int) -> int | None:
    """A whole number within the bounds; `2.0` is one."""
    value = number(body, field, lowest, highest)
    if value is not None and value != int(value):
        refuse(field, "must be a whole number")
    return None if value is None else int(value)


def boolean(body: JsonObject, field: str) -> bool:
    """A boolean, False when it was not sent."""
    value = body.get(field)
    flag = _BOOLEANS.get(value) if isinstance(value, str) else value
    if flag is None and value is None:
        return False
    if not isinstance(flag, bool):
        refuse(field, "must be true or false")
    return flag


# The same for /openapi.json; numbers and booleans that come as texts are left out there.


def optional(schema: Schema) -> Schema:
    """A field that may be null."""
    return describe.nullable(schema)


def text_schema(shortest: int, longest: int) -> Schema:
    """What `text` takes."""
    return describe.text(shortest, longest)


def number_schema(lowest: float, highest: float, *, whole: bool = False) -> Schema:
    """What `number` and `whole` take."""
    return {"type": "integer" if whole else "number", "minimum": lowest, "maximum": highest}


BOOLEAN: Final = describe.BOOLEAN


# --- attributes --------------------------------------------------------------------------------


def attributes(
    value: Json, field: str, *, fewest: int, longest_name_value: int
) -> dict[str, str | None]:
    """Names with their texts; None for those to be cleared. Spec: §1.2.

    Args:
        value: None counts as no object.
        fewest: how many there must be; at most 99.
        longest_name_value: most characters of `default_name`.
    """
    if not isinstance(value, dict):
        refuse(field, "is required" if value is None else "must be an object")
    if not fewest <= len(value) <= MOST_ATTRIBUTES:
        refuse(field, f"number of keys must be between {fewest} and {MOST_ATTRIBUTES}")
    read: dict[str, str | None] = {}
    for name, item in value.items():
        shown = f"{field}.{name[:150]}"
        if not _NAME.fullmatch(name):
            refuse(shown, "name must have 1 to 128 letters A-Z, digits, '_' or '-'")
        if item is None:
            read[name] = None
            continue
        longest = longest_name_value if name == "default_name" else LONGEST_VALUE
        if not isinstance(item, str):
            refuse(shown, f"must be a string, not {kind_of(item)}")
        if not 1 <= len(item) <= longest:
            refuse(shown, f"length must be between 1 and {longest}")
        read[name] = item
    return read


def attributes_schema(fewest: int, longest_name_value: int) -> Schema:
    """What `attributes` takes."""
    return {
        "type": "object",
        "minProperties": fewest,
        "maxProperties": MOST_ATTRIBUTES,
        "propertyNames": {"pattern": "^[A-Za-z0-9_-]{1,128}$"},
        "properties": {"default_name": optional(text_schema(1, longest_name_value))},
        "additionalProperties": optional(text_schema(1, LONGEST_VALUE)),
    }


def flat_schema(beside: Mapping[str, Schema]) -> Schema:
    """What `attribute_body` takes as a form. Args: beside: the other fields, all required."""
    flat = describe.record(
        beside, optional={f"{_FLAT}default_name": text_schema(1, LONGEST_NAME_VALUE)}
    )
    names = rf"^{re.escape(_FLAT)}[A-Za-z0-9_-]{{1,128}}$"
    return {
        **flat,
        "patternProperties": {names: text_schema(1, LONGEST_VALUE)},
        "additionalProperties": False,
        "minProperties": len(beside) + 1,
        "maxProperties": len(beside) + MOST_ATTRIBUTES,
    }


def merged(old: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    """The attributes after a change: None takes one away, what is not named stays."""
    return {name: value for name, value in {**old, **changes}.items() if value is not None}


async def attribute_body(request: Request) -> JsonObject:
    """The body of an update, its attributes nested whatever way they came. Spec: §3.5.

    They may also be spelled as flat keys, `"attributes.default_email"`, in JSON or in a form.
    """
    try:
        body = await request.json_object()
    except Malformed:
        if not request.headers.get("content-type", "").lower().startswith(_FORM):
            raise
        body = _form(await request.body())
    flat = {name[len(_FLAT) :]: body[name] for name in body if name.startswith(_FLAT)}
    nested = body.get("attributes")
    if not flat or not isinstance(nested, dict | None):
        return body
    return {**body, "attributes": {**(nested or {}), **flat}}


def _form(body: bytes) -> JsonObject:
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MOST_FORM_FIELDS,
        )
    except ValueError as error:
        raise Malformed(f"The body is neither JSON nor a form: {error}.") from error
    return dict(pairs)
