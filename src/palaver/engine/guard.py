"""Which machines may be called, and connections that go nowhere else.

A name is resolved, the addresses found are judged, and the connection is made to an address that
was judged: a name that resolves differently a moment later (DNS rebinding) changes nothing.
HTTP and SMTP both pass here. Spec: product §7.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Final, TypeAlias

import httpcore

Address: TypeAlias = IPv4Address | IPv6Address
Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the numeric addresses of a host. Raises: OSError when there are none."""

LOOKUP_THREADS: Final = 32
MOST_ATTEMPTS: Final = 4
"""Addresses of one host that are tried."""

_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_RELAYS: Final = IPv4Network("192.88.99.0/24")


_QUICKACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)
"""Linux only."""


class Refused(Exception):
    """The host is not to be called; the message tells the operator which setting decides."""


def embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64), if any."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def is_public(address: Address) -> bool:
    """Whether an address is an ordinary one of the Internet: not private, loopback, link-local,
    reserved, multicast or unspecified, in whatever form it is written."""
    if isinstance(address, IPv6Address):
        inner = embedded_ipv4(address)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    elif address in _RELAYS:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine's own: 127.0.0.0/8 (also mapped into IPv6) or ::1."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


class Guard:
    """Judges addresses.

    Args:
        allow_hosts: names, addresses or networks that may be called although they are not public.
        allow_loopback: whether this machine itself may be called.
        resolve: where names are looked up; the system's resolver by default.
    """

    def __init__(
        self,
        allow_hosts: Iterable[str] = (),
        *,
        allow_loopback: bool = False,
        resolve: Resolver | None = None,
    ) -> None:
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in allow_hosts:
            try:
                self._networks.append(ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                self._names.add(entry.lower().removesuffix("."))
        self._allow_loopback = allow_loopback
        self._lookups = (
            ThreadPoolExecutor(LOOKUP_THREADS, "palaver-dns") if resolve is None else None
        )
        self._resolve = resolve or self._look_up

    def permits(self, host: str, address: str) -> bool:
        """Whether `address`, found for the name `host`, may be connected to."""
        found = ip_address(address.partition("%")[0])
        return (
            is_public(found)
            or host.lower().removesuffix(".") in self._names
            or any(found in network for network in self._networks)
            or (self._allow_loopback and is_loopback(found))
        )

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, at least one.

        Raises: Refused; OSError when the host is unknown.
        """
        try:
            found: Sequence[str] = (str(ip_address(host)),)
        except ValueError:
            found = await self._resolve(host, port)
        permitted = [address for address in found if self.permits(host, address)]
        if not permitted:
            raise Refused(
                f"{host} is not a public address; name it in allow_hosts to allow calls to it"
            )
        return permitted[:MOST_ATTEMPTS]

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        # Threads of our own: slow name servers must not hold up those who share the loop's.
        loop = asyncio.get_running_loop()
        # Bytes, for `getaddrinfo` would encode a text once more and fail on unusual names.
        name = host.encode("ascii", "replace")
        rows = await loop.run_in_executor(
            self._lookups, lambda: socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(row[4][0]) for row in rows))

    def close(self) -> None:
        """Forgets what is being looked up."""
        if self._lookups is not None:
            self._lookups.shutdown(wait=False, cancel_futures=True)


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Connections of an httpcore pool, made to judged addresses only.

    The pool keeps the host's name, so TLS checks the certificate of the name, and a pooled
    connection stays with the address that was judged.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            addresses = await self._guard.addresses(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the host {host} is unknown ({error})") from error
        share = None if timeout is None else timeout / len(addresses)
        for last, address in enumerate(addresses, 1 - len(addresses)):
            try:
                stream = await self._inner.connect_tcp(
                    address, port, share, local_address, socket_options
                )
                return PromptStream(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if last == 0:
                    raise
        raise AssertionError("a host without addresses is refused")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class PromptStream(httpcore.AsyncNetworkStream):
    """A connection that acknowledges at once what it receives.

    Servers that send head and body apart without TCP_NODELAY (Python's own, for one) wait for an
    acknowledgement in between, which Linux delays by 40 ms on a connection that is kept.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._socket = inner.get_extra_info("socket")

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
    ) -> bytes:
        if _QUICKACK is not None:
            with suppress(OSError):  # the kernel forgets the wish, so it is told each time
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        return await self._inner.read(max_bytes, timeout)

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
    ) -> None:
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's signature)
    ) -> httpcore.AsyncNetworkStream:
        return PromptStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
