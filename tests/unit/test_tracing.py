"""Spans of requests, turns and calls; and nothing at all when nobody listens."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from palaver import tracing
from palaver.logs import begin_request
from palaver.metrics import Metrics
from palaver.tracing import Tracing, find_tracing
from tests.unit.test_metrics import ANNA, turn

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(spans: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return Tracing(provider.get_tracer("test"))


def by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_there_is_none_unless_somebody_listens() -> None:
    assert find_tracing({}) is None


def test_there_is_none_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda name: None)
    assert find_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) is None


def test_there_is_none_without_the_exporter(monkeypatch: pytest.MonkeyPatch) -> None:
    real = tracing.find_spec
    monkeypatch.setattr(
        tracing, "find_spec", lambda name: None if "exporter" in name else real(name)
    )
    assert find_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}) is None


def test_request_turn_and_call_are_nested(traced: Tracing, spans: InMemorySpanExporter) -> None:
    metrics = Metrics()
    turns, calls = traced.turns(metrics), traced.calls(metrics)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        begin_request()
        began = turns.began(ANNA)
        calls.called("http", "5xx", 1)
        turns.ended(began, turn())
        await send({"type": "http.response.start", "status": 200, "headers": []})

    _call(traced.application(app), [(b"traceparent", PARENT.encode())])
    found = by_name(spans)
    request, made, call = found["POST"], found["turn"], found["outbound http"]
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == "b7ad6b7169203331"
    assert made.parent == request.context
    assert call.parent == made.context
    assert call.start_time == 1
    assert call.status.status_code is StatusCode.ERROR
    assert request.attributes is not None
    assert request.attributes["http.response.status_code"] == 200
    assert made.attributes is not None
    assert made.attributes["palaver.chosen"] == "hold"
    assert len(str(made.attributes["palaver.turn"])) == 12
    assert "anna" not in str(made.attributes)
    assert metrics.turns == {("hold", "held"): 1}
    assert metrics.calls == {("http", "5xx"): 1}


def test_replayed_and_failed_turns(traced: Tracing, spans: InMemorySpanExporter) -> None:
    turns = traced.turns(Metrics())
    turns.ended(turns.began(ANNA), None)
    turns.failed(turns.began(ANNA), ValueError("secret"))
    replayed, failed = spans.get_finished_spans()
    assert replayed.attributes is not None
    assert replayed.attributes["palaver.replayed"] is True
    assert (failed.status.status_code, failed.status.description) == (
        StatusCode.ERROR,
        "ValueError",
    )


def test_an_error_status_marks_the_request(traced: Tracing, spans: InMemorySpanExporter) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 503, "headers": []})

    _call(traced.application(app), [])
    _call(traced.application(app), [], kind="lifespan")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


def _call(app: Any, headers: list[tuple[bytes, bytes]], kind: str = "http") -> None:
    async def send(message: Any) -> None: ...

    scope = {"type": kind, "method": "POST", "path": "/run", "headers": headers}
    asyncio.run(app(scope, None, send))
