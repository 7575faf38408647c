"""`palaver serve` as a process with a small stand-in for the service: lines, signals, exit codes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

PATIENCE_S = 60
"""Only what hangs takes so long."""

STAND_IN = """
import asyncio, contextlib, sys, types
from palaver import folder
from palaver.errors import NotADatabase
folder.check_flows = lambda *_: ()
wiring = types.ModuleType("palaver.wiring")

async def app(scope, receive, send):
    print("ASKED", flush=True)
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    if scope["path"] == "/stuck":
        await asyncio.sleep(3600)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"done"})

class Service:
    app = staticmethod(app)
    class bots:
        loaded = staticmethod(lambda: (types.SimpleNamespace(id="pizza", hex_id="h", name="P"),))
    class access:
        keys_of = staticmethod(lambda bot: {"studio_key": "SECRET"})
    async def load(self, folder):
        print("NEW", len(folder.bot.flows), flush=True)

@contextlib.asynccontextmanager
async def build(settings, folders):
    if settings.database == "bad":
        raise NotADatabase("bad is no database")
    yield Service()
    print("CLOSED", flush=True)

wiring.build = build
sys.modules["palaver.wiring"] = wiring
from palaver.cli.main import main
main(sys.argv[1:])
"""


@contextmanager
def serving(bot: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that serves, and its address, read from its first line."""
    command = [sys.executable, "-W", "error", "-c", STAND_IN, "serve", str(bot), "--port", "0"]
    process = subprocess.Popen(
        [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    # A pipe that stays silent must not hang the tests.
    watchdog = threading.Timer(2 * PATIENCE_S, process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Palaver listens at "), first + str(process.communicate()[1])
        yield process, first.split()[-1]
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        body: bytes = answer.read()
    return body.decode()


def read_until(pipe: IO[str] | None, words: str) -> str:
    """The first line with these words."""
    assert pipe is not None
    while words not in (line := pipe.readline()):
        assert line, f"it never said {words!r}"
    return line


def wait_until_closed(address: tuple[str, int]) -> None:
    """Until the port takes nobody new: the server has understood that it is to stop."""
    with suppress(OSError):
        while True:
            socket.create_connection(address, PATIENCE_S).close()


def test_it_answers_and_stops_when_told_to(bot_folder: Path) -> None:
    with serving(bot_folder) as (process, url):
        assert get(url) == "done"
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()
        assert "CLOSED" in out
        assert "SECRET" not in out, "keys are shown on a terminal only"
        assert "$(palaver keys show pizza studio_key)" in out
        assert err == ""


def test_keys_that_only_this_process_has_are_in_the_lines(bot_folder: Path) -> None:
    with serving(bot_folder, "--database", ":memory:") as (process, _):
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None
        out = process.stdout.read()
        assert "X-Api-Key: SECRET" in out
        assert "palaver keys show" not in out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_turn_in_progress_is_finished(bot_folder: Path, number: signal.Signals) -> None:
    with serving(bot_folder) as (process, url):
        answers: list[str] = []
        asking = threading.Thread(target=lambda: answers.append(get(url + "/slow")))
        asking.start()
        read_until(process.stdout, "ASKED")
        process.send_signal(number)
        asking.join(PATIENCE_S)
        assert answers == ["done"]
        assert process.wait(PATIENCE_S) == 0


def test_a_second_signal_stops_at_once(bot_folder: Path) -> None:
    with serving(bot_folder) as (process, url):
        host, port = url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /stuck HTTP/1.1\r\nHost: x\r\n\r\n")
            read_until(process.stdout, "ASKED")
            process.send_signal(signal.SIGINT)
            wait_until_closed((host, int(port)))
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 128 + signal.SIGINT


# --- bounds of a connection (cli/wire.py) --------------------------------------------------------


def told(url: str, *pieces: bytes) -> bytes:
    """All that a connection brings until the server ends it."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        for piece in pieces:
            connection.sendall(piece)
        got = b""
        while part := connection.recv(65536):
            got += part
    return got


def test_a_head_that_is_too_large_is_431_in_one_piece_and_without_end(
    bot_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALAVER_MAX_HEADER_BYTES", "8KiB")
    start = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "
    with serving(bot_folder) as (_, url):
        whole = told(url, start + b"a" * 9_000 + b"\r\n\r\n")
        assert whole.startswith(b"HTTP/1.1 431 ")
        assert b"setting max_header_bytes" in whole
        assert told(url, start + b"a" * 9_000).startswith(b"HTTP/1.1 431 ")
        assert told(url, b"GET /" + b"a" * 9_000).startswith(b"HTTP/1.1 431 ")
        # A large body is no head, even when it comes with it.
        post = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n"
        assert told(url, post + b"b" * 20_000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "piece",
    [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["nothing", "half a line", "half a body"],
)
def test_a_caller_that_falls_silent_is_left(
    bot_folder: Path, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PALAVER_KEEP_ALIVE_S", "1")
    with serving(bot_folder) as (_, url):
        told(url, piece)  # ends, for the server ends it
        assert get(url) == "done"


def test_what_is_no_http_is_400_in_json(bot_folder: Path) -> None:
    with serving(bot_folder) as (_, url):
        assert told(url, b"\x16\x03\x01 hello\r\n\r\n").endswith(
            b'{"code": 400, "message": "This is no HTTP request."}'
        )


def test_a_database_that_is_none_is_the_environments_fault(bot_folder: Path) -> None:
    command = [sys.executable, "-c", STAND_IN, "serve", str(bot_folder), "--port", "0"]
    done = subprocess.run([*command, "--database", "bad"], capture_output=True, text=True)
    assert done.returncode == 3
    assert done.stderr == "palaver: bad is no database\n"
    assert done.stdout == ""


def test_watch_loads_what_was_saved_and_survives_mistakes(bot_folder: Path) -> None:
    with serving(bot_folder, "--watch") as (process, url):
        (bot_folder / "palaver.toml").write_text("[bot]\nnope = 1\n")
        read_until(process.stderr, "not loaded")
        assert get(url) == "done"
        (bot_folder / "palaver.toml").unlink()
        (bot_folder / "flows" / "More.csml").write_text("start:\n  goto end\n")
        read_until(process.stdout, "NEW")
