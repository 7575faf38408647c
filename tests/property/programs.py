"""Programs that mean something, as texts: what the properties of running draw.

`holding_programs` are made so that stopping changes nothing (csml-language §7.5): a `while` does
not change its condition before the end of its body, a `foreach` walks over what its body leaves
alone, nothing asks for what a hold forgets (the error kept in a Null).
"""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

from hypothesis import strategies as st

from palaver.csml.stdlib.library import BUILTINS
from palaver.csml.stdlib.methods import NAMES

VARIABLES = ("a", "b", "c", "o", "m")
STEPS = ("start", "s1", "s2")
HERE = "§"
"""Where a `hold` may stand."""

FUNCTIONS = """
const K = [1, {"k": 2}]
fn f(x) { if (x) { return [x, K] } return "none" }
fn g(x, y) { do x.push(y) do z = 0 foreach (i) in [1, 2] { do z += i } return x }
"""

scalars = st.sampled_from(
    ["0", "1", "-3", "2.5", "true", "null", '"t"', '"7"', '""', '"é{{event}}"', "event", "K"]
)
names = st.sampled_from(VARIABLES)


@cache
def expressions(depth: int = 2) -> st.SearchStrategy[str]:
    """An expression over the variables, the functions and the event."""
    if depth <= 0:
        return scalars | names
    below = expressions(depth - 1)
    return st.one_of(
        scalars,
        names,
        st.builds("[{}, {}]".format, below, below),
        st.builds('{{"k": {}, "l": [{}]}}'.format, below, below),
        st.builds("({} {} {})".format, below, st.sampled_from(["+", "-", "*", "==", "<", "&&"]), below),
        st.builds("{}[{}]".format, names, st.sampled_from(["0", "1", '"k"', "b"])),
        st.builds("{}.{}".format, names, st.sampled_from(["k", "l", "length()", "reverse()", "keys()"])),
        st.builds("f({})".format, below),
        st.builds("g({}, {})".format, names, below),
        st.builds('Button("{}", accepts = [{}])'.format, names, below),
        st.builds("h({})".format, below),
        st.builds('"{{{{{}}}}}"'.format, names),
    )  # fmt: skip


@cache
def _simple() -> st.SearchStrategy[str]:
    value = expressions()
    return st.one_of(
        st.builds("say {}".format, value),
        st.builds("say {}".format, value),
        st.builds("do {} = {}".format, names, value),
        st.builds("do {} += {}".format, names, value),
        st.builds("do {}.push({})".format, names, value),
        st.builds("do a[0] = {}".format, value),
        st.builds("do o.k = {}".format, value).map(lambda text: f"do o = {{}} {text}"),
        st.builds("remember {} = {}".format, st.sampled_from(["m", "a"]), value),
        st.builds("forget {}".format, names),
        st.builds("say {} as b".format, value),
        st.builds("do h = (x) {{ return [x, {}] }}".format, names),
        st.builds("debug {}".format, value),
    )


@cache
def _statements(depth: int, loops: int, targets: tuple[str, ...]) -> st.SearchStrategy[str]:
    simple = _simple()
    if depth <= 0:
        return simple
    body = blocks(depth - 1, loops, targets)
    choices = [
        simple,
        simple,
        st.builds("if ({}) {{ {} }} else {{ {} }}".format, expressions(1), body, body),
        st.builds("if ({}) {{ {} }}".format, expressions(1), body),
    ]
    if loops > 0:
        inner = blocks(depth - 1, loops - 1, targets)
        level = f"n{loops}"
        choices += [
            st.builds(
                f"do {level} = 0 while ({level} < 2) {{{{ {{}} do {level} += 1 }}}}".format, inner
            ),
            st.builds(f"foreach (e{loops}, i{loops}) in [1, [2]] {{{{ {{}} }}}}".format, inner),
            st.builds(f'foreach (e{loops}) in "xy" {{{{ {{}} say e{loops} }}}}'.format, inner),
        ]
    if targets:
        choices.append(st.sampled_from([f"if (event) {{ goto {step} }}" for step in targets]))
    return st.one_of(choices)


@cache
def blocks(depth: int, loops: int, targets: tuple[str, ...]) -> st.SearchStrategy[str]:
    """Statements with a mark between any two."""
    drawn = st.lists(_statements(depth, loops, targets), min_size=1, max_size=4)
    return drawn.map(lambda texts: f" {HERE} ".join(["", *texts, ""]))


class HoldingProgram(NamedTuple):
    """The same program with holds and without."""

    stopping: str
    running: str


@st.composite
def holding_programs(draw: st.DrawFn) -> HoldingProgram:
    """A program of three steps that lead forward, and some of its marks made holds."""
    parts = [FUNCTIONS]
    for number, step in enumerate(STEPS):
        parts.append(f"{step}:\n  {draw(blocks(2, 2, STEPS[number + 1 :]))}\n")
    text = "".join(parts)
    pieces = text.split(HERE)
    stops = draw(st.lists(st.booleans(), min_size=len(pieces) - 1, max_size=len(pieces) - 1))
    stopping = pieces[0]
    for is_stop, piece in zip(stops, pieces[1:], strict=True):
        stopping += ("hold" if is_stop else "") + piece
    return HoldingProgram(stopping, text.replace(HERE, ""))


# --- anything goes -----------------------------------------------------------------------------

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.sampled_from(["1", "1.5", "-0", "nan", "a b", "2024-01-01", "https://x/y?z=1", "{}"]),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=8,
)  # fmt: skip
"""Any JSON, with texts that mean something to one method or another."""

memory_sets = st.fixed_dictionaries({"p": json_values, "q": json_values, "r": json_values})


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A method or built-in called with the memories `p`, `q`, `r`."""
    inner = st.sampled_from(
        ["p", "q", "r", "event", "[p, q]", '{"k": p}', "(x) { return x }", "1", '"a"', "null"]
    )
    arguments = ", ".join(draw(st.lists(inner, max_size=3)))
    if draw(st.booleans()):
        return f"{draw(st.sampled_from(sorted(BUILTINS)))}({arguments})"
    roots = ["p", "event", "[q]", "Time()", 'HTTP("http://x")', "Base64(p)", "Crypto(p)",
             "JWT(p)", "Hex(p)", 'SMTP("x")', "_metadata", "_env", "_memory"]  # fmt: skip
    names_used = draw(st.lists(st.sampled_from(sorted(NAMES)), min_size=1, max_size=2))
    path = f"{draw(st.sampled_from(roots))}.{names_used[0]}({arguments})"
    return f"{path}.{names_used[1]}()" if len(names_used) > 1 else path


def as_memories(values: dict[str, object]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in values.items()}
