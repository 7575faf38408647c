"""Every test here runs on every backend: it asks for `storage` and gets an open, empty one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import pytest

from palaver.storage.memory import MemoryStorage
from palaver.storage.protocol import Storage
from palaver.storage.urls import open_storage


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class ReversingCipher:
    """Seals by writing backwards, so that a body that is read unopened is noticed."""

    is_plain = False
    key_ids = ("reversed",)

    def seal(self, body: bytes) -> bytes:
        return body[::-1]

    unseal = seal

    def digest(self, body: bytes) -> bytes:
        return sha256(body[::-1]).digest()

    def seal_text(self, text: str) -> str:
        return text[::-1]

    unseal_text = seal_text


BACKENDS = (
    "memory",
    "sqlite file",
    "sqlite :memory:",
    "sqlite sealed",
    "postgresql",
    "postgresql sealed",
)


@pytest.fixture(params=BACKENDS)
def closed_storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "memory":
        return MemoryStorage()
    if request.param.startswith("postgresql"):
        cipher = ReversingCipher() if request.param.endswith("sealed") else None
        return open_storage(request.getfixturevalue("postgres_url"), cipher=cipher)
    if request.param == "sqlite file":
        return open_storage(f"sqlite:///{tmp_path}/palaver.db?durability=normal")
    cipher = ReversingCipher() if request.param == "sqlite sealed" else None
    return open_storage(":memory:", cipher=cipher)


@pytest.fixture
async def beside(
    request: pytest.FixtureRequest, storage: Storage, tmp_path: Path
) -> AsyncIterator[Storage]:
    """The same database over another connection, where there can be one."""
    kind = request.node.callspec.params["closed_storage"]
    if kind in ("memory", "sqlite :memory:", "sqlite sealed"):
        pytest.skip("nobody else has this database")
    if kind == "sqlite file":
        other = open_storage(f"sqlite:///{tmp_path}/palaver.db", is_guest=True)
    else:
        other = open_storage(request.getfixturevalue("shared_postgres_url"))
    await other.open()
    yield other
    await other.close()


@pytest.fixture
async def storage(closed_storage: Storage, anyio_backend: str) -> AsyncIterator[Storage]:
    await closed_storage.open()
    yield closed_storage
    await closed_storage.close()
