"""Names: what is read and never set, set and never read, and what hides something else.

Our own rules. Memories may also be written over the API and locals be read by the answer of an
app, so these are warnings, and what the bot itself asks about (`Exists`, `forget`, `Or`) is let be.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from palaver.csml import nodes
from palaver.csml.checker.index import SPECIAL, Body, BotIndex, FlowIndex
from palaver.csml.checker.rules import Finding, RuleTable
from palaver.csml.checker.walk import Where
from palaver.csml.source import Position

RULES: Final = RuleTable()

# --- read and never set ------------------------------------------------------------------------


@RULES.rule("never-set", "warning", "A variable is read that nothing in the bot gives a value.")
def never_set(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            visible = _visible(bot, flow, body)
            told: set[str] = set()
            for name, at, where in _reads(body):
                if name in told or name in visible or name in SPECIAL:
                    continue
                if where.is_guarded or name in where.parameters:
                    continue
                told.add(name)
                yield _never_set(bot, flow, body, name, at)


def _visible(bot: BotIndex, flow: FlowIndex, body: Body) -> set[str]:
    """Names that may have a value in a body, parameters excepted."""
    visible = {*flow.constants, *body.bound}
    if body.is_step:
        visible |= bot.remembered
        visible |= bot.expected
        for other in bot.inserting(flow, body):
            visible.update(other.constants)
    return visible


def _reads(body: Body) -> Iterator[tuple[str, Position, Where]]:
    """Where variables are read; changing one or a part of one reads it, too."""
    for name, where in body.every(nodes.Name):
        yield name.name, name.at, where
    for assign, where in body.every(nodes.Assign):
        if assign.path or assign.operator != "=":
            yield assign.name, assign.name_at, where


def _never_set(bot: BotIndex, flow: FlowIndex, body: Body, name: str, at: Position) -> Finding:
    if not body.is_step and name in bot.remembered:
        reason = f"{name!r} is a memory, and functions do not see memories"
        return Finding(flow, at, reason, "give it to the function as an argument")
    step = next((b.name for b in flow.step_bodies.values() if name in b.bound), None)
    if body.is_step and step is not None:
        reason = f"{name!r} has no value here: it is set in step {step!r} and lost behind it"
        hint = f"to keep it, write there: remember {name} = …"
        return Finding(flow, at, reason, hint, name=name)
    reason = f"nothing sets {name!r}"
    return Finding(flow, at, reason, _name_hint(bot, flow, body, name), name=name)


def _name_hint(bot: BotIndex, flow: FlowIndex, body: Body, name: str) -> str:
    if name == "-":
        return "a number begins with a digit, and a minus stands between two values: 0 - 0.5"
    if name.startswith("-"):
        return f"a minus is a part of the name: write 0 - {name[1:]}"
    if "-" in name:
        return f"a hyphen is a part of the name; to subtract, write: {name.replace('-', ' - ', 1)}"
    if name in flow.functions or name in flow.imports or name in bot.given_functions:
        return f"{name!r} is a function: call it as {name}(…)"
    known = _visible(bot, flow, body) | SPECIAL
    if isinstance(body.node, nodes.Function):
        known.update(body.node.parameters)
    return bot.speller.hint(name, known, otherwise=f"set it: do {name} = …, or remember {name} = …")


# --- set and never read ------------------------------------------------------------------------


@RULES.rule("unused-function", "warning", "A function that nothing calls or imports.")
def unused_function(bot: BotIndex) -> Iterator[Finding]:
    imported_by_all = {
        wanted.original
        for flow in bot.everything
        for wanted in flow.import_list
        if wanted.source is None
    }
    imported = {
        (wanted.source, wanted.original) for flow in bot.everything for wanted in flow.import_list
    }
    for flow in bot.flow_list:  # modules are written for other bots, too
        called = _called(bot, flow)
        for function in flow.function_list:
            name = function.name
            if name in imported_by_all or (flow.name, name) in imported:
                continue
            if name in bot.given_functions or called.get(name, set()) - {id(function)}:
                continue
            reason = f"function {name!r} is never called"
            yield Finding(flow, function.name_at, reason, "remove it, or call it", name=name)


def _called(bot: BotIndex, flow: FlowIndex) -> dict[str, set[int]]:
    """Name → ids of the declarations that call it with this flow's functions."""
    found: dict[str, set[int]] = {}
    bodies = list(flow.bodies)
    for insert in flow.insert_list:
        home = bot.flows.get(insert.source)
        if home is not None and insert.original in home.step_bodies:
            bodies.append(home.step_bodies[insert.original])
    for body in bodies:
        for name in body.called:
            found.setdefault(name, set()).add(id(body.node))
    return found


@RULES.rule("unused-import", "warning", "An imported function that the flow never calls.")
def unused_import(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        called = _called(bot, flow)
        for wanted in flow.import_list:
            if wanted.name not in called and wanted.name not in bot.given_functions:
                reason = f"imported function {wanted.name!r} is never called in this flow"
                yield Finding(
                    flow, wanted.at, reason, "remove it from the import", name=wanted.name
                )


@RULES.rule("unused-insert", "warning", "An inserted step that the flow never goes to.")
def unused_insert(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        bodies = list(flow.bodies)
        for insert in flow.insert_list:
            home = bot.flows.get(insert.source)
            if home is not None and insert.original in home.step_bodies:
                bodies.append(home.step_bodies[insert.original])
        gotos = [goto for body in bodies for goto, _ in body.every(nodes.Goto)]
        if any(goto.step is not None and not isinstance(goto.step, str) for goto in gotos):
            continue
        targets = {goto.step for goto in gotos}
        for insert in flow.insert_list:
            if insert.name not in targets:
                reason = f"no 'goto' leads from this flow to the inserted step {insert.name!r}"
                yield Finding(
                    flow, insert.at, reason, "remove it from the insert", name=insert.name
                )


@RULES.rule("unused-constant", "warning", "A constant that is never read.")
def unused_constant(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.flow_list:
        read = set(bot.expected)
        for other in bot.everything:
            # Functions and steps that flows take from each other may use either's constants.
            if other is flow or other.name in flow.sources or flow.name in other.sources:
                read = read.union(*(body.read for body in other.bodies))
        for constant in flow.constants.values():
            if constant.name not in read:
                reason = f"constant {constant.name!r} is never used"
                yield Finding(flow, constant.at, reason, "remove it, or use it", name=constant.name)


@RULES.rule("unused-variable", "info", "A variable of a step or function that is never read.")
def unused_variable(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            if body.read & _MAY_READ_ALL:
                continue
            known = body.read | bot.remembered | bot.expected | flow.constants.keys()
            for name, at in body.bound.items():
                if name in known or name.startswith("_") or _is_loop_variable(body, name):
                    continue
                kind = "closure" if name in body.closures else "variable"
                reason = f"{kind} {name!r} is not used in this {_kind(body)}"
                hint = f"remove it; to keep it for other steps: remember {name} = …"
                if not body.is_step:
                    hint = "remove it"
                yield Finding(flow, at, reason, hint, name=name)


_MAY_READ_ALL: Final = frozenset({"_memory", "App", "Fn"})
"""Apps answer with texts whose `{{name}}` are variables of the caller (§9.1)."""


def _kind(body: Body) -> str:
    return "step" if body.is_step else "function"


def _is_loop_variable(body: Body, name: str) -> bool:
    return any(name in (loop.element, loop.index) for loop, _ in body.every(nodes.Foreach))


# --- hiding something else ---------------------------------------------------------------------


@RULES.rule("hidden-function", "warning", "A function that can never be called by its name.")
def hidden_function(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        declared = [(function.name, function.name_at) for function in flow.function_list]
        declared += [(wanted.name, wanted.at) for wanted in flow.import_list]
        for name, at in declared:
            if name in bot.given_functions:
                what = "a component" if name in bot.natives else "a built-in function"
                reason = f"this {name!r} is never called: {what} has that name and comes first"
                yield Finding(flow, at, reason, "give it another name")


@RULES.rule(
    "hidden-variable", "warning", "A variable or parameter that a constant or `event` hides."
)
def hidden_variable(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            for name, at in _bindings(body):
                if name in flow.constants:
                    reason = f"{name!r} is never seen: a constant of that name comes first"
                elif name in SPECIAL:
                    reason = f"{name!r} is never seen: the word has a meaning of its own"
                else:
                    continue
                yield Finding(flow, at, reason, "give it another name")


def _bindings(body: Body) -> Iterator[tuple[str, Position]]:
    """Names that are bound, assignments excepted: the linter reports those."""
    if isinstance(body.node, nodes.Function):
        for name in body.node.parameters:
            yield name, body.node.name_at
    for closure, _ in body.every(nodes.Closure):
        for name in closure.parameters:
            yield name, closure.at
    for loop, _ in body.every(nodes.Foreach):
        yield loop.element, loop.at
        if loop.index is not None:
            yield loop.index, loop.at
    for bound, _ in body.every(nodes.As):
        yield bound.name, bound.name_at
    for memory, _ in body.every(nodes.Remember):
        yield memory.name, memory.name_at
