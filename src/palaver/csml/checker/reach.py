"""Where control goes: targets of `goto`, steps and code that nothing leads to, holds, loops.

Our own rules; the reference looks at none of this but circles of `goto`s (§13.2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from palaver.csml import nodes
from palaver.csml.checker.index import Body, BotIndex, FlowIndex
from palaver.csml.checker.literals import literal_truth
from palaver.csml.checker.rules import Finding, RuleTable
from palaver.csml.checker.walk import Where, walk
from palaver.csml.source import NOWHERE
from palaver.csml.stdlib.methods import BY_TYPE, MUTATING

RULES: Final = RuleTable()

START, END = "start", "end"

# --- targets -----------------------------------------------------------------------------------


@RULES.rule("unknown-flow", "error", "A `goto` to a flow that the bot does not have.")
def unknown_flow(bot: BotIndex) -> Iterator[Finding]:
    for flow, goto, _ in bot.every(nodes.Goto):
        if not isinstance(goto.flow, str) or goto.bot is not None or goto.step == END:
            continue
        if bot.find_flow(goto.flow) is None:
            hint = bot.speller.hint(goto.flow, bot.flows)
            if goto.flow in flow.steps:
                hint = f"{goto.flow!r} is a step of this flow: goto {goto.flow}"
            yield Finding(flow, goto.at, f"there is no flow {goto.flow!r}", hint)


@RULES.rule("unknown-step", "error", "A `goto` to a step that the flow does not have.")
def unknown_step(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            running = (flow, *bot.inserting(flow, body))
            for goto, _ in body.every(nodes.Goto):
                finding = _missing_step(bot, flow, running, goto)
                if finding is not None:
                    yield finding


def _missing_step(
    bot: BotIndex, flow: FlowIndex, running: Sequence[FlowIndex], goto: nodes.Goto
) -> Finding | None:
    step = goto.step
    if not isinstance(step, str) or goto.bot is not None or step in (START, END):
        return None
    if goto.flow is None:
        wanted = flow
        known = any(step in one.steps or step in one.inserts for one in running)
    else:
        there = bot.find_flow(goto.flow) if isinstance(goto.flow, str) else None
        if there is None:
            return None  # a flow that is not known, or said to be missing already
        wanted = there
        known = step in there.steps or any(step in one.inserts for one in running)
    if known:
        return None
    where = "" if wanted is flow else f" in flow {wanted.name!r}"
    reason = f"there is no step {step!r}{where}"
    return Finding(flow, goto.at, reason, _step_hint(bot, wanted, step), name=step)


def _step_hint(bot: BotIndex, wanted: FlowIndex, step: str) -> str:
    near = bot.speller.nearest(step, wanted.steps, wanted.inserts)
    if near is not None:
        return f"did you mean {near!r}?"
    other = bot.step_homes.get(step)
    if other is not None:
        return f"it is a step of another flow: goto {step}@{other}"
    if bot.find_flow(step) is not None:
        return f"there is a flow of that name: goto flow {step}"
    return f"write the step, beginning with {step}: on a line of its own"


@RULES.rule("flow-without-start", "warning", "A `goto` to a flow that has no step `start`.")
def flow_without_start(bot: BotIndex) -> Iterator[Finding]:
    for flow, goto, _ in bot.every(nodes.Goto):
        if isinstance(goto.flow, str) and goto.step in (None, START) and goto.bot is None:
            there = bot.find_flow(goto.flow)
            if there is not None and START not in there.steps:
                reason = f"flow {there.name!r} has no step 'start': the default flow begins instead"
                hint = "name one of its steps: goto step@flow" if there.steps else ""
                yield Finding(flow, goto.at, reason, hint, name=START)


@RULES.rule(
    "default-without-start", "warning", "The default flow has no step `start` to begin with."
)
def default_without_start(bot: BotIndex) -> Iterator[Finding]:
    flow = bot.flows.get(bot.default_flow)
    if flow is not None and START not in flow.steps:
        reason = "the default flow has no step 'start', so no conversation can begin in it"
        at = flow.step_list[0].at if flow.step_list else NOWHERE
        yield Finding(flow, at, reason, "write it: start: …", name=START)


@RULES.rule("unreachable-step", "warning", "No `goto` leads to a step, directly or indirectly.")
def unreachable_step(bot: BotIndex) -> Iterator[Finding]:
    reached = _Reach(bot).reached
    for flow in bot.flow_list:
        for step in flow.step_list:
            if step is flow.steps[step.name] and (flow.name, step.name) not in reached:
                reason = f"no 'goto' leads to step {step.name!r}"
                hint = "remove it, or go to it; only an event that names it can start it"
                yield Finding(flow, step.at, reason, hint, name=step.name)


class _Reach:
    """Which steps can be reached from the beginnings of all flows.

    A step that is inserted counts as reached, and a target that is known only at run time reaches
    everything it may mean. Flows without `start` are begun at any step.
    """

    def __init__(self, bot: BotIndex) -> None:
        self.bot = bot
        self.reached: set[tuple[str, str]] = set()
        """(flow, step), where it is written."""
        self._followed: set[tuple[str, str, str]] = set()
        self._waiting: list[tuple[FlowIndex, Body]] = []
        for flow in bot.flow_list:
            if START in flow.steps:
                self.reach(flow, START)
            else:
                self.reach_all(flow)
        for flow in bot.everything:
            for name in (*flow.inserts, *bot.unread.intersection(flow.steps)):
                self.reach(flow, name)
            for body in flow.bodies:
                if not body.is_step:
                    self.follow(flow, body)
        while self._waiting:
            self.follow(*self._waiting.pop())

    def reach(self, running: FlowIndex, name: str) -> None:
        """Marks a step by its name in the flow that runs."""
        home = running
        insert = running.inserts.get(name)
        if insert is not None and name not in running.steps:
            home, name = self.bot.flows.get(insert.source, running), insert.original
        body = home.step_bodies.get(name)
        if body is not None and (running.name, home.name, name) not in self._followed:
            self._followed.add((running.name, home.name, name))
            self.reached.add((home.name, name))
            self._waiting.append((running, body))

    def reach_all(self, flow: FlowIndex) -> None:
        for name in (*flow.steps, *flow.inserts):
            self.reach(flow, name)

    def follow(self, running: FlowIndex, body: Body) -> None:
        """Marks everything that the `goto`s of a body may lead to."""
        for goto, _ in body.every(nodes.Goto):
            if goto.bot is not None:
                continue
            for flow in self.flows_of(running, goto):
                if goto.step is None:
                    self.reach(flow, START)
                elif isinstance(goto.step, str):
                    self.reach(flow, goto.step)
                    if goto.step in running.inserts:
                        self.reach(running, goto.step)
                else:
                    self.reach_all(flow)

    def flows_of(self, running: FlowIndex, goto: nodes.Goto) -> Sequence[FlowIndex]:
        if goto.flow is None:
            return (running,)
        if isinstance(goto.flow, str):
            found = self.bot.find_flow(goto.flow)
            return (found,) if found is not None else ()
        return self.bot.flow_list


# --- code behind a leap ------------------------------------------------------------------------


@RULES.rule(
    "unreachable-code", "warning", "Statements behind `goto`, `return`, `break` or `continue`."
)
def unreachable_code(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            ending = _ending_statements(body)
            for block in _blocks(body):
                for statement, after in pairwise(block):
                    if id(statement) in ending:
                        what = _LEAPS.get(type(statement), "what stands before it")
                        reason = f"this is never reached: {what} leads away"
                        yield Finding(flow, after.at, reason, "remove it or move it up")
                        break


_LEAPS: Final[dict[type, str]] = {
    nodes.Goto: "the 'goto' before it",
    nodes.Return: "the 'return' before it",
    nodes.Break: "the 'break' before it",
    nodes.Continue: "the 'continue' before it",
    nodes.Previous: "the 'previous' before it",
    nodes.If: "every branch of the 'if' before it",
}


def _blocks(body: Body) -> Iterator[nodes.Block]:
    if not isinstance(body.node, nodes.Constant):
        yield body.node.body
    for node, _ in body.every(nodes.If):
        yield from _branches(node)
    for closure, _ in body.every(nodes.Closure):
        yield closure.body
    for foreach, _ in body.every(nodes.Foreach):
        yield foreach.body
    for loop, _ in body.every(nodes.While):
        yield loop.body


def _branches(node: nodes.If) -> Iterator[nodes.Block]:
    for branch in node.branches:
        yield branch.body
    yield node.otherwise or ()


def _ending_statements(body: Body) -> set[int]:
    """The ids of the statements behind which nothing of their block can run."""
    ending: set[int] = set()
    for kind in (nodes.Goto, nodes.Return, nodes.Break, nodes.Continue):
        ending.update(id(node) for node, _ in body.every(kind))
    # In a function `previous` does not leave (§6.17).
    ending.update(id(node) for node, where in body.every(nodes.Previous) if not where.in_function)
    for loop, _ in body.every(nodes.While):
        if literal_truth(loop.condition) is True and not _breaks(loop.body):
            ending.add(id(loop))
    for node, _ in reversed(body.seen[nodes.If]):  # inner ones first
        if all(any(id(inner) in ending for inner in block) for block in _branches(node)):
            ending.add(id(node))
    return ending


def _breaks(block: nodes.Block) -> bool:
    """Whether a `break` in a block leaves the loop around it."""
    for statement in block:
        if isinstance(statement, nodes.Break):
            return True
        if isinstance(statement, nodes.If) and any(map(_breaks, _branches(statement))):
            return True
    return False


# --- holds -------------------------------------------------------------------------------------


@RULES.rule(
    "unused-answer", "warning", "A `hold` with nothing behind it: the answer is thrown away."
)
def unused_answer(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            if isinstance(body.node, nodes.Step):
                for hold in _last_holds(body.node.body):
                    reason = "the conversation ends after this 'hold', whatever the answer is"
                    hint = "use the answer (event) behind it, or remove the 'hold'"
                    yield Finding(flow, hold.at, reason, hint)


def _last_holds(block: nodes.Block) -> Iterator[nodes.Hold]:
    """The holds behind which nothing of the step runs, or only a `goto end`."""
    if block and _is_end(block[-1]):
        block = block[:-1]
    if not block:
        return
    last = block[-1]
    if isinstance(last, nodes.Hold):
        yield last
    elif isinstance(last, nodes.If):
        for branch in last.branches:
            yield from _last_holds(branch.body)
        yield from _last_holds(last.otherwise or ())


def _is_end(statement: nodes.Statement) -> bool:
    return isinstance(statement, nodes.Goto) and statement.step == END and statement.bot is None


@RULES.rule("hold-in-function", "error", "A function cannot wait: `hold_secure` fails in it.")
def hold_in_function(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            if isinstance(body.node, nodes.Function):
                for statement in body.node.body:
                    if isinstance(statement, nodes.Hold) and statement.secure:
                        reason = "a function cannot wait for an answer"
                        hint = "wait in the step that calls the function"
                        yield Finding(flow, statement.at, reason, hint)


# --- loops -------------------------------------------------------------------------------------


@RULES.rule(
    "endless-loop", "warning", "A `while` that nothing in its body can end, and that never waits."
)
def endless_loop(bot: BotIndex) -> Iterator[Finding]:
    for flow, loop, where in bot.every(nodes.While):
        if _is_endless(loop, where):
            hint = "change what the condition reads, or put a 'break' or a 'hold' into the loop"
            reason = "nothing in this loop changes its condition or leaves it: it never ends"
            yield Finding(flow, loop.at, reason, hint)


def _is_endless(loop: nodes.While, where: Where) -> bool:
    if literal_truth(loop.condition) is False or _breaks(loop.body):
        return False
    read = _names_of_steady(loop.condition)
    if read is None:
        return False
    for node, inner in walk(loop.body, where._replace(in_function=False)):
        if not inner.in_function and isinstance(node, _LEAVING):
            return False
        if read & _changed_by(node):
            return False
    return True


_LEAVING: Final = (nodes.Goto, nodes.Return, nodes.Hold, nodes.Previous)

_STEADY_CALLS: Final = frozenset({"Length", "Find", "Floor", "Or", "Base64", "Hex"})
"""Built-ins that answer the same for the same arguments."""

_STEADY_METHODS: Final = (
    frozenset().union(*(table.keys() for table in BY_TYPE.values()))
    - MUTATING
    - {"one_of", "shuffle"}
)

EVERYTHING: Final = "*"


def _names_of_steady(condition: nodes.Expression) -> frozenset[str] | None:
    """The variables that a condition depends on; None when it may change by itself."""
    names = {EVERYTHING}
    for node, _ in walk((condition,), Where()):
        match node:
            case nodes.Name("_memory") | nodes.Closure() | nodes.As():
                return None
            case nodes.Name(name):
                names.add(name)
            case nodes.Call(name) if name not in _STEADY_CALLS:
                return None
            case nodes.Path(elements=elements):
                for element in elements:
                    if isinstance(element, nodes.MethodCall) and (
                        element.name not in _STEADY_METHODS
                    ):
                        return None
    return frozenset(names)


def _changed_by(node: object) -> frozenset[str]:
    """The variables that a node gives another value."""
    match node:
        case nodes.Assign(name=name) | nodes.As(name=name) | nodes.Remember(name=name):
            return frozenset({name})
        case nodes.Forget(names=names):
            return frozenset(names) if names is not None else frozenset({EVERYTHING})
        case nodes.Foreach(element=element, index=index):
            return frozenset({element, index or element})
        case nodes.Path(root=nodes.Name(name=name), elements=elements):
            if any(isinstance(e, nodes.MethodCall) and e.name in MUTATING for e in elements):
                return frozenset({name})
    return frozenset()
