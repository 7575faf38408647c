"""`palaver check`: the three formats."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from palaver.cli.main import run


def test_a_good_bot_is_said_to_be_good(
    bot_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(bot_folder)]) == 0
    assert capsys.readouterr().out == f"{bot_folder}: 1 flow, no problems\n"


def test_mistakes_are_shown_with_a_caret(
    bot_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (bot_folder / "palaver.toml").write_text("[bot]\n  lifespam = 2\n")
    assert run(["check", str(bot_folder)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{bot_folder}/palaver.toml:2:3: error: [bot] has no setting 'lifespam'",
        "      lifespam = 2",
        "      ^",
        "    did you mean 'lifespan'?",
        "1 error",
    ]


def test_json_is_for_programs(bot_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bot_folder / "palaver.toml").write_text("[bot]\nlifespan = 0\n")
    assert run(["check", "--format", "json", str(bot_folder)]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["ok"] is False
    (problem,) = shown["problems"]
    assert (problem["line"], problem["column"], problem["severity"]) == (2, 1, "error")
    assert problem["path"].endswith("palaver.toml")


def test_github_gets_annotations(bot_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (bot_folder / "palaver.toml").write_text("[bot]\nlifespam = 0\n")
    assert run(["check", "--format", "github", str(bot_folder)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith(f"::error file={bot_folder}/palaver.toml,line=2,col=1::[bot] has no")
    assert "%0Adid you mean" in shown


def test_all_folders_are_checked(
    bot_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["check", str(tmp_path / "empty"), str(bot_folder)]) == 1
    assert "no bot is here" in capsys.readouterr().out


def test_two_bots_of_one_id_are_found(
    bot_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other" / "flows").mkdir(parents=True)
    (tmp_path / "other" / "flows" / "A.csml").write_text("start:\n  goto end\n")
    (tmp_path / "other" / "palaver.toml").write_text('[bot]\nid = "pizza"\n')
    assert run(["check", str(bot_folder), str(tmp_path / "other")]) == 1
    assert "is also that of" in capsys.readouterr().out
