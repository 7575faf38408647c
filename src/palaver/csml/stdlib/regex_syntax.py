"""Translates the reference's regular expressions to RE2's. Spec: csml-language §10.3.

The dialect is that of Rust's `regex` 1.5. What comes in is an author's pattern, what goes out is
a pattern for RE2 that relies on none of RE2's own ideas: flags are resolved, classes are spelled
out as ranges, groups have numbers only. Invalid patterns raise ValueError; so do those whose
program would be larger than the reference allows.

One pass, bottom up, without recursion: every piece is a `Node` that holds its translation, so a
pattern nested a thousand deep meets `MAX_DEPTH`, never Python's stack.

Unicode word boundaries need a translation of their own (`marked=True`): see `regex_pieces`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from palaver.csml.stdlib import regex_sets as sets
from palaver.csml.stdlib.regex_pieces import (
    MAX_CLASS_WIDTH,
    MAX_DEPTH,
    MAX_SIZE,
    Node,
    checked,
    joined,
    repeated,
    sequence,
    spelled,
    spelled_with_marks,
)
from palaver.csml.stdlib.regex_sets import Ranges


class Translation(NamedTuple):
    """A pattern for RE2.

    Attributes:
        text: with groups that capture.
        groups: number of groups of the author's pattern.
        slots: for every capturing group of `text` the author's group; repetitions that had to be
            written out mention a group several times, later iterations later.
        names: group number by name.
        size: instructions of the program, roughly.
        width: of these, how many a search may have to look at for one character.
        has_word_boundary: whether it has a Unicode `\\b` or `\\B`.
    """

    text: str
    groups: int
    slots: tuple[int, ...]
    names: dict[str, int]
    size: int
    width: int
    has_word_boundary: bool


def translate(pattern: str, *, marked: bool = False) -> Translation:
    """Translates a pattern. Raises: ValueError when it is invalid or too large."""
    return _Parser(pattern, marked=marked).parse()


# --- the parser --------------------------------------------------------------------------------


class _Flags(NamedTuple):
    """What `(?imsUux)` set: case, lines, dot, swapped greed, Unicode, blanks."""

    i: bool = False
    m: bool = False
    s: bool = False
    U: bool = False
    u: bool = True
    x: bool = False


class _Group(NamedTuple):
    """An open group: what stands before it, and what closing restores."""

    flags: _Flags
    branches: list[Node]
    nodes: list[Node]
    number: int


class _Class:
    """An open bracket: its items so far, and what stands left of its last operator."""

    __slots__ = ("items", "left", "negated", "operator")

    def __init__(self, *, negated: bool) -> None:
        self.negated = negated
        self.items: list[tuple[int, int]] = []
        self.left: Ranges = ()
        self.operator: Callable[[Ranges, Ranges], Ranges] | None = None


_OPERATORS: Final[dict[str, Callable[[Ranges, Ranges], Ranges]]] = {
    "&&": sets.intersection,
    "--": sets.difference,
    "~~": sets.symmetric_difference,
}

_META: Final = frozenset("\\.+*?()|[]{}^$#&-~")
_CONTROLS: Final = {"a": 7, "f": 12, "t": 9, "n": 10, "r": 13, "v": 11}
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_LOOKAROUND: Final = ("?=", "?!", "?<=", "?<!")
_BLANKS: Final = frozenset(sets.WHITE_SPACE)


class _Parser:
    """Reads one pattern. `at` is the offset of the next character."""

    def __init__(self, pattern: str, *, marked: bool) -> None:
        if len(pattern) > MAX_SIZE:
            raise ValueError("pattern is too large")
        self.text = pattern
        self.at = 0
        self.spelled = spelled_with_marks if marked else spelled
        self.flags = _Flags()
        self.groups: list[_Group] = []
        self.branches: list[Node] = []
        self.nodes: list[Node] = []
        self.names: dict[str, int] = {}
        self.count = 0
        self.work = 0
        self.has_word_boundary = False

    def parse(self) -> Translation:
        while self._skip_blanks():
            character = self.text[self.at]
            action = _ACTIONS.get(character)
            if action is not None:
                action(self)
            else:
                self.at += 1
                self.nodes.append(self._literal(ord(character)))
        if self.groups:
            raise ValueError("unclosed group")
        whole = self._alternatives()
        return Translation(
            whole.text, self.count, whole.slots, self.names, whole.size, whole.width,
            self.has_word_boundary,
        )  # fmt: skip

    # reading

    def _skip_blanks(self) -> bool:
        """Passes blanks and comments under `(?x)`. Returns: whether anything is left."""
        if self.flags.x:
            while self.at < len(self.text):
                if self.text[self.at] in _BLANKS:
                    self.at += 1
                elif self.text[self.at] == "#":
                    end = self.text.find("\n", self.at)
                    self.at = len(self.text) if end < 0 else end + 1
                else:
                    break
        return self.at < len(self.text)

    def _peek(self) -> str:
        """The next character. Raises: ValueError at the end."""
        if self.at >= len(self.text):
            raise ValueError("pattern ends too early")
        return self.text[self.at]

    def _next(self) -> str:
        character = self._peek()
        self.at += 1
        return character

    def _after_blanks(self) -> str:
        """The next character behind ignored blanks. Raises: ValueError at the end."""
        self._skip_blanks()
        return self._peek()

    def _behind(self) -> str:
        """The character after the next one, ignored blanks between; empty at the end."""
        start = self.at
        self.at += 1
        found = self.text[self.at] if self._skip_blanks() else ""
        self.at = start
        return found

    def _take(self, text: str) -> bool:
        if self.text.startswith(text, self.at):
            self.at += len(text)
            return True
        return False

    # groups and alternatives

    def _alternatives(self) -> Node:
        """What stands between the last `(` and here."""
        last = sequence(self.nodes)
        return joined([*self.branches, last], "|") if self.branches else last

    def _bar(self) -> None:
        self.at += 1
        self.branches.append(sequence(self.nodes))
        self.nodes = []

    def _open(self) -> None:
        self.at += 1
        self._skip_blanks()
        if self.text.startswith(_LOOKAROUND, self.at):
            raise ValueError("look-around is not supported")
        before = self.flags
        number = 0
        if self._take("?P<"):
            number = self._named_group()
        elif self._take("?"):
            flags, ends_group = self._read_flags()
            self.flags = flags
            if ends_group:
                self.nodes.append(Node("", is_flags=True))
                return
        else:
            number = self._new_group()
        if len(self.groups) >= MAX_DEPTH:
            raise ValueError("pattern is nested too deep")
        self.groups.append(_Group(before, self.branches, self.nodes, number))
        self.branches, self.nodes = [], []

    def _close(self) -> None:
        self.at += 1
        if not self.groups:
            raise ValueError("unopened group")
        inner = self._alternatives()
        self._work(len(inner.text) // 1024)
        self.flags, self.branches, self.nodes, number = self.groups.pop()
        if number:
            node = inner._replace(
                text=f"({inner.text})", size=inner.size + 2, slots=(number, *inner.slots)
            )
        else:
            node = inner._replace(text=f"(?:{inner.text})")
        self.nodes.append(checked(node._replace(depth=inner.depth + 1, is_flags=False)))

    def _new_group(self) -> int:
        self.count += 1
        return self.count

    def _named_group(self) -> int:
        end = self.text.find(">", self.at)
        name = self.text[self.at : end]
        self.at = end + 1
        plain = name.replace(".", "_").replace("[", "_").replace("]", "_")
        if end < 0 or not (plain.isascii() and plain.isidentifier()) or name[0] in ".[]":
            raise ValueError("invalid group name")
        if name in self.names:
            raise ValueError("duplicate group name")
        self.names[name] = self._new_group()
        return self.names[name]

    def _read_flags(self) -> tuple[_Flags, bool]:
        """The flags behind `(?`; whether they are a group of their own, `(?i)`."""
        changes: dict[str, bool] = {}
        value, dangling = True, False
        while (character := self._next()) not in ":)":
            if character == "-":
                if not value:
                    raise ValueError("repeated negation of flags")
                value, dangling = False, True
                continue
            if character not in _Flags._fields or character in changes:
                raise ValueError("unknown or duplicate flag")
            changes[character], dangling = value, False
        if dangling or (character == ")" and not changes):
            raise ValueError("flags missing")
        return self.flags._replace(**changes), character == ")"

    # repetitions

    def _operand(self) -> Node:
        if not self.nodes or self.nodes[-1].is_flags:
            raise ValueError("nothing to repeat")
        return self.nodes.pop()

    def _repeat(self) -> None:
        low, high = _COUNTS[self.text[self.at]]
        node = self._operand()
        self.at += 1
        self._add_repetition(node, low, high)

    def _counted(self) -> None:
        node = self._operand()
        self.at += 1
        low = self._decimal()
        high: int | None = low
        if self._take(","):
            high = None if self._after_blanks() == "}" else self._decimal()
        if self._next() != "}" or (high is not None and high < low):
            raise ValueError("invalid repetition")
        self._add_repetition(node, low, high)

    def _add_repetition(self, node: Node, low: int, high: int | None) -> None:
        lazy = self._skip_blanks() and self._take("?")
        piece = repeated(node, low, high, lazy=lazy != self.flags.U)
        self._work(len(piece.text) // 16)
        self.nodes.append(piece)

    def _decimal(self) -> int:
        self._skip_count_blanks()
        start = self.at
        while self._peek() in "0123456789":
            self.at += 1
        digits = self.text[start : self.at].lstrip("0") if self.at > start else None
        self._skip_count_blanks()
        if digits is None:
            raise ValueError("a number is missing")
        if len(digits) > len(str(MAX_SIZE)):
            raise ValueError("pattern is too large")
        return int(digits or "0")

    def _skip_count_blanks(self) -> None:
        while self._peek() in _BLANKS:
            self.at += 1
        self._skip_blanks()

    # atoms

    def _set(self, ranges: Ranges) -> Node:
        """A class of these code points."""
        ranges = sets.scalars(ranges)
        if not ranges:
            raise ValueError("empty class")
        if not self.flags.u and ranges[-1][1] > 0x7F:
            raise ValueError("pattern can match invalid UTF-8")
        spelling = self.spelled(ranges)
        width = min(spelling.size, MAX_CLASS_WIDTH)
        self._work(len(ranges))
        return checked(Node(spelling.text, spelling.size, width))

    def _literal(self, code: int) -> Node:
        alone: Ranges = ((code, code),)
        if self.flags.i:
            if code > 0x7F and not self.flags.u:
                raise ValueError("Unicode is not allowed here")
            return self._set(self._fold(alone))
        spelling = self.spelled(alone)
        return Node(spelling.text, max(spelling.size, 1), 1)

    def _fold(self, ranges: Ranges) -> Ranges:
        folded = sets.folded(ranges)
        self._work(len(folded))
        return folded if self.flags.u else sets.intersection(folded, sets.ASCII)

    def _work(self, amount: int) -> None:
        """Counts ranges and texts handled, so that no pattern takes long."""
        self.work += amount
        if self.work > MAX_SIZE:
            raise ValueError("pattern is too large")

    def _dot(self) -> None:
        self.at += 1
        everything: Ranges = ((0, sets.MAX),)
        line = sets.difference(everything, ((10, 10),))
        self.nodes.append(self._set(everything if self.flags.s else line))

    def _caret(self) -> None:
        self.at += 1
        self.nodes.append(Node("(?m:^)" if self.flags.m else r"\A", 1, 1))

    def _dollar(self) -> None:
        self.at += 1
        self.nodes.append(Node("(?m:$)" if self.flags.m else r"\z", 1, 1))

    def _boundary(self, letter: str) -> Node:
        if not self.flags.u and letter == "B":
            raise ValueError("pattern can match invalid UTF-8")
        if self.flags.u and letter in "bB":
            self.has_word_boundary = True
        return Node("\\" + letter, 1, 1)

    def _escape(self) -> None:
        found = self._read_escape()
        if isinstance(found, str):
            self.nodes.append(self._boundary(found))
        elif isinstance(found, int):
            self.nodes.append(self._literal(found))
        else:
            self.nodes.append(self._set(found))

    def _read_escape(self) -> int | str | Ranges:
        """Reads from a backslash: a code point, a class, or the letter of an assertion."""
        self.at += 1
        letter = self._next()
        if letter in "0123456789":
            raise ValueError("back-references are not supported")
        if letter in _META or (letter == " " and self.flags.x):
            return ord(letter)
        if letter in _CONTROLS:
            return _CONTROLS[letter]
        if letter in _HEX_DIGITS:
            return self._hex(letter)
        if letter in "pP":
            return self._property(negated=letter == "P")
        if letter in "dDsSwW":
            return self._perl(letter)
        if letter in "AzbB":
            return letter
        raise ValueError("unknown escape")

    def _hex(self, letter: str) -> int:
        self._after_blanks()
        braced = self._take("{")
        found: list[str] = []
        while self._after_blanks() != "}" if braced else len(found) < _HEX_DIGITS[letter]:
            found.append(self._next_digit())
        self.at += braced
        digits = "".join(found).lstrip("0")[:8] if found else "-1"
        code = int(digits or "0", 16)
        if not 0 <= code <= sets.MAX or 0xD800 <= code <= 0xDFFF:
            raise ValueError("no such character")
        if not (braced or self.flags.u) and letter == "x" and code > 0x7F:
            raise ValueError("pattern can match invalid UTF-8")
        return code

    def _next_digit(self) -> str:
        self._after_blanks()
        digit = self._next()
        if digit not in "0123456789abcdefABCDEF":
            raise ValueError("invalid hexadecimal number")
        return digit

    def _property(self, *, negated: bool) -> Ranges:
        name = self._after_blanks()
        self.at += 1
        if name == "{":
            end = self.text.find("}", self.at)
            if end < 0:
                raise ValueError("unclosed property")
            name = self.text[self.at : end]
            self.at = end + 1
        if not self.flags.u:
            raise ValueError("Unicode is not allowed here")
        return self._finished(sets.property_named(name), negated=negated)

    def _perl(self, letter: str) -> Ranges:
        ascii_name, of_unicode = _PERL[letter.lower()]
        ranges = of_unicode() if self.flags.u else sets.POSIX[ascii_name]
        self._work(len(ranges))
        return sets.negated(ranges) if letter.isupper() else ranges

    def _finished(self, ranges: Ranges, *, negated: bool) -> Ranges:
        """A class with case folded, then negated."""
        self._work(len(ranges))
        if self.flags.i:
            ranges = self._fold(ranges)
        return sets.negated(ranges) if negated else ranges

    # classes

    def _class(self) -> None:
        stack = [self._open_class()]
        while stack:
            character = self._after_blanks()
            if character == "]":
                self.at += 1
                ranges = self._close_class(stack.pop())
                if stack:
                    stack[-1].items += ranges
            elif character == "[":
                posix = self._posix()
                if posix is not None:
                    stack[-1].items += posix
                else:
                    stack.append(self._open_class())
                    if len(stack) > MAX_DEPTH:
                        raise ValueError("pattern is nested too deep")
            elif (pair := self.text[self.at : self.at + 2]) in _OPERATORS:
                self.at += 2
                self._reduce(stack[-1])
                stack[-1].operator = _OPERATORS[pair]
            else:
                stack[-1].items += self._class_items()
        self.nodes.append(self._set(ranges)._replace(depth=1))

    def _open_class(self) -> _Class:
        self.at += 1
        self._after_blanks()
        found = _Class(negated=self._take("^"))
        while self._after_blanks() == "-":
            self.at += 1
            found.items.append((45, 45))
        if not found.items and self._take("]"):
            found.items.append((93, 93))
        return found

    def _reduce(self, found: _Class) -> None:
        """Applies the pending operator: all are of one rank and go from left to right."""
        right = sets.normal(found.items)
        self._work(len(right))
        if found.operator is None:
            found.left = right
        else:
            if self.flags.i:
                found.left, right = self._fold(found.left), self._fold(right)
            found.left = found.operator(found.left, right)
            self._work(len(found.left))
        found.items = []

    def _close_class(self, found: _Class) -> Ranges:
        self._reduce(found)
        ranges = self._finished(found.left, negated=found.negated)
        if not sets.scalars(ranges):
            raise ValueError("empty class")
        if not self.flags.u and ranges[-1][1] > 0x7F:
            raise ValueError("pattern can match invalid UTF-8")
        return ranges

    def _posix(self) -> Ranges | None:
        """Reads `[:name:]`; None, and nothing read, for any other bracket."""
        if not self.text.startswith("[:", self.at):
            return None
        start = self.at + 2
        negated = self.text.startswith("^", start)
        end = self.text.find(":", start + negated, start + negated + 8)
        if end < 0 or not self.text.startswith(":]", end):
            return None
        ranges = sets.POSIX.get(self.text[start + negated : end])
        if ranges is None:
            return None
        self.at = end + 2
        return self._finished(ranges, negated=negated)

    def _class_items(self) -> Ranges:
        """An item or a range of two."""
        first = self._class_item()
        if self._after_blanks() != "-" or self._behind() in ("]", "-"):
            return first if isinstance(first, tuple) else ((first, first),)
        self.at += 1
        self._after_blanks()
        last = self._class_item()
        if isinstance(first, tuple) or isinstance(last, tuple) or last < first:
            raise ValueError("invalid range")
        return ((first, last),)

    def _class_item(self) -> int | Ranges:
        found = self._read_escape() if self._peek() == "\\" else ord(self._next())
        if isinstance(found, str):
            raise ValueError("an assertion in a class")
        if isinstance(found, int) and found > 0x7F and not self.flags.u:
            raise ValueError("Unicode is not allowed here")
        return found


_PERL: Final[dict[str, tuple[str, Callable[[], Ranges]]]] = {
    "d": ("digit", sets.digits),
    "s": ("space", sets.blanks),
    "w": ("word", sets.words),
}

_COUNTS: Final[dict[str, tuple[int, int | None]]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}

_ACTIONS: Final[dict[str, Callable[[_Parser], None]]] = {
    "(": _Parser._open,
    ")": _Parser._close,
    "|": _Parser._bar,
    "[": _Parser._class,
    "?": _Parser._repeat,
    "*": _Parser._repeat,
    "+": _Parser._repeat,
    "{": _Parser._counted,
    "\\": _Parser._escape,
    ".": _Parser._dot,
    "^": _Parser._caret,
    "$": _Parser._dollar,
}
