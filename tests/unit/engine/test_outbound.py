"""The door to the outside: real servers on this machine, a resolver of our own.

Spec: csml-language §10.7, §10.8, §9.1; csml-engine-runtime §11, §12; product §7.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import random
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest

from palaver.effects import AppCall, CallFailed, HttpAnswer, HttpRequest, Mail
from palaver.engine.host import TurnHost
from palaver.engine.outbound import Outbound, OutboundSettings
from tests.unit.engine.servers import (
    WebServer,
    certificate,
    closed_port,
    mail_server,
    web_server,
)

T = TypeVar("T")
LOCAL = OutboundSettings(allow_loopback=True, timeout_s=60)


@pytest.fixture(name="web")
def _web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(name="contexts", scope="module")
def _contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certificate(tmp_path_factory.mktemp("tls"), "bot.example")


def through(
    use: Callable[[Outbound], Awaitable[T]], settings: OutboundSettings = LOCAL, **more: Any
) -> T:
    """What `use` gives with a door that is closed afterwards."""

    async def run() -> T:
        outbound = Outbound(settings, **more)
        try:
            return await use(outbound)
        finally:
            await outbound.aclose()

    return asyncio.run(run())


def call(
    url: str,
    method: str = "GET",
    body: str | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    *,
    verify_tls: bool = True,
    **more: Any,
) -> HttpAnswer | CallFailed:
    request = HttpRequest(method, url, headers, body, verify_tls)
    return through(lambda door: door.send(request), **more)


def failure(answer: object) -> str:
    assert isinstance(answer, CallFailed), answer
    return answer.text


def resolver(*answers: list[str]) -> Callable[[str, int], Awaitable[list[str]]]:
    """Gives the answers in turn, the last one for ever."""
    left = list(answers)

    async def resolve(host: str, port: int) -> list[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve


# --- requests and answers ----------------------------------------------------------------------


def test_a_request_and_its_answer(web: WebServer) -> None:
    headers = (
        ("X-A", "1"),
        ("x-a", "2"),
        ("Content-Length", "999"),
        ("Transfer-Encoding", "chunked"),
    )
    answer = call(f" {web.url}/a b?c=é#d ", "POST", '{"é": 1}', headers)
    assert isinstance(answer, HttpAnswer)
    assert (answer.status, answer.body) == (200, '{"ok": true}')
    assert answer.headers["content-length"] == "12"
    assert answer.url == f"{web.url}/a%20b?c=%C3%A9#d"
    (seen,) = web.seen
    assert (seen["method"], seen["path"]) == ("POST", "/a%20b?c=%C3%A9")
    assert seen["body"] == '{"é": 1}'.encode()
    assert seen["headers"] == {"host": f"127.0.0.1:{web.port}", "x-a": "2", "content-length": "9"}


def test_methods_are_sent_in_upper_case(web: WebServer) -> None:
    call(f"{web.url}/", "patch")
    assert (web.seen[0]["method"], web.seen[0]["headers"]["content-length"]) == ("PATCH", "0")


def test_an_error_status_is_an_answer(web: WebServer) -> None:
    answer = call(f"{web.url}/none")
    assert isinstance(answer, HttpAnswer)
    assert answer.status == 404


def test_the_first_of_equal_headers_counts_and_bad_bytes_are_replaced(web: WebServer) -> None:
    answer = call(f"{web.url}/twice")
    assert isinstance(answer, HttpAnswer)
    assert (answer.headers["x-a"], answer.body) == ("1", "\ufffd!")


def test_credentials_of_the_address_are_sent_and_not_shown(web: WebServer) -> None:
    answer = call(f"http://me:pw@127.0.0.1:{web.port}/")
    assert isinstance(answer, HttpAnswer)
    assert "pw" not in answer.url
    assert web.seen[0]["headers"]["authorization"] == "Basic bWU6cHc="


def test_connections_are_kept(web: WebServer) -> None:
    async def twice(door: Outbound) -> None:
        for _ in range(3):
            await door.send(HttpRequest("GET", f"{web.url}/", (), None))

    through(twice)
    assert len({seen["port"] for seen in web.seen}) == 1


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="Linux only")
def test_a_kept_connection_does_not_wait_for_acknowledgements(web: WebServer) -> None:
    async def is_quick(door: Outbound) -> bool:
        for _ in range(100):
            start = time.perf_counter()
            await door.send(HttpRequest("GET", f"{web.url}/", (), None))
            if time.perf_counter() - start < 0.03:
                return True
        return False

    async def is_quick_again(door: Outbound) -> bool:
        await door.send(HttpRequest("GET", f"{web.url}/", (), None))
        return await is_quick(door)

    assert through(is_quick_again), "40 ms is what a delayed acknowledgement takes, every time"


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("", "Bad URL: "),
        ("nonsense", "Bad URL: "),
        ("http://a b/", "Bad URL: "),
        ("ftp://127.0.0.1/x", "ftp://127.0.0.1/x: Unknown Scheme: "),
        ("file:///etc/passwd", "file:///etc/passwd: Unknown Scheme: "),
    ],
)
def test_addresses_that_cannot_be_called(url: str, start: str) -> None:
    assert failure(call(url)).startswith(start)


def test_nobody_answers() -> None:
    port = closed_port()
    text = failure(call(f"http://127.0.0.1:{port}/x"))
    assert text == f"http://127.0.0.1:{port}/x: Connection Failed: Connection refused"


def test_an_unknown_host() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such host")

    text = failure(call("http://nowhere.example/", resolve=resolve))
    assert text.startswith("http://nowhere.example/: Connection Failed: ")


def test_a_header_that_cannot_be_sent(web: WebServer) -> None:
    text = failure(call(f"{web.url}/", headers=(("X A", "b\r\nX-Evil: 1"),)))
    assert text.startswith(f"{web.url}/: Connection Failed: ")
    assert not web.seen


# --- limits ------------------------------------------------------------------------------------


def test_a_large_answer_is_refused(web: WebServer) -> None:
    settings = OutboundSettings(allow_loopback=True, max_response_bytes=1000)
    fits = call(f"{web.url}/big/1000", settings=settings)
    assert isinstance(fits, HttpAnswer)
    text = failure(call(f"{web.url}/big/1001", settings=settings))
    assert text.endswith("the answer is larger than http_max_bytes (1000)")


def coded(raw: bytes) -> str:
    return base64.b64encode(raw, b"-_").decode()


def test_a_compressed_answer_is_unpacked_within_the_limit(web: WebServer) -> None:
    settings = OutboundSettings(allow_loopback=True, max_response_bytes=1000)
    small, large = gzip.compress(b"x" * 1000), gzip.compress(b"x" * 100_000)
    answer = call(f"{web.url}/coded/{coded(small)}", settings=settings)
    assert isinstance(answer, HttpAnswer)
    assert answer.body == "x" * 1000
    assert "http_max_bytes" in failure(call(f"{web.url}/coded/{coded(large)}", settings=settings))
    assert failure(call(f"{web.url}/coded/{coded(b'zz')}")) == "failed to read response as JSON"


def test_an_answer_that_breaks_off(web: WebServer) -> None:
    assert failure(call(f"{web.url}/short/")) == "failed to read response as JSON"


@pytest.mark.parametrize("given", [None, 0.2])
def test_a_slow_answer_is_given_up(web: WebServer, given: float | None) -> None:
    settings = OutboundSettings(allow_loopback=True, timeout_s=0.2 if given is None else 60)
    request = HttpRequest("GET", f"{web.url}/never", (), None)
    text = failure(through(lambda door: door.send(request, given), settings))
    assert text == f"{web.url}/never: Connection Failed: no answer within 0.2 s (http_timeout_s)"


def test_no_time_left(web: WebServer) -> None:
    request = HttpRequest("GET", f"{web.url}/", (), None)
    assert "http_timeout_s" in failure(through(lambda door: door.send(request, -1)))


# --- redirects ---------------------------------------------------------------------------------


def test_four_redirects_are_followed_and_the_fifth_fails(web: WebServer) -> None:
    answer = call(f"{web.url}/hop/4/307")
    assert isinstance(answer, HttpAnswer)
    assert answer.url == f"{web.url}/end"
    text = failure(call(f"{web.url}/hop/5/307"))
    assert text.startswith(f"{web.url}/hop/5/307: Connection Failed: ")
    assert "http_max_redirects" in text


@pytest.mark.parametrize("status", [301, 302, 303])
def test_redirects_become_get_without_body(web: WebServer, status: int) -> None:
    headers = (("Authorization", "Bearer t"), ("X-A", "kept"))
    call(f"{web.url}/hop/1/{status}", "PUT", "1", headers)
    last = web.seen[-1]
    assert (last["method"], last["path"], last["body"]) == ("GET", "/end", b"")
    assert last["headers"] == {"host": f"127.0.0.1:{web.port}", "x-a": "kept"}


@pytest.mark.parametrize("status", [307, 308])
def test_other_redirects_keep_method_and_body(web: WebServer, status: int) -> None:
    call(f"{web.url}/hop/1/{status}", "PUT", "1", (("Authorization", "Bearer t"),))
    last = web.seen[-1]
    assert (last["method"], last["body"]) == ("PUT", b"1")
    assert "authorization" not in last["headers"]


@pytest.mark.parametrize(
    ("redirects", "target", "status"),
    [
        ("any", "/end", 200),
        ("none", "/end", 302),
        ("same host", "/end", 200),
        ("same host", "http://other.org/", 302),
        ("same host", "http://localhost/", 302),
    ],
)
def test_a_callback_may_follow_fewer_redirects(
    web: WebServer, redirects: Any, target: str, status: int
) -> None:
    url = f"{web.url}/to?{target}"
    answer = through(lambda door: door.post_json(url, b"{}", redirects=redirects))
    assert isinstance(answer, HttpAnswer)
    assert answer.status == status


def test_another_scheme_is_not_followed(web: WebServer) -> None:
    assert "Unknown Scheme" in failure(call(f"{web.url}/to?file:///etc/passwd"))
    assert "bad redirect" in failure(call(f"{web.url}/to?http://[/"))


# --- the guard ---------------------------------------------------------------------------------

CLOSED = OutboundSettings(timeout_s=60)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "0.0.0.0", "2130706433", "0x7f000001", "017700000001", "127.1"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "10.0.0.1"),
        *("169.254.169.254", "[fe80::1]", "[fd00::1]", "①②⑦.⓪.⓪.①"),
    ],
)
def test_addresses_of_this_house_are_refused(web: WebServer, host: str) -> None:
    text = failure(call(f"http://{host}:{web.port}/", settings=CLOSED))
    assert "Connection Failed" in text
    assert "allow_hosts" in text
    assert not web.seen


def test_a_name_for_a_private_address_is_refused(web: WebServer) -> None:
    text = failure(
        call(f"http://innocent.org:{web.port}/", settings=CLOSED, resolve=resolver(["127.0.0.1"]))
    )
    assert "innocent.org is not a public address; name it in allow_hosts" in text
    assert not web.seen


def test_a_named_host_is_called(web: WebServer) -> None:
    settings = OutboundSettings(allow_hosts=frozenset({"intern.org"}))
    answer = call(
        f"http://intern.org:{web.port}/", settings=settings, resolve=resolver(["127.0.0.1"])
    )
    assert isinstance(answer, HttpAnswer)
    assert web.seen[0]["headers"]["host"] == f"intern.org:{web.port}"


@pytest.mark.parametrize(
    "target", ["http://10.0.0.1/", "http://169.254.169.254/", "//0.0.0.0/", "http://evil.org/"]
)
def test_a_redirect_to_a_private_address_is_refused(web: WebServer, target: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "good.org" else ["192.168.0.1"]

    settings = OutboundSettings(allow_hosts=frozenset({"good.org"}))
    text = failure(
        call(f"http://good.org:{web.port}/to?{target}", settings=settings, resolve=resolve)
    )
    assert "allow_hosts" in text
    assert len(web.seen) == 1


def test_the_address_that_was_judged_is_the_one_connected_to(web: WebServer) -> None:
    """DNS rebinding: the second look-up would lead inside, but there is none for one connection."""
    seen: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        seen.append(host)
        return ["127.0.0.1"] if len(seen) == 1 else ["10.0.0.1"]

    async def thrice(door: Outbound) -> list[object]:
        url = f"http://rebound.org:{web.port}/"
        return [await door.send(HttpRequest("GET", url, (), None)) for _ in range(3)]

    answers = through(thrice, LOCAL, resolve=resolve)
    assert all(isinstance(answer, HttpAnswer) for answer in answers)
    assert seen == ["rebound.org"]


def test_other_addresses_are_tried(web: WebServer) -> None:
    answer = call(f"http://many.org:{web.port}/", resolve=resolver(["127.0.0.9", "127.0.0.1"]))
    assert isinstance(answer, HttpAnswer)


# --- TLS ---------------------------------------------------------------------------------------

Contexts = tuple[ssl.SSLContext, ssl.SSLContext]


def test_the_certificate_is_checked_for_the_name(contexts: Contexts) -> None:
    server, client = contexts
    with web_server(server) as web:
        here = resolver(["127.0.0.1"])
        answer = call(f"https://bot.example:{web.port}/", resolve=here, tls=client)
        assert isinstance(answer, HttpAnswer)
        wrong = call(f"https://other.example:{web.port}/", resolve=here, tls=client)
        assert "certificate" in failure(wrong)
        unknown = call(f"https://bot.example:{web.port}/", resolve=here)
        assert "certificate" in failure(unknown)


@pytest.mark.parametrize(
    ("setting", "request_verifies", "works"),
    [
        (None, True, False),
        (None, False, False),
        (False, True, False),
        (False, False, True),
        (True, True, True),
    ],
)
def test_certificates_are_ignored_where_the_setting_allows_it(
    contexts: Contexts, setting: bool | None, request_verifies: bool, works: bool
) -> None:
    settings = OutboundSettings(allow_loopback=True, disable_ssl_verify=setting)
    with web_server(contexts[0]) as web:
        answer = call(
            f"https://other.example:{web.port}/",
            verify_tls=request_verifies,
            settings=settings,
            resolve=resolver(["127.0.0.1"]),
        )
    assert isinstance(answer, HttpAnswer) is works


# --- apps and callbacks ------------------------------------------------------------------------


def test_an_app_call(web: WebServer) -> None:
    data = {"a": [1, 2.5, None], "é": float("nan")}
    answer = through(
        lambda door: door.app(f"{web.url}/run?token=1", AppCall("sum", data), ("b", "c", "u"))  # type: ignore[arg-type]
    )
    assert isinstance(answer, HttpAnswer)
    (seen,) = web.seen
    assert (seen["method"], seen["path"]) == ("POST", "/run?token=1")
    assert seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["accept"] == "application/json,text/*"
    assert json.loads(seen["body"]) == {
        "function_id": "sum",
        "data": {"a": [1, 2.5, None], "é": None},
        "client": {"bot_id": "b", "channel_id": "c", "user_id": "u"},
    }


@pytest.mark.parametrize("endpoint", [None, "", "nonsense", "http://10.0.0.1/"])
def test_app_endpoints_that_do_not_work(endpoint: str | None) -> None:
    answer = through(lambda door: door.app(endpoint, AppCall("x", {}), ("b", "c", "u")))
    assert isinstance(answer, CallFailed)


def test_data_that_is_no_json() -> None:
    call = AppCall("x", {"a": "\ud800"})
    assert "JSON" in failure(through(lambda door: door.app("http://x.org/", call, ("b", "c", "u"))))


def test_a_callback(web: WebServer) -> None:
    headers = (("X-Hub-Signature", "sha1=0"),)
    through(lambda door: door.post_json(f"{web.url}/hook", b"{}", headers=headers))
    seen = web.seen[0]
    assert (seen["method"], seen["body"]) == ("POST", b"{}")
    assert seen["headers"]["accept"] == seen["headers"]["content-type"] == "application/json"
    assert seen["headers"]["x-hub-signature"] == "sha1=0"
    assert seen["headers"]["content-length"] == "2"


def test_a_callback_has_its_own_time(web: WebServer) -> None:
    text = failure(through(lambda door: door.post_json(f"{web.url}/never", b"{}", 0.1)))
    assert "0.1 s" in text


# --- mail --------------------------------------------------------------------------------------


def letter(port: int, security: str = "none", server: str = "127.0.0.1", **more: Any) -> Mail:
    mail = Mail(
        server,
        port,
        security,
        "me",
        "pw",
        (),
        "a@x.org",
        ("b@x.org", "c@x.org"),
        b"Subject: s\r\n\r\n.hi\r\n",
    )
    return mail._replace(**more)


def post(mail: Mail, settings: OutboundSettings = LOCAL, **more: Any) -> CallFailed | None:
    return through(lambda door: door.mail(mail), settings, **more)


def test_a_mail_is_delivered() -> None:
    with mail_server() as server:
        assert post(letter(server.port)) is None
    assert server.message == ["Subject: s", "", "..hi"]
    assert server.credentials == b"\0me\0pw"
    assert [line for line in server.seen if "TO:" in line] == [
        "rcpt TO:<b@x.org>",
        "rcpt TO:<c@x.org>",
    ]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_mail_is_delivered_securely(contexts: Contexts, security: str) -> None:
    tls, client = contexts
    here = resolver(["127.0.0.1"])
    with mail_server(tls, implicit=security == "tls") as server:
        assert post(letter(server.port, security, "bot.example"), resolve=here, tls=client) is None
        assert server.message
        wrong = post(letter(server.port, security, "other.example"), resolve=here, tls=client)
        assert "certificate" in failure(wrong)
        unknown = post(letter(server.port, security, "bot.example"), resolve=here)
        assert "certificate" in failure(unknown)


def test_starttls_is_not_given_up(contexts: Contexts) -> None:
    with mail_server() as server:
        text = failure(post(letter(server.port, "starttls")))
    assert text.startswith("Could not send email: STARTTLS")
    assert not server.credentials


@pytest.mark.parametrize(
    ("mechanism", "credentials"),
    [
        ("PLAIN", b"\0me\0pw"),
        ("LOGIN", b"me|pw"),
        ("XOAUTH2", b"user=me\x01auth=Bearer pw\x01\x01"),
    ],
)
def test_mechanisms(mechanism: str, credentials: bytes) -> None:
    with mail_server(mechanisms="PLAIN LOGIN XOAUTH2") as server:
        assert post(letter(server.port, mechanisms=(mechanism,))) is None
    assert server.credentials == credentials


def test_no_common_mechanism() -> None:
    with mail_server(mechanisms="CRAM-MD5") as server:
        text = failure(post(letter(server.port)))
    assert text == "Could not send email: the server offers none of PLAIN, LOGIN"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("denied", "535 wrong password"),
        ("c@x.org", "550 no such user"),
        ("x.org", "550 no such user"),
    ],
)
def test_the_server_refuses(script: str, reason: str) -> None:
    with mail_server(script=script) as server:
        assert failure(post(letter(server.port))) == f"Could not send email: {reason}"


def test_a_server_that_never_stops_talking() -> None:
    with mail_server(script="flood") as server:
        assert "too much" in failure(post(letter(server.port)))


def test_a_server_that_says_nothing() -> None:
    settings = OutboundSettings(allow_loopback=True, timeout_s=0.2)
    with mail_server(script="silent") as server:
        assert "http_timeout_s" in failure(post(letter(server.port), settings))


@pytest.mark.parametrize("port", [0, -1, 70_000])
def test_ports_that_are_none(port: int) -> None:
    assert failure(post(letter(port))) == f"Could not send email: {port} is no port"


def test_nobody_takes_mail() -> None:
    assert failure(post(letter(closed_port()))) == "Could not send email: Connection refused"


@pytest.mark.parametrize("server", ["127.0.0.1", "2130706433", "localhost", "::1", "10.0.0.1"])
def test_mail_servers_of_this_house_are_refused(server: str) -> None:
    assert "allow_hosts" in failure(post(letter(25, server=server), CLOSED))


def test_international_addresses_are_announced() -> None:
    with mail_server() as server:
        assert post(letter(server.port, recipients=("zoë@x.org",))) is None
    assert any("SMTPUTF8" in line for line in server.seen if line.startswith("mail"))


# --- the host of a turn ------------------------------------------------------------------------


class Still:
    def now(self) -> datetime:
        return datetime(2024, 5, 1, 9, 30, 0, 123_000, tzinfo=UTC)


def host(seed: int | None = 1) -> TurnHost:
    chance = None if seed is None else random.Random(seed)
    return TurnHost(Still(), lambda request: CallFailed(str(request)), chance=chance)


def test_a_host_with_a_seed_repeats_itself() -> None:
    def told(of: TurnHost) -> list[object]:
        return [of.random(), of.below(10), of.uuid(4), of.uuid(1)]

    assert told(host()) == told(host())
    assert told(host(None)) != told(host(None))


def test_a_host_knows_the_time_and_asks() -> None:
    assert host().now_ms() == 1714555800123
    assert host().call(AppCall("x", {})) == CallFailed(str(AppCall("x", {})))


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux tells")
def test_a_host_knows_what_the_process_takes() -> None:
    before = host().memory_bytes()
    kept = bytearray(b"x") * 200_000_000
    assert before > 1_000_000
    assert host().memory_bytes() - before > len(kept) // 2


def test_ids_of_version_1_differ_though_the_clock_stands_still() -> None:
    still = host()
    ids = {still.uuid(1) for _ in range(100)}
    assert len(ids) == 100
    assert all(text[14] == "1" and text[19] in "89ab" for text in ids)
