"""What those who run the server ask: is it alive, is it ready, what is it. Spec: product §4."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import ClassVar, Final

from palaver import __version__
from palaver.errors import NotFound, StorageError
from palaver.http import openapi
from palaver.http.describe import (
    CODE_AND_MESSAGE,
    OBJECT,
    Answer,
    Operation,
    Schema,
    Surface,
    one_of,
    record,
    text,
)
from palaver.http.dialects.base import Dialect, Problem, Route, Services
from palaver.http.request import Request, Response, json_response
from palaver.http.wire import encode_json

_PAGE: Final = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Palaver</title>
<style>body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem;
padding: 0 1rem }} code {{ background: #8882; padding: 0 .2rem }}</style>
<h1>Palaver {version}</h1>
<p>A bot server. Bots that answer here:</p>
<ul>{bots}</ul>
<p>Every bot answers over each of these:</p>
<ul>
<li>the CSML engine's API: <code>POST /run</code>, also <code>/engine/run</code></li>
<li>CSML Studio: <code>POST /v1/api/chat</code>, also <code>/studio/v1/api/chat</code></li>
<li>ChatBot.com: <code>POST /query</code>, also <code>/chatbot/query</code></li>
<li>Clustaar: <code>POST /bots/…/interlocutors/…</code>, also under <code>/clustaar</code></li>
</ul>
<p>All addresses: <a href="docs">docs</a>, for programs <a href="openapi.json">openapi.json</a>.
Is it well? <a href="livez">livez</a>, <a href="readyz">readyz</a>.
The manual is in the folder <code>docs</code> of the program.</p>
"""

_PAGE_HEADERS: Final = (
    ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("x-content-type-options", "nosniff"),
)

_METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_HTML: Final = "text/html; charset=utf-8"


def _shown(
    summary: str, about: str, schema: Schema, media_type: str = "application/json"
) -> Operation:
    return Operation(summary, {200: Answer(about, schema, media_type)}, errors=())


_WELL: Final = record({"status": one_of("ok")})

_READY: Final = Operation(
    "Whether requests can be answered",
    {
        200: Answer("Ready.", _WELL),
        503: Answer(
            "The database does not answer, or its schema is not current.",
            record({"status": one_of("not ready"), "reason": text()}),
        ),
    },
    errors=(),
)

_METRICS: Final = replace(
    _shown("Figures for Prometheus", "The figures.", text(), "text/plain"), errors=(404,)
)


class Operations(Dialect):
    """The paths that belong to no dialect, with the engine's error shape.

    Args:
        beside: the dialects that /openapi.json describes beside this one.
    """

    name = "operations"
    prefix = ""
    surface: ClassVar[Surface | None] = Surface(
        "What those who run the server ask. Open to all.", CODE_AND_MESSAGE
    )

    def __init__(self, services: Services, beside: Sequence[Dialect] = ()) -> None:
        super().__init__(services)
        self._beside = tuple(beside)

    def routes(self) -> tuple[Route, ...]:
        page, docs, document, alive = (
            _shown("A short page for people", "The page.", text(), "text/html"),
            _shown("This list for people", "The page.", text(), "text/html"),
            _shown("This document", "OpenAPI 3.1.", OBJECT),
            _shown("Whether the process answers", "It does.", _WELL),
        )
        return (
            Route("GET", "/", self.page, describes=page),
            Route("GET", "/docs", self.docs, describes=docs),
            Route("GET", "/openapi.json", self.document, describes=document),
            Route("GET", "/livez", self.livez, describes=alive),
            Route("GET", "/readyz", self.readyz, describes=_READY),
            Route("GET", "/metrics", self.metrics, describes=_METRICS),
        )

    def render_error(self, request: Request, problem: Problem) -> Response:
        return json_response({"code": problem.status, "message": problem.message}, problem.status)

    async def page(self, request: Request) -> Response:
        """A short page for people."""
        loaded = self.services.bots.loaded()
        bots = "".join(f"<li>{escape(bot.name)}</li>" for bot in loaded) or "<li>none yet</li>"
        page = _PAGE.format(version=__version__, bots=bots)
        return Response(page.encode(), 200, _HTML, _PAGE_HEADERS)

    async def docs(self, request: Request) -> Response:
        """All routes, listed by a script of the page from /openapi.json."""
        return self._docs

    @cached_property
    def _docs(self) -> Response:
        page = files("palaver.http").joinpath("docs.html").read_text("utf-8")
        script = page.partition("<script>")[2].partition("</script>")[0]
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; script-src 'sha256-{digest}'; "
            "style-src 'unsafe-inline'; connect-src 'self'"
        )
        headers = (("content-security-policy", policy), ("x-content-type-options", "nosniff"))
        return Response(page.encode(), 200, _HTML, headers)

    async def document(self, request: Request) -> Response:
        """The OpenAPI document."""
        return self._document

    @cached_property
    def _document(self) -> Response:
        return Response(encode_json(openapi.build((*self._beside, self))))

    async def livez(self, request: Request) -> Response:
        """The process answers. Touches nothing else."""
        return json_response({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """The database answers and its schema is current; 503 with the reason until then."""
        try:
            await self.services.storage.check()
        except StorageError as error:
            return json_response({"status": "not ready", "reason": error.public}, 503)
        return json_response({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus; no texts, no ids of people."""
        if self.services.metrics is None:
            raise NotFound("This service keeps no metrics.")
        return Response(await self.services.metrics(), 200, _METRICS_TYPE)
