"""Web addresses: a text comes in, what to connect to and what to show comes out.

Reads addresses as browsers do, which is how the reference reads them: blanks around are dropped,
blanks and non-ASCII characters are percent-encoded, `..` is resolved, a host may be written as a
number. Spec: csml-language §10.7. Knows nothing of sockets.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes, urljoin

import idna

LONGEST: Final = 65_536
"""Characters of an address; no server takes longer ones."""

PORTS: Final = {"http": 80, "https": 443}
MAX_PORT: Final = 65_535

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_AUTHORITY = re.compile(r"[/\\]*([^/\\?#]*)")
_AROUND: Final = "".join(map(chr, range(0x21)))
_INSIDE = re.compile(r"[\t\n\r]")
_UNSAFE_IN_PATH = re.compile(r"[^!$-;=@-_a-z|~]+")
_UNSAFE_IN_QUERY = re.compile(r"[^!$-&(-;=?-~]+")
_UNSAFE_IN_FRAGMENT = re.compile(r"[^!#-;=?-_a-~]+")
_FORBIDDEN_IN_HOST = re.compile(r"[\x00-\x20\x7f#%/:<>?@\[\\\]^|]")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DOT = re.compile(r"\.|%2[eE]")
_DOTS = re.compile(r"(?:\.|%2[eE]){2}")


class BadAddress(ValueError):
    """A text that is no address; the message is what to tell the author."""


class WebAddress(NamedTuple):
    """An address as it is used and shown.

    `host` is ASCII, an IPv6 address without brackets; `target` the path with the query, as sent;
    `text` the whole address without credentials; `credentials` `(user, password)` if any.
    """

    scheme: str
    host: str
    port: int
    target: str
    text: str
    credentials: tuple[str, str] | None

    @property
    def authority(self) -> str:
        """What the `Host` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS.get(self.scheme) else f"{host}:{self.port}"


def parse_address(text: str) -> WebAddress:
    """Normalises an address. Other schemes than http and https keep their text as `text`.

    Raises: BadAddress.
    """
    if len(text) > LONGEST:
        raise BadAddress("the address is too long")
    text = _INSIDE.sub("", text.strip(_AROUND)).encode("utf-8", "replace").decode("utf-8")
    found = _SCHEME.match(text)
    if found is None:
        raise BadAddress("relative URL without a base")
    scheme, rest = found[1].lower(), text[found.end() :]
    if scheme not in PORTS:
        shown = _escaped(_UNSAFE_IN_QUERY, rest.partition("#")[0])
        return WebAddress(scheme, "", 0, "", f"{scheme}:{shown}", None)
    rest, hash_sign, fragment = rest.partition("#")
    rest, question, query = rest.partition("?")
    located = _AUTHORITY.match(rest)
    authority, path = (located[1], rest[located.end() :]) if located else ("", rest)
    user_info, at_sign, server = authority.rpartition("@")
    host, port = _host_and_port(server, PORTS[scheme])
    target = _path(path) + question + _escaped(_UNSAFE_IN_QUERY, query)
    address = WebAddress(scheme, host, port, target, "", _credentials(user_info, at_sign))
    tail = hash_sign + _escaped(_UNSAFE_IN_FRAGMENT, fragment)
    return address._replace(text=f"{scheme}://{address.authority}{target}{tail}")


def follow(address: WebAddress, location: str) -> WebAddress:
    """Where a redirect leads. Raises: BadAddress."""
    if len(location) > LONGEST:
        raise BadAddress("the address is too long")
    base = address.text.partition("#")[0]
    try:
        joined = urljoin(base, _INSIDE.sub("", location.strip(_AROUND)))
    except ValueError as error:
        raise BadAddress(str(error)) from None
    return parse_address(joined)


def _credentials(user_info: str, at_sign: str) -> tuple[str, str] | None:
    if not at_sign:
        return None
    user, _, password = user_info.partition(":")
    return unquote(user), unquote(password)


def _host_and_port(server: str, default: int) -> tuple[str, int]:
    has_port = ":" in server and not server.endswith("]")
    host, _, port = server.rpartition(":") if has_port else (server, "", "")
    if not port:
        return _host(host), default
    if not (port.isascii() and port.isdigit()) or len(port) > 5 or int(port) > MAX_PORT:
        raise BadAddress("invalid port number")
    return _host(host), int(port)


def _host(text: str) -> str:
    """A host in one spelling: names in lower-case ASCII, numbers as addresses."""
    if text.startswith("[") and text.endswith("]"):
        try:
            return str(IPv6Address(text[1:-1].replace("%", "!")))  # no zones: they are refused
        except AddressValueError:
            raise BadAddress("invalid IPv6 address") from None
    if not text:
        raise BadAddress("empty host")
    name = _ascii_name(unquote_to_bytes(text).decode("utf-8", "replace"))
    if _FORBIDDEN_IN_HOST.search(name):
        raise BadAddress("invalid domain character")
    labels = name.removesuffix(".").split(".")
    return _ipv4(labels) if _NUMBER.fullmatch(labels[-1]) else name


def _ascii_name(name: str) -> str:
    if name.isascii():
        return name.lower()
    if len(name) > 253:
        raise BadAddress("invalid international domain name")
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        raise BadAddress("invalid international domain name") from None


def _ipv4(labels: list[str]) -> str:
    """Reads `127.0.0.1`, `0x7f.1`, `017700000001` or `2130706433`, as a browser does."""
    numbers = [_ipv4_number(label) for label in labels]
    if len(numbers) > 4 or any(number > 255 for number in numbers[:-1]):
        raise BadAddress("invalid IPv4 address")
    if numbers[-1] >= 256 ** (5 - len(numbers)):
        raise BadAddress("invalid IPv4 address")
    whole = numbers[-1] + sum(number << (24 - 8 * i) for i, number in enumerate(numbers[:-1]))
    return str(IPv4Address(whole))


def _ipv4_number(label: str) -> int:
    if not _NUMBER.fullmatch(label) or len(label) > 40:
        raise BadAddress("invalid IPv4 address")
    if label[:2] in ("0x", "0X"):
        return int(label[2:] or "0", 16)
    try:
        return int(label, 8 if len(label) > 1 and label[0] == "0" else 10)
    except ValueError:
        raise BadAddress("invalid IPv4 address") from None


def _path(text: str) -> str:
    """The path with `.` and `..` resolved, starting with a slash."""
    escaped = _escaped(_UNSAFE_IN_PATH, text.replace("\\", "/"))
    segments = escaped.removeprefix("/").split("/")
    kept: list[str] = []
    for segment in segments:
        if _DOTS.fullmatch(segment):
            del kept[-1:]
        elif not _DOT.fullmatch(segment):
            kept.append(segment)
    if _DOTS.fullmatch(segments[-1]) or _DOT.fullmatch(segments[-1]):
        kept.append("")
    return "/" + "/".join(kept)


def _escaped(unsafe: re.Pattern[str], text: str) -> str:
    """Percent-encodes the UTF-8 bytes of unsafe characters; escapes that are there stay."""

    def escape(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8"))

    return unsafe.sub(escape, text)
