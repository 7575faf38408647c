"""From files of CSML to findings with paths: the one place where folders meet the language.

Both parser and checker report everything; flows are checked together only when all of them parse
(csml-language §13).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from palaver.csml.checker import ADVICE_CODES, check_bot
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.parser import parse_flow_all
from palaver.csml.source import Source
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
    trees = {}
    for path, source in [*flows.items(), *modules.items()]:
        tree, diagnostics = parse_flow_all(source)
        found += [problem_from_diagnostic(path, source, d) for d in diagnostics]
        if tree is not None:
            trees[path] = tree
    if found:
        return tuple(found)
    sources = {source.name: (path, source) for path, source in [*modules.items(), *flows.items()]}
    for diagnostic in check_bot(
        [(source, trees[path]) for path, source in flows.items()],
        [(source, trees[path]) for path, source in modules.items()],
        default_flow,
        native=native,
        custom_components=components,
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
