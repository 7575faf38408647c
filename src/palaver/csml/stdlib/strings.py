"""The methods of strings. Spec: csml-language §10.3.

`length` counts bytes, everything else code points. Conversions to and from XML, YAML, URIs and
entities stand in `conversions`, the numeric methods in `numbers`, regular expressions in `regex`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.bounds import too_large
from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import paid_members, pay_for_members, pay_for_text
from palaver.csml.stdlib.generic import GENERIC
from palaver.csml.stdlib.numbers import add_to_strings
from palaver.csml.stdlib.regex import Pattern, compile_pattern
from palaver.csml.stdlib.regex_sets import WHITE_SPACE
from palaver.csml.stdlib.slices import slice_bounds
from palaver.csml.stdlib.table import Methods, Result, texts
from palaver.csml.values import Items, Value

if TYPE_CHECKING:
    from palaver.csml.state import Run

STRING: Final = Methods("String")

STRING.update(GENERIC)
add_to_strings(STRING)

_ONE: Final = '[{}] takes one parameter of type String. Usage: string.{}("{}")'
_APPEND: Final = _ONE.format("append", "append", "text to append")
_MATCH: Final = _ONE.format("do_match", "do_match", "tag")
_STARTS: Final = _ONE.format("starts_with", "starts_with", "tag")
_ENDS: Final = _ONE.format("ends_with", "ends_with", "tag")
_CONTAINS_REGEX: Final = _ONE.format("contains_regex", "contains_regex", "regex")
_STARTS_REGEX: Final = _ONE.format("starts_with_regex", "start_with_regex", "regex")
_ENDS_REGEX: Final = _ONE.format("ends_with_regex", "ends_with_regex", "regex")
_MATCH_REGEX: Final = _ONE.format("match_regex", "match_regex", "regex")
_SPLIT: Final = '[join] takes one parameter of type String. Usage: array.join("elem") '

_TWO: Final = '[{0}] takes tow parameter of type String. Usage: "{1}".{0}("{2}", "{3}")'
_REPLACE: Final = _TWO.format("replace", "this is old", "old", "new")
_REPLACE_ALL: Final = _TWO.format("replace_all", "old old old old", "old", "new")
_REPLACE_REGEX: Final = _TWO.format("replace_regex", "hello world", "world", "Clevy")

_BAD_REGEX: Final = "parameter must be a valid regex expression"

_PIECE_COST: Final = 4
"""Instructions an element of a new array of texts costs: it is made, not only copied."""


def _text(run: Run, this: Value) -> str:
    """The receiver's text, paid for being read."""
    text: str = this.data  # type: ignore[assignment]
    run.spend(len(text) // 1024)
    return text


def _strings(args: tuple[Value, ...], reason: str) -> tuple[str, ...]:
    """The arguments' texts. Raises: SoftError(reason) when one is no string."""
    found = texts(args)
    if found is None:
        raise SoftError(reason)
    return found  # type: ignore[no-any-return]


# --- comparing ---------------------------------------------------------------------------------


@STRING.add("contains", 1, "contains(value: string) => boolean")
def contains(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (part,) = _strings(args, _MATCH)
    return part in _text(run, this)


@STRING.add("starts_with", 1, "starts_with(value: string) => boolean")
def starts_with(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (part,) = _strings(args, _STARTS)
    return _text(run, this).startswith(part)


@STRING.add("ends_with", 1, "ends_with(value: string) => boolean")
def ends_with(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (part,) = _strings(args, _ENDS)
    return _text(run, this).endswith(part)


@STRING.add("match", 1, "match(value: string>) => array")
def match(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (part,) = _strings(args, _MATCH)
    count = _text(run, this).count(part)
    if count == 0:
        return None
    pay_for_members(run, count)
    return Items([Value(part, at)] * count)


@STRING.add("length", 0, "length() => int")
def length(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    text = _text(run, this)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


@STRING.add("is_empty", (0, 1), "is_empty() => boolean")
def is_empty(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return this.data == ""


@STRING.add("is_email", 0, "is_email() => boolean")
def is_email_text(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return is_email(_text(run, this))


def is_email(text: str) -> bool:
    """Whether a text is `^[^@]+@[^@]+\\.[^@]+$`, which is lenient."""
    user, sign, domain = text.partition("@")
    return bool(user and sign) and "@" not in domain and "." in domain[1:-1]


# --- making texts ------------------------------------------------------------------------------


@STRING.add("append", 1, "append(value: string) => string")
def append(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (more,) = _strings(args, _APPEND)
    text = _text(run, this)
    pay_for_text(run, len(text) + len(more))
    return text + more


@STRING.add("replace", 2, "replace(value_to_replace: string, replace_by: string) => string")
def replace(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    old, new = _strings(args, _REPLACE)
    text = _text(run, this)
    pay_for_text(run, len(text) + len(new))
    return text.replace(old, new, 1)


@STRING.add("replace_all", 2, "replace_all(value_to_replace: string, replace_by: string) => string")
def replace_all(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    old, new = _strings(args, _REPLACE_ALL)
    text = _text(run, this)
    pay_for_text(run, len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _mapped(run: Run, text: str) -> str:
    """A text made of another, paid for; a mapping of characters may have made it longer."""
    pay_for_text(run, len(text))
    return text


@STRING.add("to_lowercase", 0, "to_lowercase() => string")
def to_lowercase(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _mapped(run, _text(run, this).lower())


@STRING.add("to_uppercase", 0, "to_uppercase() => string")
def to_uppercase(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _mapped(run, _text(run, this).upper())


@STRING.add("capitalize", 0, "capitalize() => string")
def capitalize(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    text = _text(run, this)
    return _mapped(run, text[:1].upper() + text[1:])


@STRING.add("trim", 0, "trim() => string")
def trim(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _mapped(run, _text(run, this).strip(WHITE_SPACE))


@STRING.add("trim_left", 0, "trim_left() => string")
def trim_left(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _mapped(run, _text(run, this).lstrip(WHITE_SPACE))


@STRING.add("trim_right", 0, "trim_right() => string")
def trim_right(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _mapped(run, _text(run, this).rstrip(WHITE_SPACE))


@STRING.add("slice", (1, 2), "slice(start: Integer, end: Optional<Integer>) => string")
def slice_(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    text = _text(run, this)
    start, end = slice_bounds(args, len(text))
    return _mapped(run, text[start:end])


@STRING.add("split", 1, "string(separator: string) => array")
def split(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (separator,) = _strings(args, _SPLIT)
    text = _text(run, this)
    count = len(text) + 2 if separator == "" else text.count(separator) + 1
    pay_for_members(run, count * (_PIECE_COST - 1))
    pay_for_text(run, len(text))
    pieces = ["", *text, ""] if separator == "" else text.split(separator)
    return Items([Value(piece, at) for piece in paid_members(run, pieces, count)])


# --- regular expressions -----------------------------------------------------------------------


def _pattern(run: Run, text: str, reason: str) -> Pattern:
    """The compiled pattern. Raises: SoftError(reason) for an invalid one."""
    try:
        return compile_pattern(text, run.spend)
    except ValueError:
        raise SoftError(reason) from None


@STRING.add("contains_regex", 1, "contains_regex(value: string) => boolean")
def contains_regex(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (regex,) = _strings(args, _CONTAINS_REGEX)
    return _pattern(run, regex, _CONTAINS_REGEX).is_in(_text(run, this), run.spend)


@STRING.add("starts_with_regex", 1, "starts_with_regex(value: string) => boolean")
def starts_with_regex(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (regex,) = _strings(args, _STARTS_REGEX)
    return _pattern(run, regex, _BAD_REGEX).starts(_text(run, this), run.spend)


@STRING.add("ends_with_regex", 1, "ends_with_regex(value: string) => boolean")
def ends_with_regex(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (regex,) = _strings(args, _ENDS_REGEX)
    return _pattern(run, regex, _ENDS_REGEX).ends(_text(run, this), run.spend)


@STRING.add("match_regex", 1, "match_regex(value: string>) => array")
def match_regex(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    (regex,) = _strings(args, _MATCH_REGEX)
    pattern = _pattern(run, regex, _BAD_REGEX)
    found = Items(Value(piece, at) for piece in pattern.matches(_text(run, this), run.spend))
    pay_for_members(run, len(found))
    return found or None


@STRING.add("replace_regex", 2, "replace_regex(regex: string, replace_by: string) => string")
def replace_regex(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    regex, new = _strings(args, _REPLACE_REGEX)
    pattern = _pattern(run, regex, _REPLACE_REGEX)
    room = run.limits.value_bytes
    text = pattern.replace(_text(run, this), new, run.spend, room=room)
    if text is None:
        raise too_large(room)
    return _mapped(run, text)
