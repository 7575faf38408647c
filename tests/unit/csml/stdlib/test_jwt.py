"""JWT. Spec: csml-language §10.11; the tokens are the reference's (builtins.json)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.failures import SoftError
from palaver.csml.stdlib.jwt import JWT_BUILTINS, JWT_METHODS
from palaver.csml.values import SECURE, Value
from tests.unit.csml.stdlib.outward import NOW_MS, invoke, make, named, plain, positional

FAR = 4102444800
NOW = NOW_MS // 1000


def jwt(payload: Any) -> Value:
    return make(JWT_BUILTINS, "JWT", positional(payload))


def signed(claims: Any, algorithm: str = "HS256", secret: str = "s", *headers: Any) -> Any:
    return invoke(JWT_METHODS, jwt(claims), "sign", algorithm, secret, *headers).data


def decoded(token: Any, algorithm: Any = "HS256", secret: Any = "s") -> Any:
    return plain(invoke(JWT_METHODS, jwt(token), "decode", algorithm, secret))


def verified(token: Any, *args: Any) -> Any:
    return plain(invoke(JWT_METHODS, jwt(token), "verify", *args))


def refusal(function: Any, *args: Any) -> str:
    with pytest.raises(SoftError) as caught:
        function(*args)
    return caught.value.text


@pytest.mark.parametrize(
    ("claims", "token"),
    [
        (
            {"b": 1, "a": {"d": [1.0, None, True], "c": "é"}},
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJhIjp7ImMiOiLDqSIsImQiOlsxLjAsbnVsbCx0cnVlXX0sImIiOjF9.XPTdjnvSxwZH7de30BdnsYVFM-UUvsJArvpFXbW7_lU",
        ),
        (
            "text",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.InRleHQi.rb96d8MIqWAHji8F0XYhsUkTl98w4EI7DtaL5k37KcQ",
        ),
        (
            [1, 2],
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.WzEsMl0.z4rpzRM-jFGqrJwjVvaDeQKK-y1Q4y18EOGBls-aOL8",
        ),
        (
            None,
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.bnVsbA.qwUyBnm-1CNYnPhWLC78sK8SXmNNaL93gdc4aGObS7M",
        ),
    ],
)
def test_signing_any_value(claims: Any, token: str) -> None:
    assert signed(claims) == token


def test_an_empty_secret_signs() -> None:
    assert signed({}, "HS256", "").endswith(".uJKHM4XyWv1bC_-rpkjK19GUy0Fgrkm_pGHi8XghjWM")


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        (
            {"typ": "at+jwt"},
            "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJIUzI1NiJ9.eyJ4IjoxfQ.V7TFfGBlQETGS19H4VZ0Y_JpyuQcRRiFXKyCUDu7WQk",
        ),
        (
            {"other": 1, "alg": "HS512"},
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJ4IjoxfQ.goP1lB-pNaMeTixO0F2AFDv2DYhLByfFs06ovGxsojo",
        ),
    ],
)
def test_headers(headers: Any, token: str) -> None:
    assert signed({"x": 1}, "HS256", "s", headers) == token


def test_known_headers_are_written_behind_alg_in_a_fixed_order() -> None:
    assert signed({}, "HS256", "s", {"kid": "k"}) == (
        "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiIsImtpZCI6ImsifQ.e30.dhsR_6tcdXEIUydgdQtZozRqn3z_Cgj44-1XwndVooc"
    )
    token = signed({"exp": FAR}, "HS256", "s", {"x5t": "1", "cty": "2"})
    assert decoded(token)["header"] == {"typ": "JWT", "alg": "HS256", "cty": "2", "x5t": "1"}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_what_was_signed_is_decoded(algorithm: str) -> None:
    claims = {"user": "ann", "exp": FAR, "n": [1, 2.5]}
    token = signed(claims, algorithm, "sécret")
    expected = {"header": {"typ": "JWT", "alg": algorithm}, "payload": claims}
    assert decoded(token, algorithm, "sécret") == expected
    assert verified(token, {}, algorithm, "sécret") == expected


def test_refused_tokens() -> None:
    token = signed({"exp": FAR})
    assert refusal(decoded, token, "HS256", "wrong") == "Invalid JWT decode InvalidSignature"
    assert refusal(decoded, token, "HS512") == "Invalid JWT decode InvalidAlgorithm"
    assert refusal(decoded, token + "x") == "Invalid JWT decode InvalidSignature"
    assert refusal(decoded, "nonsense") == "Invalid JWT decode InvalidToken"
    assert refusal(decoded, "") == "Invalid JWT decode InvalidToken"
    assert refusal(verified, "x", {}, "HS256", "s") == "Invalid JWT verify InvalidToken"


@pytest.mark.parametrize(
    ("token", "kind"),
    [
        ("e30.e30.", "Json("),
        ("eyJhbGciOiJub25lIn0.e30.", "Json("),
        ("a.b.c.d", "Base64("),
        ("eyJhbGciOiJIUzI1NiJ9.e30.!!", "InvalidSignature"),
        ("eyJhbGciOiJSUzI1NiJ9.e30.", "InvalidAlgorithm"),
        (signed("text"), "Json("),
    ],
)
def test_kinds_of_malformed_tokens(token: str, kind: str) -> None:
    assert refusal(decoded, token).startswith(f"Invalid JWT decode {kind}")


@pytest.mark.parametrize(
    ("claims", "kind"),
    [
        ({"exp": 1}, "ExpiredSignature"),
        ({"exp": NOW - 61}, "ExpiredSignature"),
        ({"a": 1}, 'MissingRequiredClaim("exp")'),
        ({"exp": "soon"}, 'MissingRequiredClaim("exp")'),
        ({"exp": True}, 'MissingRequiredClaim("exp")'),
    ],
)
def test_expiry_is_required_and_checked(claims: Any, kind: str) -> None:
    assert refusal(decoded, signed(claims)) == f"Invalid JWT decode {kind}"


def test_times_have_a_minute_of_tolerance() -> None:
    assert decoded(signed({"exp": NOW - 60}))["payload"] == {"exp": NOW - 60}
    near, far = signed({"exp": FAR, "nbf": NOW + 60}), signed({"exp": FAR, "nbf": NOW + 61})
    assert decoded(far)["payload"]["nbf"] == NOW + 61
    wanted = ({"validate_nbf": True}, "HS256", "s")
    assert verified(near, *wanted)["payload"]["nbf"] == NOW + 60
    assert refusal(verified, far, *wanted) == "Invalid JWT verify ImmatureSignature"


def test_leeway_is_in_seconds() -> None:
    old = signed({"exp": NOW - 100})
    assert verified(old, {"leeway": 100}, "HS256", "s")["payload"] == {"exp": NOW - 100}
    assert "Expired" in refusal(verified, old, {"leeway": 99}, "HS256", "s")


@pytest.mark.parametrize(
    ("claims", "wanted", "kind"),
    [
        ({"iss": "me"}, {"iss": "other"}, "InvalidIssuer"),
        ({"iss": ["me"]}, {"iss": "other"}, "InvalidIssuer"),
        ({"iss": ["me", "other"]}, {"iss": "other"}, ""),
        ({}, {"iss": "me"}, ""),
        ({"sub": "you"}, {"sub": "other"}, "InvalidSubject"),
        ({"sub": 5}, {"sub": "other"}, ""),
        ({"nbf": "x"}, {"validate_nbf": True}, ""),
        ({"aud": "me"}, {"aud": ["you", "me"]}, ""),
        ({"aud": ["me", "us"]}, {"aud": ["us"]}, ""),
        ({"aud": "me"}, {"aud": ["you"]}, "InvalidAudience"),
        ({}, {"aud": ["you"]}, "InvalidAudience"),
        ({"exp": 1}, {"validate_exp": False}, ""),
        ({"exp": None}, {"validate_exp": False}, 'MissingRequiredClaim("exp")'),
        ({}, {"unknown": 5}, ""),
    ],
)
def test_wanted_claims(claims: Any, wanted: Any, kind: str) -> None:
    token = signed({"exp": FAR} | claims)
    if kind:
        assert refusal(verified, token, wanted, "HS256", "s") == f"Invalid JWT verify {kind}"
    else:
        assert verified(token, wanted, "HS256", "s")["header"]["alg"] == "HS256"


BAD_ALGORITHM = "Invalid Algorithm, supported Algorithms are HS256, HS384, HS512"


@pytest.mark.parametrize(
    ("name", "args", "text"),
    [
        ("sign", (), "JWT(claims).sign(algo, secret, Optional<Header>) expect first argument 'algo' of type String"),
        ("sign", ("HS256",), BAD_ALGORITHM),
        ("sign", ("hs256", "s"), BAD_ALGORITHM),
        ("sign", ("HS256", 1), BAD_ALGORITHM),
        ("sign", ("HS256", "s", "typ"), "JWT Headers wrong format"),
        ("sign", ("HS256", "s", {"typ": 1}), "JWT Headers 'typ' must be of type String"),
        ("decode", (), "JWT(jwt).decode(algo, secret) expect first argument 'algo' of type String"),
        ("decode", ("ES256", "s"), BAD_ALGORITHM),
        ("decode", ("HS256",), "JWT(jwt).decode(algo, secret) expect second argument 'claims' of type String"),
        ("verify", (), "JWT(jwt).verify(claims, algo, secret) expect first argument 'claims' of type Object"),
        ("verify", ({},), "JWT(jwt).verify(claims, algo, secret) expect second argument 'algo' of type String"),
        ("verify", ({}, "HS256"), "JWT(jwt).verify(claims, algo, secret) expect third argument 'secrete' of type String"),
        ("verify", (1, "HS256", "s"), "JWT Headers wrong format"),
        ("verify", ({"validate_exp": 1}, "HS256", "s"), "JWT Validation 'validate_exp' must be of type Boolean"),
        ("verify", ({"iss": 1}, "HS256", "s"), "JWT Validation 'validate_nbf' must be of type Boolean"),
        ("verify", ({"sub": None}, "HS256", "s"), "JWT Validation 'validate_nbf' must be of type Boolean"),
        ("verify", ({"leeway": "1"}, "HS256", "s"), "JWT Validation 'leeway' must be of type Int"),
        ("verify", ({"leeway": True}, "HS256", "s"), "JWT Validation 'leeway' must be of type Int"),
        ("verify", ({"aud": "me"}, "HS256", "s"), "JWT Validation 'aud' must be of type Boolean"),
        ("verify", ({"aud": [1]}, "HS256", "s"), "JWT Validation 'aud' must be of type Boolean"),
        ("verify", ({"iss": ["a"]}, "HS256", "s"), "JWT Validation 'validate_nbf' must be of type Boolean"),
    ],
)  # fmt: skip
def test_argument_errors(name: str, args: tuple[Any, ...], text: str) -> None:
    assert refusal(lambda: invoke(JWT_METHODS, jwt("x"), name, *args)) == text


def test_decoding_needs_a_text() -> None:
    assert refusal(decoded, {"a": 1}) == "JWT(jwt) command expect argument 'jwt' of type String"


def test_jwt_needs_a_payload() -> None:
    with pytest.raises(SoftError) as caught:
        make(JWT_BUILTINS, "JWT", positional())
    assert (
        caught.value.text.splitlines()[0]
        == "JWT builtin expects payload as argument. Example: JWT({"
    )
    assert len(caught.value.text.splitlines()) == 8


def test_the_object_shows_its_payload() -> None:
    made = make(JWT_BUILTINS, "JWT", named(jwt={"x": 1}))
    assert plain(made) == {"header": {"alg": "HS256", "typ": "JWT"}, "jwt": {"x": 1}}
    assert jwt(Value("t", meta=SECURE)).is_secure


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_any_text_is_refused_softly(token: str) -> None:
    assert refusal(decoded, token).startswith("Invalid JWT decode ")
