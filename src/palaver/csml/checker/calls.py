"""Calls: names of methods and components, and whether the arguments fit what is called.

Our own rules. Bounds come from the tables of the standard library; where several types have a
method of a name, a call is wrong only if it suits none of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from palaver.csml import nodes
from palaver.csml.checker.index import BotIndex, FlowIndex
from palaver.csml.checker.reference import unknown_call_finding, unknown_calls
from palaver.csml.checker.rules import Finding, RuleTable
from palaver.csml.stdlib.components import NATIVE
from palaver.csml.stdlib.events import EVENT
from palaver.csml.stdlib.library import BUILTINS
from palaver.csml.stdlib.methods import BY_ROOT, BY_TYPE, NAMES
from palaver.csml.stdlib.table import ANY, Method

RULES: Final = RuleTable()

Arguments = tuple[nodes.Argument, ...]

# --- functions, built-ins, components ----------------------------------------------------------


@RULES.rule(
    "unknown-call",
    "warning",
    "A call of a function that does not exist, in a condition or the like.",
)
def unknown_call(bot: BotIndex) -> Iterator[Finding]:
    for flow, body, call, where in unknown_calls(bot):
        if not where.is_linted:
            yield unknown_call_finding(bot, flow, body, call)


@RULES.rule("argument-order", "error", "Positional arguments before and behind a named one.")
def argument_order(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, _ in bot.every(nodes.Call):
        positional, has_named = 0, False
        for argument in call.arguments:
            if argument.name is not None:
                has_named = True
            elif has_named and positional:
                reason = f"{call.name}() gets arguments without a name on both sides of a named one"
                hint = "put those without a name first, or name them all: name = value"
                yield Finding(flow, argument.value.at, reason, hint)
                break
            else:
                positional += 1


@RULES.rule("missing-argument", "error", "A call of a function with fewer arguments than it has.")
def missing_argument(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, function in _function_calls(bot):
        missing = [
            parameter
            for number, parameter in enumerate(function.parameters)
            if not _is_given(call.arguments, parameter, number)
        ]
        if missing:
            reason = f"{call.name}() needs {_list(missing)}"
            yield Finding(flow, call.at, reason, _signature(call.name, function))


@RULES.rule("extra-argument", "warning", "An argument that a function has no parameter for.")
def extra_argument(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, function in _function_calls(bot):
        for number, argument in enumerate(call.arguments):
            takes = len(function.parameters)
            if argument.name is None:
                unknown = number >= takes
                reason = f"{call.name}() takes {_range(takes, takes)}, not {len(call.arguments)}"
            else:
                unknown = argument.name not in function.parameters
                reason = f"{call.name}() has no parameter {argument.name!r}"
            if unknown:
                yield Finding(flow, argument.value.at, reason, _signature(call.name, function))
                break


def _function_calls(bot: BotIndex) -> Iterator[tuple[FlowIndex, nodes.Call, nodes.Function]]:
    """Calls of the bot's own functions, also imported ones, with what they call."""
    for flow, call, _ in bot.every(nodes.Call):
        if call.name in bot.given_functions:
            continue
        function = flow.functions.get(call.name)
        if function is None:
            function = _imported(bot, flow.imports.get(call.name))
        if function is not None:
            yield flow, call, function


def _imported(bot: BotIndex, wanted: nodes.Import | None) -> nodes.Function | None:
    if wanted is None:
        return None
    if wanted.source is None:
        found = (flow.functions.get(wanted.original) for flow in bot.flow_list)
        return next((function for function in found if function is not None), None)
    home = bot.source_flow(wanted.source)
    return home.functions.get(wanted.original) if home is not None else None


def _is_given(arguments: Arguments, parameter: str, number: int) -> bool:
    """Whether a parameter gets a value: by its name, or by its number in the whole list (§5.3)."""
    if any(argument.name == parameter for argument in arguments):
        return True
    return number < len(arguments) and arguments[number].name is None


def _signature(name: str, function: nodes.Function) -> str:
    return f"it is declared at line {function.at.line}: {name}({', '.join(function.parameters)})"


@RULES.rule("builtin-arguments", "warning", "A built-in function with too few or many arguments.")
def builtin_arguments(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, _ in bot.every(nodes.Call):
        builtin = BUILTINS.get(call.name)
        if builtin is None or call.name in bot.natives:
            continue
        given = len(call.arguments)
        if not builtin.low <= given <= builtin.high:
            takes = _range(builtin.low, builtin.high)
            yield Finding(flow, call.at, f"{call.name}() takes {takes}, not {given}")


@RULES.rule(
    "component-arguments", "warning", "A component without what it needs, or with too much."
)
def component_arguments(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, _ in bot.every(nodes.Call):
        if call.name not in NATIVE or call.name in bot.added_natives:
            continue
        parameters = _component_parameters(call.name)
        names = [name for name, _ in parameters]
        shape = f"{call.name}({', '.join(names)})"
        missing = [
            name
            for number, (name, required) in enumerate(parameters)
            if required and not _is_given(call.arguments, name, number)
        ]
        if missing:
            yield Finding(flow, call.at, f"{call.name}() needs {_list(missing)}", shape)
        elif len(call.arguments) > len(names) and all(a.name is None for a in call.arguments):
            takes = _range(0, len(names))
            reason = f"{call.name}() takes {takes}, not {len(call.arguments)}"
            yield Finding(flow, call.at, reason, shape)


def _component_parameters(name: str) -> Sequence[tuple[str, bool]]:
    """(parameter, whether it is required)."""
    descriptor: Any = NATIVE[name]
    return [
        (parameter, bool(rule.get("required")))
        for entry in descriptor["params"]
        for parameter, rule in entry.items()
    ]


@RULES.rule("unknown-component", "error", "A `Component.Name` that the bot does not have.")
def unknown_component(bot: BotIndex) -> Iterator[Finding]:
    for flow in bot.everything:
        for body in flow.bodies:
            roots: set[int] = set()
            for path, _ in body.every(nodes.Path):
                if isinstance(path.root, nodes.Name) and path.root.name == "Component":
                    roots.add(id(path.root))
                    finding = _component(bot, flow, path)
                    if finding is not None:
                        yield finding
            for name, _ in body.every(nodes.Name):
                if name.name == "Component" and id(name) not in roots:
                    reason = "'Component' alone is no value"
                    yield Finding(flow, name.at, reason, "call a component: Component.Name(…)")


def _component(bot: BotIndex, flow: FlowIndex, path: nodes.Path) -> Finding | None:
    first = path.elements[0]
    if isinstance(first, nodes.MethodCall):
        if first.name in bot.custom_components:
            return None
        hint = f"{first.name}(…) is called without 'Component.'" if first.name in NATIVE else ""
        hint = hint or bot.speller.hint(first.name, bot.custom_components)
        return Finding(flow, first.at, f"the bot has no component {first.name!r}", hint)
    name = first.name if isinstance(first, nodes.Member) else "Name"
    return Finding(flow, path.at, "a component must be called", f"Component.{name}(…)")


# --- methods -----------------------------------------------------------------------------------

_TABLES: Final = (*BY_TYPE.values(), *BY_ROOT.values())


def _methods(name: str, *, of_event: bool) -> list[Method]:
    """Every type's method of a name; those of events only behind `event`."""
    found = [table[name] for table in _TABLES if name in table]
    if name in EVENT and (of_event or not found):
        found.append(EVENT[name])
    return found


def _method_calls(bot: BotIndex) -> Iterator[tuple[FlowIndex, nodes.MethodCall, bool]]:
    """Calls of methods, and whether they stand behind `event`."""
    for flow, path, _ in bot.every(nodes.Path):
        root = path.root.name if isinstance(path.root, nodes.Name) else ""
        elements = path.elements[1:] if root == "Component" else path.elements
        for element in elements:
            if isinstance(element, nodes.MethodCall):
                yield flow, element, root == "event"
    for flow, assign, _ in bot.every(nodes.Assign):
        for element in assign.path:
            if isinstance(element, nodes.MethodCall):
                yield flow, element, False


@RULES.rule("unknown-method", "warning", "A method that no type of value has.")
def unknown_method(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, _ in _method_calls(bot):
        if call.name not in NAMES:
            hint = bot.speller.hint(call.name, NAMES)
            yield Finding(flow, call.at, f"there is no method {call.name!r}", hint)


@RULES.rule("method-arguments", "warning", "A method with too few or too many arguments.")
def method_arguments(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, of_event in _method_calls(bot):
        methods = _methods(call.name, of_event=of_event)
        given = len(call.arguments)
        if methods and not any(method.low <= given <= method.high for method in methods):
            low = min(method.low for method in methods)
            high = max(method.high for method in methods)
            usages = {method.usage for method in methods if "\n" not in method.usage} - {""}
            reason = f"{call.name}() takes {_range(low, high)}, not {given}"
            hint = f"usage: {usages.pop()}" if len(usages) == 1 else ""
            yield Finding(flow, call.at, reason, hint)


@RULES.rule("named-method-argument", "warning", "Arguments of methods have no names.")
def named_method_argument(bot: BotIndex) -> Iterator[Finding]:
    for flow, call, _ in _method_calls(bot):
        for argument in call.arguments:
            if argument.name is not None:
                reason = f"arguments of methods have no names: {argument.name!r} is refused"
                hint = "write the value alone; to compare, use '=='"
                yield Finding(flow, argument.value.at, reason, hint)
                break


# --- words -------------------------------------------------------------------------------------


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _range(low: int, high: int) -> str:
    if low == high:
        return _count(low, "argument")
    if high >= ANY:
        return f"at least {_count(low, 'argument')}"
    if low == 0:
        return f"at most {_count(high, 'argument')}"
    return f"{low} to {high} arguments"


def _list(names: Sequence[str]) -> str:
    return " and ".join(repr(name) for name in names)
