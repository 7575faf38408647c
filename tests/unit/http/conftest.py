"""The application with small fakes behind it."""

from __future__ import annotations

import pytest

from tests.unit.http.fakes import Caller


@pytest.fixture
def caller() -> Caller:
    return Caller()
