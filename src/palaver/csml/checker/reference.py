"""The reference's linter: its errors, word for word, and its warnings.

Spec: csml-language §13. Of the Palaver marks there: findings come in source order and name the
importing flow, and calls of parameters and assigned variables are accepted. A closure in a
constant counts as a function too, for it can be called (§5.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from palaver.csml import nodes
from palaver.csml.checker.index import Body, BotIndex, FlowIndex
from palaver.csml.checker.rules import Check, Finding, RuleTable
from palaver.csml.checker.walk import Where
from palaver.csml.constants import interval
from palaver.csml.source import NOWHERE, Position
from palaver.csml.stdlib.library import BUILTINS
from palaver.csml.stdlib.table import Builtin

ERRORS: Final = RuleTable()
WARNINGS: Final = RuleTable()

INSIDE, IMPORTS, CALLS, CONSTANTS, INSERTS, ADVICE = range(6)
"""The order of findings (§13.1); everything that is no error comes last."""

# --- duplicates --------------------------------------------------------------------------------


class Declared(NamedTuple):
    """What a rule about duplicates needs of a declaration."""

    name: str
    at: Position
    end: Position | None


def _duplicates(kind: str, listed: Callable[[FlowIndex], Sequence[Declared]]) -> Check:
    def check(bot: BotIndex) -> Iterator[Finding]:
        for flow in bot.everything:
            first: dict[str, Position] = {}
            for name, at, end in listed(flow):
                if name in first:
                    hint = f"the first one is at line {first[name].line}: rename or remove one"
                    yield Finding(flow, at, f"duplicate {kind} {name}", hint, end)
                else:
                    first[name] = at

    ERRORS.rule(f"duplicate-{kind}", "error", f"Two {kind}s of one name in a flow.", order=INSIDE)(
        check
    )
    return check


_duplicates("step", lambda flow: [Declared(s.name, s.at, s.end) for s in flow.step_list])
_duplicates("function", lambda flow: [Declared(f.name, f.at, f.end) for f in flow.function_list])
_duplicates("import", lambda flow: [Declared(i.name, i.at, None) for i in flow.import_list])
_duplicates("insert", lambda flow: [Declared(i.name, i.at, None) for i in flow.insert_list])


@ERRORS.rule("missing-start", "error", "A flow with steps has no step `start`.", order=INSIDE)
def missing_start(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        if flow.steps and "start" not in flow.steps and flow.name != bot.default_flow:
            reason = f"missing step 'start' in flow [{flow.name}]"
            first = flow.step_list[0].name
            hint = f"a flow begins at its step 'start'; the first one here is {first!r}"
            yield Finding(flow, NOWHERE, reason, hint, name="start")


# --- statements in the wrong place -------------------------------------------------------------


@ERRORS.rule(
    "return-outside-function",
    "error",
    "`return` stands in a step; only functions return.",
    order=INSIDE,
)
def return_outside_function(bot: BotIndex) -> Iterator[Finding]:
    for flow, node, where in bot.every(nodes.Return):
        if where.is_linted and not where.in_function:
            start, end = interval(node.value)
            reason = "'return' action is not allowed outside function scope"
            yield Finding(flow, start, reason, "a step is left with 'goto', e.g. goto end", end)


class Forbidden(NamedTuple):
    """A statement that functions must not contain, and what to do instead."""

    kind: type[nodes.Goto | nodes.Remember | nodes.Say | nodes.Hold]
    word: str
    hint: str


_RETURN_IT: Final = "return the value instead, and {} in the step that calls the function"
_FORBIDDEN: Final = (
    Forbidden(nodes.Goto, "goto", _RETURN_IT.format("decide where to go")),
    Forbidden(nodes.Remember, "remember", _RETURN_IT.format("remember it")),
    Forbidden(nodes.Say, "say", _RETURN_IT.format("say it")),
    Forbidden(nodes.Hold, "hold", "wait in the step that calls the function"),
)


@ERRORS.rule(
    "not-in-function",
    "error",
    "`goto`, `remember`, `say` or `hold` in a function or closure.",
    order=INSIDE,
)
def not_in_function(bot: BotIndex) -> Iterator[Finding]:
    for kind, word, hint in _FORBIDDEN:
        reason = f"'{word}' action is not allowed in function scope"
        for flow, node, where in bot.every(kind):
            if where.is_linted and where.in_function and not _is_secure_hold(node):
                start, end = _place(node)
                yield Finding(flow, start, reason, hint, end)


def _is_secure_hold(node: nodes.Statement) -> bool:
    return isinstance(node, nodes.Hold) and node.secure


def _place(node: nodes.Statement) -> tuple[Position, Position | None]:
    match node:
        case nodes.Goto(after=after):
            return after, None
        case nodes.Remember(name_at=at):
            return at, None
        case nodes.Say(value=value):
            return interval(value)
        case _:
            return node.at, None


_OF_LOOPS: Final[tuple[tuple[type[nodes.Break | nodes.Continue], str], ...]] = (
    (nodes.Break, "break"),
    (nodes.Continue, "continue"),
)


@ERRORS.rule(
    "outside-loop", "error", "`break` or `continue` stands outside of every loop.", order=INSIDE
)
def outside_loop(bot: BotIndex) -> Iterator[Finding]:
    for kind, word in _OF_LOOPS:
        reason = f"'{word}' action is not allowed outside loop"
        for flow, node, where in bot.every(kind):
            if where.is_linted and not where.in_loop:
                hint = "it leaves or repeats a 'foreach' or 'while', and there is none around it"
                yield Finding(flow, node.at, reason, hint)


# --- names of other flows ----------------------------------------------------------------------


@ERRORS.rule(
    "import-name-taken", "error", "An import has the name of a function of the flow.", order=IMPORTS
)
def import_name_taken(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for wanted in flow.import_list:
            if wanted.name in flow.functions:
                reason = (
                    f"import failed a function named '{wanted.name}' already exist in current "
                    f"flow '{flow.name}'"
                )
                hint = f"import it under another name: import {wanted.original} as …"
                yield Finding(flow, wanted.at, reason, hint)


@ERRORS.rule(
    "import-not-found", "error", "What is imported is no function of that flow.", order=IMPORTS
)
def import_not_found(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for wanted in flow.import_list:
            name, source = wanted.original, wanted.source
            if source is None:
                if name not in bot.function_homes:
                    hint = bot.speller.hint(name, bot.function_homes)
                    reason = f"function '{name}' not found in bot"
                    yield Finding(flow, wanted.at, reason, hint, name=name)
                continue
            home = bot.source_flow(source)
            if home is None or name not in home.functions:
                shown = source.removeprefix("modules/")
                reason = f"import failed function '{name}' not found in flow '{shown}'"
                hint = _import_hint(bot, wanted, source, home)
                yield Finding(flow, wanted.at, reason, hint, name=name)


def _import_hint(bot: BotIndex, wanted: nodes.Import, source: str, home: FlowIndex | None) -> str:
    name = wanted.original
    if home is None:
        if source.startswith("modules/"):
            return bot.speller.hint(source.removeprefix("modules/"), bot.modules)
        if source in bot.modules:
            return f"{source!r} is a module: from modules/{source}"
        return bot.speller.hint(source, bot.flows)
    if name in home.steps:
        return f"{name!r} is a step there: insert {name} from {source}"
    return bot.speller.hint(name, home.functions)


@ERRORS.rule(
    "insert-name-taken",
    "error",
    "An inserted step has the name of a step of the flow.",
    order=INSERTS,
)
def insert_name_taken(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for wanted in flow.insert_list:
            if wanted.name in flow.steps:
                reason = (
                    f"insert failed, a step named '{wanted.name}' already exist in current "
                    f"flow '{flow.name}'"
                )
                hint = f"insert it under another name: insert {wanted.original} as …"
                yield Finding(flow, wanted.at, reason, hint)


@ERRORS.rule(
    "insert-not-found", "error", "What is inserted is no step of that flow.", order=INSERTS
)
def insert_not_found(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for wanted in flow.insert_list:
            name, source = wanted.original, wanted.source
            home = bot.flows.get(source)
            if home is not None and name in home.steps:
                continue
            reason = f"insert failed, step '{name}' not found in flow '{source}'"
            if home is None:
                hint = bot.speller.hint(source, bot.flows)
            elif name in home.functions:
                hint = f"{name!r} is a function there: import {name} from {source}"
            else:
                hint = bot.speller.hint(name, home.steps)
            yield Finding(flow, wanted.at, reason, hint, name=name)


# --- calls and constants -----------------------------------------------------------------------


def unknown_calls(
    bot: BotIndex,
) -> Iterator[tuple[FlowIndex, Body, nodes.Call, Where]]:
    """Calls of what is no function, component or closure, wherever they stand."""
    for flow in bot.everything:
        closures = frozenset(
            constant.name
            for constant in flow.constant_list
            if isinstance(constant.value, nodes.Closure)
        )
        for body in flow.bodies:
            for call, where in body.every(nodes.Call):
                name = call.name
                if name in bot.given_functions or name in flow.functions or name in flow.imports:
                    continue
                if name in where.parameters or name in body.bound or name in closures:
                    continue
                if name in bot.remembered_closures or (body.is_step and name in body.remembered):
                    continue
                yield flow, body, call, where


def unknown_call_finding(bot: BotIndex, flow: FlowIndex, body: Body, call: nodes.Call) -> Finding:
    """What is said about a call of nothing."""
    name = call.name
    home = bot.function_homes.get(name)
    if name in bot.custom_components:
        hint = f"components of the bot are called as Component.{name}(…)"
    elif home is not None:
        hint = f"it is a function of another flow: import {name} from {home}"
    else:
        known = (bot.given_functions, flow.functions, flow.imports, body.bound)
        hint = bot.speller.hint(name, *known, otherwise=f"declare it: fn {name}(…) {{ … }}")
    return Finding(flow, call.at, f"function [{name}] does not exist", hint, name=name)


@ERRORS.rule("unknown-function", "error", "A call of a function that does not exist.", order=CALLS)
def unknown_function(bot: BotIndex) -> Iterator[Finding]:
    for flow, body, call, where in unknown_calls(bot):
        if where.is_linted:
            yield unknown_call_finding(bot, flow, body, call)


@ERRORS.rule("constant-assigned", "error", "An assignment to a constant.", order=CONSTANTS)
def constant_assigned(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        last: dict[str, Position] = {}
        for assign, where in flow.every(nodes.Assign):
            if where.is_linted and not assign.path and assign.name in flow.constants:
                last[assign.name] = assign.name_at
        for name, at in last.items():
            reason = f"constant '{name}' is immutable and can not be changed"
            yield Finding(flow, at, reason, "use a variable of another name")


# --- warnings ----------------------------------------------------------------------------------


def _deprecated(builtin: Builtin, bot: BotIndex) -> Iterator[Finding]:
    for flow, call, _ in bot.every(nodes.Call):
        if call.name == builtin.name and builtin.name not in bot.natives:
            yield Finding(flow, call.at, builtin.deprecated)


for _builtin in BUILTINS.values():
    if _builtin.deprecated:
        WARNINGS.rule(
            f"deprecated-{_builtin.name.lower()}",
            "warning",
            f"`{_builtin.name}(…)` is an old form.",
            order=ADVICE,
        )(partial(_deprecated, _builtin))

USE_IS_DEPRECATED: Final = (
    "use will be soon a deprecated keyword please use 'do' instead. "
    "https://docs.csml.dev/memory/temporary-and-long-term-variables"
)


@WARNINGS.rule("deprecated-use", "warning", "`use … as` is an old form of `do`.", order=ADVICE)
def deprecated_use(bot: BotIndex) -> Iterator[Finding]:
    for flow, node, _ in bot.every(nodes.Use):
        yield Finding(flow, node.at, USE_IS_DEPRECATED, f"do {node.value.name} = …")


Place = tuple[str, str]
"""(flow, step)."""


@WARNINGS.rule(
    "infinite-loop",
    "warning",
    "Steps go to each other in a circle, and none of them waits for an answer.",
    order=ADVICE,
)
def infinite_loop(bot: BotIndex) -> Iterator[Finding]:
    """The first circle of literal `goto`s from the bot's beginning, depth first (§13.3).

    `path` holds the steps from the beginning to here; what lies before a level's `floor` is
    forgotten, for a `hold` clears the path.
    """
    start = (bot.default_flow, "start")
    path = {start: 0}
    visited = {start}
    levels = [_Level(start, _moves(bot, start), 0)]
    while levels:
        level = levels[-1]
        move = next(level.moves, None)
        if move is None:
            levels.pop()
            del path[level.place]
        elif move.target is None:
            level.floor = len(levels)
        elif path.get(move.target, -1) >= level.floor:
            places = [one.place for one in levels[path[move.target] :]]
            yield _circle(bot.flows[level.place[0]], places, move.at)
            return
        elif move.target not in visited:
            visited.add(move.target)
            path[move.target] = len(levels)
            levels.append(_Level(move.target, _moves(bot, move.target), level.floor))


class _Move(NamedTuple):
    at: Position
    target: Place | None
    """None for a `hold`."""


@dataclass(slots=True)
class _Level:
    place: Place
    moves: Iterator[_Move]
    floor: int


def _moves(bot: BotIndex, place: Place) -> Iterator[_Move]:
    """The holds and literal `goto`s of a step, in textual order."""
    flow = bot.flows.get(place[0])
    body = flow.step_bodies.get(place[1]) if flow is not None else None
    if body is None:
        return
    holds = [node for node, _ in body.every(nodes.Hold) if not node.secure]
    gotos = [node for node, _ in body.every(nodes.Goto) if node.bot is None and node.step != "end"]
    statements: list[nodes.Hold | nodes.Goto] = [*holds, *gotos]
    for node in sorted(statements, key=lambda statement: statement.at):
        if isinstance(node, nodes.Hold):
            yield _Move(node.at, None)
            continue
        flow_name = place[0] if node.flow is None else node.flow
        step = "start" if node.step is None else node.step
        if isinstance(flow_name, str) and isinstance(step, str):
            yield _Move(node.at, (flow_name, step))


def _circle(flow: FlowIndex, places: Sequence[Place], at: Position) -> Finding:
    lines = "".join(f" [flow] {name}, [step] {step}\n" for name, step in places)
    shown = " → ".join(f"{step}@{name}" for name, step in [*places, places[0]])
    return Finding(
        flow,
        at,
        f"infinite loop: {shown}",
        "put a 'hold' in one of these steps, or leave the circle",
        text=f"infinite loop detected between:\n{lines}",
    )
