"""The one guarded door for everything that leaves the process: HTTP calls of flows, apps,
callbacks, webhooks, and mail.

Requests come in as effects, answers go out as effects; what fails comes back as `CallFailed` with
the text the author sees, never as an exception. Proxies of the environment are not used: they
would connect to addresses that nobody judged (`guard.py`).
Spec: csml-language §10.7, §10.8, §9.1; csml-engine-runtime §11, §12; product §7.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, Protocol

import httpcore
import msgspec

from palaver.csml.stdlib.app import NO_ENDPOINT
from palaver.effects import AppCall, CallFailed, HttpAnswer, HttpRequest, Mail
from palaver.engine import hops, mailer
from palaver.engine.addresses import BadAddress, WebAddress, parse_address
from palaver.engine.guard import Guard, GuardedBackend, Refused, Resolver
from palaver.engine.hops import Hop, Redirects
from palaver.engine.tls import client_context

logger = logging.getLogger(__name__)

MAX_CONNECTIONS: Final = 1000
KEEPALIVE_S: Final = 4.0
"""Shorter than common servers wait, so that a kept connection is rarely closed under a request."""

MAIL_THREADS: Final = 8
CALLBACK_TIMEOUT_S: Final = 5.0

JSON_HEADERS: Final = (("Content-Type", "application/json"), ("Accept", "application/json"))
APP_HEADERS: Final = (
    ("content-type", "application/json"),
    ("accept", "application/json,text/*"),
)


@dataclass(frozen=True, slots=True)
class OutboundSettings:
    """What calls to the outside may cost and where they may go."""

    timeout_s: float = 30.0
    """Seconds a call may take, redirects and the reading of the answer included."""

    max_response_bytes: int = 10 * 1024 * 1024
    """Bytes of an answer's body; a larger one fails."""

    max_redirects: int = 5
    """The redirect of this number fails: with 5, four are followed."""

    allow_hosts: frozenset[str] = frozenset()
    """Names, addresses or networks (`10.0.0.0/8`) that may be called although not public."""

    allow_loopback: bool = False
    """Whether this machine may be called; `serve` on a loopback host sets it."""

    disable_ssl_verify: bool | None = None
    """True: certificates of HTTP and app calls are never checked. False: not for requests with
    `.disable_ssl_verify()`. None: always. Spec: csml-engine-runtime §12."""


class CallObserver(Protocol):
    """Who is told of calls (metrics, tracing)."""

    def called(self, kind: str, result: str, began_ns: int) -> None:
        """A call ended.

        Args:
            kind: `http`, `app`, `callback` or `mail`.
            result: `ok` (mail), `failed`, or the class of the answer's status: `2xx`.
            began_ns: `time.time_ns()` when it began.
        """
        ...


class Outbound:
    """Sends requests and mail. One object serves a process; close it with `aclose`.

    Args:
        resolve: looks names up; for tests.
        tls: the trusted certificates; for tests. By default those of `tls.client_context`.
        observer: is told of every call.
    """

    def __init__(
        self,
        settings: OutboundSettings | None = None,
        *,
        resolve: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        observer: CallObserver | None = None,
    ) -> None:
        self.settings = settings or OutboundSettings()
        self._guard = Guard(
            self.settings.allow_hosts,
            allow_loopback=self.settings.allow_loopback,
            resolve=resolve,
        )
        self._observer = observer
        self._tls = tls
        self._mail_tls = tls
        self._pools: dict[bool, httpcore.AsyncConnectionPool] = {}
        self._mail_threads: ThreadPoolExecutor | None = None

    async def aclose(self) -> None:
        """Closes every connection and stops the threads."""
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()
        self._guard.close()
        if self._mail_threads is not None:
            self._mail_threads.shutdown(wait=False, cancel_futures=True)
            self._mail_threads = None

    # --- requests ------------------------------------------------------------------------------

    async def send(
        self, request: HttpRequest, timeout_s: float | None = None
    ) -> HttpAnswer | CallFailed:
        """Performs a flow's request; an error status is an answer, too.

        Args:
            timeout_s: what remains of the turn, if that is less than the setting.
        """
        body = None if request.body is None else request.body.encode("utf-8", "replace")
        return await self._call(
            request.method,
            request.url,
            request.headers,
            body,
            timeout_s=self._shorter(timeout_s),
            verify=self._verifies(request_wants=request.verify_tls),
            kind="http",
        )

    async def app(
        self,
        endpoint: str | None,
        call: AppCall,
        client: tuple[str, str, str],
        timeout_s: float | None = None,
    ) -> HttpAnswer | CallFailed:
        """Calls an app at the bot's endpoint. Spec: csml-language §9.1.

        Args:
            client: bot id, channel id, user id.
        """
        if endpoint is None:
            return CallFailed(NO_ENDPOINT)
        ids = dict(zip(("bot_id", "channel_id", "user_id"), client, strict=True))
        try:
            body = msgspec.json.encode({"function_id": call.name, "data": call.data, "client": ids})
        except (UnicodeEncodeError, RecursionError):
            return CallFailed("the data of the call cannot be written as JSON")
        answer = await self._call(
            "POST",
            endpoint,
            APP_HEADERS,
            body,
            timeout_s=self._shorter(timeout_s),
            verify=self._verifies(request_wants=True),
            kind="app",
        )
        if isinstance(answer, CallFailed):  # the language shows the author no reason (§9.1)
            logger.warning("app %s: %s", call.name, answer.text, extra={"action": "app_failed"})
        return answer

    async def post_json(
        self,
        url: str,
        body: bytes,
        timeout_s: float = CALLBACK_TIMEOUT_S,
        headers: tuple[tuple[str, str], ...] = (),
        redirects: Redirects = "any",
    ) -> HttpAnswer | CallFailed:
        """Posts to a callback or webhook, not bound by `settings.timeout_s`.

        Spec: csml-engine-runtime §11.

        Args:
            headers: further ones; they win over `Content-Type` and `Accept`.
        """
        return await self._call(
            "POST",
            url,
            (*JSON_HEADERS, *headers),
            body,
            timeout_s=timeout_s,
            verify=True,
            kind="callback",
            redirects=redirects,
        )

    def _shorter(self, timeout_s: float | None) -> float:
        own = self.settings.timeout_s
        return own if timeout_s is None else max(0.0, min(own, timeout_s))

    def _verifies(self, *, request_wants: bool) -> bool:
        setting = self.settings.disable_ssl_verify
        return setting is None or (setting is False and request_wants)

    async def _call(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes | None,
        *,
        timeout_s: float,
        verify: bool,
        kind: str,
        redirects: Redirects = "any",
    ) -> HttpAnswer | CallFailed:
        began_ns = time.time_ns()
        answer = await self._attempt(
            method, url, headers, body, timeout_s=timeout_s, verify=verify, redirects=redirects
        )
        if self._observer is not None:
            result = "failed"
            if not isinstance(answer, CallFailed):
                result = f"{answer.status // 100}xx"
            self._observer.called(kind, result, began_ns)
        return answer

    async def _attempt(
        self,
        method: str,
        url: str,
        headers: tuple[tuple[str, str], ...],
        body: bytes | None,
        *,
        timeout_s: float,
        verify: bool,
        redirects: Redirects = "any",
    ) -> HttpAnswer | CallFailed:
        try:
            address = hops.checked(parse_address(url))
        except BadAddress as error:
            return CallFailed(f"Bad URL: failed to parse URL: {error}")
        except hops.Failed as failed:
            return CallFailed(str(failed))
        hop = Hop(method.upper(), address, headers, body)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._follow(hop, self._pool(verify=verify), redirects)
        except TimeoutError:
            reason = f"no answer within {timeout_s:g} s (http_timeout_s)"
            return CallFailed(str(hops.failed(address, reason)))
        except hops.Failed as failed:
            return CallFailed(str(failed))

    async def _follow(
        self, hop: Hop, pool: httpcore.AsyncConnectionPool, wanted: Redirects
    ) -> HttpAnswer:
        """Sends, and sends again where a redirect leads. Raises: Failed."""
        limit, asked = self.settings.max_redirects, hop.address
        for _ in range(max(1, limit)):
            answer = await self._exchange(hop, pool)
            location = answer.headers.get("location")
            following = location and hops.redirected(hop, answer.status, location, wanted)
            if not following:
                return answer
            hop = following
        raise hops.failed(asked, f"too many redirects for http_max_redirects ({limit})")

    async def _exchange(self, hop: Hop, pool: httpcore.AsyncConnectionPool) -> HttpAnswer:
        """One request and its answer, completely read. Raises: Failed."""
        address = hop.address
        request = httpcore.Request(
            hop.method.encode("ascii", "replace"),
            httpcore.URL(
                scheme=address.scheme.encode("ascii"),
                host=address.host.encode("ascii"),
                port=address.port,
                target=address.target.encode("ascii"),
            ),
            headers=hops.wire_headers(hop),
            content=hop.body or b"",
            # The whole exchange has a timeout; this one only divides it between addresses.
            extensions={"timeout": {"connect": self.settings.timeout_s}},
        )
        try:
            response = await pool.handle_async_request(request)
        except Refused as refused:
            raise hops.failed(address, str(refused)) from refused
        except (*_TRANSPORT_ERRORS, OSError, ValueError) as error:
            raise hops.failed(address, _cause(error)) from error
        try:
            return await self._read(address, response)
        finally:
            await response.aclose()

    async def _read(self, address: WebAddress, response: httpcore.Response) -> HttpAnswer:
        headers = hops.answer_headers(response.headers)
        limit = self.settings.max_response_bytes
        chunks: list[bytes] = []
        left = limit
        try:
            async for chunk in response.aiter_stream():
                left -= len(chunk)
                if left < 0:
                    raise _too_large(address, limit)
                chunks.append(chunk)
        except _TRANSPORT_ERRORS:
            raise hops.Failed(hops.UNREADABLE) from None
        body = hops.unpacked(b"".join(chunks), headers, limit)
        if len(body) > limit:
            raise _too_large(address, limit)
        return HttpAnswer(response.status, headers, body.decode("utf-8", "replace"), address.text)

    def _pool(self, *, verify: bool) -> httpcore.AsyncConnectionPool:
        pool = self._pools.get(verify)
        if pool is None:
            tls = self._tls if verify else None
            pool = self._pools[verify] = httpcore.AsyncConnectionPool(
                ssl_context=tls or client_context(verify=verify),
                max_connections=MAX_CONNECTIONS,
                max_keepalive_connections=MAX_CONNECTIONS // 10,
                keepalive_expiry=KEEPALIVE_S,
                network_backend=GuardedBackend(self._guard),
            )
        return pool

    # --- mail ----------------------------------------------------------------------------------

    async def mail(self, mail: Mail, timeout_s: float | None = None) -> CallFailed | None:
        """Delivers a mail. Spec: csml-language §10.8."""
        began_ns = time.time_ns()
        failed = await self._mail(mail, timeout_s)
        if self._observer is not None:
            self._observer.called("mail", "ok" if failed is None else "failed", began_ns)
        return failed

    async def _mail(self, mail: Mail, timeout_s: float | None) -> CallFailed | None:
        seconds = self._shorter(timeout_s)
        try:
            async with asyncio.timeout(seconds):
                await self._deliver(mail, seconds)
        except TimeoutError:
            return _undelivered(f"no answer within {seconds:g} s (http_timeout_s)")
        except (Refused, mailer.MailError) as error:
            return _undelivered(str(error))
        except OSError as error:
            return _undelivered(_cause(error))
        return None

    async def _deliver(self, mail: Mail, seconds: float) -> None:
        if not 0 < mail.port <= mailer.MAX_PORT:
            raise mailer.MailError(f"{mail.port} is no port")
        addresses = await self._guard.addresses(mail.server, mail.port)
        if self._mail_threads is None:
            self._mail_threads = ThreadPoolExecutor(MAIL_THREADS, "palaver-mail")
        if self._mail_tls is None:
            self._mail_tls = client_context()
        delivery = mailer.Delivery(mail, addresses, seconds, self._mail_tls)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._mail_threads, delivery.run)
        finally:
            delivery.abandon()


_TRANSPORT_ERRORS: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


def _too_large(address: WebAddress, limit: int) -> hops.Failed:
    return hops.failed(address, f"the answer is larger than http_max_bytes ({limit})")


def _cause(error: BaseException) -> str:
    """The system's words for what went wrong, else the library's, which say little."""
    words = str(error) or type(error).__name__
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, ssl.SSLError | socket.gaierror):
            words = inner.strerror or words
        elif isinstance(inner, OSError) and inner.errno:
            words = os.strerror(inner.errno)  # asyncio's own words would tell the address
        inner = inner.__cause__ or inner.__context__
    return words


def _undelivered(reason: str) -> CallFailed:
    return CallFailed(f"Could not send email: {reason}")
