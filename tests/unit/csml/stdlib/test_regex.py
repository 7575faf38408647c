"""The reference's regular expressions over RE2. Spec: csml-language §10.3."""

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver.csml.failures import BudgetExceeded
from palaver.csml.limits import Limits
from palaver.csml.stdlib import regex_properties as properties
from palaver.csml.stdlib import regex_sets as sets
from palaver.csml.stdlib.regex import Pattern, compile_pattern
from palaver.csml.stdlib.regex_syntax import translate
from tests.speed import takes_at_most
from tests.unit.csml.fakes import FakeRun


def found(text: str, pattern: str) -> list[str]:
    return list(compile_pattern(pattern).matches(text))


def replaced(text: str, pattern: str, replacement: str, room: int = 1_000_000) -> str | None:
    return compile_pattern(pattern).replace(text, replacement, room=room)


# --- syntax ------------------------------------------------------------------------------------

REFUSED = [
    "a(?=b)", "a(?!b)", "(?<=a)b", "(?<!a)b", "(a)\\1", "(?P<x>a)(?P=x)", "\\k<x>", "(?>a)",
    "(?#c)a", "\\Z", "\\G", "\\h", "\\R", "\\X", "\\Q.\\E", "\\e", "\\cA", "\\/", "\\_", "\\<",
    "\\@", "\\;", "\\ ", "\\é", "(", ")", "[", "[[]", "[a", "[a-", "[^", "{", "a{", "a{2", "a{2,",
    "a{,2}", "a{}", "a{2,1}", "a{x}", "*a", "+", "?", "(*a)", "|*", "(?i)*", "(?P<>a)", "(?P<1a>a)",
    "(?P<é>a)", "(?P<a>a)(?P<a>b)", "(?P<a", "(?<n>a)", "(?i", "(?k)", "(?)", "(?-)", "(?i-)",
    "(?--i)", "(?ii)", "(?i-i)", "[b-a]", "[]", "[^]", "[a-\\d]", "[\\d-a]", "[\\b]", "[a&&b]",
    "[^\\x{0}-\\x{10FFFF}]", "(a{1000}){1000}", "a{999999999999}", "\\p{Foo}", "\\p{", "\\pé",
    "\\p{sc=Foo}", "\\p{Foo=Greek}", "\\p{scx=Foo}", "\\p{Age=99}", "\\p{age=}", "\\p{age=6.0,v60}",
    "\\p{scx}", "\\p{age}", "\\p{Emoji=Yes}", "\\p{}", "\\p{=}", "\\p{emoji x}", "\\x4", "\\xg1", "\\x{}", "\\x{110000}", "\\u{D800}",
    "\\uD800", "\\U0011000", "\\8", "\\0", "\\", "(?-u:.)", "(?-u:\\W)", "(?-u:[^a])", "(?-u:\\B)",
    "(?-u:\\xFF)", "(?-u:\\pL)", "(?-u:[é])", "(?i-u:é)",
]  # fmt: skip

VALID = [
    "", "]", "}", "a++", "a**", "a*?", "a+*", "a{2}+", "a{1001}", "a{ 2 , 3 }", "(a{100}){100}",
    "|", "a||b", "()", "(?:)", "(?-i)", "(?i-s:a)", "[]a]", "[^]a]", "[-a]", "[a-]", "[--a]",
    "[[:alpha:]]", "[:alpha:]", "[[:foo:]]", "[[:alpha]]", "(?P<a.b[0]>x)", "\\pL", "\\p{Lu}",
    "\\p{letter}", "\\p{Is Greek}", "\\p{script=Cyrillic}", "\\p{sc:grek}", "\\p{gc!=L}",
    "\\P{Any}a|b", "\\x41", "\\x{41}", "\\u0041", "\\u{41}", "\\U00000041", "\\x{00000000041}",
    "^*", "\\b+", "(?x) a # b\n c", "(?x)\\ ", "(?-u:\\w)", "\\w{1,255}",
]  # fmt: skip
VALID.remove("\\P{Any}a|b")  # an empty class, like any other


@pytest.mark.parametrize("pattern", [*REFUSED, "\\P{Any}a|b"])
def test_invalid_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", VALID)
def test_valid_patterns_compile(pattern: str) -> None:
    assert isinstance(compile_pattern(pattern), Pattern)


@pytest.mark.parametrize(
    ("text", "pattern", "matches"),
    [
        # matches, alternatives, repetitions
        ("a1b22c333", r"\d+", ["1", "22", "333"]),
        ("one", "o|on|one", ["o"]),
        ("one", "one|on|o", ["one"]),
        ("aaa", "a{2}", ["aa"]),
        ("aaa", "a+?", ["a", "a", "a"]),
        ("aab", "a{2,}b", ["aab"]),
        ("aaaa", "a{1,3}", ["aaa", "a"]),
        ("aaaa", "a{1,3}?", ["a"] * 4),
        ("aaa", "(?U)a+", ["a", "a", "a"]),
        ("aaa", "(?U)a+?", ["aaa"]),
        ("a" * 1500, "a{1001}", ["a" * 1001]),
        ("a" * 2500, "(?:a{100}){11,25}", ["a" * 2500]),
        ("日本語", ".", ["日", "本", "語"]),
        # each search sees the rest as a new text
        ("aaa", "^a", ["a", "a", "a"]),
        ("foobar", r"\b[a-z]{3}", ["foo", "bar"]),
        ("aaa", "a$", ["a"]),
        ("ab", r"\Aa|\Ab", ["a", "b"]),
        ("xay", r"\Ba", ["a"]),
        # empty matches
        ("abc", "", ["", "", "", ""]),
        ("abc", "$", [""]),
        ("日本", "x*", ["", "", ""]),
        # flags and anchors
        ("one\ntwo\n", "one$", []),
        ("one\ntwo\n", "(?m)one$", ["one"]),
        ("b\n", "b$", []),
        ("b\n", r"b\z", []),
        ("one\ntwo", "(?m)^two", ["two"]),
        ("one\ntwo", r"(?m)\Atwo", []),
        ("a\r\nb", "(?m)a$", []),
        ("one\ntwo", "one.two", []),
        ("one\ntwo", "(?s)one.two", ["one\ntwo"]),
        ("a\rb", "a.b", ["a\rb"]),
        ("one", "(?x) o n e # comment", ["one"]),
        ("a b", r"(?x)a\ b", ["a b"]),
        ("ab", "(?x)[a b]+ ?", ["a", "b"]),
        ("ONE two", "(?i:one) two", ["ONE two"]),
        ("oneTWO", "one(?i)two", ["oneTWO"]),
        ("AB", "(a(?i)a|b)B", []),
        ("Ab", "(?i)a|B", ["A", "b"]),
        # case
        ("straSSe ſ", "(?i)s", ["s", "S", "S", "ſ"]),
        ("\u212a k", "(?i)k", ["\u212a", "k"]),
        ("\u212a k", "(?i-u)k", ["k"]),
        ("σς", "(?i)Σ", ["σ", "ς"]),
        ("ABC", "(?i)[^b]", ["A", "C"]),
        ("aB", r"(?i)\p{Lu}", ["a", "B"]),
        ("aB", r"(?i)[a-z&&[^b]]", ["a"]),
        # classes
        ("abcdef", "[a-z&&[^cd]]+", ["ab", "ef"]),
        ("abcdef", "[a-f--c-d]+", ["ab", "ef"]),
        ("abcdef", "[a-d~~c-f]+", ["ab", "ef"]),
        ("abcdef", "[a-f--c&&d-f]+", ["def"]),
        ("a-b", "[a-]+", ["a-"]),
        ("a-b", "[--b]+", ["-b"]),
        ("a^b", "[b^]+", ["^b"]),
        ("a]b", "[]]", ["]"]),
        (":foo", "[[:foo:]]+", [":foo"]),
        ("aé1!", "[[:alpha:]]", ["a"]),
        ("aé1!", "[[:^alpha:]]", ["é", "1", "!"]),
        ("x👍y", "[^a-z]", ["👍"]),
        ("a\nb", "[^a]+", ["\nb"]),
        # Unicode
        ("é٣_-日 ", r"\w", ["é", "٣", "_", "日"]),
        ("e\u0301\u200d", r"\w+", ["e\u0301\u200d"]),
        ("1٣²x", r"\d", ["1", "٣"]),
        ("a\u00a0\u2028\x1c", r"\s", ["\u00a0", "\u2028"]),
        ("Éa1", r"\p{Lu}", ["É"]),
        ("aΩж", r"\p{Greek}", ["Ω"]),
        ("aΩж", r"\p{script=Cyrillic}", ["ж"]),
        ("aΩж1", r"\P{L}", ["1"]),
        ("a😀1☺", r"\p{Emoji}", ["😀", "1", "☺"]),
        ("a😀1☺", r"\p{emoji presentation}", ["😀"]),
        ("a😀1☺", r"\p{Extended_Pictographic}", ["😀", "☺"]),
        ("a😀1☺", r"[\p{Emoji}--\d]+", ["😀", "☺"]),
        ("👍🏽x", r"\p{Emoji_Modifier_Base}\p{Emoji_Modifier}?", ["👍🏽"]),
        ("aーあ", r"\p{scx=Hira}+", ["ーあ"]),
        ("aーあ", r"\p{Hiragana}+", ["あ"]),
        ("aΩ", r"\p{Script_Extensions: Latn}", ["a"]),
        ("a€₽", r"\p{Age=6.0}", ["a", "€"]),
        ("a€₽", r"\p{age=V7_0}", ["a", "€", "₽"]),
        ("é1-x", r"\p{XID_Start}\p{XIDC}*", ["é1", "x"]),
        ("\u0610\u0488", r"\p{Alphabetic}", ["\u0610"]),
        ("ªaⅣA", r"\p{Lowercase}", ["ª", "a"]),
        ("ªaⅣA", r"\p{upper}", ["Ⅳ", "A"]),
        ("a–b", r"\p{Dash}", ["–"]),
        ("ab\t", r"\p{White_Space}", ["\t"]),
        ("aé٣ \u00a0", r"(?-u:\w|\s)", ["a", " "]),
        # escapes
        ("A", r"\x41\x{42}?\u0043?\U00000044?", ["A"]),
        ("👍", r"\U0001F44D", ["👍"]),
        ("#-~&", r"\#\-\~\&", ["#-~&"]),
        ("a{b]}", r"a\{b]}", ["a{b]}"]),
        ("\a\f\t\n\r\v", r"\a\f\t\n\r\v", ["\a\f\t\n\r\v"]),
        # word boundaries
        ("naïve été", r"\b\w+?\b", ["naïve", "été"]),
        ("a b", r"\bb\b", ["b"]),
        ("Zoé_1 _é Z é", r"\b\w+\b", ["Zoé_1", "_é", "Z", "é"]),
        ("é_Z", r"[_Z]\B", ["_"]),
        ("é—é", r"\b.", ["é", "é"]),
        ("ü_", r"\w\B_", ["ü_"]),
        ("日Z_本", r"日\BZ\B_\B本", ["日Z_本"]),
        ("éa", r"(?i)É\BA", ["éa"]),
        ("aé", r"(?-u:\b)é", ["é"]),
    ],
)  # fmt: skip
def test_matches(text: str, pattern: str, matches: list[str]) -> None:
    assert found(text, pattern) == matches


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "expected"),
    [
        ("2020-05-04", r"(\d+)-(\d+)-(\d+)", "$3.$2.$1", "04.05.2020"),
        ("ann bob", r"(?P<first>\w+) (?P<second>\w+)", "$second $first", "bob ann"),
        ("ann bob", r"(\w+) (\w+)", "${2}_$1", "bob_ann"),
        ("ann bob", r"(\w+) (\w+)", "$2_$1", "ann"),
        ("ann", "(n)", "[$0|$1|$2]", "a[n|n|][n|n|]"),
        ("ann", "n", "$$1", "a$1$1"),
        ("ann", "n", "$$$0", "a$n$n"),
        ("ann", "n", "$", "a$$"),
        ("ann", "n", "$ x", "a$ x$ x"),
        ("ann", "(n)", "$1x", "a"),
        ("ann", "(n)", "${1}x", "anxnx"),
        ("ann", "(n)", "${1x", "a${1x${1x"),
        ("ann", "(n)", "\\1", "a\\1\\1"),
        ("a(x)|b", "(a)|(b)", "<$1$2>", "<a>(x)|<b>"),
        ("ann", "(n)", "$01", "ann"),
        ("ann", "(n)", "${ 1 }", "a"),
        ("ann", "(n)", "${}", "a"),
        ("ann", "(n)", "$é", "a$é$é"),
        ("ann", "(?P<a.b>n)", "${a.b}!", "an!n!"),
        ("ann", "n", "$99999999999999999999999", "a"),
        ("abc", "", "-", "-a-b-c-"),
        ("baac", "a*", "-", "-b-c-"),
        ("abc", "^", ">", ">abc"),
        ("abc", "$", "<", "abc<"),
        ("a\nb", "(?m)^", "> ", "> a\n> b"),
        ("é日", "", ".", ".é.日."),
        ("", "", "e", "e"),
        ("été là", r"\b", "|", "|été| |là|"),
        ("éZ_é", r"\B", "|", "é|Z|_|é"),
        ("été_Z", r"\b(\w)(\w*)", "$2${1}_Z", "té_Zé_Z"),
        ("a" * 1200 + "b", "(?:(a){600}){2}(b)", "$1$2", "ab"),
        ("aab", "(?:(a)|b)*", "$1", "a"),
        ("abab", "(?:(a){1,600}(b)){1,3}", "<$1$2>", "<ab>"),
    ],
)
def test_replacements(text: str, pattern: str, replacement: str, expected: str) -> None:
    assert replaced(text, pattern, replacement) == expected


@pytest.mark.parametrize(
    ("text", "pattern", "starts", "ends"),
    [
        ("12ab", r"\d", True, False),
        ("ab12", r"\d+", False, True),
        ("ab12", "[a-z]+$|ab", True, False),
        ("aaa", "aa", True, False),
        ("aaaa", "aa", True, True),
        ("abab", "aba|b", True, True),
        ("ababa", "aba", True, False),
        ("abc", "", True, True),
        ("abc", "x*", True, True),
        ("abc", "$", False, True),
        ("", "a", False, False),
        ("é", ".", True, True),
        ("ab\n", r"b\s", False, True),
        ("ab\n", "b$", False, False),
        ("été", r"\bété\b", True, True),
    ],
)
def test_matches_at_the_ends(text: str, pattern: str, starts: bool, ends: bool) -> None:
    assert compile_pattern(pattern).starts(text) is starts
    assert compile_pattern(pattern).ends(text) is ends
    assert compile_pattern(pattern).is_in(text) is bool(
        re.search(pattern.replace("$", r"\Z"), text)
    )


# --- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        "(" * 100_000 + "a" + ")" * 100_000,
        "[" * 100_000 + "a" + "]" * 100_000,
        "(?:" * 300 + "a" + ")" * 300,
        "a" + "*" * 100_000,
        r"\w" * 20_000,
        r"(?i)" + r"[\w&&\pL]" * 20_000,
        "(?:(?:[ACEGIKMOQSUWY024]{1000})" + "[ACEG]" * 1000 + "){200}",
        "a" * 500_000,
        "(?x)" + " " * 500_000,
    ],
)
def test_huge_patterns_are_refused_soon(pattern: str) -> None:
    with takes_at_most(3), pytest.raises(ValueError, match=r"."):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(a*)*b", "(.*)*=.*"])
def test_patterns_that_explode_elsewhere_take_linear_time(pattern: str) -> None:
    with takes_at_most(1):
        assert not compile_pattern(pattern).is_in("a" * 200_000 + "!", FakeRun().spend)


def test_a_quadratic_list_of_matches_runs_out_of_budget() -> None:
    run = FakeRun(limits=Limits(instructions=500_000))
    with pytest.raises(BudgetExceeded):
        list(compile_pattern("a.*b|a").matches("a" * 300_000, run.spend))


def test_a_text_too_long_for_a_wide_pattern_is_refused() -> None:
    with pytest.raises(BudgetExceeded) as caught:
        compile_pattern("(?:a|b)*a(?:a|b){900}c").is_in("ab" * 300_000)
    assert caught.value.limit == "max_instructions"


def test_replacements_stop_at_the_room_there_is() -> None:
    assert replaced("a" * 1_000, "a", "bb", room=2_000) == "b" * 2_000
    assert replaced("a" * 1_000, "a", "bb", room=1_999) is None
    assert replaced("a" * 100_000, "a+", "$0" * 100_000, room=10_000_000) is None


def test_compiling_is_paid_for_once() -> None:
    run = FakeRun()
    compile_pattern("never (seen|before)", run.spend)
    spent = run.spent
    compile_pattern("never (seen|before)", run.spend)
    assert run.spent == spent > 0


# --- against other authorities -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["Lu", "Ll", "Nd", "Mn", "Sc", "Zs", "Pc", "Cc"])
def test_categories_agree_with_python_where_its_unicode_knows_the_character(name: str) -> None:
    members = {c for low, high in sets.property_named(name) for c in range(low, high + 1)}
    for code in range(0x3000):
        if category(chr(code)) != "Cn":
            assert (code in members) == (category(chr(code)) == name)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("Alphabetic", "aé日ⓐ\u0345", "1-\u0301"),
        ("Lowercase", "aªⓐ", "A1"),
        ("Uppercase", "AⅧ", "a1"),
        ("White_Space", " \u3000", "a\x1c"),
        ("LC", "aAǅ", "日1"),
        ("Cn", "\U000e0fff", "a"),
        ("C", "\x00\ue000\U000e0fff", "a"),
        ("Assigned", "a", "\U000e0fff"),
        ("ASCII", "\x7f", "\x80"),
        ("gc!=L", "1", "a"),
    ],
)
def test_properties(name: str, inside: str, outside: str) -> None:
    ranges = sets.property_named(name)
    for character in inside + outside:
        is_in = any(low <= ord(character) <= high for low, high in ranges)
        assert is_in is (character in inside), character


CODES = st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda p: (p[0], p[0] + p[1]))
SETS = st.lists(CODES, max_size=5).map(sets.normal)


def _members(ranges: sets.Ranges) -> set[int]:
    return {code for low, high in ranges for code in range(low, min(high, 200) + 1)}


@given(a=SETS, b=SETS)
def test_set_operations_are_those_of_sets(a: sets.Ranges, b: sets.Ranges) -> None:
    x, y = _members(a), _members(b)
    assert _members(sets.union(a, b)) == x | y
    assert _members(sets.intersection(a, b)) == x & y
    assert _members(sets.difference(a, b)) == x - y
    assert _members(sets.symmetric_difference(a, b)) == x ^ y
    assert _members(sets.negated(a)) == set(range(201)) - x


ATOMS = st.sampled_from(
    ["a", "b", "é", "_", "Z", ".", r"\w", r"\W", r"\b", r"\B", "[a_é]", "[^Zb]", r"\s", "^", "(?:)"]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["{0,2}", "{1,3}?", "{2}"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=6,
)
TEXTS = st.text(alphabet="abéï_Z -—\n", min_size=1, max_size=10)
"""Not empty: there Python finds no `\\B`, the reference does."""


@given(pattern=PATTERNS, text=TEXTS)
def test_searches_agree_with_python(pattern: str, text: str) -> None:
    match = re.search(pattern, text)
    assert compile_pattern(pattern).is_in(text) is (match is not None)
    assert compile_pattern(pattern).starts(text) is (re.match(pattern, text) is not None)


@given(pattern=PATTERNS.filter(lambda p: "|" not in p and "{" not in p), text=TEXTS)
def test_replacing_agrees_with_python_where_no_match_is_empty(pattern: str, text: str) -> None:
    if all(match.end() > match.start() for match in re.finditer(pattern, text)):
        assert replaced(text, pattern, "<$0>") == re.sub(pattern, r"<\g<0>>", text)


@given(text=st.text(alphabet="()[]{}|*+?.^$\\-&~:pPuxdbB#iImsU<>=!,aé1 \n", max_size=14))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    try:
        pattern = compile_pattern(text)
    except ValueError:
        return
    translate(text, marked=True)
    pattern.is_in("aé_Z 1")
    assert pattern.replace("aé_Z 1", "$0", room=100) == "aé_Z 1"


def _characters(name: str) -> set[int]:
    return {code for low, high in sets.property_named(name) for code in range(low, high + 1)}


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("XID_Start", lambda char: char != "_" and char.isidentifier()),
        ("XID_Continue", lambda char: f"a{char}".isidentifier()),
        ("Lowercase", str.islower),
        ("Uppercase", str.isupper),
    ],
)
def test_properties_agree_with_pythons(name: str, test: Callable[[str], bool]) -> None:
    """Among the characters of Unicode 13; Python's version is newer."""
    known = {code for code in _characters("Age=13.0") if not 0xD800 <= code <= 0xDFFF}
    assert _characters(name) == {code for code in known if test(chr(code))}


def test_every_property_has_characters_in_order() -> None:
    names = [name for name in properties._lines() if "=" not in name]
    assert len(names) > 80
    for name in names:
        ranges = properties.binary(name)
        assert ranges
        assert sets.normal(ranges) == ranges


@pytest.mark.parametrize(
    "text",
    [
        "x{0,1000}" * 60,
        "x?" * 70_000,
        "(?:x|){1000}" * 100,
        "(?:a?b?){1000}" * 40,
        "(?:a*){1000}" * 200,
    ],
)
def test_more_optional_pieces_than_can_be_compiled_in_time_are_too_large(text: str) -> None:
    with pytest.raises(ValueError, match="too large"):
        compile_pattern(text)


def test_many_optional_pieces_and_pieces_that_are_not_are_fine() -> None:
    assert compile_pattern("^.{0,10000}$").is_in("é" * 1_000)
    assert not compile_pattern("x{1000}" * 100).is_in("x" * 1_000)
    assert compile_pattern(r"^\w{1,255}$").is_in("ä" * 255)
    words = "|".join(f"word{number}" for number in range(5_000))
    assert compile_pattern(words).is_in("a word77 here")
