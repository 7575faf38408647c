"""One HTTP request on its way: what is written, where a redirect leads, what came back.

Everything here is pure; `outbound.py` does the talking. Spec: csml-language §10.7.
"""

from __future__ import annotations

import base64
import zlib
from typing import Final, Literal, NamedTuple, TypeAlias

from palaver.engine.addresses import PORTS, BadAddress, WebAddress, follow

Redirects: TypeAlias = Literal["any", "same host", "none"]
"""Which redirects are followed; others are ordinary answers."""

FOLLOWED: Final = frozenset({301, 302, 303, 307, 308})
BECOME_GET: Final = frozenset({301, 302, 303})

OURS: Final = frozenset({"connection", "content-length", "transfer-encoding", "upgrade", "te"})
"""Headers that say how a message is framed; authors do not set them."""

COMPRESSED: Final = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Content codings → window bits for zlib. They are not asked for, yet some servers use them."""


class Failed(Exception):
    """The text of a `CallFailed`."""


class Hop(NamedTuple):
    """One request on the way; a redirect makes another."""

    method: str
    address: WebAddress
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


def failed(address: WebAddress, reason: str) -> Failed:
    return Failed(f"{address.text}: Connection Failed: {reason}")


def checked(address: WebAddress) -> WebAddress:
    """Raises: Failed for a scheme that is not spoken here."""
    if address.scheme not in PORTS:
        raise Failed(f"{address.text}: Unknown Scheme: unknown scheme '{address.scheme}'")
    return address


def redirected(hop: Hop, status: int, location: str, wanted: Redirects) -> Hop | None:
    """The next request, None when there is none. Credentials stay behind. Raises: Failed."""
    if status not in FOLLOWED or wanted == "none":
        return None
    try:
        address = checked(follow(hop.address, location))
    except BadAddress as error:
        raise failed(hop.address, f"bad redirect: {error}") from error
    if wanted == "same host" and address.host != hop.address.host:
        return None
    headers = tuple(pair for pair in hop.headers if pair[0].lower() != "authorization")
    if status in BECOME_GET:
        return Hop("GET", address, headers, None)
    return Hop(hop.method, address, headers, hop.body)


def wire_headers(hop: Hop) -> list[tuple[bytes, bytes]]:
    """The author's headers with those of the protocol; of equal names the last counts."""
    wire = {"host": ("Host", hop.address.authority)}
    if hop.address.credentials is not None:
        pair = ":".join(hop.address.credentials).encode("utf-8", "replace")
        wire["authorization"] = ("Authorization", "Basic " + base64.b64encode(pair).decode("ascii"))
    for name, value in hop.headers:
        if name.lower() not in OURS:
            wire[name.lower()] = (name, value)
    if hop.body is not None or hop.method not in ("GET", "HEAD"):
        wire["content-length"] = ("Content-Length", str(len(hop.body or b"")))
    return [
        (name.encode("ascii", "replace"), value.encode("utf-8", "replace"))
        for name, value in wire.values()
    ]


def answer_headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Names in lower case with their texts; of equal names the first counts."""
    headers: dict[str, str] = {}
    for name, value in raw:
        headers.setdefault(name.decode("ascii", "replace").lower(), _header_text(value))
    return headers


def _header_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def unpacked(body: bytes, headers: dict[str, str], limit: int) -> bytes:
    """The body without its content coding, at most one byte longer than `limit`.

    Raises: Failed when it is broken.
    """
    bits = COMPRESSED.get(headers.get("content-encoding", "").strip().lower())
    if bits is None or not body:
        return body
    try:
        return zlib.decompressobj(bits).decompress(body, limit + 1)
    except zlib.error:
        raise Failed(UNREADABLE) from None


UNREADABLE: Final = "failed to read response as JSON"
