"""Values nested as deep as a loop ran: whatever is done to one, the turn ends in an orderly way.

Every method of every table, every built-in and component, every statement and operator. What
leaves the program is never nested deeper than `max_json_depth`, or the error names that setting.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver.csml.limits import Limits
from palaver.csml.run import allow_depth
from palaver.csml.stdlib.components import NATIVE
from palaver.csml.stdlib.library import BUILTINS
from palaver.csml.stdlib.methods import BY_ROOT, BY_TYPE, EVENT
from palaver.effects import Fail, HttpAnswer, HttpRequest, Remember, Say
from tests.unit.csml.fakes import FakeHost
from tests.unit.csml.talking import Talk

LIMITS = Limits(value_bytes=1_000_000, nesting=20)
allow_depth(LIMITS)  # for the whole process: not in a test, where hypothesis minds the limit

NAMED = {"max_json_depth", "max_value_bytes", "max_instructions", "max_compared", None}
"""Limits that may end a turn here; `max_depth` stands for Python's own, which nothing may meet."""

SHELLS = ("[a]", '{"k": a}', '[1, a, "x"]', '{"content": a, "accepts": a}', "[].append([a])",
          "() { return a }", "Button(a)", "[a, a]", 'Object(k = a)')  # fmt: skip

TABLES = (*BY_TYPE.values(), *BY_ROOT.values(), EVENT)

METHODS = sorted({name for table in TABLES for name in table})

ROOTS = ("a", "[a]", '{"k": a}', "inner", 'HTTP("http://x")', "JWT(a)", "Crypto(a)",
         'HTTP("http://x").post(a)', "Button(a)", "Time()", '"x"', "event", "SMTP(a)")  # fmt: skip

ARGUMENTS = ("", "a", '"k"', "0", "a, a", '"k", a', "0, a", 'a, "HS256", "k"', '"HS256", "k", a',
             "(x) { return a }", "a, (x, y) { return [x, a] }", '"HS256", "k"')  # fmt: skip

CALLS = (*BUILTINS, *NATIVE, "Component.Note", "f", "nobody")

USES = (
    "say X", "debug X", "log X", "remember m = X", "do v = X hold", 'say "{{a}}"', "use X as v hold",
    "say X == X", "say X != [X]", "say X < X", "say X >= [X]", "say X match X", "say [X] match [X]",
    "if (X) { say 1 }", "foreach (e) in X { say e }", "do a[0] = X say a", "do a.k = X hold",
    "do a.push(X) remember m = a", "say X + X", 'do s = "" do s += X', "say [X, 1].join(X)",
    "say X.to_string().from_json()", "say a[X]", "goto $a", "return X", "say !X", "say Or(X, 1)",
    "do g = (x) { return x } say g(X)", "remember m = () { return a }", 'say f(X) say X.k.k',
)  # fmt: skip


def deep(shell: str, levels: int, use: str) -> Talk:
    return Talk(
        "fn f(x) { return [x] }\n"
        f"start: do a = [1] do i = 0 while (i < {levels}) {{ do i += 1 do a = {shell} }} {use}",
        limits=LIMITS,
        components={"Note": {"params": [{"text": {"type": "Object"}}, {"l": {"type": "Array"}}]}},
        host=FakeHost(answers=[HttpAnswer(200, {}, '{"data": ' + "[" * 30 + "]" * 30 + "}")] * 9),
        has_apps=True,
    )


def levels_of(document: Any) -> int:
    """Arrays and objects within one another."""
    level, count = [document], 0
    while level := [
        child
        for node in level
        if isinstance(node, dict | list)
        for child in (node.values() if isinstance(node, dict) else node)
    ]:
        count += 1
    return count


def check(talk: Talk) -> None:
    """Plays one event; what came out is in order."""
    talk("hi")
    assert talk.limit in NAMED, talk.failure
    if talk.limit is not None:
        assert talk.limit in talk.failure.text  # type: ignore[union-attr]
    for effect in talk.effects:
        if isinstance(effect, Say):
            assert levels_of(effect.payload) <= 2 * LIMITS.nesting + 4
            msgspec.json.encode(effect.payload)
        elif isinstance(effect, Remember):
            json.loads(json.dumps(effect.value))
    for request in talk.host.calls:  # type: ignore[attr-defined]
        if isinstance(request, HttpRequest) and request.body:
            assert levels_of(json.loads(request.body)) <= 2 * LIMITS.nesting
    if talk.hold is not None:
        talk("again")
        assert talk.limit in NAMED


shells = st.sampled_from(SHELLS)
depths = st.sampled_from([1, 18, 19, 20, 21, 40, 300, 3000])
uses = st.sampled_from(USES)


@settings(deadline=None)
@given(shells, depths, uses, st.sampled_from(["a", "[a]", '{"k": a}']))
def test_every_statement_bears_a_deep_value(shell: str, levels: int, use: str, x: str) -> None:
    check(deep(shell, levels, use.replace("X", x)))


@settings(deadline=None)
@given(shells, depths, st.data())
def test_every_method_bears_a_deep_value(shell: str, levels: int, data: st.DataObject) -> None:
    root, name = data.draw(st.sampled_from(ROOTS)), data.draw(st.sampled_from(METHODS))
    call = f"{root}.{name}({data.draw(st.sampled_from(ARGUMENTS))})"
    start = "do inner = a[0] " if root == "inner" else ""
    check(deep(shell, levels, start + data.draw(uses).replace("X", call)))


@settings(deadline=None)
@given(shells, depths, st.data())
def test_every_call_bears_a_deep_value(shell: str, levels: int, data: st.DataObject) -> None:
    arguments = data.draw(st.sampled_from([*ARGUMENTS, "text = a, l = a", '"x", buttons = a']))
    call = f"{data.draw(st.sampled_from(CALLS))}({arguments})"
    check(deep(shell, levels, data.draw(uses).replace("X", call)))


@pytest.mark.parametrize("name", METHODS)
def test_each_method_as_receiver_and_argument(name: str) -> None:
    for shell in ("[a]", '{"k": a}'):
        for arguments in ("", "a", '"k", a'):
            check(deep(shell, 3000, f"say a.{name}({arguments})"))
            check(deep(shell, 3000, f'say {{"text": 1}}.{name}({arguments})'))


@pytest.mark.parametrize("name", CALLS)
def test_each_call_with_a_deep_argument(name: str) -> None:
    for shell in ("[a]", '{"k": a}'):
        for arguments in ("a", '"x", a', "text = a", '"x", p = a'):
            check(deep(shell, 3000, f"say {name}({arguments})"))


@pytest.mark.parametrize(
    "use", ["say a", 'say "{{a}}"', "remember m = a", "hold", "debug a", "log a",
            'say HTTP("http://x").post(a).send()', 'say App("x", p = a)', "say Button(a)",
            'say JWT(a).sign("HS256", "k")', "say a.to_string()", "remember f = () { return a }"],
)  # fmt: skip
def test_the_error_names_the_setting_and_the_line(use: str) -> None:
    talk = deep("[a]", 18, f"\n {use}")
    talk()
    assert talk.limit is None, talk.failure
    talk = deep("[a]", 21, f"\n {use}")
    talk()
    assert talk.limit == "max_json_depth"
    failure = [effect for effect in talk.effects if isinstance(effect, Fail)][-1]
    assert "nested deeper than max_json_depth (20)" in failure.text
    assert " at line 0" not in failure.text
