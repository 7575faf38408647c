"""`palaver new`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from palaver.cli.main import run
from palaver.config_file import parse_config


def test_a_new_bot_is_complete(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "deep" / 'my "bot"'
    assert run(["new", str(folder)]) == 0
    assert f"palaver chat {shlex.quote(str(folder))}" in capsys.readouterr().out
    settings = parse_config("palaver.toml", (folder / "palaver.toml").read_bytes()).values
    assert settings["bot"]["id"] == 'my "bot"'  # type: ignore[index]
    assert (folder / "flows" / "Default.csml").is_file()
    assert yaml.safe_load((folder / "tests" / "default.yaml").read_text())[0]["talk"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    assert run(["new", str(tmp_path)]) == 0
    assert (tmp_path / "palaver.toml").is_file()


def test_what_is_there_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert run(["new", str(tmp_path)]) == 2
    assert run(["new", str(tmp_path / "file")]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_place_that_cannot_be_written_is_the_environments_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert run(["new", str(tmp_path / "file" / "bot")]) == 3
    assert "cannot write" in capsys.readouterr().err


def test_other_kinds_come_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", str(tmp_path / "x"), "--kind", "steps"]) == 2
    assert "later release" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["new"], ["new", "{here}/a", "--kind", "nope"]])
def test_wrong_usage(words: list[str], tmp_path: Path) -> None:
    assert run([word.format(here=tmp_path) for word in words]) == 2
