"""Paths: `o.items[0].name`, `a.push(1)`. Spec: csml-language §5.1, §5.2, §11.

Two quirks of the reference are kept here:

* a path on an unknown variable is resolved a second time;
* a fatal error while a path that starts at a variable is resolved is said softly first, then the
  path is resolved again and the error is fatal (§12.2).

A path with a method that may change its receiver is followed *owning*: each container on the way
is made the variable's own (copied only if something else can see it), so that the method may
change it in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from palaver.csml import nodes
from palaver.csml.compiler.calls import compile_arguments
from palaver.csml.compiler.elements import (
    BAD_INDEX,
    Element,
    Resolved,
    compile_elements,
    follow,
    may_mutate,
    member,
    missing,
    own_member,
    resolve_for_variable,
    resolver,
)
from palaver.csml.compiler.names import lookup, memory_view, own_variable, store, unknown
from palaver.csml.compiler.owning import CHEAP_COPY
from palaver.csml.failures import RunError, SoftError
from palaver.csml.source import NOWHERE, Position
from palaver.csml.state import Frame, Run, Unit
from palaver.csml.stdlib.components import build
from palaver.csml.stdlib.methods import EVENT_ROOT
from palaver.csml.texts import CONTAINERS
from palaver.csml.values import (
    Items,
    Members,
    Value,
    content_type_of,
    holding_secret,
    own_copy,
    share,
)

Evaluate: TypeAlias = Callable[[Frame], Value]


def compile_path(node: nodes.Path, unit: Unit, *, quiet: bool) -> Evaluate:
    """A path, by what it starts from."""
    root = node.root
    if isinstance(root, nodes.Path):  # `(o.a).b`: the reference drops what follows such a group
        return compile_path(root, unit, quiet=quiet)
    if isinstance(root, nodes.Name):
        compile_root = _ROOTS.get(root.name, _variable_path)
        return compile_root(node, root, unit, quiet)
    return _value_path(node, unit, quiet)


def _value_path(node: nodes.Path, unit: Unit, quiet: bool) -> Evaluate:
    """A path on a literal, a group or a call: nothing to own, nothing to write back."""
    evaluate = unit.expression(node.root, quiet=quiet)
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)
    mutates = may_mutate(elements)

    def path(frame: Frame) -> Value:
        value = evaluate(frame)
        if mutates:
            value = own_copy(value)
        resolved = resolve(frame)
        return share(
            follow(frame.run, value, content_type_of(value), elements, resolved, quiet=quiet)
        )

    return path


def _variable_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)
    name, at = root.name, root.at
    find = lookup(name, at, unit)
    is_constant = name in unit.constant_nodes
    if may_mutate(elements) and not is_constant:
        return _owning_path(name, at, elements, resolve, quiet)

    def path(frame: Frame) -> Value:
        resolved = resolve_for_variable(resolve, frame, quiet=quiet)
        value = find(frame)
        run = frame.run
        if value is None:
            return lost(frame, name, at, elements, resolve, quiet=quiet)
        root_type = content_type_of(value)
        return share(
            follow(run, value, root_type, elements, resolved, quiet=quiet, frozen=is_constant)
        )

    return path


def lost(
    frame: Frame,
    name: str,
    at: Position,
    elements: tuple[Element, ...],
    resolve: Callable[[Frame], Resolved],
    *,
    quiet: bool,
) -> Value:
    """A path on an unknown variable: its Null is followed, the path resolved again (§5.1)."""
    null = unknown(frame.run, name, at, quiet=quiet)
    return follow(frame.run, null, "null", elements, resolve(frame), quiet=quiet)


def _owning_path(
    name: str,
    at: Position,
    elements: tuple[Element, ...],
    resolve: Callable[[Frame], Resolved],
    quiet: bool,
) -> Evaluate:
    first_method = next(i for i, e in enumerate(elements) if e.arguments is not None)

    def path(frame: Frame) -> Value:
        resolved = resolve_for_variable(resolve, frame, quiet=quiet)
        value = own_variable(frame, name)
        if value is None:
            return lost(frame, name, at, elements, resolve, quiet=quiet)
        run = frame.run
        root = content_type_of(value)
        top = value
        for element, key in zip(elements[:first_method], resolved, strict=False):
            found = own_member(run, value, key)
            if found is None:
                return missing(run, key, element.at, quiet=quiet)
            value = found
        result = follow(
            run, value, root, elements[first_method:], resolved[first_method:], quiet=quiet
        )
        if name not in frame.locals:
            frame.memories.touch(name)
        if any(arg.is_secure for arg in resolved[first_method]) and not top.is_wholly_secure:
            store(frame, name, _marked(top, resolved[:first_method]))
        return share(result)

    return path


def _marked(top: Value, keys: Resolved) -> Value:
    """The owned container with itself and all on the way to what took a secret marked (§6.10)."""
    marked = value = holding_secret(top)
    for key in keys:
        found = member(value, key)
        data: Any = value.data
        if found is None or found.data.__class__ not in CONTAINERS:
            break
        value = data[key] = holding_secret(found)
    return marked


# --- special roots -----------------------------------------------------------------------------


def _event_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)
    mutates = may_mutate(elements)
    at = root.at
    gives_part = elements[-1].arguments is None

    def path(frame: Frame) -> Value:
        resolved = resolve(frame)
        run = frame.run
        content = own_copy(run.event_content) if mutates else run.event_content
        found = follow(run, content, EVENT_ROOT, elements, resolved, quiet=quiet)
        if gives_part and found.position is NOWHERE:
            found = _used_at(run, found, at)
        return share(found)

    return path


def _used_at(run: Run, value: Value, at: Position) -> Value:
    """A part of the event counts as created where it is used (§12.3), and what is in it too."""
    data = value.data
    if isinstance(data, Items):
        run.left -= len(data) // CHEAP_COPY
        data = Items([_used_at(run, item, at) for item in data])
    elif isinstance(data, Members):
        run.left -= len(data) // CHEAP_COPY
        data = Members({key: _used_at(run, member, at) for key, member in data.items()})
    return Value(data, at, value.meta)


def _metadata_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)
    first = elements[0]

    def path(frame: Frame) -> Value:
        resolved = resolve(frame)
        key = resolved[0]
        if not isinstance(key, str):
            raise RunError(BAD_INDEX, first.at)
        run = frame.run
        found = member(run.metadata, key)
        value = Value(None, first.at) if found is None else share(found)
        if may_mutate(elements):
            value = own_copy(value)
        return share(
            follow(run, value, content_type_of(value), elements[1:], resolved[1:], quiet=quiet)
        )

    return path


def _env_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)

    def path(frame: Frame) -> Value:
        resolved = resolve(frame)
        env = frame.run.env.at(root.at)
        return share(
            follow(
                frame.run, env, content_type_of(env), elements, resolved, quiet=quiet, frozen=True
            )
        )

    return path


def _memory_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    evaluate = memory_view(root)
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)

    def path(frame: Frame) -> Value:
        resolved = resolve(frame)
        value = own_copy(evaluate(frame))
        return share(follow(frame.run, value, "object", elements, resolved, quiet=quiet))

    return path


def _component_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    """`Component.Name(…)`: its errors are fatal (§8.5)."""
    first = node.elements[0]
    name = first.name if isinstance(first, nodes.MethodCall) else ""
    arguments = compile_arguments(first.arguments if isinstance(first, nodes.MethodCall) else ())
    rest = compile_elements(node.elements[1:], unit, quiet=quiet)
    resolve = resolver(rest)
    gather = arguments(unit, first.at)

    def path(frame: Frame) -> Value:
        run = frame.run
        descriptor = run.program.custom_components.get(name)
        if descriptor is None or not name:
            raise RunError("function does not exist for component", root.at)
        try:
            value = build(descriptor, f"Component.{name}", gather(frame), first.at, run)
        except SoftError as error:
            raise RunError(error.text, first.at) from None
        return share(follow(run, value, content_type_of(value), rest, resolve(frame), quiet=quiet))

    return path


_ROOTS: Final[dict[str, Callable[[nodes.Path, nodes.Name, Unit, bool], Evaluate]]] = {
    "event": _event_path,
    "_metadata": _metadata_path,
    "_env": _env_path,
    "_memory": _memory_path,
    "Component": _component_path,
}
