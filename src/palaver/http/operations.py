"""What those who run the server ask: is it alive, is it ready, what is it. Spec: product §4."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import ClassVar, Final

from palaver import __version__
from palaver.errors import NotFound, StorageError
from palaver.http import openapi
from palaver.http.describe import OBJECT, Answer, Operation, Surface, one_of, record, text
from palaver.http.dialects.base import Dialect, Problem, Route, Services
from palaver.http.dialects.errors import CODE_AND_MESSAGE
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

_WELL: Final = record({"status": one_of("ok")})
_UNWELL: Final = record({"status": one_of("not ready"), "reason": text()})


def _shows(summary: str, answer: Answer, **more: Answer) -> Operation:
    return Operation(summary, {200: answer, **{int(s[1:]): a for s, a in more.items()}}, errors=())



class Operations(Dialect):
    """The paths that belong to no dialect, with the engine's error shape."""

    name = "operations"
    prefix = ""

    def routes(self) -> tuple[Route, ...]:
        return (
            Route("GET", "/", self.page),
            Route("GET", "/livez", self.livez),
            Route("GET", "/readyz", self.readyz),
            Route("GET", "/metrics", self.metrics),
        )

    def render_error(self, request: Request, problem: Problem) -> Response:
        return json_response({"code": problem.status, "message": problem.message}, problem.status)

    async def page(self, request: Request) -> Response:
        """A short page for people."""
        loaded = self.services.bots.loaded()
        bots = "".join(f"<li>{escape(bot.name)}</li>" for bot in loaded) or "<li>none yet</li>"
        page = _PAGE.format(version=__version__, bots=bots)
        return Response(page.encode(), 200, "text/html; charset=utf-8", _PAGE_HEADERS)

    async def livez(self, request: Request) -> Response:
        """The process answers. Touches nothing else."""
        return json_response({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """The database answers and its schema is current; 503 with the reason until then."""
        try:
            await self.services.storage.check()
        except StorageError as error:
            return json_response({"status": "not ready", "reason": str(error)}, 503)
        return json_response({"status": "ok"})

    async def metrics(self, request: Request) -> Response:
        """Figures for Prometheus; no texts, no ids of people."""
        if self.services.metrics is None:
            raise NotFound("This service keeps no metrics.")
        return Response(self.services.metrics(), 200, _METRICS_TYPE)
