"""The other commands as processes: new, check, chat, keys, and how they end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.server import Server, palaver, write_bot

NAMES = {
    "Default": """start:
  say Question("Tea?", buttons=[Button("Yes", payload="YES"), Button("No", payload="NO")])
  hold
  if (event.match("YES")) {
    remember tea = true
    say "One tea."
  }
  else say "No tea."
  goto end
"""
}


def test_a_new_bot_is_clean_and_answers(tmp_path: Path, serving: Callable[..., Server]) -> None:
    made = palaver("new", "mybot", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "palaver serve mybot" in made.stdout
    checked = palaver("check", "mybot", cwd=tmp_path)
    assert checked.returncode == 0, checked.stdout
    spoken = palaver("chat", "mybot", cwd=tmp_path, stdin="hello\n/quit\n")
    assert spoken.returncode == 0, spoken.stderr
    assert spoken.stdout.strip()
    server = serving(folders=[tmp_path / "mybot"]).start()
    assert server.request("GET", "/readyz").status_code == 200


def test_new_never_writes_over_what_is_there(tmp_path: Path) -> None:
    write_bot(tmp_path / "bot", NAMES)
    refused = palaver("new", "bot", cwd=tmp_path)
    assert refused.returncode == 2
    assert "bot" in refused.stderr
    assert (tmp_path / "bot" / "flows" / "Default.csml").read_text() == NAMES["Default"]


def test_check_finds_nothing_wrong_with_a_good_bot(tmp_path: Path) -> None:
    write_bot(tmp_path / "bot", NAMES)
    assert palaver("check", "bot", cwd=tmp_path).returncode == 0


def test_check_shows_every_mistake_with_a_caret(tmp_path: Path) -> None:
    write_bot(tmp_path / "bot", {"Default": "start:\n  say\n", "Other": "start:\n  do x = \n"})
    done = palaver("check", "bot", cwd=tmp_path)
    assert done.returncode == 1
    for flow in ("Default.csml", "Other.csml"):
        assert flow in done.stdout
    assert "^" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["json", "github"])
def test_check_speaks_to_programs(form: str, tmp_path: Path) -> None:
    write_bot(tmp_path / "bot", {"Default": 'start:\n  say "a"\n  do x = \n'})
    done = palaver("check", "bot", "--format", form, cwd=tmp_path)
    assert done.returncode == 1
    if form == "json":
        assert "Default.csml" in json.dumps(json.loads(done.stdout))
    else:
        assert "::error file=" in done.stdout


@pytest.mark.parametrize("dialect", ["studio", "chatbot", "clustaar"])
def test_chat_takes_lines_from_a_pipe_over_any_dialect(dialect: str, tmp_path: Path) -> None:
    write_bot(tmp_path / "bot", NAMES)
    done = palaver("chat", "bot", "--dialect", dialect, cwd=tmp_path, stdin="hi\n1\n")
    assert done.returncode == 0, done.stderr
    assert "Tea?" in done.stdout
    assert "One tea." in done.stdout
    assert "\x1b" not in done.stdout, "no colours in a pipe"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "bot"], "it leaves nothing behind"


def test_chat_talks_to_a_running_server_with_the_key_it_was_given(
    tmp_path: Path, serving: Callable[..., Server]
) -> None:
    server = serving(NAMES).start()
    key = palaver("keys", "show", "bot", "studio_key", "--database", server.database)
    assert key.returncode == 0, key.stderr
    address = ("--url", server.url, "--key", key.stdout.strip())
    first = palaver("chat", *address, cwd=tmp_path, stdin="hi\n")
    assert "Tea?" in first.stdout, first.stderr
    second = palaver("chat", *address, cwd=tmp_path, stdin="No\n")
    assert "No tea." in second.stdout, "the same person goes on"
    wrong = palaver("chat", "--url", server.url, "--key", "wrong", cwd=tmp_path, stdin="hi\n")
    assert "Tea?" not in wrong.stdout
    assert wrong.returncode == 1, "a program that pipes lines must know"
    assert "Traceback" not in wrong.stderr


def test_chat_with_a_server_that_is_not_there_is_3(tmp_path: Path) -> None:
    done = palaver("chat", "--url", "http://127.0.0.1:1", "--key", "k", cwd=tmp_path, stdin="hi\n")
    assert done.returncode == 3, done
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "chat", "check", "new", "keys"])
def test_every_command_explains_itself(command: str) -> None:
    done = palaver(command, "--help")
    assert done.returncode == 0
    assert "Usage: palaver" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("arguments", [["nonsense"], ["check"], ["check", "nowhere"], ["--what"]])
def test_wrong_usage_is_2(arguments: list[str], tmp_path: Path) -> None:
    done = palaver(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr
