"""Reading a body field by field, collecting all that is wrong with it (clustaar §2.10).

A reader returns something of the right type even for a bad field; `finish` then raises.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeAlias, TypeGuard

from palaver.errors import Invalid
from palaver.http.describe import NUMBER, nullable, record
from palaver.types import Json, JsonObject

Problems: TypeAlias = "list[tuple[tuple[str, ...], str]]"


class Document:
    """A JSON object under examination.

    Args:
        values: the object.
        path: where it stands in the body.
        problems: where complaints go; the body's own list for what stands inside it.
    """

    def __init__(
        self, values: JsonObject, path: tuple[str, ...] = (), problems: Problems | None = None
    ) -> None:
        self.values = values
        self._path = path
        self._problems: Problems = [] if problems is None else problems

    def refuse(self, name: str, message: str) -> None:
        """Notes that a field is wrong."""
        self._problems.append(((*self._path, name), message))

    def finish(self) -> None:
        """Raises: Invalid, when anything was wrong."""
        if self._problems:
            raise Invalid("Invalid document", tuple(self._problems))

    def text(self, name: str, longest: int | None = None) -> str:
        """A required string of 1 to `longest` characters."""
        value = self.values.get(name)
        if not isinstance(value, str):
            self.refuse(name, "must be a string" if name in self.values else "is required")
            return ""
        if longest is None and not value:
            self.refuse(name, "must not be empty")
        elif longest is not None and not 1 <= len(value) <= longest:
            self.refuse(name, f"length must be between 1 and {longest}")
        return value

    def text_or_null(self, name: str, longest: int) -> str | None:
        """A string of at most `longest` characters, null, or nothing."""
        value = self.values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            self.refuse(name, "must be a string or null")
            return None
        if len(value) > longest:
            self.refuse(name, f"length must be at most {longest}")
        return value

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        """A required string out of a few."""
        value = self.values.get(name)
        if isinstance(value, str) and value in allowed:
            return value
        wanted = f"must be one of {', '.join(allowed)}" if len(allowed) > 1 else ""
        wanted = wanted or f"must be {next(iter(allowed))}"
        self.refuse(name, wanted if name in self.values else f"is required and {wanted}")
        return ""

    def object(self, name: str) -> Document | None:
        """The object under a name; None, noted, when it is something else or missing."""
        value = self.values.get(name)
        if isinstance(value, dict):
            return Document(value, (*self._path, name), self._problems)
        self.refuse(name, "must be an object" if name in self.values else "is required")
        return None

    def object_or_null(self, name: str) -> Document | None:
        """The object under a name; None for null and for nothing, too."""
        return None if self.values.get(name) is None else self.object(name)

    def objects(self, name: str) -> list[Document]:
        """The objects of a list; empty for null and for nothing."""
        value = self.values.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self.refuse(name, "must be a list of objects")
            return []
        path = (*self._path, name)
        return [
            Document(item, (*path, str(index)), self._problems)
            for index, item in enumerate(value)
            if isinstance(item, dict)
        ]

    def number(self, name: str) -> int | float:
        """A required number."""
        value = self.values.get(name)
        if is_number(value):
            return value
        self.refuse(name, "must be a number" if name in self.values else "is required")
        return 0


def is_number(value: Json) -> TypeGuard[int | float]:
    """Whether it is a JSON number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


LOCATION: Final = nullable(record({"lat": NUMBER, "long": NUMBER}))
"""What `read_location` takes."""


def read_location(document: Document) -> JsonObject | None:
    """The `location` of a body, `{"lat": number, "long": number}`; None without one."""
    location = document.object_or_null("location")
    if location is None:
        return None
    return {"lat": location.number("lat"), "long": location.number("long")}
