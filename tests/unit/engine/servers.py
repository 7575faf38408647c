"""Small servers for tests, each in a thread of its own: HTTP with odd routes, SMTP, certificates."""

from __future__ import annotations

import atexit
import base64
import datetime
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Web(BaseHTTPRequestHandler):
    """`/hop/N/STATUS` redirects N times; `/to?URL` once; the rest is named by its route.

    `/never` answers when the test is over.
    """

    server: WebServer
    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]]

    def log_message(self, *args: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        port = self.client_address[1]
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append(
            {
                "method": self.command,
                "path": self.path,
                "headers": headers,
                "body": body,
                "port": port,
            }
        )
        route, _, rest = self.path.removeprefix("/").partition("/")
        if route == "hop":
            left, status = rest.split("/")
            where = f"/hop/{int(left) - 1}/{status}" if int(left) > 1 else "/end"
            self.answer(int(status), location=where)
        elif self.path.startswith("/to?"):
            self.answer(302, location=self.path[4:])
        elif route == "big":
            with suppress(OSError):
                self.answer(200, b"x" * int(rest))
        elif route == "never":
            self.server.over.wait()
            with suppress(OSError):
                self.answer(200)
        elif route == "short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"x")
            self.close_connection = True
        elif route == "coded":
            self.answer(200, base64.b64decode(rest, b"-_"), content_encoding="gzip")
        elif route == "twice":
            self.send_response(200)
            self.send_header("X-A", "1")
            self.send_header("X-A", "2")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"\xff!")
        else:
            self.answer(404 if route == "none" else 200, b'{"ok": true}')

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any


class WebServer(ThreadingHTTPServer):
    daemon_threads = True
    seen: list[dict[str, Any]]
    over: threading.Event

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def web_server(tls: ssl.SSLContext | None = None) -> Iterator[WebServer]:
    seen: list[dict[str, Any]] = []
    server = WebServer(("127.0.0.1", 0), type("Handler", (Web,), {"seen": seen}))
    server.seen = seen
    server.over = threading.Event()
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


class MailHandler(socketserver.StreamRequestHandler):
    """Speaks enough SMTP; what was received is in `server.seen`."""

    server: MailServer

    def line(self) -> str:
        return self.rfile.readline().decode().rstrip("\r\n")

    def say(self, *lines: str) -> None:
        for last, line in enumerate(lines, 1 - len(lines)):
            self.wfile.write(
                f"{line[:3]}{' ' if last == 0 else '-'}{line[3:].strip()}\r\n".encode()
            )

    def secure(self) -> None:
        assert self.server.tls is not None
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile = self.connection.makefile("rb")
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]

    def handle(self) -> None:
        server = self.server
        with suppress(OSError):
            if server.implicit:
                self.secure()
            if server.script == "flood":
                while True:
                    self.wfile.write(b"220-x\r\n" * 1000)
            if server.script == "silent":
                server.over.wait()
            self.say("220 hello")
            while self.command(self.line()):
                pass

    def finish(self) -> None:
        super().finish()
        self.connection.close()

    def command(self, line: str) -> bool:
        server = self.server
        verb, _, rest = line.partition(" ")
        verb = verb.upper()
        server.seen.append(line)
        if verb == "EHLO":
            extra = [] if server.tls is None or server.implicit else ["250 STARTTLS"]
            self.say("250 me", *extra, f"250 AUTH {server.mechanisms}", "250 SMTPUTF8")
        elif verb == "STARTTLS":
            self.say("220 go")
            self.secure()
        elif verb == "AUTH":
            self.authenticate(rest)
        elif verb == "RCPT" and server.script in rest:
            self.say("550 no such user")
        elif verb == "DATA":
            self.say("354 go")
            while (text := self.line()) != ".":
                server.message.append(text)
            self.say("250 taken")
        elif verb == "QUIT":
            self.say("221 bye")
            return False
        else:
            self.say("250 ok")
        return bool(verb)

    def authenticate(self, rest: str) -> None:
        mechanism, _, initial = rest.partition(" ")
        given = [initial]
        if mechanism == "LOGIN":
            self.say("334 " + base64.b64encode(b"Password:").decode())
            given.append(self.line())
        self.server.credentials = b"|".join(base64.b64decode(part) for part in given)
        if self.server.script == "denied":
            self.say("535 wrong password")
        else:
            self.say("235 welcome")


class MailServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, tls: ssl.SSLContext | None, *, implicit: bool, mechanisms: str, script: str
    ) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.over = threading.Event()
        self.tls = tls
        self.implicit = implicit
        self.mechanisms = mechanisms
        self.script = script
        self.seen: list[str] = []
        self.message: list[str] = []
        self.credentials = b""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextmanager
def mail_server(
    tls: ssl.SSLContext | None = None,
    *,
    implicit: bool = False,
    mechanisms: str = "PLAIN LOGIN",
    script: str = "-",
) -> Iterator[MailServer]:
    server = MailServer(tls, implicit=implicit, mechanisms=mechanisms, script=script)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()
    thread.join()


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A self-signed certificate. Returns: the server's context, a client's that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ip_address(name))
    except ValueError:
        alternative = x509.DNSName(name)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "certificate.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=str(file))


@cache
def closed_port() -> int:
    """A port nobody listens at: it stays ours, so that nobody is given it meanwhile."""
    ours = socket.socket()
    ours.bind(("127.0.0.1", 0))
    atexit.register(ours.close)
    return int(ours.getsockname()[1])
