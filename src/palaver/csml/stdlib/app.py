"""`App` and its old name `Fn`: calls of the bot's apps. Spec: csml-language §9.1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.answers import ERROR_STATUS, answered_json, failure, with_facts
from palaver.csml.stdlib.table import Arguments, Builtins, Result
from palaver.csml.texts import from_json, to_json
from palaver.csml.values import Members, Value
from palaver.effects import AppCall, HttpAnswer
from palaver.types import JsonObject

if TYPE_CHECKING:
    from palaver.csml.state import Run

APP_BUILTINS = Builtins()

NO_ENDPOINT: Final = "App can not be called because apps_endpoint is not set in bot"
BAD_NAME: Final = "App name must be of type string"
TOO_MANY: Final = "to many arguments"
NO_DATA: Final = "bad format: no 'data' in HTTP response"

BUILT_IN: Final = "utils/"
"""Apps of Palaver itself: they are there without an endpoint. Spec: product §2."""


@APP_BUILTINS.add("App")
def call_app(run: Run, args: Arguments, at: Position) -> Result:
    wanted = args.get("fn_id", 0)
    name = wanted.data if wanted is not None else None
    # A missing endpoint is reported before wrong arguments (csml-engine-runtime §12).
    is_built_in = isinstance(name, str) and name.startswith(BUILT_IN)
    if not run.has_apps and not is_built_in:
        raise SoftError(NO_ENDPOINT)
    if not isinstance(name, str):
        raise SoftError(BAD_NAME)
    if not args.is_named and len(args) > 1:
        raise SoftError(TOO_MANY)
    answer = run.host.call(AppCall(name, _data(run, args)))
    if not isinstance(answer, HttpAnswer):
        raise SoftError("Apps service: error")
    if answer.status >= ERROR_STATUS:
        raise failure(f"Apps service: status code {answer.status}", answer)
    return _result(run, answer, at)


APP_BUILTINS.add(
    "Fn", deprecated="'Fn()' will soon be deprecated. Please use the 'App()' keyword instead"
)(call_app)


def _data(run: Run, args: Arguments) -> JsonObject:
    """The other arguments: the named ones, further positional ones as `arg1`, `arg2` …"""
    data = {name: value for name, value in args.by_name.items() if name not in ("fn_id", "arg0")}
    limits = run.limits
    form = to_json(Value(Members(data)), limits.value_bytes, limits.nesting, run.give_way)
    return form if isinstance(form, dict) else {}


def _result(run: Run, answer: HttpAnswer, at: Position) -> Value:
    body = answered_json(run, answer.body)
    if not isinstance(body, dict) or "data" not in body:
        raise SoftError(NO_DATA)
    data = body["data"]
    value = run.interpolate(data) if isinstance(data, str) else from_json(data, at, run.toil)
    return with_facts(value, answer, at)
