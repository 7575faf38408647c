"""`SMTP`: mailers as values, and sending mail with them. Spec: csml-language §10.8.

A mailer is an object with `smtp_server`, `port`, `tls` and what its builders add. `send` checks
the mail, writes its MIME form (`mime.py`) and hands it to the host for delivery.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from palaver.csml.failures import SoftError
from palaver.csml.source import Position
from palaver.csml.stdlib import mime
from palaver.csml.stdlib.costs import OBJECT_COST
from palaver.csml.stdlib.table import ANY, Arguments, Builtins, MethodFunction, Methods, Result
from palaver.csml.values import Items, Members, Meta, Value, own_copy, share
from palaver.effects import CallFailed, Mail

if TYPE_CHECKING:
    from palaver.csml.state import Run

SMTP_BUILTINS = Builtins()
SMTP_METHODS = Methods("Object")

DEFAULT_PORT: Final = 465
NO_SERVER: Final = 'SMTP builtin expects SMTP Server Address. Example: SMTP("smtp.gmail.com")'
BAD_SERVER: Final = "invalid SMTP address"
NO_BODY: Final = "email text/html parameter is mandatory"
NO_PARTIES: Final = "missing mandatory email parameter [from] or [to]"
CREDENTIALS: Final = "credentials(username, password) => smtp object"
MECHANISM_USAGE: Final = (
    "Available mechanisms: PLAIN, AUTH LOGIN, XOAUTH2. "
    "set_auth_mechanism(String || Array<String>) => smtp object"
)
MECHANISMS: Final = {"PLAIN": "PLAIN", "AUTH LOGIN": "LOGIN", "XOAUTH2": "XOAUTH2"}
"""Name in the language, upper case → name on the wire."""

ADDRESS_FIELDS: Final = ("from", "to", "reply_to", "bcc", "cc")
TEXT_FIELDS: Final = ("subject", "text", "html")

BYTES_A_STEP: Final = 2
"""Characters of a mail written for the price of one instruction."""

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252}[A-Za-z0-9])?\.?|\[?[0-9A-Fa-f:.]{2,45}\]?")


@SMTP_BUILTINS.add("SMTP", (1, 1))
def make_mailer(run: Run, args: Arguments, at: Position) -> Result:
    server = args.get("smtp_server", 0)
    if server is None or not isinstance(server.data, str):
        raise SoftError(NO_SERVER)
    run.spend(OBJECT_COST)
    members = {"smtp_server": server, "port": Value(DEFAULT_PORT, at), "tls": Value(True, at)}
    return _mailer(Members(members), at, secure=server.is_secure)


# --- builders ----------------------------------------------------------------------------------


def _mailer(members: Members, at: Position, *, secure: bool) -> Value:
    return Value(members, at, Meta(content_type="smtp", secure=secure))


def _changed(
    run: Run, this: Value, args: tuple[Value, ...], at: Position, **changes: Value
) -> Value:
    """A new mailer with other members."""
    members = own_copy(this).data
    if not isinstance(members, Members):
        raise SoftError(NO_SERVER)
    run.spend(len(members))
    members.update({name: share(value) for name, value in changes.items()})
    return _mailer(members, at, secure=this.is_secure or any(arg.is_secure for arg in args))


@SMTP_METHODS.add("auth", (2, ANY), CREDENTIALS)
def auth(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    for arg in args[:2]:
        if not isinstance(arg.data, str):
            raise SoftError(f"usage: {CREDENTIALS}", at=arg.position)
    return _changed(run, this, args, at, username=args[0], password=args[1])


def _setter(member: str, kind: type, usage: str) -> MethodFunction:
    def build(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
        if type(args[0].data) is not kind:
            raise SoftError(f"usage: {usage}", at=args[0].position)
        return _changed(run, this, args, at, **{member: args[0]})

    return build


_SETTERS: Final = (
    ("port", int, "port(port) => smtp object"),
    ("tls", bool, "tls(BOOLEAN) => smtp object"),
    ("starttls", bool, "starttls(BOOLEAN) => smtp object"),
)
for _member, _kind, _usage in _SETTERS:
    SMTP_METHODS.add(_member, (1, ANY), _usage)(_setter(_member, _kind, _usage))


@SMTP_METHODS.add("set_auth_mechanism", (0, ANY))
def set_auth_mechanism(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    wanted = args[0].data if args else None
    if isinstance(wanted, str):
        names = [wanted.upper()]
        if names[0] not in MECHANISMS:
            raise SoftError(MECHANISM_USAGE)
    elif isinstance(wanted, Items):
        texts = (item.data.upper() for item in wanted if isinstance(item.data, str))
        names = [name for name in texts if name in MECHANISMS]
    else:
        names = []
    if not names:
        raise SoftError(f"usage: {MECHANISM_USAGE}")
    chosen = Value(Members({name: Value(None, at) for name in names}), at)
    return _changed(run, this, args, at, auth_mechanisms=chosen)


# --- sending -----------------------------------------------------------------------------------


@SMTP_METHODS.add("send", (1, ANY), "send(email) => smtp object")
def send(run: Run, this: Value, args: tuple[Value, ...], at: Position) -> Result:
    if not isinstance(args[0].data, Members):
        raise SoftError("usage: send(email) => smtp object", at=args[0].position)
    letter = _letter(run, args[0].data)
    mail = _mail(run, this, letter)
    failed = run.host.call(mail)
    if isinstance(failed, CallFailed):
        raise SoftError(failed.text)
    return True


def _letter(run: Run, email: Members) -> mime.Letter:
    """The checked mail, in the order of checks of the reference. Raises: SoftError."""
    boxes = {name: _mailbox(email, name) for name in ADDRESS_FIELDS}
    texts = {name: _text(email, name) for name in TEXT_FIELDS}
    if texts["text"] is None and texts["html"] is None:
        raise SoftError(NO_BODY)
    sender, recipient = boxes["from"], boxes["to"]
    if sender is None or recipient is None:
        raise SoftError(NO_PARTIES)
    run.spend(sum(len(text) for text in texts.values() if text) // BYTES_A_STEP)
    return mime.Letter(
        sender,
        recipient,
        boxes["reply_to"],
        boxes["cc"],
        boxes["bcc"],
        texts["subject"],
        texts["text"],
        texts["html"],
    )


def _mailbox(email: Members, name: str) -> mime.Mailbox | None:
    if name not in email:
        return None
    text = email[name].data
    if not isinstance(text, str):
        raise SoftError(f"email [{name}] value need to be of type String and a valid email")
    try:
        return mime.parse_mailbox(text)
    except mime.BadMailbox as error:
        raise SoftError(f"Invalid email format: {error}") from None


def _text(email: Members, name: str) -> str | None:
    if name not in email:
        return None
    text = email[name].data
    if not isinstance(text, str):
        raise SoftError(f"email [{name}] value need to be of type String ")  # sic: the blank
    return text


def _mail(run: Run, this: Value, letter: mime.Letter) -> Mail:
    """The delivery: the mailer's settings and the written letter. Raises: SoftError."""
    members = this.data if isinstance(this.data, Members) else Members()
    settings: dict[str, Any] = {name: value.data for name, value in members.items()}
    username, password = settings.get("username"), settings.get("password")
    if not isinstance(username, str):
        raise SoftError("username is missing or invalid type")
    if not isinstance(password, str):
        raise SoftError("password is missing or invalid type")
    server, port = settings.get("smtp_server"), settings.get("port", DEFAULT_PORT)
    if not isinstance(server, str) or not _HOST.fullmatch(server) or type(port) is not int:
        raise SoftError(BAD_SERVER)
    wanted = settings.get("auth_mechanisms")
    names = wanted if isinstance(wanted, Members) else ()
    return Mail(
        server=server.strip("[]"),
        port=port,
        security=_security(settings),
        username=username,
        password=password,
        mechanisms=tuple(MECHANISMS[name] for name in names if name in MECHANISMS),
        sender=letter.sender.address,
        recipients=letter.recipients(),
        message=mime.write(letter, moment_ms=run.host.now_ms(), message_id=run.host.uuid(4)),
    )


def _security(settings: dict[str, Any]) -> str:
    if settings.get("tls", True) is False:
        return "none"
    return "starttls" if settings.get("starttls") is True else "tls"
