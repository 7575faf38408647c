"""Programs: what is compiled, and when; finding flows; what survives between programs."""

from __future__ import annotations

from typing import Any

import pytest

from palaver.csml import program as program_module
from palaver.csml.compiler.blocks import compile_function_body, compile_step
from palaver.csml.compiler.calls import FunctionCode
from palaver.csml.diagnostics import SourceError
from palaver.csml.program import FlowText, Program, parse_cached, restore_closure
from palaver.csml.state import Frame
from tests.unit.csml.talking import Talk


def program(**flows: str) -> Program:
    texts = [FlowText(f"id-{name}", name, text) for name, text in flows.items()]
    return Program(texts, next(iter(flows)))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The steps compiled while a test runs."""
    seen: list[Any] = []

    def count(body: Any, unit: Any) -> Any:
        seen.append(body)
        return compile_step(body, unit)

    monkeypatch.setattr(program_module, "compile_step", count)
    return seen


def test_a_bot_of_400_steps_compiles_the_one_that_runs(compiled: list[Any]) -> None:
    steps = "\n".join(f"s{n}:\n  say {n}\n  goto s{n + 1}" for n in range(400))
    talk = Talk(f"start: say 1\n{steps}")
    assert compiled == []
    talk()
    assert len(compiled) == 1


def test_a_step_is_compiled_once(compiled: list[Any]) -> None:
    talk = Talk("start: goto b\nb: goto c\nc: say 1 hold goto b")
    for _ in range(5):
        talk()
    assert len(compiled) == 3


def test_a_function_is_compiled_when_it_is_first_called(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[str] = []
    real = compile_function_body

    def count(body: Any, unit: Any) -> Any:
        bodies.append(unit.name)
        return real(body, unit)

    monkeypatch.setattr(program_module, "compile_function_body", count)
    talk = Talk("fn f() { return 1 }\nfn unused() { return 2 }\nstart: say f() say f()")
    assert talk() == talk() == ["1", "1"]
    assert bodies == ["main"]


def test_constants_are_evaluated_once() -> None:
    built = program(main="const K = 1 + 1\nstart: say K")
    unit = built.flows["main"]
    assert unit.constants["K"] is unit.constants["K"]


def test_a_flow_is_parsed_once_for_many_programs() -> None:
    text = "start: say 'parsed once'".replace("'", '"')
    trees = {id(parse_cached(text, "main")) for _ in range(3)}
    trees |= {id(program(main=text).parsed_flows[0][1]) for _ in range(2)}
    assert len(trees) == 1


def test_every_flow_that_does_not_parse_is_reported() -> None:
    with pytest.raises(SourceError) as caught:
        program(main="start: say", other="start: do", good="start: say 1")
    assert {d.flow for d in caught.value.diagnostics} == {"main", "other"}


def test_a_flow_is_found_by_its_exact_name_then_by_id_or_name_in_any_case() -> None:
    built = program(Main="start: say 1", main="start: say 2", other="start: say 3")
    for reference, name in [("main", "main"), ("Main", "Main"), ("MAIN", "Main"),
                            ("ID-Other", "other"), ("OTHER", "other")]:  # fmt: skip
        unit = built.find_flow(reference)
        assert unit is not None
        assert unit.name == name
    assert built.find_flow("nowhere") is None


def test_an_exact_name_wins_over_an_exact_id_and_both_over_the_first_flow_in_any_case() -> None:
    texts = [("b", "a"), ("c", "b"), ("a", "C")]
    built = Program([FlowText(id_, name, "start: say 1") for id_, name in texts], "a")
    found = {reference: built.find_flow(reference) for reference in ("a", "b", "c", "C", "A", "B")}
    wanted = {"a": "a", "b": "b", "c": "b", "C": "C", "A": "a", "B": "a"}
    assert {reference: flow and flow.name for reference, flow in found.items()} == wanted


def test_a_missing_function_is_a_key_error() -> None:
    built = program(main="import f from other\nstart: say 1", other="fn g() { return 1 }")
    unit = built.flows["main"]
    with pytest.raises(KeyError):
        unit.function("f")
    with pytest.raises(KeyError):
        unit.function("unknown")


@pytest.mark.parametrize("source", ["import f from nowhere", "import f from modules/none"])
def test_an_import_from_nowhere_is_unknown(source: str) -> None:
    """The linter refuses such a bot; a program that skipped it must still not raise."""
    talk = Talk(f"{source}\nstart: say f()")
    assert talk() == ["! Unknown builtin [f] at line 2, column 12 at flow [main]", None]


def test_an_imported_function_is_the_one_of_its_home() -> None:
    built = program(main="import f from other\nstart: say 1", other="fn f() { return 1 }")
    assert isinstance(built.flows["main"].function("f"), FunctionCode)
    assert built.flows["main"].function("f") is built.flows["other"].function("f")


def test_a_closure_that_no_longer_parses_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"main|memory|line"):
        restore_closure("() { say")


def test_a_remembered_closure_that_no_longer_parses_is_null() -> None:
    talk = Talk("start: say f", memories={"f": {"_closure": {"source": "() {"}}})
    assert talk() == [None]


def test_two_turns_of_one_program_share_nothing() -> None:
    text = "const A = [1]\nstart: do b = A do b.push(2) do c = [] do c.push(1) say b say c"
    talk, other = Talk(text), Talk(text)
    other.program = talk.program
    assert talk() == other() == talk()


def test_a_frame_gives_up_only_what_is_its_own() -> None:
    fields = Frame.__struct_fields__
    assert {"run", "unit", "memories", "locals"} <= set(fields)


def test_a_constant_is_evaluated_alike_by_the_checker_and_the_program() -> None:
    talk = Talk(
        'const A = [1 + 2 * 3, !true, {"k": "a"}, "5" * "2", 1 == 1.0, null]\n'
        "start: say A say A[2].k hold"
    )
    assert talk() == [("array", [7, False, {"k": "a"}, 10, True, None]), "a"]


def test_a_closure_of_a_constant_sees_the_names_of_its_own_flow() -> None:
    talk = Talk(
        {
            "main": 'import ask from other\nconst WHO = "main"\nstart: say ask()',
            "other": 'const WHO = "other"\nconst F = () { return WHO }\n'
            "fn ask() { return F() }\nstart: say 1",
        }
    )
    assert talk() == ["other"]
