"""Printed source: groups only where needed, literals the language can read."""

from __future__ import annotations

import pytest

from palaver.csml.nodes import Number, Path, Say, Step
from palaver.csml.parser import parse_flow
from palaver.csml.printer import number, print_expression, print_flow, strip_positions
from palaver.csml.source import NOWHERE, Source

PROGRAM = """\
const LIMIT = [1, {"a": -2.5}]

import shout as loud from modules/tools

import any

insert s from lib

fn f(a, b) {
  return a + b
}

start:
  say "Order? {{ LIMIT[0] }} {{ }}\\n\\{\\{"
  do tries.a[0] += 1
  do (a && b) as c
  remember order = {"items": []}
  forget *
  forget [a, b]
  use 1 as x
  debug !!(a == b)
  log warn -5.5
  if (event match "a") {
    hold
  } else if (b) {} else {
    hold_secure
  }
  foreach (item, i) in order.items {
    while (i < 3) {
      break
    }
    continue
  }
  do list.map((x) {
    return "{{ x + \\" raw \\" }}"
  })
  previous step
  goto step a
  goto flow $cfg.next
  goto $a@b in c
  goto @
"""


def test_a_whole_program_is_printed_as_it_was_written() -> None:
    printed = print_flow(parse_flow(Source(PROGRAM, "main")))
    assert printed == PROGRAM


@pytest.mark.parametrize(
    "text",
    [
        "a + b * c",
        "(a + b) * c",
        "a - (b - c)",
        "a - b - c",
        "(a == b) == c",
        "!a == !b",
        "!(a == b)",
        "a + (!b)",
        "(a as b) as c",
        "(a as b).c",
        "(a.b).c",
        "a as b + 1",
        "(5).pow(2)",
        "[1][0]",
        "f(a = 1, 2).g(x)[0]",
    ],
)
def test_groups_stand_only_where_they_are_needed(text: str) -> None:
    (step,) = parse_flow(Source(f"start: say {text}", "main")).declarations
    assert isinstance(step, Step)
    (said,) = step.body
    assert isinstance(said, Say)
    assert print_expression(said.value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (2.0, "2.0"),
        (1e21, "1000000000000000000000.0"),
        (-1e-7, "-0.0000001"),
        (float("inf"), "9" * 400),
        (float("-inf"), "-" + "9" * 400),
    ],
)
def test_numbers_are_printed_without_exponent(value: int | float, text: str) -> None:
    assert number(value) == text


def test_strip_positions_blanks_places_only() -> None:
    (step,) = parse_flow(Source("start: say 5.abs()", "main")).declarations
    stripped = strip_positions(step)
    assert isinstance(stripped, Step)
    assert (stripped.at, stripped.end, stripped.digest) == (NOWHERE, NOWHERE, "")
    (said,) = stripped.body
    assert isinstance(said, Say)
    assert isinstance(said.value, Path)
    assert said.value.root == Number(5, NOWHERE)
