"""Percent-encoding, HTML entities and JSON of strings. Spec: csml-language §10.3, §10.14."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.failures import BudgetExceeded, SoftError
from palaver.csml.limits import Limits
from palaver.csml.stdlib.conversions import OBJECT_CONVERSIONS, TEXT_CONVERSIONS
from palaver.csml.stdlib.entities import decode_entities, encode_entities
from palaver.csml.stdlib.uri import decode_component, decode_uri, encode_component, encode_uri
from tests.speed import takes_at_most
from tests.unit.csml.fakes import FakeRun, call, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.b/?k=é&n=2#x=1,é", "https://a.b/?k=%C3%A9&n=2#x=1,%C3%A9"),
        ("https://a.b/é d", "https://a.b/é d"),
        ("no url é", "no url é"),
        ("https://a.b/p é?k=v w", "https://a.b/p é?k=v%20w"),
        ("https://a.b/?", "https://a.b/"),
        ("https://a.b/?#frag é", "https://a.b/#frag é"),
        ("https://a.b/?a&b=&c=1", "https://a.b/?a&b&c=1"),
        ("https://a.b/?é=1&a b=2", "https://a.b/?é=1&a b=2"),
        ("https://a.b/?k=a,é,c", "https://a.b/?k=a,%C3%A9,c"),
        ("https://a.b/?k=a+b%20c", "https://a.b/?k=a%20b%20c"),
        ("https://a.b/?k=%C3%A9", "https://a.b/?k=%C3%A9"),
        ("https://a.b/?k=a=b", "https://a.b/?k=a%3Db"),
        ("https://a.b/?k=1?m=2", "https://a.b/?k=1%3Fm%3D2"),
        ("https://a.b?k=1;m=2", "https://a.b?k=1%3Bm%3D2"),
        ("HTTPS://A.B:443/x?k=/:@", "HTTPS://A.B:443/x?k=%2F%3A%40"),
        ("mailto:a@b.c?subject=hi you", "mailto:a@b.c?subject=hi%20you"),
        ("https://a.b/#x?y", "https://a.b/#x?y"),
        ("/path?k=é", "/path?k=%C3%A9"),
        ("", ""),
    ],
)
def test_encode_uri_encodes_values_of_query_and_fragment(text: str, expected: str) -> None:
    assert encode_uri(text) == expected
    assert call(TEXT_CONVERSIONS, "encode_uri", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://a.b/?k=%C3%A9&n=2#x=1,%C3%A9", "https://a.b/?k=é&n=2#x=1,é"),
        ("https://a.b/%C3%A9", "https://a.b/%C3%A9"),
        ("https://a.b/?k=a%2Cb,c%20d", "https://a.b/?k=a,b,c d"),
        ("https://a.b/?k=a+b", "https://a.b/?k=a b"),
        ("https://a.b/?k=%2520", "https://a.b/?k= "),
        ("https://a.b/?k=%FF", "https://a.b/?k=\ufffd"),
        ("https://a.b/?k=100%25&j=%zz", "https://a.b/?k=100%&j=%zz"),
        ("https://a.b/?%C3%A9=1", "https://a.b/?é=1"),
        ("https://a.b/?a=1&&b=2&", "https://a.b/?a=1&b=2"),
        ("https://a.b/?a=%26b", "https://a.b/?a=&b"),
        ("x", "x"),
        ("/path?k=%C3%A9", "/path?k=é"),
    ],
)
def test_decode_uri_decodes_values_of_query_and_fragment(text: str, expected: str) -> None:
    assert decode_uri(text) == expected
    assert call(TEXT_CONVERSIONS, "decode_uri", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b&c=é/?:@!'()*~-_.", "a%20b%26c%3D%C3%A9%2F%3F%3A%40%21%27%28%29%2A~-_."),
        ("AZaz09", "AZaz09"),
        ('👍\n"<>', "%F0%9F%91%8D%0A%22%3C%3E"),
        ("", ""),
    ],
)
def test_encode_uri_component(text: str, expected: str) -> None:
    assert call(TEXT_CONVERSIONS, "encode_uri_component", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a%20b+c%C3%A9", "a b+cé"),
        ("%F0%9F%91%8D%c3%a9", "👍é"),
        ("100% %zz %4", "100% %zz %4"),
        ("x%00y", "x\0y"),
    ],
)
def test_decode_uri_component(text: str, expected: str) -> None:
    assert call(TEXT_CONVERSIONS, "decode_uri_component", text) == expected


@pytest.mark.parametrize("text", ["%FF", "%C3", "%C3é"])
def test_decode_uri_component_wants_utf_8(text: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(TEXT_CONVERSIONS, "decode_uri_component", text)
    assert caught.value.text == "Invalid UTF8 string"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "<a href=\"x\">'&amp;'é</a>",
            "&lt;a href=\"x\"&gt;'&amp;amp;'é&lt;/a&gt;",
        ),
        ("a/b>c", "a/b&gt;c"),
    ],
)
def test_encode_html_entities(text: str, expected: str) -> None:
    assert call(TEXT_CONVERSIONS, "encode_html_entities", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&lt;b&gt; &amp;amp; &quot;q&quot; &#39;s&#39;", "<b> &amp; \"q\" 's'"),
        ("&#x27;h&#X27; &apos;", "'h' '"),
        ("&eacute;&euro;&hellip;&nbsp;|&copy;&Alpha;", "é€…\xa0|©Α"),
        ("&#233;&#x1F44D;&#128077;&#0000065;", "é👍👍A"),
        ("&bogus; &amp &lt;&gt &; & a;b &#; &#x; &#xZZ;", "&bogus; &amp &lt;&gt &; & a;b &#; &#x; &#xZZ;"),
        ("&#0;&#55296;&#1114112;&#99999999999;", "\0&#55296;&#1114112;&#99999999999;"),
        ("a;b & c &amp", "a;b & c &amp"),
    ],
)  # fmt: skip
def test_decode_html_entities(text: str, expected: str) -> None:
    assert call(TEXT_CONVERSIONS, "decode_html_entities", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        (" 42 ", 42),
        ("4.0", 4.0),
        ("1e2", 100.0),
        ("-0", -0.0),
        ('[-0, "-0", -0.5, -0e1]', [-0.0, "-0", -0.5, -0.0]),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551616", 2.0**64),
        ("-9223372036854775809", -(2.0**63)),
        ('"é\\u00e9\\n\\ud83d\\udc4d"', "éé\n👍"),
        ('{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_from_json(text: str, expected: Any) -> None:
    found = plain(call(TEXT_CONVERSIONS, "from_json", text))
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "{", "{a: 1}", "['a']", "[1,]", "01", "+1", ".5", "1.", "NaN", "Infinity", "nul",
        "True", "[1] x", "// c", '"a', '"\\q"', '"\t"', '"\\ud83d"', "1e400", "-", "--0", "-00",
        "9" * 5000,
    ],
)  # fmt: skip
def test_from_json_is_strict(text: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(TEXT_CONVERSIONS, "from_json", text)
    assert caught.value.text == "[from_json] [!] string to object failed]"


@pytest.mark.parametrize("text", ["9223372036854775808", "[18446744073709551615]", "9" * 400])
def test_from_json_of_ints_beyond_64_bits(text: str) -> None:
    with pytest.raises(SoftError) as caught:
        call(TEXT_CONVERSIONS, "from_json", text)
    assert caught.value.text == "Number is larger than a 64-bit integer"


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("to_json", "to_json() => obj"),
        ("from_json", "from_json() => object"),
        ("encode_uri", "encode_uri() => String"),
        ("decode_uri", "encode_uri() => String"),
        ("encode_uri_component", "encode_uri_component() => String"),
        ("decode_uri_component", "decode_uri_component() => String"),
        ("encode_html_entities", "encode_html_entities() => String"),
        ("decode_html_entities", "decode_html_entities() => String"),
    ],
)
def test_usages(name: str, usage: str) -> None:
    method = TEXT_CONVERSIONS[name]
    assert (method.low, method.high, method.usage) == (0, 0, usage)


def test_usages_of_objects() -> None:
    assert {name: method.usage for name, method in OBJECT_CONVERSIONS.items()} == {
        "to_xml": "to_xml() => string",
        "to_yaml": "to_yaml() => string",
    }


@pytest.mark.parametrize("name", ["encode_uri_component", "encode_html_entities"])
def test_results_are_bounded(name: str) -> None:
    with pytest.raises(BudgetExceeded, match="max_value_bytes"):
        call(TEXT_CONVERSIONS, name, "<" * 90, run=FakeRun(limits=Limits(value_bytes=100)))


@pytest.mark.parametrize(
    "text", ["&" * 300_000, "&;" * 100_000, "?" + "%" * 300_000, "?" + "&=," * 100_000]
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    with takes_at_most(4):
        for function in (
            decode_entities,
            encode_entities,
            encode_uri,
            decode_uri,
            decode_component,
        ):
            function(text)


@given(st.text())
def test_components_survive_encoding(text: str) -> None:
    assert decode_component(encode_component(text)) == text


@given(st.text(alphabet="&;#xAlt0g ", max_size=40))
def test_entities_survive_encoding(text: str) -> None:
    assert decode_entities(encode_entities(text)) == text


@given(st.text(alphabet="?&=,#%+aF é\ud800", max_size=40))
def test_addresses_never_fail(text: str) -> None:
    assert isinstance(encode_uri(text), str)
    assert isinstance(decode_uri(text), str)


@pytest.mark.parametrize(
    "text", ["?" + "%" * 600_000, "?" + "a=b&" * 100_000, "?k=" + "," * 200_000]
)
@pytest.mark.parametrize("function", [encode_uri, decode_uri])
def test_long_addresses_are_paid_for_while_they_are_read(
    function: Callable[..., str], text: str
) -> None:
    payments: list[int] = []
    function(text, payments.append)
    assert sum(payments) >= 200_000
    assert max(payments) < 20_000


@pytest.mark.parametrize("offset", range(4))
def test_no_escape_is_cut_in_two(offset: int) -> None:
    plain_text = "x" * offset + "é" * 6_000
    assert decode_component(encode_component(plain_text)) == plain_text
    assert decode_uri("?" + "x" * offset + "%" * 40_000) == "?" + "x" * offset + "%" * 40_000
