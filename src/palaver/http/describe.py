"""The words in which a route is described: what it takes, what it answers, who may call it.

A dialect puts an `Operation` on each of its routes and a `Surface` on itself; `http/openapi.py`
makes the document of them. A body is either the msgspec Struct that decodes it, or, where a
dialect reads field by field, a table of JSON Schema that stands beside the reader and is written
with the functions below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import msgspec

Schema: TypeAlias = dict[str, Any]
"""JSON Schema 2020-12, the one of OpenAPI 3.1."""


# --- schemas -----------------------------------------------------------------------------------


def text(shortest: int = 0, longest: int | None = None, about: str = "") -> Schema:
    """A string of so many code points."""
    schema: Schema = {"type": "string"}
    if shortest:
        schema["minLength"] = shortest
    if longest is not None:
        schema["maxLength"] = longest
    return said(schema, about)


def one_of(*values: str) -> Schema:
    """One of a few strings."""
    return {"type": "string", "enum": list(values)}


def record(
    members: Mapping[str, Schema], *, optional: Mapping[str, Schema] | None = None, about: str = ""
) -> Schema:
    """An object. Args: members: those that are required. Others than these are let through."""
    schema: Schema = {"type": "object", "properties": {**members, **(optional or {})}}
    if members:
        schema["required"] = list(members)
    return said(schema, about)


def listing(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """The schema, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def said(schema: Schema, about: str) -> Schema:
    """The schema with a description."""
    return {**schema, "description": about} if about else schema


OBJECT: Final[Schema] = {"type": "object"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
NUMBER: Final[Schema] = {"type": "number"}
INTEGER: Final[Schema] = {"type": "integer"}
ANYTHING: Final[Schema] = {}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}
UUID: Final[Schema] = {"type": "string", "format": "uuid"}

CODE_AND_MESSAGE: Final[Schema] = record({"code": INTEGER, "message": text()})
"""The errors of the engine, and of what belongs to no dialect."""


# --- routes ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something in the query or a header; in the path where its schema is worth a word."""

    name: str
    schema: Schema
    place: Literal["query", "header", "path"] = "query"
    required: bool = False
    about: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A body that is sent. Without a schema it is empty."""

    about: str
    schema: Schema | None = None
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """What a route takes and answers.

    Attributes:
        answers: by status; those that are no errors, and others in no error shape.
        body: a Struct, or a schema; None: no body is read.
        keys: names of the dialect's security schemes; any of them opens the door.
        open_without: whether it is open as well where no key is configured.
        errors: statuses in the dialect's error shape beyond those that follow from the rest
            (400 and 413 from a body, the dialect's refusal from keys, 422 from `idempotent`).
        form: the body as a form, where it may come as one.
    """

    summary: str
    answers: Mapping[int, Answer]
    body: type[msgspec.Struct] | Schema | None = None
    parameters: tuple[Parameter, ...] = ()
    keys: tuple[str, ...] = ()
    open_without: bool = False
    errors: tuple[int, ...] = (503,)
    about: str = ""
    form: Schema | None = None


@dataclass(frozen=True, slots=True)
class Surface:
    """What is common to a dialect's routes.

    Attributes:
        error: the body of every error.
        keys: security schemes by name, as OpenAPI writes them.
        refusal: the statuses without a good key.
        errors: statuses that every route may answer.
    """

    about: str
    error: Schema
    keys: Mapping[str, Schema] = field(default_factory=dict)
    refusal: tuple[int, ...] = (401,)
    errors: tuple[int, ...] = ()
