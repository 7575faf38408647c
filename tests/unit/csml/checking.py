"""Talking to the checker in a line: sources in, short findings out."""

from __future__ import annotations

from palaver.csml.checker import check_bot
from palaver.csml.checker.index import Parsed
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.parser import parse_flow
from palaver.csml.source import Source


def parsed(text: str, name: str = "main") -> Parsed:
    source = Source(text, name)
    return source, parse_flow(source)


def parsed_all(flows: dict[str, str] | None) -> list[Parsed]:
    return [parsed(text, name) for name, text in (flows or {}).items()]


def checked(
    text: str,
    flows: dict[str, str] | None = None,
    *,
    modules: dict[str, str] | None = None,
    components: tuple[str, ...] = (),
    native: tuple[str, ...] = (),
    advice: bool = True,
) -> tuple[Diagnostic, ...]:
    """Everything about a bot whose default flow is `main`."""
    return check_bot(
        [parsed(text), *parsed_all(flows)],
        parsed_all(modules),
        "main",
        native=native,
        custom_components=components,
        advice=advice,
    )
