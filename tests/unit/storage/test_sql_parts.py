"""The pieces of the SQL store that need no database: queries, rows, migrations."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import palaver.storage.sql as package
from palaver.errors import SchemaOutdated
from palaver.model import Client
from palaver.storage.sql.migrate import Migration, load_migrations, pending_migrations
from palaver.storage.sql.queries import load_queries, parse_queries
from palaver.storage.sql.rows import client_key, time_from_us, us_from_time


def test_every_query_is_used_and_every_used_query_exists() -> None:
    source = "".join(p.read_text("utf-8") for p in Path(package.__path__[0]).glob("*.py"))
    quoted = set(re.findall(r'"(\w+)"', source))
    queries = load_queries("sqlite").keys() | load_queries("postgresql").keys()
    assert queries <= quoted
    used = set(re.findall(r'(?:_sql|queries)\["(\w+)"\]', source))
    assert used <= queries


@pytest.mark.parametrize("name", ["queries.sql", "queries.postgresql.sql"])
def test_queries_are_named_and_described(name: str) -> None:
    text = files(package).joinpath(name).read_text("utf-8")
    for query in parse_queries(text).values():
        assert query.description.endswith("."), query.name
        assert "--" not in query.text


@pytest.mark.parametrize(
    "source",
    [
        "-- name: a\n-- Twice.\nSELECT 1;\n-- name: a\n-- Twice.\nSELECT 1;",
        "-- name: a\nSELECT 1;",
        "-- name: a\n-- No statement.",
    ],
)
def test_a_query_file_that_is_wrong_is_refused(source: str) -> None:
    with pytest.raises(ValueError, match="query 'a'"):
        parse_queries(source)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_migrations_are_numbered_from_one(kind: str) -> None:
    migrations = load_migrations(kind)
    assert [m.number for m in migrations] == list(range(1, len(migrations) + 1))


def test_only_the_migrations_a_database_has_not_had_are_pending() -> None:
    both = (Migration(1, "first", ""), Migration(2, "second", ""))
    assert pending_migrations(both, 0, where="x.db") == both
    assert pending_migrations(both, 1, where="x.db") == both[1:]
    assert pending_migrations(both, 2, where="x.db") == ()
    with pytest.raises(SchemaOutdated, match=r"x\.db has schema 3, and this palaver knows 2"):
        pending_migrations(both, 3, where="x.db")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_survives_its_row_to_the_microsecond(moment: datetime) -> None:
    assert time_from_us(us_from_time(moment)) == moment


def test_times_of_other_zones_are_the_same_moment() -> None:
    moment = datetime.fromisoformat("2024-05-01T11:30:00.000001+02:00")
    assert time_from_us(us_from_time(moment)) == moment
    assert time_from_us(us_from_time(moment)).utcoffset() == timedelta()


@given(
    st.lists(st.builds(Client, *[st.text(alphabet="a:1", max_size=4)] * 3), min_size=2, unique=True)
)
def test_different_clients_have_different_keys(clients: list[Client]) -> None:
    keys = {client_key(client) for client in clients}
    assert len(keys) == len(clients)
    assert {len(key) for key in keys} == {16}
