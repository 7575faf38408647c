"""A bot's folder: what is read from it, and every way it can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from palaver import folder as folder_module
from palaver.csml.diagnostics import Diagnostic
from palaver.csml.source import Position, Source
from palaver.errors import ConfigError
from palaver.flow_check import check_flows, problem_from_diagnostic
from palaver.folder import (
    BotFolder,
    comment_commands,
    effective_commands,
    read_components,
    read_folder,
    read_folders,
)
from palaver.problems import FolderError, FolderMissing, Problem

START = "start:\n  goto end\n"

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def _no_checker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The language has tests of its own."""
    monkeypatch.setattr(folder_module, "check_flows", lambda *_: ())


@pytest.fixture
def make(tmp_path: Path) -> MakeFolder:
    """Writes files into a folder called `mybot`."""

    def write(files: dict[str, str | bytes], name: str = "mybot") -> Path:
        for path, content in files.items():
            file = tmp_path / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return write


def read(path: Path, **environment: str) -> BotFolder:
    return read_folder(path, environment)


def problems_of(path: Path, **environment: str) -> tuple[Problem, ...]:
    with pytest.raises(FolderError) as caught:
        read_folder(path, environment)
    return caught.value.problems


def test_one_flow_makes_a_bot(make: MakeFolder) -> None:
    folder = read(make({"flows/Hello.csml": START}))
    assert (folder.bot.id, folder.bot.name, folder.bot.default_flow) == ("mybot", "mybot", "Hello")
    (flow,) = folder.bot.flows
    assert (flow.name, flow.content, flow.commands) == ("Hello", START, ("/hello",))
    assert folder.bot.env == {}
    assert folder.warnings == ()


def test_flow_ids_are_uuids_that_stay_the_same(make: MakeFolder) -> None:
    files: dict[str, str | bytes] = {"flows/A.csml": START, "flows/Default.csml": START}
    path = make(files)
    ids = [flow.id for flow in read(path).bot.flows]
    assert ids == [flow.id for flow in read(path).bot.flows]
    assert len(set(ids)) == 2
    assert all(len(flow_id) == 36 for flow_id in ids)


def test_commands_come_from_settings_comment_name_and_rules(make: MakeFolder) -> None:
    path = make(
        {
            "flows/Order.csml": "// commands: /buy, I want one,\n" + START,
            "palaver.toml": '[bot]\ncommands = { Order = ["/order", "TEA"] }\n'
            'airules = [{ commands = ["tea", "hi"], target = { flow_name = "order" } }]',
        }
    )
    assert read(path).bot.flows[0].commands == ("/order", "TEA", "/buy", "I want one", "hi")


def test_effective_commands_keep_the_first_spelling() -> None:
    assert effective_commands("A", ["/a", "B", "/A", "b"], []) == ("/a", "B")


def test_comment_commands_stand_on_the_first_line_only() -> None:
    assert comment_commands("// commands: /a, b c \nstart:") == ("/a", "b c")
    assert comment_commands("//COMMANDS:/a\r\nstart:") == ("/a",)
    assert comment_commands("\n// commands: /a") == ()


def test_everything_else_of_the_folder_is_read(make: MakeFolder) -> None:
    path = make(
        {
            "flows/Default.csml": "\ufeff" + START,
            "flows/notes.txt": "not a flow",
            "flows/.hidden.csml": "not one either",
            "modules/tools.csml": "fn f() { return 1 }\n",
            "components/Map.json": '{"place": {"required": true, "type": "String"}}',
            "apps/clock.py": "",
            "palaver.toml": '[bot]\nid = "b"\nmultibot = ["c"]\nno_interruption_delay = 3\n'
            '[env]\nX = "$X"\n[server]\nport = 9000',
        }
    )
    folder = read(path, X="1")
    assert [flow.name for flow in folder.bot.flows] == ["Default"]
    assert folder.bot.flows[0].content == START
    assert folder.bot.modules[0].name == "tools"
    assert folder.bot.modules[0].flow is not None
    assert list(folder.bot.custom_components) == ["Map"]
    assert folder.bot.multibot[0].id == "c"
    assert folder.bot.no_interruption_delay == 3
    assert folder.bot.env == {"X": "1"}
    assert folder.server == {"port": 9000}
    assert folder.apps == path / "apps"


def test_the_digest_tells_whether_the_build_changes(make: MakeFolder) -> None:
    path = make({"flows/Default.csml": START, "palaver.toml": '[env]\nA = "$A"'})
    first = read(path, A="1").digest
    assert read(path, A="1").digest == first
    assert read(path, A="2").digest != first
    make({"palaver.toml": '[env]\nA = "$A"\n[keys]\nstudio_key = "k"'})
    assert read(path, A="1").digest == first
    make({"flows/Default.csml": START + "\n"})
    assert read(path, A="1").digest != first


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing, match="does not exist"):
        read_folder(tmp_path / "nowhere")
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(FolderMissing, match="is not a folder"):
        read_folder(file)


def test_a_folder_without_a_bot_is_refused(make: MakeFolder, tmp_path: Path) -> None:
    assert "no bot is here" in problems_of(tmp_path)[0].reason
    assert "no .csml file" in problems_of(make({"flows/readme.txt": ""}))[0].reason


def test_two_kinds_at_once_are_refused(make: MakeFolder) -> None:
    (problem,) = problems_of(make({"flows/A.csml": START, "steps/a.yaml": ""}))
    assert "flows/ and steps/" in problem.reason


@pytest.mark.parametrize("kind", ["stories", "steps"])
def test_other_kinds_come_later(make: MakeFolder, kind: str) -> None:
    (problem,) = problems_of(make({f"{kind}/a.yaml": ""}))
    assert f"{kind} bots come with a later release" in problem.reason


def test_the_default_flow_is_default_or_the_only_one_or_an_error(make: MakeFolder) -> None:
    path = make({"flows/A.csml": START, "flows/B.csml": START})
    (problem,) = problems_of(path)
    assert "A, B" in problem.reason
    make({"palaver.toml": '[bot]\ndefault_flow = "b"'})
    assert read(path).bot.default_flow == "B"
    make({"palaver.toml": '[bot]\nid = "x"\ndefault_flow = "AA"'})
    (problem,) = problems_of(path)
    assert problem.place() == f"{path / 'palaver.toml'}:3:1"
    assert "'A'" in problem.hint


def test_commands_of_an_unknown_flow_are_reported(make: MakeFolder) -> None:
    path = make({"flows/Order.csml": START, "palaver.toml": '[bot]\ncommands = { Odrer = ["x"] }'})
    (problem,) = problems_of(path)
    assert (problem.line, problem.column) == (2, 14)
    assert "'Order'" in problem.hint


def test_two_flows_of_one_name_are_reported(make: MakeFolder) -> None:
    path = make({"flows/order.csml": START, "flows/Order.csml": START})
    if len(list((path / "flows").iterdir())) == 1:
        pytest.skip("this file system does not tell case apart")
    assert "one name" in problems_of(path)[0].reason


def test_all_problems_of_a_folder_come_at_once(
    make: MakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder_module, "check_flows", check_flows)
    path = make(
        {
            "flows/Bad.csml": b'start:\n  say "\xff"\n',
            "flows/Default.csml": "start:\n  say say\n",
            "components/C.json": "{\n  nope}",
            "components/D.json": "[]",
            "palaver.toml": "[bot]\nidd = 1",
        }
    )
    found = {(Path(p.path).name, p.line) for p in problems_of(path)}
    assert found >= {
        ("palaver.toml", 2),
        ("Bad.csml", 2),
        ("Default.csml", 2),
        ("C.json", 2),
        ("D.json", 1),
    }


def test_problems_of_several_folders_come_at_once(make: MakeFolder) -> None:
    one = make({"flows/A.csml": START, "palaver.toml": "x = 1"}, "one")
    two = make({"palaver.toml": "y = 1"}, "two")
    with pytest.raises(FolderError) as caught:
        read_folders([one, two], {})
    assert len(caught.value.problems) == 2


def test_two_folders_of_one_id_are_refused(make: MakeFolder) -> None:
    one = make({"flows/A.csml": START, "palaver.toml": '[bot]\nid = "x"'}, "one")
    two = make({"flows/A.csml": START, "palaver.toml": '[bot]\nid = "x"'}, "two")
    with pytest.raises(ConfigError, match="'x' is also that of"):
        read_folders([one, two], {})


def test_two_folders_with_one_key_are_refused_but_for_the_engines(make: MakeFolder) -> None:
    keys = '[keys]\nengine_key = "e"\nstudio_key = "s"\nchatbot_client = "{}"'
    one = make({"flows/A.csml": START, "palaver.toml": keys.format("c1")}, "one")
    two = make({"flows/A.csml": START, "palaver.toml": keys.format("c2")}, "two")
    with pytest.raises(FolderError, match="studio_key is also that of") as caught:
        read_folders([one, two], {})
    assert len(caught.value.problems) == 1


def test_deep_json_is_reported(tmp_path: Path) -> None:
    (tmp_path / "C.json").write_text("[" * 100_000)
    found, problems = read_components(tmp_path)
    assert found == {}
    assert len(problems) == 1


def test_byte_columns_become_characters() -> None:
    source = Source('start:\n  say "éé" !\n', "A")
    found = Diagnostic("x", "error", "A", Position(2, 14), None, "bad", "bad")
    problem = problem_from_diagnostic(Path("A.csml"), source, found)
    assert problem.column == 12
    assert problem.picture().splitlines()[2].index("^") - 4 == 11
