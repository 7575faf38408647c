"""The page of /metrics, and what counting costs."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from palaver import metrics as module
from palaver.errors import Malformed, Unavailable
from palaver.metrics import Metrics
from palaver.model import Chosen, Client, QueueFigures, Turn
from tests.speed import is_ever_quicker

pytestmark = pytest.mark.anyio

ANNA = Client("pizza", "web", "anna")


def turn(chosen: Chosen = Chosen.HOLD, **changes: object) -> Turn:
    fields: dict[str, object] = {
        "request_id": "r",
        "client": ANNA,
        "received_at": datetime.now(UTC),
        "conversation_id": "c",
        "messages": (),
        "conversation_end": False,
        "interaction_order": 1,
        "chosen": chosen,
        "flow": "f",
        "flow_id": "f",
        "step": "s",
        "is_held": True,
        "memories": {},
    }
    return Turn(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def figures(metrics: Metrics) -> dict[str, float]:
    """`name{label=value}` → figure, as Prometheus reads the page."""
    found = {}
    for family in text_string_to_metric_families(metrics.page().decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sample.labels.items())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_turns_are_counted_by_why_and_how() -> None:
    metrics = Metrics()
    for made in (
        turn(),
        turn(),
        turn(Chosen.COMMAND, is_held=False, conversation_end=True),
        turn(Chosen.DEFAULT, is_held=False),
        turn(is_dropped=True),
        None,
    ):
        metrics.ended(metrics.began(ANNA), made)
    found = figures(metrics)
    assert found["palaver_turns_total{chosen=hold,outcome=held}"] == 2
    assert found["palaver_turns_total{chosen=command,outcome=ended}"] == 1
    assert found["palaver_turns_total{chosen=default,outcome=open}"] == 1
    assert found["palaver_turns_total{chosen=hold,outcome=dropped}"] == 1
    assert found["palaver_turns_total{chosen=,outcome=replayed}"] == 1
    assert found["palaver_turn_seconds_count"] == 6
    assert found["palaver_turn_seconds_bucket{le=60.0}"] == 6


def test_the_histogram_is_cumulative(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    moments = iter([0.0, 0.001, 0.0, 0.02, 0.0, 99.0])
    monkeypatch.setattr("palaver.metrics.perf_counter", lambda: next(moments))
    for _ in range(3):
        metrics.ended(metrics.began(ANNA), turn())
    found = figures(metrics)
    assert found["palaver_turn_seconds_bucket{le=0.001}"] == 1
    assert found["palaver_turn_seconds_bucket{le=0.01}"] == 1
    assert found["palaver_turn_seconds_bucket{le=0.025}"] == 2
    assert found["palaver_turn_seconds_bucket{le=60.0}"] == 2
    assert found["palaver_turn_seconds_bucket{le=+Inf}"] == 3
    assert found["palaver_turn_seconds_sum"] == pytest.approx(99.021)


def test_turns_in_flight_and_failed_ones() -> None:
    metrics = Metrics(waiting=lambda: 7)
    first, second = metrics.began(ANNA), metrics.began(ANNA)
    assert figures(metrics)["palaver_turns_in_flight"] == 2
    metrics.failed(first, ValueError())
    metrics.ended(second, turn())
    found = figures(metrics)
    assert found["palaver_turns_in_flight"] == 0
    assert found["palaver_turn_seconds_count"] == 1
    assert found["palaver_clients_waiting"] == 7


def test_errors_calls_storage_and_the_process() -> None:
    gauges = {"commits": 3.0, "units": 9.0, "queue": 2.0, "lag_s": 0.004, "pool free": 1.0}
    metrics = Metrics(lambda: gauges)
    metrics.answered_error(Malformed("no"))
    metrics.called("http", "2xx", 0)
    metrics.called("http", "failed", 0)
    found = figures(metrics)
    assert found["palaver_errors_total{kind=Malformed}"] == 1
    assert found["palaver_outbound_total{kind=http,result=2xx}"] == 1
    assert found["palaver_outbound_total{kind=http,result=failed}"] == 1
    assert found["palaver_storage_commits_total"] == 3
    assert found["palaver_storage_units_total"] == 9
    assert found["palaver_storage_queue"] == 2
    assert found["palaver_storage_lag_seconds"] == 0.004
    assert found["palaver_storage_pool_free"] == 1
    assert found["process_resident_memory_bytes"] > 1_000_000


async def test_jobs_are_figures_of_their_queues() -> None:
    asked = []

    async def jobs() -> tuple[QueueFigures, ...]:
        asked.append(1)
        return (QueueFigures("default", 3, 2, 1, 4.5),)

    metrics = Metrics(jobs=jobs)
    for _ in range(3):
        assert b"palaver_jobs_lag_seconds" in await metrics.fresh_page()
    assert len(asked) == 1
    found = figures(metrics)
    assert found["palaver_jobs{queue=default,status=waiting}"] == 3
    assert found["palaver_jobs{queue=default,status=running}"] == 2
    assert found["palaver_jobs{queue=default,status=dead}"] == 1
    assert found["palaver_jobs_lag_seconds{queue=default}"] == 4.5


@pytest.mark.parametrize("hangs", [False, True])
async def test_a_database_that_is_away_leaves_the_other_figures(
    hangs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "JOBS_WAIT_S", 0.01)

    async def jobs() -> tuple[QueueFigures, ...]:
        if hangs:
            await asyncio.Event().wait()
        raise Unavailable("away")

    page = (await Metrics(jobs=jobs).fresh_page()).decode()
    assert "palaver_turns_in_flight 0.0" in page
    assert "queue=" not in page


def test_nobody_is_named_on_the_page() -> None:
    metrics = Metrics()
    metrics.ended(metrics.began(ANNA), turn())
    assert not re.search(r"anna|pizza", metrics.page().decode())


def test_counting_a_turn_costs_less_than_three_microseconds() -> None:
    metrics, made, rounds = Metrics(), turn(), 20_000

    def count() -> None:
        for _ in range(rounds):
            metrics.ended(metrics.began(ANNA), made)

    assert is_ever_quicker(count, 3e-6 * rounds)
