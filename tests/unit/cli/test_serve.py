"""`palaver serve` up to the point where something is started."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from palaver.cli.main import run
from palaver.cli.serve import _state_of, open_port
from palaver.problems import EnvironmentFailed


def test_a_folder_that_is_not_there_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_folder_without_a_bot_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", str(tmp_path)]) == 1
    assert "no bot is here" in capsys.readouterr().err


def test_several_workers_need_postgresql(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--workers", "2"]) == 2
    assert "one process at a time writes" in capsys.readouterr().err


def test_an_open_host_needs_an_engine_key(
    bot_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["serve", str(bot_folder), "--host", "0.0.0.0"]) == 2
    assert "ENGINE_SERVER_API_KEYS" in capsys.readouterr().err


def test_a_port_in_use_is_the_environments_fault(
    bot_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert run(["serve", str(bot_folder), "--port", str(port)]) == 3
    assert f"port {port} on 127.0.0.1 is in use" in capsys.readouterr().err


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(EnvironmentFailed), open_port("192.0.2.1", 0):
        pass
    with pytest.raises(EnvironmentFailed, match="no address"), open_port("no such host.", 0):
        pass


def test_port_0_takes_a_free_one() -> None:
    with open_port("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


def test_a_saved_file_changes_the_state_of_a_folder(bot_folder: Path) -> None:
    before = _state_of(bot_folder)
    assert _state_of(bot_folder) == before
    flow = bot_folder / "flows" / "Default.csml"
    flow.write_text("start:\n")
    os.utime(flow, ns=(1, 1))
    assert _state_of(bot_folder) != before
