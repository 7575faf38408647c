"""Walking a body: every node in textual order, with what surrounds it.

Takes blocks and expressions of the syntax tree, yields `(node, where)` pairs. It keeps its own
stack, so no depth of nesting can exhaust Python's. It knows the tree and where the reference's
linter looks, nothing of rules. Spec: csml-language §13.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from palaver.csml import nodes


class Where(NamedTuple):
    """What surrounds a node.

    Attributes:
        in_function: inside the body of a function or closure.
        in_loop: inside a loop; a closure written inside a loop counts as inside.
        is_linted: the reference's linter looks here (§13.2).
        is_guarded: inside the arguments of `Or`, which are made for what may be missing.
        parameters: of all functions and closures around it.
    """

    in_function: bool = False
    in_loop: bool = False
    is_linted: bool = True
    is_guarded: bool = False
    parameters: frozenset[str] = frozenset()

    def unlinted(self) -> Where:
        """The same place, out of the linter's sight."""
        return self._replace(is_linted=False) if self.is_linted else self

    def looped(self) -> Where:
        """Inside a loop at this place."""
        return self if self.in_loop else self._replace(in_loop=True)

    def closed(self, parameters: Iterable[str]) -> Where:
        """Inside a function or closure at this place."""
        return self._replace(in_function=True, parameters=self.parameters.union(parameters))


Node: TypeAlias = Any
"""An expression or a statement."""

Seen: TypeAlias = tuple[Any, Where]
"""A node and what surrounds it."""


def walk(roots: Sequence[Node], where: Where) -> Iterator[Seen]:
    """All nodes of some statements or expressions and below them, parents first, in textual order.

    Elements of paths and arguments are no nodes of their own: they are found in theirs.
    """
    waiting: list[Seen] = [(root, where) for root in reversed(roots)]
    while waiting:
        seen = waiting.pop()
        yield seen
        node, where = seen
        below = _BELOW.get(node.__class__)
        if below is not None:
            children = list(below(node, where))
            children.reverse()
            waiting += children


def _under(nodes_: Iterable[Node], where: Where) -> Iterable[Seen]:
    return [(node, where) for node in nodes_]


def _text(node: nodes.Text, where: Where) -> Iterable[Seen]:
    return [(part, where) for part in node.parts if part is not None and part.__class__ is not str]


def _object(node: nodes.Object, where: Where) -> Iterable[Seen]:
    return [(value, where) for _, value in node.members]


def _closure(node: nodes.Closure, where: Where) -> Iterable[Seen]:
    return _under(node.body, where.closed(node.parameters))


def _call(node: nodes.Call, where: Where) -> Iterable[Seen]:
    if node.name == "Or":
        where = where._replace(is_guarded=True)
    return [(argument.value, where) for argument in node.arguments]


def _elements(elements: Iterable[nodes.PathElement], where: Where) -> Iterator[Seen]:
    for element in elements:
        if isinstance(element, nodes.Index):
            yield element.value, where
        elif isinstance(element, nodes.MethodCall):
            for argument in element.arguments:
                yield argument.value, where


def _path(node: nodes.Path, where: Where) -> Iterator[Seen]:
    yield node.root, where
    yield from _elements(node.elements, where)


def _assign(node: nodes.Assign, where: Where) -> Iterator[Seen]:
    yield from _elements(node.path, where)
    yield node.value, where


def _if(node: nodes.If, where: Where) -> Iterator[Seen]:
    for branch in node.branches:
        yield branch.condition, where.unlinted()
        yield from _under(branch.body, where)
    yield from _under(node.otherwise or (), where)


def _foreach(node: nodes.Foreach, where: Where) -> Iterator[Seen]:
    yield node.iterable, where.unlinted()
    yield from _under(node.body, where.looped())


def _while(node: nodes.While, where: Where) -> Iterator[Seen]:
    yield node.condition, where.unlinted()
    yield from _under(node.body, where.looped())


def _goto(node: nodes.Goto, where: Where) -> Iterator[Seen]:
    for target in (node.step, node.flow, node.bot):
        if target is not None and not isinstance(target, str):
            yield target, where.unlinted()


def _value(node: Node, where: Where) -> Iterable[Seen]:
    return [(node.value, where)]


def _hidden_value(node: Node, where: Where) -> Iterable[Seen]:
    return [(node.value, where.unlinted())]


_BELOW: Final[dict[type, Callable[[Any, Where], Iterable[Seen]]]] = {
    nodes.Text: _text,
    nodes.Array: lambda node, where: _under(node.items, where),
    nodes.Object: _object,
    nodes.Closure: _closure,
    nodes.Call: _call,
    nodes.Path: _path,
    nodes.As: lambda node, where: [(node.operand, where)],
    nodes.Binary: lambda node, where: [(node.left, where), (node.right, where)],
    nodes.Not: lambda node, where: [(node.operand, where.unlinted())],
    nodes.Say: _value,
    nodes.Debug: _hidden_value,
    nodes.Log: _hidden_value,
    nodes.Return: _hidden_value,
    nodes.Use: _value,
    nodes.Do: _value,
    nodes.Assign: _assign,
    nodes.Remember: _value,
    nodes.If: _if,
    nodes.Foreach: _foreach,
    nodes.While: _while,
    nodes.Goto: _goto,
}
