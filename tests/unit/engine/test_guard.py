"""Which addresses may be called. Spec: product §7."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from palaver.engine.guard import Guard, Refused

PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1"),
    *("172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1"),
    *("198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1"),
    *("64:ff9b::7f00:1", "64:ff9b:1::1", "2001:db8::1", "100::1", "2001::7f00:1", "4000::1"),
]


def addresses(guard: Guard, host: str) -> Sequence[str]:
    return asyncio.run(guard.addresses(host, 80))


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not Guard().permits(address, address)
    assert not Guard().permits("innocent.org", address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_what_is_public_is_permitted(address: str) -> None:
    assert Guard().permits(address, address)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_can_be_allowed(address: str) -> None:
    assert Guard(allow_loopback=True).permits("x", address)


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "10.0.0.1", "169.254.169.254", "2002:7f00:1::"]
)
def test_allowing_loopback_allows_nothing_else(address: str) -> None:
    assert not Guard(allow_loopback=True).permits("x", address)


def test_hosts_are_named_by_name_address_or_network() -> None:
    guard = Guard({"Intern.Example", "10.1.0.0/16", "192.168.0.7", "[fd00::1]"})
    assert guard.permits("INTERN.example.", "10.9.9.9")
    assert guard.permits("x", "10.1.2.3")
    assert guard.permits("x", "192.168.0.7")
    assert guard.permits("x", "fd00::1")
    assert not guard.permits("x", "10.2.0.1")
    assert not guard.permits("sub.intern.example", "10.9.9.9")


def test_only_the_permitted_addresses_of_a_name_are_used() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1", "8.8.8.8", "127.0.0.1"]

    assert addresses(Guard(resolve=resolve), "mixed.org") == ["8.8.8.8"]


def test_a_name_without_permitted_addresses_is_refused_with_the_setting() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    with pytest.raises(Refused, match=r"intern\.org is not a public address.*allow_hosts"):
        addresses(Guard(resolve=resolve), "intern.org")


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f.1", "127.1", "localhost", "a..b", ".", "x" * 70]
)
def test_the_systems_resolver_is_judged_too(host: str) -> None:
    guard = Guard()
    with pytest.raises((Refused, OSError)):
        addresses(guard, host)
    guard.close()
