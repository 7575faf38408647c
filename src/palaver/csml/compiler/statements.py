"""Statements: functions of a frame giving a signal. Spec: csml-language §6.

A signal is 0 to go on, or what ends the block it comes from: `BREAK`, `CONTINUE`, `RETURN`,
`LEAVE` (the step is over: the run's `exit` says how), `SKIP` (only the block is over).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from palaver.csml import nodes
from palaver.csml.compiler.assigning import assign_member
from palaver.csml.compiler.calls import compile_call, recaptured
from palaver.csml.compiler.elements import compile_elements, resolver
from palaver.csml.compiler.elements import follow as follow_path
from palaver.csml.compiler.expressions import compile_expression, pay_for_joining, text_at
from palaver.csml.compiler.fixed import is_fixed
from palaver.csml.compiler.names import SPECIAL, lookup, store
from palaver.csml.failures import NOT_ASSIGNED, BudgetExceeded, RunError
from palaver.csml.limits import Limits
from palaver.csml.operators import ARITHMETIC
from palaver.csml.source import Position
from palaver.csml.state import Back, ConversationOver, Frame, Jump, Run, Unit
from palaver.csml.stdlib.costs import pay_for_output
from palaver.csml.stdlib.methods import located
from palaver.csml.texts import bare_items, json_text, to_json, to_text
from palaver.csml.values import (
    ClosureData,
    Items,
    Members,
    Secret,
    Value,
    content_type_of,
    share,
)
from palaver.effects import Goto, Log, Say

if TYPE_CHECKING:
    from palaver.types import Json, JsonObject

Execute: TypeAlias = Callable[[Frame], int]

BREAK: Final = 1
CONTINUE: Final = 2
RETURN: Final = 3
LEAVE: Final = 4
SKIP: Final = 5

NOT_SHOWN: Final = "Secure variable can not be displayed"
NOT_LOGGED: Final = "secure variables can not be logged"
IMMUTABLE: Final = "const variables are immutable"
TOO_LARGE: Final = "payload exceeds max payload size (16kb)"
NOT_A_TEXT: Final = "variables in goto need to resolve as strings"


def compile_statement(node: nodes.Statement, unit: Unit) -> Execute:
    """A simple statement (blocks are in `blocks`)."""
    return _COMPILERS[type(node)](node, unit)


# --- saying ------------------------------------------------------------------------------------


def _say(node: nodes.Say, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    at = node.at

    def say(frame: Frame) -> int:
        value = evaluate(frame)
        run = frame.run
        if value.is_secure:
            run.soft(NOT_SHOWN, value.position)
            return 0
        run.say(payload_of(run, value), at)
        return 0

    return _once(say, at) if is_fixed(node.value, unit) else say


def _once(say: Execute, at: Position) -> Execute:
    """Says the same message each time, once `say` has made it. Nobody changes messages."""
    known: Say | None = None

    def say_again(frame: Frame) -> int:
        nonlocal known
        effects = frame.run.effects
        if known is not None:
            frame.run.say(known.payload, at)
            return 0
        said = len(effects)
        signal = say(frame)
        only = effects[-1]
        if len(effects) == said + 1 and isinstance(only, Say):
            is_error = only.payload.get("content_type") == "error"  # names the flow that ran it
            known = None if is_error else only
        return signal

    return say_again


def payload_of(run: Run, value: Value) -> JsonObject:
    """The message of a value (§6.1). Raises: RunError when it is too large."""
    data = value.data
    if data is None:
        return {"content_type": "text", "content": {"text": None}}
    limit = run.limits.payload_bytes
    if isinstance(data, Members) and (small := _small_content(value, run.limits)) is not None:
        return {"content_type": content_type_of(value), "content": small}
    if isinstance(data, Items | Members):
        try:
            text = json_text(value, limit, run.limits.nesting)
        except BudgetExceeded as error:
            if error.limit == "max_json_depth":
                raise located(error, value.position) from None
            raise too_large(limit, value.position) from None
    else:
        text = to_text(value)
    if len(text) >= limit or (not text.isascii() and len(text.encode("utf-8", "replace")) >= limit):
        raise too_large(limit, value.position)
    nesting = run.limits.nesting
    if isinstance(data, Items):
        content = bare_items(data, nesting=nesting)
        return {"content_type": content_type_of(value), "content": content}
    if isinstance(data, Members):
        content = to_json(value, nesting=nesting)
        return {"content_type": content_type_of(value), "content": content}
    if isinstance(data, ClosureData):
        return {"content_type": "closure", "content": to_json(value)}
    return {"content_type": "text", "content": {"text": text}}


def _small_content(value: Value, limits: Limits) -> Json:
    """The content of an object that is certainly within the limits; None: it may not be.

    What is said then needs no text only to be measured: `json_text` writes nothing but numbers
    longer than msgspec does, and those `LONGER_NUMBERS` times at most.
    """
    try:
        content = to_json(value, limits.payload_bytes, limits.nesting)
    except BudgetExceeded:
        return None
    is_small = LONGER_NUMBERS * len(msgspec.json.encode(content)) < limits.payload_bytes
    return content if is_small else None


LONGER_NUMBERS: Final = 6
"""`1e-5` is `0.00001`."""


def too_large(limit: int, at: Position) -> RunError:
    """The reference's text for its limit; another limit is named (product.md §7)."""
    if limit == 16_000:
        return RunError(TOO_LARGE, at)
    return BudgetExceeded(f"payload exceeds max_payload_bytes ({limit})", "max_payload_bytes", at)


def _debug(node: nodes.Debug, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    after = Position(node.at.line, node.at.column + len("debug"))

    def debug(frame: Frame) -> int:
        value = evaluate(frame)
        if value.is_secure:
            frame.run.soft(NOT_SHOWN, after)
        else:
            text = text_at(frame.run, value, node.at)
            pay_for_output(frame.run, text, node.at)
            frame.run.say({"content_type": "debug", "content": {"args": [text]}}, node.at)
        return 0

    return debug


def _log(node: nodes.Log, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    line, level = node.at.line, node.level

    def log(frame: Frame) -> int:
        value = evaluate(frame)
        run = frame.run
        text = NOT_LOGGED if value.is_secure else text_at(run, value, node.at)
        pay_for_output(run, text, node.at)
        run.note(Log(run.flow.name, line, text, level))
        return 0

    return log


# --- variables ---------------------------------------------------------------------------------


def _do(node: nodes.Do, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)

    def do(frame: Frame) -> int:
        evaluate(frame)
        return 0

    return do


def _assign(node: nodes.Assign, unit: Unit) -> Execute:
    if node.name in unit.constant_nodes:
        return _assign_constant(node, unit)
    if node.path:
        return _assign_path(node, unit)
    if node.operator != "=":
        return _assign_compound(node, unit)
    name = node.name
    if isinstance(node.value, nodes.Call):
        evaluate = compile_call(node.value, unit, replaced=name)
    else:
        evaluate = compile_expression(node.value, unit)

    def assign(frame: Frame) -> int:
        value = evaluate(frame)
        if value.meta is not None and value.meta.secure:
            return _refuse_secret(frame, value)
        if value.data.__class__ is ClosureData:
            value = recaptured(value, frame)
        variables = frame.locals
        if name in variables or name not in frame.memories:
            variables[name] = value
        else:
            frame.memories.set(name, value)
        return 0

    return assign


def _refuse_secret(frame: Frame, value: Value) -> int:
    frame.run.soft(NOT_ASSIGNED, value.position)
    return 0


def _assign_constant(node: nodes.Assign, unit: Unit) -> Execute:
    """Refused, once it is calculated; the path is read all the same, for its errors (§6.2)."""
    evaluate = compile_expression(node.value, unit)
    find = lookup(node.name, node.name_at, unit)
    elements = compile_elements(node.path, unit, quiet=False)
    resolve = resolver(elements)
    operator = node.operator

    def refuse(frame: Frame) -> int:
        value = evaluate(frame)
        if value.is_secure:
            return _refuse_secret(frame, value)
        resolved = resolve(frame)
        run = frame.run
        constant = find(frame) or Value(None, node.name_at)
        root = content_type_of(constant)
        if operator != "=":
            old = follow_path(run, constant, root, elements, resolved, quiet=True, frozen=True)
            value = combine(frame, operator, old, value)
        run.soft(IMMUTABLE, value.position)
        follow_path(run, constant, root, elements, resolved, quiet=False, frozen=True)
        return 0

    return refuse


def combine(frame: Frame, operator: str, old: Value, value: Value) -> Value:
    """`old operator value`; an arithmetic error is soft, and its text the result (§6.2, step 4).

    The result is the right-hand value with another payload (§4.2), so it has that one's place.
    """
    pay_for_joining(frame.run, old, value, value.position)
    try:
        result = ARITHMETIC[operator[0]](old, value)
    except BudgetExceeded:
        raise
    except RunError as error:
        frame.run.soft(error.text, error.at)
        return Value(error.text, value.position)
    result.position = value.position  # nobody else has seen it yet
    return result


def _assign_compound(node: nodes.Assign, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    name, at, operator = node.name, node.name_at, node.operator
    find = lookup(name, at, unit)

    def assign(frame: Frame) -> int:
        value = evaluate(frame)
        if value.is_secure:
            return _refuse_secret(frame, value)
        old = find(frame) or Value(None, at)
        store(frame, name, combine(frame, operator, old, value))
        return 0

    return assign


def _assign_path(node: nodes.Assign, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    elements = compile_elements(node.path, unit, quiet=False)
    resolve = resolver(elements)
    name, at, operator = node.name, node.name_at, node.operator
    find = lookup(name, at, unit)
    calls_method = any(element.arguments is not None for element in elements)

    def assign(frame: Frame) -> int:
        value = evaluate(frame)
        if value.is_secure:
            return _refuse_secret(frame, value)
        value = recaptured(value, frame)
        resolved = resolve(frame)
        if resolved[-1].__class__ is Secret:  # a secret must not become a member's name
            frame.run.soft(NOT_ASSIGNED, elements[-1].at)
            return 0
        if calls_method:  # what a method gives is nobody's: it is called, nothing is assigned
            old = find(frame) or Value(None, at)
            follow_path(frame.run, old, content_type_of(old), elements, resolved, quiet=False)
            return 0
        if operator != "=":
            old = find(frame) or Value(None, at)
            root = content_type_of(old)
            value = combine(
                frame,
                operator,
                follow_path(frame.run, old, root, elements, resolved, quiet=True),
                value,
            )
        assign_member(frame, name, elements, resolved, value)
        if name not in frame.locals and name in frame.memories:
            frame.memories.touch(name)
        return 0

    return assign


def _remember(node: nodes.Remember, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    name = node.name

    def remember(frame: Frame) -> int:
        value = evaluate(frame)
        if value.is_secure:
            return _refuse_secret(frame, value)
        frame.memories.set(name, share(recaptured(value, frame)))
        return 0

    return remember


def _forget(node: nodes.Forget, unit: Unit) -> Execute:
    names = node.names

    def forget(frame: Frame) -> int:
        if names is None:
            frame.locals.clear()
        else:
            for name in names:
                frame.locals.pop(name, None)
        if frame.in_function:
            frame.run.memories.forget_later(names)
        else:
            frame.memories.forget(names)
        return 0

    return forget


def _use(node: nodes.Use, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)

    def use(frame: Frame) -> int:
        evaluate(frame)
        return 0

    return use


# --- leaving -----------------------------------------------------------------------------------


def _signal(signal: int) -> Callable[[Any, Unit], Execute]:
    return lambda node, unit: lambda frame: signal


def _return(node: nodes.Return, unit: Unit) -> Execute:
    evaluate = compile_expression(node.value, unit)
    if isinstance(node.value, nodes.Name) and node.value.name not in SPECIAL:
        return _return_variable(node.value.name, evaluate, unit)

    def return_(frame: Frame) -> int:
        frame.result = evaluate(frame)
        return RETURN

    return return_


def _return_variable(name: str, evaluate: Callable[[Frame], Value], unit: Unit) -> Execute:
    """Returning a local hands it over: it need not be copied when the caller changes it."""
    is_constant = name in unit.constant_nodes

    def return_(frame: Frame) -> int:
        value = None if is_constant else frame.locals.get(name)
        if value is None or not frame.gives_up(name):
            value = evaluate(frame)
        frame.result = value
        return RETURN

    return return_


def _hold(node: nodes.Hold, unit: Unit) -> Execute:
    """In a block of a function, where it only leaves the block (§18, item 8). A step's holds
    have numbers: see `blocks`."""
    return lambda frame: SKIP


Name: TypeAlias = Callable[[Frame], str]


def _target(target: nodes.Target | None, unit: Unit) -> Name | None:
    """A function giving a goto's step, flow or bot; None when none is named."""
    if target is None:
        return None
    if isinstance(target, str):
        name = target
        return lambda frame: name
    evaluate = compile_expression(target, unit)

    def find(frame: Frame) -> str:
        value = evaluate(frame)
        if not isinstance(value.data, str):
            raise RunError(NOT_A_TEXT, value.position)
        return Secret(value.data) if value.is_secure else value.data

    return find


def _goto(node: nodes.Goto, unit: Unit) -> Execute:
    step, flow, bot = (_target(t, unit) for t in (node.step, node.flow, node.bot))
    form = node.form

    def goto(frame: Frame) -> int:
        jump = Jump(
            form,
            step(frame) if step else None,
            flow(frame) if flow else None,
            bot(frame) if bot else None,
        )
        if jump.bot is not None and any(part.__class__ is Secret for part in jump):
            raise RunError(NOT_SHOWN, node.at)  # only the other bot knows what the names mean
        frame.run.exit = jump
        return LEAVE

    return goto


def _previous(node: nodes.Previous, unit: Unit) -> Execute:
    kind = node.kind

    def previous(frame: Frame) -> int:
        run = frame.run
        if frame.in_function:  # the step is not left; only the stored position moves (§6.17)
            if run.previous is None:
                raise ConversationOver
            run.note(Goto(None, run.previous.step if kind == "step" else "start"))
            return 0
        run.exit = Back(kind)
        return LEAVE

    return previous


_COMPILERS: Final[dict[type, Callable[[Any, Unit], Execute]]] = {
    nodes.Say: _say,
    nodes.Debug: _debug,
    nodes.Log: _log,
    nodes.Do: _do,
    nodes.Assign: _assign,
    nodes.Remember: _remember,
    nodes.Forget: _forget,
    nodes.Use: _use,
    nodes.Break: _signal(BREAK),
    nodes.Continue: _signal(CONTINUE),
    nodes.Return: _return,
    nodes.Hold: _hold,
    nodes.Goto: _goto,
    nodes.Previous: _previous,
}
