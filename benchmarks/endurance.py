"""Whether the server's memory stays flat over many turns.

    uv run python benchmarks/endurance.py [--turns 200000] [--clients few,many] [--database URL]

Needs `wrk` (Debian's package). Plays `turns.lua` against a server on a fresh database and prints
the process's memory (RSS) each 20,000 turns, for few clients who come again and again and for many
who come once. Then the last reading of each is compared with the one after the first fifth, when
caches and pools are full: more than 10 % and 8 MiB of growth is a leak, and the exit code is 1.

    --database postgresql    a server of its own, from the wheel that tests use
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.turns import free_port, memory_mib, push_bot, running
from tests.postgres import PostgresServer

HERE = Path(__file__).parent

USERS = {"few": "64", "many": "100000000"}

EACH = 20_000

GROWTH, GROWTH_MIB = 1.1, 8


def turns_so_far(url: str) -> int:
    page = urllib.request.urlopen(url + "/metrics").read().decode()
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in page.splitlines()
        if line.startswith("palaver_turns_total{")
    )


@contextlib.contextmanager
def load(url: str, clients: str) -> Iterator[None]:
    command = ["wrk", "-t1", "-c32", "-d3600s", "-s", "turns.lua", url]
    environment = {"BOT_ID": "bench", "RUN_PATH": "/run", "USERS": USERS[clients]}
    process = subprocess.Popen(
        command, cwd=HERE, env={**os.environ, **environment}, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def measure(url: str, pid: int, clients: str, turns: int) -> list[float]:
    """The memory after each 20,000 turns, in MiB; printed as it is read."""
    readings: list[float] = []
    first = turns_so_far(url)
    began = time.monotonic()
    with load(url, clients):
        while len(readings) * EACH < turns:
            time.sleep(0.2)
            done = turns_so_far(url) - first
            if done < (len(readings) + 1) * EACH:
                continue
            readings.append(memory_mib(pid))
            rate = done / (time.monotonic() - began)
            print(
                f"{clients:5} clients {done:9,d} turns  {readings[-1]:7.1f} MiB  {rate:5.0f} turns/s",
                flush=True,
            )
    return readings


def is_flat(readings: list[float]) -> bool:
    settled = readings[len(readings) // 5]
    return readings[-1] < max(settled * GROWTH, settled + GROWTH_MIB)


@contextlib.contextmanager
def database_of(given: str | None, folder: str) -> Iterator[str]:
    if given != "postgresql":
        yield given or f"sqlite:///{folder}/bench.db"
        return
    server = PostgresServer()
    try:
        server.start()
        url = server.create_database()
        server.upgrade(url)
        yield url
    finally:
        server.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--turns", type=int, default=200_000)
    parser.add_argument("--clients", default="few,many")
    parser.add_argument("--database", help="a URL, or `postgresql`, instead of a fresh SQLite file")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    leaks = []
    with tempfile.TemporaryDirectory() as folder, database_of(options.database, folder) as database:
        url = f"http://127.0.0.1:{(port := free_port())}"
        pizza = str(HERE.parent / "examples" / "pizza")
        serve = [sys.executable, "-m", "palaver", "serve", pizza, "--port", str(port)]
        with running([*serve, "--database", database], url + "/readyz", folder) as process:
            push_bot(url)
            print(f"at the start {memory_mib(process.pid):29.1f} MiB")
            for clients in options.clients.split(","):
                if not is_flat(measure(url, process.pid, clients, options.turns)):
                    leaks.append(clients)
    if leaks:
        sys.exit(f"the memory grows: {', '.join(leaks)} clients")


if __name__ == "__main__":
    main()
