"""Methods that turn texts into values and back: JSON, XML, YAML, addresses, HTML.

Spec: csml-language §10.3, §10.6, §10.13, §10.14.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from palaver.csml.bounds import NestedTooDeep, Pay, too_large
from palaver.csml.failures import SoftError
from palaver.csml.json_text import decode_json
from palaver.csml.source import Position
from palaver.csml.stdlib import entities, uri
from palaver.csml.stdlib.costs import pay_for_text
from palaver.csml.stdlib.table import Methods, Result
from palaver.csml.stdlib.xml import parse_xml, xml_of
from palaver.csml.stdlib.yaml import parse_yaml, yaml_of
from palaver.csml.texts import from_json, take_json
from palaver.csml.values import Value
from palaver.types import Json

if TYPE_CHECKING:
    from palaver.csml.state import Run

TEXT_CONVERSIONS: Final = Methods("String")
OBJECT_CONVERSIONS: Final = Methods("Object")

NODE_COST: Final = 8
"""What one node of a document costs, in instructions."""


def _text(this: Value) -> str:
    assert isinstance(this.data, str)  # noqa: S101 — the table is that of strings
    return this.data


# --- documents ---------------------------------------------------------------------------------


@TEXT_CONVERSIONS.add("from_json", usage="from_json() => object")
def json_to_value(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    text = _text(this)
    run.spend(1)
    pay_for_text(run, len(text))
    nesting = run.limits.nesting
    try:
        json = decode_json(text, nesting, run.give_way)
        return Value(take_json(json, at, run.toil, nesting), at)
    except NestedTooDeep as error:
        raise SoftError(f"[from_json] the text is {error}") from None
    except ValueError:
        raise SoftError("[from_json] [!] string to object failed]") from None


@TEXT_CONVERSIONS.add("to_json", usage="to_json() => obj")
def document_to_value(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    text = _text(this)
    run.spend(len(text) // 2 + 1)
    try:
        document = _document(text, lambda nodes: run.spend(nodes * NODE_COST), run.limits.nesting)
    except NestedTooDeep as error:
        raise SoftError(f"[to_json] the text is {error}") from None
    return from_json(document, at, run.toil)


def _document(text: str, pay: Callable[[int], None], nesting: int) -> Json:
    """XML if the text is that, else YAML. Raises: NestedTooDeep."""
    try:
        return parse_xml(text, pay, nesting)
    except NestedTooDeep:
        raise
    except ValueError:
        pass
    try:
        return parse_yaml(text, pay, nesting)
    except NestedTooDeep:
        raise
    except ValueError:
        raise SoftError("Invalid format string is not a valid yaml or xml") from None


@OBJECT_CONVERSIONS.add("to_xml", usage="to_xml() => string")
def value_to_xml(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    try:
        text = xml_of(this, run.limits.value_bytes, run.spend)
    except ValueError:
        raise SoftError("Object can not be converted to xml") from None
    return _paid(run, text)


@OBJECT_CONVERSIONS.add("to_yaml", usage="to_yaml() => string")
def value_to_yaml(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _paid(run, yaml_of(this, run.limits.value_bytes, run.spend))


def _paid(run: Run, text: str) -> str:
    """A text that was made, its length paid and within `max_value_bytes`."""
    run.spend(len(text) // 4 + 1)
    if len(text) > run.limits.value_bytes:
        raise too_large(run.limits.value_bytes)
    return text


# --- texts -------------------------------------------------------------------------------------


def _rewriting(
    name: str, usage: str, rewrite: Callable[[str, Pay], str], complaint: str = ""
) -> None:
    """Declares a method without arguments that gives another text.

    Args:
        complaint: the soft error when `rewrite` raises ValueError.
    """

    def method(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        try:
            return _paid(run, rewrite(_text(this), run.spend))
        except ValueError:
            raise SoftError(complaint) from None

    TEXT_CONVERSIONS.add(name, usage=usage + " => String")(method)


_rewriting("encode_uri", "encode_uri()", uri.encode_uri)
_rewriting("decode_uri", "encode_uri()", uri.decode_uri)  # sic: the usage names the other one
_rewriting("encode_uri_component", "encode_uri_component()", uri.encode_component)
_rewriting(
    "decode_uri_component", "decode_uri_component()", uri.decode_component, "Invalid UTF8 string"
)
_rewriting("encode_html_entities", "encode_html_entities()", entities.encode_entities)
_rewriting("decode_html_entities", "decode_html_entities()", entities.decode_entities)
