"""`HTTP`: requests as values, and sending them. Spec: csml-language §10.7.

A request is an object with `url`, `method`, `header` and sometimes `query`, `body` and
`disable_ssl_verify`. The builders give new requests; `send` alone leaves the process, through
the host, which also normalises the address and words the failures.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from palaver.csml.bounds import too_large
from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib.answers import ERROR_STATUS, answered_json, failure, with_facts
from palaver.csml.stdlib.costs import OBJECT_COST, paid_text, pay_for_text
from palaver.csml.stdlib.table import (
    ANY,
    Arguments,
    Builtins,
    MethodFunction,
    Methods,
    Result,
)
from palaver.csml.texts import from_json, json_text, to_text
from palaver.csml.values import MASK, SECURE, Members, Meta, Value, own_copy, share
from palaver.effects import CallFailed, HttpAnswer, HttpRequest

if TYPE_CHECKING:
    from palaver.csml.state import Run

HTTP_BUILTINS = Builtins()
HTTP_METHODS = Methods("Object")

NO_URL: Final = 'HTTP builtin expects one url of type string. Example: HTTP("https://clevy.io")'
TOO_MANY: Final = "to many arguments"
NOT_A_REQUEST: Final = "[send] HTTP Object is bad formatted read doc for correct usage"
NOT_A_METHOD: Final = "is not a method of HTTP"
AUTH_USAGE: Final = "auth(username, password) => http object"

SENT_METHODS: Final = frozenset({"get", "post", "put", "patch", "delete"})
MOST_POSITIONAL: Final = 4
RESERVED: Final = frozenset({"url", "header", "query", "body"})
"""Names that a call of `HTTP` does not take over into the request."""

DEFAULT_HEADER: Final = {
    "Content-Type": "application/json",
    "Accept": "application/json,text/*",
    "User-Agent": "csml/v1",
}
BYTES_A_STEP: Final = 32

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")


@HTTP_BUILTINS.add("HTTP", (1, ANY))
def make_request(run: Run, args: Arguments, at: Position) -> Result:
    if not args.is_named and len(args) > MOST_POSITIONAL:
        raise SoftError(TOO_MANY)
    url = args.get("url", 0)
    if url is None or not isinstance(url.data, str):
        raise SoftError(NO_URL)
    run.spend(2 * OBJECT_COST)
    header = Members({name: Value(text, at) for name, text in DEFAULT_HEADER.items()})
    members = Members({"url": url, "method": Value("get", at), "header": Value(header, at)})
    members |= {name: share(value) for name, value in args.named() if name not in RESERVED}
    return _request(members, at, secure=any(value.is_secure for value in members.values()))


# --- builders ----------------------------------------------------------------------------------


def _request(members: Members, at: Position, *, secure: bool) -> Value:
    return Value(members, at, Meta(content_type="http", secure=secure))


def _changed(
    run: Run, this: Value, args: tuple[Value, ...], at: Position, **changes: Value | None
) -> Value:
    """A new request; a change to None removes the member."""
    members = own_copy(this).data
    if not isinstance(members, Members):
        raise SoftError(NOT_A_REQUEST)
    run.spend(len(members))
    _apply(members, changes)
    return _request(members, at, secure=this.is_secure or any(arg.is_secure for arg in args))


def _apply(members: Members, changes: dict[str, Value | None]) -> None:
    for name, value in changes.items():
        if value is None:
            members.pop(name, None)
        else:
            members[name] = share(value)


@HTTP_METHODS.add("get", 0, "get() => http object")
def get(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _changed(run, this, args, at, method=Value("get", at), body=None)


def _with_body(method: str) -> MethodFunction:
    def build(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        body = args[0] if args else None
        changed = _changed(run, this, args, at, method=Value(method, at), body=body)
        _leave_body(this, body)
        return changed

    return build


def _leave_body(this: Value, body: Value | None) -> None:
    """The receiver's body changes too, a defect that recorded programs show.

    A secure body stays out of it, for the receiver is said elsewhere as it was.
    """
    if isinstance(this.data, Members) and (body is None or not body.is_secure):
        _apply(this.data, {"body": body})


for _name in ("post", "put", "delete"):
    HTTP_METHODS.add(_name, (0, ANY), mutates=True)(_with_body(_name))


@HTTP_METHODS.add("patch", (0, ANY))
def patch(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    body = args[0] if args else Value(None, at)
    return _changed(run, this, args, at, method=Value("patch", at), body=body)


def _merging(method: str, member: str) -> MethodFunction:
    usage = f"[{method}] takes one argument of type Object. Usage: HTTP(...).{method}( " + (
        '{"key": 42} )'
    )

    def build(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        added = args[0].data
        if not isinstance(added, Members):
            raise SoftError(usage)
        return _changed(run, this, args, at, **{member: _merged(run, this, member, added, at)})

    return build


def _merged(run: Run, this: Value, member: str, added: Members, at: Position) -> Value:
    """The member's object with more members; what is no object is replaced."""
    old = this.data.get(member) if isinstance(this.data, Members) else None
    merged = Members(old.data if old is not None and isinstance(old.data, Members) else {})
    merged.update(added)
    run.spend(len(merged))
    for value in merged.values():
        share(value)
    is_secure = any(value.is_secure for value in merged.values())
    return Value(merged, at, SECURE if is_secure else None)


HTTP_METHODS.add("set", 1, "set(header: object) => http object")(_merging("set", "header"))
HTTP_METHODS.add("query", 1, "query(parameters: object) => http object")(_merging("query", "query"))


@HTTP_METHODS.add("auth", (2, ANY), AUTH_USAGE)
def auth(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    for arg in args[:2]:
        if not isinstance(arg.data, str):
            raise SoftError(f"usage: {AUTH_USAGE}", at=arg.position)
    pair = f"{args[0].data}:{args[1].data}".encode("utf-8", "replace")
    is_secure = args[0].is_secure or args[1].is_secure
    pay_for_text(run, len(pair) // 3 * 4)
    text = "Basic " + base64.b64encode(pair).decode("ascii")
    header = Members({"Authorization": Value(text, at, SECURE if is_secure else None)})
    return _changed(run, this, args, at, header=_merged(run, this, "header", header, at))


@HTTP_METHODS.add("disable_ssl_verify", (0, ANY))
def disable_ssl_verify(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    return _changed(run, this, args, at, disable_ssl_verify=Value(True, at))


# --- sending -----------------------------------------------------------------------------------


@HTTP_METHODS.add("send", 0, "send() => http object")
def send(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    request = this.data
    if not isinstance(request, Members) or "method" not in request:
        raise SoftError(NOT_A_REQUEST)
    answer = run.host.call(_outgoing(run, request))
    if isinstance(answer, CallFailed):
        raise SoftError(f"{MASK}: Connection Failed" if this.is_secure else answer.text)
    if not isinstance(answer, HttpAnswer):
        raise SoftError("failed to read response as JSON")
    if answer.status >= ERROR_STATUS:
        url = MASK if this.is_secure else answer.url  # its texts are part of the address
        raise failure(f"{url}: status code {answer.status}", answer)
    return with_facts(from_json(answered_json(run, answer.body), at, run.toil), answer, at)


def _outgoing(run: Run, request: Members) -> HttpRequest:
    """The request as the host takes it. Raises: SoftError for a member of the wrong type."""
    method = request["method"].data
    if not isinstance(method, str) or method not in SENT_METHODS:
        raise SoftError(NOT_A_METHOD)
    url = request["url"].data if "url" in request else None
    if not isinstance(url, str):
        raise _missing("url")
    header = _object(request, "header")
    query = _object(request, "query") if "query" in request else Members()
    flag = request.get("disable_ssl_verify")
    return HttpRequest(
        method.upper(),
        url + _query_text(run, query),
        _header_texts(run, header),
        _body_text(run, request),
        verify_tls=flag is None or flag.data is not True,
    )


def _object(request: Members, name: str) -> Members:
    found = request.get(name)
    if found is None or not isinstance(found.data, Members):
        raise _missing(name)
    return found.data


def _missing(name: str) -> SoftError:
    return SoftError(
        f"'{name}' not found in HTTP object. Use the HTTP() builtin to construct the correct "
        "object to make HTTP calls"
    )


def _query_text(run: Run, query: Members) -> str:
    """`?k=v&k2=v2`, nothing escaped. Spec: csml-language §10.7."""
    if not query:
        return ""
    pieces = []
    left = run.limits.value_bytes
    for name, value in query.items():
        pieces.append(f"{name}={to_text(value)}")
        left -= len(pieces[-1])
        if left < 0:
            raise too_large(run.limits.value_bytes)
    run.spend((run.limits.value_bytes - left) // BYTES_A_STEP)
    return "?" + "&".join(pieces)


def _header_texts(run: Run, header: Members) -> tuple[tuple[str, str], ...]:
    """Names and values; of names that differ only in case the last one stays."""
    chosen: dict[str, tuple[str, str]] = {}
    for name, value in header.items():
        text = paid_text(run, value)
        pay_for_text(run, len(text))
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
            raise SoftError(f"Bad Header: invalid header '{name}: {text}'")
        chosen[name.lower()] = (name, text.strip(" \t"))
    return tuple(chosen.values())


def _body_text(run: Run, request: Members) -> str | None:
    """The JSON form of the body; None for a request without one."""
    body = request.get("body")
    if body is None:
        return None
    return json_text(body, run.limits.value_bytes, run.limits.nesting, spend=run.spend)
