"""What came back from outside, as values: JSON that is paid for, and the facts beside it.

Shared by `HTTP` and `App`. Spec: csml-language §10.7, §9.1. Answers are never secure (§6.10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.bounds import NestedTooDeep, too_large
from palaver.csml.failures import SoftError
from palaver.csml.json_text import parse_json
from palaver.csml.source import Position
from palaver.csml.texts import from_json
from palaver.csml.values import Members, Meta, Value
from palaver.effects import HttpAnswer
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.csml.state import Run

STEPS_A_VALUE: Final = 4
"""Instructions that one value of a JSON text costs: it takes far more memory than its text."""

ERROR_STATUS: Final = 400
"""The lowest status that counts as a failure."""


def answered_json(run: Run, body: str) -> Json:
    """The body's JSON, or the body itself when it is none. Raises: BudgetExceeded."""
    if len(body) > run.limits.value_bytes:
        raise too_large(run.limits.value_bytes)
    values = body.count(",") + body.count("[") + body.count("{") + 1
    run.spend(STEPS_A_VALUE * values)
    try:
        return parse_json(body, run.limits.nesting, run.give_way)
    except NestedTooDeep as error:
        raise SoftError(f"the answer is {error}") from None
    except ValueError:
        return body


def with_facts(value: Value, answer: HttpAnswer, at: Position) -> Value:
    """The value created here, with the info `status` and `headers`."""
    info = from_json({"status": answer.status, "headers": _headers(answer)}, at).data
    meta = value.meta or Meta()
    return Value(value.data, at, meta._replace(info=info if isinstance(info, Members) else None))


def failure(text: str, answer: HttpAnswer) -> SoftError:
    """The soft error of an answer with an error status."""
    return SoftError(
        text,
        info={"status": answer.status, "headers": _headers(answer), "body": answer.body},
    )


def _headers(answer: HttpAnswer) -> JsonObject:
    return dict(answer.headers)
