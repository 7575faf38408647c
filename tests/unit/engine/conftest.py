"""Asynchronous tests run on asyncio: the engine's fibers belong to its loop."""

from __future__ import annotations

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
