"""`palaver check` on a folder with twenty different mistakes: twenty places, all at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from palaver.cli.check import check_folders


class Place(NamedTuple):
    """A finding; the flows below name those of a line behind `//!`."""

    file: str
    line: int
    code: str


DEFAULT = """\
import {price, tax} from Shop        //! unused-import
const CURRENCY = "EUR"
const LIMIT = 5                      //! unused-constant

start:
  say "Hello"
  if (naem) say "again"              //! never-set
  do greeting = "hi"                 //! unused-variable
  say Buton("a")                     //! unknown-function
  say price()                        //! missing-argument
  say "abc".lenght()                 //! unknown-method
  if (event) goto ordr               //! unknown-step
  goto order

order:
  say Question("What?")              //! component-arguments
  remember name = event
  hold
  if (name == "x") goto flow Sohp    //! unknown-flow
  while (true) { say CURRENCY }      //! endless-loop
  say "never"                        //! unreachable-code

lost:                                //! unreachable-step
  return 1                           //! return-outside-function
"""

SHOP = """\
fn price(item, amount) {
  say "the price"                    //! not-in-function
  return item * amount / 0           //! failing-calculation
}

fn tax(x): return x
fn tax(x): return x + 1              //! duplicate-function

start:
  break                              //! outside-loop
  say {"a": 1, "a": 2}               //! unreachable-code duplicate-key
  say price(1, 2)
  hold                               //! unused-answer
"""

BROKEN = """\
start:
  sya "hello"                        //! syntax
  goto order

order:
  say "What?"
  hold
  goto nowhere                       //! unknown-step
  say secret                         //! unreachable-code never-set

size:
  say

count:                               //! syntax
  say "abc".lenght()                 //! unknown-method
  goto size
"""


def test_twenty_mistakes_are_twenty_places(tmp_path: Path) -> None:
    wanted = marked({"Default": DEFAULT, "Shop": SHOP})
    assert len({place.code for place in wanted}) >= 20
    assert check(tmp_path, {"Default": DEFAULT, "Shop": SHOP}) == wanted


def test_what_does_not_parse_hides_nothing_else(tmp_path: Path) -> None:
    flows = {"Broken": BROKEN, "Default": DEFAULT, "Shop": SHOP}
    assert check(tmp_path, flows) == marked(flows)


def test_what_cannot_be_read_may_explain_the_rest(tmp_path: Path) -> None:
    text = """\
start:
  say greet(name)
  goto other

fn greet(x) return "Hello"           //! syntax

other:
  say word
  remember name = remembered = 1     //! syntax
  do word = 1
"""
    assert check(tmp_path, {"Default": text}) == marked({"Default": text})


def check(folder: Path, flows: dict[str, str]) -> list[Place]:
    (folder / "flows").mkdir()
    (folder / "palaver.toml").write_text('[bot]\nid = "twenty"\ndefault_flow = "Default"\n')
    for name, text in flows.items():
        (folder / "flows" / f"{name}.csml").write_text(text)
    _, problems = check_folders([folder])
    return sorted(Place(Path(p.path).stem, p.line, p.code) for p in problems)


def marked(flows: dict[str, str]) -> list[Place]:
    return sorted(
        Place(name, number, code)
        for name, text in flows.items()
        for number, line in enumerate(text.splitlines(), 1)
        for code in line.partition("//!")[2].split()
    )
