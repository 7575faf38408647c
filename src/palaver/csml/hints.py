"""What to do about a syntax error, in a sentence for the author.

Takes the reason and the text at the place of the error; knows nothing of the parser. The
reference has no such hints, so they never become part of a message.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from palaver.csml.mistakes import BRACES, LIST_END, NO_LIST, NO_VALUE, STRAY, STRING_END
from palaver.csml.words import RESERVED, WORD

KEYWORDS: Final = (
    *("say", "do", "debug", "log", "if", "else", "foreach", "while", "break", "continue"),
    *("goto", "previous", "remember", "forget", "hold", "hold_secure", "return", "use"),
    *("const", "import", "insert", "fn"),
)

BY_REASON: Final = {
    STRING_END: 'close the string with a double quote; a quote inside it is written \\"',
    BRACES: "write {{ value }}, or \\{{ and \\}} for the braces themselves; "
    'inside {{ }} a quote is written \\"',
    LIST_END: "put a comma between the values and close the list with ')'",
    NO_LIST: "put the condition in parentheses: if (x > 1) ...",
    RESERVED: "choose another name: this one is a keyword, in any letter case",
    NO_VALUE: "write a value behind the keyword; keys of objects need double quotes",
}

BY_CHARACTER: Final = {
    ";": "statements need no separator: remove the ';'",
    "'": "texts stand in double quotes",
    "=": "assign with 'do name = value', compare with '=='; what follows '=' must be a value",
    "[": "no blank may stand before '['",
    "(": "no blank may stand between a method's name and '('",
    "}": "there is no open '{' here, or what stands before cannot be read",
    ")": "there is no open '(' here, or what stands before cannot be read",
    ":": "the word before was read as part of what precedes it: is something missing there?",
}


def hint_for(reason: str, text: str, offset: int) -> str:
    """What to do about the error at an offset; empty when there is nothing to say."""
    if reason != STRAY:
        return BY_REASON.get(reason, "")
    found = WORD.match(text, offset)
    if found is None:
        return BY_CHARACTER.get(text[offset : offset + 1], "")
    word = found.group()
    if word in KEYWORDS:
        return f"'{word}' is not complete, or cannot stand here"
    if text.startswith(":", found.end()):
        return f"'{word}' cannot be the name of a step"
    near = get_close_matches(word[:40].lower(), KEYWORDS, n=1)
    return f"did you mean '{near[0]}'?" if near else "a statement begins with a keyword like 'say'"
