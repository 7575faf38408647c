"""Every program in the documentation does what its page says (see `examples.py`)."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from palaver.config import ServerSettings
from palaver.csml.checker import lint_errors
from palaver.csml.parser import parse_flow
from palaver.csml.source import Source
from palaver.flow_check import check_flows
from palaver.folder import comment_commands
from palaver.wiring import build
from tests.conformance.echo import Handler
from tests.conformance.examples import (
    ROOT,
    Example,
    Line,
    examples_of,
    pages,
    read_program,
)

EXAMPLES = [example for page in pages() for example in examples_of(page)]

ECHO = "https://echo.example"
"""What pages call the server that answers the programs' requests."""

CLIENT = {"bot_id": "docs", "channel_id": "docs", "user_id": "reader"}


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """The address of a running echo server."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def engine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages' programs are talked to over one wire."""
    engine = {"engine": "palaver.http.dialects.engine_rest:EngineRest"}
    monkeypatch.setattr("palaver.wiring.CLASSES", engine)


def test_the_language_reference_has_examples() -> None:
    reference = [example for example in EXAMPLES if example.page.startswith("docs/csml/")]

    assert len(reference) >= 100


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", text)
    later = {"ARCHITECTURE.md"}
    missing = [
        link
        for link in links
        if not (page.parent / link).exists() and link.rpartition("/")[2] not in later
    ]

    assert missing == []


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if example.kind == "talk"],
    ids=lambda example: example.place,
)
def test_programs_that_are_talked_to_pass_the_reference_s_linter(example: Example) -> None:
    written = read_program(example.program)
    flows, modules = (
        [(source, parse_flow(source)) for source in _sources(texts)]
        for texts in (written.flows, written.modules)
    )
    first, *_ = written.flows

    assert lint_errors(flows, modules, first) == (), example.place


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.place)
def test_example_does_what_the_page_says(example: Example, echo: str) -> None:
    asyncio.run(_run(example, echo))


async def _run(example: Example, echo: str) -> None:
    if example.kind == "problems":
        wanted = [line.text for line in example.lines]
        assert list(_problems(example)) == wanted, f"{example.place}: other problems than these"
        return
    async with build(ServerSettings(database=":memory:"), []) as service:
        transport = httpx.ASGITransport(app=service.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://docs") as http:
            await _compare_talk(example, http, echo)


# --- problems ------------------------------------------------------------------------------------


def _sources(texts: Mapping[str, list[str]]) -> list[Source]:
    return [Source("\n".join(lines), name) for name, lines in texts.items()]


def _problems(example: Example) -> Iterator[str]:
    """What `palaver check` finds, one line each."""
    written = read_program(example.program)
    flows, modules = (
        {Path(source.name): source for source in _sources(texts)}
        for texts in (written.flows, written.modules)
    )
    first, *_ = written.flows
    for found in check_flows(flows, modules, first):
        place = f"{found.path}:{found.line}:{found.column}"
        yield f"{place} {found.severity} {found.code}: {found.reason}"


# --- talks ---------------------------------------------------------------------------------------


async def _compare_talk(example: Example, http: httpx.AsyncClient, echo: str) -> None:
    bot = _bot(example, echo)
    metadata = read_program(example.program).given.get("metadata", {})
    said: list[Any] = []
    for line in example.lines:
        place = f"{example.page}:{line.number}"
        if line.mark == ">":
            assert not said, f"{place}: before this the bot said, and the page does not: {said}"
            said = await _say(http, bot, line, metadata, place)
        else:
            assert said, f"{place}: the bot said nothing more, and the page has: {line.text}"
            payload = said.pop(0)
            assert _agrees(payload, line.text), (
                f"{place}: the page has {line.text!r}, the bot said {_shown(payload)}; "
                f"after that: {[_shown(other) for other in said]}"
            )
    assert not said, f"{example.place}: at the end the bot said, and the page does not: {said}"


async def _say(
    http: httpx.AsyncClient, bot: dict[str, Any], line: Line, metadata: Any, place: str
) -> list[Any]:
    payload = {"content_type": "text", "content": {"text": line.text}}
    if line.text.startswith('{"content_type"'):
        payload = json.loads(line.text)
    event = {"client": CLIENT, "payload": payload, "metadata": metadata}
    answer = await http.post("/run", json={"bot": bot, "event": event})
    assert answer.status_code == 200, f"{place}: status {answer.status_code}: {answer.text}"
    return [message["payload"] for message in answer.json()["messages"]]


def _agrees(payload: Any, wanted: str) -> bool:
    content = payload["content"]
    if wanted.startswith('{"content_type"'):
        return _has(payload, json.loads(wanted))
    if wanted.startswith("! "):
        if payload["content_type"] != "error":
            return False
        text = content["error"]
        return bool(wanted[2:] in (text, text.rpartition(" at line ")[0]))
    return bool(payload["content_type"] == "text" and content["text"] == wanted)


def _has(value: Any, pattern: Any) -> bool:
    """Whether a value is the pattern; objects may have more members than it."""
    if isinstance(pattern, dict) and isinstance(value, dict):
        return all(name in value and _has(value[name], part) for name, part in pattern.items())
    if isinstance(pattern, list) and isinstance(value, list):
        return len(value) == len(pattern) and all(map(_has, value, pattern))
    return type(value) is type(pattern) and bool(value == pattern)


def _shown(payload: Any) -> str:
    if payload["content_type"] == "text":
        return repr(payload["content"]["text"])
    return json.dumps(payload, ensure_ascii=False)


# --- bots ----------------------------------------------------------------------------------------


def _bot(example: Example, echo: str) -> dict[str, Any]:
    written = read_program(example.program)

    def flow(name: str, lines: list[str]) -> dict[str, Any]:
        text = "\n".join(lines).replace(ECHO, echo)
        commands = [f"/{name.lower()}"]
        for line in lines[:2]:
            commands += comment_commands(line)
        return {"id": f"id-{name}", "name": name, "content": text, "commands": commands}

    first, *_ = written.flows
    return {
        "id": CLIENT["bot_id"],
        "name": "docs",
        "default_flow": first,
        "flows": [flow(name, lines) for name, lines in written.flows.items()],
        "modules": [
            {"name": name, "flow": {**flow(name, lines), "commands": []}}
            for name, lines in written.modules.items()
        ],
        "custom_components": written.components,
        "env": written.given.get("env", {}),
        "apps_endpoint": f"{echo}/app",
    }
