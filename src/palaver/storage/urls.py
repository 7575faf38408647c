"""A database's URL → the Storage it names. The only module that knows all backends."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from palaver.errors import WrongUrl
from palaver.storage.cipher import Cipher
from palaver.storage.protocol import Storage
from palaver.storage.sql.driver import Driver
from palaver.storage.sql.sqlite import Durability, SqliteDriver
from palaver.storage.sql.store import SqlStore

_HINT = (
    "give sqlite:///palaver.db (a path after the third slash), a path that ends in .db, :memory:, "
    "or postgresql://user@host/name"
)


def open_storage(
    url: str,
    *,
    cipher: Cipher | None = None,
    is_guest: bool = False,
    answer_s: float | None = None,
) -> Storage:
    """The storage a URL names; `await storage.open()` connects it.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, both with `?durability=normal`; `:memory:`;
    a path that ends in `.db`; `postgresql://user:password@host:port/name` with what libpq knows
    as options and with `pool_size=16`, the turns of this process that may be in it at once.

    Args:
        is_guest: beside a server that may be running: changes no schema, takes no lock.
        answer_s: how long PostgreSQL may be silent; 10 seconds by default.

    Raises:
        WrongUrl: no backend has this URL.
    """
    if url == ":memory:" or url == "sqlite:///:memory:" or url == "sqlite://":
        return SqlStore(SqliteDriver(":memory:"), cipher)
    scheme, separator, rest = url.partition("://")
    if not separator:
        if url.endswith(".db"):
            return SqlStore(SqliteDriver(url, is_guest=is_guest), cipher)
        raise WrongUrl(f"database {url!r} cannot be used: {_HINT}")
    if scheme in ("postgresql", "postgres"):
        return SqlStore(_postgres(url, answer_s), cipher)
    if scheme != "sqlite":
        raise WrongUrl(f"database: no backend is called {scheme!r}; {_HINT}")
    path, _, options = rest.partition("?")
    if not path.startswith("/") or path == "/":
        raise WrongUrl(f"database {url!r} names no file: {_HINT}")
    driver = SqliteDriver(unquote(path[1:]), durability=_durability(options), is_guest=is_guest)
    return SqlStore(driver, cipher)


def sqlite_file(url: str) -> str | None:
    """The file of a SQLite URL; None for other databases and for `:memory:`."""
    if url.endswith(".db") and "://" not in url:
        return url
    scheme, _, rest = url.partition("://")
    path = unquote(rest.partition("?")[0][1:])
    return path if scheme == "sqlite" and path not in ("", ":memory:") else None


def _postgres(url: str, answer_s: float | None) -> Driver:
    from palaver.storage.sql.postgres import (  # 20 ms, for those who use it
        ANSWER_S,
        POOL_SIZE,
        PostgresDriver,
    )

    size = POOL_SIZE
    for name, value in parse_qsl(url.partition("?")[2], keep_blank_values=True):
        if name == "pool_size":
            if not (value.isdecimal() and 1 <= int(value) <= 1000):
                raise WrongUrl(f"database: pool_size is a number from 1 to 1000, not {value!r}")
            size = int(value)
    wait_s = ANSWER_S if answer_s is None else answer_s
    return PostgresDriver(postgres_conninfo(url), pool_size=size, answer_s=wait_s)


def postgres_conninfo(url: str) -> str:
    """The URL as libpq knows it: without options of ours."""
    base, _, options = url.partition("?")
    others = [part for part in options.split("&") if part and not part.startswith("pool_size=")]
    return base + ("?" + "&".join(others) if others else "")


def _durability(options: str) -> Durability:
    durability: Durability = "full"
    for name, value in parse_qsl(options, keep_blank_values=True):
        if name != "durability":
            raise WrongUrl(f"database: no option is called {name!r}; there is `durability`")
        if value == "full":
            durability = "full"
        elif value == "normal":
            durability = "normal"
        else:
            raise WrongUrl(f"database: durability is full or normal, not {value!r}")
    return durability
