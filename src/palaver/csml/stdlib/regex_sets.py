"""Sets of code points, for the classes of regular expressions. Spec: csml-language §10.3.

A set is a tuple of inclusive ranges `(low, high)`, sorted, neither touching nor overlapping.
What Unicode says about code points is asked of RE2, by running a class over all of them once;
case is folded as Unicode's simple folding does. Surrogates are not characters: `scalars` takes
them out.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Final, TypeAlias

import re2

from palaver.csml.stdlib import regex_properties as properties

Ranges: TypeAlias = tuple[tuple[int, int], ...]

MAX: Final = 0x10FFFF
SURROGATES: Final[Ranges] = ((0xD800, 0xDFFF),)
ASCII: Final[Ranges] = ((0, 0x7F),)


# --- set operations ----------------------------------------------------------------------------


def normal(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """The set of any ranges, in whatever order."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return tuple(merged)


def negated(ranges: Ranges) -> Ranges:
    gaps = []
    start = 0
    for low, high in ranges:
        if low > start:
            gaps.append((start, low - 1))
        start = high + 1
    if start <= MAX:
        gaps.append((start, MAX))
    return tuple(gaps)


def union(a: Ranges, b: Ranges) -> Ranges:
    return normal((*a, *b))


def intersection(a: Ranges, b: Ranges) -> Ranges:
    both = []
    left = right = 0
    while left < len(a) and right < len(b):
        low = max(a[left][0], b[right][0])
        high = min(a[left][1], b[right][1])
        if low <= high:
            both.append((low, high))
        if a[left][1] < b[right][1]:
            left += 1
        else:
            right += 1
    return tuple(both)


def difference(a: Ranges, b: Ranges) -> Ranges:
    return intersection(a, negated(b))


def symmetric_difference(a: Ranges, b: Ranges) -> Ranges:
    return difference(union(a, b), intersection(a, b))


def scalars(ranges: Ranges) -> Ranges:
    """Without surrogates, which no text holds."""
    return difference(ranges, SURROGATES)


def of_characters(characters: Iterable[str]) -> Ranges:
    return normal((ord(character), ord(character)) for character in characters)


# --- what Unicode says -------------------------------------------------------------------------


@cache
def _everything() -> bytes:
    """All characters in order, as UTF-8."""
    codes = array("I", [*range(0xD800), *range(0xE000, MAX + 1)])
    return codes.tobytes().decode("utf-32").encode()


@cache
def _asked(items: str) -> Ranges:
    """The code points in the class of these items, in RE2's syntax."""
    everything = _everything()
    found = []
    for match in re2.finditer(f"[{items}]+", everything):
        start, end = match.span()
        first = everything[start : start + 4].decode(errors="ignore")[0]
        last = everything[end - 4 if end > 4 else 0 : end].decode(errors="ignore")[-1]
        found.append((ord(first), ord(last)))
    return normal(found)


_CIRCLED_LETTERS: Final = (
    r"\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}"
)
"""Symbols that are alphabetic nevertheless."""


@cache
def digits() -> Ranges:
    return _asked(r"\p{Nd}")


@cache
def words() -> Ranges:
    """Alphabetic, marks, decimal digits, connectors and join controls (UTS 18, annex C)."""
    return _asked(rf"\p{{L}}\p{{M}}\p{{Nd}}\p{{Nl}}\p{{Pc}}\x{{200C}}\x{{200D}}{_CIRCLED_LETTERS}")


@cache
def blanks() -> Ranges:
    return of_characters(WHITE_SPACE)


WHITE_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""Unicode's White_Space; Python's idea of it has four control characters more."""


# --- named classes -----------------------------------------------------------------------------

POSIX: Final[dict[str, Ranges]] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ASCII,
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": ((48, 57),),
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": ((48, 57), (65, 90), (95, 95), (97, 122)),
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}

_CATEGORIES: Final = (
    "l:L letter:L lc:Lu|Ll|Lt casedletter:Lu|Ll|Lt lu:Lu uppercaseletter:Lu ll:Ll "
    "lowercaseletter:Ll lt:Lt titlecaseletter:Lt lm:Lm modifierletter:Lm lo:Lo otherletter:Lo "
    "m:M mark:M combiningmark:M mn:Mn nonspacingmark:Mn mc:Mc spacingmark:Mc me:Me "
    "enclosingmark:Me n:N number:N nd:Nd digit:Nd decimalnumber:Nd nl:Nl letternumber:Nl no:No "
    "othernumber:No p:P punct:P punctuation:P pc:Pc connectorpunctuation:Pc pd:Pd "
    "dashpunctuation:Pd ps:Ps openpunctuation:Ps pe:Pe closepunctuation:Pe pi:Pi "
    "initialpunctuation:Pi pf:Pf finalpunctuation:Pf po:Po otherpunctuation:Po s:S symbol:S "
    "sm:Sm mathsymbol:Sm sc:Sc currencysymbol:Sc sk:Sk modifiersymbol:Sk so:So othersymbol:So "
    "z:Z separator:Z zs:Zs spaceseparator:Zs zl:Zl lineseparator:Zl zp:Zp "
    "paragraphseparator:Zp cc:Cc cntrl:Cc control:Cc cf:Cf format:Cf co:Co privateuse:Co"
)
"""General categories, by their names without case, blanks, `-` and `_`."""

_SCRIPTS: Final = (
    "Adlam:Adlm Ahom Anatolian_Hieroglyphs:Hluw Arabic:Arab Armenian:Armn Avestan:Avst "
    "Balinese:Bali Bamum:Bamu Bassa_Vah:Bass Batak:Batk Bengali:Beng Bhaiksuki:Bhks Bopomofo:Bopo "
    "Brahmi:Brah Braille:Brai Buginese:Bugi Buhid:Buhd Canadian_Aboriginal:Cans Carian:Cari "
    "Caucasian_Albanian:Aghb Chakma:Cakm Cham Cherokee:Cher Chorasmian:Chrs Common:Zyyy "
    "Coptic:Copt Cuneiform:Xsux Cypriot:Cprt Cypro_Minoan:Cpmn Cyrillic:Cyrl Deseret:Dsrt "
    "Devanagari:Deva Dives_Akuru:Diak Dogra:Dogr Duployan:Dupl Egyptian_Hieroglyphs:Egyp "
    "Elbasan:Elba Elymaic:Elym Ethiopic:Ethi Georgian:Geor Glagolitic:Glag Gothic:Goth "
    "Grantha:Gran Greek:Grek Gujarati:Gujr Gunjala_Gondi:Gong Gurmukhi:Guru Han:Hani Hangul:Hang "
    "Hanifi_Rohingya:Rohg Hanunoo:Hano Hatran:Hatr Hebrew:Hebr Hiragana:Hira "
    "Imperial_Aramaic:Armi Inherited:Zinh Inscriptional_Pahlavi:Phli Inscriptional_Parthian:Prti "
    "Javanese:Java Kaithi:Kthi Kannada:Knda Katakana:Kana Kayah_Li:Kali Kharoshthi:Khar "
    "Khitan_Small_Script:Kits Khmer:Khmr Khojki:Khoj Khudawadi:Sind Lao:Laoo Latin:Latn "
    "Lepcha:Lepc Limbu:Limb Linear_A:Lina Linear_B:Linb Lisu Lycian:Lyci Lydian:Lydi "
    "Mahajani:Mahj Makasar:Maka Malayalam:Mlym Mandaic:Mand Manichaean:Mani Marchen:Marc "
    "Masaram_Gondi:Gonm Medefaidrin:Medf Meetei_Mayek:Mtei Mende_Kikakui:Mend "
    "Meroitic_Cursive:Merc Meroitic_Hieroglyphs:Mero Miao:Plrd Modi Mongolian:Mong Mro:Mroo "
    "Multani:Mult Myanmar:Mymr Nabataean:Nbat Nandinagari:Nand New_Tai_Lue:Talu Newa Nko:Nkoo "
    "Nushu:Nshu Nyiakeng_Puachue_Hmong:Hmnp Ogham:Ogam Ol_Chiki:Olck Old_Hungarian:Hung "
    "Old_Italic:Ital Old_North_Arabian:Narb Old_Permic:Perm Old_Persian:Xpeo Old_Sogdian:Sogo "
    "Old_South_Arabian:Sarb Old_Turkic:Orkh Old_Uyghur:Ougr Oriya:Orya Osage:Osge Osmanya:Osma "
    "Pahawh_Hmong:Hmng Palmyrene:Palm Pau_Cin_Hau:Pauc Phags_Pa:Phag Phoenician:Phnx "
    "Psalter_Pahlavi:Phlp Rejang:Rjng Runic:Runr Samaritan:Samr Saurashtra:Saur Sharada:Shrd "
    "Shavian:Shaw Siddham:Sidd SignWriting:Sgnw Sinhala:Sinh Sogdian:Sogd Sora_Sompeng:Sora "
    "Soyombo:Soyo Sundanese:Sund Syloti_Nagri:Sylo Syriac:Syrc Tagalog:Tglg Tagbanwa:Tagb "
    "Tai_Le:Tale Tai_Tham:Lana Tai_Viet:Tavt Takri:Takr Tamil:Taml Tangsa:Tnsa Tangut:Tang "
    "Telugu:Telu Thaana:Thaa Thai Tibetan:Tibt Tifinagh:Tfng Tirhuta:Tirh Toto Ugaritic:Ugar "
    "Vai:Vaii Vithkuqi:Vith Wancho:Wcho Warang_Citi:Wara Yezidi:Yezi Yi:Yiii "
    "Zanabazar_Square:Zanb"
)
"""Scripts as RE2 names them, each with its ISO code where that is another word."""


@cache
def _categories() -> dict[str, list[str]]:
    entries = (entry.partition(":") for entry in _CATEGORIES.split())
    return {name: members.split("|") for name, _, members in entries}


@cache
def _scripts() -> dict[str, str]:
    names = {}
    for entry in _SCRIPTS.split():
        long, _, short = entry.partition(":")
        names[_loose(long)] = long
        if short:
            names[_loose(short)] = long
    return names


def _loose(name: str) -> str:
    """A property's name for comparison: no case, blanks, `-`, `_`, nor `is` in front."""
    plain = name.lower().translate({ord(sign): None for sign in " _-\t\n\v\f\r"})
    return plain[2:] if plain.startswith("is") and plain != "isc" else plain


def property_named(name: str) -> Ranges:
    """The set of `\\p{name}`: a category, a script, a property such as `Emoji`, or one with a
    value: `gc=`, `script=`, `scx=` (characters used in a script), `age=` (a version of Unicode).

    Raises:
        ValueError: there is no such property.
    """
    for sign in ("!=", ":", "="):
        left, found, right = name.partition(sign)
        if found:
            inner = _with_value(_loose(left), _loose(right))
            return negated(inner) if sign == "!=" else inner
    return _any_property(_loose(name))


def _with_value(kind: str, value: str) -> Ranges:
    if kind in ("gc", "generalcategory"):
        return _category(value)
    if kind in ("sc", "script") and value in _scripts():
        return _script(value)
    if kind in ("scx", "scriptextensions") and value in _scripts():
        return properties.extended_script(_loose(_scripts()[value])) or _script(value)
    if kind == "age" and (ranges := properties.assigned_by(value)) is not None:
        return normal(ranges)
    raise ValueError(f"unknown property {kind}={value}")


@cache
def _any_property(name: str) -> Ranges:
    if name in ("whitespace", "wspace", "space"):
        return blanks()
    ranges = properties.binary(name)
    if ranges is not None:
        return ranges
    return _script(name) if name in _scripts() else _category(name)


def _script(name: str) -> Ranges:
    return _asked(rf"\p{{{_scripts()[name]}}}")


@cache
def _category(name: str) -> Ranges:
    match name:
        case "any":
            return ((0, MAX),)
        case "ascii":
            return ASCII
        case "assigned":
            return _assigned()
        case "c" | "other":
            return negated(_asked(r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}"))
        case "cn" | "unassigned":
            return scalars(negated(_assigned()))
    if name not in _categories():
        raise ValueError(f"unknown property {name}")
    return _asked("".join(rf"\p{{{member}}}" for member in _categories()[name]))


def _assigned() -> Ranges:
    return _asked(r"\p{L}\p{M}\p{N}\p{P}\p{S}\p{Z}\p{C}")


# --- case --------------------------------------------------------------------------------------


@cache
def _orbits() -> tuple[list[int], dict[int, tuple[int, ...]]]:
    """The characters that have other case: sorted, and each with its family."""
    families: dict[int, set[int]] = defaultdict(set)
    for low, high in _asked(r"\p{Lu}\p{Ll}\p{Lt}\p{Nl}\p{So}\x{345}"):
        for code in range(low, high + 1):
            simple = _folded_character(chr(code))
            if ord(simple) != code:
                families[ord(simple)] |= {ord(simple), code}
    families_of = {code: tuple(family) for family in families.values() for code in family}
    return sorted(families_of), families_of


def _folded_character(character: str) -> str:
    """Unicode's simple case folding, from Python's full one."""
    folded = character.casefold()
    if len(folded) == 1:
        return folded
    # `ẞ` and the Greek capitals with iota fold to their lower case; U+0130 does not fold at all.
    lower = character.lower()
    return lower if len(lower) == 1 else character


def folded(ranges: Ranges) -> Ranges:
    """The set with every character's variants of other case."""
    codes, families_of = _orbits()
    more = [
        (other, other)
        for low, high in ranges
        for code in codes[bisect_left(codes, low) : bisect_right(codes, high)]
        for other in families_of[code]
    ]
    return normal((*ranges, *more)) if more else ranges
