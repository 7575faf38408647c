"""HTTP requests as values and what is sent. Spec: csml-language §10.7."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.http import HTTP_BUILTINS, HTTP_METHODS
from palaver.csml.values import SECURE, Meta, Value, content_type_of
from palaver.effects import CallFailed, HttpAnswer
from tests.unit.csml.stdlib.outward import (
    OutwardRun,
    invoke,
    make,
    named,
    plain,
    positional,
    soft_error,
    value,
)

HEADER = {
    "Accept": "application/json,text/*",
    "Content-Type": "application/json",
    "User-Agent": "csml/v1",
}


def http(url: Any = "http://x.org/a") -> Value:
    return make(HTTP_BUILTINS, "HTTP", positional(url))


def sent(request: Value) -> Any:
    run = OutwardRun(HttpAnswer(200, {}, "", "http://x.org/"))
    invoke(HTTP_METHODS, request, "send", run=run)
    return run.asked


def answer(given: HttpAnswer | CallFailed | None, limits: Limits | None = None) -> Value:
    return invoke(HTTP_METHODS, http(), "send", run=OutwardRun(given, limits=limits))


# --- making and building -----------------------------------------------------------------------


def test_a_request_is_an_object() -> None:
    request = http()
    assert plain(request) == {"url": "http://x.org/a", "method": "get", "header": HEADER}
    assert content_type_of(request) == "http"


def test_named_arguments_are_taken_over_but_for_some() -> None:
    args = named(url="u", retries=3, header={"a": 1}, query={"q": 1}, body=5, method="post")
    assert plain(make(HTTP_BUILTINS, "HTTP", args)) == {
        "url": "u",
        "method": "post",
        "header": HEADER,
        "retries": 3,
    }


@pytest.mark.parametrize("args", [positional(), positional(5), named(link="u")])
def test_a_request_needs_an_address(args: Any) -> None:
    error = soft_error(make, HTTP_BUILTINS, "HTTP", args)
    assert (
        error.text
        == 'HTTP builtin expects one url of type string. Example: HTTP("https://clevy.io")'
    )


def test_four_positional_arguments_are_the_most() -> None:
    assert plain(make(HTTP_BUILTINS, "HTTP", positional("u", 1, 2, 3)))["url"] == "u"
    assert soft_error(make, HTTP_BUILTINS, "HTTP", positional(*"abcde")).text == "to many arguments"


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_the_body_is_left_in_the_receiver(method: str) -> None:
    request = http()
    changed = invoke(HTTP_METHODS, request, method, {"a": 1})
    assert plain(changed) == {
        "url": "http://x.org/a",
        "method": method,
        "header": HEADER,
        "body": {"a": 1},
    }
    assert plain(request) == {
        "url": "http://x.org/a",
        "method": "get",
        "header": HEADER,
        "body": {"a": 1},
    }
    assert "body" not in plain(invoke(HTTP_METHODS, changed, method))
    assert "body" not in plain(changed)
    assert HTTP_METHODS[method].mutates


def test_patch_and_get_leave_the_receiver_alone() -> None:
    request = http()
    changed = invoke(HTTP_METHODS, request, "patch", {"a": 1})
    assert plain(changed)["method"] == "patch"
    assert plain(invoke(HTTP_METHODS, request, "patch"))["body"] is None
    assert "body" not in plain(request)
    assert plain(invoke(HTTP_METHODS, changed, "get")) == plain(request)
    assert plain(changed)["body"] == {"a": 1}


def test_headers_and_queries_are_merged() -> None:
    request = invoke(HTTP_METHODS, http(), "set", {"X-A": 1, "Accept": "text/xml"})
    request = invoke(HTTP_METHODS, request, "set", {"X-A": 2})
    assert plain(request)["header"] == HEADER | {"X-A": 2, "Accept": "text/xml"}
    request = invoke(HTTP_METHODS, request, "query", {"a": 1})
    assert plain(invoke(HTTP_METHODS, request, "query", {"b": [1]}))["query"] == {"a": 1, "b": [1]}
    assert plain(request)["query"] == {"a": 1}


def test_credentials_become_a_header() -> None:
    request = invoke(HTTP_METHODS, http(), "auth", "Aladdin", "open sesame")
    assert plain(request)["header"]["Authorization"] == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="


def test_a_request_made_with_a_secret_is_secret() -> None:
    pin = Value("1234", meta=SECURE)
    request = http()
    posted = invoke(HTTP_METHODS, request, "post", pin)
    assert posted.is_secure
    assert "body" not in plain(request), "a secret is not left in what is not marked"
    assert invoke(HTTP_METHODS, http(), "auth", "me", pin).is_secure
    header: Any = invoke(HTTP_METHODS, http(), "set", {"X": pin}).data
    assert header["header"].is_secure
    assert http(pin).is_secure


@pytest.mark.parametrize(
    ("method", "args", "text"),
    [
        ("get", (1,), "usage: get() => http object"),
        ("set", (), "usage: set(header: object) => http object"),
        ("set", ({}, {}), "usage: set(header: object) => http object"),
        (
            "set",
            ("x",),
            '[set] takes one argument of type Object. Usage: HTTP(...).set( {"key": 42} )',
        ),
        ("query", (), "usage: query(parameters: object) => http object"),
        (
            "query",
            (1,),
            '[query] takes one argument of type Object. Usage: HTTP(...).query( {"key": 42} )',
        ),
        ("auth", ("me",), "usage: auth(username, password) => http object"),
        ("auth", ("me", None), "usage: auth(username, password) => http object"),
        ("send", (1,), "usage: send() => http object"),
    ],
)
def test_builder_argument_errors(method: str, args: tuple[Any, ...], text: str) -> None:
    assert soft_error(invoke, HTTP_METHODS, http(), method, *args).text == text


def test_a_wrong_credential_is_reported_where_it_stands() -> None:
    place = value("x").position._replace(line=99)
    error = soft_error(invoke, HTTP_METHODS, http(), "auth", "me", Value(2, place))
    assert error.at == place


# --- sending -----------------------------------------------------------------------------------


def test_what_is_sent() -> None:
    request = sent(invoke(HTTP_METHODS, http(), "post", {"b": 1, "a": [1.0, None, "é"]}))
    assert request.method == "POST"
    assert request.url == "http://x.org/a"
    assert request.body == '{"a":[1.0,null,"é"],"b":1}'
    assert dict(request.headers) == HEADER
    assert request.verify_tls


@pytest.mark.parametrize(
    ("body", "text"), [("text", '"text"'), (12, "12"), (None, "null"), ([], "[]")]
)
def test_a_body_is_json_whatever_it_is(body: Any, text: str) -> None:
    assert sent(invoke(HTTP_METHODS, http(), "post", body)).body == text


def test_a_component_in_a_body_is_wrapped_only_inside() -> None:
    button = Value(value({"title": "b"}).data, meta=Meta(content_type="button"))
    assert sent(invoke(HTTP_METHODS, http(), "post", button)).body == '{"title":"b"}'
    inside = invoke(HTTP_METHODS, http(), "post", [button])
    assert sent(inside).body == '[{"content":{"title":"b"},"content_type":"button"}]'


def test_no_body_is_no_text() -> None:
    assert sent(http()).body is None
    assert sent(invoke(HTTP_METHODS, http(), "delete")).body is None


def test_a_query_is_not_escaped() -> None:
    query = {"a": "x y", "b": None, "c": 2.0, "n": [1, {"a": 2}], "k": "a+b&%41#f"}
    request = sent(invoke(HTTP_METHODS, http("http://x.org/?q=1"), "query", query))
    assert request.url == 'http://x.org/?q=1?a=x y&b=Null&c=2&n=[1,{"a":2}]&k=a+b&%41#f'
    assert sent(invoke(HTTP_METHODS, http("u"), "query", {})).url == "u"


def test_header_values_are_texts() -> None:
    header = {"X-Num": 5, "X-Null": None, "X-List": [1, "a"], "X-Pad": "  p\tq ", "accept": "a/b"}
    headers = dict(sent(invoke(HTTP_METHODS, http(), "set", header)).headers)
    assert headers == {
        "Content-Type": "application/json",
        "accept": "a/b",
        "User-Agent": "csml/v1",
        "X-Num": "5",
        "X-Null": "Null",
        "X-List": '[1,"a"]',
        "X-Pad": "p\tq",
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("X-Text", "ü"),
        ("X Name", "a"),
        ("X-A", "two\nlines"),
        ("", "a"),
        ("X-A", "\x00"),
        ("X:", "a"),
    ],
)
def test_headers_that_cannot_be_sent(name: str, text: str) -> None:
    request = invoke(HTTP_METHODS, http(), "set", {name: text})
    assert soft_error(sent, request).text == f"Bad Header: invalid header '{name}: {text}'"


def test_certificates_may_be_ignored() -> None:
    request = invoke(HTTP_METHODS, http(), "disable_ssl_verify")
    assert plain(request)["disable_ssl_verify"] is True
    assert not sent(request).verify_tls


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "head"}, "is not a method of HTTP"),
        ({"method": "GET"}, "is not a method of HTTP"),
        ({"method": 5}, "is not a method of HTTP"),
        ({"method": ...}, "[send] HTTP Object is bad formatted read doc for correct usage"),
        ({"url": 5}, "'url' not found in HTTP object. Use the HTTP() builtin to construct the correct object to make HTTP calls"),
        ({"url": ...}, "'url' not found in HTTP object. Use the HTTP() builtin to construct the correct object to make HTTP calls"),
        ({"header": ...}, "'header' not found in HTTP object. Use the HTTP() builtin to construct the correct object to make HTTP calls"),
        ({"header": "x"}, "'header' not found in HTTP object. Use the HTTP() builtin to construct the correct object to make HTTP calls"),
        ({"query": 1}, "'query' not found in HTTP object. Use the HTTP() builtin to construct the correct object to make HTTP calls"),
    ],
)  # fmt: skip
def test_broken_requests(change: dict[str, Any], text: str) -> None:
    members = {"url": "u", "method": "get", "header": {}} | change
    request = value({name: item for name, item in members.items() if item is not ...})
    assert soft_error(sent, request).text == text


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('{"a": [1, 2.0]}', {"a": [1, 2.0]}),
        ("plain text", "plain text"),
        ("", ""),
        ('{"a": ', '{"a": '),
        ("[]", []),
    ],
)
def test_an_answer_is_json_or_a_text(body: str, expected: Any) -> None:
    result = answer(HttpAnswer(200, {"content-type": "x"}, body))
    assert plain(result) == expected
    assert plain(Value(result.info)) == {"status": 200, "headers": {"content-type": "x"}}


def test_a_number_beyond_64_bits_is_an_error() -> None:
    error = soft_error(answer, HttpAnswer(200, {}, "18446744073709551615"))
    assert error.text == "Number is larger than a 64-bit integer"


def test_an_answer_is_not_secret() -> None:
    request = invoke(HTTP_METHODS, http(), "post", Value("pin", meta=SECURE))
    result = invoke(HTTP_METHODS, request, "send", run=OutwardRun(HttpAnswer(200, {}, '"x"')))
    assert not result.is_secure


def test_an_error_status_is_a_soft_error_with_everything() -> None:
    error = soft_error(answer, HttpAnswer(404, {"a": "b"}, '{"x": 1}', "http://x.org/a%20b"))
    assert error.text == "http://x.org/a%20b: status code 404"
    assert error.info == {"status": 404, "headers": {"a": "b"}, "body": '{"x": 1}'}


def test_a_redirect_without_address_is_an_ordinary_answer() -> None:
    assert plain(answer(HttpAnswer(399, {}, "1"))) == 1


def test_a_failure_has_its_text_only() -> None:
    error = soft_error(answer, CallFailed("http://x.org/: Connection Failed: refused"))
    assert error.text == "http://x.org/: Connection Failed: refused"
    assert error.info is None


def test_many_values_cost_more_than_their_text() -> None:
    with pytest.raises(BudgetExceeded, match="max_instructions"):
        answer(HttpAnswer(200, {}, "[" + "[]," * 3000 + "0]"), Limits(instructions=10_000))
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        answer(HttpAnswer(200, {}, "x" * 101), Limits(value_bytes=100))


def test_a_huge_query_is_refused() -> None:
    request = invoke(HTTP_METHODS, http(), "query", {"a": "x" * 200})
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        invoke(HTTP_METHODS, request, "send", run=OutwardRun(limits=Limits(value_bytes=100)))


def test_sending_is_not_a_method_of_what_is_no_request() -> None:
    with pytest.raises(SoftError, match="bad formatted"):
        invoke(HTTP_METHODS, {}, "send")
