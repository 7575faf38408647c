"""The Dockerfile and the compose file, as far as they can be judged without docker."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from palaver.cli.main import COMMANDS
from palaver.config import server_settings

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy/compose.yaml"


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions and their words, continued lines joined."""
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines]


def last_stage() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, words in instructions():
        if name == "FROM":
            found = {}
        found.setdefault(name, []).append(words)
    return found


def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    return read


def environment_of(stage: dict[str, list[str]]) -> dict[str, str]:
    pairs = (pair.partition("=")[::2] for words in stage["ENV"] for pair in words.split())
    return dict(pairs)


def test_every_line_is_a_known_instruction() -> None:
    known = {
        "FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert {name for name, _ in instructions()} <= known


def test_it_runs_as_nobody_special() -> None:
    user = last_stage()["USER"]
    assert user == ["65532:65532"]


def test_it_says_whether_it_is_well() -> None:
    (words,) = last_stage()["HEALTHCHECK"]
    assert "/readyz" in words


def test_it_is_small_for_the_tools_stay_in_the_first_stage() -> None:
    build, run = [words for name, words in instructions() if name == "FROM"]
    assert build == "debian:bookworm-slim AS build"
    assert run == "gcr.io/distroless/python3-debian12:nonroot"  # no shell: nothing can be RUN
    assert "RUN" not in last_stage()
    assert "uv" not in " ".join(last_stage()["COPY"]).split()


def test_the_tests_that_are_removed_are_not_those_of_new_bots() -> None:
    (removal,) = (words for name, words in instructions() if "rm -rf {}" in words)
    assert (ROOT / "src/palaver/cli/templates/csml/tests").is_dir()
    assert "-not -path '*/palaver/*'" in removal


def test_what_is_copied_is_there_and_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name, words in instructions():
        if name == "COPY" and "--from" not in words:
            for source in words.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in ignored


def test_its_environment_is_one_that_palaver_reads() -> None:
    environment = environment_of(last_stage())
    settings = server_settings({}, environment)
    assert settings.host == "0.0.0.0"
    assert settings.database == "sqlite:////data/palaver.db"
    known = {f"PALAVER_{name.upper()}" for name in type(settings).__dataclass_fields__}
    assert {name for name in environment if name.startswith("PALAVER_")} <= known


@pytest.mark.parametrize("service", ["palaver", "upgrade"])
def test_compose_runs_commands_that_exist(service: str) -> None:
    described = compose()["services"][service]
    assert described["command"][0] in COMMANDS
    assert described["build"]["context"] == ".."


def test_compose_waits_for_a_database_that_is_well() -> None:
    services = compose()["services"]
    assert services["upgrade"]["depends_on"]["database"]["condition"] == "service_healthy"
    assert "upgrade" in services["palaver"]["depends_on"]
    assert "healthcheck" in services["database"]
    assert services["database"]["volumes"] == ["database:/var/lib/postgresql/data"]


def test_compose_has_no_secret_of_its_own_and_asks_for_each() -> None:
    text = COMPOSE.read_text(encoding="utf-8")
    example = (ROOT / "deploy/palaver.env.example").read_text(encoding="utf-8")
    for name in ("POSTGRES_PASSWORD", "PALAVER_SECRET_KEY", "ENGINE_SERVER_API_KEYS"):
        assert f"${{{name}:?" in text
        assert f"\n{name}=\n" in example
    assert set(re.findall(r"\$\{(\w+)", text)) == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
