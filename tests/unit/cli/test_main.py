"""The command line as a whole: exit codes, messages instead of tracebacks, and quick help."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from palaver.cli import main as main_module
from palaver.cli.main import COMMANDS, cli, exit_code, main, run
from palaver.errors import ConfigError, NotADatabase, PalaverError, WrongUrl
from palaver.problems import EnvironmentFailed, FolderMissing, UsageError


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([name, "--help"]) == 0
    assert "Usage: palaver" in capsys.readouterr().out


def test_help_imports_no_server() -> None:
    code = (
        "import sys; from palaver.cli.main import run; run(['--help']); "
        "print(*(m for m in ('uvicorn', 'starlette', 'httpx', 'yaml') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_no_command_or_an_unknown_one_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 2
    assert run(["sevre"]) == 2
    assert "There is no command 'sevre'. Did you mean 'serve'?" in capsys.readouterr().err
    assert run(["zzzz"]) == 2
    assert run(["check"]) == 2
    assert run(["check", "--nope", "."]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_each_kind_of_error_has_its_code() -> None:
    assert exit_code(ConfigError("x")) == 1
    assert exit_code(PalaverError("x")) == 1
    assert exit_code(UsageError("x")) == 2
    assert exit_code(WrongUrl("x")) == 2
    assert exit_code(FolderMissing("x")) == 2
    assert exit_code(EnvironmentFailed("x")) == 3
    assert exit_code(NotADatabase("x")) == 3


@pytest.fixture
def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setitem(main_module.COMMANDS, "broken", "")
    monkeypatch.setattr(type(cli), "get_command", lambda *_: broken)


@pytest.mark.usefixtures("_broken")
def test_an_unexpected_error_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["broken"]) == 1
    shown = capsys.readouterr().err
    assert "RuntimeError: first line\n" in shown
    assert "--debug" in shown
    assert "Traceback" not in shown


@pytest.mark.usefixtures("_broken")
def test_debug_shows_the_traceback() -> None:
    with pytest.raises(RuntimeError):
        run(["--debug", "broken"])


def test_main_exits_with_the_code(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["check", str(tmp_path / "nowhere")])
    assert caught.value.code == 2
