"""`palaver serve`: reads the folders, opens the port, builds the service, answers until a signal.

Order matters: everything that can be wrong is found before anything is started or stored. The
start-up lines are printed once the port is open, for people and scripts wait for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from palaver.cli.banner import ServedBot, address_of, command_name, start_lines
from palaver.cli.options import database_option, folders_argument, join_settings
from palaver.cli.workers import Worker, become_worker
from palaver.config import ServerSettings
from palaver.folder import BotFolder, read_folders
from palaver.logs import configure
from palaver.problems import EnvironmentFailed, UsageError

if TYPE_CHECKING:
    from palaver.wiring import Service

FolderState: TypeAlias = tuple[tuple[str, int, int], ...]
"""Path, time and size of each file of a folder."""

GRACE_S: Final = 10
"""Seconds that turns in progress have to finish after the first signal."""

SWITCH_S: Final = 0.0005
"""How long the event loop keeps the interpreter from a thread that waited for the disk: turns wait
with it."""

GARBAGE: Final = (10_000, 5, 200)
"""When Python looks for circles. Turns leave hardly any, and its default, 700 new objects, costs
them a tenth of their time. The second look goes through 50,000 objects, which takes 10 ms at most;
nobody can go on meanwhile."""

WATCH_S: Final = 0.5
"""Seconds between two looks at watched folders."""


@click.command()
@folders_argument(required=False)
@click.option("--host", metavar="HOST", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8000]"
)
@database_option
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; PostgreSQL only.")
@click.option("--watch/--no-watch", default=None, help="On save: check, build and go on.")
@click.option("--jobs/--no-jobs", default=None, help="Run scheduled jobs in this process too.")
def serve(folders: tuple[Path, ...], **options: object) -> None:
    """Start the service. Every DIR is a bot; without one, the bots in the database.

    Each option is also PALAVER_… in the environment and a key under [server] in palaver.toml.
    """
    # Taken before anything is read, so that no save is missed.
    states = {folder: _state_of(folder) for folder in folders}
    bots = read_folders(folders)
    for folder in bots:
        for warning in folder.warnings:
            click.echo(warning.picture(), err=True)
    settings = join_settings(options, bots)
    refuse_unsafe(settings, bots)
    configure(settings.log_level, settings.log_format)
    with open_port(settings.host, settings.port) as listener:
        settings = dataclasses.replace(settings, port=listener.getsockname()[1])
        worker = become_worker(settings.workers)
        run_server(settings, bots, listener, states, worker)


def refuse_unsafe(settings: ServerSettings, bots: Sequence[BotFolder]) -> None:
    """What must not be started. Raises: UsageError with the reason and a way out."""
    is_postgresql = settings.database.startswith(("postgresql:", "postgres:"))
    if settings.workers > 1 and not is_postgresql:
        raise UsageError(
            f"--workers {settings.workers} needs PostgreSQL: one process at a time writes to an "
            "SQLite database. Leave --workers out, or give --database postgresql://…"
        )
    has_key = bool(settings.engine_api_keys) or any(b.settings.keys.engine_key for b in bots)
    if not settings.is_loopback and not has_key:
        raise UsageError(
            f"--host {settings.host} can be reached by others, and the engine's REST API has no "
            "key: anybody could read and change everything. Set one, as ENGINE_SERVER_API_KEYS in "
            "the environment or as [keys] engine_key in a bot's palaver.toml"
        )


@contextlib.contextmanager
def open_port(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises: EnvironmentFailed when the port cannot be had."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:  # UnicodeError: a name that is too long
        raise EnvironmentFailed(f"--host {host} is no address of this machine: {error}") from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as listener:
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(2048)
        except OSError as error:
            raise EnvironmentFailed(_port_refusal(host, port, error)) from error
        listener.set_inheritable(True)
        yield listener


def _port_refusal(host: str, port: int, error: OSError) -> str:
    import errno

    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use by another program. Stop that one, or choose "
            f"another port: --port {port + 1}"
        )
    if error.errno == errno.EACCES:
        return f"port {port} may not be opened by this user; ports from 1024 may: --port 8000"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def run_server(
    settings: ServerSettings,
    bots: Sequence[BotFolder],
    listener: socket.socket,
    states: dict[Path, FolderState],
    worker: Worker,
) -> None:
    """Builds the service and answers until it is told to stop.

    Args:
        states: how the folders were when they were read; watched from there on.
        worker: which of several processes this is. The first one prints the start and watches;
            the others notice what it stores (product.md §5).
    """
    sys.setswitchinterval(SWITCH_S)
    gc.set_threshold(*GARBAGE)
    serving = _serve(settings, bots, listener, states, worker)
    if sys.platform == "win32":
        asyncio.run(serving)
        return
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


async def _serve(
    settings: ServerSettings,
    bots: Sequence[BotFolder],
    listener: socket.socket,
    states: dict[Path, FolderState],
    worker: Worker,
) -> None:
    import uvicorn

    from palaver.cli.wire import bounded
    from palaver.wiring import build

    stopping = _Stopping()
    with stopping.on_signals():
        async with build(settings, bots) as service:
            config = uvicorn.Config(
                service.app,
                http=bounded(settings.max_header_bytes),
                loop="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=max(1, round(settings.keep_alive_s)),
                timeout_graceful_shutdown=GRACE_S,
            )
            server = _server_class()(config)

            def on_open() -> None:
                gc.collect()
                gc.freeze()  # programs and modules are there to stay
                if worker.speaks:
                    _print_start(settings, service, bots, int(listener.getsockname()[1]))
                worker.ready()

            server.on_open = on_open
            stopping.server = server
            watches = settings.watch and worker.is_first
            watching = asyncio.create_task(_watch(service, states)) if watches else None
            try:
                await server.serve(sockets=[listener])
            finally:
                if watching is not None:
                    watching.cancel()


def _print_start(
    settings: ServerSettings, service: Service, bots: Sequence[BotFolder], port: int
) -> None:
    # `palaver keys show` cannot look into this process's memory.
    keeps_keys = settings.database == ":memory:"
    shows_keys = settings.is_loopback and (keeps_keys or sys.stdout.isatty())
    folders = {folder.bot.id: folder for folder in bots}
    shown = []
    for bot in service.bots.loaded():
        folder = folders.get(bot.id)
        fixed = frozenset(folder.settings.keys.given()) if folder else frozenset()
        keys = dict(service.access.keys_of(bot))
        if "engine_key" not in keys and settings.engine_api_keys:
            keys["engine_key"] = settings.engine_api_keys[0]
        path = str(folder.path) if folder else None
        shown.append(ServedBot(bot.id, bot.hex_id, bot.name, keys, path, fixed))
    address = address_of(settings.host, port)
    command = command_name(sys.argv[0], os.environ)
    for line in start_lines(
        address, settings.database, shown, shows_keys=shows_keys, command=command
    ):
        click.echo(line)
    sys.stdout.flush()


# --- stopping ----------------------------------------------------------------------------------


class _Stopping:
    """The first signal lets turns finish, a second one ends the process where it stands.

    Ending it so is safe: whatever was answered is on disk already (product.md §5). A thread that
    still computes when the time is up cannot be stopped otherwise.
    """

    def __init__(self) -> None:
        self.server: _Stoppable | None = None
        self.signals = 0

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """While open, signals come here; also before the server runs."""
        caught = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle) for number in caught}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle(self, number: int, frame: FrameType | None) -> None:
        self.signals += 1
        if self.server is None or self.signals > 1:
            os._exit(128 + number)
        self.server.should_exit = True
        timer = threading.Timer(GRACE_S + 2, os._exit, (0,))
        timer.daemon = True
        timer.start()


class _Stoppable:
    """What `_Stopping` needs of a server."""

    should_exit: bool


def _server_class() -> type:
    """uvicorn's server with our signal handlers and a call when the port is open.

    Made here, so that uvicorn is imported only to serve.
    """
    import uvicorn

    class Server(uvicorn.Server):
        on_open: Callable[[], None]

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            self.on_open()

    return Server


# --- watching ----------------------------------------------------------------------------------


async def _watch(service: Service, states: dict[Path, FolderState]) -> None:
    """Loads a folder again when something in it changed; with mistakes, says them and goes on."""
    while True:
        await asyncio.sleep(WATCH_S)
        for path, before in states.items():
            state = await asyncio.to_thread(_state_of, path)
            if state != before:
                states[path] = state
                await _reload(service, path)


async def _reload(service: Service, path: Path) -> None:
    from palaver.errors import PalaverError

    try:
        (folder,) = await asyncio.to_thread(read_folders, [path])
        await service.load(folder)
    except PalaverError as error:
        click.echo(f"{error}\n{path}: not loaded, the bot goes on as it was", err=True)
    else:
        click.echo(f"{path}: loaded", err=True)


def _state_of(folder: Path) -> FolderState:
    """Names, times and sizes of all files in a folder: equal while nothing was saved."""
    found = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            with contextlib.suppress(OSError):
                status = os.stat(os.path.join(root, name))
                found.append((os.path.join(root, name), status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))
