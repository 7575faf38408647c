"""XML texts → JSON, and objects → XML text. Spec: csml-language §10.13.

The reader follows the reference, which is laxer than XML (text around the root is ignored, what
is open at the end is closed) and knows no document types: an entity is one of five, or a number,
so nothing expands. One pass, an explicit stack, bounded depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NoReturn

from palaver.csml.bounds import MAX_NESTING, MAX_TEXT, PORTION, NestedTooDeep, too_large
from palaver.csml.stdlib.documents import Pay, decimal, free, whole
from palaver.csml.texts import float_text, scalar_json, wrapper_of
from palaver.csml.values import ClosureData, Data, Items, Members, Value
from palaver.types import Json

BLANKS: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)
"""White space of Unicode (`str.strip()` also takes the separators U+001C to U+001F)."""

_NAME = re.compile(r"[^ \t\r\n<>\"']+")
_ATTRIBUTE = re.compile(
    r"[ \t\r\n]+([^ \t\r\n=<>\"'/]+)[ \t\r\n]*=[ \t\r\n]*(?:\"([^\"]*)\"|'([^']*)')"
)
_TAG_END = re.compile(r"[ \t\r\n]*(/?)>")
_BRACKET = re.compile("[<>]")
_ENTITY = re.compile(r"&([^&;]*);?")
_DIGITS = re.compile(r"\+?[0-9]+")
_CHARACTER = re.compile(r"#(?:x([0-9a-fA-F]+)|([0-9]+))")
_NAMED: Final = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


# --- reading -----------------------------------------------------------------------------------


class _Element:
    """An element that is still open. `tag` is its name as written, `name` without prefix."""

    __slots__ = ("attributes", "children", "name", "pieces", "tag")

    def __init__(self, tag: str, attributes: dict[str, Json]) -> None:
        self.tag = tag
        self.name = _local(tag)
        self.attributes = attributes
        self.pieces: list[str] = []
        self.children: dict[str, Json] = {}

    def add(self, name: str, value: Json) -> None:
        """A child that is complete; empty ones are left out, repeated ones make an array."""
        if value is None:
            return
        if name not in self.children:
            self.children[name] = value
        elif isinstance(before := self.children[name], list):
            before.append(value)
        else:
            self.children[name] = [before, value]

    def value(self) -> Json:
        text = "".join(self.pieces).strip(BLANKS)
        if text:
            scalar = _scalar(text)
            return {**self.attributes, "$text": scalar} if self.attributes else scalar
        return {**self.attributes, **self.children} or None


def parse_xml(text: str, pay: Pay = free, nesting: int = MAX_NESTING) -> Json:
    """`{root name: value}` of an XML text.

    Raises:
        ValueError: the text is not XML.
        NestedTooDeep: elements within elements.
    """
    return _Reader(text, pay, nesting).read()


class _Reader:
    """One reading of a text: from `<` to `<`, with the open elements on a stack."""

    def __init__(self, text: str, pay: Pay, nesting: int) -> None:
        self.text = text
        self.nesting = nesting
        self.pay = pay
        self.open: list[_Element] = []
        self.root: dict[str, Json] | None = None

    def read(self) -> Json:
        at = 0
        while self.root is None:
            start = self.text.find("<", at)
            end = start if start >= 0 else len(self.text)
            if self.open and end > at:
                self.open[-1].pieces.append(_decoded(self.text[at:end]))
            if start < 0:
                self.close_all()
            else:
                self.pay(1)
                at = self.markup(start)
        return self.root

    def close_all(self) -> None:
        """The end of the text: elements still open count as closed here."""
        if not self.open:
            _refuse("there is no element")
        while self.open:
            self.close()

    def markup(self, at: int) -> int:
        """Reads what starts with the `<` at `at`. Returns where it ends."""
        text = self.text
        if text.startswith("</", at):
            return self.end_tag(at)
        if text.startswith("<!--", at):
            return self.skip_past("-->", at + 4)
        if text.startswith("<![CDATA[", at):
            end = self.skip_past("]]>", at + 9)
            if self.open:
                self.open[-1].pieces.append(text[at + 9 : end - 3])
            return end
        if text.startswith("<?", at):
            return self.skip_past("?>", at + 2)
        if text[at : at + 9].upper() == "<!DOCTYPE":
            return self.doctype(at)
        if text.startswith("<!", at):
            _refuse("unknown declaration")
        return self.start_tag(at)

    def skip_past(self, closing: str, at: int) -> int:
        end = self.text.find(closing, at)
        if end < 0:
            _refuse(f"{closing} is missing")
        return end + len(closing)

    def doctype(self, at: int) -> int:
        """Skips a document type with whatever it declares."""
        depth = 0
        for bracket in _BRACKET.finditer(self.text, at):
            depth += 1 if bracket[0] == "<" else -1
            if depth == 0:
                return bracket.end()
        _refuse("the document type has no end")

    def start_tag(self, at: int) -> int:
        found = _NAME.match(self.text, at + 1)
        if found is None:
            _refuse("an element has no name")
        attributes: dict[str, Json] = {}
        tag, at = found[0], found.end()
        if tag.endswith("/") and self.text.startswith(">", at):
            tag, at, empty = tag[:-1], at + 1, True
        else:
            at = self.attributes(at, attributes)
            end = _TAG_END.match(self.text, at)
            if end is None:
                _refuse("a tag has no end")
            at, empty = end.end(), bool(end[1])
        if len(self.open) >= self.nesting:
            raise NestedTooDeep(self.nesting)
        self.open.append(_Element(tag, attributes))
        if empty:
            self.close()
        return at

    def attributes(self, at: int, into: dict[str, Json]) -> int:
        names = set()
        while (found := _ATTRIBUTE.match(self.text, at)) is not None:
            self.pay(1)
            at = found.end()
            name = found[1]
            if name in names:
                _refuse(f"the attribute {name} is repeated")
            names.add(name)
            if name != "xmlns" and not name.startswith("xmlns:"):
                value = found[2] if found[2] is not None else found[3]
                into["@" + name] = _scalar(_decoded(value).strip(BLANKS))
        return at

    def end_tag(self, at: int) -> int:
        end = self.text.find(">", at)
        if end < 0 or not self.open:
            _refuse("an end tag without element")
        if self.text[at + 2 : end].rstrip(" \t\r\n") != self.open[-1].tag:
            _refuse("an end tag of another element")
        self.close()
        return end + 1

    def close(self) -> None:
        element = self.open.pop()
        if self.open:
            self.open[-1].add(element.name, element.value())
        else:
            self.root = {element.name: element.value()}


def _refuse(why: str) -> NoReturn:
    raise ValueError(f"not XML: {why}")


def _local(tag: str) -> str:
    """An element's name without its namespace prefix."""
    prefix, colon, name = tag.partition(":")
    local = name if colon else prefix
    if not local or ":" in local:
        _refuse(f"{tag} is no name")
    return local


def _decoded(text: str) -> str:
    """The text with its entities replaced."""
    return _ENTITY.sub(_entity, text) if "&" in text else text


def _entity(found: re.Match[str]) -> str:
    name = found[1]
    if not found[0].endswith(";"):
        _refuse("& without ;")
    if name in _NAMED:
        return _NAMED[name]
    number = _CHARACTER.fullmatch(name)
    if number is None:
        _refuse("unknown entity")
    digits = (number[1] or number[2]).lstrip("0")
    code = int(digits, 16 if number[1] else 10) if 0 < len(digits) < 9 else 0
    if not 0 < code < 0x110000 or 0xD800 <= code < 0xE000:
        _refuse("no such character")
    return chr(code)


def _scalar(text: str) -> Json:
    """What an element's or attribute's text stands for: a negative whole number is a float."""
    if text in ("true", "false"):
        return text == "true"
    if text.startswith("0") and text != "0" and not text.startswith("0."):
        return text
    number = whole(text) if _DIGITS.fullmatch(text) else decimal(text)
    return text if number is None else number


# --- writing -----------------------------------------------------------------------------------


def xml_of(value: Value, limit: int = MAX_TEXT, pay: Pay = free) -> str:
    """An object's members as elements, keys sorted, nothing escaped; the object itself has none.

    Args:
        limit: characters; more raise BudgetExceeded.
        pay: pays for the members while they are written.

    Raises:
        ValueError: there is an array in it.
    """
    out: list[str] = []
    left = limit
    written = 0
    stack: list[tuple[Iterator[tuple[str, Value]], str]] = [(_members(value.data), "")]
    while stack:
        entries, closing = stack[-1]
        entry = next(entries, None)
        if entry is None:
            stack.pop()
            piece = closing
        elif isinstance(entry[1].data, Members) or wrapper_of(entry[1]) is not None:
            piece = f"<{entry[0]}>"
            stack.append((_nested(entry[1]), f"</{entry[0]}>"))
        else:
            piece = f"<{entry[0]}>{_text(entry[1].data)}</{entry[0]}>"
        written += 1
        if written % PORTION == 0:
            pay(PORTION)
        left -= len(piece)
        if left < 0:
            raise too_large(limit)
        out.append(piece)
    return "".join(out)


def _members(data: Data) -> Iterator[tuple[str, Value]]:
    if not isinstance(data, Members):
        raise ValueError("only objects have an XML form")
    return iter([(key, data[key]) for key in sorted(data)])


def _nested(value: Value) -> Iterator[tuple[str, Value]]:
    """The members of a nested object; a component is wrapped as in JSON (§4.7)."""
    tag = wrapper_of(value)
    if tag is None:
        return _members(value.data)
    return iter([("content", Value(value.data)), ("content_type", Value(tag))])


def _text(data: Data) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, float):
        # infinities and NaN are null in JSON, from which the reference makes its XML
        return float_text(data) if data - data == 0 else ""
    if isinstance(data, Items):
        raise ValueError("an array has no XML form")
    if isinstance(data, ClosureData):
        return f"<_closure>{data.node.source}</_closure>"
    return "" if data is None else scalar_json(data)
