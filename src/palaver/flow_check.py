"""From files of CSML to findings with paths: the one place where folders meet the language.

Both parser and checker report everything. The reference's linter runs only when all flows parse
(csml-language §13); here whatever could be read is checked, too, so that one stray word hides
nothing, except what may be explained by the text that could not be read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from palaver.csml.checker import ADVICE_CODES, check_bot
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.nodes import Flow
from palaver.csml.parser import parse_flow_parts
from palaver.csml.source import Source
from palaver.csml.words import WORD
from palaver.problems import Problem


def check_flows(
    flows: Mapping[Path, Source],
    modules: Mapping[Path, Source],
    default_flow: str,
    components: Collection[str] = (),
    native: Collection[str] = (),
) -> tuple[Problem, ...]:
    """Everything the language has to say about a bot's texts, file by file.

    Args:
        components: names of the bot's own components, called as `Component.name(…)`.
        native: names of components of the server, called by their bare name.
    """
    found: list[Problem] = []
    trees: dict[Path, Flow] = {}
    unread: set[str] = set()
    for path, source in [*flows.items(), *modules.items()]:
        trees[path], rest, diagnostics = parse_flow_parts(source)
        unread.update(WORD.findall(rest))
        found += [problem_from_diagnostic(path, source, d) for d in diagnostics]
    sources = {source.name: (path, source) for path, source in [*modules.items(), *flows.items()]}
    for diagnostic in check_bot(
        [(source, trees[path]) for path, source in flows.items()],
        [(source, trees[path]) for path, source in modules.items()],
        default_flow,
        native=native,
        custom_components=components,
        unread=unread,
    ):
        path, source = sources.get(diagnostic.flow) or next(iter(sources.values()))
        found.append(problem_from_diagnostic(path, source, diagnostic))
    return tuple(found)


def problem_from_diagnostic(path: Path, source: Source, found: Diagnostic) -> Problem:
    """A finding of the language as one in a file: byte columns become character columns."""
    line, column = found.start
    shown = source.line(line).rstrip("\r") if 0 < line <= len(source.line_starts()) else ""
    if column > 1 and not shown.isascii():
        before = shown.encode("utf-8", "surrogatepass")[: column - 1]
        column = len(before.decode("utf-8", "ignore")) + 1
    return Problem(
        str(path),
        line,
        column,
        found.reason.strip(),
        found.code,
        found.severity,
        shown,
        found.hint,
        is_advice=found.code in ADVICE_CODES,
    )
