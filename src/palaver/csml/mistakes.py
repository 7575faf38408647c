"""How parsing fails: a `Miss` is taken back, a `Fatal` is not; and the reasons they give.

The reference tries alternatives in order. Where one does not fit, the next is tried (`Miss`);
where it is clear what was meant, parsing ends (`Fatal`). A fatal error inside a *range* (a block,
an array, a list of arguments or parameters, a string) is reported at the range.
Spec: csml-language §12.4, §19.
"""

from __future__ import annotations

from typing import Final

STRAY: Final = "Invalid argument. One of the action keywords [say, do, if, ...] is missing"
NO_VALUE: Final = "expecting valid argument after action keywords. Example: say value"
NO_RETURN_VALUE: Final = "return expects a value to return"
REMEMBER: Final = (
    "'remember' must be assigning to a variable via '='. Example: 'remember key = value'"
)
USE: Final = "'use' must be assigning a variable with keyword 'as'. Example: 'use value as key'"
NO_STEP_NAME: Final = "missing step name after goto"
NO_LIST: Final = "list elem type ( ... ) not found"
LIST_END: Final = "Invalid argument. Expecting one ',' between each argument or ')' to end the list"
BRACE_END: Final = "expecting '}'"
BRACKET_END: Final = "expecting ']'"
STRING_END: Final = "expecting '\"' to end string"
BRACES: Final = "expecting '}}' to end expandable string"
WRONG_ARGUMENT: Final = "wrong argument(s) given to expandable string"
EMPTY_KEY: Final = "string must start with '\"' "
IMPORT: Final = "'import' expecting valid function name. Example: 'import function from flow'"
INSERT: Final = "'insert' expecting valid step name. Example: 'insert step from flow'"

# Where the reference gives an empty reason, these are our own words (§12.4, Palaver).
WHILE_HEAD: Final = "'while' expects a condition in parentheses. Example: while (i < 3) { ... }"
FOREACH_HEAD: Final = (
    "'foreach' expects names in parentheses, 'in' and a value. Example: foreach (x) in list { ... }"
)
KEY_COLON: Final = "expecting ':' between a key and its value. Example: {\"key\": value}"
AS_NAME: Final = "'as' expects a name. Example: value as name"
INSERT_FROM: Final = "'insert' expects 'from' and a flow. Example: 'insert step from flow'"


MAX_DEPTH: Final = 200
"""How deep expressions and blocks may nest in each other."""

MAX_OPERATORS: Final = 250
"""How many operators an expression may have, those of its deepest operand counted in. As they lean
to the left this bounds the height of the tree, and so the stack of whoever walks it."""

MAX_CHAIN: Final = 500
"""How many elements a path and how many branches an `if` may have."""

TOO_DEEP: Final = "too-deep"
"""The code of errors about limits."""

TOO_NESTED: Final = f"too many levels of nesting: at most {MAX_DEPTH} are allowed"
TOO_MANY_OPERATORS: Final = f"too many operators: at most {MAX_OPERATORS} are allowed"
TOO_MANY_ELEMENTS: Final = f"too many path elements: at most {MAX_CHAIN} are allowed"
TOO_MANY_BRANCHES: Final = f"too many branches: at most {MAX_CHAIN} are allowed"


class Miss(Exception):
    """What was tried is not there; something else may be.

    Args:
        offset: where it was looked for.
        reason: why a word found there is no name; None when there is nothing to say.
    """

    __slots__ = ("offset", "reason")

    def __init__(self, offset: int, reason: str | None = None) -> None:
        self.offset = offset
        self.reason = reason


class Fatal(Exception):
    """A mistake that ends parsing.

    Args:
        reason: the bare sentence.
        start: offset it is reported at.
        end: offset of its end, where the reference gives one.
        code: the diagnostic's code. Only `syntax` errors are moved by ranges.
    """

    __slots__ = ("code", "end", "found_at", "reason", "start")

    def __init__(
        self, reason: str, start: int, end: int | None = None, *, code: str = "syntax"
    ) -> None:
        self.reason = reason
        self.start = start
        self.end = end
        self.code = code
        self.found_at = start if end is None else max(start, end)

    def widen(self, start: int) -> None:
        """Reports the error at a range around it: its end becomes where it was found."""
        if self.code == "syntax":
            self.start, self.end = start, self.start
