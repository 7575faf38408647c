"""`palaver doctor`: looks at everything a deployment needs; each finding says what to do.

Changes nothing and takes no lock; a server may be running.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import click

from palaver.cli.check import check_folders
from palaver.cli.options import database_option, folders_argument, join_settings
from palaver.config import ServerSettings
from palaver.errors import PalaverError
from palaver.folder import BotFolder
from palaver.storage.copies import DatabaseFile

Level = Literal["ok", "warning", "error"]

OLDEST_SQLITE: Final = (3, 38, 0)
"""JSON functions built in; 3.24 brought upserts."""

FREE_ERROR_BYTES: Final = 100 * 1024 * 1024
FREE_WARNING_BYTES: Final = 1024 * 1024 * 1024

SLOW_SYNC_S: Final = 0.03
"""A disk that takes longer to sync gives fewer turns a second than most bots want."""

SHORTEST_SECRET: Final = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found. `advice` says what to do; empty when all is well."""

    name: str
    level: Level
    text: str
    advice: str = ""


@click.command()
@folders_argument(required=False)
@click.option("--host", metavar="HOST", help="Address the server will listen on.")
@database_option
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), help="[default: text on a terminal]"
)
def doctor(
    folders: tuple[Path, ...], host: str | None, database: str | None, form: str | None
) -> int:
    """Is this deployment sound? Give it the folders that `serve` gets.

    Exits with 1 when something is wrong; warnings alone are 0.
    """
    findings = list(examine(folders, {"host": host, "database": database}))
    is_bad = any(finding.level == "error" for finding in findings)
    if (form or ("text" if sys.stdout.isatty() else "json")) == "json":
        shown = [
            {"name": f.name, "level": f.level, "text": f.text, "advice": f.advice} for f in findings
        ]
        report = {"ok": not is_bad, "findings": shown}
        click.echo(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        for finding in findings:
            click.echo(_line(finding))
    return 1 if is_bad else 0


def _line(finding: Finding) -> str:
    mark = {"ok": "ok     ", "warning": "warning", "error": "ERROR  "}[finding.level]
    line = f"{mark}  {finding.name}: {finding.text}"
    return f"{line}\n         → {finding.advice}" if finding.advice else line


def examine(paths: Sequence[Path], options: dict[str, object]) -> Iterator[Finding]:
    """All findings, in the order of what depends on what."""
    yield _python()
    yield _sqlite()
    yield _clock()
    good, problems = check_folders(paths)
    yield from _bots(paths, [p.picture() for p in problems if p.severity == "error"])
    try:
        settings = join_settings(options, good)
    except PalaverError as error:
        yield Finding("settings", "error", str(error), "correct the setting that it names")
        return
    yield from _exposure(settings, good)
    yield _secret_key(settings)
    yield from _allowed_hosts(settings)
    file = _file(settings)
    if file is not None:
        yield from _place(file)
    yield from asyncio.run(_database(settings, file))


# --- the machine -------------------------------------------------------------------------------


def _python() -> Finding:
    """Too old a one cannot even read this file; which one it is helps with everything else."""
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", "ok", version)


def _sqlite() -> Finding:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        oldest = ".".join(map(str, OLDEST_SQLITE))
        return Finding(
            "sqlite",
            "error",
            sqlite3.sqlite_version,
            f"use a Python whose sqlite3 is {oldest} or newer, or PostgreSQL",
        )
    return Finding("sqlite", "ok", sqlite3.sqlite_version)


def _clock(now: Callable[[], float] = time.time) -> Finding:
    """Years before this program was written, or after anybody runs it, are no present."""
    moment = datetime.fromtimestamp(now(), UTC)
    shown = f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    if not 2025 <= moment.year < 2100:
        return Finding("clock", "error", shown, "set the clock: timedatectl set-ntp true")
    return Finding("clock", "ok", shown)


def _bots(paths: Sequence[Path], errors: Sequence[str]) -> Iterator[Finding]:
    if errors:
        yield Finding("bots", "error", "\n".join(errors), "correct them; `palaver check` shows all")
    elif paths:
        yield Finding("bots", "ok", f"{len(paths)} folder(s) check clean")


# --- settings ----------------------------------------------------------------------------------


def _exposure(settings: ServerSettings, bots: Sequence[BotFolder]) -> Iterator[Finding]:
    has_key = bool(settings.engine_api_keys) or any(b.settings.keys.engine_key for b in bots)
    if settings.is_loopback:
        yield Finding("host", "ok", f"{settings.host} is reachable from this machine only")
    elif has_key:
        yield Finding("host", "ok", f"{settings.host}; the engine's REST API needs a key")
    else:
        yield Finding(
            "host",
            "error",
            f"{settings.host} can be reached by others, and the engine's REST API has no key",
            "set ENGINE_SERVER_API_KEYS in the environment, or [keys] engine_key in palaver.toml",
        )
    short = [key for key in settings.engine_api_keys if len(key) < SHORTEST_SECRET]
    if short and not settings.is_loopback:
        yield Finding(
            "engine keys",
            "warning",
            f"a key of ENGINE_SERVER_API_KEYS has fewer than {SHORTEST_SECRET} characters",
            'use a long random one: python3 -c "import secrets; print(secrets.token_urlsafe(32))"',
        )


def _secret_key(settings: ServerSettings) -> Finding:
    if not settings.secret_key:
        return Finding(
            "encryption",
            "warning",
            "PALAVER_SECRET_KEY is not set: what people say is stored plain",
            "set a long random one and keep it safe: without it the database cannot be read",
        )
    if any(len(secret.strip()) < SHORTEST_SECRET for secret in settings.secret_key):
        return Finding(
            "encryption",
            "warning",
            f"a secret of PALAVER_SECRET_KEY has fewer than {SHORTEST_SECRET} characters",
            "put a long random one in front (comma-separated); the old one goes on decrypting",
        )
    return Finding("encryption", "ok", f"on, {len(settings.secret_key)} key(s)")


def _allowed_hosts(settings: ServerSettings) -> Iterator[Finding]:
    useless = [host for host in settings.allow_hosts if not _is_host(host)]
    if useless:
        yield Finding(
            "allow_hosts",
            "error",
            f"{', '.join(useless)}: matches nothing",
            "give names, addresses or networks: shop.internal, 10.1.2.3, 10.1.0.0/16",
        )
    wide = [host for host in settings.allow_hosts if _is_wide(host)]
    if wide:
        yield Finding(
            "allow_hosts",
            "warning",
            f"{', '.join(wide)} lets flows call services that should not be called",
            "name only the hosts that flows need; 169.254.0.0/16 tells clouds' credentials",
        )
    if not useless and not wide:
        yield Finding("allow_hosts", "ok", f"{len(settings.allow_hosts)} private host(s) allowed")


def _is_host(entry: str) -> bool:
    """A network, an address, or a name: no URL, no port, no wildcard."""
    try:
        ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?", entry) is not None
    return True


def _is_wide(entry: str) -> bool:
    """A network of more than 2^24 addresses, or one that reaches a cloud's metadata."""
    try:
        network = ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
    metadata = ipaddress.ip_address("169.254.169.254")
    return (network.num_addresses > 2**24 and network.version == 4) or metadata in network


# --- the database ------------------------------------------------------------------------------


def _file(settings: ServerSettings) -> DatabaseFile | None:
    from palaver.wiring import database_file

    return database_file(settings)


def _place(file: DatabaseFile) -> Iterator[Finding]:
    """The disk and the lock of a database that is a file."""
    folder = os.path.dirname(os.path.abspath(file.path))
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        yield Finding(
            "disk",
            "error",
            f"{folder} is no folder that can be written",
            "create it, or let this user write",
        )
        return
    free = shutil.disk_usage(folder).free
    text = f"{free / 1024**3:.1f} GiB free in {folder}"
    if free < FREE_ERROR_BYTES:
        yield Finding("disk", "error", text, "make room: a full disk stops every turn")
    elif free < FREE_WARNING_BYTES:
        yield Finding("disk", "warning", text, "make room before it is full")
    else:
        yield Finding("disk", "ok", text)
    seconds = _sync_seconds(folder)
    text = f"a sync takes {seconds * 1000:.1f} ms"
    if seconds > SLOW_SYNC_S:
        yield Finding(
            "sync",
            "warning",
            text,
            "use a faster disk (SSD), or ?durability=normal (see the manual)",
        )
    else:
        yield Finding("sync", "ok", text)
    user = "a server is using" if file.is_in_use() else "no server uses"
    yield Finding("lock", "ok", f"{user} the database")


def _sync_seconds(folder: str, tries: int = 5) -> float:
    """The median time to bring a page to the disk."""
    import tempfile

    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(tries):
            file.write(b"\0" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return sorted(times)[tries // 2]


def _missing_keys(missing: Sequence[str], settings: ServerSettings) -> Iterator[Finding]:
    """Of those that sealed something in the database."""
    for key in missing:
        text = f"the database holds what key {key} sealed, and PALAVER_SECRET_KEY does not give it"
        if key in settings.lost_keys:
            advice = "PALAVER_LOST_KEYS says that it is lost: what it sealed is answered with 503"
            yield Finding("encryption keys", "warning", text, advice)
        else:
            advice = (
                "add the secret, comma-separated, behind the one that encrypts; if it is lost for "
                "good, name the key in PALAVER_LOST_KEYS"
            )
            yield Finding("encryption keys", "error", text, advice)


async def _database(settings: ServerSettings, file: DatabaseFile | None) -> list[Finding]:
    from palaver.cli.banner import shown_database
    from palaver.wiring import open_beside

    shown = shown_database(settings.database)
    if file is not None and not os.path.exists(file.path):  # noqa: ASYNC240 - one look
        return [Finding("database", "ok", f"{shown} is not there yet; `palaver serve` makes it")]
    findings = []
    try:
        async with open_beside(settings) as storage:
            await storage.check()
            findings.append(Finding("database", "ok", f"{shown} answers, its schema is current"))
            findings += _missing_keys(await storage.missing_keys(), settings)
            bots = sorted(await storage.bot_stamps())
            without = [bot for bot in bots if not await storage.keys_of(bot)]
    except PalaverError as error:
        advice = "`palaver db check` tells more; the manual's part on operations helps"
        wrong = [finding for finding in findings if finding.level != "ok"]
        return [*wrong, Finding("database", "error", str(error), advice)]
    if without:
        advice = "`palaver serve` makes them when it loads the bot"
        findings.append(Finding("keys", "warning", f"no keys of {', '.join(without)}", advice))
    else:
        findings.append(Finding("keys", "ok", f"{len(bots)} bot(s) with keys that can be read"))
    if "durability=normal" in settings.database:
        findings.append(
            Finding(
                "durability",
                "warning",
                "?durability=normal: a power cut may lose the last turns",
                "leave it out for `full`",
            )
        )
    else:
        findings.append(Finding("durability", "ok", "every answered turn is on disk"))
    return findings
