"""A program of four hundred lines as a conversation: in one process, and in a new one each turn.

`travel` has functions, closures, imports, an inserted step, constants, components, holds in nested
loops, a secret, memories, an app, HTTP and JWT; `travel.txt` is what is said.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from palaver.config import ServerSettings
from palaver.folder import BotFolder, read_folder
from palaver.wiring import build
from tests.conformance import echo
from tests.conformance.programs.one_turn import CLIENT, ask
from tests.conformance.programs.transcript import Turn, lines_of, read_transcript

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
FOLDER = HERE / "travel"
TURNS = list(read_transcript(HERE / "travel.txt"))


@pytest.fixture(scope="module")
def echo_url() -> Iterator[str]:
    server = echo.serve(0)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def environment(echo_url: str) -> dict[str, str]:
    """What the bot's folder reads."""
    return {"TRAVEL_APPS": f"{echo_url}/app", "TRAVEL_SERVICE": echo_url}


@pytest.fixture(scope="module")
def folder(environment: dict[str, str]) -> BotFolder:
    return read_folder(FOLDER, environment)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_the_conversation_in_one_process(folder: BotFolder, echo_url: str) -> None:
    async with build(ServerSettings(database=":memory:"), [folder]) as service:
        transport = httpx.ASGITransport(service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://palaver") as client:
            heard = [
                Turn(turn.said, lines_of(await ask(client, turn.said), echo_url)) for turn in TURNS
            ]
            memories = (await client.get("/memories", params=CLIENT)).json()
            messages = (await client.get("/messages", params={**CLIENT, "limit": 25})).text
    assert heard == TURNS
    kept = {memory["key"]: memory["value"] for memory in memories}
    assert kept.keys() == {"visits", "name", "pin_digest"}
    assert "4321" not in messages


@pytest.mark.slow
def test_the_conversation_in_a_new_process_each_turn(
    environment: dict[str, str], echo_url: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.conformance.programs.one_turn"]
    done = subprocess.run(
        [*command, str(FOLDER), f"sqlite:///{tmp_path / 'travel.db'}"],
        input="".join(json.dumps(turn.said) + "\n" for turn in TURNS),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = [lines_of(json.loads(line), echo_url) for line in done.stdout.splitlines()]
    assert answers == [turn.lines for turn in TURNS]


def test_the_program_is_a_large_one_and_without_problems(folder: BotFolder) -> None:
    lines = sum(flow.content.count("\n") for flow in folder.bot.flows)
    assert lines >= 300
    assert len(folder.bot.flows) >= 3


def test_every_kind_of_line_is_in_the_transcript() -> None:
    kinds = {line[0] for turn in TURNS for line in turn.lines}
    assert kinds == set("<!*.")
