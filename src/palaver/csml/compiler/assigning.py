"""`do name{path} = value`: changing a member or element in place. Spec: csml-language §6.2."""

from __future__ import annotations

from typing import Any, Final

from palaver.csml.compiler.elements import Element, Resolved, missing, own_member
from palaver.csml.compiler.names import own_variable, store
from palaver.csml.failures import BudgetExceeded, RunError
from palaver.csml.state import Frame
from palaver.csml.stdlib.costs import pay_for_text
from palaver.csml.stdlib.methods import located, no_method
from palaver.csml.texts import to_text
from palaver.csml.values import ClosureData, Items, Members, Value, content_type_of


def assign_member(
    frame: Frame, name: str, elements: tuple[Element, ...], keys: Resolved, value: Value
) -> None:
    """`do name{path} = value` for a variable that exists (§6.2, step 6)."""
    run = frame.run
    top = own_variable(frame, name)
    if top is None:
        top = frame.locals[name] = Value(None)
    container = top
    for element, key in zip(elements[:-1], keys, strict=False):
        found = own_member(run, container, key)
        if found is None:
            missing(run, key, element.at, quiet=False)
            return
        container = found
    last, key = elements[-1], keys[-1]
    data: Any = container.data
    if isinstance(key, str):
        if data.__class__ is ClosureData:
            raise RunError("[insert] Closure don't have methods", last.at)
        if data.__class__ is not Members or content_type_of(top) in NO_INSERT:
            raise RunError(_no_insert(data), last.at)
        data[key] = value
    elif data.__class__ is Items and 0 <= key < len(data):
        data[key] = value
    elif data.__class__ is str and 0 <= key < len(data):
        _replace_character(frame, name, elements, keys, data, value)
    else:
        missing(run, key, last.at, quiet=False)


NO_INSERT: Final = frozenset({"smtp", "base64", "hex", "jwt", "crypto", "time"})
"""Content types of roots whose objects have no `insert` (§10.1)."""


def _no_insert(data: Any) -> str:
    return no_method("insert", data)


def _replace_character(
    frame: Frame, name: str, elements: tuple[Element, ...], keys: Resolved, text: str, value: Value
) -> None:
    """`do s[1] = "x"`: the character is replaced by the value's text."""
    index = keys[-1]
    character = to_text(value)
    try:
        pay_for_text(frame.run, len(text) + len(character))
    except BudgetExceeded as error:
        raise located(error, elements[-1].at) from None
    changed = text[:index] + character + text[index + 1 :]
    if len(elements) > 1:
        assign_member(frame, name, elements[:-1], keys[:-1], Value(changed, value.position))
    else:
        store(frame, name, Value(changed, value.position))
