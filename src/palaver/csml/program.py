"""A compiled bot: flows by name, steps and functions compiled when they are first run.

Immutable for its users and shared by all turns. Building one parses and checks every flow
(parsed flows are cached by their text); a turn then costs what it runs, not what the bot has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeVar

from palaver.csml import nodes
from palaver.csml.alphabet import ascii_lower
from palaver.csml.compiler.blocks import Code, compile_function_body, compile_step
from palaver.csml.compiler.calls import NOTHING, TOO_FEW, ClosureCode, FunctionCode, code_of
from palaver.csml.compiler.expressions import Evaluate, compile_expression
from palaver.csml.constants import constant_value
from palaver.csml.diagnostics import SourceError
from palaver.csml.failures import BudgetExceeded, RunError, SoftError
from palaver.csml.kept import Kept
from palaver.csml.parser import parse_closure, parse_flow, parse_text
from palaver.csml.source import BEGINNING, Position, Source
from palaver.csml.state import Frame, Run
from palaver.csml.stdlib.components import NATIVE
from palaver.csml.values import ClosureData, Value, share
from palaver.types import Json, JsonObject

COMPILER_VERSION: Final = 1
"""Goes into every cache key; raise it when compiled programs change their meaning."""


class FlowText(NamedTuple):
    """One flow as the program is built from it."""

    id: str
    name: str
    content: str


PARSED: Final[Kept[tuple[str, str], nodes.Flow]] = Kept(4096)
"""Trees by text and name, so that of a changed bot only the changed flows are parsed."""


def parse_cached(content: str, name: str) -> nodes.Flow:
    """The parsed flow. Raises: SourceError."""
    tree = PARSED.get((content, name))
    if tree is None:
        tree = parse_flow(Source(content, name))
        PARSED.put((content, name), tree, len(content))
    return tree


class FlowUnit:
    """One flow (or module) of a program: its names, and its code as far as it has been run."""

    def __init__(self, program: Program, flow_id: str, tree: nodes.Flow) -> None:
        self.program = program
        self.id = flow_id
        self.name = tree.name
        declarations = tree.declarations
        self.constant_nodes = {d.name: d for d in declarations if isinstance(d, nodes.Constant)}
        self.function_nodes = _first(d for d in declarations if isinstance(d, nodes.Function))
        self.step_nodes = _first(d for d in declarations if isinstance(d, nodes.Step))
        self.imports = _first(d for d in declarations if isinstance(d, nodes.Import))
        self.inserts = _first(d for d in declarations if isinstance(d, nodes.Insert))
        self._functions: dict[str, FunctionCode] = {}
        self._steps: dict[int, Code] = {}
        self._constants: dict[str, Value] | None = None

    @property
    def constants(self) -> dict[str, Value]:
        """Constant → value; evaluated once, shared for ever."""
        if self._constants is None:
            self._constants = {
                name: share(constant_value(node.value, self._closure))
                for name, node in self.constant_nodes.items()
            }
        return self._constants

    def _closure(self, node: nodes.Closure) -> ClosureData:
        """A constant's closure: it sees this flow's names, wherever it is called."""
        return ClosureData(node, {}, ClosureCode(node, self))

    def function(self, name: str) -> FunctionCode:
        """A function of this flow, or the imported one. Raises: KeyError for neither."""
        code = self._functions.get(name)
        if code is None:
            code = self._functions[name] = self._find_function(name)
        return code

    def _find_function(self, name: str) -> FunctionCode:
        node = self.function_nodes.get(name)
        if node is not None:
            return FunctionCode(node, self)
        wanted = self.imports[name]
        for unit in self.program.sources_of(wanted):
            if wanted.original in unit.function_nodes:
                return unit.function(wanted.original)
        raise KeyError(name)

    def expression(self, node: nodes.Expression, *, quiet: bool = False) -> Evaluate:
        """Compiles an expression that stands in this flow."""
        return compile_expression(node, self, quiet=quiet)

    def function_body(self, body: nodes.Block) -> Callable[[Frame], int]:
        """Compiles the body of a function or closure that stands in this flow."""
        return compile_function_body(body, self)

    def code(self, step: nodes.Step) -> Code:
        """A step's code as it runs in this flow (also a step inserted from another one)."""
        code = self._steps.get(id(step))
        if code is None:
            code = self._steps[id(step)] = compile_step(step.body, self)
        return code


D = TypeVar("D", nodes.Function, nodes.Step, nodes.Import, nodes.Insert)


def _first(declarations: Iterable[D]) -> dict[str, D]:
    """By name; of several of one name the first counts (the linter refuses them)."""
    found: dict[str, D] = {}
    for declaration in declarations:
        found.setdefault(declaration.name, declaration)
    return found


class Program:
    """All flows of a bot, ready to run.

    Args:
        flows, modules: sources; modules are named without their prefix.
        default_flow: an id or a name.
        custom_components: name → descriptor, called as `Component.name(…)`.
        native_components: further components called by their bare name.

    Attributes:
        parsed_flows, parsed_modules: texts and trees, as the checker takes them.

    Raises:
        SourceError: a flow does not parse.
    """

    def __init__(
        self,
        flows: Iterable[FlowText],
        default_flow: str,
        *,
        modules: Iterable[FlowText] = (),
        custom_components: JsonObject | None = None,
        native_components: JsonObject | None = None,
    ) -> None:
        self.default_flow = default_flow
        self.custom_components: Mapping[str, Json] = custom_components or {}
        self.native_components: Mapping[str, Json] = {**NATIVE, **(native_components or {})}
        problems: list[SourceError] = []
        self.parsed_flows: list[tuple[Source, nodes.Flow]] = []
        self.parsed_modules: list[tuple[Source, nodes.Flow]] = []
        self.flows = self._units(flows, self.parsed_flows, problems)
        self.modules = self._units(modules, self.parsed_modules, problems)
        if problems:
            raise SourceError(tuple(d for error in problems for d in error.diagnostics))
        self._by_id: dict[str, FlowUnit] = {}
        self._by_reference: dict[str, FlowUnit] = {}
        for unit in self.flows.values():
            self._by_id.setdefault(unit.id, unit)
            for reference in (unit.id, unit.name):
                self._by_reference.setdefault(ascii_lower(reference), unit)

    def _units(
        self,
        flows: Iterable[FlowText],
        parsed: list[tuple[Source, nodes.Flow]],
        problems: list[SourceError],
    ) -> dict[str, FlowUnit]:
        units = {}
        for flow in flows:
            try:
                tree = parse_cached(flow.content, flow.name)
            except SourceError as error:
                problems.append(error)
            else:
                parsed.append((Source(flow.content, flow.name), tree))
                units[flow.name] = FlowUnit(self, flow.id, tree)
        return units

    def find_flow(self, reference: str) -> FlowUnit | None:
        """By exact name or id, else as `first_flow` does (engine §4.5, Palaver)."""
        return self.flows.get(reference) or self._by_id.get(reference) or self.first_flow(reference)

    def first_flow(self, reference: str) -> FlowUnit | None:
        """The first flow with that id or name, ASCII letters in either case (engine §4.1)."""
        return self._by_reference.get(ascii_lower(reference))

    def sources_of(self, wanted: nodes.Import) -> Iterable[FlowUnit]:
        """Where an imported function may come from (§6.15)."""
        source = wanted.source
        if source is None:
            return self.flows.values()
        if source.startswith("modules/"):
            unit = self.modules.get(source.removeprefix("modules/"))
        else:
            unit = self.flows.get(source)
        return (unit,) if unit is not None else ()

    # --- what running code asks of its program ---------------------------------------------

    def closure_scope(self, run: Run, closure: ClosureData | None) -> Frame:
        """A scope for the calls of one `map`, `filter` or `reduce` (§5.4)."""
        unit = code_of(closure, run).unit if closure is not None else run.flow
        captured = dict(closure.captured) if closure is not None else {}
        return Frame(run, unit, NOTHING, captured, in_function=True, rebound=())

    def call_closure(
        self, run: Run, closure: ClosureData, values: list[Value], at: Position, scope: Frame | None
    ) -> Value:
        """Calls a closure with positional values. Raises: SoftError when there are too few."""
        parameters = closure.node.parameters
        if len(parameters) > len(values):
            raise SoftError(TOO_FEW)
        frame = scope if scope is not None else self.closure_scope(run, closure)
        frame.rebound = parameters
        frame.locals.update(zip(parameters, values, strict=False))
        return code_of(closure, run).run(frame, at)

    def interpolate(self, frame: Frame, text: str) -> Value:
        """A text as a CSML string in a scope (§9.1). Raises: SoftError when it cannot be."""
        try:
            node = parse_text(text)
            return compile_expression(node, frame.unit)(frame)
        except SourceError as error:
            found = error.diagnostics[0]
            raise SoftError(found.reason, found.start) from None
        except BudgetExceeded:
            raise
        except RunError as error:
            raise SoftError(error.text, error.at) from None


@lru_cache(maxsize=1024)
def _closure_node(source: str, at: Position) -> nodes.Closure:
    return parse_closure(source, "memory", at)


def restore_closure(source: str, at: Position = BEGINNING) -> ClosureData:
    """A closure from its stored source and its place in the flow that it stood in.

    Raises:
        ValueError: it no longer parses.
    """
    try:
        return ClosureData(_closure_node(source, at), {})
    except SourceError as error:
        raise ValueError(str(error)) from error
