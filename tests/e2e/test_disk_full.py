"""A disk that takes nothing more: a clear 503, nothing half, and on as soon as there is room.

The disk is made full by a limit on the size of the server's files, set while it runs; and, where
the test may mount one, it is a small disk that is filled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e.ledger import Ledger, Outside
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, with room for the largest write-ahead log."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no `mount`")
    if done.returncode:
        pytest.skip(f"only root may mount a disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    path = disk / "rubbish"
    with path.open("wb", buffering=0) as file:
        for size in (65_536, 4_096):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return path


def test_a_disk_that_fills_up_under_load_loses_nothing_and_room_is_enough_to_go_on(
    serving: Callable[..., Server], small_disk: Path, outside: Outside
) -> None:
    server = serving(outside.flows(), database=f"sqlite:///{small_disk / 'palaver.db'}").start()
    book = Ledger(server)
    people = book.people(6)
    for _ in range(3):
        assert book.wait_for_answers(40)
        rubbish = fill(small_disk)
        book.wait_for_refusals(20)
        assert server.request("GET", "/livez").status_code == 200
        rubbish.unlink()
        assert book.wait_for_answers(40), "it does not recover by itself"
    book.close(people)
    for answer in book.refusals:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), answer.text
        assert answer.json()["message"]
    assert server.starts == 1
    server.kill()
    server.start()
    for person in people:
        book.check(person)


def test_a_server_that_is_killed_on_a_full_disk_has_all_it_said(
    serving: Callable[..., Server], small_disk: Path, outside: Outside
) -> None:
    server = serving(outside.flows(), database=f"sqlite:///{small_disk / 'palaver.db'}").start()
    book = Ledger(server)
    people = book.people(6)
    assert book.wait_for_answers(40)
    rubbish = fill(small_disk)
    book.wait_for_refusals(20)
    server.kill()
    server.launch()
    with suppress(subprocess.TimeoutExpired):
        server.running.wait(3)  # whether it can start without room or not
    server.kill()
    rubbish.unlink()
    server.start()
    book.started()
    assert book.wait_for_answers(40)
    book.close(people)


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
