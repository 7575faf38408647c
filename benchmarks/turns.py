"""Turns a second of a real conversation, beside a yardstick of the same minute.

    uv run python benchmarks/turns.py [--seconds 8] [--connections 1,8,32] [--database URL]

Needs `wrk` (Debian's package). Starts the yardstick (an ASGI application that answers `{}`) and a
server on a fresh database, pushes `order.csml`, and plays `turns.lua`: four turns a user, with hold,
memory, goto and loops. Prints turns a second, latency, the ratio to the yardstick, the disk's own
fdatasync, and the server's memory.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(command: list[str], url: str, cwd: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(100):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(url, timeout=1).read()
                break
            time.sleep(0.1)
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


def wrk(url: str, connections: int, seconds: int, **environment: str) -> dict[str, str]:
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", "turns.lua", url],
        cwd=HERE,
        env={**os.environ, "BOT_ID": "bench", **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    text = done.stdout
    found = {"rate": re.search(r"Requests/sec:\s+([\d.]+)", text)}
    for percent in ("50", "99"):
        found[percent] = re.search(rf"\s{percent}%\s+(\S+)", text)
    bad = re.search(r"Non-2xx.*?: (\d+)", text)
    result = {name: match[1] if match else "?" for name, match in found.items()}
    return result | {"bad": bad[1] if bad else "0"}


def push_bot(url: str) -> None:
    content = (HERE / "order.csml").read_text()
    flow = {"id": "main", "name": "main", "content": content, "commands": ["/main"]}
    bot = {"id": "bench", "name": "bench", "default_flow": "main", "flows": [flow]}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url + "/bots", json.dumps(bot).encode(), headers)
    urllib.request.urlopen(request).read()


def fdatasync_p99_ms(folder: str) -> float:
    times = []
    with open(Path(folder) / "probe", "wb") as file:
        for _ in range(300):
            file.write(b"x" * 4096)
            file.flush()
            start = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - start)
    return sorted(times)[-3] * 1000


def memory_mib(pid: int) -> float:
    pages = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", pages)
    return int(found[1]) / 1024 if found else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--connections", default="1,8,32")
    parser.add_argument("--database", help="a database URL instead of a fresh SQLite file")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        port, other = free_port(), free_port()
        yardstick = [sys.executable, "-m", "uvicorn", "yardstick:app", "--port", str(port)]
        with running([*yardstick, "--no-access-log"], f"http://127.0.0.1:{port}", str(HERE)):
            measured = wrk(f"http://127.0.0.1:{port}", 32, options.seconds)
        base = float(measured["rate"])
        print(f"yardstick, 32 connections   {base:9.0f} requests/s   99 % {measured['99']}")
        print(f"fdatasync of this disk      99 % {fdatasync_p99_ms(folder):.2f} ms")
        database = options.database or f"sqlite:///{folder}/bench.db"
        url = f"http://127.0.0.1:{other}"
        pizza = str(HERE.parent / "examples" / "pizza")
        serve = [sys.executable, "-m", "palaver", "serve", pizza, "--port", str(other)]
        with running([*serve, "--database", database], url + "/readyz", folder) as process:
            push_bot(url)
            for connections in map(int, options.connections.split(",")):
                row = wrk(url, connections, options.seconds, RUN_PATH="/run")
                rate = float(row["rate"])
                print(
                    f"palaver, {connections:3d} connections    {rate:9.0f} turns/s      "
                    f"50 % {row['50']}  99 % {row['99']}  1/{base / rate:.1f} of the yardstick  "
                    f"not 200: {row['bad']}"
                )
            print(f"memory of the process       {memory_mib(process.pid):.0f} MiB")


if __name__ == "__main__":
    main()
