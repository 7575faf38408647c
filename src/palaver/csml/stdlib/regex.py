"""Regular expressions of the reference's dialect, in linear time. Spec: csml-language §10.3.

`compile_pattern` gives a `Pattern`, whose methods are what the string methods need. Patterns are
translated (`regex_syntax`) and run by RE2 over UTF-8; offsets in here are bytes.

A search is linear in the text, but two things need an eye. A list of all matches can take
quadratic time (each search may read to the end), and a pattern with very many states makes RE2
fall back to its slow engine, which needs the program's width for every byte. The first is
paid for as it happens: searches cost instructions, and time beyond what they paid costs more. The
second is refused beforehand when it could take longer than a turn should.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import lru_cache
from time import perf_counter_ns
from typing import Any, Final, NamedTuple, TypeAlias

import re2

from palaver.csml.failures import BudgetExceeded
from palaver.csml.stdlib.regex_pieces import CLOSE_MARK, MARKED_SIGNS, OPEN_MARK, between_marks
from palaver.csml.stdlib.regex_syntax import Translation, translate

Spend: TypeAlias = Callable[[int], None]
"""`Run.spend`."""

MAX_STEPS: Final = 400_000_000
"""Bytes times width of one search; RE2's slow engine does some 200 million of these a second."""

MATCH_COST: Final = 8
"""Instructions a search costs, besides the bytes it reads."""

BYTES_A_STEP: Final = 128
"""Bytes an instruction pays for; RE2's fast engine reads about a gigabyte a second."""

NS_A_STEP: Final = 500
"""Time beyond what was paid is paid at this rate …"""

FREE_NS: Final = 10_000_000
"""… when there is more of it than a busy machine explains."""

MAX_CACHED_BYTES: Final = 128 * 1024 * 1024
"""What all cached patterns may take when their automata have grown to the limit."""


def compile_pattern(text: str, spend: Spend | None = None) -> Pattern:
    """A pattern, cached.

    Args:
        spend: pays for translating and compiling, when that has to be done.

    Raises:
        ValueError: the pattern is invalid or too large.
    """
    found = _CACHE.get(text)
    if found is None:
        if spend is not None:
            spend(len(text) // 4)
        found = Pattern(text)
        if spend is not None:
            spend(found.size // 2)
        _CACHE.put(text, found)
    return found


class _Cache:
    """The patterns used last, within `MAX_CACHED_BYTES`."""

    def __init__(self) -> None:
        self._patterns: OrderedDict[str, Pattern] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, text: str) -> Pattern | None:
        with self._lock:
            found = self._patterns.get(text)
            if found is not None:
                self._patterns.move_to_end(text)
            return found

    def put(self, text: str, pattern: Pattern) -> None:
        with self._lock:
            if text in self._patterns:
                return
            self._patterns[text] = pattern
            self._bytes += pattern.memory
            while self._bytes > MAX_CACHED_BYTES and len(self._patterns) > 1:
                _, oldest = self._patterns.popitem(last=False)
                self._bytes -= oldest.memory


_CACHE: Final = _Cache()


# --- the engine --------------------------------------------------------------------------------


class _Program(NamedTuple):
    """A compiled translation. `slots`: where RE2 has an author's group, later iterations last."""

    regexp: Any
    slots: dict[int, list[int]]
    is_marked: bool


def _compiled(translation: Translation, *, captures: bool, is_marked: bool) -> _Program:
    """Raises: ValueError when RE2 finds the pattern too large after all."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not captures
    options.max_mem = _memory(translation.size)
    try:
        regexp = re2.compile(translation.text, options)
    except re2.error as error:
        raise ValueError(str(error)) from error
    finally:
        # re2 keeps everything it compiles by number, whatever the size; our cache counts bytes.
        re2.purge()
    slots: dict[int, list[int]] = {}
    for slot, number in enumerate(translation.slots, 1):
        slots.setdefault(number, []).append(slot)
    return _Program(regexp, slots, is_marked)


def _memory(size: int) -> int:
    """Bytes RE2 may take for a program of that size and its automata."""
    return 2 * 1024 * 1024 + 64 * size


class _Meter:
    """Pays for the searches of one operation."""

    __slots__ = ("_due", "_spend")

    def __init__(self, spend: Spend | None) -> None:
        self._spend = spend
        self._due = perf_counter_ns()

    def pay(self, steps: int) -> None:
        """Pays for what was done since the last call, by steps or, if that was slow, by time."""
        if self._spend is None:
            return
        self._spend(steps)
        late = perf_counter_ns() - self._due - steps * NS_A_STEP
        if late > FREE_NS:
            self._due = perf_counter_ns()
            self._spend(late // NS_A_STEP)
        else:
            self._due += steps * NS_A_STEP


def _search(program: _Program, data: bytes | memoryview, at: int, meter: _Meter) -> Any:
    """The leftmost match from `at` on that does not stand within a character, or None."""
    while True:
        match = program.regexp.search(data, at)
        if match is None or not program.is_marked:
            return match
        start, end = match.span()
        if start < end or _begins_character(data, start):
            return match
        meter.pay(MATCH_COST)
        at = start + 1


def _begins_character(data: bytes | memoryview, at: int) -> bool:
    """Whether a marked character begins (or the text ends) at this offset."""
    if at in (0, len(data)):
        return True
    return not _is_continuation(data[at]) and data[at] != _CLOSE and data[at - 1] != _OPEN


def _is_continuation(byte: int) -> bool:
    return byte & 0xC0 == 0x80


_OPEN: Final = ord(OPEN_MARK)
_CLOSE: Final = ord(CLOSE_MARK)


def _character_after(program: _Program, data: bytes | memoryview, at: int) -> int:
    """The offset of the next character; beyond the end, one more."""
    at += 1
    if program.is_marked:
        while at < len(data) and not _begins_character(data, at):
            at += 1
    else:
        while at < len(data) and _is_continuation(data[at]):
            at += 1
    return at


def _matches(program: _Program, data: bytes, meter: _Meter) -> Iterator[Any]:
    """Successive matches; an empty one right behind another match is none."""
    at, last, paid = 0, -1, 0
    while at <= len(data):
        match = _search(program, data, at, meter)
        if match is None:
            break
        start, end = match.span()
        meter.pay(MATCH_COST + (end - paid) // BYTES_A_STEP)
        paid = end
        at = _character_after(program, data, end) if start == end else end
        if start == end == last:
            continue
        last = end
        yield match
    meter.pay(MATCH_COST + (len(data) - paid) // BYTES_A_STEP)


# --- texts -------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _marked_characters() -> re.Pattern[str]:
    """Characters that a marked text has between marks, in runs of one."""
    parts = (f"{chr(low)}-{chr(high)}" for low, high in between_marks())
    return re.compile(f"[{''.join(parts)}]")


_SIGNS: Final = {
    ord(sign): f"{OPEN_MARK}{stand_in}{CLOSE_MARK}" for sign, stand_in in MARKED_SIGNS.items()
}


def _marked(text: str) -> str:
    """The text as `regex_pieces` describes it for patterns with word boundaries."""
    template = rf"{OPEN_MARK}\g<0>{CLOSE_MARK}"
    return _marked_characters().sub(template, text.translate(_SIGNS))


def _to_bytes(program: _Program, text: str) -> bytes:
    return (_marked(text) if program.is_marked else text).encode("utf-8", "surrogatepass")


def _to_text(program: _Program, data: bytes | memoryview) -> str:
    if not program.is_marked:
        return str(data, "utf-8", "surrogatepass")
    text = bytes(data).translate(None, _MARKS).decode("utf-8", "surrogatepass")
    for sign, stand_in in MARKED_SIGNS.items():
        text = text.replace(stand_in, sign)
    return text


_MARKS: Final = (OPEN_MARK + CLOSE_MARK).encode()


# --- replacement texts -------------------------------------------------------------------------

_REFERENCE: Final = re.compile(r"\$(?:(\$)|([0-9A-Za-z_]+)|\{([^}]*+)\})")
_NUMBER: Final = re.compile(r"\+?[0-9]{1,19}")


def _pieces(replacement: str, names: dict[str, int]) -> list[str | int | None]:
    """Literal texts, group numbers, and None for groups that no pattern has."""
    pieces: list[str | int | None] = []
    end = 0
    for found in _REFERENCE.finditer(replacement):
        pieces.append(replacement[end : found.start()])
        end = found.end()
        dollar, bare, braced = found.groups()
        if dollar:
            pieces.append("$")
            continue
        name = bare if bare is not None else braced
        number = names.get(name)
        pieces.append(int(name) if number is None and _NUMBER.fullmatch(name) else number)
    pieces.append(replacement[end:])
    return [piece for piece in pieces if piece != ""]


# --- patterns ----------------------------------------------------------------------------------


class Pattern:
    """A compiled regular expression.

    Attributes:
        size: instructions of its program, roughly.
        memory: bytes it may come to take.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._translation = translate(text)
        self._programs: dict[tuple[bool, bool], _Program] = {}
        self._program_for("")
        self.size = self._translation.size
        self.memory = 2 * _memory(self.size) + 8 * len(self._translation.text)

    def _program_for(self, text: str, *, captures: bool = False) -> _Program:
        """The program fit for a text: Unicode word boundaries need a marked one."""
        is_marked = self._translation.has_word_boundary and not text.isascii()
        program = self._programs.get((is_marked, captures))
        if program is None:
            translation = translate(self._text, marked=True) if is_marked else self._translation
            program = _compiled(translation, captures=captures, is_marked=is_marked)
            self._programs[is_marked, captures] = program
        return program

    def _prepared(
        self, text: str, spend: Spend | None, *, captures: bool = False
    ) -> tuple[_Program, bytes, _Meter]:
        program = self._program_for(text, captures=captures)
        data = _to_bytes(program, text)
        width = self._translation.width * (1 + len(self._translation.slots) // 4 * captures)
        if len(data) * width > MAX_STEPS:
            raise BudgetExceeded(
                "the text is too long for this regular expression (max_instructions)",
                "max_instructions",
            )
        return program, data, _Meter(spend)

    def is_in(self, text: str, spend: Spend | None = None) -> bool:
        """Whether it matches anywhere in the text. Raises: BudgetExceeded (as all of these)."""
        program, data, meter = self._prepared(text, spend)
        match = _search(program, data, 0, meter)
        meter.pay(MATCH_COST + len(data) // BYTES_A_STEP)
        return match is not None

    def starts(self, text: str, spend: Spend | None = None) -> bool:
        """Whether the first match is at the start of the text."""
        program, data, meter = self._prepared(text, spend)
        match = program.regexp.match(data)
        meter.pay(MATCH_COST + len(data) // BYTES_A_STEP)
        return match is not None

    def ends(self, text: str, spend: Spend | None = None) -> bool:
        """Whether one of the successive matches is at the end of the text."""
        program, data, meter = self._prepared(text, spend)
        return any(match.end() == len(data) for match in _matches(program, data, meter))

    def matches(self, text: str, spend: Spend | None = None) -> Iterator[str]:
        """The texts of all matches, each search seeing only what the last one left (§10.3).

        After an empty match the search goes on one character later.
        """
        program, data, meter = self._prepared(text, spend)
        view = memoryview(data)
        at = 0
        while at <= len(data):
            rest = view[at:]
            match = _search(program, rest, 0, meter)
            if match is None:
                meter.pay(MATCH_COST + len(rest) // BYTES_A_STEP)
                return
            start, end = match.span()
            meter.pay(MATCH_COST + end // BYTES_A_STEP)
            yield _to_text(program, rest[start:end])
            at += _character_after(program, rest, end) if start == end else end

    def replace(
        self, text: str, replacement: str, spend: Spend | None = None, *, room: int
    ) -> str | None:
        """All matches replaced; `$1`, `${1}`, `$name`, `${name}` stand for groups, `$$` for `$`.

        Args:
            room: bytes the result may have.

        Returns: the new text, or None when it would be larger than `room`.
        """
        pieces = _pieces(replacement, self._translation.names)
        numbers = {piece for piece in pieces if isinstance(piece, int)}
        program, data, meter = self._prepared(text, spend, captures=bool(numbers - {0}))
        parts = [_to_bytes(program, piece) if isinstance(piece, str) else piece for piece in pieces]
        room_bytes = room * _GROWTH[program.is_marked]
        out: list[bytes] = []
        end = size = 0
        for match in _matches(program, data, meter):
            groups = {number: _group(program, match, number, data) for number in numbers}
            added = [groups[part] if isinstance(part, int) else part or b"" for part in parts]
            out.append(data[end : match.start()])
            out += added
            size += len(out[-1 - len(added)]) + sum(map(len, added))
            end = match.end()
            if size > room_bytes:
                return None
            meter.pay(len(added))
        out.append(data[end:])
        result = _to_text(program, b"".join(out))
        return result if len(result) <= room else None


_GROWTH: Final = {False: 4, True: 6}
"""Bytes a character may take, plain and marked."""


def _group(program: _Program, match: Any, number: int, data: bytes) -> bytes:
    """What a group matched last; empty when it did not match, or there is none."""
    for slot in reversed(program.slots.get(number, [])) if number else [0]:
        start, end = match.span(slot)
        if start >= 0:
            return data[start:end]
    return b""
