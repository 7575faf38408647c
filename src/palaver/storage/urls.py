"""A database's URL → the Storage it names. The only module that knows all backends."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote

from palaver.errors import ConfigError
from palaver.storage.cipher import Cipher
from palaver.storage.protocol import Storage
from palaver.storage.sql.sqlite import Durability, SqliteDriver
from palaver.storage.sql.store import SqlStore

_HINT = (
    "give sqlite:///palaver.db (a path after the third slash), a path that ends in .db, or :memory:"
)


def open_storage(url: str, *, cipher: Cipher | None = None, is_guest: bool = False) -> Storage:
    """The storage a URL names; `await storage.open()` connects it.

    `sqlite:///relative.db`, `sqlite:////absolute.db`, both with `?durability=normal`; `:memory:`;
    a path that ends in `.db`.

    Args:
        is_guest: beside a server that may be running: changes no schema, takes no lock.

    Raises:
        ConfigError: no backend has this URL.
    """
    if url == ":memory:" or url == "sqlite:///:memory:" or url == "sqlite://":
        return SqlStore(SqliteDriver(":memory:"), cipher)
    scheme, separator, rest = url.partition("://")
    if not separator:
        if url.endswith(".db"):
            return SqlStore(SqliteDriver(url, is_guest=is_guest), cipher)
        raise ConfigError(f"database {url!r} cannot be used: {_HINT}")
    if scheme in ("postgresql", "postgres"):
        raise ConfigError(
            "database: PostgreSQL comes with the next release of palaver; until then " + _HINT
        )
    if scheme != "sqlite":
        raise ConfigError(f"database: no backend is called {scheme!r}; {_HINT}")
    path, _, options = rest.partition("?")
    if not path.startswith("/") or path == "/":
        raise ConfigError(f"database {url!r} names no file: {_HINT}")
    driver = SqliteDriver(unquote(path[1:]), durability=_durability(options), is_guest=is_guest)
    return SqlStore(driver, cipher)


def _durability(options: str) -> Durability:
    durability: Durability = "full"
    for name, value in parse_qsl(options, keep_blank_values=True):
        if name != "durability":
            raise ConfigError(f"database: no option is called {name!r}; there is `durability`")
        if value == "full":
            durability = "full"
        elif value == "normal":
            durability = "normal"
        else:
            raise ConfigError(f"database: durability is full or normal, not {value!r}")
    return durability
