"""App and Fn. Spec: csml-language §9.1."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.app import APP_BUILTINS, NO_ENDPOINT
from palaver.csml.values import SECURE, Meta, Value
from palaver.effects import AppCall, CallFailed, HttpAnswer
from tests.unit.csml.stdlib.outward import (
    OutwardRun,
    make,
    named,
    plain,
    positional,
    soft_error,
    value,
)


def answered(body: str, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status, {"content-type": "application/json"}, body)


def app(args: Any, *answers: Any, **more: Any) -> Value:
    return make(APP_BUILTINS, "App", args, OutwardRun(*answers, has_apps=True, **more))


def asked(args: Any) -> Any:
    run = OutwardRun(answered('{"data": 1}'), has_apps=True)
    make(APP_BUILTINS, "App", args, run)
    return run.asked


def test_named_arguments_are_the_data() -> None:
    button = Value(value({"title": "x"}).data, meta=Meta(content_type="button"))
    assert asked(named("any/thing", a=1, d=button)) == AppCall(
        "any/thing", {"a": 1, "d": {"content_type": "button", "content": {"title": "x"}}}
    )
    assert asked(positional("bare")) == AppCall("bare", {})
    assert asked(named(fn_id="named", x=1)) == AppCall("named", {"x": 1})


def test_further_positional_arguments_of_a_named_call_are_data() -> None:
    args = named("x", 1, a=2)
    assert asked(args) == AppCall("x", {"arg1": 1, "a": 2})


@pytest.mark.parametrize("args", [positional(), positional("x"), positional(5)])
def test_a_missing_endpoint_comes_before_wrong_arguments(args: Any) -> None:
    assert soft_error(make, APP_BUILTINS, "Fn", args, OutwardRun()).text == NO_ENDPOINT


def test_palavers_own_apps_need_no_endpoint() -> None:
    run = OutwardRun(answered('{"data": 5}'))
    assert make(APP_BUILTINS, "App", positional("utils/scheduler"), run).data == 5


@pytest.mark.parametrize("args", [positional(), positional(5), named(None, a=1), named(a=1)])
def test_the_name_is_a_text(args: Any) -> None:
    assert soft_error(app, args).text == "App name must be of type string"


def test_positional_arguments_alone_are_too_many() -> None:
    assert soft_error(app, positional("x", 1)).text == "to many arguments"


@pytest.mark.parametrize("data", ["5", "2.5", '[1,"x"]', "null", '{"text":"{{x}}"}'])
def test_results_of_every_kind(data: str) -> None:
    result = app(positional("x"), answered(f'{{"data": {data}}}'))
    assert plain(result) == value(None).data if data == "null" else plain(result) is not None
    assert plain(Value(result.info)) == {
        "status": 200,
        "headers": {"content-type": "application/json"},
    }


def test_a_text_is_interpolated() -> None:
    def interpolate(text: str) -> Value:
        return Value(text.replace("{{name}}", "Ann"), meta=SECURE)

    result = app(positional("x"), answered('{"data": "Hi {{name}}"}'), interpolate=interpolate)
    assert result.data == "Hi Ann"
    assert result.is_secure, "the template read something secret"
    assert result.info is not None


def test_an_error_status_is_a_soft_error_with_everything() -> None:
    error = soft_error(app, positional("x"), answered('{"error": "boom"}', 500))
    assert error.text == "Apps service: status code 500"
    assert error.info == {
        "status": 500,
        "headers": {"content-type": "application/json"},
        "body": '{"error": "boom"}',
    }


def test_a_transport_failure_has_no_details() -> None:
    error = soft_error(
        app, positional("x"), CallFailed("http://apps.org/run: Connection Failed: …")
    )
    assert error.text == "Apps service: error"
    assert error.info is None


@pytest.mark.parametrize("body", ["", "text", "[]", '{"other": 1}', '"data"', '{"data'])
def test_an_answer_without_data(body: str) -> None:
    error = soft_error(app, positional("x"), answered(body))
    assert error.text == "bad format: no 'data' in HTTP response"
    assert error.info is None


def test_an_answer_is_paid_for() -> None:
    with pytest.raises(BudgetExceeded):
        app(positional("x"), answered("[" + "0," * 5000 + "0]"), limits=Limits(instructions=1000))


def test_a_broken_template_is_a_soft_error() -> None:
    def broken(text: str) -> Value:
        raise SoftError("expecting '}}' to end expandable string")

    error = soft_error(lambda: app(positional("x"), answered('{"data": "{{"}'), interpolate=broken))
    assert error.text.startswith("expecting")


def test_fn_is_deprecated() -> None:
    assert APP_BUILTINS["Fn"].deprecated
    assert not APP_BUILTINS["App"].deprecated
