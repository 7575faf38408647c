"""The dialects by name, imported when they are asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from palaver.http.dialects.base import Dialect, Services

CLASSES: Final = {
    "engine": "palaver.http.dialects.engine_rest:EngineRest",
    "studio": "palaver.http.dialects.studio:Studio",
    "chatbot": "palaver.http.dialects.chatbot:Chatbot",
    "clustaar": "palaver.http.dialects.clustaar:Clustaar",
}
"""`module:class` of each; the engine first, for its error shape is the default."""


def make_dialect(name: str, services: Services) -> Dialect:
    """Imports the dialect and makes it. Args: name: one of `CLASSES`."""
    module, _, attribute = CLASSES[name].partition(":")
    dialect: Dialect = getattr(import_module(module), attribute)(services)
    return dialect
