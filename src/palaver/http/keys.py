"""Credentials in headers: how they are spelled, and how often one may knock.

Who a key belongs to is `services.access`'s to say.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import NamedTuple

from palaver.http.request import Request


def bearer_token(request: Request) -> str | None:
    """The token of `Authorization: Bearer <token>`; None when missing or spelled otherwise."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token else None


class ApiKey(NamedTuple):
    """An `X-Api-Key`: `<key>` or `<key>|<unix time>`. `text` is the header's exact value."""

    text: str
    key: str
    timestamp: str | None


def api_key(request: Request) -> ApiKey | None:
    """The request's `X-Api-Key`, None without one."""
    text = request.headers.get("x-api-key", "")
    if not text:
        return None
    key, bar, timestamp = text.partition("|")
    return ApiKey(text, key, timestamp if bar else None)


def is_signed(text: str, signature: str, secret: str) -> bool:
    """Whether `signature` is `sha256=<HMAC of text by secret>`. Takes equal time for all."""
    digest = hmac.new(secret.encode(), text.encode("latin-1", "replace"), hashlib.sha256)
    wanted = f"sha256={digest.hexdigest()}"
    return hmac.compare_digest(wanted.encode(), signature.encode("utf-8", "replace"))


class Throttle:
    """A token bucket a key: `rate` requests at once, and as many again within a second."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._buckets: dict[str, tuple[float, float]] = {}

    def admit(self, key: str, rate: float) -> bool:
        """Takes a token of the key's bucket; False when there is none.

        Args:
            key: one somebody issued; unknown ones never come here, so buckets stay few.
            rate: tokens a second, and the bucket's size (at least 1).
        """
        now = self._monotonic()
        size = max(rate, 1.0)
        tokens, since = self._buckets.get(key, (size, now))
        tokens = min(size, tokens + (now - since) * rate)
        admitted = tokens >= 1
        self._buckets[key] = (tokens - 1 if admitted else tokens, now)
        return admitted
