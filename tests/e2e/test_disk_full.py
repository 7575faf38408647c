"""A disk that takes nothing more: a clear 503, nothing half, and on as soon as there is room.

The disk is made full by a limit on the size of the server's files, set while it runs.
"""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.server import Server

if sys.platform == "linux":
    import resource
else:
    pytest.skip("needs prlimit", allow_module_level=True)

FLOW = {
    "Default": """start:
  remember n = 0
  hold
  goto count
count:
  remember n = n + 1
  remember last = event
  say "{{n}} {{event.length()}}"
  hold
  goto count
"""
}

LONG = "x" * 12_000
"""More than a page of the database, so that a write can fail in its middle."""


@contextmanager
def full_disk(server: Server, room: int) -> Iterator[None]:
    """As if the disk had room for so many bytes behind the end of the largest file."""
    pid = server.running.pid
    before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in server.place.glob("palaver.db*"))
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (largest + room if room else 0, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 5_000, 9_000], ids="room for {} bytes".format)
def test_a_full_disk_is_503_with_nothing_stored_and_room_is_enough_to_go_on(
    room: int, serving: Callable[..., Server]
) -> None:
    server = serving(FLOW).start()
    server.say("ann", "go")
    assert server.say("ann", "one").texts == ["1 3"]
    before = server.memories("ann"), server.messages("ann")
    request_id = str(uuid.uuid4())

    with full_disk(server, room):
        for _ in range(3):
            answer = server.say("ann", LONG, request_id=request_id)
            assert answer.status == 503, answer
            assert answer.body["code"] == 503
            assert answer.body["message"]
        refusal = server.request("POST", "/v1/api/chat", json={}, headers={"x-api-key": "none"})
        assert refusal.status_code == 401, "what needs no disk is answered as ever"
        assert (server.memories("ann"), server.messages("ann")) == before

    assert server.say("ann", LONG, request_id=request_id).texts == ["2 12000"]
    assert server.say("ann", LONG, request_id=request_id).texts == ["2 12000"], "a repeat"
    assert server.say("ann", "three").texts == ["3 5"]
    server.kill()
    server.start()
    assert server.memories("ann") == {"n": 3, "last": "three"}
    assert server.say("ann", "four").texts == ["4 4"]


def test_a_503_of_a_full_disk_says_when_to_come_again(serving: Callable[..., Server]) -> None:
    server = serving(FLOW).start()
    with full_disk(server, 0):
        answer = server.request("POST", "/run", json=_hello())
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "Traceback" not in answer.text


def test_a_disk_that_is_full_from_the_start_is_3(tmp_path: Path) -> None:
    from tests.e2e.server import palaver, write_bot

    write_bot(tmp_path / "bot", FLOW)
    (tmp_path / "full").mkdir()
    os.chmod(tmp_path / "full", 0o500)
    if os.access(tmp_path / "full", os.W_OK):
        pytest.skip("root may write everywhere")
    done = palaver("serve", "bot", "--port", "0", "--database", "sqlite:///full/p.db", cwd=tmp_path)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr


def _hello() -> object:
    from tests.e2e.server import run_body

    return run_body("ann", "hello")
