"""The bots that come with Palaver are good bots."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver.cli.main import run

pytest.importorskip("palaver.csml.checker")

EXAMPLES = Path(__file__).parents[3] / "examples"


def test_the_examples_have_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", *map(str, EXAMPLES.iterdir())]) == 0, capsys.readouterr().out


def test_a_new_bot_has_no_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["new", str(tmp_path)]) == 0
    assert run(["check", str(tmp_path)]) == 0, capsys.readouterr().out
