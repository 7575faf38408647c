"""Crypto. Spec: csml-language §10.10; the digests are the reference's (builtins.json)."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from palaver.csml.failures import SoftError
from palaver.csml.stdlib import crypto
from palaver.csml.stdlib.crypto import BAD_ALGORITHM, CRYPTO_BUILTINS, CRYPTO_METHODS
from palaver.csml.values import SECURE, Value, content_type_of
from tests.unit.csml.stdlib.outward import invoke, make, named, plain, positional

HASHES = {
    "md5": "26998820cbc7129dbdd3cf9dcd43790b",
    "sha1": "d71a6f93132b98ef7c752385a658d049d93a760b",
    "sha256": "81223da6557410253c6e8cfdd8d1fb569cbf00078b475591a617e4c740e3b9ba",
    "sha3_224": "1d446b43535617324611d0fbe236af24d837744531e7fb4d35f8379d",
    "shake_128": "5f97feab3749889a792f5475fa8658e8",
    "shake_256": "fb9ff767333dd1e28c9ae91e15be9eb4976d5e225d5eced479a3c892cb3d462b",
    "ripemd160": "77f4005306302482877f81f002ba4e426bd4aff8",
    "sm3": "639122f6a6e7c0fed8ff4af92f28ded6380d819cec49428b29e3b548626f3948",
}
CODES = {
    "md5": "62fe0c02cb1ab58407f1a6c0bb15b133",
    "sha3_224": "598a899163d60e4857d85fc5fc729693f316bdd2bd296473f2df66e6",
    "ripemd160": "df98bf2bfa2772588f8072742b9120a701abfa47",
    "sm3": "a63a7f2fb9ad2309e38f32a10d40f7ce53e64ce2cb5f49b790c68be748afc0c3",
}


def crypto_of(text: Any) -> Value:
    return make(CRYPTO_BUILTINS, "Crypto", positional(text))


def digest(hashed: Value, encoding: str = "hex") -> Any:
    return invoke(CRYPTO_METHODS, hashed, "digest", encoding).data


@pytest.mark.parametrize(("name", "expected"), HASHES.items())
def test_hashes(name: str, expected: str) -> None:
    for spelling in (name, name.upper()):
        hashed = invoke(CRYPTO_METHODS, crypto_of("The quick fox"), "create_hash", spelling)
        assert digest(hashed) == expected


@pytest.mark.parametrize(("name", "expected"), CODES.items())
def test_message_authentication_codes(name: str, expected: str) -> None:
    hashed = invoke(CRYPTO_METHODS, crypto_of("The quick fox"), "create_hmac", name, "kéy")
    assert digest(hashed) == expected


def test_sm3_where_the_system_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*args: object, **more: object) -> None:
        raise ValueError("unsupported hash type")

    monkeypatch.setattr(hashlib, "new", lacking)
    monkeypatch.setattr(hmac, "new", lacking)
    assert crypto._digest("sm3", b"The quick fox").hex() == HASHES["sm3"]
    assert crypto._code("sm3", "kéy".encode(), b"The quick fox").hex() == CODES["sm3"]
    with pytest.raises(SoftError, match="OpenSSL error"):
        crypto._digest("ripemd160", b"")


def test_a_hash_is_an_object_with_bytes() -> None:
    hashed = invoke(
        CRYPTO_METHODS, make(CRYPTO_BUILTINS, "Crypto", named(value="abc")), "create_hash", "md5"
    )
    assert plain(hashed) == {
        "hash": [144, 1, 80, 152, 60, 210, 79, 176, 214, 150, 63, 125, 40, 225, 127, 114]
    }
    assert content_type_of(hashed) == "crypto"
    assert digest(hashed, "base64") == "kAFQmDzST7DWlj99KOF/cg=="


def test_a_digest_of_a_secret_is_public() -> None:
    secret = crypto_of(Value("pin", meta=SECURE))
    assert secret.is_secure
    hashed = invoke(CRYPTO_METHODS, secret, "create_hash", "md5")
    assert not hashed.is_secure
    assert not invoke(CRYPTO_METHODS, hashed, "digest", "hex").is_secure


@pytest.mark.parametrize(
    ("this", "name", "args", "text"),
    [
        ("a", "create_hash", (), BAD_ALGORITHM),
        ("a", "create_hash", (1,), BAD_ALGORITHM),
        ("a", "create_hash", ("sha224",), f"'sha224' {BAD_ALGORITHM}"),
        ("a", "create_hash", ("Sha256",), f"'Sha256' {BAD_ALGORITHM}"),
        ("a", "create_hmac", (), BAD_ALGORITHM),
        ("a", "create_hmac", ("nope", "k"), f"'nope' {BAD_ALGORITHM}"),
        ("a", "create_hmac", ("sha256",), "HMAC key need to be of type string"),
        ("a", "create_hmac", ("sha256", 1), "HMAC key need to be of type string"),
        ("a", "create_hmac", ("shake_128", "k"), "OpenSSL error"),
        (1, "create_hash", ("md5",), "Crypto(string) command expect argument of type String"),
        ("a", "digest", (), "Invalid argument, '.digest' is use incorrectly"),
    ],
)
def test_argument_errors(this: Any, name: str, args: tuple[Any, ...], text: str) -> None:
    with pytest.raises(SoftError) as caught:
        invoke(CRYPTO_METHODS, crypto_of(this), name, *args)
    assert caught.value.text == text


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "Invalid Digest Algorithm, supported Algorithms are hex, base64"),
        ((1,), "Invalid Digest Algorithm, supported Algorithms are hex, base64"),
        (("HEX",), "'HEX' Invalid Digest Algorithm, supported Algorithms are hex, base64"),
    ],
)
def test_digest_errors(args: tuple[Any, ...], text: str) -> None:
    hashed = invoke(CRYPTO_METHODS, crypto_of("a"), "create_hash", "md5")
    with pytest.raises(SoftError) as caught:
        invoke(CRYPTO_METHODS, hashed, "digest", *args)
    assert caught.value.text == text


@pytest.mark.parametrize("stored", [[256], [-1], ["a"], [True], 5])
def test_a_stored_hash_that_is_none_is_refused(stored: Any) -> None:
    with pytest.raises(SoftError, match="use incorrectly"):
        invoke(CRYPTO_METHODS, {"hash": stored}, "digest", "hex")


def test_crypto_needs_a_value() -> None:
    with pytest.raises(SoftError, match=r"^CRYPTO builtin expects one argument"):
        make(CRYPTO_BUILTINS, "Crypto", named(text="a"))
