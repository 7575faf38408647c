"""Figures for /metrics (Prometheus): counted in plain numbers, put into its form when asked.

Everything is counted on the event loop's thread, so no lock is needed, and a turn costs about a
microsecond where prometheus-client's own counters would cost ten. `Metrics` is handed to what
counts (the chat service, outbound calls, the application); nobody else imports this module.

    palaver_turns_total{chosen, outcome}      turns stored; outcome held, open, ended, dropped,
                                              replayed
    palaver_turn_seconds                      histogram: from a request read to its answer stored
    palaver_turns_in_flight                   turns begun and not ended
    palaver_clients_waiting                   requests that wait for another turn of their client
    palaver_errors_total{kind}                errors answered, by class
    palaver_outbound_total{kind, result}      calls of flows, apps, callbacks and mails
    palaver_jobs{queue, status}               jobs that wait, run and are dead
    palaver_jobs_lag_seconds{queue}           how long the oldest job that is due has waited
    palaver_storage_…                         figures of the database: the writer's queue, its lag …
    process_…                                 memory, time, open files
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from time import monotonic, perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from palaver import __version__
from palaver.errors import StorageError
from palaver.model import Client, JobStatus, QueueFigures, Turn

BUCKETS_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
"""Upper bounds of the latency histogram, in seconds."""

JOBS_FRESH_S: Final = 2.0
"""The database is not asked for figures of jobs more often, however often the page is read."""

JOBS_WAIT_S: Final = 2.0
"""A database that takes longer has no figures of jobs this time; the others are more urgent."""

_STORAGE: Final = {
    "commits": ("commits", "Transactions committed.", True),
    "units": ("units", "Units of work (turns, mostly) committed; many share a commit.", True),
    "queue": ("queue", "Units that wait for the writer.", False),
    "lag_s": ("lag_seconds", "How long the last group's first unit waited for the disk.", False),
}
"""Known gauges of storages: name on the page, help, whether it only grows."""


class Metrics:
    """Counts. Implements the observers of chat, outbound calls and the application.

    Args:
        gauges: figures of the database (`Storage.gauges`).
        waiting: how many requests wait for another turn of their client.
        jobs: figures of all queues (`Storage.job_figures`).
    """

    def __init__(
        self,
        gauges: Callable[[], Mapping[str, float]] | None = None,
        waiting: Callable[[], int] | None = None,
        jobs: Callable[[], Awaitable[Sequence[QueueFigures]]] | None = None,
    ) -> None:
        self.gauges = gauges or dict
        self.waiting = waiting or (lambda: 0)
        self.jobs = jobs
        self.queues: Sequence[QueueFigures] = ()
        self._asked_at = -JOBS_FRESH_S
        self.in_flight = 0
        self.turns: dict[tuple[str, str], int] = {}
        self.errors: dict[str, int] = {}
        self.calls: dict[tuple[str, str], int] = {}
        self.buckets = [0] * (len(BUCKETS_S) + 1)
        self.seconds = 0.0
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Page(self))
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    # --- turns (services.chat.TurnObserver) ------------------------------------------------------

    def began(self, client: Client) -> float:
        self.in_flight += 1
        return perf_counter()

    def ended(self, began: float, turn: Turn | None) -> None:
        self.in_flight -= 1
        seconds = perf_counter() - began
        self.seconds += seconds
        self.buckets[bisect_left(BUCKETS_S, seconds)] += 1
        key = ("", "replayed") if turn is None else (turn.chosen, _outcome(turn))
        self.turns[key] = self.turns.get(key, 0) + 1

    def failed(self, began: float, error: BaseException) -> None:
        self.in_flight -= 1

    # --- others --------------------------------------------------------------------------------

    def answered_error(self, error: Exception) -> None:
        """The application answered with an error."""
        kind = type(error).__name__
        self.errors[kind] = self.errors.get(kind, 0) + 1

    def called(self, kind: str, result: str, began_ns: int) -> None:
        """A call to the outside ended. `result`: ok, failed, or the class of status (`5xx`)."""
        self.calls[kind, result] = self.calls.get((kind, result), 0) + 1

    async def fresh_page(self) -> bytes:
        """The whole page, with the figures of jobs as they are now."""
        if self.jobs is not None and monotonic() - self._asked_at >= JOBS_FRESH_S:
            self._asked_at = monotonic()
            try:
                async with asyncio.timeout(JOBS_WAIT_S):
                    self.queues = await self.jobs()
            except (StorageError, TimeoutError):
                self.queues = ()
        return self.page()

    def page(self) -> bytes:
        """The whole page, as Prometheus reads it."""
        return generate_latest(self._registry)


def _outcome(turn: Turn) -> str:
    if turn.is_dropped:
        return "dropped"
    if turn.is_held:
        return "held"
    return "ended" if turn.conversation_end else "open"


class _Page(Collector):
    """The figures in Prometheus's words."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        metrics = self._metrics
        yield InfoMetricFamily("palaver", "This program.", {"version": __version__})
        turns = CounterMetricFamily(
            "palaver_turns", "Turns, by why they ran where they ran and how they ended.",
            labels=("chosen", "outcome"),
        )  # fmt: skip
        for key, number in metrics.turns.items():
            turns.add_metric([str(part) for part in key], number)
        yield turns
        yield self._histogram()
        yield GaugeMetricFamily(
            "palaver_turns_in_flight", "Turns begun and not ended.", metrics.in_flight
        )
        yield GaugeMetricFamily(
            "palaver_clients_waiting",
            "Requests that wait for another turn of their client.",
            metrics.waiting(),
        )
        errors = CounterMetricFamily("palaver_errors", "Errors answered.", labels=("kind",))
        for kind, number in metrics.errors.items():
            errors.add_metric([kind], number)
        yield errors
        calls = CounterMetricFamily(
            "palaver_outbound", "Calls to the outside.", labels=("kind", "result")
        )
        for call, number in metrics.calls.items():
            calls.add_metric(list(call), number)
        yield calls
        yield from self._jobs()
        yield from self._storage()

    def _histogram(self) -> Metric:
        total, buckets = 0, []
        for bound, number in zip(
            (*map(str, BUCKETS_S), "+Inf"), self._metrics.buckets, strict=True
        ):
            total += number
            buckets.append((bound, total))
        family = HistogramMetricFamily("palaver_turn_seconds", "Seconds from request to answer.")
        family.add_metric([], buckets, self._metrics.seconds)
        return family

    def _jobs(self) -> Iterator[Metric]:
        """Nothing where there are no jobs, or none can be counted now."""
        jobs = GaugeMetricFamily(
            "palaver_jobs", "Jobs of the database.", labels=("queue", "status")
        )
        lag = GaugeMetricFamily(
            "palaver_jobs_lag_seconds",
            "How long the oldest job that is due has waited.",
            labels=("queue",),
        )
        for figures in self._metrics.queues:
            for status in JobStatus:
                jobs.add_metric([figures.queue, status.value], getattr(figures, status.value))
            lag.add_metric([figures.queue], figures.lag_s)
        yield from (jobs, lag)

    def _storage(self) -> Iterator[Metric]:
        for name, value in self._metrics.gauges().items():
            words, text, grows = _STORAGE.get(name, (name, name.replace("_", " "), False))
            family = CounterMetricFamily if grows else GaugeMetricFamily
            yield family(f"palaver_storage_{words}", text, value)
