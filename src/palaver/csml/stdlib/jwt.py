"""`JWT`: signed tokens with a shared secret (HS256, HS384, HS512). Spec: csml-language §10.11.

`JWT(x)` is `{"jwt": x, "header": …}`, `x` being claims to sign or a token to read. The rules of
what is checked are the reference's and differ from those of the common libraries (which claims
count when they are missing, the order of checks, the kinds of errors); so tokens are taken apart
here.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from palaver.csml.failures import SoftError
from palaver.csml.json_text import parse_json
from palaver.csml.source import Position
from palaver.csml.stdlib.costs import OBJECT_COST
from palaver.csml.stdlib.encodings import unpadded_base64
from palaver.csml.stdlib.table import ANY, Arguments, Builtins, Methods, Result
from palaver.csml.texts import from_json, json_text
from palaver.csml.values import Items, Members, Meta, Value
from palaver.types import Json, JsonObject

if TYPE_CHECKING:
    from palaver.csml.state import Run

JWT_BUILTINS = Builtins()
JWT_METHODS = Methods("Object")

ALGORITHMS: Final = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
FOREIGN_ALGORITHMS: Final = frozenset(
    f"{family}{size}" for family in ("ES", "RS", "PS") for size in (256, 384, 512)
) | {"EdDSA"}
"""Algorithms that a token may name without being malformed, though none of them is accepted."""

OTHER_HEADERS: Final = ("cty", "jku", "kid", "x5u", "x5t")
"""Members of the JOSE header behind `typ` and `alg`, in this order."""

LEEWAY_S: Final = 60
BYTES_A_STEP: Final = 32

NO_PAYLOAD: Final = """JWT builtin expects payload as argument. Example: JWT({
        "user": "name",
        "somekey": {
          "somevalue": 42
        },
        "exp": 1618064023,
        "iss": "CSML STUDIO"
      })"""
BAD_ALGORITHM: Final = "Invalid Algorithm, supported Algorithms are HS256, HS384, HS512"
BAD_OBJECT: Final = "JWT Headers wrong format"
NOT_A_TOKEN: Final = "JWT(jwt) command expect argument 'jwt' of type String"  # noqa: S105
SIGN_ALGO: Final = (
    "JWT(claims).sign(algo, secret, Optional<Header>) expect first argument 'algo' of type String"
)
DECODE: Final = "JWT(jwt).decode(algo, secret) expect"
VERIFY: Final = "JWT(jwt).verify(claims, algo, secret) expect"


class Refused(Exception):
    """A token that is not accepted; the text is the reference's kind of error."""


class Checks(NamedTuple):
    """What a token's claims must satisfy besides a good signature. `exp` must always be there."""

    expiry: bool = True
    not_before: bool = False
    leeway_s: int = LEEWAY_S
    issuer: str | None = None
    subject: str | None = None
    audiences: tuple[str, ...] | None = None


@JWT_BUILTINS.add("JWT", (1, 1))
def make_jwt(run: Run, args: Arguments, at: Position) -> Result:
    payload = args.get("jwt", 0)
    if payload is None:
        raise SoftError(NO_PAYLOAD)
    run.spend(OBJECT_COST)
    header = Value(Members({"typ": Value("JWT", at), "alg": Value("HS256", at)}), at)
    meta = Meta(content_type="jwt", secure=payload.is_secure)
    return Value(Members({"jwt": payload, "header": header}), at, meta)


@JWT_METHODS.add("sign", (0, ANY))
def sign(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    algorithm = _text(args, 0)
    if algorithm is None:
        raise SoftError(SIGN_ALGO)
    secret = _text(args, 1)
    if algorithm not in ALGORITHMS or secret is None:
        raise SoftError(BAD_ALGORITHM)
    header = _jose_header(algorithm, args[2] if len(args) > 2 else None)
    claims = json_text(_payload(this), run.limits.value_bytes, run.limits.nesting)
    run.spend(len(claims) // BYTES_A_STEP)
    signed = f"{_encoded(header)}.{_encoded(claims)}"
    return f"{signed}.{_signature(algorithm, secret, signed)}"


@JWT_METHODS.add("decode", (0, ANY))
def decode(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    algorithm = _text(args, 0)
    if algorithm is None:
        raise SoftError(f"{DECODE} first argument 'algo' of type String")
    if algorithm not in ALGORITHMS:
        raise SoftError(BAD_ALGORITHM)
    secret = _text(args, 1)
    if secret is None:
        raise SoftError(f"{DECODE} second argument 'claims' of type String")
    return _read(run, "decode", _token(this), algorithm, secret, Checks(), at)


@JWT_METHODS.add("verify", (0, ANY))
def verify(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    if not args:
        raise SoftError(f"{VERIFY} first argument 'claims' of type Object")
    checks = _checks(args[0])
    algorithm = _text(args, 1)
    if algorithm is None:
        raise SoftError(f"{VERIFY} second argument 'algo' of type String")
    if algorithm not in ALGORITHMS:
        raise SoftError(BAD_ALGORITHM)
    secret = _text(args, 2)
    if secret is None:
        raise SoftError(f"{VERIFY} third argument 'secrete' of type String")
    return _read(run, "verify", _token(this), algorithm, secret, checks, at)


# --- arguments ---------------------------------------------------------------------------------


def _text(args: tuple[Value, ...], index: int) -> str | None:
    data = args[index].data if index < len(args) else None
    return data if isinstance(data, str) else None


def _payload(this: Value) -> Value:
    found = this.data.get("jwt") if isinstance(this.data, Members) else None
    if found is None:
        raise SoftError(NOT_A_TOKEN)
    return found


def _token(this: Value) -> str:
    data = _payload(this).data
    if not isinstance(data, str):
        raise SoftError(NOT_A_TOKEN)
    return data


def _jose_header(algorithm: str, wanted: Value | None) -> str:
    """The header's JSON text, in the order of the reference: `typ`, `alg`, then the others."""
    chosen: Members = Members()
    if wanted is not None:
        if not isinstance(wanted.data, Members):
            raise SoftError(BAD_OBJECT)
        chosen = wanted.data
    for name in ("typ", *OTHER_HEADERS):
        if name in chosen and not isinstance(chosen[name].data, str):
            raise SoftError(f"JWT Headers '{name}' must be of type String")
    members = {"typ": chosen.get("typ", Value("JWT")), "alg": Value(algorithm)}
    members |= {name: chosen[name] for name in OTHER_HEADERS if name in chosen}
    pairs = (f"{json_text(Value(name))}:{json_text(value)}" for name, value in members.items())
    return "{" + ",".join(pairs) + "}"


class Option(NamedTuple):
    """A member of `verify`'s first argument; `named` and `type_name` are for the error text."""

    field: str
    type: type
    named: str
    type_name: str


OPTIONS: Final = {
    "validate_exp": Option("expiry", bool, "validate_exp", "Boolean"),
    "validate_nbf": Option("not_before", bool, "validate_nbf", "Boolean"),
    "iss": Option("issuer", str, "validate_nbf", "Boolean"),  # sic
    "sub": Option("subject", str, "validate_nbf", "Boolean"),  # sic
    "leeway": Option("leeway_s", int, "leeway", "Int"),
    "aud": Option("audiences", Items, "aud", "Boolean"),  # sic
}


def _checks(wanted: Value) -> Checks:
    """Reads the first argument of `verify`; members it does not know are ignored."""
    if not isinstance(wanted.data, Members):
        raise SoftError(BAD_OBJECT)
    fields: dict[str, Any] = {}
    for name, value in wanted.data.items():
        if (option := OPTIONS.get(name)) is not None:
            fields[option.field] = _option(option, value)
    return Checks(**fields)


def _option(option: Option, value: Value) -> bool | int | str | tuple[str, ...]:
    data: Any = value.data
    if data.__class__ is Items and all(isinstance(item.data, str) for item in data):
        data, matches = tuple(item.data for item in data), option.type is Items
    else:
        matches = data.__class__ is option.type and option.type is not Items
    if not matches:
        raise SoftError(f"JWT Validation '{option.named}' must be of type {option.type_name}")
    return data  # type: ignore[no-any-return]


# --- tokens ------------------------------------------------------------------------------------


def _read(
    run: Run, action: str, token: str, algorithm: str, secret: str, checks: Checks, at: Position
) -> Result:
    run.spend(len(token))  # JSON may become many values a byte, and its text is not seen yet
    try:
        header, claims = _verified(token, algorithm, secret)
        _check_claims(claims, checks, run.host.now_ms() // 1000)
    except Refused as refused:
        raise SoftError(f"Invalid JWT {action} {refused}") from None
    known: JsonObject = {name: text for name, text in header.items() if isinstance(text, str)}
    return Members({"header": from_json(known, at), "payload": from_json(claims, at)})


def _verified(token: str, algorithm: str, secret: str) -> tuple[JsonObject, JsonObject]:
    """Header and claims of a token with a good signature. Raises: Refused."""
    parts = token.rsplit(".", 2)
    if len(parts) != 3:
        raise Refused("InvalidToken")
    header = _parsed(parts[0])
    _check_header(header)
    if header["alg"] != algorithm:
        raise Refused("InvalidAlgorithm")
    expected = _signature(algorithm, secret, f"{parts[0]}.{parts[1]}")
    # Texts are compared, so a signature that is no base64 is simply a wrong one.
    if not hmac.compare_digest(expected.encode(), parts[2].encode("utf-8", "replace")):
        raise Refused("InvalidSignature")
    return header, _parsed(parts[1])


def _check_header(header: JsonObject) -> None:
    if "alg" not in header:
        raise Refused("Json(missing field `alg`)")
    if header["alg"] not in (*ALGORITHMS, *FOREIGN_ALGORITHMS):
        raise Refused("Json(unknown algorithm)")
    for name in ("typ", *OTHER_HEADERS):
        if not isinstance(header.get(name), str | None):
            raise Refused(f"Json(`{name}` is no string)")
    for name in header.keys() - {"typ", "alg", *OTHER_HEADERS}:
        del header[name]


def _check_claims(claims: JsonObject, checks: Checks, now_s: int) -> None:
    """Raises: Refused. A claim that is missing or of another type is no obstacle, but for `exp`."""
    expiry, not_before = _number(claims.get("exp")), _number(claims.get("nbf"))
    if expiry is None:
        raise Refused('MissingRequiredClaim("exp")')
    if checks.expiry and expiry < now_s - checks.leeway_s:
        raise Refused("ExpiredSignature")
    if checks.not_before and not_before is not None and not_before > now_s + checks.leeway_s:
        raise Refused("ImmatureSignature")
    subject = claims.get("sub")
    if checks.subject is not None and isinstance(subject, str) and subject != checks.subject:
        raise Refused("InvalidSubject")
    issuers = _texts(claims.get("iss"))
    if checks.issuer is not None and issuers is not None and checks.issuer not in issuers:
        raise Refused("InvalidIssuer")
    if checks.audiences is not None and not (
        frozenset(checks.audiences) & frozenset(_texts(claims.get("aud")) or ())
    ):
        raise Refused("InvalidAudience")


def _number(claim: Json) -> int | float | None:
    if isinstance(claim, bool) or not isinstance(claim, int | float):
        return None
    return claim


def _texts(claim: Json) -> list[str] | None:
    """The texts of a claim that is one or a list of them; None for anything else."""
    if isinstance(claim, str):
        return [claim]
    if isinstance(claim, list):
        texts = [text for text in claim if isinstance(text, str)]
        return texts if len(texts) == len(claim) else None
    return None


def _parsed(part: str) -> JsonObject:
    """A part's JSON object. Raises: Refused."""
    if "+" in part or "/" in part:
        _refuse_base64()
    try:
        raw = unpadded_base64(part.replace("-", "+").replace("_", "/"))
    except ValueError:
        _refuse_base64()
    try:
        found = parse_json(raw.decode("utf-8"))
    except ValueError as error:
        raise Refused(f"Json({error})") from None
    if not isinstance(found, dict):
        raise Refused("Json(not an object)")
    return found


def _refuse_base64() -> NoReturn:
    raise Refused("Base64(not unpadded base64url)")


def _encoded(text: str) -> str:
    return _base64url(text.encode("utf-8", "replace"))


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _signature(algorithm: str, secret: str, signed: str) -> str:
    key, message = secret.encode("utf-8", "replace"), signed.encode("utf-8", "replace")
    return _base64url(hmac.new(key, message, ALGORITHMS[algorithm]).digest())
