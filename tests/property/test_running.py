"""Running programs: stopping changes nothing, nothing is raised, nothing of Python is reachable."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from palaver.csml import nodes
from palaver.csml import run as run_module
from palaver.csml.failures import RunError
from palaver.csml.json_text import parse_json
from palaver.csml.limits import Limits
from palaver.csml.operators import ARITHMETIC, COMPARISONS, equal, order
from palaver.csml.printer import print_flow
from palaver.csml.program import restore_closure
from palaver.csml.source import NOWHERE
from palaver.csml.texts import from_json, from_memory, to_json, to_memory, to_text
from palaver.csml.values import KINDS, ClosureData, Items, Members, Meta, Value, content_type_of
from palaver.effects import CallFailed, Effect
from tests.property import programs, strategies
from tests.unit.csml.fakes import FakeHost
from tests.unit.csml.talking import Talk

quick = settings(
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SMALL = Limits(instructions=30_000, messages=300, value_bytes=200_000)

PLACE = re.compile(r" at line \d+, column \d+")


class DeafHost(FakeHost):
    """A world in which every call fails."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = repeat(CallFailed("https://x: Connection Failed"))  # type: ignore[assignment]

    def call(self, request: Any) -> Any:
        return next(self.answers)  # type: ignore[call-overload]


# --- stopping ----------------------------------------------------------------------------------


def whole_conversation(talk: Talk, events: int = 400) -> list[Any]:
    """Everything said until the conversation ends, places left out: a value that was stored has
    none (§12.3)."""
    heard: list[Any] = []
    for _ in range(events):
        heard += talk("e")
        if talk.record is None:
            return [PLACE.sub("", m) if isinstance(m, str) else m for m in heard]
    raise AssertionError("the conversation does not end")


@quick
@given(programs.holding_programs())
def test_stopping_at_any_hold_equals_not_stopping(program: programs.HoldingProgram) -> None:
    running, stopping = Talk(program.running), Talk(program.stopping)
    assert whole_conversation(stopping) == whole_conversation(running)
    assert without_info(stopping.remembered) == without_info(running.remembered)


def without_info(stored: Any) -> Any:
    """Memories without what is known about a Null: a hold forgets it (§9, `Or`)."""
    if isinstance(stored, dict):
        if "_additional_info" in stored:
            return without_info(stored["value"])
        return {key: without_info(member) for key, member in stored.items()}
    return [without_info(item) for item in stored] if isinstance(stored, list) else stored


@quick
@given(programs.holding_programs())
def test_a_new_process_after_every_hold_goes_on_alike(program: programs.HoldingProgram) -> None:
    kept = Talk(program.stopping)
    forgetful = Talk(program.stopping, is_forgetful=True)
    for _ in range(400):
        assert forgetful("e") == kept("e")
        assert forgetful.record == kept.record
        assert forgetful.remembered == kept.remembered
        assert forgetful.position == kept.position
        if kept.record is None:
            return


# --- whatever a program does -------------------------------------------------------------------


def whatever() -> st.SearchStrategy[str]:
    """A flow with the steps `start`, `a` and `b`, of any statements."""
    at = st.just(NOWHERE)
    steps = [
        st.builds(nodes.Step, st.just(name), strategies.blocks(2), at, at, st.just(""))
        for name in ("start", "a", "b")
    ]
    functions = st.builds(
        nodes.Function,
        st.sampled_from(["x", "user"]),
        st.just(("a_b",)),
        strategies.blocks(2),
        at,
        at,
        at,
    )
    declared = st.tuples(*steps, functions)
    return declared.map(lambda parts: print_flow(nodes.Flow("main", parts)))


def check_json(json_value: Any) -> None:
    """Exactly the types of JSON, all the way down."""
    kind = type(json_value)
    assert kind in (dict, list, str, int, float, bool, type(None)), kind
    if kind is dict:
        for key, member in json_value.items():
            assert type(key) is str
            check_json(member)
    elif kind is list:
        for item in json_value:
            check_json(item)


def check_effects(effects: list[Effect]) -> None:
    for effect in effects:
        for part in effect:
            check_json(list(part) if isinstance(part, tuple) else part)


@quick
@given(whatever(), st.lists(st.text(max_size=4), min_size=1, max_size=4))
def test_no_program_raises_or_exceeds_its_budget(flow: str, events: list[str]) -> None:
    slices: list[int] = []
    talk = Talk(flow, limits=SMALL, host=DeafHost(), on_slice=lambda: slices.append(1))
    for event in events:
        slices.clear()
        talk(event)
        assert len(slices) <= SMALL.instructions // 20_000 + 1
        assert len(talk.effects) <= SMALL.messages + 100
        check_effects(talk.effects)
        json.dumps([talk.record, talk.remembered])


@quick
@given(programs.calls(), programs.memory_sets, st.text(max_size=4))
def test_no_method_or_built_in_raises(call: str, memories: dict[str, Any], event: str) -> None:
    talk = Talk(
        f"start: do z = {call} say z say p do y = [z] do y.push(p) remember w = y hold say z",
        memories=memories,
        limits=SMALL,
        host=DeafHost(),
        env={"e": [1]},
        metadata={"d": {}},
        has_apps=True,
    )
    for _ in range(2):
        talk(event)
        check_effects(talk.effects)


# --- what an author can reach ------------------------------------------------------------------


def reachable(values: list[Value]) -> Iterator[Value]:
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        yield value
        data = value.data
        if isinstance(data, Items):
            waiting.extend(data)
        elif isinstance(data, Members):
            assert all(type(key) is str for key in data)
            waiting.extend(data.values())
        elif isinstance(data, ClosureData):
            waiting.extend(data.captured.values())
        if value.meta is not None and value.meta.info is not None:
            waiting.extend(value.meta.info.values())


def check_values(values: list[Value]) -> None:
    for value in reachable(values):
        assert type(value) is Value
        assert type(value.data) in KINDS
        assert value.meta is None or type(value.meta) is Meta
        if isinstance(value.data, int):
            assert -(2**63) <= value.data < 2**63


@pytest.fixture(scope="module")
def frames() -> Iterator[list[Any]]:
    """The frame and the memories of every hold."""
    seen: list[Any] = []
    real = run_module._record

    def record(state: Any, frame: Any, step: Any, held: Any) -> Any:
        seen.append((frame.locals, state.memories))
        return real(state, frame, step, held)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "_record", record)
        yield seen


@quick
@given(call=programs.calls(), memories=programs.memory_sets)
def test_nothing_of_python_is_reachable(
    frames: list[Any], call: str, memories: dict[str, Any]
) -> None:
    frames.clear()
    talk = Talk(
        f"start: do z = {call} do e = event.get_content() do all = _memory do f = () {{ return z }}"
        " remember w = [z, f, nope] do c = _metadata._context hold",
        memories=memories,
        limits=SMALL,
        host=DeafHost(),
    )
    talk("x")
    for variables, remembered in frames:
        check_values(list(variables.values()))
        check_values([remembered.get(name) for name in remembered])


# --- values ------------------------------------------------------------------------------------


@quick
@given(programs.json_values)
def test_json_becomes_a_value_and_comes_back(json_value: Any) -> None:
    value = from_json(json_value)
    assert repr(to_json(value)) == repr(json_value)
    check_values([value])
    if isinstance(json_value, list | dict):
        assert parse_json(to_text(value)) == json_value


@quick
@given(programs.json_values)
def test_a_memory_comes_back_as_it_was(json_value: Any) -> None:
    value = from_json(json_value)
    stored = to_memory(value)
    back = from_memory(json.loads(json.dumps(stored)), restore_closure)
    assert to_memory(back) == stored
    if not any(word in json.dumps(json_value) for word in ("_content", "_closure", "_additional")):
        assert repr(to_json(back)) == repr(json_value)
        assert content_type_of(back) == content_type_of(value)


CLOSURE = Value(restore_closure("(a) { return a }"))
leaves = programs.json_values.map(from_json) | st.sampled_from(
    [CLOSURE, Value(math.nan), Value(math.inf), Value(-0.0), Value("9" * 30), Value("inf")]
)
values = leaves | st.lists(leaves, max_size=2).map(lambda items: Value(Items(items)))


@quick
@given(values, values)
def test_operators_raise_nothing_but_run_errors(a: Value, b: Value) -> None:
    for operation in ARITHMETIC.values():
        with suppress(RunError):
            check_values([operation(a, b)])
    for compare in COMPARISONS.values():
        assert type(compare(a, b)) is bool


@quick
@given(values, values)
def test_equality_is_symmetric_and_ordering_antisymmetric(a: Value, b: Value) -> None:
    assert equal(a, b) is equal(b, a)
    assert COMPARISONS["!="](a, b) is not equal(a, b)
    there, back = order(a, b), order(b, a)
    assert (there is None) is (back is None)
    if there is not None and back is not None:
        assert (there > 0) - (there < 0) == (back < 0) - (back > 0)
        assert COMPARISONS["<="](a, b) is (COMPARISONS["<"](a, b) or there == 0)


@quick
@given(values)
def test_a_value_equals_itself_unless_it_is_nan_or_a_closure(a: Value) -> None:
    strange = any(
        isinstance(v.data, ClosureData) or (isinstance(v.data, float) and math.isnan(v.data))
        for v in reachable([a])
    )
    assert equal(a, a) is not strange
