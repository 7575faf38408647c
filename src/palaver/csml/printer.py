"""Syntax tree → source text that parses to the same tree, positions apart.

For closures that are to be stored, for tests and tools. Comments, layout and groups that make no
difference are not in the tree, so they do not come back. Spec: csml-language §2, §3.
"""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any, Final, TypeVar

from palaver.csml import nodes
from palaver.csml.lexer import RANKS
from palaver.csml.source import NOWHERE, Position

AS_RANK: Final = 7
PATH_RANK: Final = 8
PRIMARY_RANK: Final = 9
"""Ranks of what is tighter than every operator; a number's path needs a group around it."""

_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\\\",
        '"': '\\"',
        "{": "\\{",
        "}": "\\}",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
    }
)

Node = TypeVar("Node")


def print_flow(flow: nodes.Flow) -> str:
    """The source of a whole flow."""
    return "\n".join(_declaration(declaration) for declaration in flow.declarations)


def print_expression(node: nodes.Expression, *, inner: bool = False) -> str:
    """The source of an expression; `inner` when it is to stand in an interpolation."""
    return _Printer(inner).expression(node)


def strip_positions(node: Node) -> Node:
    """The same tree with every place, digest and kept source text blanked, to be compared."""
    return _stripped(node)  # type: ignore[no-any-return]


def _stripped(value: Any) -> Any:
    if isinstance(value, Position):
        return NOWHERE
    if isinstance(value, tuple):
        return tuple(_stripped(item) for item in value)
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return value
    fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    changes = {name: _stripped(content) for name, content in fields.items()}
    if isinstance(value, nodes.Closure):
        changes["source"] = ""
    elif isinstance(value, nodes.Step):
        changes["digest"] = ""
    elif isinstance(value, nodes.Text):
        changes["last_literal"] = None
    return type(value)(**changes)


def _declaration(node: nodes.Declaration) -> str:
    printer = _Printer(False)
    match node:
        case nodes.Constant(name, value):
            return f"const {name} = {printer.expression(value)}\n"
        case nodes.Import(original, name, source):
            origin = "" if source is None else f" from {source}"
            return f"import {_alias(original, name)}{origin}\n"
        case nodes.Insert(original, name, flow):
            return f"insert {_alias(original, name)} from {flow}\n"
        case nodes.Function(name, parameters, body):
            return f"fn {name}({', '.join(parameters)}) {printer.block(body)}\n"
        case nodes.Step(name, body):
            return f"{name}:\n{printer.statements(body)}"


def _alias(original: str, name: str) -> str:
    return original if name == original else f"{original} as {name}"


def rank_of(node: nodes.Expression) -> int:
    """How tightly an expression holds together: an operator's rank, or more."""
    match node:
        case nodes.Binary(operator):
            return RANKS[operator]
        case nodes.Not():
            return RANKS["!"]
        case nodes.As():
            return AS_RANK
        case nodes.Path() | nodes.Number():
            return PATH_RANK
        case _:
            return PRIMARY_RANK


class _Printer:
    """Prints for one surrounding: a program, or an interpolation, where strings are raw."""

    def __init__(self, inner: bool) -> None:
        self.inner = inner
        self.quote = '\\"' if inner else '"'
        self.indent = ""

    # --- expressions ---------------------------------------------------------------------------

    def expression(self, node: nodes.Expression, rank: int = 0) -> str:
        """An expression, in a group when it does not hold together tightly enough."""
        text = self.bare(node)
        return text if rank_of(node) >= rank else f"({text})"

    def bare(self, node: nodes.Expression) -> str:
        """An expression without a group around it."""
        match node:
            case nodes.Number(value):
                return number(value)
            case nodes.Boolean(value):
                return "true" if value else "false"
            case nodes.Null():
                return "null"
            case nodes.Name(name):
                return name
            case nodes.Text():
                return self.text(node)
            case nodes.Array(items):
                return f"[{', '.join(map(self.expression, items))}]"
            case nodes.Object(members):
                return f"{{{', '.join(self.member(*member) for member in members)}}}"
            case nodes.Closure(parameters, body):
                return f"({', '.join(parameters)}) {self.block(body)}"
            case nodes.Call(name, arguments):
                return f"{name}({self.arguments(arguments)})"
            case nodes.Path(root, elements):
                return self.expression(root, PRIMARY_RANK) + self.path(elements)
            case nodes.As(operand, name):
                return f"{self.expression(operand, PATH_RANK)} as {name}"
            case nodes.Binary():
                return self.binary(node)
            case nodes.Not(operand):
                negated = isinstance(operand, nodes.Not)
                return "!" + self.expression(operand, RANKS["!"] + (not negated))

    def binary(self, node: nodes.Binary) -> str:
        """Operators of one rank lean to the left; comparisons do not lean at all."""
        rank = RANKS[node.operator]
        left = self.expression(node.left, rank + (rank == RANKS["=="]))
        return f"{left} {node.operator} {self.expression(node.right, rank + 1)}"

    def member(self, key: str, value: nodes.Expression) -> str:
        return f"{self.quote}{key}{self.quote}: {self.expression(value)}"

    def text(self, node: nodes.Text) -> str:
        """A string, raw inside an interpolation."""
        if self.inner:
            return self.quote + "".join(str(part) for part in node.parts) + self.quote
        parts = [
            part.translate(_ESCAPES) if isinstance(part, str) else _interpolation(part)
            for part in node.parts
        ]
        return f'"{"".join(parts)}"'

    def arguments(self, arguments: tuple[nodes.Argument, ...]) -> str:
        return ", ".join(
            ("" if one.name is None else f"{one.name} = ") + self.expression(one.value)
            for one in arguments
        )

    def path(self, elements: tuple[nodes.PathElement, ...]) -> str:
        return "".join(map(self.element, elements))

    def element(self, element: nodes.PathElement) -> str:
        match element:
            case nodes.Index(value):
                return f"[{self.expression(value)}]"
            case nodes.Member(name):
                return f".{name}"
            case nodes.MethodCall(name, arguments):
                return f".{name}({self.arguments(arguments)})"

    # --- statements ----------------------------------------------------------------------------

    def block(self, body: nodes.Block) -> str:
        """A block in braces; the closing one stands where the statement began."""
        if not body:
            return "{}"
        outer = self.indent
        self.indent += "  "
        lines = self.lines(body)
        self.indent = outer
        return f"{{\n{lines}{outer}}}"

    def statements(self, body: nodes.Block) -> str:
        """The body of a step."""
        self.indent = "  "
        return self.lines(body)

    def lines(self, body: nodes.Block) -> str:
        return "".join(f"{self.indent}{self.statement(statement)}\n" for statement in body)

    def statement(self, node: nodes.Statement) -> str:
        """One statement, without indentation."""
        match node:
            case nodes.Say(value):
                return f"say {self.expression(value)}"
            case nodes.Debug(value):
                return f"debug {self.expression(value)}"
            case nodes.Log(level, value):
                return f"log {level} {self.expression(value)}"
            case nodes.Return(value):
                return f"return {self.expression(value)}"
            case nodes.Use(value):
                return f"use {self.expression(value)}"
            case nodes.Do(value):
                return f"do {self.expression(value)}"
            case nodes.Assign():
                return self.assign(node)
            case nodes.Remember(name, value):
                return f"remember {name} = {self.expression(value)}"
            case nodes.Forget(names):
                return "forget *" if names is None else f"forget [{', '.join(names)}]"
            case nodes.Hold(secure):
                return "hold_secure" if secure else "hold"
            case nodes.Break():
                return "break"
            case nodes.Continue():
                return "continue"
            case nodes.Previous(kind):
                return f"previous {kind}"
            case nodes.Goto():
                return self.goto(node)
            case nodes.If():
                return self.if_(node)
            case nodes.Foreach(element, index, iterable, body):
                head = element if index is None else f"{element}, {index}"
                return f"foreach ({head}) in {self.expression(iterable)} {self.block(body)}"
            case nodes.While(condition, body):
                return f"while ({self.expression(condition)}) {self.block(body)}"

    def assign(self, node: nodes.Assign) -> str:
        if node.by_as:
            return f"do {self.expression(node.value, PATH_RANK)} as {node.name}"
        target = node.name + self.path(node.path)
        return f"do {target} {node.operator} {self.expression(node.value)}"

    def if_(self, node: nodes.If) -> str:
        parts = [
            f"if ({self.expression(branch.condition)}) {self.block(branch.body)}"
            for branch in node.branches
        ]
        if node.otherwise is not None:
            parts.append(self.block(node.otherwise))
        return " else ".join(parts)

    def goto(self, node: nodes.Goto) -> str:
        step, flow, bot = map(self.target, (node.step, node.flow, node.bot))
        if node.form == "step":
            return f"goto step {step}"
        if node.form == "flow":
            return f"goto flow {flow}"
        mark = "@" if flow or not step else ""
        return f"goto {step}{mark}{flow}" + (f" in {bot}" if bot else "")

    def target(self, target: nodes.Target | None) -> str:
        if target is None or isinstance(target, str):
            return target or ""
        return "$" + self.bare(target)


def _interpolation(value: nodes.Expression | None) -> str:
    return "{{ }}" if value is None else f"{{{{ {print_expression(value, inner=True)} }}}}"


def number(value: int | float) -> str:
    """A number as a literal, which has no exponent. Spec: csml-language §2.5."""
    if isinstance(value, int):
        return str(value)
    if value in (float("inf"), float("-inf")):
        return ("-" if value < 0 else "") + "9" * 400
    text = format(Decimal(repr(value)), "f")
    return text if "." in text else f"{text}.0"
