"""The methods of a path rooted at `event`. Spec: csml-language §11.3.

The receiver is the event's content, an object whose content type is the event's. Methods that
are not here are called on its `text` or `payload`; the dispatcher does that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.matching import matches
from palaver.csml.source import Position
from palaver.csml.stdlib.strings import is_email as is_email_address
from palaver.csml.stdlib.table import ANY, Methods, Result
from palaver.csml.values import Items, Members, Meta, Value, content_type_of, share

if TYPE_CHECKING:
    from palaver.csml.state import Run

EVENT: Final = Methods("Object")

_IS_EMAIL: Final = "is_email() => boolean"
_MATCH: Final = "match(a) => a"
_MATCH_ARRAY: Final = "expect Array value as argument usage: match_array([a,b,c]) => a"


@EVENT.add("get_type", 0, "get_type() => string")
def get_type(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The event's content type; no secret, whatever the event says."""
    return Value(content_type_of(this), at, Meta())


@EVENT.add("get_content", 0, "get_content() => object")
def get_content(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The content as an object of the event's content type."""
    return share(this).at(at)


@EVENT.add("is_email", (0, ANY), _IS_EMAIL)
def is_email(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """Whether `text` is an address. The arguments count only where there is a text."""
    text = _text(this, "text")
    if text is None:
        return False
    if args:
        raise SoftError(f"usage: {_IS_EMAIL}")
    return is_email_address(str(text.data))


@EVENT.add("is_secure", (0, ANY))
def is_secure(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return run.event.is_secure


@EVENT.add("match", (0, ANY), _MATCH)
def match(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The first argument that the event matches, or Null."""
    subjects = tuple(_subjects(this))
    if subjects and not args:
        raise SoftError(f"usage: {_MATCH}")
    return _first_match(run, subjects, args)


@EVENT.add("match_array", (0, ANY))
def match_array(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    """The first element of the array that the event matches, or Null."""
    subjects = tuple(_subjects(this))
    if not subjects:
        return None
    if not args or not isinstance(args[0].data, Items):
        raise SoftError(_MATCH_ARRAY)
    return _first_match(run, subjects, args[0].data)


def _subjects(this: Value) -> Iterator[Value]:
    """The texts that are matched, in order.

    The reference looks at `payload` only where there is no `text`. Palaver: an event of type
    payload is matched by its payload, then by its text. Spec: csml-engine-runtime §22.12.
    """
    text, payload = _text(this, "text"), _text(this, "payload")
    if content_type_of(this) == "payload":
        yield from (subject for subject in (payload, text) if subject is not None)
    elif text is not None:
        yield text
    elif payload is not None:
        yield payload


def _text(this: Value, name: str) -> Value | None:
    """A member of the content, if it is a string."""
    members = this.data
    found = members.get(name) if isinstance(members, Members) else None
    return found if found is not None and isinstance(found.data, str) else None


def _first_match(run: Run, subjects: Iterable[Value], candidates: Iterable[Value]) -> Result:
    for subject in subjects:
        for candidate in candidates:
            run.spend(1)
            if matches(subject, candidate, run.spend):
                return share(candidate)
    return None
