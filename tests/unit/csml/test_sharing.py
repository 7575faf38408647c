"""Values behave as copies and are not copied. Spec: csml-language §4.1; issue 2, speed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest

from palaver.csml import values
from palaver.csml.values import Items, Members, Value
from tests.unit.csml.talking import Talk, said

# --- behaving as copies ------------------------------------------------------------------------

ALIASES: list[tuple[str, list[Any]]] = [
    ("do a = [1] do b = a do b.push(2) say a say b", [[1], [1, 2]]),
    ("do a = [1] do b = a do a.push(2) say a say b", [[1, 2], [1]]),
    ("do a = [1] do b = [a, a] do a.push(2) say b", [[[1], [1]]]),
    ("do a = [1] do b = [a, a] do b[0].push(2) say a say b", [[1], [[1, 2], [1]]]),
    ("do a = [[1]] do b = a do b[0].push(2) say a say b", [[[1]], [[1, 2]]]),
    ("do a = [[1]] do b = a[0] do b.push(2) say a say b", [[[1]], [1, 2]]),
    ("do a = [[1]] do b = a[0] do a[0].push(2) say a say b", [[[1, 2]], [1]]),
    ("do a = [1] do a.push(a) say a", [[1, [1]]]),
    ("do a = [[1]] do a.push(a[0]) do a[0].push(2) say a", [[[1, 2], [1]]]),
    ("do a = [1] do a[0] = a say a", [[[1]]]),
    ('do o = {"k": [1]} do p = o do p.k.push(2) say o.k say p.k', [[1], [1, 2]]),
    ('do o = {"k": [1]} do p = o do p.k = 2 say o.k say p.k', [[1], "2"]),
    ('do o = {} do a = [1] do o.k = a do a.push(2) say o.k', [[1]]),
    ('do o = {} do a = [1] do o.k = a do o.k.push(2) say a', [[1]]),
    ('do o = {} do a = [1] do o.insert("k", a) do a.push(2) say o.k', [[1]]),
    ("do a = [1] foreach (x) in a { do a.push(5) } say a", [[1, 5]]),
    ("do a = [[1]] foreach (x) in a { do x.push(5) say x } say a", [[1, 5], [[1]]]),
    ("do a = [[1], [2]] do r = a.reverse() do r[0].push(5) say a", [[[1], [2]]]),
    ("do a = [[1], [2]] do p = a.pop() do p.push(5) say a say p", [[[1]], [2, 5]]),
    ("do a = [[1]] do b = a.append(a) do b[0].push(5) say a say b", [[[1]], [[1, 5], [1]]]),
    ("do a = [[1]] do b = a.find([1]) do b[0].push(5) say a", [[[1]]]),
    ("do a = [[1]] do b = a.flatten() do b.push(5) say a", [[[1]]]),
    ("do a = [[1]] do b = a.one_of() do b.push(5) say a", [[[1]]]),
    ("do a = [[1]] do b = OneOf(a) do b.push(5) say a", [[[1]]]),
    ("do a = [[1]] do b = Or(a, 1) do b.push(5) say a", [[[1]]]),
    ('do o = {"k": [1]} do v = o.values() do v[0].push(5) say o.k', [[1]]),
    ("remember a = [1] do b = a do b.push(2) say a", [[1]]),
    ("do b = [1] remember a = b do b.push(2) say a", [[1]]),
    ("remember a = [[1]] do b = a[0] do b.push(2) say a", [[[1]]]),
    ("do a = [1] do m = _memory do m.a.push(2) say a", [[1]]),
    ("do a = [1] do f = () { return a } do a.push(2) say f()", [[1]]),
    ("do a = [1] do f = () { return a } do g = f do a.push(2) do b = g() do b.push(9) say a",
     [[1, 2]]),
    ("do a = [1] do b = (a as c) do c.push(2) do b.push(3) say a say b say c",
     [[1], [1, 3], [1, 2]]),
    ("do a = [1] say a == [a.pop()] say a", ["true", []]),
    ("do a = [1] use a as b do b.push(2) say a", [[1]]),
    ('do a = [1] do b = Object(k = a) do b.k.push(2) say a', [[1]]),
]  # fmt: skip


def contents(messages: list[Any]) -> list[Any]:
    return [m[1] if isinstance(m, tuple) else m for m in messages]


@pytest.mark.parametrize(("body", "wanted"), ALIASES)
def test_changing_one_variable_changes_no_other(body: str, wanted: list[Any]) -> None:
    assert contents(said(body)) == wanted


def test_a_function_changes_its_own_copy_of_an_argument() -> None:
    talk = Talk("fn f(x) { do x.push(2) return x }\nstart: do a = [1] say f(a) say a say f(f(a))")
    assert contents(talk()) == [[1, 2], [1], [1, 2, 2]]


def test_what_a_function_returns_twice_is_two_values() -> None:
    talk = Talk(
        "fn f(x) { do y = [x, x] do y[0].push(2) return y }\n"
        "start: do a = [1] do b = f(a) do c = f(a) do b.push(9) say b say c say a"
    )
    assert contents(talk()) == [[[1, 2], [1], 9], [[1, 2], [1]], [1]]


def test_a_constant_copied_to_a_variable_stays_as_it_is() -> None:
    talk = Talk("const K = [[1]]\nstart: do a = K do a[0].push(2) do a.push(3) say K say a")
    assert contents(talk()) == [[[1]], [[1, 2], 3]]
    assert contents(talk()) == [[[1]], [[1, 2], 3]]


def test_a_literal_is_made_anew_each_time() -> None:
    assert contents(said("foreach (i) in [1, 2] { do a = [0] do a.push(i) say a }")) == [
        [0, 1],
        [0, 2],
    ]


def test_what_map_and_filter_give_is_no_part_of_the_array() -> None:
    body = (
        "do a = [[1], [2]] do m = a.map((x) { do x.push(0) return x })"
        " do f = a.filter((x) { return true }) do f[0].push(7) do m[0].push(8) say a say m say f"
    )
    assert contents(said(body)) == [
        [[1], [2]],
        [[1, 0, 8], [2, 0]],
        [[1, 7], [2]],
    ]


def test_what_reduce_starts_from_stays_as_it_is() -> None:
    body = (
        "do s = [] do r = [1, 2].reduce(s, (acc, x) { do acc.push(x) return acc })"
        " do r.push(9) say s say r"
    )
    assert contents(said(body)) == [[], [1, 2, 9]]


def test_an_accumulator_kept_in_a_variable_is_a_copy() -> None:
    body = (
        "do r = [1, 2].reduce([], (acc, x) { do acc.push(kept) do kept = acc.length()"
        " do old = acc do acc.push(x) return acc }) say r.length()"
    )
    assert said(body)[-1] == "4"


# --- not being copied --------------------------------------------------------------------------


class Copies:
    """Counts copies of containers and how many members they had."""

    def __init__(self) -> None:
        self.count = 0
        self.members = 0


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> Copies:
    counted = Copies()
    real: Callable[[Value], Value] = values.own_copy

    def own_copy(value: Value) -> Value:
        if isinstance(value.data, Items | Members):
            counted.count += 1
            counted.members += len(value.data)
        return real(value)

    for name, module in list(sys.modules.items()):
        if name.startswith("palaver.csml") and getattr(module, "own_copy", None) is real:
            monkeypatch.setattr(module, "own_copy", own_copy)
    return counted


N = 200
COUNT = f"do i = 0 while (i < {N}) {{ do i += 1 BODY }}"

LINEAR: list[tuple[str, str]] = [
    ("pushing", "do a = [] " + COUNT.replace("BODY", "do a.push(i)") + " say a.length()"),
    ("pushing to a memory",
     "remember a = [] " + COUNT.replace("BODY", "do a.push(i)") + " say a.length()"),
    ("pushing to a member",
     'do o = {"l": []} ' + COUNT.replace("BODY", "do o.l.push(i)") + " say o.l.length()"),
    ("pushing and looking",
     "do a = [] " + COUNT.replace("BODY", "do a.push(i) if (a.length() < 0) say a[0]")
     + " say a.length()"),
    ("replacing a member",
     'do o = {"n": 0} ' + COUNT.replace("BODY", "do o.n = i") + " say o.n"),
    ("adding members",
     'do o = {} ' + COUNT.replace("BODY", 'do o["k{{i}}"] = i') + " say o.length()"),
    ("counting in a member",
     'do o = {"n": 0} ' + COUNT.replace("BODY", "do o.n += 1") + " say o.n"),
    ("replacing an element",
     f"do a = [].init({N}) " + COUNT.replace("BODY", "do a[i - 1] = i") + f" say a[{N - 1}]"),
    ("deep members",
     'do o = {"a": [{"n": 0}]} ' + COUNT.replace("BODY", "do o.a[0].n = i") + " say o.a[0].n"),
    ("building a text",
     'do s = "" ' + COUNT.replace("BODY", 'do s = "{{s}}x"') + " say s.length()"),
    ("a loop over what is pushed to",
     f"do a = [].init({N // 2}) foreach (x) in a {{ do a.push(x) }} say a.length()"),
    ("reduce with push",
     f"do r = [].init({N}).reduce([], (acc, x) {{ do acc.push(x) return acc }}) say r.length()"),
    ("popping", f"do a = [].init({N}) while (a.length() > 0) {{ do a.pop() }} say {N}"),
    ("map", f"do a = [].init({N}) do b = a.map((x) {{ return 1 }}) say b.length()"),
    ("comparing in between",
     "do a = [] " + COUNT.replace("BODY", "do a.push(i) if (a == 5) say 1") + " say a.length()"),
    ("asking its length in between",
     "do a = [] " + COUNT.replace("BODY", "do a.push(i) if (Length(a) < 0) say 1")
     + " say a.length()"),
    ("a condition in between",
     "do a = [] " + COUNT.replace("BODY", "do a.push(i) if (!a) say 1") + " say a.length()"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "body"), LINEAR, ids=[what for what, _ in LINEAR])
def test_work_in_a_loop_copies_once_at_most(what: str, body: str, copies: Copies) -> None:
    assert said(body) == [str(N)]
    assert copies.count <= 2
    assert copies.members <= N


def test_calling_a_function_does_not_copy_its_arguments(copies: Copies) -> None:
    talk = Talk(
        f"fn f(x) {{ return x.length() + x[0] }}\n"
        f"start: do a = [].init({N}) do a[0] = 1 {COUNT.replace('BODY', 'do f(a)')} say f(a)"
    )
    assert talk() == [str(N + 1)]
    assert copies.count <= 1  # what `init` made is changed


PASSED: list[tuple[str, str, int]] = [
    ("looked at by a function", f"do a = [] {COUNT.replace('BODY', 'do n = size(a) do a.push(i)')}"
     " say a.length()", N),
    ("looked at in a function's function",
     f"do a = [] {COUNT.replace('BODY', 'do n = outer(a) do a.push(i)')} say a.length()", N),
    ("handed to a function and back", f"do a = [] {COUNT.replace('BODY', 'do a = add(a, i)')}"
     " say a.length()", N),
    ("handed through two functions", f"do a = [] {COUNT.replace('BODY', 'do a = again(a, i)')}"
     " say a.length()", N),
    ("an object handed to a function and back",
     f"do o = {{}} {COUNT.replace('BODY', 'do o = put(o, i)')} say o.length()", N),
    ("a member looked at", f"do o = {{\"l\": []}} "
     f"{COUNT.replace('BODY', 'do n = size(o.l) do o.l.push(i)')} say o.l.length()", N),
    ("a memory looked at", f"remember a = [] {COUNT.replace('BODY', 'do n = size(a) do a.push(i)')}"
     " say a.length()", N),
    ("kept by a variable that is gone",
     f"do a = [] {COUNT.replace('BODY', 'do b = a do b = 0 do a.push(i)')} say a.length()", N),
    ("called by a closure", "do f = (x) { return x.length() } do a = [] "
     f"{COUNT.replace('BODY', 'do n = f(a) do a.push(i)')} say a.length()", N),
]  # fmt: skip

HELPERS = (
    "fn size(a) { return a.length() }\nfn outer(a) { return size(a) }\n"
    "fn add(a, x) { do a.push(x) return a }\nfn again(a, x) { do a = add(a, x) return a }\n"
    'fn put(o, x) { do o["k{{x}}"] = x return o }\n'
)


@pytest.mark.parametrize(("what", "body", "wanted"), PASSED, ids=[what for what, _, _ in PASSED])
def test_what_a_function_saw_is_not_copied_when_it_changes(
    what: str, body: str, wanted: int, copies: Copies
) -> None:
    assert Talk(f"{HELPERS}start: {body}")() == [str(wanted)]
    assert copies.count <= 1


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ("do a = [1] do b = a do a = add(a, 2) say a say b", [[1, 2], [1]]),
        ("do a = [1] do a = add(a, a) say a", [[1, [1]]]),
        ("do a = [1] do a = add(a, [a]) say a", [[1, [[1]]]]),
        (
            "do a = [[1]] do b = a[0] do a = add(a, 2) do a[0].push(3) say a say b",
            [[[1, 3], 2], [1]],
        ),
        (
            "do f = () { return a } do a = [1] do f = () { return a } do a = add(a, 2) say a say f()",
            [[1, 2], [1]],
        ),
        ("do a = [1] do a = keep(a) say a", [[[1, 7], [1]]]),
        ("remember a = [1] do a = add(a, 2) say a", [[1, 2]]),
        ("remember a = [1] use [5] as a do a = add(a, 2) say a forget a", [[5, 2]]),
        ('do a = [1] do a = nothing(a) say a say Exists("a")', [None, "true"]),
        ("do a = [1] do a = add(a, Length(a)) say a", [[1, 1]]),
        ("do a = [1] do a = add(_memory.a, a) say a", [[1, [1]]]),
        ("do a = K do a = add(a, 2) say a say K", [[1, 2], [1]]),
    ],
)
def test_what_is_handed_to_a_function_is_still_a_copy(body: str, wanted: list[Any]) -> None:
    helpers = (
        "const K = [1]\nfn keep(a) { do b = a do a.push(7) return [a, b] }\nfn nothing(a) { }\n"
    )
    talk = Talk(f"{HELPERS}{helpers}start: {body}")
    assert contents(talk()) == wanted


def test_a_secret_that_a_function_adds_leaves_the_variable_as_it_was() -> None:
    talk = Talk(f"{HELPERS}start: do a = [1] hold_secure do a = add(a, event) say a")
    talk()
    assert talk("s3cret")[1:] == [("array", [1])]


def test_a_returned_local_is_handed_over(copies: Copies) -> None:
    talk = Talk(
        f"fn make() {{ do a = [] {COUNT.replace('BODY', 'do a.push(i)')} return a }}\n"
        "start: do b = make() do b.push(0) say b.length()"
    )
    assert talk() == [str(N + 1)]
    assert copies.count == 0


def test_an_object_passed_through_functions_is_copied_once_when_it_changes(copies: Copies) -> None:
    talk = Talk(
        'fn f(x) { do x.n += 1 return x }\nstart: do o = {"n": 0} do p = f(o) say p.n say o.n'
    )
    assert talk() == ["1", "0"]
    assert copies.count == 1


def test_reading_everything_copies_nothing(copies: Copies) -> None:
    body = (
        f'do a = [].init({N}) do o = {{"a": a}} do b = o.a do c = [a, b, o] remember m = c'
        ' say "{{c.length()}}" foreach (x) in c { do d = x } say o.a.length() say a == b'
    )
    assert said(body) == ["3", str(N), "true"]
    assert copies.count == 0


def test_a_method_that_only_reads_copies_nothing_of_the_event(copies: Copies) -> None:
    talk = Talk("start: say event.list.length() say _metadata.l.length() say _env.l.length()")
    talk.metadata, talk.env = {"l": [1]}, {"l": [1, 2]}
    assert talk("x", content={"text": "x", "list": [1] * N}) == [str(N), "1", "2"]
    assert copies.count == 0
