"""What tests of every folder may ask for: PostgreSQL. What holds for all of hypothesis' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import PostgresServer

# How long an example takes says something about the machine; `faulthandler_timeout` in
# pyproject.toml ends what hangs.
settings.register_profile(
    "palaver", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("palaver")


def _running_server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests, started by the first that asks. It is not to be stopped."""
    yield from _running_server()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server of this test alone, to be stopped, killed or frozen."""
    yield from _running_server()


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server: PostgresServer) -> str:
    """A database with our schema, for all tests that begin by emptying it."""
    url = postgres_server.create_database()
    postgres_server.upgrade(url)
    return url


@pytest.fixture
def postgres_url(postgres_server: PostgresServer, shared_postgres_url: str) -> str:
    """A database with our schema and nothing in it."""
    postgres_server.empty(shared_postgres_url)
    return shared_postgres_url


@pytest.fixture
def new_postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """A database without anything, of this test alone."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)
