"""No program takes more than its budget: every limit ends the turn by its name and line.

Each bomb would run for minutes, or fill the machine, if its limit did not end it (product.md §7).
"""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml.failures import BudgetExceeded
from palaver.csml.limits import Limits
from palaver.csml.run import allow_depth
from tests.unit.csml.fakes import FakeHost
from tests.unit.csml.talking import Talk


def blow(flow: str, **options: Any) -> Talk:
    """Runs a program that must end by a limit."""
    talk = Talk(flow, limits=options.pop("limits", Limits(instructions=200_000)), **options)
    talk("a" * options.pop("event", 1))
    assert talk.failure is not None, "no limit ended it"
    return talk


def at_line(talk: Talk) -> int:
    assert talk.failure is not None
    return int(talk.failure.text.rpartition(" at line ")[2].partition(",")[0])


# --- instructions ------------------------------------------------------------------------------

ENDLESS: list[tuple[str, str]] = [
    ("a while", "start:\n  while (true) { }"),
    ("a while with work", "start:\n  while (true) { do x = 1 }"),
    ("nested loops", "start:\n  do a = [].init(2000)\n"
     "  foreach (i) in a { foreach (j) in a { do x = 1 } }"),
    ("a foreach over what grows", "start:\n  do a = [1]\n"
     "  while (true) { foreach (x) in a { do a.push(x) } }"),
    ("a function", "fn f(x) {\n  while (true) { do x = 1 }\n}\nstart: do f(1)"),
    ("functions that call many", "fn f(n) {\n  if (n > 0) { do f(n - 1) do f(n - 1) }\n}\n"
     "start: do f(60)"),
    ("a closure", "start:\n  do a = [].init(1000)\n"
     "  do a.map((x) { return a.map((y) { return a.map((z) { return 1 }) }) })"),
    ("a reduce", "start:\n  do a = [].init(2000)\n"
     "  while (true) { do a.reduce(0, (acc, x) { return acc }) }"),
    ("finding", "start:\n  do a = [].init(10000)\n  while (true) { do a.find(5) }"),
    ("matching", "start:\n  do a = [].init(10000)\n  while (true) { if (5 match a) say 1 }"),
    ("long texts", "start:\n  do s = \"{{[].init(20000)}}\"\n"
     "  while (true) { do t = \"{{s}}!\" }"),
    ("steps of many", "start:\n  foreach (x) in [].init(9000) { do y = [].init(9000) }"),
    ("slices", "start:\n  do a = [].init(100000)\n  while (true) { do b = a.slice(0) }"),
    ("removals at the front", "start:\n  do a = [].init(90000)\n"
     "  while (true) { do a.remove_at(0) do a.push(1) }"),
    ("copies", "start:\n  do a = [].init(90000)\n  while (true) { do b = a do b.push(1) }"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "flow"), ENDLESS, ids=[what for what, _ in ENDLESS])
def test_work_without_end_ends_by_the_number_of_instructions(what: str, flow: str) -> None:
    talk = blow(flow)
    assert talk.limit == "max_instructions"
    assert "needs more than max_instructions (200000)" in str(talk.failure)


def test_the_line_of_the_loop_is_named() -> None:
    assert at_line(blow("start:\n  say 1\n  while (true) { do x = 1 }")) == 3
    assert at_line(blow("start:\n\n  while (true) { foreach (x) in [1, 2] {\n do x = 1 } }")) in (
        3,
        3,
    )


def test_what_was_said_before_a_limit_stays_said() -> None:
    talk = Talk("start: say 1 remember x = 2 while (true) { }", limits=Limits(instructions=1000))
    assert talk()[0] == "1"
    assert talk.remembered == {"x": 2}
    flow = "start: say 1 remember x = [].init(3000) while (true) { }"
    talk = Talk(flow, limits=Limits(instructions=20_000))
    assert talk()[0] == "1"
    assert talk.remembered == {"x": [None] * 3000}


def test_a_budget_is_no_error_that_a_condition_swallows() -> None:
    talk = blow("fn f() { while (true) { } }\nstart: if (f()) { say 1 } say !f() say 2")
    assert talk.limit == "max_instructions"


def test_a_budget_is_no_error_that_map_softens() -> None:
    assert blow("start: do [1].map((x) { while (true) { } }) say 2").limit == "max_instructions"
    assert blow("start: do x = 1 do x += [1].map((x) { while (true) { } })").limit


def test_a_little_work_needs_no_look_at_the_clock() -> None:
    looks: list[int] = []
    talk = Talk("start: do i = 0 while (i < 100) { do i += 1 }", on_slice=lambda: looks.append(1))
    talk()
    assert looks == []
    talk = Talk("start: do i = 0 while (i < 50000) { do i += 1 }", on_slice=lambda: looks.append(1))
    talk()
    assert 2 <= len(looks) <= 20


def test_the_clock_may_end_a_turn_at_its_line() -> None:
    def late() -> None:
        raise BudgetExceeded("the turn computes too long", "turn_compute_s")

    talk = Talk("start:\n  while (true) { }", on_slice=late)
    assert talk() == ["!! the turn computes too long at line 2, column 3 at flow [main]"]
    assert talk.limit == "turn_compute_s"


# --- sizes -------------------------------------------------------------------------------------

SMALL = Limits(instructions=1_000_000, value_bytes=100_000)

HUGE: list[tuple[str, str]] = [
    ("a doubling text", 'start:\n  do s = "x"\n  while (true) { do s = "{{s}}{{s}}" }'),
    ("an added text", 'start:\n  do s = "x"\n  while (true) { do s = s + s }'),
    ("a compound text", 'start:\n  do s = "x"\n  while (true) { do s += s }'),
    ("a doubling array", "start:\n  do a = [1]\n  while (true) { do a = a.append(a) }"),
    ("a huge init", "start:\n  do a = [].init(9223372036854775807)"),
    ("a replacement", 'start:\n  do s = "a"\n  while (true) { do s = s.replace_all("a", "aa") }'),
    ("a text of a bomb", "start:\n  do a = [1]\n  do i = 0\n"
     "  while (i < 60) { do i += 1 do a = [a, a] }\n  say \"{{a}}\""),
    ("joining a bomb", "start:\n  do a = [1]\n  do i = 0\n"
     "  while (i < 60) { do i += 1 do a = [a, a] }\n  say a.join(\",\")"),
    ("JSON of a bomb", "start:\n  do a = [1]\n  do i = 0\n"
     "  while (i < 60) { do i += 1 do a = [a, a] }\n  say a.to_string().length()"),
    ("a text joined of many", 'start:\n  do s = "{{[].init(100)}}"\n'
     '  do a = [].init(1000)\n  say a.join(s)'),
]  # fmt: skip


@pytest.mark.parametrize(("what", "flow"), HUGE, ids=[what for what, _ in HUGE])
def test_a_value_that_grows_without_end_ends_the_turn(what: str, flow: str) -> None:
    talk = blow(flow, limits=SMALL)
    assert talk.limit in ("max_value_bytes", "max_instructions")
    assert talk.limit is not None
    assert talk.limit in talk.failure.text  # type: ignore[union-attr]


@pytest.mark.parametrize("keep", ["remember", "do"])
def test_a_bomb_is_neither_stored_nor_held(keep: str) -> None:
    talk = blow(
        "start:\n  remember ok = 1\n  do a = [1]\n  do i = 0\n"
        f"  while (i < 60) {{ do i += 1 do a = [a, a] }}\n  {keep} b = a\n  hold",
        limits=SMALL,
    )
    assert talk.limit == "max_value_bytes"
    assert talk.hold is None
    assert "b" not in talk.memories


def test_saying_a_bomb_is_fatal() -> None:
    talk = blow(
        "start:\n  do a = [1]\n  do i = 0\n  while (i < 60) { do i += 1 do a = [a, a] }\n  say a"
    )
    assert "payload exceeds max payload size (16kb) at line 4" in talk.failure.text  # type: ignore[union-attr]


def test_comparing_bombs_ends_the_turn() -> None:
    talk = blow(
        "start:\n  do a = [1] do b = [1]\n  do i = 0\n"
        "  while (i < 60) { do i += 1 do a = [a, a] do b = [b, b] }\n  say a == b",
        limits=Limits(instructions=300_000),
    )
    assert talk.limit in ("max_compared", "max_instructions")


def test_another_payload_limit_is_named() -> None:
    talk = blow('start:\n  say "{{event}}{{event}}"', limits=Limits(payload_bytes=1))
    assert talk.limit == "max_payload_bytes"
    assert at_line(talk) == 2


def test_too_many_messages_end_the_turn() -> None:
    talk = Talk("start:\n  while (true) { say 1 }", limits=Limits(messages=5))
    messages = talk()
    assert messages[:5] == ["1"] * 5
    assert "the turn says more than max_messages (5)" in messages[5]
    assert talk.limit == "max_messages"


@pytest.mark.parametrize(
    "statement",
    [
        "say 1",
        "say i",
        "debug i",
        "say missing",
        'do x = "a".nope()',
        "do Button()",
        'say Button("b")',
    ],
)
def test_too_many_messages_are_reported_where_they_are_said(statement: str) -> None:
    flow = f"start: do i = 1\n  while (true) {{\n  {statement}\n }}"
    talk = blow(flow, limits=Limits(messages=5))
    assert talk.limit == "max_messages"
    assert at_line(talk) == 3


def test_soft_errors_count_as_messages_and_logs_do_not_grow_without_end() -> None:
    talk = Talk("start: while (true) { do nope.x }", limits=Limits(messages=5))
    assert len(talk()) == 6
    talk = Talk("start: do i = 0 while (i < 99) { do i += 1 log i }", limits=Limits(messages=5))
    talk()
    assert len(talk.logs) == 5


# --- depth -------------------------------------------------------------------------------------

DEEP: list[tuple[str, str]] = [
    ("a function", "fn f(n) {\n  return f(n + 1)\n}\nstart: say f(1)"),
    ("two functions", "fn f(n) { return g(n) }\nfn g(n) { return f(n) }\nstart: say f(1)"),
    ("in a condition", "fn f(n) { if (f(n)) { return 1 } }\nstart: say f(1)"),
    ("in arguments", "fn f(n) { return f(f(n)) }\nstart: say f(1)"),
    ("in a closure", "fn f(n) { return [n].map((x) { return f(x) }) }\nstart: say f(1)"),
    ("in deep expressions",
     "fn f(n) { return [[[[[[[[f([[[[n]]]])]]]]]]]] }\nstart: say f(1)"),
    ("in a reduce", "fn f(n) { return [1, 2].reduce(0, (a, x) { return f(x) }) }\nstart: say f(1)"),
    ("in a loop", "fn f(n) { foreach (i) in [1] { while (true) { do f(i) } } }\nstart: say f(1)"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "flow"), DEEP, ids=[what for what, _ in DEEP])
def test_recursion_without_end_ends_by_its_depth(what: str, flow: str) -> None:
    talk = blow(flow, limits=Limits())
    assert talk.limit == "max_depth"
    assert "max_depth (300)" in talk.failure.text  # type: ignore[union-attr]


def test_recursion_may_be_as_deep_as_the_limit_says() -> None:
    allow_depth(Limits())
    flow = "fn f(n) { if (n < 2) { return 1 } return f(n - 1) + 1 }\nstart: say f(event.to_int())"
    assert Talk(flow)("300") == ["300"]
    assert "max_depth (300)" in Talk(flow)("301")[0]


def test_a_call_that_failed_in_a_condition_leaves_no_depth_behind() -> None:
    flow = (
        "fn bad(n) { return null + n }\n"
        "start: do i = 0 while (i < 1000) { do i += 1 if (bad(1)) { say 0 } } say i"
    )
    assert Talk(flow)() == ["1000"]


def test_a_deep_value_is_refused_where_it_would_be_walked() -> None:
    flow = (
        "start:\n  do a = [1]\n  do i = 0\n"
        '  while (i < 5000) {{ do i += 1 do a = [a] }}\n  {}\n  say "still here"'
    )
    for use in ("say a", 'say "{{a}}"', "remember b = a", "do b = a.to_string()", "say a == [a]",
                "do c = a == a", "say a.to_yaml()", "log a", "debug a", "hold",
                "say a.flatten().length()", "do b = Base64(a)"):  # fmt: skip
        talk = Talk(flow.format(use))
        found = talk()
        assert all(message is None or isinstance(message, str) for message in found), use


# --- regular expressions -----------------------------------------------------------------------

REGEX = [
    'say event.match_regex("^(a+)+$")',
    'say event.match_regex("(a|aa)*b")',
    'say event.contains_regex("(.*a){30}b")',
    'say event.replace_regex("(a*)*c", "x").length()',
    'say event.match_regex("(a?){50}a{50}b")',
    'do p = "(" do i = 0 while (i < 10) { do i += 1 do p = "({{p}}" } say event.match_regex(p)',
    'say event.match_regex("((a{0,100}){0,100}){0,100}b")',
]


@pytest.mark.parametrize("body", REGEX)
def test_an_expression_ends_by_itself_or_by_the_limit_of_instructions(body: str) -> None:
    talk = Talk(f"start: {body}")
    talk("a" * 20_000)
    named = "payload exceeds", "max_instructions"
    assert talk.failure is None or any(limit in talk.failure.text for limit in named)


def test_a_bomb_of_xml_or_yaml_does_not_go_off() -> None:
    laughs = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><l>&b;</l>'
    anchors = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"
    for document in (laughs, anchors):
        talk = Talk("start: say event.to_json().to_string().length()")
        talk(document)
        assert talk.failure is None


# --- several bombs at once ---------------------------------------------------------------------


def test_calls_of_the_outside_have_no_budget_of_instructions() -> None:
    talk = Talk("start: say Time().unix() > 0", limits=Limits(instructions=100))
    assert talk() == ["true"]


def test_a_limit_reached_in_a_condition_or_an_index_is_fatal_at_once() -> None:
    busy = "fn f() { while (true) { } }\nstart: do a = [1] "
    for use in ("while (f()) { say 1 }", "say a[f()]", "do a.push(f())", "say Length(f())"):
        talk = blow(busy + use)
        assert talk.limit == "max_instructions"
        assert len(talk.effects) == 1


# --- texts that are kept ------------------------------------------------------------------------


class Machine(FakeHost):
    """A machine of whose memory the process takes `step` bytes more at every look."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def memory_bytes(self) -> int:
        self.memory += self.step
        return self.memory


MAKERS = [
    's + "x"', '"{{s}}x"', 's.append("x")', "s.slice(1)", 's.replace("a", "b")', "s.trim()",
    "s.to_uppercase()", 's.split("b")', "quoted.from_json()", '[s, s].join("")', 'HTTP("u").auth(s, s)',
]  # fmt: skip
LONG = 'start: do s = "{{[].init(9000)}}a " do quoted = [s].to_string() do i = 0\n'


@pytest.mark.parametrize("made", MAKERS)
def test_a_turn_may_not_keep_gigabytes_of_texts(made: str) -> None:
    flow = LONG + f"  do kept = [] while (true) {{ do kept.push({made}) }}"
    limits = Limits(instructions=2_000_000, value_bytes=1 << 17)
    talk = blow(flow, limits=limits, host=Machine(1 << 20))
    assert talk.limit == "max_value_bytes"
    assert "keeps texts" in str(talk.failure)
    assert at_line(talk) == 2


@pytest.mark.parametrize("made", MAKERS)
def test_texts_that_are_dropped_cost_no_memory(made: str) -> None:
    flow = LONG + f"  while (i < 1000) {{ do i += 1 do t = {made} }} say i"
    limits = Limits(value_bytes=1 << 17)
    talk = Talk(flow, limits=limits, host=Machine(0))
    assert talk() == ["1000"]


@pytest.mark.parametrize(
    ("made", "most"),
    [
        ('Crypto("a").create_hash("sha512")', 15),
        ('HTTP("u")', 50),
        ("JWT(1)", 80),
        ('SMTP("h")', 80),
    ],
)
def test_objects_of_a_kilobyte_are_not_made_by_the_thousand(made: str, most: int) -> None:
    flow = f"start: do kept = [] while (true) {{ do kept.push({made}) remember n = kept.length() }}"
    talk = blow(flow, limits=Limits(instructions=1_000))
    assert talk.limit == "max_instructions"
    assert talk.remembered["n"] < most


# --- work that grows with what it works on -----------------------------------------------------

GROWING: list[tuple[str, str]] = [
    ("texts joined", 'do s = ""', 'do s = s + "x"'),
    ("texts joined in place", 'do s = ""', 'do s += "x"'),
    ("texts in texts", 'do s = ""', 'do s = "{{s}}x"'),
    ("a text appended to", 'do s = ""', 'do s = s.append("x")'),
    ("the end of a text", "do s = big", "do t = s.slice(i % 90000)"),
    ("a character replaced", "do s = big", 'do s[i % 90000] = "y"'),
    ("a part replaced", "do s = big", 'do s = s.replace("null", "x")'),
    ("an array remembered as it grows", "do a = []", "do a.push(i) remember m = a"),
    ("an array captured as it grows", "do a = []", "do f = () { return a } do a.push(i)"),
    ("an array kept twice", "do a = []", "do a.push(i) use a as b"),
    ("a member kept twice", 'do o = {"a": []}', "do o.a.push(i) do x = o.a"),
    ("an object kept twice", "do o = {}", 'do o["k{{i}}"] = i do p = o'),
    ("a closure that gives it back",
     "do a = [] do f = (x, y) { do x.push(y) return x }", "do a = f(a, i)"),
    ("new arrays", "do a = []", "do a = a.append([i])"),
    ("pushing at the front", "do a = [].init(90000)", "do a.insert_at(0, i)"),
    ("JSON of what grows", "do a = []", "do a.push(i) do s = a.to_string()"),
    ("comparing what grows", "do a = []", "do a.push(i) do z = a == a"),
    ("names of what grows", "do o = {}", 'do o["k{{i}}"] = i do k = o.keys()'),
    ("searching", "do a = [].init(9000)", "do z = a.index_of(1)"),
    ("matching", "do a = [].init(9000)", "do z = 1 match a"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "start", "body"), GROWING, ids=[g[0] for g in GROWING])
def test_work_that_grows_is_charged_as_it_grows(what: str, start: str, body: str) -> None:
    talk = Talk(
        f'start: do big = "{{{{[].init(20000)}}}}" {start} do i = 0\n'
        f"  while (i < 100000) {{ do i += 1\n {body} }}",
        limits=Limits(instructions=1_000_000),
    )
    talk()
    assert talk.limit == "max_instructions"
    assert at_line(talk) in (2, 3)


STEADY: list[tuple[str, str, str]] = [
    ("pushing", "do a = []", "do a.push(i)"),
    ("pushing to a memory", "remember a = []", "do a.push(i)"),
    ("pushing deep inside", 'do o = {"a": {"b": []}}', "do o.a.b.push(i)"),
    ("pushing what a function saw", "do a = []", "do n = size(a) do a.push(i)"),
    ("a function that gives it back", "do a = []", "do a = add(a, i)"),
    ("new members", "do o = {}", 'do o["k{{i}}"] = i'),
    ("a loop that is left", "do a = []", "do a.push(i) foreach (x) in a { break }"),
    ("a member of what grows", "do a = []", "do a.push(i) do x = a[i - 1]"),
    ("nests", "do a = []", "do a = [a, i]"),
]


@pytest.mark.parametrize(("what", "start", "body"), STEADY, ids=[g[0] for g in STEADY])
def test_work_that_does_not_grow_is_not_charged_more(what: str, start: str, body: str) -> None:
    def spent(times: int) -> int:
        slices: list[int] = []
        talk = Talk(
            "fn size(a) { return a.length() }\nfn add(a, x) { do a.push(x) return a }\n"
            f"start: {start} do i = 0 while (i < {times}) {{ do i += 1 {body} }} say i",
            on_slice=lambda: slices.append(1),
        )
        assert talk() == [str(times)]
        return len(slices)

    assert spent(40_000) <= 2 * spent(20_000) + 1


# --- giving way --------------------------------------------------------------------------------

MANY = "[" + "1," * 200_000 + "1]"

LONG_WORK: list[tuple[str, str]] = [
    ("reading JSON", "do z = event.from_json()"),
    ("remembering", "remember z = event.from_json()"),
    ("holding", "do z = event.from_json() hold"),
    ("joining", 'do z = event.from_json().join(",")'),
    ("reversing", "do z = event.from_json().reverse()"),
    ("shuffling", "do z = event.from_json().shuffle()"),
    ("a part", "do z = event.from_json().slice(1)"),
    ("two together", "do a = event.from_json() do z = a.append(a)"),
    ("searching", "do z = event.from_json().index_of(2)"),
    ("writing YAML", 'do z = {"a": event.from_json()}.to_yaml()'),
    ("splitting", 'do z = event.split(",")'),
    ("encoding", "do z = event.encode_uri_component()"),
    ("decoding", 'do z = event.replace_all("1,", "%31").decode_uri_component()'),
    ("entities", 'do z = event.replace_all("1,", "&lt;").decode_html_entities()'),
]


@pytest.mark.parametrize(("what", "body"), LONG_WORK, ids=[what for what, _ in LONG_WORK])
def test_long_work_gives_way_in_between(what: str, body: str) -> None:
    """Each is one call; in it others get their turns, a look at the clock every `SLICE`."""
    looks: list[int] = []
    talk = Talk(f"start: {body} say 1", on_slice=lambda: looks.append(1))
    talk(MANY)
    assert talk.failure is None
    assert len(looks) >= 3


NESTED = "[" + "[]," * 50_000 + "[]]"

LONG_STEPS: list[tuple[str, str, str]] = [
    ("reading nested JSON", NESTED, "do z = event.from_json()"),
    ("reading objects", NESTED.replace("[]", '{"a": 1}', 50_000), "do z = event.from_json()"),
    ("reading zeros", MANY.replace("1", "-0"), "do z = event.from_json()"),
    ("reading what is too deep", NESTED[:-1] + "," + "[" * 65 + "]" * 66, "do z = event.from_json()"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "event", "body"), LONG_STEPS, ids=[s[0] for s in LONG_STEPS])
def test_work_of_long_steps_gives_way_oftener(what: str, event: str, body: str) -> None:
    """A container takes far longer than an instruction, and decoding is paid for by others."""
    looks: list[int] = []
    talk = Talk(f"start: {body} say 1", on_slice=lambda: looks.append(1))
    talk(event)
    assert talk.failure is None
    assert len(looks) >= 25
