"""SMTP mailers and the mails they write. Spec: csml-language §10.8."""

from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palaver.csml.failures import SoftError
from palaver.csml.stdlib import mime
from palaver.csml.stdlib.smtp import MECHANISM_USAGE, SMTP_BUILTINS, SMTP_METHODS
from palaver.csml.values import SECURE, Value, content_type_of
from palaver.effects import CallFailed, Mail
from tests.unit.csml.stdlib.outward import (
    OutwardRun,
    invoke,
    make,
    named,
    plain,
    positional,
    soft_error,
    value,
)

BASE = {"smtp_server": "mail.example.org", "port": 465, "tls": True}
GOOD: dict[str, Any] = {"from": "Ann <a@x.org>", "to": "b@x.org", "text": "t"}


def smtp(server: Any = "mail.example.org") -> Value:
    return make(SMTP_BUILTINS, "SMTP", positional(server))


def ready() -> Value:
    return invoke(SMTP_METHODS, smtp(), "auth", "me", "pw")


def mailed(email: Any, mailer: Value | None = None) -> Mail:
    run = OutwardRun(None)
    assert invoke(SMTP_METHODS, mailer or ready(), "send", email, run=run).data is True
    return cast(Mail, run.asked)


def parsed(mail: Mail) -> EmailMessage:
    return message_from_bytes(mail.message, policy=default)


def refusal(email: Any, mailer: Value | None = None) -> str:
    return soft_error(invoke, SMTP_METHODS, mailer or ready(), "send", email).text


# --- builders ----------------------------------------------------------------------------------


def test_a_mailer_is_an_object() -> None:
    assert plain(smtp()) == BASE
    assert content_type_of(smtp()) == "smtp"
    mailer = make(SMTP_BUILTINS, "SMTP", named(smtp_server="h"))
    for name, setting in (("port", 25), ("tls", False), ("starttls", True)):
        mailer = invoke(SMTP_METHODS, mailer, name, setting)
    assert plain(mailer) == {"smtp_server": "h", "port": 25, "tls": False, "starttls": True}


def test_builders_give_new_mailers() -> None:
    mailer = smtp()
    changed = invoke(SMTP_METHODS, mailer, "auth", "me", "pw")
    assert plain(changed) == BASE | {"username": "me", "password": "pw"}
    assert plain(mailer) == BASE
    assert invoke(SMTP_METHODS, mailer, "auth", "me", Value("pw", meta=SECURE)).is_secure


@pytest.mark.parametrize(
    ("wanted", "stored"),
    [
        (["PLAIN"], {"PLAIN": None}),
        (["auth login", "nope", 5], {"AUTH LOGIN": None}),
        (["xoauth2", "Plain"], {"XOAUTH2": None, "PLAIN": None}),
        ("plain", {"PLAIN": None}),
    ],
)
def test_mechanisms(wanted: Any, stored: Any) -> None:
    mailer = invoke(SMTP_METHODS, smtp(), "set_auth_mechanism", wanted)
    assert plain(mailer)["auth_mechanisms"] == stored


@pytest.mark.parametrize("args", [(), ([],), (["nope"],), (5,), ({"PLAIN": True},)])
def test_wrong_mechanisms(args: Any) -> None:
    error = soft_error(invoke, SMTP_METHODS, smtp(), "set_auth_mechanism", *args)
    assert error.text == f"usage: {MECHANISM_USAGE}"
    assert error.at is None


def test_an_unknown_mechanism_by_name_has_another_text() -> None:
    assert (
        soft_error(invoke, SMTP_METHODS, smtp(), "set_auth_mechanism", "NOPE").text
        == MECHANISM_USAGE
    )


@pytest.mark.parametrize(
    ("name", "args", "usage"),
    [
        ("auth", ("me",), "credentials(username, password) => smtp object"),
        ("auth", ("me", 5), "credentials(username, password) => smtp object"),
        ("port", (), "port(port) => smtp object"),
        ("port", ("25",), "port(port) => smtp object"),
        ("port", (True,), "port(port) => smtp object"),
        ("tls", (1,), "tls(BOOLEAN) => smtp object"),
        ("starttls", ("true",), "starttls(BOOLEAN) => smtp object"),
        ("send", (), "send(email) => smtp object"),
        ("send", ("text",), "send(email) => smtp object"),
    ],
)
def test_argument_errors(name: str, args: tuple[Any, ...], usage: str) -> None:
    error = soft_error(invoke, SMTP_METHODS, smtp(), name, *args)
    assert error.text == f"usage: {usage}"


@pytest.mark.parametrize("args", [positional(), positional(25), named(host="h")])
def test_a_mailer_needs_a_server(args: Any) -> None:
    assert soft_error(make, SMTP_BUILTINS, "SMTP", args).text.startswith("SMTP builtin expects")


# --- checks of the mail ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("email", "text"),
    [
        ({}, "email text/html parameter is mandatory"),
        ({"from": "a@x.org", "to": "b@x.org"}, "email text/html parameter is mandatory"),
        (GOOD | {"from": 5}, "email [from] value need to be of type String and a valid email"),
        (
            GOOD | {"to": ["b@x.org"]},
            "email [to] value need to be of type String and a valid email",
        ),
        (
            GOOD | {"reply_to": 1},
            "email [reply_to] value need to be of type String and a valid email",
        ),
        (GOOD | {"cc": None}, "email [cc] value need to be of type String and a valid email"),
        (GOOD | {"bcc": True}, "email [bcc] value need to be of type String and a valid email"),
        (GOOD | {"subject": 1}, "email [subject] value need to be of type String "),
        (GOOD | {"text": 1}, "email [text] value need to be of type String "),
        (GOOD | {"html": 1.5}, "email [html] value need to be of type String "),
        ({"text": "t"}, "missing mandatory email parameter [from] or [to]"),
        ({"from": "a@x.org", "text": "t"}, "missing mandatory email parameter [from] or [to]"),
        (GOOD | {"from": "nobody"}, "Invalid email format: MissingParts"),
        (GOOD | {"to": ""}, "Invalid email format: MissingParts"),
        (GOOD | {"to": "Ann <ann@x.org"}, "Invalid email format: Unbalanced"),
        (GOOD | {"to": "a b@x.org"}, "Invalid email format: InvalidUser"),
        (GOOD | {"to": "@x.org"}, "Invalid email format: InvalidUser"),
        (GOOD | {"to": "b@"}, "Invalid email format: InvalidDomain"),
        (GOOD | {"to": "a@x.org, b@y.org"}, "Invalid email format: InvalidUser"),
        (GOOD | {"to": "a@x.org\r\nBcc: c@x.org"}, "Invalid email format: InvalidUser"),
        (GOOD | {"to": "a@x.org\r\nBcc: c"}, "Invalid email format: InvalidDomain"),
        (GOOD | {"to": "a@-x.org"}, "Invalid email format: InvalidDomain"),
    ],
)
def test_mails_that_are_refused(email: Any, text: str) -> None:
    assert refusal(email) == text


def test_credentials_are_mandatory() -> None:
    assert refusal(GOOD, smtp()) == "username is missing or invalid type"
    half = value(BASE | {"username": "me", "password": 5})
    assert refusal(GOOD, half) == "password is missing or invalid type"


@pytest.mark.parametrize("server", ["", "two words", "a/b", "user@host", "h\r\nQUIT"])
def test_servers_that_are_none(server: str) -> None:
    mailer = invoke(SMTP_METHODS, smtp(server), "auth", "me", "pw")
    assert refusal(GOOD, mailer) == "invalid SMTP address"


# --- what is handed over -----------------------------------------------------------------------


def test_the_delivery() -> None:
    mailer = invoke(SMTP_METHODS, ready(), "set_auth_mechanism", ["auth login", "plain"])
    mail = mailed(GOOD | {"cc": "c@x.org", "bcc": "Hidden <d@x.org>"}, mailer)
    assert mail.server == "mail.example.org"
    assert (mail.port, mail.security) == (465, "tls")
    assert (mail.username, mail.password) == ("me", "pw")
    assert mail.mechanisms == ("LOGIN", "PLAIN")
    assert mail.sender == "a@x.org"
    assert mail.recipients == ("b@x.org", "c@x.org", "d@x.org")
    assert b"d@x.org" not in mail.message


@pytest.mark.parametrize(
    ("tls", "starttls", "security"),
    [(True, None, "tls"), (True, False, "tls"), (True, True, "starttls"), (False, True, "none")],
)
def test_security(tls: bool, starttls: bool | None, security: str) -> None:
    mailer = invoke(SMTP_METHODS, ready(), "tls", tls)
    if starttls is not None:
        mailer = invoke(SMTP_METHODS, mailer, "starttls", starttls)
    assert mailed(GOOD, mailer).security == security


def test_both_bodies_stand_in_one_mail_the_text_first() -> None:
    message = parsed(mailed(GOOD | {"text": "héllo", "html": "<b>h</b>", "subject": "Ünï"}))
    assert message.get_content_type() == "multipart/alternative"
    parts = [part.get_content_type() for part in message.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    assert message["Subject"] == "Ünï"
    assert message["From"] == "Ann <a@x.org>"
    assert message["Date"] is not None
    assert message["Message-ID"].endswith("@x.org>")
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == ["héllo"]


def test_one_body_is_an_alternative_too() -> None:
    message = parsed(mailed({"from": "a@x.org", "to": "b@x.org", "html": "<b>h</b>"}))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/html"]


def test_line_breaks_do_not_make_headers() -> None:
    mail = mailed(
        GOOD | {"subject": "a\r\nBcc: evil@x.org\r\n\r\nbody", "from": "A\nX: y <a@x.org>"}
    )
    message = parsed(mail)
    assert message["Bcc"] is None
    assert message["X"] is None
    assert message["Subject"] == "a Bcc: evil@x.org body"


def test_a_long_body_is_base64() -> None:
    mail = mailed(GOOD | {"text": "é" * 60_000})
    assert b"Content-Transfer-Encoding: base64" in mail.message
    assert all(len(line) <= 998 for line in mail.message.split(b"\r\n"))


def test_international_addresses() -> None:
    mail = mailed(GOOD | {"to": "Zoë <zoë@exämple.org>"})
    assert mail.recipients == ("zoë@xn--exmple-cua.org",)
    assert "zoë@".encode() in mail.message


def test_a_delivery_that_fails() -> None:
    run = OutwardRun(CallFailed("Could not send email: Connection refused"))
    with pytest.raises(SoftError, match=r"^Could not send email: Connection refused$"):
        invoke(SMTP_METHODS, ready(), "send", GOOD, run=run)


@given(st.text(max_size=80) | st.from_regex(r'"?[^<>]*"? ?<?[^<>@]{0,9}@[^<>@]{0,9}>?'))
@example("a\x85b <x@y.z>")
@example("a\u2028b <x@y.z>")
def test_any_text_is_a_mailbox_or_refused(text: str) -> None:
    try:
        box = mime.parse_mailbox(text)
    except mime.BadMailbox:
        return
    letter = mime.Letter(box, box, box, None, None, text, text, text)
    raw = mime.write(letter, moment_ms=0, message_id="m")
    head = raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    names = {line.partition(b":")[0] for line in head if line[:1] not in (b" ", b"\t")}
    assert names == {
        *(b"Date", b"Message-ID", b"From", b"To", b"Reply-To", b"Subject"),
        *(b"MIME-Version", b"Content-Type"),
    }
