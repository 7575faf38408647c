"""Starting `palaver serve`: the lines it prints, and everything that must keep it from starting."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.server import (
    ANSWER_S,
    PALAVER,
    Server,
    environment,
    palaver,
    write_bot,
)

NAMES = {
    "Default": """start:
  say "What is your name?"
  hold
  remember name = event
  say "And your town, {{name}}?"
  hold
  say "{{name}} of {{event}}"
  goto end
"""
}

WIRES = ["the CSML engine's REST API", "CSML Studio", "ChatBot.com", "Clustaar"]

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")


def pasted(line: str, **variables: str) -> str:
    """What a shell prints for a line."""
    done = subprocess.run(
        ["sh", "-c", line],
        env={**environment(), **variables},
        capture_output=True,
        text=True,
        timeout=ANSWER_S,
    )
    assert done.returncode == 0, done
    assert done.stderr == ""
    return done.stdout


def curl_lines(output: list[str]) -> dict[str, str]:
    """The lines to paste, by the comment above them."""
    titled = pairwise(output)
    return {title[2:]: line for title, line in titled if title.startswith("# ")}


# --- the lines ---------------------------------------------------------------------------------


@needs_curl
@pytest.mark.parametrize("wire", WIRES)
def test_a_pasted_line_holds_the_conversation_to_its_end(
    wire: str, serving: Callable[..., Server]
) -> None:
    server = serving(NAMES).start()
    server.wait_for_words("/interlocutors/$id/reply")
    lines = curl_lines(server.output)
    assert list(lines) == WIRES
    line = lines[wire]
    assert "What is your name?" in pasted(line, HOME="/nonexistent")
    assert "And your town, Ann?" in pasted(line.replace('"hello"', '"Ann"'))
    assert "Ann of Ghent" in pasted(line.replace('"hello"', '"Ghent"'))
    assert "What is your name?" in pasted(line), "the conversation began anew"


@contextmanager
def on_terminal(place: Path, bot: Path) -> Iterator[list[str]]:
    """A server that believes that a person reads what it prints. Yields: its lines."""
    inside, outside = pty.openpty()
    process = subprocess.Popen(
        [PALAVER, "serve", str(bot), "--port", "0", "--database", "sqlite:///t.db"],
        cwd=place,
        env=environment(),
        stdout=outside,
        stderr=subprocess.DEVNULL,
    )
    os.close(outside)
    try:
        printed = b""
        while b"# Clustaar\r\n" not in printed or not printed.endswith(b"\n"):
            printed += os.read(inside, 65536)
        yield printed.decode().replace("\r\n", "\n").splitlines()
    finally:
        process.kill()
        process.wait()
        os.close(inside)


@needs_curl
def test_on_a_terminal_the_lines_hold_the_keys_and_need_no_palaver(tmp_path: Path) -> None:
    with on_terminal(tmp_path, write_bot(tmp_path / "bot", NAMES)) as output:
        for line in curl_lines(output).values():
            assert "$(palaver" not in line
            assert "What is your name?" in pasted(line, PATH=os.defpath)
            assert "town, Ann?" in pasted(line.replace('"hello"', '"Ann"'), PATH=os.defpath)


def test_the_lines_name_address_database_and_web_chat(serving: Callable[..., Server]) -> None:
    server = serving(NAMES).start()
    server.wait_for_words("/chat/bot")
    text = "\n".join(server.output)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", server.url)
    assert server.database in text
    assert f"{server.url}/chat/bot" in text


def test_keys_stay_what_they_were_at_the_next_start(serving: Callable[..., Server]) -> None:
    server = serving(NAMES).start()
    before = palaver("keys", "list", "bot", "--database", server.database).stdout
    server.stop()
    server.start()
    assert palaver("keys", "list", "bot", "--database", server.database).stdout == before
    assert "studio_key" in before


def test_several_folders_are_served_at_once(tmp_path: Path, serving: Callable[..., Server]) -> None:
    flow = 'start:\n  say "here is {{_metadata._bot}}"\n'
    folders = [write_bot(tmp_path / name, {"Default": flow}) for name in ("ann", "ben")]
    server = serving(folders=folders).start()
    for name in ("ann", "ben"):
        body: dict[str, Any] = {
            "bot_id": name,
            "event": {
                "client": {"bot_id": name, "channel_id": "c", "user_id": "u"},
                "payload": {"content_type": "text", "content": {"text": "hi"}},
                "metadata": {},
            },
        }
        assert server.request("POST", "/run", json=body).status_code == 200


# --- what keeps it from starting ---------------------------------------------------------------


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    return write_bot(tmp_path / "bot", NAMES)


def refused(code: int, *arguments: str | Path, cwd: Path) -> str:
    """Runs `palaver serve`, which must end with the code. Returns: what it said on stderr."""
    done = palaver("serve", *arguments, cwd=cwd)
    assert done.returncode == code, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
    return done.stderr


def test_a_port_in_use_is_3_and_says_what_to_do(tmp_path: Path, bot: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = refused(3, bot, "--port", str(port), "--database", "sqlite:///p.db", cwd=tmp_path)
    assert f"port {port}" in said
    assert "--port" in said
    assert not (tmp_path / "p.db").exists()


@pytest.mark.parametrize(
    "content", [b"Dear diary, this is no database at all.\n" * 50, b"short", b"\x89PNG\r\n\x1a\n"]
)
def test_a_file_that_is_no_database_is_3_and_stays_as_it_is(
    content: bytes, tmp_path: Path, bot: Path
) -> None:
    (tmp_path / "notes.db").write_bytes(content)
    said = refused(3, bot, "--port", "0", "--database", "sqlite:///notes.db", cwd=tmp_path)
    assert "notes.db" in said
    assert (tmp_path / "notes.db").read_bytes() == content


def test_a_database_of_another_program_is_3_and_stays_as_it_is(tmp_path: Path, bot: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
    other.close()
    said = refused(3, bot, "--port", "0", "--database", "sqlite:///other.db", cwd=tmp_path)
    assert "another program" in said
    with sqlite3.connect(tmp_path / "other.db") as other:
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("recipes",)]
    other.close()


def test_a_database_in_a_folder_that_is_not_there_is_3(tmp_path: Path, bot: Path) -> None:
    refused(3, bot, "--port", "0", "--database", "sqlite:///no/where.db", cwd=tmp_path)


def test_a_folder_without_a_bot_is_1(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    said = refused(1, "empty", "--port", "0", cwd=tmp_path)
    assert "empty" in said
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"], "nothing was stored"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere"],
        ["--nonsense"],
        ["bot", "--port", "many"],
        ["bot", "--port", "70000"],
        ["bot", "--database", "mysql://x/y"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_2(arguments: list[str], tmp_path: Path, bot: Path) -> None:
    said = refused(2, *arguments, cwd=tmp_path)
    assert any(word.lstrip("-") in said for word in arguments)
    assert list(tmp_path.iterdir()) == [bot]


def test_several_workers_on_sqlite_are_refused_with_the_reason(tmp_path: Path, bot: Path) -> None:
    assert "PostgreSQL" in refused(2, bot, "--workers", "2", cwd=tmp_path)


def test_a_flow_with_mistakes_is_1_with_a_caret_each_and_nothing_is_stored(tmp_path: Path) -> None:
    flows = {"Default": "start:\n  say\n  hold\n", "Other": 'start:\n  do x = (1 + \n  say "y"\n'}
    write_bot(tmp_path / "bot", flows)
    said = refused(1, "bot", "--port", "0", "--database", "sqlite:///s.db", cwd=tmp_path)
    assert "Default.csml" in said
    assert "Other.csml" in said, "the mistakes of all files are told at once"
    assert len(re.findall(r"^ .*\^", said, re.MULTILINE)) >= 2, said
    assert list(tmp_path.iterdir()) == [tmp_path / "bot"]


def test_mistakes_in_a_new_version_leave_the_stored_one_alone(
    tmp_path: Path, serving: Callable[..., Server]
) -> None:
    server = serving(NAMES).start()
    assert server.say("ann", "hi").texts == ["What is your name?"]
    server.stop()
    write_bot(tmp_path / "bot", {"Default": "start:\n  say\n"})
    refused(1, "bot", "--port", "0", "--database", server.database, cwd=tmp_path)
    server.folders = []
    server.start()
    assert server.say("ann", "Ann").texts == ["And your town, Ann?"]


def test_a_second_server_on_one_sqlite_file_is_refused_and_the_first_goes_on(
    tmp_path: Path, serving: Callable[..., Server]
) -> None:
    server = serving(NAMES).start()
    said = refused(3, "bot", "--port", "0", "--database", server.database, cwd=tmp_path)
    assert "in use" in said
    assert server.say("ann", "hi").texts == ["What is your name?"]
    server.kill()
    server.start()
    assert server.say("ann", "Ann").texts == ["And your town, Ann?"], "the lock died with it"
