"""`palaver serve --workers N`: N processes that accept at one port, and one that minds them.

The first worker starts alone, for it may have to store new builds; when it is ready the others are
started, which find them stored. A worker that dies is replaced. Signals to the parent go to all;
workers whose parent died stop by themselves.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

import click

from palaver.problems import UsageError

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

RESTART_S: Final = 1.0
"""A worker that lived shorter is not replaced before that time is over."""


class Worker:
    """What a worker knows of itself. The first one does what is done once for all."""

    def __init__(self, number: int, on_ready: Callable[[], None], *, is_new: bool) -> None:
        self.is_first = number == 0
        self.speaks = self.is_first and is_new
        """Whether it says that the service has started: once, whoever is replaced later."""
        self.ready = on_ready
        """To be called when it accepts."""


def become_worker(count: int) -> Worker:
    """Forks. Returns in each worker; the calling process minds them, and ends with them.

    To be called before there are threads, event loops or connections.

    Raises:
        UsageError: this system cannot fork.
        click.exceptions.Exit: in the calling process, when all workers have ended.
    """
    if count == 1:
        return Worker(0, lambda: None, is_new=True)
    if sys.platform == "win32":
        raise UsageError("--workers needs a system that can fork; start `palaver serve` N times")
    return _Minder(count).run()


class _Minder:
    """The process that minds workers."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._alive = os.pipe()
        self._started: dict[int, tuple[int, float]] = {}
        self._before = {number: signal.getsignal(number) for number in SIGNALS}
        self._signals = 0
        self._code = 0

    def run(self) -> Worker:
        for caught in SIGNALS:
            signal.signal(caught, self._on_signal)
        ready, announce = os.pipe()
        worker = self._fork(0, announce)
        if worker is not None:
            os.close(ready)
            return worker
        os.close(announce)
        while not os.read(ready, 1) and 0 in self._numbers():
            self._reap(replaces=False)
        os.close(ready)
        for number in range(1, self._count):
            if self._code or self._signals:
                break
            worker = self._fork(number, None)
            if worker is not None:
                return worker
        while self._started:
            worker = self._reap(replaces=True)
            if worker is not None:
                return worker
        raise click.exceptions.Exit(self._code)

    def _numbers(self) -> set[int]:
        return {number for number, _ in self._started.values()}

    def _fork(self, number: int, announce: int | None) -> Worker | None:
        """The worker, in its own process; None in this one."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)  # none may come before it is noted
        try:
            process = os.fork()
            if process:
                self._started[process] = (number, time.monotonic())
                return None
            os.setpgid(0, 0)  # Ctrl-C reaches the parent only, which passes it on once
            for caught, handler in self._before.items():
                signal.signal(caught, handler)
            os.close(self._alive[1])
            threading.Thread(target=_end_with, args=(self._alive[0],), daemon=True).start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        return Worker(number, lambda: _announce(announce), is_new=announce is not None)

    def _reap(self, *, replaces: bool) -> Worker | None:
        """Waits until a worker ends; one that was not told to is replaced."""
        process, status = os.waitpid(-1, 0)
        if process not in self._started:
            return None
        number, since = self._started.pop(process)
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else 128 - code
        if self._signals == 1 and code - 128 in SIGNALS:
            code = 0  # it had not even started when it was told to stop
        if self._signals or not replaces:
            self._code = self._code or code
            return None
        how = f"signal {code - 128}" if code > 128 else f"code {code}"
        click.echo(f"worker {number + 1} ended with {how}; starting another", err=True)
        time.sleep(max(0.0, RESTART_S - (time.monotonic() - since)))
        return None if self._signals else self._fork(number, None)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)


def _announce(pipe: int | None) -> None:
    if pipe is not None:
        os.write(pipe, b".")
        os.close(pipe)


def _end_with(pipe: int) -> None:
    """Returns from `read` when nobody holds the other end any more: the parent has died."""
    os.read(pipe, 1)
    os.kill(os.getpid(), signal.SIGTERM)
