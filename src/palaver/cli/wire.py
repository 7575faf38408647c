"""The connection, as uvicorn reads it, with bounds that uvicorn has none of: how large a request's
head may be, and how long a connection may stay silent before its request is whole.

Without them a caller could fill the memory with a header that never ends, and keep as many
connections as there are descriptors (product.md §7). Imported only to serve.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


def bounded(max_header_bytes: int) -> Any:
    """What `uvicorn.Config(http=…)` takes."""
    return partial(BoundedProtocol, max_header_bytes=max_header_bytes)


class BoundedProtocol(HttpToolsProtocol):
    """One connection. Args: max_header_bytes: of request line and headers together."""

    def __init__(self, *args: Any, max_header_bytes: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_header_bytes = max_header_bytes
        self._is_reading = False
        self._is_in_head = False
        self._head_bytes = 0
        self._refusal: tuple[int, str, str] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._is_in_head or not self._is_reading:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._is_in_head and self._head_bytes > self._max_header_bytes:
            self._refuse_head()
            self.send_400_response("")
        elif self._is_reading:
            self._wait()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_reading = self._is_in_head = True

    def on_headers_complete(self) -> None:
        # Precisely only where it may matter: what came in one piece may hold a body, too.
        if self._head_bytes > self._max_header_bytes:
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > self._max_header_bytes:
                self._refuse_head()
                raise httptools.HttpParserError("the head is too large")
        self._is_in_head = False
        self._head_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_reading = False
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        if self.pipeline:  # it is we who keep the caller waiting, and read nothing meanwhile
            self._wait()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """What cannot be read is refused in JSON, as everything else, and the connection ends."""
        if self.transport.is_closing():
            return
        status, phrase, message = self._refusal or (400, "Bad Request", "This is no HTTP request.")
        body = json.dumps({"code": status, "message": message}).encode()
        head = (
            f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json; charset=utf-8\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _refuse_head(self) -> None:
        message = (
            f"The request line and headers are larger than {self._max_header_bytes} bytes "
            "(setting max_header_bytes)."
        )
        self._refusal = (431, "Request Header Fields Too Large", message)

    def _wait(self) -> None:
        """A caller that stays silent for `keep_alive_s` in the middle of a request is left."""
        self._unset_keepalive_if_required()
        if not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
