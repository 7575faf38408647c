"""Base64, Hex, UUID and Random. Spec: csml-language §9, §10.9."""

from __future__ import annotations

import re

import pytest

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.encodings import BASE64_METHODS, ENCODING_BUILTINS, HEX_METHODS
from palaver.csml.stdlib.identity import IDENTITY_BUILTINS
from palaver.csml.values import SECURE, Value, content_type_of
from tests.unit.csml.stdlib.outward import (
    OutwardRun,
    invoke,
    make,
    named,
    plain,
    positional,
    soft_error,
)


@pytest.mark.parametrize(
    ("text", "encoded"), [("Hello World", "SGVsbG8gV29ybGQ="), ("", ""), ("é😀", "w6nwn5iA")]
)
def test_base64_goes_both_ways(text: str, encoded: str) -> None:
    this = make(ENCODING_BUILTINS, "Base64", positional(text))
    assert invoke(BASE64_METHODS, this, "encode", "ignored", 1).data == encoded
    assert invoke(BASE64_METHODS, {"string": encoded}, "decode").data == text


@pytest.mark.parametrize(
    ("encoded", "text"), [("/+8=", "\ufffd\ufffd"), ("YQ", "a"), ("YWI", "ab")]
)
def test_base64_takes_missing_padding_and_bad_utf8(encoded: str, text: str) -> None:
    assert invoke(BASE64_METHODS, {"string": encoded}, "decode").data == text


@pytest.mark.parametrize(
    "encoded",
    [
        "not base64!",
        "SGVsbG8=\n",
        "_-8=",
        "YR==",
        "Y",
        "YQ==YQ==",
        "Y Q==",
        "====",
        "YQ=",
        "YWI==",
        "YWJj=",
        "é",
    ],
)
def test_base64_refuses_everything_else(encoded: str) -> None:
    error = soft_error(invoke, BASE64_METHODS, {"string": encoded}, "decode")
    assert error.text == f"Base64 invalid value: {encoded}, can't be decode"


def test_hex_goes_both_ways() -> None:
    this = make(ENCODING_BUILTINS, "Hex", named(string="é"))
    assert invoke(HEX_METHODS, this, "encode").data == "c3a9"
    assert invoke(HEX_METHODS, {"string": "C3a9"}, "decode").data == "é"
    assert invoke(HEX_METHODS, {"string": "ff41"}, "decode").data == "\ufffdA"


@pytest.mark.parametrize("digits", ["abc", "zz", " 41", "４１"])
def test_hex_refuses_what_is_no_pair_of_digits(digits: str) -> None:
    error = soft_error(invoke, HEX_METHODS, {"string": digits}, "decode")
    assert error.text == f"Hex invalid value: {digits}, can't be decode"


@pytest.mark.parametrize("args", [positional(), positional(1), positional(None), named(value="a")])
def test_an_encoder_needs_a_text(args: object) -> None:
    with pytest.raises(SoftError, match="HTTP builtin expects one url"):
        make(ENCODING_BUILTINS, "Base64", args)  # type: ignore[arg-type]


def test_an_encoder_of_a_secret_is_secret() -> None:
    this = make(ENCODING_BUILTINS, "Base64", positional(Value("pin", meta=SECURE)))
    assert this.is_secure
    assert content_type_of(this) == "base64"
    assert plain(this) == {"string": "pin"}


def test_an_encoding_larger_than_a_value_may_be_is_refused() -> None:
    run = OutwardRun(limits=Limits(value_bytes=10))
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        invoke(HEX_METHODS, {"string": "123456"}, "encode", run=run)


def test_random_is_a_fraction() -> None:
    number = make(IDENTITY_BUILTINS, "Random", positional(5)).data
    assert isinstance(number, float)
    assert 0 <= number < 1


@pytest.mark.parametrize(
    ("args", "version"),
    [(positional(), 4), (positional("v4", "x"), 4), (positional("v1"), 1), (named(value="v1"), 1)],
)
def test_uuid_has_the_version_asked_for(args: object, version: int) -> None:
    text = make(IDENTITY_BUILTINS, "UUID", args).data  # type: ignore[arg-type]
    assert isinstance(text, str)
    assert re.fullmatch(
        rf"[0-9a-f]{{8}}-[0-9a-f]{{4}}-{version}[0-9a-f]{{3}}-[89ab][0-9a-f]{{3}}-[0-9a-f]{{12}}",
        text,
    )


@pytest.mark.parametrize(
    "args", [positional("v5"), positional("V4"), positional(""), named(version="v4")]
)
def test_uuid_refuses_other_versions(args: object) -> None:
    with pytest.raises(SoftError, match=r"^UUID builtin expects"):
        make(IDENTITY_BUILTINS, "UUID", args)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [4, None, ["v4"]])
def test_uuid_of_no_text_answers_with_the_text_of_floor(wrong: object) -> None:
    with pytest.raises(SoftError, match=r"^Floor builtin expects"):
        make(IDENTITY_BUILTINS, "UUID", positional(wrong))
