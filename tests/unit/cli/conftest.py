"""What the tests of commands share."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver import folder as folder_module


@pytest.fixture
def bot_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small bot; the language's own checks are left out."""
    monkeypatch.setattr(folder_module, "check_flows", lambda *_: ())
    (tmp_path / "pizza" / "flows").mkdir(parents=True)
    (tmp_path / "pizza" / "flows" / "Default.csml").write_text('start:\n  say "hi"\n')
    return tmp_path / "pizza"
