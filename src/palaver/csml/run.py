"""Runs a program for one event: from a step or a hold, until hold, end, error or bot switch.

In: a `Program` and `Inputs`. Out: effects in order, memory changes last. Pure but for the host it
is given; nothing is raised: every failure is an effect at the author's line.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

from palaver.csml import nodes
from palaver.csml.bounds import PORTION, Pay, check_kept, free
from palaver.csml.compiler.statements import LEAVE, RETURN
from palaver.csml.failures import ArithmeticFailed, BudgetExceeded, RunError, SoftError
from palaver.csml.limits import Limits
from palaver.csml.memory import Memories
from palaver.csml.program import FlowUnit, Program, restore_closure
from palaver.csml.source import NOWHERE
from palaver.csml.state import Back, ConversationOver, Frame, Held, Jump, Left, Run
from palaver.csml.texts import from_json, from_memory, to_hold
from palaver.csml.values import INT_MAX, INT_MIN, SECURE, Items, Members, Meta, Secret, Value, share
from palaver.effects import Effect, End, Fail, Goto, Hold, Host, SwitchBot
from palaver.types import Json, JsonObject

END: Final = "end"
START: Final = "start"


class Inputs(NamedTuple):
    """What a run may know.

    `hold` is the record of a `Hold` effect to resume, else None. `memories` map names to stored
    JSON text. `metadata` is the request's; `previous_bot` what a bot switch left.
    """

    flow: str
    step: str
    content_type: str
    content: Json
    value: str
    memories: Mapping[str, str]
    hold: JsonObject | None = None
    secure: bool = False
    metadata: Json = None
    env: Json = None
    bot_id: str = ""
    step_limit: int | None = None
    previous_bot: JsonObject | None = None
    has_apps: bool = False


def run(
    program: Program,
    inputs: Inputs,
    host: Host,
    limits: Limits,
    on_slice: Callable[[], None],
) -> list[Effect]:
    """Runs the program for one event.

    Args:
        on_slice: called every few milliseconds of work; may raise BudgetExceeded.

    Returns:
        Effects in order. The last but for memory changes is End, Hold, Fail or SwitchBot, or
        none of them when a step returned.
    """
    state = _state(program, inputs, host, limits, on_slice)
    effects = state.effects
    pay: Pay = state.spend
    try:
        _drive(state, program, inputs)
    except ConversationOver:
        effects.append(End())
    except BudgetExceeded as error:
        effects.append(Fail(state.placed(error.text, error.at), error.limit))
        pay = free  # what was remembered before a limit is kept
    except ArithmeticFailed as error:
        effects.append(Fail(state.placed(error.text, error.at, state.home)))
    except RunError as error:
        effects.append(Fail(state.placed(error.text, error.at)))
    except RecursionError:
        text = f"the program is nested deeper than max_depth ({limits.depth}) allows"
        effects.append(Fail(state.placed(text), "max_depth"))
    try:
        effects.extend(list(state.memories.changes(limits, pay)))
    except BudgetExceeded as error:
        effects.append(Fail(state.placed(error.text, error.at), error.limit))
    return effects


FRAMES_A_CALL: Final = 12
"""Python frames that one call of an author's function takes, blocks and expressions included."""

FRAMES_A_LEVEL: Final = 6
"""Python frames that one array or object within another takes when it is written or read."""

MOST_FRAMES: Final = 20_000
"""What a C stack of 8 MB certainly bears."""


def allow_depth(limits: Limits) -> None:
    """Lets Python recurse as deep as `limits.depth` calls need: to be called once a process.

    Python's own limit, 1000 frames, ends a program by `max_depth` at some 150 calls already.
    """
    needed = 1_000 + FRAMES_A_CALL * limits.depth + FRAMES_A_LEVEL * limits.nesting
    needed = min(needed, MOST_FRAMES)
    if sys.getrecursionlimit() < needed:
        sys.setrecursionlimit(needed)


# --- setting up --------------------------------------------------------------------------------


def _state(
    program: Program,
    inputs: Inputs,
    host: Host,
    limits: Limits,
    on_slice: Callable[[], None],
) -> Run:
    state = Run(program, host, limits, on_slice)
    state.bot_id = inputs.bot_id
    state.has_apps = inputs.has_apps
    state.memories = Memories(inputs.memories, restore_closure)
    meta = SECURE if inputs.secure else None
    state.event = Value(inputs.value, NOWHERE, meta)
    state.event_content = _event_content(inputs, _pausing(on_slice))
    state.env = share(_foreign(inputs.env))
    return state


def _pausing(on_slice: Callable[[], None]) -> Pay:
    """Lets others go on while a large request's values are made; costs the program nothing."""
    left = PORTION

    def pay(members: int) -> None:
        nonlocal left
        left -= members
        if left < 0:
            left = PORTION
            with suppress(BudgetExceeded):  # the program itself meets it at once
                on_slice()

    return pay


def _event_content(inputs: Inputs, pay: Pay) -> Value:
    value = _foreign(inputs.content, pay)
    if inputs.secure:
        value = _all_secret(value)
    return Value(value.data, NOWHERE, Meta(inputs.content_type, None, inputs.secure))


def _all_secret(value: Value) -> Value:
    """Every text and container inside is secret too (§6.10, Palaver)."""
    data = value.data
    if isinstance(data, Items):
        return Value(Items(map(_all_secret, data)), value.position, SECURE)
    if isinstance(data, Members):
        members = Members((key, _all_secret(member)) for key, member in data.items())
        return Value(members, value.position, SECURE)
    return Value(data, value.position, SECURE if isinstance(data, str) else None)


def _foreign(json: Json, pay: Pay = free) -> Value:
    """JSON from outside; Null where a number does not fit."""
    try:
        return from_json(json, pay=pay)
    except SoftError:
        return Value(None)


def _metadata(inputs: Inputs, pay: Pay) -> Members:
    """The request's metadata: an object without integers beyond 64 bits, else empty (§11.5)."""
    if isinstance(inputs.metadata, dict) and _fits(inputs.metadata):
        data = _foreign(inputs.metadata, pay).data
        if isinstance(data, Members):
            return data
    return Members()


def _fits(json: Json) -> bool:
    if isinstance(json, dict):
        return all(map(_fits, json.values()))
    if isinstance(json, list):
        return all(map(_fits, json))
    return not isinstance(json, int) or INT_MIN <= json <= INT_MAX


# --- steps -------------------------------------------------------------------------------------


def _drive(state: Run, program: Program, inputs: Inputs) -> None:
    """Runs steps until one does not lead to another."""
    limit = state.limits.steps if inputs.step_limit is None else inputs.step_limit
    metadata = _metadata(inputs, _pausing(state.on_slice))
    unit = _flow(state, program, inputs.flow)
    name, inserting = inputs.step, unit
    hold = inputs.hold
    executed = 0
    while True:
        unit, home, step = _step(state, program, unit, name, inserting)
        state.flow, state.step, state.home = unit, name, home.name
        if executed >= limit:
            raise RunError(_step_limit(name))
        executed += 1
        frame = Frame(state, unit, state.memories, {}, in_function=False)
        number = _restore(state, frame, step, hold) if hold is not None else None
        hold = None
        state.metadata = share(Value(_with_context(state, program, metadata, inputs), NOWHERE))
        state.exit = None
        code = unit.code(step)
        signal = code.run(frame) if number is None else code.resume(frame, number)
        if signal == RETURN:
            return
        exit_ = state.exit if signal == LEAVE else None
        if isinstance(exit_, Held):
            state.effects.append(Hold(_record(state, frame, step, exit_)))
            return
        here = _here(name, unit, home, is_first=executed == 1)
        jump = _back(state, exit_, here) if isinstance(exit_, Back) else exit_
        if jump is None:
            state.effects.append(End())
            return
        inserting = unit
        target = _move(state, program, unit, jump, here)
        if target is None:
            return
        unit, name = target


def _step_limit(step: str) -> str:
    return (
        "[Infinite loop] Step limit reached: 100 steps where executed in a single run, "
        f"stop at step {step}"
    )


def _flow(state: Run, program: Program, name: str) -> FlowUnit:
    unit = program.find_flow(name)
    if unit is None:
        state.flow = FlowUnit(program, name, nodes.Flow(name, ()))
        raise RunError(f"flow: [{name}] does not exist in bot: [{state.bot_id}]")
    return unit


def _step(
    state: Run, program: Program, unit: FlowUnit, name: str, inserting: FlowUnit
) -> tuple[FlowUnit, FlowUnit, nodes.Step]:
    """The flow that runs, the flow the step comes from, and the step (§6.9, §6.15).

    A flow without `start` runs the default flow's (engine §7.2, Palaver).
    """
    state.flow = unit
    insert = inserting.inserts.get(name)
    if insert is not None and (unit is not inserting or name not in unit.step_nodes):
        home = program.flows.get(insert.source)
        if home is not None and insert.original in home.step_nodes:
            return unit, home, home.step_nodes[insert.original]
    step = unit.step_nodes.get(name)
    if step is not None:
        return unit, unit, step
    if name == START:
        default = _flow(state, program, program.default_flow)
        state.flow = default
        if START in default.step_nodes:
            return default, default, default.step_nodes[START]
    raise RunError(f"[{name}] step does not exist")


def _with_context(state: Run, program: Program, metadata: Members, inputs: Inputs) -> Members:
    """The metadata with `_context` of the step that runs (§11.5)."""
    context: dict[str, Json] = {
        "current_step": state.step,
        "current_flow": state.flow.name,
        "default_flow": program.default_flow,
    }
    if state.previous is not None:
        context["previous_step"] = state.previous.step
        context["previous_flow"] = state.previous.step_flow
    if inputs.previous_bot is not None:
        context["previous_bot"] = inputs.previous_bot
    whole = Members(metadata)
    whole["_context"] = from_json(context)
    return whole


# --- from step to step -------------------------------------------------------------------------


class Here(NamedTuple):
    """The position that is left: the last three members of a `Left`."""

    step: str
    flow: str
    record: JsonObject


def _here(step: str, unit: FlowUnit, home: FlowUnit, *, is_first: bool) -> Here:
    """Where the run stands. Args: is_first: the turn began with this step (engine §6.1)."""
    if is_first:
        return Here(step, unit.name, {"UnknownFlow": step})
    if home is not unit:
        return Here(step, unit.name, {"InsertedStep": {"step": step, "flow": home.name}})
    return Here(step, unit.name, {"Normal": step})


def _back(state: Run, back: Back, here: Here) -> Jump | None:
    """Where `previous` leads; None without history. Spec: csml-language §6.11."""
    if state.previous is None:
        return None
    flow, step, step_flow, _ = state.previous
    if back.kind == "step":
        if state.flow.name != step_flow:
            flow = step_flow
        state.previous = Left(flow, *here)
        return Jump("previous", step, step_flow, None)
    state.previous = Left(state.flow.name, *here)
    return Jump("previous", START, flow, None)


def _remember_position(state: Run, here: Here) -> None:
    """Keeps where a `goto` came from. Spec: csml-language §6.11."""
    if state.previous is None:
        state.previous = Left(here.flow, *here)
    else:
        flow, _, step_flow, _ = state.previous
        state.previous = Left(step_flow if step_flow != here.flow else flow, *here)


def _move(
    state: Run, program: Program, current: FlowUnit, jump: Jump, here: Here
) -> tuple[FlowUnit, str] | None:
    """Leaves the step: the flow and step to run next, or None when the turn is over."""
    if jump.bot is not None:
        state.effects.append(SwitchBot(jump.bot, jump.flow, jump.step))
        return None
    step = jump.step if jump.step is not None else START
    if step == END:
        state.effects.append(End())
        return None
    if jump.form != "previous":
        _remember_position(state, here)
    unit = program.find_flow(jump.flow) if jump.flow is not None else current
    if unit is not None:
        if step.__class__ is Secret:  # it must not become a position, unless a step is called so
            step = next(
                (name for name in (*unit.step_nodes, *current.inserts) if name == step), step
            )
            if step.__class__ is Secret:
                state.flow = unit
                raise RunError(f"[{step}] step does not exist")
        state.effects.append(Goto(None if jump.form == "step" else unit.id, step))
        return unit, step
    return _flow(state, program, jump.flow or ""), step


# --- holding -----------------------------------------------------------------------------------


def _record(state: Run, frame: Frame, step: nodes.Step, held: Held) -> JsonObject:
    """What is stored at a hold. Spec: csml-engine-runtime §6.1. Secrets are left out."""
    kept = {name: value for name, value in frame.locals.items() if not value.is_wholly_secure}
    check_kept("variable", kept, state.limits.value_bytes, state.limits.nesting, state.spend)
    variables = {name: to_hold(value, state.spend) for name, value in kept.items()}
    return {
        "index": {"command_index": held.number, "loop_index": [*reversed(state.loops)]},
        "step_vars": variables,
        "hash": step.digest,
        "previous": _previous_json(state.previous),
        "secure": held.secure,
    }


def _previous_json(previous: Left | None) -> Json:
    if previous is None:
        return None
    return {"flow": previous.flow, "step_at_flow": [previous.record, previous.step_flow]}


def _restore(state: Run, frame: Frame, step: nodes.Step, hold: JsonObject) -> int | None:
    """Puts back what the hold kept: the number to resume behind, None to start the step again.

    The step's text must be the one that held (§7.5). Records come from the database and are not
    trusted to have any shape.
    """
    index = hold.get("index")
    number = index.get("command_index") if isinstance(index, dict) else None
    loops = index.get("loop_index") if isinstance(index, dict) else None
    if hold.get("hash") != step.digest or not isinstance(number, int):
        return None
    variables = hold.get("step_vars")
    if isinstance(variables, dict):
        for name, json in variables.items():
            frame.locals[name] = from_memory(json, restore_closure)
    state.previous = _previous_from_json(hold.get("previous"))
    kept = loops if isinstance(loops, list) else []
    state.resumed_loops = tuple(count for count in kept if isinstance(count, int))
    return number


def _previous_from_json(json: Json) -> Left | None:
    if not isinstance(json, dict):
        return None
    match json:
        case {"flow": str(flow), "step_at_flow": [dict(step), str(step_flow)]}:
            name = next(iter(step.values()), None)
            if isinstance(name, dict):
                name = name.get("step")
            return Left(flow, name, step_flow, step) if isinstance(name, str) else None
    return None
