"""Well-formed CSML, as trees: whatever these draw, its printed source parses to the same tree.

All nodes are at `NOWHERE`; compare with `strip_positions` of what was parsed.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from palaver.csml import nodes
from palaver.csml.source import NOWHERE
from palaver.csml.words import binding_problem, reading_problem

AT = NOWHERE

# Words with a meaning where a name of a step or variable may follow something else.
MEANINGFUL = frozenset(
    {"return", "continue", "previous", "debug", "log", "hold_secure", "fn", "in", "from"}
    | {"const", "import", "insert", "true", "false", "null", "error", "warn", "info", "trace"}
)


def _is_plain(word: str) -> bool:
    fine = binding_problem(word) is None and reading_problem(word) is None
    return fine and word.lower() not in MEANINGFUL


names = st.one_of(
    st.sampled_from(
        ["x", "user", "total-1", "a_b", "Badge", "été", "名前", "हिन्दी".replace("्", "")]
    ),
    st.from_regex(r"[a-z_][a-z0-9_-]{0,6}", fullmatch=True),
).filter(_is_plain)

printable = st.characters(exclude_categories=["Cs"])
literals = st.text(printable, max_size=8)
raw_texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters='"\\'), max_size=6)
keys = raw_texts.filter(bool)

numbers = st.builds(
    nodes.Number,
    st.one_of(
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-20, 20),
        st.floats(-1e200, 1e200),  # a longer literal behind `do` is too long a word
    ),
    st.just(AT),
)
booleans = st.builds(nodes.Boolean, st.booleans(), st.just(AT))
nulls = st.just(nodes.Null(AT))
operators = st.sampled_from(
    ["+", "-", "*", "/", "%", "==", "!=", "<", ">", "<=", ">=", "match", "!match", "&&", "||"]
)


def texts(depth: int, inner: bool) -> st.SearchStrategy[nodes.Text]:
    """Strings; inside an interpolation they are raw."""
    if inner:
        return raw_texts.map(lambda raw: nodes.Text((raw,) if raw else (), AT, inner=True))
    parts = st.lists(st.one_of(literals, st.none(), expressions(depth - 1, inner=True)), max_size=4)
    return parts.map(lambda drawn: nodes.Text(_merged(drawn), AT))


def _merged(parts: list[Any]) -> tuple[Any, ...]:
    merged: list[Any] = []
    for part in parts:
        if part == "":
            continue
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return tuple(merged)


def expressions(depth: int = 3, inner: bool = False) -> st.SearchStrategy[nodes.Expression]:
    """Any expression, `inner` for the inside of an interpolation."""
    variables = st.builds(nodes.Name, st.one_of(names, st.just("event")), st.just(AT))
    leaves = st.one_of(numbers, booleans, nulls, variables, raw_or_plain(inner))
    if depth <= 0:
        return leaves
    below = st.deferred(lambda: expressions(depth - 1, inner))
    listed = st.lists(below, max_size=3).map(tuple)
    return st.one_of(
        leaves,
        texts(depth, inner),
        st.builds(nodes.Array, listed, st.just(AT)),
        st.builds(
            nodes.Object, st.lists(st.tuples(keys, below), max_size=3).map(tuple), st.just(AT)
        ),
        closures(depth, inner),
        st.builds(nodes.Call, names, arguments(depth, inner), st.just(AT)),
        st.builds(nodes.Path, below, paths(depth, inner, 1), st.just(AT)),
        st.builds(nodes.As, below, names, st.just(AT), st.just(AT)),
        st.builds(nodes.Not, below, st.just(AT)),
        st.builds(nodes.Binary, operators, below, below, st.just(AT)),
    )


def raw_or_plain(inner: bool) -> st.SearchStrategy[nodes.Text]:
    """Strings without interpolation."""
    if inner:
        return texts(0, True)
    return literals.map(lambda text: nodes.Text((text,) if text else (), AT))


def arguments(depth: int, inner: bool) -> st.SearchStrategy[tuple[nodes.Argument, ...]]:
    below = st.deferred(lambda: expressions(depth - 1, inner))
    return st.lists(st.builds(nodes.Argument, st.none() | names, below), max_size=3).map(tuple)


def paths(
    depth: int, inner: bool, least: int = 0
) -> st.SearchStrategy[tuple[nodes.PathElement, ...]]:
    below = st.deferred(lambda: expressions(depth - 1, inner))
    members = st.one_of(names, st.sampled_from(["5", "if", "true"]))
    element = st.one_of(
        st.builds(nodes.Index, below, st.just(AT)),
        st.builds(nodes.Member, members, st.just(AT)),
        st.builds(nodes.MethodCall, names, arguments(depth, inner), st.just(AT)),
    )
    return st.lists(element, min_size=least, max_size=3).map(tuple)


def closures(depth: int, inner: bool) -> st.SearchStrategy[nodes.Closure]:
    return st.builds(
        nodes.Closure,
        st.lists(names, max_size=2).map(tuple),
        st.deferred(lambda: blocks(depth - 1, inner)),
        st.just(AT),
        st.just(""),
    )


def blocks(depth: int = 2, inner: bool = False) -> st.SearchStrategy[nodes.Block]:
    return st.lists(statements(depth, inner), max_size=3).map(tuple)


def statements(depth: int = 2, inner: bool = False) -> st.SearchStrategy[nodes.Statement]:
    """Any statement; `depth` bounds blocks and expressions alike."""
    at = st.just(AT)
    value = expressions(depth, inner)
    simple = st.one_of(
        st.builds(nodes.Say, value, at, at),
        st.builds(nodes.Debug, value, at),
        st.builds(
            nodes.Log, st.sampled_from(["error", "warn", "info", "debug", "trace"]), value, at
        ),
        st.builds(nodes.Return, value, at),
        st.builds(nodes.Use, st.builds(nodes.As, value, names, at, at), at),
        st.builds(nodes.Do, value.filter(lambda node: not isinstance(node, nodes.As)), at),
        st.builds(
            nodes.Assign,
            names,
            paths(depth, inner),
            st.sampled_from(["=", "+=", "-=", "*=", "/=", "%="]),
            value,
            at,
            at,
        ),
        st.builds(nodes.Assign, names, st.just(()), st.just("="), value, at, at, st.just(True)),
        st.builds(nodes.Remember, names, value, at, at),
        st.builds(nodes.Forget, st.none() | st.lists(names, max_size=3).map(tuple), at),
        st.builds(nodes.Hold, st.booleans(), at),
        st.builds(nodes.Break, at),
        st.builds(nodes.Continue, at),
        st.builds(nodes.Previous, st.sampled_from(["step", "flow"]), at),
        gotos(depth, inner),
    )
    if depth <= 0:
        return simple
    body = st.deferred(lambda: blocks(depth - 1, inner))
    branch = st.builds(nodes.Branch, value, body)
    return st.one_of(
        simple,
        st.builds(
            nodes.If, st.lists(branch, min_size=1, max_size=3).map(tuple), st.none() | body, at
        ),
        st.builds(nodes.Foreach, names, st.none() | names, value, body, at),
        st.builds(nodes.While, value, body, at),
    )


def gotos(depth: int, inner: bool) -> st.SearchStrategy[nodes.Goto]:
    at = st.just(AT)
    variable = st.builds(nodes.Name, names, at)
    target = st.one_of(names, variable, st.builds(nodes.Path, variable, paths(depth, inner, 1), at))
    maybe = st.none() | target
    return st.one_of(
        st.builds(nodes.Goto, st.just("step"), target, st.none(), st.none(), at, at),
        st.builds(nodes.Goto, st.just("flow"), st.none(), target, st.none(), at, at),
        st.builds(nodes.Goto, st.just("at"), maybe, maybe, maybe, at, at),
    )


def constant_values(depth: int = 2) -> st.SearchStrategy[nodes.Expression]:
    """What a constant may be, arithmetic apart (it can fail)."""
    at = st.just(AT)
    leaves = st.one_of(
        numbers, booleans, nulls, literals.filter(bool).map(lambda text: nodes.Text((text,), AT))
    )
    if depth <= 0:
        return leaves
    below = st.deferred(lambda: constant_values(depth - 1))
    return st.one_of(
        leaves,
        st.builds(nodes.Array, st.lists(below, max_size=3).map(tuple), at),
        st.builds(nodes.Object, st.lists(st.tuples(keys, below), max_size=3).map(tuple), at),
        st.builds(nodes.Not, below, at),
        st.builds(nodes.Binary, st.sampled_from(["==", "<", "&&", "||"]), below, below, at),
    )


def declarations() -> st.SearchStrategy[nodes.Declaration]:
    at = st.just(AT)
    parameters = st.lists(names, max_size=2).map(tuple)
    sources = st.one_of(st.none(), names, names.map(lambda name: f"modules/{name}"))
    return st.one_of(
        st.builds(nodes.Step, names, blocks(), at, at, st.just("")),
        st.builds(nodes.Function, names, parameters, blocks(), at, at, at),
        st.builds(nodes.Constant, names, constant_values(), at),
        st.builds(nodes.Import, names, names, sources, at),
        st.builds(nodes.Insert, names, names, names, at),
    )


def flows() -> st.SearchStrategy[nodes.Flow]:
    """Whole flows; they parse, but mean nothing in particular."""
    return st.builds(nodes.Flow, st.just("main"), st.lists(declarations(), max_size=4).map(tuple))


PIECES = """
say do if else foreach while in as match !match goto step flow hold use remember forget log info
return const import insert from fn start: a b f( ( ) { } [ ] , . : = == != + - * / % ! && || "x"
"{{ }}" "{{a.b}}" \\" \\ " {{ }} // /* */ 1 2.5 1_0 .5 null true $x @ modules/m event {"k": é § \0
"""
pieces = st.sampled_from([*PIECES.split(), "\n", " ", "\t"])
token_soup = st.lists(pieces, max_size=40)
"""Pieces of programs in no order, to be joined with or without blanks."""
