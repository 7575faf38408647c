"""Delivers one mail over SMTP to a server whose addresses were judged. Blocks: for a thread.

Knows nothing of the guard: it is given addresses and connects to nothing else.
Spec: csml-language §10.8.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO, Final, cast

from palaver.effects import Mail

MAX_PORT: Final = 65_535
MAX_REPLIES_BYTES: Final = 256 * 1024
"""What a server may say in one connection; a reply may have any number of lines otherwise."""

DEFAULT_MECHANISMS: Final = ("PLAIN", "LOGIN")


class MailError(Exception):
    """The mail was not delivered; the message says why."""


class Delivery:
    """One delivery.

    Args:
        addresses: numeric addresses of the server, tried in order.
        timeout_s: for each step; the caller bounds the whole and calls `abandon`.
        tls: trusted certificates; the server's must be good for `mail.server`.
    """

    def __init__(
        self, mail: Mail, addresses: list[str], timeout_s: float, tls: ssl.SSLContext
    ) -> None:
        self._mail = mail
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._tls = tls
        self._socket: socket.socket | None = None
        self._is_abandoned = False

    def abandon(self) -> None:
        """Ends the conversation with the server, from any thread; harmless when it is over."""
        self._is_abandoned = True
        connection = self._socket
        if connection is not None:
            with suppress(OSError):
                # Not the method of a TLS socket, which is not made for several threads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def run(self) -> None:
        """Connects, authenticates, delivers. Raises: MailError."""
        mail = self._mail
        try:
            client = _Client(mail.server, mail.port, self._timeout_s, self._connect)
            if mail.security == "starttls":
                client.starttls(context=self._tls)
                self._socket = client.sock
            client.ehlo_or_helo_if_needed()
            _authenticate(client, mail)
            refused = client.sendmail(mail.sender, mail.recipients, mail.message, _options(mail))
            if refused:
                raise smtplib.SMTPRecipientsRefused(refused)
            with suppress(smtplib.SMTPException, OSError):
                client.quit()
        except smtplib.SMTPException as error:
            raise MailError(_reason(error)) from error
        except OSError as error:
            raise MailError(error.strerror or str(error) or type(error).__name__) from error
        except ValueError as error:
            raise MailError(f"the server's answer makes no sense: {error}") from error
        finally:
            if self._socket is not None:
                self._socket.close()

    def _connect(self) -> socket.socket:
        failure = OSError("nobody waits for it any more")
        for address in self._addresses:
            if self._is_abandoned:
                break
            try:
                self._socket = socket.create_connection((address, self._mail.port), self._timeout_s)
            except OSError as error:
                failure = error
                continue
            return self._secured(self._socket)
        raise failure

    def _secured(self, plain: socket.socket) -> socket.socket:
        """The connection itself, or in TLS from the first byte on."""
        if self._mail.security != "tls":
            return plain
        self._socket = self._tls.wrap_socket(
            plain, server_hostname=self._mail.server, do_handshake_on_connect=False
        )
        self._socket.do_handshake()
        return self._socket


class _Client(smtplib.SMTP):
    """An SMTP client with a connection made for it, reading no more than is decent."""

    def __init__(
        self, host: str, port: int, timeout_s: float, connect: Callable[[], socket.socket]
    ) -> None:
        self._make_connection = connect
        name = socket.gethostname()
        super().__init__(host, port, name if name.isascii() else "localhost", timeout_s)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._make_connection()

    def getreply(self) -> tuple[int, bytes]:
        if self.file is None and self.sock is not None:
            self.file = _Bounded(cast(BinaryIO, self.sock.makefile("rb")))
        return super().getreply()


class _Bounded:
    """The reading end of a connection, up to a number of bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_REPLIES_BYTES

    def readline(self, limit: int = -1) -> bytes:
        line = self._file.readline(limit)
        self._left -= len(line)
        if self._left < 0:
            raise OSError("the server says too much")
        return line

    def close(self) -> None:
        self._file.close()


def _authenticate(client: _Client, mail: Mail) -> None:
    """Uses the first wanted mechanism that the server offers. Raises: SMTPException, MailError."""
    offered = client.esmtp_features.get("auth", "").upper().split()
    wanted = mail.mechanisms or DEFAULT_MECHANISMS
    for mechanism in wanted:
        if mechanism in offered:
            client.user, client.password = mail.username, mail.password
            client.auth(mechanism, _responder(client, mechanism))  # type: ignore[arg-type]
            return
    raise MailError(f"the server offers none of {', '.join(wanted)}")


def _responder(client: _Client, mechanism: str) -> Callable[[bytes | None], str | None]:
    if mechanism == "PLAIN":
        return client.auth_plain
    if mechanism == "LOGIN":
        return client.auth_login

    def xoauth2(challenge: bytes | None = None) -> str:
        # A challenge is the server's error; an empty answer asks for its reply code.
        return "" if challenge else f"user={client.user}\x01auth=Bearer {client.password}\x01\x01"

    return xoauth2


def _options(mail: Mail) -> list[str]:
    """Options of `MAIL FROM`; `sendmail` adds the size."""
    return [] if all(map(str.isascii, (mail.sender, *mail.recipients))) else ["SMTPUTF8"]


def _reason(error: smtplib.SMTPException) -> str:
    """What the server said, else what the library says."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return f"{code} {_plain(text)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{error.smtp_code} {_plain(error.smtp_error)}"
    return str(error) or type(error).__name__


def _plain(text: bytes | str) -> str:
    return text if isinstance(text, str) else text.decode("utf-8", "replace")
