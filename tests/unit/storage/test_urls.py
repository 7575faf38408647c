"""Which database a URL names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from palaver.errors import ConfigError
from palaver.storage.sql.sqlite import SqliteDriver
from palaver.storage.sql.store import SqlStore
from palaver.storage.urls import open_storage


@pytest.mark.parametrize(
    ("url", "path", "durability"),
    [
        ("sqlite:///palaver.db", "palaver.db", "full"),
        ("sqlite:///data/my%20bots.sqlite", "data/my bots.sqlite", "full"),
        ("sqlite:////var/lib/palaver.db", "/var/lib/palaver.db", "full"),
        ("sqlite:///palaver.db?durability=normal", "palaver.db", "normal"),
        ("sqlite:///palaver.db?durability=full", "palaver.db", "full"),
        ("palaver.db", "palaver.db", "full"),
        ("/tmp/a b.db", "/tmp/a b.db", "full"),
        (":memory:", ":memory:", "full"),
        ("sqlite:///:memory:", ":memory:", "full"),
    ],
)
def test_a_url_names_a_database(url: str, path: str, durability: str) -> None:
    store = open_storage(url)
    assert isinstance(store, SqlStore)
    driver = store._driver
    assert isinstance(driver, SqliteDriver)
    assert (driver.path, driver._durability, store.kind) == (path, durability, "sqlite")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://localhost/palaver", "no backend is called 'mysql'; give sqlite:///"),
        ("palaver", "'palaver' cannot be used: give sqlite:///"),
        ("", "cannot be used: give sqlite:///"),
        ("sqlite:///", "names no file"),
        ("sqlite://palaver.db", "names no file"),
        ("sqlite:///palaver.db?durability=none", "durability is full or normal, not 'none'"),
        ("sqlite:///palaver.db?journal=off", "no option is called 'journal'"),
    ],
)
def test_a_url_that_names_none_is_refused_with_a_hint(url: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        open_storage(url)
    assert message in str(caught.value)


def test_nothing_is_touched_before_the_storage_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_storage("sqlite:///palaver.db")
    assert os.listdir(tmp_path) == []
