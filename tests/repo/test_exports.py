"""What others may import, and what the package says of itself."""

from __future__ import annotations

import tomllib
from importlib.metadata import entry_points, version
from importlib.resources import files

import palaver
from tests.repo.places import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

PUBLIC = {"__version__"}
"""Everything here is a promise; a new name is added on purpose."""


def test_the_public_names_are_these_and_all_exist() -> None:
    assert set(palaver.__all__) == PUBLIC
    assert all(hasattr(palaver, name) for name in PUBLIC)


def test_the_version_is_told_in_one_way() -> None:
    assert palaver.__version__ == PROJECT["version"] == version("palaver")


def test_the_package_says_that_it_is_typed() -> None:
    assert files("palaver").joinpath("py.typed").is_file()


def test_the_command_is_there_and_is_what_the_project_says() -> None:
    (command,) = entry_points(group="console_scripts", name="palaver")
    assert command.value == PROJECT["scripts"]["palaver"]
    assert callable(command.load())
