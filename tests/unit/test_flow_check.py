"""From folders to the checker: what the language is told of the bot around the flows."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver.cli.check import check_folders
from palaver.csml.parser import parse_flow_parts
from palaver.csml.source import Source


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def codes(folder: Path) -> list[str]:
    return [problem.code for problem in check_folders([folder])[1]]


def test_components_of_the_folder_are_known(tmp_path: Path) -> None:
    text = 'start:\n  say Component.Badge("a")\n  say Component.Bagde("a")\n'
    folder = write(tmp_path, {"flows/Default.csml": text, "components/Badge.json": "{}"})
    assert codes(folder) == ["unknown-component"]


@pytest.mark.parametrize("variable", ["COMPONENTS_DIR", "PALAVER_COMPONENTS_DIR"])
def test_components_of_the_server_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    folder = write(tmp_path / "bot", {"flows/Default.csml": 'start:\n  say Badge("a")\n'})
    assert codes(folder) == ["unknown-function"]
    write(tmp_path / "shared", {"Badge.json": "{}"})
    monkeypatch.setenv(variable, str(tmp_path / "shared"))
    assert codes(folder) == []


def test_components_of_the_server_table_are_known(tmp_path: Path) -> None:
    write(tmp_path / "shared", {"Badge.json": "{}"})
    settings = f'[server]\ncomponents_dir = "{tmp_path / "shared"}"\n'
    flow = 'start:\n  say Badge("a")\n'
    folder = write(tmp_path / "bot", {"flows/Default.csml": flow, "palaver.toml": settings})
    assert codes(folder) == []


def test_a_place_behind_other_letters_is_counted_in_characters(tmp_path: Path) -> None:
    folder = write(tmp_path, {"flows/Default.csml": 'start:\n  say ["é", nope()]\n'})
    (problem,) = check_folders([folder])[1]
    assert (problem.line, problem.column) == (2, 13)


# --- texts that can be read only in part -------------------------------------------------------


def parts(text: str) -> tuple[list[str], set[str], int]:
    flow, unread, diagnostics = parse_flow_parts(Source(text, "main"))
    names = [getattr(declaration, "name", "") for declaration in flow.declarations]
    return names, set(unread.split()), len(diagnostics)


def test_a_text_without_errors_is_read_whole() -> None:
    assert parts("const A = 1\nstart:\n  say 1\n") == (["A", "start"], set(), 0)


def test_a_step_with_an_error_is_left_out_and_its_words_are_told() -> None:
    assert parts("a:\n  say 1\nb:\n  say step\nc:\n  say 2\n") == (
        ["a", "c"],
        {"b:", "say", "step"},
        1,
    )


def test_a_step_that_ends_at_an_error_is_left_out() -> None:
    names, unread, count = parts("a:\n  say 1\nb:\n  hold\n  sya 1\nc:\n  say 2\n")
    assert (names, count) == (["a", "c"], 1)
    assert unread == {"b:", "hold", "sya", "1"}


def test_behind_an_open_string_nothing_is_read() -> None:
    names, unread, count = parts('a:\n  say 1\nb:\n  say "x\nc:\n  say 2\n')
    assert (names, count) == (["a"], 1)
    assert {"b:", '"x', "c:", "2"} <= unread
