"""The start-up lines: pure, and pasted into a real shell with a curl that shows what it got."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from palaver.cli.banner import ServedBot, address_of, command_name, shown_database, start_lines

KEYS = {"studio_key": "K'1", "chatbot_client": "C$x", "clustaar_token": 'T"`t'}
PIZZA = ServedBot("pizza", "5c418eb73bb708000bd10001", "Pizza", KEYS)


def curls(bot: ServedBot, *, shows_keys: bool = True, database: str = ":memory:") -> list[str]:
    lines = start_lines(
        "http://127.0.0.1:8000", database, [bot], shows_keys=shows_keys, text='it\'s "$1" é'
    )
    return [line for line in lines if "curl -s" in line]


@pytest.fixture
def shell(tmp_path: Path) -> object:
    """Runs a line in sh with a fake curl and a fake palaver; gives curl's arguments, per call."""
    (tmp_path / "curl").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" "--end--" >> {tmp_path}/calls\n'
        """printf '{"data":{"type":"interlocutor","id": "0123456789abcdef01234567"}}'\n"""
    )
    (tmp_path / "palaver").write_text('#!/bin/sh\necho "$*"\n')
    for name in ("curl", "palaver"):
        (tmp_path / name).chmod(0o755)

    def paste(line: str) -> list[list[str]]:
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        subprocess.run(["sh", "-eu", "-c", line], env=environment, check=True, capture_output=True)
        calls = (tmp_path / "calls").read_text().split("--end--\n")[:-1]
        (tmp_path / "calls").unlink()
        return [call.splitlines() for call in calls]

    return paste


def body_of(call: list[str]) -> dict[str, object]:
    body: dict[str, object] = json.loads(call[call.index("-d") + 1])
    return body


def test_the_lines_tell_where_everything_is() -> None:
    lines = start_lines("http://h:1", "sqlite:///palaver.db", [PIZZA], shows_keys=True)
    assert lines[0] == "Palaver listens at http://h:1"
    assert "sqlite:///palaver.db" in lines[1]
    assert "http://h:1/chat/pizza" in lines[2]
    assert sum("curl -s" in line for line in lines) == 4
    assert not any("request_id" in line for line in lines)


def test_without_bots_the_lines_say_so() -> None:
    assert "no bots yet" in start_lines("http://h:1", ":memory:", [], shows_keys=True)[-1]


def test_the_engine_line(shell) -> None:  # type: ignore[no-untyped-def]
    (call,) = shell(curls(PIZZA)[0])
    assert "http://127.0.0.1:8000/run" in call
    assert not any("X-Api-Key" in word for word in call)
    body = body_of(call)
    assert body["bot_id"] == "pizza"
    assert body["event"]["payload"]["content"] == {"text": 'it\'s "$1" é'}  # type: ignore[index]
    locked = ServedBot("pizza", "x", "P", {"engine_key": "E"})
    (call,) = shell(curls(locked)[0])
    assert "X-Api-Key: E" in call


def test_the_studio_and_chatbot_lines(shell) -> None:  # type: ignore[no-untyped-def]
    (call,) = shell(curls(PIZZA)[1])
    assert "http://127.0.0.1:8000/v1/api/chat" in call
    assert "X-Api-Key: K'1" in call
    (call,) = shell(curls(PIZZA)[2])
    assert "Authorization: Bearer C$x" in call
    assert 10 <= len(str(body_of(call)["sessionId"])) <= 64


def test_the_clustaar_line_meets_and_then_talks(shell) -> None:  # type: ignore[no-untyped-def]
    meet, reply = shell(curls(PIZZA)[3])
    assert any(
        word.endswith("/bots/5c418eb73bb708000bd10001/interlocutors/clustaar_web_chat")
        for word in meet
    )
    assert "http://127.0.0.1:8000/interlocutors/0123456789abcdef01234567/reply" in reply
    assert 'Authorization: Bearer T"`t' in reply


def test_keys_that_are_not_shown_are_read_by_a_command(shell) -> None:  # type: ignore[no-untyped-def]
    lines = curls(PIZZA, shows_keys=False, database="sqlite:///my db.db")
    assert not any(key in line for line in lines for key in KEYS.values())
    (call,) = shell(lines[1])
    assert "X-Api-Key: keys show pizza studio_key --database sqlite:///my db.db" in call
    assert len(shell(lines[3])) == 2


def test_fixed_keys_are_read_from_the_folder(shell) -> None:  # type: ignore[no-untyped-def]
    bot = ServedBot("p", "x", "P", KEYS, "bots/my pizza", frozenset({"studio_key"}))
    lines = curls(bot, shows_keys=False, database="sqlite:///palaver.db")
    (call,) = shell(lines[1])
    assert "X-Api-Key: keys show bots/my pizza studio_key" in call
    (call,) = shell(lines[2])
    assert "Authorization: Bearer keys show p chatbot_client" in call


def test_the_command_is_one_that_another_terminal_finds(tmp_path: Path) -> None:
    script = tmp_path / "my bin/palaver"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    installed = {"PATH": str(script.parent)}
    assert command_name(str(script), installed) == "palaver"
    assert command_name(str(script), {"PATH": str(tmp_path)}) == f"'{script}'"
    assert command_name(str(script), {**installed, "UV_RUN_RECURSION_DEPTH": "1"}) == f"'{script}'"
    lines = start_lines(
        "http://h:1", ":memory:", [PIZZA], shows_keys=False, command=shlex.quote(str(script))
    )
    assert any(f"$('{script}' keys show pizza studio_key" in line for line in lines)


def test_addresses() -> None:
    assert address_of("127.0.0.1", 1) == "http://127.0.0.1:1"
    assert address_of("0.0.0.0", 1) == "http://127.0.0.1:1"
    assert address_of("::", 1) == "http://[::1]:1"


def test_a_databases_password_is_not_shown() -> None:
    assert shown_database("postgresql://me:pw@h:5432/d?x=1") == "postgresql://me:…@h:5432/d?x=1"
    assert shown_database("sqlite:///palaver.db") == "sqlite:///palaver.db"
    assert shown_database(":memory:") == ":memory:"
