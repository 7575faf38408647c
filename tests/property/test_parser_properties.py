"""The parser never fails but with a `SourceError`, and printing keeps the tree."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from palaver.csml import nodes
from palaver.csml.diagnostics import SourceError
from palaver.csml.parser import parse_closure, parse_flow, parse_flow_all, parse_text
from palaver.csml.printer import print_expression, print_flow, strip_positions
from palaver.csml.source import Source
from tests.property import strategies

quick = settings(
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def check_errors_agree(text: str) -> None:
    """`parse_flow` and `parse_flow_all` tell of the same first error, at sane places."""
    source = Source(text, "main")
    flow, found = parse_flow_all(source)
    if flow is not None:
        assert parse_flow(source) == flow
        assert found == ()
        return
    with pytest.raises(SourceError) as caught:
        parse_flow(source)
    assert caught.value.diagnostics == found[:1]
    lines = text.count("\n") + 1
    assert all(0 <= one.start.line <= lines for one in found)


@quick
@given(st.text())
@example("start:\n  say \ud800")
@example('a:say"{{')
@example("if (1) else if")
def test_any_text_parses_or_is_a_source_error(text: str) -> None:
    check_errors_agree(text)


@quick
@given(strategies.token_soup, st.sampled_from(["", " "]))
def test_pieces_in_any_order_parse_or_are_a_source_error(pieces: list[str], glue: str) -> None:
    check_errors_agree("start:\n" + glue.join(pieces))


@quick
@given(strategies.flows(), st.data())
def test_a_program_with_a_part_cut_out_parses_or_is_a_source_error(
    flow: nodes.Flow, data: st.DataObject
) -> None:
    text = print_flow(flow)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 6)))
    check_errors_agree(text[:start] + text[end:])


@quick
@given(strategies.flows())
def test_printing_and_parsing_keeps_the_tree(flow: nodes.Flow) -> None:
    assert strip_positions(parse_flow(Source(print_flow(flow), "main"))) == flow


@quick
@given(strategies.expressions())
def test_printing_and_parsing_keeps_an_expression(expression: nodes.Expression) -> None:
    text = f"start: say {print_expression(expression)}"
    (step,) = strip_positions(parse_flow(Source(text, "main"))).declarations
    assert isinstance(step, nodes.Step)
    (said,) = step.body
    assert isinstance(said, nodes.Say)
    assert said.value == expression


@quick
@given(strategies.closures(3, inner=False))
def test_a_closure_can_be_restored_from_its_source(closure: nodes.Closure) -> None:
    parsed = parse_closure(print_expression(closure), "main")
    assert strip_positions(parsed) == closure
    assert parse_closure(parsed.source, "main") == parsed


@quick
@given(st.text())
@example('{{ (a) { return "b" } }}')
@example("{{" + "(" * 5000)
def test_an_answered_text_parses_or_is_a_bare_error(text: str) -> None:
    try:
        parsed = parse_text(text)
    except SourceError as error:
        (found,) = error.diagnostics
        assert found.message == found.reason
        assert found.start == (1, 1)
    else:
        plain = all(isinstance(part, str) for part in parsed.parts)
        assert not plain or "".join(map(str, parsed.parts)) == text


@quick
@given(st.text())
def test_any_text_is_a_closure_or_a_source_error(text: str) -> None:
    with suppress(SourceError):
        parse_closure(text, "main")


@pytest.mark.parametrize("opening", ["(", "[", '{"a":', "f(", "a.f(", "!(", "-(", "a[", "(a) {if("])
def test_deep_nesting_is_a_source_error(opening: str) -> None:
    for depth in (50, 199, 200, 201, 10_000):
        with pytest.raises(SourceError):
            parse_flow(Source("start:\n  say " + opening * depth, "main"))
