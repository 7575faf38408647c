"""Values behave as copies: any sequence of changes gives what a language that copies gives."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.csml.talking import Talk

VARIABLES = ("x", "y", "z", "m")
"""`m` is a memory, the others are locals."""

FLOW = """
const K = [[0], {"k": [0]}]
fn grow(v) { do v.push("grown") return v }
fn twice(v) { do w = [v, v] do w[0].push("once") return w }
fn pass(v) { return v }
start:
  do x = [[1], 2] do y = {"k": [3], "l": {}} do z = [] remember m = [[4], {"k": [5]}]
"""


class Change(NamedTuple):
    """A statement, and what it does to variables that hold copies."""

    text: str


def containers(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[tuple[Any, ...], Any]]:
    """Every array and object in a variable, with the way to it."""
    if not isinstance(data, list | dict):
        return []
    keys = range(len(data)) if isinstance(data, list) else data
    found = [(path, data)]
    for key in keys:
        found += containers(data[key], (*path, key))
    return found


def written(path: tuple[Any, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A flow and what its variables hold at the end."""
    held: dict[str, Any] = {
        "x": [[1], 2], "y": {"k": [3], "l": {}}, "z": [], "m": [[4], {"k": [5]}],
    }  # fmt: skip
    constant: Any = [[0], {"k": [0]}]
    lines = []

    def place() -> tuple[str, Any]:
        name = draw(st.sampled_from(VARIABLES))
        found = containers(held[name])
        if not found:
            return name, held[name]
        path, data = draw(st.sampled_from(found))
        return name + written(path), data

    for number in range(draw(st.integers(1, 12))):
        target = draw(st.sampled_from(VARIABLES))
        source, value = place()
        value = copy.deepcopy(value)
        kind = draw(st.integers(0, 13))
        if kind == 0:
            lines.append(f"do {target} = {source}")
            held[target] = value
        elif kind == 1:
            lines.append(f"do {target} = [{source}, {source}]")
            held[target] = [value, copy.deepcopy(value)]
        elif kind == 2:
            lines.append(f'do {target} = {{"k": {source}}}')
            held[target] = {"k": value}
        elif kind == 3:
            lines.append(f"do {target} = K")
            held[target] = copy.deepcopy(constant)
        elif kind in (4, 5, 6):
            into, container = place()
            if isinstance(container, list):
                lines.append(f"do {into}.push({source})")
                container.append(value)
            elif isinstance(container, dict):
                lines.append(f"do {into}.k = {source}")
                container["k"] = value
        elif kind == 7:
            into, container = place()
            if isinstance(container, list) and container:
                lines.append(f"do {into}[0] = {source}")
                container[0] = value
        elif kind == 8 and isinstance(value, list):
            lines.append(f"do {target} = grow({source})")
            held[target] = [*value, "grown"]
        elif kind == 9 and isinstance(value, list):
            lines.append(f"do {target} = twice({source})")
            held[target] = [[*copy.deepcopy(value), "once"], value]
        elif kind == 10 and isinstance(value, list):
            lines.append(f"do {target} = {source}.map((v) {{ return v }})")
            held[target] = value
        elif kind == 11 and isinstance(value, list):
            lines.append(f"foreach (e) in {source} {{ do {target} = [e] do e = {number} }}")
            if value:
                held[target] = [value[-1]]
        elif kind == 12 and isinstance(value, list) and value:
            into, container = place()
            if isinstance(container, list) and container:
                lines.append(f"do {target} = {into}.pop()")
                held[target] = container.pop()
        elif kind == 13:
            lines.append(f"do c = () {{ return {target} }} do c = pass(c) do {target} = c()")
        if len(repr(held)) > 3_000:
            break
    return FLOW + "  " + "\n  ".join(lines) + "\n  say [x, y, z, m]", held


@settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(histories())
def test_any_changes_give_what_copies_give(history: tuple[str, dict[str, Any]]) -> None:
    flow, held = history
    assert Talk(flow)() == [("array", [held[name] for name in VARIABLES])]
