"""Bodies: size, UTF-8, nesting, numbers."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from palaver.errors import Malformed, TooLarge
from palaver.http import wire
from tests.speed import takes_at_most


class Inner(msgspec.Struct):
    user_id: str


class Outer(msgspec.Struct):
    client: list[Inner]


def receiver(*chunks: bytes, ends: bool = True) -> Any:
    messages = [{"type": "http.request", "body": c, "more_body": True} for c in chunks]
    if ends:
        messages[-1]["more_body"] = False
    else:
        messages.append({"type": "http.disconnect"})
    left = iter(messages)

    async def receive() -> dict[str, Any]:
        return next(left)

    return receive


def read(*chunks: bytes, length: str | None = None, limit: int = 10, ends: bool = True) -> bytes:
    return asyncio.run(wire.read_body(receiver(*chunks, ends=ends), length, limit))


def test_a_body_of_exactly_the_limit_is_read() -> None:
    assert read(b"0123456789") == b"0123456789"
    assert read(b"01234", b"56789") == b"0123456789"
    assert read(b"") == b""


@pytest.mark.parametrize("chunks", [(b"0123456789a",), (b"0123456789", b"a"), (b"01234",) * 100])
def test_a_body_over_the_limit_is_refused(chunks: tuple[bytes, ...]) -> None:
    with pytest.raises(TooLarge, match="max_body_bytes"):
        read(*chunks)


def test_a_body_announced_far_too_large_is_refused_unread() -> None:
    async def receive() -> dict[str, Any]:
        raise AssertionError("must not be read")

    with pytest.raises(TooLarge):
        asyncio.run(wire.read_body(receive, "1000", 10))


def test_a_connection_closed_in_the_middle_is_no_body() -> None:
    with pytest.raises(wire.ClientGone):
        read(b"01", ends=False)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b' {"a": [1, 2.5, null]} ', {"a": [1, 2.5, None]}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        ('{"é": "🥐"}'.encode(), {"é": "🥐"}),
        (rb'"\ud83e\udd50"', "🥐"),
        (b'"[[[[{{{{"', "[[[[{{{{"),
    ],
)
def test_json_is_decoded(body: bytes, value: Any) -> None:
    assert wire.decode_json(body) == value


def test_a_large_integer_survives_the_round_trip() -> None:
    body = b'{"n":-123456789012345678901234567890}'
    assert wire.encode_json(wire.decode_json(body)) == body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  \n",
        b"{",
        b"{'a': 1}",
        b"[1,]",
        b"nothing",
        b"NaN",
        b"1e999",
        b"9" * 5000,
        b'{"a": 1} x',
        b'"\xff"',
        b'{"a": "\xc3"}',
        b"\xef\xbb\xbf{}",
        rb'"\ud800"',
        b'"\n"',
    ],
)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        wire.decode_json(body)


def test_bad_utf8_is_found_in_parts_that_nobody_reads() -> None:
    class Only(msgspec.Struct):
        a: int

    with pytest.raises(Malformed, match="UTF-8"):
        wire.decode_as(msgspec.json.Decoder(Only), b'{"a": 1, "b": "\xff"}')


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def test_nesting_is_allowed_up_to_the_limit() -> None:
    wire.decode_json(nested(64))
    wire.decode_json(b'{"a":' * 64 + b"1" + b"}" * 64)
    wire.decode_json(b"[" + b"[[]]," * 500 + b"[]]")


@pytest.mark.parametrize(
    "body",
    [
        nested(65),
        nested(10_000),
        b"[" * 10_000,
        b'{"a":' * 10_000,
        b"[" + b"[]," * 100 + nested(64) + b"]",
        b'["]", ' + nested(64) + b"]",
        rb'["\"]", ' + nested(64) + b"]",
    ],
)
def test_nesting_beyond_the_limit_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed, match="nested deeper than 64"):
        wire.decode_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 4_000_000,
        b'"' + rb"\"" * 2_000_000,
        b"[" * 70 + b'"' + rb"\"" * 2_000_000,
        b"]" * 70 + b"[" * 70 + b'"' + rb"\"" * 2_000_000 + b"\\",
        b'"' * 4_000_000,
        b'["' + b"\\\\" * 2_000_000,
    ],
)
def test_hostile_bodies_cost_little(body: bytes) -> None:
    with takes_at_most(2), pytest.raises(Malformed):
        wire.decode_json(body)


def test_a_wrong_type_names_its_field() -> None:
    with pytest.raises(Malformed) as caught:
        wire.decode_as(msgspec.json.Decoder(Outer), b'{"client": [{"user_id": 1}]}')
    assert caught.value.problems == ((("client", "0", "user_id"), "Expected `str`, got `int`"),)
    with pytest.raises(Malformed) as caught:
        wire.decode_as(msgspec.json.Decoder(Outer), b'{"client": [{}]}')
    assert caught.value.problems == ((("client", "0", "user_id"), "is missing"),)
    with pytest.raises(Malformed) as caught:
        wire.decode_as(msgspec.json.Decoder(Outer), b"{}")
    assert caught.value.problems == ((("client",), "is missing"),)
