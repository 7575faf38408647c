"""Web addresses in one spelling. Spec: csml-language §10.7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.engine.addresses import BadAddress, follow, parse_address


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h", "http://h/"),
        ("  http://x.org/a b\n", "http://x.org/a%20b"),
        ("http://x.org/s?a=x y&b='\"<>`{|}", "http://x.org/s?a=x%20y&b=%27%22%3C%3E`{|}"),
        ("http://x.org/404?b=é#fräg", "http://x.org/404?b=%C3%A9#fr%C3%A4g"),
        ("http://x.org/x/../status/500", "http://x.org/status/500"),
        ("http://x.org/echo/../echo/./a//b", "http://x.org/echo/a//b"),
        ("http://x.org/../../a/..", "http://x.org/"),
        ("http://x.org/a/%2e%2E/b/%2e", "http://x.org/b/"),
        ("http://x.org/é ü", "http://x.org/%C3%A9%20%C3%BC"),
        ("HTTP:\\\\X.Org\\a\\b", "http://x.org/a/b"),
        ("http:////x.org/a", "http://x.org/a"),
        ("https://x.org:443/", "https://x.org/"),
        ("https://x.org:80", "https://x.org:80/"),
        ("http://x.org:/a", "http://x.org/a"),
        ("http://bücher.de/", "http://xn--bcher-kva.de/"),
        ("http://x%2eorg/", "http://x.org/"),
        ("http://x.org?a?b=%41", "http://x.org/?a?b=%41"),
        ("http://me:secret@x.org/", "http://x.org/"),
        ("http://2130706433/", "http://127.0.0.1/"),
        ("http://0x7f.1/", "http://127.0.0.1/"),
        ("http://017700000001/", "http://127.0.0.1/"),
        ("http://127.1:80/", "http://127.0.0.1/"),
        ("http://0/", "http://0.0.0.0/"),
        ("http://[::FFFF:127.0.0.1]:8080/", "http://[::ffff:7f00:1]:8080/"),
        ("http://[0:0:0:0:0:0:0:1]/", "http://[::1]/"),
    ],
)
def test_addresses_are_normalised(text: str, shown: str) -> None:
    address = parse_address(text)
    assert address.text == shown
    assert parse_address(shown).text == shown


def test_what_is_sent_where() -> None:
    address = parse_address("https://me:a%20b@x.org:8443/p/q?r#s")
    assert (address.scheme, address.host, address.port) == ("https", "x.org", 8443)
    assert address.target == "/p/q?r"
    assert address.authority == "x.org:8443"
    assert address.credentials == ("me", "a b")
    assert parse_address("http://[::1]:81/").authority == "[::1]:81"


@pytest.mark.parametrize(
    "text",
    [
        *("", "nonsense", "//x.org/", "/path", "http://", "http:///", "http://x.org:99999/"),
        *("http://x.org:a/", "http://a b/", "http://[::1/", "http://[fe80::1%25eth0]/"),
        *("http://256.256.256.256/", "http://1.2.3.4.5/", "http://08.1/", "http://a.0x/"),
        *("http://x%00y/", "http://\ud800/", "http://" + "ü" * 300, "http://x.org/" + "a" * 70_000),
    ],
)
def test_texts_that_are_no_addresses(text: str) -> None:
    with pytest.raises(BadAddress):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("ftp://127.0.0.1/x", "ftp://127.0.0.1/x"), ("Localhost:80/a b", "localhost:80/a%20b")],
)
def test_other_schemes_keep_their_text(text: str, shown: str) -> None:
    assert parse_address(text).text == shown


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("/b", "http://x.org:81/b"),
        ("b?c#d", "http://x.org:81/a/b?c#d"),
        ("../../b", "http://x.org:81/b"),
        ("//y.org/b", "http://y.org/b"),
        ("https://y.org", "https://y.org/"),
        ("?q", "http://x.org:81/a/f?q"),
        ("", "http://x.org:81/a/f?z"),
    ],
)
def test_redirects_are_relative(location: str, shown: str) -> None:
    assert follow(parse_address("http://x.org:81/a/f?z#frag"), location).text == shown


@given(
    st.text(max_size=60),
    st.sampled_from(["", "http://", "https://x.org/", "http://[", "http://x.org/?"]),
)
def test_any_text_is_an_address_or_refused(text: str, before: str) -> None:
    base = parse_address("http://x.org/")
    for read in (parse_address, lambda text: follow(base, text)):
        try:
            address = read(before + text)
        except BadAddress:
            continue
        assert address.text.isascii()
        assert address.target.isascii()
        assert not set(address.text) & set(" \r\n\t")
