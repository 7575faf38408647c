"""The composition root: the only module that picks concrete storage, clock, host and dialects."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palaver.asgi import ASGIApp
from palaver.config import ServerSettings
from palaver.csml.diagnostics import SourceError
from palaver.csml.limits import Limits
from palaver.engine.ask import Ask
from palaver.engine.bots import BotInvalid, Scenarios
from palaver.engine.csml_scenario import CsmlScenario
from palaver.engine.engine import Engine, EngineSettings
from palaver.engine.outbound import Outbound, OutboundSettings
from palaver.engine.scenario import Scenario
from palaver.engine.turn import Result
from palaver.errors import ConfigError, KeyMissing
from palaver.folder import BotFolder, read_components
from palaver.http.app import Application
from palaver.http.dialects import CLASSES, make_dialect
from palaver.http.dialects.base import Dialect, Services
from palaver.http.operations import Operations
from palaver.http.request import BodyLimits
from palaver.jobs.embedded import EmbeddedRunner
from palaver.jobs.protocol import Queue, Runner, Tasks
from palaver.jobs.queue import StoredQueue
from palaver.jobs.tasks import expire_task, notify_task
from palaver.logs import keep_secret
from palaver.metrics import Metrics
from palaver.model import Bot
from palaver.services.access import Access
from palaver.services.bots import Bots
from palaver.services.callbacks import Callbacks, jobs_of
from palaver.services.changes import Watcher
from palaver.services.chat import Chat, note_secrets_of
from palaver.services.events import Events
from palaver.storage.cipher import Cipher, key_missing
from palaver.storage.copies import DatabaseFile, Move, Progress, StoredDatabase
from palaver.storage.keyring import KeyRingCipher
from palaver.storage.protocol import Credentials, Storage
from palaver.storage.sql.copies import SqliteFile
from palaver.storage.urls import open_storage, postgres_conninfo, sqlite_file
from palaver.tracing import find_tracing
from palaver.types import Clock, JsonObject, SystemClock

logger = logging.getLogger(__name__)

FINISH_S = 5.0
"""How long jobs, and then callbacks on their way, are waited for at the end."""


@dataclass(frozen=True, slots=True)
class Service:
    """A whole Palaver: its ASGI application and what the command line asks it."""

    app: ASGIApp
    bots: Bots
    access: Access

    async def load(self, folder: BotFolder) -> None:
        """Serves a folder's bot, anew if it changed."""
        loaded = await self.bots.load_folder(folder)
        await self.access.admit(loaded, folder.settings.keys.given())


@asynccontextmanager
async def build(settings: ServerSettings, folders: Sequence[BotFolder]) -> AsyncIterator[Service]:
    """Opens everything, serves the folders (none: the bots of the database), closes it again."""
    storage = open_storage(
        settings.database, cipher=_cipher(settings), answer_s=settings.database_answer_s
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(storage.close)
        await storage.open()
        await _refuse_missing_keys(storage, settings)
        await storage.note_key()
        house = _House(settings, storage)
        stack.push_async_callback(house.outbound.aclose)
        stack.push_async_callback(house.callbacks.finish, FINISH_S)
        await house.watcher.begin()  # before anything is read, so that no change is missed
        await house.service.access.open()
        await _load(house.service, folders, await storage.bot_ids())
        async with house.upkeep():
            yield house.service


async def _refuse_missing_keys(storage: Storage, settings: ServerSettings) -> None:
    """Without them people would get errors, and what was encrypted go on in plain text.

    Raises:
        KeyMissing: says which, and what to do.
    """
    missing = [key for key in await storage.missing_keys() if key not in settings.lost_keys]
    if missing:
        cipher = _cipher(settings)
        error = key_missing(cipher.key_ids if cipher else (), *missing)
        raise KeyMissing(
            f"{error}. If it is lost for good, name the key in PALAVER_LOST_KEYS: what it sealed "
            "is then answered with 503",
            *missing,
        )


class _House:
    """The parts of a service, each given what it needs."""

    def __init__(self, settings: ServerSettings, storage: Storage) -> None:
        clock = SystemClock()
        metrics = Metrics(storage.gauges)
        tracing = find_tracing()
        self.outbound = Outbound(
            _outbound_settings(settings), observer=tracing.calls(metrics) if tracing else metrics
        )
        self.callbacks = Callbacks(self.outbound)
        bots = Bots(
            storage,
            Scenarios(scenario_builder(settings)),
            self.outbound,
            clock,
            modules_url=settings.modules_url,
            modules_auth=settings.modules_auth,
            lost_keys=settings.lost_keys,
        )
        engine = Engine(
            storage,
            self.outbound,
            clock,
            _engine_settings(settings),
            load_other=bots.other,
            load_build=bots.build,
            after=self._after_turn,
            jobs_of=jobs_of,
        )
        access = Access(
            storage,
            engine_keys=settings.engine_api_keys,
            is_loopback=settings.is_loopback,
            lost_keys=settings.lost_keys,
        )
        bots.on_serve = access.renew
        metrics.waiting = engine.waiting
        metrics.jobs = lambda: storage.job_figures(clock.now())
        chat = Chat(engine, self.callbacks, tracing.turns(metrics) if tracing else metrics)
        services = Services(chat, bots, access, storage, clock, settings, metrics.fresh_page)
        app = _application(services, metrics)
        self.service = Service(tracing.application(app) if tracing else app, bots, access)
        self.watcher = Watcher(storage, bots, access)
        events = Events(bots, chat, clock)
        tasks = Tasks([expire_task(storage, clock), notify_task(self.outbound), events.task()])
        self._runner = _runner(settings, storage, tasks, clock) if settings.jobs else None

    def _after_turn(self, ask: Ask, result: Result) -> None:
        note_secrets_of(ask, result)
        self.callbacks.after_turn(ask, result)
        if self._runner is not None and ask.notice_retries:
            self._runner.wake()

    @asynccontextmanager
    async def upkeep(self) -> AsyncIterator[None]:
        """What goes on beside requests: looking for changes, running jobs."""
        runner = self._runner
        tasks = [asyncio.create_task(self.watcher.run())]
        if runner is not None:
            tasks.append(asyncio.create_task(runner.run()))
        try:
            yield
        finally:
            if runner is not None:
                await runner.stop(FINISH_S)
            await _cancel(tasks)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, Exception):
            logger.error("a task of upkeep ended by itself", exc_info=result)


async def _load(service: Service, folders: Sequence[BotFolder], stored: Sequence[str]) -> None:
    for folder in folders:
        await service.load(folder)
    if folders:
        return
    for bot_id in stored:
        try:
            loaded = await service.bots.load_stored(bot_id)
        except (BotInvalid, KeyMissing) as error:
            logger.warning("bot %s is not served: %s", bot_id, error)
        else:
            await service.access.admit(loaded, {})


def _application(services: Services, metrics: Metrics) -> Application:
    settings = services.settings
    dialects: list[Dialect] = [make_dialect(name, services) for name in CLASSES]
    return Application(
        [*dialects, Operations(services, dialects)],
        clock=services.clock,
        limits=BodyLimits(settings.max_body_bytes, settings.max_json_depth),
        cors_origins=settings.cors_origins,
        on_error=metrics.answered_error,
    )


@asynccontextmanager
async def open_beside(settings: ServerSettings) -> AsyncIterator[Storage]:
    """The database, for commands that look into it or correct it; the server may be running."""
    storage = open_storage(
        settings.database,
        cipher=_cipher(settings),
        is_guest=True,
        answer_s=settings.database_answer_s,
    )
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def open_queue(settings: ServerSettings) -> AsyncIterator[Queue]:
    """The jobs, for `palaver jobs`; the server may be running."""
    async with open_beside(settings) as storage:
        yield StoredQueue(storage)


def _runner(settings: ServerSettings, storage: Storage, tasks: Tasks, clock: Clock) -> Runner:
    """What runs jobs in this process: procrastinate on PostgreSQL, else our own."""
    store: Any = storage
    if storage.kind != "postgresql":
        return EmbeddedRunner(store, tasks, clock)
    from palaver.jobs.procrastinate import ProcrastinateRunner  # 100 ms, for those who use it
    from palaver.storage.sql.postgres import with_tcp_defaults

    conninfo = with_tcp_defaults(postgres_conninfo(settings.database))
    return ProcrastinateRunner(conninfo, store, tasks, stop_s=FINISH_S)


def open_credentials(settings: ServerSettings) -> AbstractAsyncContextManager[Credentials]:
    """The stored keys, for `palaver keys`; the server may be running."""
    return open_beside(settings)


def database_file(settings: ServerSettings) -> DatabaseFile | None:
    """The database, where it is a file."""
    path = sqlite_file(settings.database)
    return None if path is None else SqliteFile(path, _cipher(settings))


def stored_database(settings: ServerSettings, tell: Progress) -> StoredDatabase | None:
    """The database, for commands that check and copy it; None when it is gone with its process."""
    if settings.database.startswith(("postgresql:", "postgres:")):
        from palaver.storage.sql.pgcopies import PostgresDatabase

        return PostgresDatabase(postgres_conninfo(settings.database), tell, _cipher(settings))
    return database_file(settings)


def move_database(path: str, url: str, tell: Progress, *, again: bool) -> Move:
    """Makes a PostgreSQL database of a SQLite file that may be in use."""
    from palaver.storage.sql.moving import move

    return move(path, postgres_conninfo(url), tell, again=again)


def path_of_database(url: str) -> str | None:
    """The file of a SQLite URL or a plain path; None for other databases."""
    return sqlite_file(url) if "://" in url or url == ":memory:" else url


async def upgrade_database(settings: ServerSettings) -> tuple[str, ...]:
    """Brings the schema up to date; the names of the migrations it ran, where they are known.

    On SQLite opening does so, under the file's lock: no server may be running.
    """
    storage = open_storage(settings.database)
    done = await storage.upgrade()
    await storage.open()
    try:
        await storage.check()
    finally:
        await storage.close()
    return done


# --- bots --------------------------------------------------------------------------------------


def scenario_builder(settings: ServerSettings) -> Callable[[Bot], Scenario]:
    """How a bot becomes a scenario, with the limits and components of this service."""
    limits = Limits(
        steps=settings.step_limit,
        instructions=settings.max_instructions,
        depth=settings.max_depth,
        payload_bytes=settings.max_payload_bytes,
        value_bytes=settings.max_value_bytes,
        messages=settings.max_messages,
        nesting=settings.max_json_depth,
    )
    shared = _shared_components(settings)

    def build_scenario(bot: Bot) -> Scenario:
        try:
            return CsmlScenario(bot, limits, shared)
        except SourceError as error:
            raise BotInvalid(f"invalid bot: {error}", error.diagnostics) from error

    return build_scenario


def _shared_components(settings: ServerSettings) -> JsonObject:
    """Components of COMPONENTS_DIR (csml-language §8.5). Raises: ConfigError."""
    if settings.components_dir is None:
        return {}
    found, problems = read_components(Path(settings.components_dir))
    if problems:
        raise ConfigError("; ".join(str(problem) for problem in problems))
    return found


# --- settings ----------------------------------------------------------------------------------


def _cipher(settings: ServerSettings) -> Cipher | None:
    """What encrypts at rest; None without a secret key. Takes some 50 ms a secret."""
    if not settings.secret_key:
        return None
    keep_secret(*settings.secret_key)
    return KeyRingCipher(settings.secret_key)


def _outbound_settings(settings: ServerSettings) -> OutboundSettings:
    return OutboundSettings(
        timeout_s=settings.http_timeout_s,
        max_response_bytes=settings.http_max_bytes,
        max_redirects=settings.http_max_redirects,
        allow_hosts=frozenset(settings.allow_hosts),
        allow_loopback=settings.is_loopback,
        disable_ssl_verify=settings.disable_ssl_verify,
    )


def _engine_settings(settings: ServerSettings) -> EngineSettings:
    return EngineSettings(
        turn_wait_s=settings.turn_wait_s,
        turn_compute_s=settings.turn_compute_s,
        turn_total_s=settings.turn_total_s,
        max_memory_bytes=settings.max_memory_bytes,
        ttl_days=settings.ttl_days,
        low_data=settings.low_data_mode,
    )
