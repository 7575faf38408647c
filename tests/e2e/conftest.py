"""What all tests with real processes share."""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("tests.e2e.ledger")  # so that it says what differs

from tests.e2e.ledger import Outside  # noqa: E402
from tests.e2e.server import Gate, Server  # noqa: E402


@pytest.fixture(autouse=True)
def as_long_as_it_takes() -> None:
    """With more faults than usual a test that takes five minutes does not hang."""
    if {"PALAVER_FAULTS", "PALAVER_FUZZ"} & os.environ.keys():
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers, not yet started, in a folder of the test's own; stops them all afterwards.

    Whatever was done to a server, its log holds no traceback.
    """
    servers: list[Server] = []

    def make(*arguments: Any, **settings: Any) -> Server:
        servers.append(Server(tmp_path, *arguments, **settings))
        return servers[-1]

    yield make
    for server in servers:
        server.close()
    for server in servers:
        assert "Traceback" not in server.log_text(), server.log_text()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> str:
    """For `Server(database=…)`: on each back end in turn, empty."""
    if request.param == "sqlite":
        return ""  # a file in the test's folder
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A server that answers when the test says so."""
    gate = Gate()
    yield gate
    gate.close()


@pytest.fixture
def outside() -> Iterator[Outside]:
    """A server that flows call, for `Ledger`."""
    outside = Outside()
    yield outside
    outside.close()
