"""What a bot consists of, prepared for the rules: its flows, their bodies, who mentions what.

Takes parsed flows and modules; every body is walked once, and its nodes are kept by their type.
What only some rules need is computed when it is first asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Final, TypeAlias, TypeVar

from palaver.csml import nodes
from palaver.csml.alphabet import ascii_lower
from palaver.csml.checker.spelling import Speller
from palaver.csml.checker.walk import Seen, Where, walk
from palaver.csml.source import Position, Source
from palaver.csml.stdlib.components import NATIVE
from palaver.csml.stdlib.library import BUILTINS

N = TypeVar("N")

Parsed: TypeAlias = tuple[Source, nodes.Flow]
"""A text and its tree."""

SPECIAL: Final = frozenset({"event", "_metadata", "_memory", "_env", "Component"})
"""Names that are never variables (§5.1)."""


class Body:
    """A step, a function or a constant with everything inside it.

    Attributes:
        node: the declaration.
        seen: its nodes by type, in textual order.
    """

    def __init__(self, node: nodes.Step | nodes.Function | nodes.Constant) -> None:
        self.node = node
        self.name = node.name
        self.seen: defaultdict[type, list[Seen]] = defaultdict(list)
        for pair in _walk_declaration(node):
            self.seen[pair[0].__class__].append(pair)

    @property
    def is_step(self) -> bool:
        return isinstance(self.node, nodes.Step)

    def every(self, kind: type[N]) -> Iterator[tuple[N, Where]]:
        """The nodes of a type with what surrounds them."""
        yield from self.seen[kind]

    @cached_property
    def bound(self) -> dict[str, Position]:
        """Variables that get a value here → where first. Memories are not among them."""
        places = [(node.name, node.name_at) for node, _ in self.every(nodes.As)]
        for assign, _ in self.every(nodes.Assign):
            if not assign.path and assign.operator == "=":
                places.append((assign.name, assign.name_at))
        for loop, _ in self.every(nodes.Foreach):
            places.append((loop.element, loop.at))
            if loop.index is not None:
                places.append((loop.index, loop.at))
        places.sort(key=lambda place: place[1])
        found: dict[str, Position] = {}
        for name, at in places:
            found.setdefault(name, at)
        return found

    @cached_property
    def remembered(self) -> frozenset[str]:
        """Names of memories written here."""
        return frozenset(node.name for node, _ in self.every(nodes.Remember))

    @cached_property
    def closures(self) -> frozenset[str]:
        """Variables that are given a closure as it is written."""
        found = {a.name for a, _ in self.every(nodes.Assign) if _is_closure(a.value) and not a.path}
        found.update(a.name for a, _ in self.every(nodes.As) if _is_closure(a.operand))
        return frozenset(found)

    @cached_property
    def read(self) -> frozenset[str]:
        """Names that are read here; a call and a change of a part count as reading."""
        found = {name.name for name, _ in self.every(nodes.Name)}
        found.update(call.name for call, _ in self.every(nodes.Call))
        for assign, _ in self.every(nodes.Assign):
            if assign.path or assign.operator != "=":
                found.add(assign.name)
        return frozenset(found)

    @cached_property
    def called(self) -> frozenset[str]:
        """Names that are called here."""
        return frozenset(call.name for call, _ in self.every(nodes.Call))


def _walk_declaration(node: nodes.Step | nodes.Function | nodes.Constant) -> Iterator[Seen]:
    if isinstance(node, nodes.Constant):
        return walk((node.value,), Where(is_linted=False))
    where = Where()
    return walk(
        node.body, where.closed(node.parameters) if isinstance(node, nodes.Function) else where
    )


def _is_closure(value: nodes.Expression) -> bool:
    return isinstance(value, nodes.Closure)


class FlowIndex:
    """One flow or module: its declarations by kind, in source order, and by name.

    Of several declarations of a name the first counts.
    """

    def __init__(self, source: Source, tree: nodes.Flow, number: int) -> None:
        self.source = source
        self.tree = tree
        self.name = source.name
        self.number = number
        self.bodies = [
            Body(node)
            for node in tree.declarations
            if isinstance(node, nodes.Step | nodes.Function | nodes.Constant)
        ]
        self.step_list = self._declared(nodes.Step)
        self.function_list = self._declared(nodes.Function)
        self.constant_list = self._declared(nodes.Constant)
        self.import_list = self._declared(nodes.Import)
        self.insert_list = self._declared(nodes.Insert)
        self.steps = {step.name: step for step in reversed(self.step_list)}
        self.functions = {function.name: function for function in reversed(self.function_list)}
        self.constants = {constant.name: constant for constant in self.constant_list}
        self.imports = {wanted.name: wanted for wanted in reversed(self.import_list)}
        self.inserts = {wanted.name: wanted for wanted in reversed(self.insert_list)}

    def _declared(self, kind: type[N]) -> list[N]:
        return [node for node in self.tree.declarations if isinstance(node, kind)]

    def every(self, kind: type[N]) -> Iterator[tuple[N, Where]]:
        """The nodes of a type in all bodies, with what surrounds them."""
        for body in self.bodies:
            yield from body.every(kind)

    @cached_property
    def step_bodies(self) -> dict[str, Body]:
        """By name; of several the first."""
        return {body.name: body for body in reversed(self.bodies) if body.is_step}

    @cached_property
    def sources(self) -> frozenset[str]:
        """Names of the flows that functions and steps are taken from."""
        named = {wanted.source for wanted in self.import_list if wanted.source is not None}
        return frozenset(named | {wanted.source for wanted in self.insert_list})


class BotIndex:
    """A whole bot.

    Args:
        native: names of further components that are called by their bare name.
        custom_components: names of those called as `Component.name(…)`.
        unread: words of the text that could not be read, and so may be names of anything.
    """

    def __init__(
        self,
        flows: Sequence[Parsed],
        modules: Sequence[Parsed],
        default_flow: str,
        *,
        native: Collection[str] = (),
        custom_components: Collection[str] = (),
        unread: Collection[str] = (),
    ) -> None:
        self.flow_list = [FlowIndex(*parsed, number) for number, parsed in enumerate(flows)]
        self.module_list = [
            FlowIndex(*parsed, number) for number, parsed in enumerate(modules, len(flows))
        ]
        self.everything = [*self.flow_list, *self.module_list]
        self.flows = {flow.name: flow for flow in reversed(self.flow_list)}
        self.modules = {flow.name: flow for flow in reversed(self.module_list)}
        self.default_flow = default_flow
        self.added_natives = frozenset(native)
        self.natives = self.added_natives.union(NATIVE)
        self.given_functions = self.natives.union(BUILTINS, ("Or", "Component"))
        self.custom_components = frozenset(custom_components)
        self.unread = frozenset(unread)
        self.speller = Speller()

    def every(self, kind: type[N]) -> Iterator[tuple[FlowIndex, N, Where]]:
        """The nodes of a type in all flows and modules."""
        for flow in self.everything:
            for node, where in flow.every(kind):
                yield flow, node, where

    def find_flow(self, name: str) -> FlowIndex | None:
        """As a `goto` finds it: by exact name, else ignoring case."""
        return self.flows.get(name) or self._by_lower_name.get(ascii_lower(name))

    @cached_property
    def _by_lower_name(self) -> dict[str, FlowIndex]:
        return {ascii_lower(flow.name): flow for flow in reversed(self.flow_list)}

    def source_flow(self, source: str) -> FlowIndex | None:
        """What `from source` means in an `import`."""
        if source.startswith("modules/"):
            return self.modules.get(source.removeprefix("modules/"))
        return self.flows.get(source)

    @cached_property
    def function_homes(self) -> dict[str, str]:
        """Function → the first flow that has it."""
        return {name: flow.name for flow in reversed(self.flow_list) for name in flow.functions}

    @cached_property
    def step_homes(self) -> dict[str, str]:
        """Step → the first flow that has it."""
        return {name: flow.name for flow in reversed(self.flow_list) for name in flow.steps}

    @cached_property
    def remembered(self) -> frozenset[str]:
        """Every memory that some part of the bot writes."""
        return _union(body.remembered for flow in self.everything for body in flow.bodies)

    @cached_property
    def remembered_closures(self) -> frozenset[str]:
        """Memories that are given a closure as it is written."""
        return frozenset(
            node.name for _, node, _ in self.every(nodes.Remember) if _is_closure(node.value)
        )

    @cached_property
    def expected(self) -> frozenset[str]:
        """Names that the bot forgets or asks `Exists` about: others may set them."""
        found: set[str] = set()
        for _, forget, _ in self.every(nodes.Forget):
            found.update(forget.names or ())
        for _, call, _ in self.every(nodes.Call):
            if call.name == "Exists":
                values = (argument.value for argument in call.arguments)
                found.update(
                    part
                    for value in values
                    if isinstance(value, nodes.Text)
                    for part in value.parts
                    if isinstance(part, str)
                )
        return frozenset(found)

    @cached_property
    def inserted(self) -> dict[tuple[str, str], list[FlowIndex]]:
        """(flow, step) → the flows that insert it."""
        found: dict[tuple[str, str], list[FlowIndex]] = {}
        for flow in self.everything:
            for insert in flow.insert_list:
                found.setdefault((insert.source, insert.original), []).append(flow)
        return found

    def inserting(self, flow: FlowIndex, body: Body) -> Sequence[FlowIndex]:
        """The flows in which a body runs besides its own."""
        return self.inserted.get((flow.name, body.name), ()) if body.is_step else ()


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
