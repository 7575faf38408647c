"""The OpenAPI 3.1 document of all routes. Spec: product §4.

In: the dialects, whose routes and types say everything. Out: the document, made once.
Knows no dialect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from palaver import __version__
from palaver.http.describe import Answer, Operation, Parameter, Schema, Surface
from palaver.http.dialects.base import Dialect, Route

_ABOUT: Final = """\
One bot, several wires: every dialect answers at the root and under its own prefix (`servers` of
each operation). GET routes answer HEAD as well. A path that exists with other methods answers
405 with `Allow`, except on the engine's own paths: 404. When the database fails, any route may
answer 500 in its dialect's error shape."""

_REASONS: Final[Mapping[int, str]] = {
    400: "The request cannot be understood; the message says what is wrong.",
    401: "The credential is missing or unknown.",
    403: "The credential is missing, unknown, or does not open this.",
    404: "There is no such thing.",
    413: "The body is larger than `max_body_bytes`.",
    422: "The `Idempotency-Key` came before with another request.",
    429: "Too many requests with this key.",
    500: "The request could not be carried out; the message says why.",
    503: "The database does not answer, or too many requests for this client wait.",
}
_RETRIES: Final = (429, 503)
"""Statuses that come with `Retry-After`."""

_IDEMPOTENCY: Final = Parameter(
    "Idempotency-Key",
    {"type": "string"},
    "header",
    about="A repeat with the same key is answered with the first one's stored answer.",
)


def build(dialects: Iterable[Dialect]) -> Schema:
    """The document.

    Raises:
        ValueError: a route that is not described, or two templates for the same paths.
    """
    return _Builder(tuple(dialects)).document()


class _Builder:
    """Collects components while it walks the routes."""

    def __init__(self, dialects: tuple[Dialect, ...]) -> None:
        self._dialects = dialects
        self._schemas: dict[str, Schema] = {}
        self._responses: dict[str, Schema] = {}
        self._names: dict[str, int] = {}

    def document(self) -> Schema:
        paths: dict[str, Schema] = {}
        for dialect in self._dialects:
            self._add_structs(dialect)
            for route in dialect.routes():
                item = paths.setdefault(route.path, {})
                item[route.method.lower()] = self._operation(dialect, route)
        _check_templates(paths)
        return {
            "openapi": "3.1.0",
            "info": {"title": "Palaver", "version": __version__, "description": _ABOUT},
            "servers": [{"url": "/"}],
            "tags": [
                {"name": dialect.name, "description": _surface(dialect).about}
                for dialect in self._dialects
            ],
            "paths": paths,
            "components": {
                "schemas": self._schemas,
                "responses": self._responses,
                "parameters": {"Idempotency-Key": _parameter(_IDEMPOTENCY)},
                "securitySchemes": {
                    f"{dialect.name}.{name}": scheme
                    for dialect in self._dialects
                    for name, scheme in _surface(dialect).keys.items()
                },
            },
        }

    def _add_structs(self, dialect: Dialect) -> None:
        """The types that decode, and the shape of the dialect's errors."""
        self._schemas[f"{dialect.name}.Error"] = _surface(dialect).error
        bodies = (route.describes.body for route in dialect.routes() if route.describes)
        structs = list(dict.fromkeys(body for body in bodies if isinstance(body, type)))
        _, schemas = msgspec.json.schema_components(
            structs, ref_template=f"#/components/schemas/{dialect.name}.{{name}}"
        )
        for name, schema in schemas.items():
            self._schemas[f"{dialect.name}.{name}"] = schema

    # --- one route -----------------------------------------------------------------------------

    def _operation(self, dialect: Dialect, route: Route) -> Schema:
        told = route.describes
        if told is None:
            raise ValueError(f"{route.method} {route.path} is not described")
        made: Schema = {
            "operationId": self._unique(f"{dialect.name}.{route.handler.__name__}"),
            "summary": told.summary,
            "tags": [dialect.name],
            "parameters": [*_parameters(route, told)],
            "responses": {
                **{str(status): _answer(answer) for status, answer in told.answers.items()},
                **self._refusals(dialect, route, told),
            },
        }
        if told.about:
            made["description"] = told.about
        if told.body is not None:
            schema = told.body if isinstance(told.body, dict) else self._ref(dialect, told.body)
            content = _json(schema)
            if told.form is not None:
                content["application/x-www-form-urlencoded"] = {"schema": told.form}
            made["requestBody"] = {"required": True, "content": content}
        if told.keys:
            made["security"] = [{f"{dialect.name}.{name}": []} for name in told.keys]
            made["security"] += [{}] if told.open_without else []
        if dialect.prefix:
            made["servers"] = [{"url": "/"}, {"url": dialect.prefix}]
        return made

    def _unique(self, name: str) -> str:
        """The name, numbered from the second time on: some handlers have several paths."""
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}.{count}"

    def _ref(self, dialect: Dialect, struct: type[msgspec.Struct]) -> Schema:
        return {"$ref": f"#/components/schemas/{dialect.name}.{struct.__name__}"}

    def _refusals(self, dialect: Dialect, route: Route, told: Operation) -> Schema:
        surface = _surface(dialect)
        statuses = {*told.errors, *surface.errors}
        if told.body is not None:
            statuses |= {400, 413}
        if told.keys:
            statuses |= {*surface.refusal}
        if route.idempotent:
            statuses |= {422}
        return {
            str(status): self._refusal(dialect, status)
            for status in sorted(statuses)
            if status not in told.answers
        }

    def _refusal(self, dialect: Dialect, status: int) -> Schema:
        name = f"{dialect.name}.{status}"
        response: Schema = {
            "description": _REASONS.get(status, HTTPStatus(status).phrase),
            "content": _json({"$ref": f"#/components/schemas/{dialect.name}.Error"}),
        }
        if status in _RETRIES:
            seconds = {"schema": {"type": "integer"}, "description": "Seconds to wait."}
            response["headers"] = {"Retry-After": seconds}
        self._responses[name] = response
        return {"$ref": f"#/components/responses/{name}"}


def _surface(dialect: Dialect) -> Surface:
    if dialect.surface is None:
        raise ValueError(f"the dialect {dialect.name} is not described")
    return dialect.surface


def _parameters(route: Route, told: Operation) -> Iterator[Schema]:
    given = {parameter.name: parameter for parameter in told.parameters}
    for part in route.path.split("/"):
        if part.startswith("{"):
            found = given.pop(part[1:-1], None)
            schema = {"type": "string", "minLength": 1} if found is None else found.schema
            about = "" if found is None else found.about
            yield _parameter(Parameter(part[1:-1], schema, "path", required=True, about=about))
    yield from map(_parameter, given.values())
    if route.idempotent:
        yield {"$ref": "#/components/parameters/Idempotency-Key"}


def _parameter(told: Parameter) -> Schema:
    about = {"description": told.about} if told.about else {}
    required = {"required": True} if told.required else {}
    return {"name": told.name, "in": told.place, **required, **about, "schema": told.schema}


def _answer(told: Answer) -> Schema:
    if told.schema is None:
        return {"description": told.about}
    return {"description": told.about, "content": {told.media_type: {"schema": told.schema}}}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _check_templates(paths: Iterable[str]) -> None:
    """Two templates that differ in names only are one path, which OpenAPI wants written once."""
    seen: dict[tuple[str, ...], str] = {}
    for path in paths:
        shape = tuple("{}" if part.startswith("{") else part for part in path.split("/"))
        other = seen.setdefault(shape, path)
        if other != path:
            raise ValueError(f"{path} and {other} are one path; name its parameters alike")
