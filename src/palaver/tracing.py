"""Spans for OpenTelemetry, when the extra `otel` is installed and somebody listens; else nothing.

    pip install 'palaver[otel]'
    OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318 palaver serve …

`find_tracing` returns None unless both hold (or the process has a tracer provider of its own), and
then nothing is wrapped and a turn costs nothing more. Spans: the request (a child of the caller's
`traceparent`), the turn, each call to the outside. No texts and no user ids go into them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Protocol

from palaver.asgi import ASGIApp, Message, Receive, Scope, Send
from palaver.logs import turn_id
from palaver.model import Client, Turn

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


class TurnObserver(Protocol):
    """As `services.chat.TurnObserver`."""

    def began(self, client: Client) -> Any: ...
    def ended(self, began: Any, turn: Turn | None) -> None: ...
    def failed(self, began: Any, error: BaseException) -> None: ...


class CallObserver(Protocol):
    """As `engine.outbound.CallObserver`."""

    def called(self, kind: str, result: str, began_ns: int) -> None: ...


def find_tracing(environment: Mapping[str, str] | None = None) -> Tracing | None:
    """Tracing, if it is installed and wanted."""
    environment = os.environ if environment is None else environment
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from opentelemetry import trace

    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        if not any(environment.get(name) for name in _ENDPOINTS):
            return None
        provider = _exporting_provider(environment)
        if provider is None:
            return None
        trace.set_tracer_provider(provider)
    return Tracing(trace.get_tracer("palaver"))


def _exporting_provider(environment: Mapping[str, str]) -> Any:
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        return None
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    name = environment.get("OTEL_SERVICE_NAME", "palaver")
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


class Tracing:
    """Makes spans of requests, turns and calls."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def turns(self, inner: TurnObserver) -> TurnObserver:
        """An observer of turns that makes spans and passes everything on."""
        return _TracedTurns(self._tracer, inner)

    def calls(self, inner: CallObserver) -> CallObserver:
        """An observer of calls that makes spans and passes everything on."""
        return _TracedCalls(self._tracer, inner)

    def application(self, app: ASGIApp) -> ASGIApp:
        """The application with a span around each request."""
        return _TracedApplication(self._tracer, app)


class _TracedTurns:
    def __init__(self, tracer: Tracer, inner: TurnObserver) -> None:
        self._tracer = tracer
        self._inner = inner

    def began(self, client: Client) -> Any:
        from opentelemetry import context, trace

        attributes = {"palaver.bot": client.bot_id, "palaver.channel": client.channel_id}
        turn = turn_id()
        if turn is not None:
            attributes["palaver.turn"] = turn
        span = self._tracer.start_span("turn", attributes=attributes)
        token = context.attach(trace.set_span_in_context(span))
        return span, token, self._inner.began(client)

    def ended(self, began: Any, turn: Turn | None) -> None:
        span, token, inner = began
        self._inner.ended(inner, turn)
        if turn is None:
            span.set_attribute("palaver.replayed", True)
        else:
            span.set_attributes(
                {
                    "palaver.chosen": str(turn.chosen),
                    "palaver.flow": turn.flow,
                    "palaver.step": turn.step,
                    "palaver.messages": len(turn.messages),
                }
            )
        _end(span, token)

    def failed(self, began: Any, error: BaseException) -> None:
        span, token, inner = began
        self._inner.failed(inner, error)
        _mark_failed(span, type(error).__name__)
        _end(span, token)


class _TracedCalls:
    def __init__(self, tracer: Tracer, inner: CallObserver) -> None:
        self._tracer = tracer
        self._inner = inner

    def called(self, kind: str, result: str, began_ns: int) -> None:
        from opentelemetry.trace import SpanKind

        self._inner.called(kind, result, began_ns)
        span = self._tracer.start_span(
            f"outbound {kind}",
            kind=SpanKind.CLIENT,
            start_time=began_ns,
            attributes={"palaver.result": result},
        )
        if result not in ("ok", "2xx", "3xx"):
            _mark_failed(span, result)
        span.end(time.time_ns())


class _TracedApplication:
    def __init__(self, tracer: Tracer, app: ASGIApp) -> None:
        self._tracer = tracer
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry import propagate
        from opentelemetry.trace import SpanKind

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        attributes = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracer.start_as_current_span(
            f"{scope['method']}", propagate.extract(headers), SpanKind.SERVER, attributes
        ) as span:

            async def watching(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        _mark_failed(span, str(message["status"]))
                await send(message)

            await self._app(scope, receive, watching)


def _mark_failed(span: Any, reason: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, reason))


def _end(span: Any, token: Any) -> None:
    from opentelemetry import context

    context.detach(token)
    span.end()
