"""Sequences, branches and loops; numbering and resuming. Spec: csml-language §6.6–§6.8, §7.5.

A step's simple statements are numbered depth first from 0 (blocks take no number). A `hold` is
known by its number and by the iteration each enclosing `foreach` was in. A compiled block can do
two things:

    run(frame)               from its first statement
    resume(frame, number)    from behind the hold of that number

Resuming walks only the blocks that contain the hold: an `if` enters that branch without looking
at its condition, a `foreach` evaluates its list again and goes on at the recorded iteration, a
`while` looks at its condition first. The reference's slips around blocks that begin with a hold
or whose loop is over meanwhile are not reproduced (§7.5, Palaver).

Loops pay for their iterations, so that no program runs for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, TypeAlias

from palaver.csml import nodes
from palaver.csml.compiler.expressions import (
    compile_expression,
    raw_condition,
    swallowing,
)
from palaver.csml.compiler.statements import (
    BREAK,
    CONTINUE,
    LEAVE,
    SKIP,
    compile_statement,
)
from palaver.csml.failures import BudgetExceeded, RunError
from palaver.csml.source import Position
from palaver.csml.state import Frame, Held, Unit
from palaver.csml.values import Items, Value, share

Execute: TypeAlias = Callable[[Frame], int]
Resume: TypeAlias = Callable[[Frame, int], int]

NOT_ITERABLE: Final = (
    "foreach only accepts iterable elements like arrays and strings. "
    "Example: foreach(elem) in [1, 2, 3]"
)
NOT_IN_FUNCTION: Final = (
    "to start an action one of the following instructions is expected: [say, do, if, foreach, goto]"
)


class Code(NamedTuple):
    """A compiled statement or block and the numbers inside it: `first` … `last` (none: empty)."""

    run: Execute
    resume: Resume
    first: int
    last: int


class Numbering:
    """Hands out statement numbers; knows how many `foreach` enclose the present place."""

    def __init__(self, unit: Unit, *, in_function: bool) -> None:
        self.unit = unit
        self.next = 0
        self.depth = 0
        self.in_function = in_function


def compile_step(body: nodes.Block, unit: Unit) -> Code:
    """A step's body."""
    return _block(body, Numbering(unit, in_function=False))


def compile_function_body(body: nodes.Block, unit: Unit) -> Execute:
    """A function's or closure's body. Some statements may not stand in it directly (§6.17)."""
    numbering = Numbering(unit, in_function=True)
    statements = tuple(
        _forbidden(node)
        if isinstance(node, nodes.Hold | nodes.Break | nodes.Continue)
        else _statement(node, numbering).run
        for node in body
    )
    if len(statements) == 1:
        return statements[0]
    return _sequence(statements)


def _forbidden(node: nodes.Statement) -> Execute:
    def refuse(frame: Frame) -> int:
        raise RunError(NOT_IN_FUNCTION, node.at)

    return refuse


# --- sequences ---------------------------------------------------------------------------------


def _block(body: nodes.Block, numbering: Numbering) -> Code:
    first = numbering.next
    codes = tuple(_statement(node, numbering) for node in body)
    run = _sequence(tuple(code.run for code in codes))

    def resume(frame: Frame, number: int) -> int:
        for index, code in enumerate(codes):
            if code.first <= number <= code.last:
                signal = code.resume(frame, number)
                return signal or _run_all(frame, codes[index + 1 :])
        return run(frame)  # the number is not here: cannot happen for an unchanged step

    return Code(run, resume, first, numbering.next - 1)


def _sequence(statements: tuple[Execute, ...]) -> Execute:
    if len(statements) == 1:
        return statements[0]

    def sequence(frame: Frame) -> int:
        for statement in statements:
            signal = statement(frame)
            if signal:
                return signal
        return 0

    return sequence


def _run_all(frame: Frame, codes: Iterable[Code]) -> int:
    for code in codes:
        signal = code.run(frame)
        if signal:
            return signal
    return 0


def _statement(node: nodes.Statement, numbering: Numbering) -> Code:
    if isinstance(node, nodes.If):
        return _if(node, numbering)
    if isinstance(node, nodes.Foreach):
        return _foreach(node, numbering)
    if isinstance(node, nodes.While):
        return _while(node, numbering)
    number = numbering.next
    numbering.next += 1
    if isinstance(node, nodes.Hold) and not numbering.in_function:
        return Code(_hold(node, number), lambda frame, number: 0, number, number)
    return Code(compile_statement(node, numbering.unit), lambda frame, number: 0, number, number)


def _hold(node: nodes.Hold, number: int) -> Execute:
    """Leaves the step; the loops around add their iterations as the signal passes them."""
    secure = node.secure

    def hold(frame: Frame) -> int:
        frame.run.exit = Held(number, secure)
        frame.run.loops = []
        return LEAVE

    return hold


# --- if ----------------------------------------------------------------------------------------


def _if(node: nodes.If, numbering: Numbering) -> Code:
    first = numbering.next
    branches = tuple(
        (raw_condition(branch.condition, numbering.unit), _block(branch.body, numbering))
        for branch in node.branches
    )
    otherwise = _block(node.otherwise, numbering) if node.otherwise is not None else None
    blocks = tuple(block for _, block in branches) + ((otherwise,) if otherwise else ())

    def resume(frame: Frame, number: int) -> int:
        block = next(b for b in blocks if b.first <= number <= b.last)
        return block.resume(frame, number)

    run = _choice(branches, otherwise)
    if numbering.in_function:
        run = _absorbing_skip(run)
    return Code(run, resume, first, numbering.next - 1)


def _choice(
    branches: tuple[tuple[Callable[[Frame], bool], Code], ...], otherwise: Code | None
) -> Execute:
    else_run = otherwise.run if otherwise else _nothing
    if len(branches) == 1:
        return _one_branch(*branches[0], else_run)
    pairs = tuple((swallowing(condition), block.run) for condition, block in branches)

    def choose(frame: Frame) -> int:
        for condition, run in pairs:
            if condition(frame):
                return run(frame)
        return else_run(frame)

    return choose


def _one_branch(condition: Callable[[Frame], bool], block: Code, else_run: Execute) -> Execute:
    """The commonest `if`; catches the condition's errors itself, which saves a call."""
    then_run = block.run

    def choose(frame: Frame) -> int:
        try:
            holds = condition(frame)
        except BudgetExceeded:
            raise
        except RunError:
            holds = False
        return then_run(frame) if holds else else_run(frame)

    return choose


def _nothing(frame: Frame) -> int:
    return 0


def _absorbing_skip(run: Execute) -> Execute:
    """A `hold_secure` in a block of a function leaves just that block (§18, item 8)."""

    def absorb(frame: Frame) -> int:
        signal = run(frame)
        return 0 if signal == SKIP else signal

    return absorb


# --- loops -------------------------------------------------------------------------------------


def weight(body: nodes.Block) -> int:
    """What one iteration costs: its statements, nested branches included."""
    total = 1
    waiting: list[nodes.Statement] = list(body)
    while waiting:
        node = waiting.pop()
        total += 2
        if isinstance(node, nodes.If):
            for branch in node.branches:
                waiting.extend(branch.body)
            waiting.extend(node.otherwise or ())
    return total


def _while(node: nodes.While, numbering: Numbering) -> Code:
    first = numbering.next
    raw = raw_condition(node.condition, numbering.unit)
    condition = swallowing(raw)
    block = _block(node.body, numbering)
    body, at, cost = block.run, node.at, weight(node.body)

    def loop(frame: Frame) -> int:
        run = frame.run
        while True:
            try:
                if not raw(frame):
                    return 0
            except BudgetExceeded:
                raise
            except RunError:  # counts as false, as in `compile_condition`; here for speed
                return 0
            run.left -= cost
            if run.left < 0:
                run.refill(at)
            signal = body(frame)
            if signal:
                if signal == BREAK:
                    return 0
                if signal not in (CONTINUE, SKIP):
                    return signal

    def resume(frame: Frame, number: int) -> int:
        if not condition(frame):
            return 0
        signal = block.resume(frame, number)
        if signal == BREAK:
            return 0
        if signal and signal != CONTINUE:
            return signal
        return loop(frame)

    return Code(loop, resume, first, numbering.next - 1)


def _foreach(node: nodes.Foreach, numbering: Numbering) -> Code:
    first = numbering.next
    evaluate = compile_expression(node.iterable, numbering.unit)
    depth = numbering.depth
    numbering.depth += 1
    block = _block(node.body, numbering)
    numbering.depth -= 1
    loop = _Foreach(node.element, node.index, block, node.at, weight(node.body))

    def run(frame: Frame) -> int:
        return loop.iterate(frame, _elements(evaluate(frame)), 0, None)

    def resume(frame: Frame, number: int) -> int:
        elements = _elements(evaluate(frame))
        loops = frame.run.resumed_loops
        start = loops[depth] if depth < len(loops) else len(elements)
        return loop.iterate(frame, elements, start, number)

    return Code(run, resume, first, numbering.next - 1)


def _elements(value: Value) -> Elements:
    """What to iterate over. Raises: RunError for what has no elements.

    An array is no copy: the loop is one of its owners, so whoever changes it inside works on
    another one.
    """
    data = value.data
    if isinstance(data, Items):
        data.shared = True
        return data
    if isinstance(data, str):
        return _Characters(value)
    raise RunError(NOT_ITERABLE, value.position)


class Elements(Protocol):
    """What a `foreach` walks over."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Value: ...


class _Characters:
    """A text's characters, made into values when they are reached: there may be millions."""

    __slots__ = ("_text", "_value")

    def __init__(self, value: Value) -> None:
        self._value = value
        self._text = str(value.data)

    def __len__(self) -> int:
        return len(self._text)

    def __getitem__(self, index: int, /) -> Value:
        return Value(self._text[index], self._value.position, self._value.meta)


@dataclass(frozen=True, slots=True)
class _Foreach:
    """A loop over elements: sets the variables, runs the body, removes the variables."""

    element: str
    index: str | None
    block: Code
    at: Position
    cost: int

    def iterate(self, frame: Frame, elements: Elements, start: int, number: int | None) -> int:
        """Runs iterations from `start`; the first one behind hold `number`, if given."""
        run = frame.run
        variables = frame.locals
        element, index, body, at, cost = (
            self.element, self.index, self.block.run, self.at, self.cost,
        )  # fmt: skip
        for count in range(start, len(elements)):
            current = variables[element] = share(elements[count])
            if index is not None:
                variables[index] = Value(count, current.position)
            run.left -= cost
            if run.left < 0:
                run.refill(at)
            if number is None:
                signal = body(frame)
            else:
                signal = self.block.resume(frame, number)
                number = None
            if signal:
                if signal == BREAK:
                    break
                if signal in (CONTINUE, SKIP):
                    continue
                if signal == LEAVE and run.exit.__class__ is Held:
                    run.loops.append(count)  # innermost first
                    return signal  # the variables survive the hold
                return signal
        variables.pop(element, None)
        if index is not None:
            variables.pop(index, None)
        return 0
