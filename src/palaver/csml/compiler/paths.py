"""Names and paths: `x`, `o.items[0].name`, `a.push(1)`. Spec: csml-language §5.1, §5.2, §11.

A path is *resolved* (its index expressions and arguments are evaluated, left to right) before it
is *followed* from its root. Two quirks of the reference follow from that and are kept:

* a path on an unknown variable is resolved a second time;
* a fatal error while a path that starts at a variable is resolved is said softly first, then the
  path is resolved again and the error is fatal (§12.2).

A path with a method that may change its receiver is followed *owning*: each container on the way
is made the variable's own (copied only if something else can see it), so that the method may
change it in place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

from palaver.csml import nodes
from palaver.csml.compiler.calls import compile_arguments
from palaver.csml.failures import BudgetExceeded, RunError, SoftError
from palaver.csml.source import Position
from palaver.csml.state import Frame, Run, Unit
from palaver.csml.stdlib.components import build
from palaver.csml.stdlib.methods import EVENT_ROOT, MUTATING, call_method, no_method
from palaver.csml.texts import to_text
from palaver.csml.values import (
    ClosureData,
    Items,
    Members,
    Meta,
    Value,
    content_type_of,
    null_because,
    own_copy,
    secured,
    share,
)

Evaluate: TypeAlias = Callable[[Frame], Value]

BAD_INDEX: Final = 'index must be of type int or string. Example var.[42] or var.["key"]'
NOT_NAMED: Final = "arguments in method are not named"


class Element(NamedTuple):
    """One compiled element. `evaluate` for an index, `arguments` for a method, else a name."""

    at: Position
    name: str
    evaluate: Evaluate | None = None
    arguments: tuple[Evaluate, ...] | None = None
    has_named: bool = False


Resolved: TypeAlias = "list[Any]"
"""For each element: an int or str key, or a tuple of argument values."""


# --- names -------------------------------------------------------------------------------------


def compile_name(node: nodes.Name, unit: Unit, *, quiet: bool) -> Evaluate:
    """A bare name."""
    special = SPECIAL.get(node.name)
    if special is not None:
        return special(node)
    at, name = node.at, node.name
    find = lookup(name, at, unit)
    is_constant = name in unit.constant_nodes

    def read(frame: Frame) -> Value:
        value = None if is_constant else frame.locals.get(name)
        if value is None:
            value = find(frame)
            if value is None:
                return unknown(frame.run, name, at, quiet=quiet)
        data = value.data
        if data.__class__ is Items or data.__class__ is Members:
            data.shared = True
        return value

    return read


def lookup(name: str, at: Position, unit: Unit) -> Callable[[Frame], Value | None]:
    """Finds a variable: constant of its flow, local, memory; None when it is unknown (§5.1)."""
    if name in unit.constant_nodes:
        return lambda frame: unit.constants.get(name)

    def find(frame: Frame) -> Value | None:
        value = frame.locals.get(name)
        if value is None:
            value = frame.memories.get(name)
            if value is not None:  # a memory counts as created where it is used (§12.3)
                return Value(value.data, at, value.meta)
        return value

    return find


def unknown(run: Run, name: str, at: Position, *, quiet: bool) -> Value:
    """What an unknown name gives (§5.1)."""
    text = f"< {name} > is used before it was saved in memory"
    return null_because(text, at) if quiet else run.soft(text, at)


def _event(node: nodes.Name) -> Evaluate:
    at = node.at

    def event(frame: Frame) -> Value:
        value = frame.run.event
        return Value(value.data, at, value.meta)

    return event


def _metadata(node: nodes.Name) -> Evaluate:
    at = node.at
    return lambda frame: share(frame.run.metadata).at(at)


def _env(node: nodes.Name) -> Evaluate:
    at = node.at
    return lambda frame: share(frame.run.env).at(at)


def _memory(node: nodes.Name) -> Evaluate:
    at = node.at

    def memory(frame: Frame) -> Value:
        members = Members()
        for name in frame.memories:
            value = frame.memories.get(name)
            if value is not None:
                members[name] = share(value)
        for name, value in frame.locals.items():
            members[name] = share(value)
        secure = any(value.is_secure for value in members.values())
        return Value(members, at, Meta(secure=True) if secure else None)

    return memory


def _component(node: nodes.Name) -> Evaluate:
    def component(frame: Frame) -> Value:
        raise RunError("component must have a function applied", node.at)

    return component


SPECIAL: Final[dict[str, Callable[[nodes.Name], Evaluate]]] = {
    "event": _event,
    "_metadata": _metadata,
    "_env": _env,
    "_memory": _memory,
    "Component": _component,
}
"""Names that are no variables (§11.5)."""


# --- resolving ---------------------------------------------------------------------------------


def compile_elements(
    elements: tuple[nodes.PathElement, ...], unit: Unit, *, quiet: bool
) -> tuple[Element, ...]:
    return tuple(_element(element, unit, quiet) for element in elements)


def _element(element: nodes.PathElement, unit: Unit, quiet: bool) -> Element:
    if isinstance(element, nodes.Member):
        return Element(element.at, element.name)
    if isinstance(element, nodes.Index):
        return Element(element.at, "", unit.expression(element.value, quiet=quiet))
    return Element(
        element.at,
        element.name,
        arguments=tuple(
            unit.expression(argument.value, quiet=quiet) for argument in element.arguments
        ),
        has_named=any(argument.name is not None for argument in element.arguments),
    )


def resolver(elements: tuple[Element, ...]) -> Callable[[Frame], Resolved]:
    """A function of a frame giving the keys and arguments of a path."""
    if all(e.evaluate is None and not e.arguments for e in elements):
        fixed: Resolved = [() if e.arguments is not None else e.name for e in elements]
        return lambda frame: fixed

    def resolve(frame: Frame) -> Resolved:
        found: Resolved = []
        for element in elements:
            if element.arguments is not None:
                found.append(tuple(argument(frame) for argument in element.arguments))
            elif element.evaluate is None:
                found.append(element.name)
            else:
                key = element.evaluate(frame).data
                if key.__class__ is not int and key.__class__ is not str:
                    raise RunError(BAD_INDEX, element.at)
                found.append(key)
        return found

    return resolve


def resolve_for_variable(
    resolve: Callable[[Frame], Resolved], frame: Frame, *, quiet: bool
) -> Resolved:
    """Resolves; a fatal error is said softly (unless quiet), then comes again fatally (§12.2)."""
    try:
        return resolve(frame)
    except BudgetExceeded:
        raise
    except RunError as error:
        if not quiet:
            frame.run.soft(error.text, error.at)
        return resolve(frame)


# --- following ---------------------------------------------------------------------------------


def follow(
    run: Run,
    value: Value,
    root: str,
    elements: tuple[Element, ...],
    resolved: Resolved,
    *,
    quiet: bool,
    frozen: bool = False,
) -> Value:
    """Applies resolved elements to a value. A missing member ends the path with Null."""
    for element, key in zip(elements, resolved, strict=True):
        if element.arguments is not None:
            if element.has_named:
                return run.soft(NOT_NAMED, element.at)
            value = call_method(run, value, root, element.name, key, element.at, frozen=frozen)
            root = content_type_of(value)
            quiet = False
            continue
        found = member(value, key)
        if found is None:
            return missing(run, key, element.at, quiet=quiet)
        if value.meta is not None and value.meta.secure and not found.is_secure:
            found = _reveal(found)
        if getattr(value.data, "shared", False):
            share(found)  # a member of what others see is seen by them too
        value = found
    return value


def _reveal(found: Value) -> Value:
    """A member of a secret container: texts and containers stay secret (§6.10, Palaver)."""
    return secured(found) if found.data.__class__ in (str, Items, Members) else found


def member(value: Value, key: int | str) -> Value | None:
    """The element or member, or None (§5.2)."""
    data = value.data
    if key.__class__ is int:
        if data.__class__ is Items:
            return data[key] if 0 <= key < len(data) else None
        if data.__class__ is str:
            return Value(data[key], value.position, value.meta) if 0 <= key < len(data) else None
        return None
    return data.get(key) if data.__class__ is Members else None  # type: ignore


def missing(run: Run, key: int | str, at: Position, *, quiet: bool) -> Value:
    """What a missing member or element gives (§5.2): quietly, only a key leaves its error."""
    if isinstance(key, int):
        text = f"[{key % 2**64}] index must be lower than or equal to array.length()"
        return Value(None, at) if quiet else run.soft(text, at)
    text = f"[{key}] key does not exist"
    return null_because(text, at) if quiet else run.soft(text, at)


# --- paths -------------------------------------------------------------------------------------


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


def may_mutate(elements: tuple[Element, ...]) -> bool:
    return any(e.arguments is not None and e.name in MUTATING for e in elements)


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
        if any(arg.is_secure for arg in resolved[first_method]) and not top.is_secure:
            store(frame, name, secured(top))  # what holds a secret is one
        return share(result)

    return path


def own_variable(frame: Frame, name: str) -> Value | None:
    """A local's or memory's value, its container changeable in place; None when unknown."""
    value = frame.locals.get(name)
    if value is not None:
        if getattr(value.data, "shared", False):
            value = frame.locals[name] = paid_copy(frame.run, value)
        return value
    value = frame.memories.get(name)
    if value is not None and getattr(value.data, "shared", False):
        value = paid_copy(frame.run, value)
        frame.memories.put_back(name, value)
    return value


def paid_copy(run: Run, value: Value) -> Value:
    """An owned copy; large ones cost instructions."""
    data = value.data
    if isinstance(data, Items | Members) and len(data) > CHEAP_COPY:
        run.spend(len(data) // CHEAP_COPY)
    return own_copy(value)


CHEAP_COPY: Final = 32
"""Members that one instruction copies."""


def store(frame: Frame, name: str, value: Value) -> None:
    """Puts a value where the variable lives: a local, else a memory of that name, else a local."""
    if name in frame.locals or name not in frame.memories:
        frame.locals[name] = value
    else:
        frame.memories.set(name, value)


def own_member(run: Run, value: Value, key: int | str) -> Value | None:
    """The member of an owned container, owned in turn; None when it is missing."""
    found = member(value, key)
    if found is None or not getattr(found.data, "shared", False):
        return found
    found = paid_copy(run, found)
    data: Any = value.data
    data[key] = found
    return found


# --- special roots -----------------------------------------------------------------------------


def _event_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)
    mutates = may_mutate(elements)

    def path(frame: Frame) -> Value:
        resolved = resolve(frame)
        run = frame.run
        content = own_copy(run.event_content) if mutates else run.event_content
        return share(follow(run, content, EVENT_ROOT, elements, resolved, quiet=quiet))

    return path


def _metadata_path(node: nodes.Path, root: nodes.Name, unit: Unit, quiet: bool) -> Evaluate:
    elements = compile_elements(node.elements, unit, quiet=quiet)
    resolve = resolver(elements)
    first = elements[0]

    def path(frame: Frame) -> Value:
        resolved = resolve(frame)
        key = resolved[0]
        if key.__class__ is not str:
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
    evaluate = _memory(root)
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


# --- changing members --------------------------------------------------------------------------


def assign_member(
    frame: Frame, name: str, elements: tuple[Element, ...], keys: Resolved, value: Value
) -> None:
    """`do name{path} = value` for a variable that exists (§6.2, step 6)."""
    run = frame.run
    top = own_variable(frame, name)
    if top is None:
        top = frame.locals[name] = Value(None)
    container = top
    for element, key in zip(elements[:-1], keys, strict=False):
        found = own_member(run, container, key)
        if found is None:
            missing(run, key, element.at, quiet=False)
            return
        container = found
    last, key = elements[-1], keys[-1]
    data: Any = container.data
    if isinstance(key, str):
        if data.__class__ is ClosureData:
            raise RunError("[insert] Closure don't have methods", last.at)
        if data.__class__ is not Members or content_type_of(top) in NO_INSERT:
            raise RunError(_no_insert(data), last.at)
        data[key] = value
    elif data.__class__ is Items and 0 <= key < len(data):
        data[key] = value
    elif data.__class__ is str and 0 <= key < len(data):
        _replace_character(frame, name, elements, keys, data, value)
    else:
        missing(run, key, last.at, quiet=False)


NO_INSERT: Final = frozenset({"smtp", "base64", "hex", "jwt", "crypto", "time"})
"""Content types of roots whose objects have no `insert` (§10.1)."""


def _no_insert(data: Any) -> str:
    return no_method("insert", data)


def _replace_character(
    frame: Frame, name: str, elements: tuple[Element, ...], keys: Resolved, text: str, value: Value
) -> None:
    """`do s[1] = "x"`: the character is replaced by the value's text."""
    index = keys[-1]
    changed = text[:index] + to_text(value) + text[index + 1 :]
    if len(elements) > 1:
        assign_member(frame, name, elements[:-1], keys[:-1], Value(changed, value.position))
    else:
        store(frame, name, Value(changed, value.position))
