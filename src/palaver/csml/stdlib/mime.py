"""Mailboxes and the MIME form of a mail. Spec: csml-language §10.8.

Checked texts go in, bytes for the wire come out. Every header is written by the standard
library's `email` package, which refuses line breaks; those are removed before.
"""

from __future__ import annotations

import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import formatdate
from typing import Final, NamedTuple

LONGEST_USER: Final = 64
LONGEST_DOMAIN: Final = 253
LONGEST_HEADER: Final = 2_000
"""Characters of a subject or of a name; headers are folded in more than linear time."""

LONGEST_READABLE: Final = 50_000
"""Longer bodies are written as base64, which takes a fraction of quoted-printable's time."""

_SEVEN_BIT: Final = SMTP.clone(cte_type="7bit")
"""Bodies are encoded, for servers that take ASCII only."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")  # every end of a line among them
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_ATOM = r"""[^\s"(),:;<>@\[\]\\.\x00-\x20\x7f]+"""
_USER = re.compile(rf'{_ATOM}(?:\.{_ATOM})*|"[^"\\\x00-\x1f\x7f]*"')
_LABEL = r"(?:[^\W_]|[^\W_](?:[^\W_]|-){0,61}[^\W_])"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LITERAL = re.compile(r"\[(?:IPv6:)?[0-9A-Fa-f:.]{2,45}\]")


class BadMailbox(ValueError):
    """A text that is no mailbox; the message is the reference's kind of error."""


class Mailbox(NamedTuple):
    """`name <user@domain>`; the name may be empty, the domain is ASCII."""

    name: str
    user: str
    domain: str

    @property
    def address(self) -> str:
        return f"{self.user}@{self.domain}"


class Letter(NamedTuple):
    """A mail; at least one of `text` and `html` is there."""

    sender: Mailbox
    to: Mailbox
    reply_to: Mailbox | None
    cc: Mailbox | None
    bcc: Mailbox | None
    subject: str | None
    text: str | None
    html: str | None

    def recipients(self) -> tuple[str, ...]:
        """Whom it is delivered to, the hidden ones included."""
        return tuple(box.address for box in (self.to, self.cc, self.bcc) if box is not None)


def parse_mailbox(text: str) -> Mailbox:
    """Reads `user@domain` or `Name <user@domain>`. Raises: BadMailbox."""
    opened, closed = text.find("<"), text.find(">")
    if 0 <= opened < closed:
        name, address = text[:opened].strip(), text[opened + 1 : closed]
    elif opened >= 0:
        raise BadMailbox("Unbalanced")
    else:
        name, address = "", text.strip()
    user, at_sign, domain = address.rpartition("@")
    if not at_sign:
        raise BadMailbox("MissingParts")
    if len(user) > LONGEST_USER or not _USER.fullmatch(user) or _SURROGATE.search(user):
        raise BadMailbox("InvalidUser")
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1]
    return Mailbox(_one_line(name), user, _ascii_domain(domain))


def _ascii_domain(domain: str) -> str:
    if _LITERAL.fullmatch(domain):
        return domain
    if len(domain) > LONGEST_DOMAIN or not _DOMAIN.fullmatch(domain):
        raise BadMailbox("InvalidDomain")
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        raise BadMailbox("InvalidDomain") from None


def _one_line(text: str) -> str:
    """A header's text: no control characters, no lone surrogates, of bounded length."""
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text[:LONGEST_HEADER]))


def write(letter: Letter, *, moment_ms: int, message_id: str) -> bytes:
    """The message with CRLF line ends; hidden recipients are not in it.

    Args:
        message_id: what makes the Message-ID unique, without the domain.
    """
    message = EmailMessage(policy=_SEVEN_BIT)
    message["Date"] = formatdate(moment_ms / 1000)
    message["Message-ID"] = f"<{message_id}@{letter.sender.domain.strip('[]')}>"
    message["From"] = _header(letter.sender)
    message["To"] = _header(letter.to)
    for field, box in (("Reply-To", letter.reply_to), ("Cc", letter.cc)):
        if box is not None:
            message[field] = _header(box)
    if letter.subject is not None:
        message["Subject"] = _one_line(letter.subject)
    message["MIME-Version"] = "1.0"
    for subtype, text in (("plain", letter.text), ("html", letter.html)):
        if text is not None:
            _add_part(message, text, subtype)
    boxes = (letter.sender, letter.to, letter.reply_to, letter.cc)
    if all(box is None or box.user.isascii() for box in boxes):
        return message.as_bytes()
    return message.as_bytes(policy=SMTPUTF8)


def _header(box: Mailbox) -> Address:
    user = box.user[1:-1] if box.user.startswith('"') else box.user
    return Address(display_name=box.name, username=user, domain=box.domain)


def _add_part(message: EmailMessage, text: str, subtype: str) -> None:
    body = _SURROGATE.sub("\ufffd", text)
    transfer = "base64" if len(body) > LONGEST_READABLE else None
    message.add_alternative(body, subtype=subtype, cte=transfer)
