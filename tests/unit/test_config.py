"""Settings: what a file, the environment and options say, and how mistakes are reported."""

from __future__ import annotations

import ast
import dataclasses
import inspect

import pytest

from palaver import config
from palaver.config import (
    BotSettings,
    ServerSettings,
    is_loopback,
    read_bot_settings,
    read_server_table,
    server_settings,
)
from palaver.config_file import find_places, parse_config
from palaver.errors import ConfigError
from palaver.problems import FolderError, Problem, UsageError


def bot(toml: str, **environment: str) -> BotSettings:
    settings, problems = read_bot_settings(
        parse_config("palaver.toml", toml.encode()), environment, folder_name="here"
    )
    assert problems == ()
    return settings


def bot_problems(toml: str, **environment: str) -> list[Problem]:
    file = parse_config("palaver.toml", toml.encode())
    return list(read_bot_settings(file, environment, folder_name="here")[1])


def test_an_empty_file_gives_every_default() -> None:
    settings = bot("")
    assert settings.id == settings.name == "here"
    assert settings.description is None
    assert settings.session_idle_s == 600
    assert settings.studio.rate == 50
    assert settings.livechat.timeout_s == 3600
    assert settings.keys.given() == {}


def test_all_tables_are_read() -> None:
    settings = bot(
        """
        [bot]
        id = "pizza"
        commands = { Order = ["/order", "/buy"] }
        airules = [{ commands = ["hi"], target = { flow_name = "Order" } }]
        session_idle = "2s"
        delay = 250
        confidence = 1
        [env]
        A = "x"
        B = { c = [1, 2.5, true] }
        [studio]
        replay_window = 60
        [nlu]
        provider = "webhook"
        timeout = "500ms"
        [preprocess]
        text = "clean_up"
        [keys]
        studio_key = "K"
        chatbot_client = ""
        """
    )
    assert settings.commands == {"Order": ("/order", "/buy")}
    assert settings.airules[0]["target"] == {"flow_name": "Order"}
    assert (settings.session_idle_s, settings.delay_ms, settings.confidence) == (2, 250, 1.0)
    assert settings.env == {"A": "x", "B": {"c": [1, 2.5, True]}}
    assert settings.studio.replay_window_s == 60
    assert settings.nlu.timeout_s == 0.5
    assert settings.preprocess == {"text": "clean_up"}
    assert settings.keys.given() == {"studio_key": "K"}


def test_values_come_from_the_environment() -> None:
    settings = bot('[bot]\nlifespan = "$N"\n[env]\nURL = ["$URL", "$5"]', N="7", URL="http://x")
    assert settings.lifespan == 7
    assert settings.env == {"URL": ["http://x", "$5"]}
    assert type(settings.env["URL"][0]) is str  # type: ignore[index]


def test_a_missing_variable_is_named_with_its_place() -> None:
    (problem,) = bot_problems('[env]\nA = { b = ["x", "$NOPE"] }')
    assert (problem.line, problem.column) == (2, 17)
    assert "NOPE" in problem.reason


def test_an_unknown_key_is_reported_with_the_nearest_one() -> None:
    (problem,) = bot_problems('[bot]\nname = "x"\nsesion_idle = "1s"')
    assert (problem.line, problem.column) == (3, 1)
    assert "session_idle" in problem.hint


def test_an_unknown_table_is_reported_with_the_nearest_one() -> None:
    (problem,) = bot_problems("[bott]\nid = 1")
    assert problem.line == 1
    assert "'bot'" in problem.hint


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("id = 5", "a text"),
        ('id = ""', "not empty"),
        ("lifespan = 0", "from 1 to 10"),
        ("lifespan = true", "from 1 to 10"),
        ("confidence = 2.0", "from 0.1 to 1.0"),
        ("confidence = nan", "from 0.1 to 1.0"),
        ('session_idle = "10 bananas"', "10m"),
        ('session_idle = "10"', "10m"),
        ("session_idle = -1", "10m"),
        ('verify_webhooks = "yes"', "true or false"),
        ('on_new_build = "start"', '"restart"'),
        ("multibot = [1]", "a list of texts"),
        ('commands = { A = "b" }', "a table of lists"),
        ("airules = [{ commands = [1] }]", "a list of"),
    ],
)
def test_a_wrong_value_says_what_is_expected_at_its_line(line: str, expected: str) -> None:
    (problem,) = bot_problems(f"# comment\n[bot]\n\n{line}\n")
    assert problem.line == 4
    assert expected in problem.reason


def test_all_problems_come_at_once() -> None:
    problems = bot_problems("nope = 1\n[bot]\nid = 1\nx = 2\n[studio]\nrate = 'a'")
    assert [problem.line for problem in problems] == [1, 3, 4, 6]


def test_a_table_that_is_no_table_is_reported() -> None:
    assert "must be a table" in bot_problems("bot = 5")[0].reason
    assert "must be a table" in bot_problems("env = 5")[0].reason


def test_a_studio_key_never_contains_a_bar() -> None:
    (problem,) = bot_problems('[keys]\nstudio_key = "a|b"')
    assert problem.line == 2


def test_bad_toml_is_reported_with_its_place() -> None:
    with pytest.raises(FolderError) as caught:
        parse_config("palaver.toml", b'[bot]\nid = "x\n')
    (problem,) = caught.value.problems
    assert problem.line == 2
    assert "^" in problem.picture()


def test_a_file_that_is_not_utf8_is_reported_with_its_place() -> None:
    with pytest.raises(FolderError) as caught:
        parse_config("palaver.toml", b'[bot]\nid = "\xff"\n')
    assert caught.value.problems[0].place() == "palaver.toml:2:7"


def test_the_line_finder_knows_every_form_of_key() -> None:
    places = find_places(
        '''a = """x
[no]
b = 1"""
"quo ted".b.'c' = [1, # ]
  { k = "}", l = 'x' },
]
[t.u]   # comment
v = 1979-05-27T07:32:00Z
[[list]]
n = 1
[[list]]
n = { o = 2 }
'''
    )
    assert places["a",] == (1, 1)
    assert places["quo ted", "b", "c"] == (4, 13)
    assert places["quo ted", "b", "c", 1, "l"] == (5, 14)
    assert places["t", "u", "v"] == (8, 1)
    assert places["list", 0, "n"] == (10, 1)
    assert places["list", 1, "n", "o"] == (12, 7)


# --- the service -------------------------------------------------------------------------------


def test_options_win_over_the_environment_and_that_over_files() -> None:
    file = parse_config("palaver.toml", b"[server]\nport = 1\nhost = '::1'\nworkers = 1")
    table, problems = read_server_table(file, {})
    assert problems == ()
    environment = {"PALAVER_PORT": "2", "PALAVER_DATABASE": ":memory:", "PALAVER_HOST": ""}
    settings = server_settings({"port": 3, "database": None}, environment, [("a", table)])
    assert (settings.port, settings.host, settings.database) == (3, "::1", ":memory:")


def test_limits_and_lists_come_from_the_environment() -> None:
    settings = server_settings(
        {},
        {
            "PALAVER_MAX_BODY_BYTES": "1MiB",
            "PALAVER_TURN_COMPUTE_S": "500ms",
            "PALAVER_TURN_WAIT_S": "5",
            "PALAVER_ALLOW_HOSTS": "a.example, 10.0.0.1",
            "PALAVER_WATCH": "true",
        },
    )
    assert settings.max_body_bytes == 1024 * 1024
    assert (settings.turn_compute_s, settings.turn_wait_s) == (0.5, 5)
    assert settings.allow_hosts == ("a.example", "10.0.0.1")
    assert settings.watch is True


def test_the_reference_engines_variables_are_read() -> None:
    settings = server_settings(
        {},
        {
            "ENGINE_SERVER_API_KEYS": "a, b",
            "TTL_DURATION": "30",
            "LOW_DATA_MODE": "true",
            "STEP_LIMIT": "7",
            "DISABLE_SSL_VERIFY": "false",
            "COMPONENTS_DIR": "c",
            "MODULES_URL": "http://m",
            "MODULES_AUTH": "n:p",
            "ENCRYPTION_SECRET": "s1,s2",
            "ENGINE_SERVER_PORT": "5000",
            "CSML_LOG_LEVEL": "trace",
        },
    )
    assert (settings.port, settings.log_level) == (5000, "trace")
    assert settings.engine_api_keys == ("a", " b")
    assert (settings.ttl_days, settings.step_limit) == (30, 7)
    assert (settings.low_data_mode, settings.disable_ssl_verify) == (True, False)
    assert settings.components_dir == "c"
    assert (settings.modules_url, settings.modules_auth) == ("http://m", "n:p")
    assert settings.secret_key == ("s1", "s2")


def test_encryption_is_switched_on_by_either_name_that_the_reference_has_for_it() -> None:
    assert server_settings({}, {"ENGINE_ENCRYPTION_SECRET": "s"}).secret_key == ("s",)
    both = {"ENGINE_ENCRYPTION_SECRET": "told", "ENCRYPTION_SECRET": "read"}
    assert server_settings({}, both).secret_key == ("read",)


def test_a_step_limit_that_is_no_number_is_ignored_as_the_reference_does() -> None:
    assert server_settings({}, {"STEP_LIMIT": "many"}).step_limit == 100
    file = [("palaver.toml", {"step_limit": 7})]
    assert server_settings({}, {"STEP_LIMIT": "many"}, file).step_limit == 7


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match=r"PALAVER_PORT.*from 0 to 65535"):
        server_settings({}, {"PALAVER_PORT": "99999"})


def test_folders_that_differ_are_refused() -> None:
    tables = [("a/palaver.toml", {"port": 1}), ("b/palaver.toml", {"port": 2})]
    with pytest.raises(ConfigError, match=r"port is 1 in a/palaver\.toml and 2 in b/palaver\.toml"):
        server_settings({}, {}, tables)


def test_loopback_addresses_are_known() -> None:
    assert all(map(is_loopback, ["localhost", "127.0.0.1", "127.8.0.1", "::1", "[::1]"]))
    assert not any(map(is_loopback, ["0.0.0.0", "::", "10.0.0.1", "example.com"]))


def test_every_setting_has_a_docstring() -> None:
    tree = ast.parse(inspect.getsource(config))
    documented = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            documented[node.name] = {
                before.target.id
                for before, after in zip(node.body, node.body[1:], strict=False)
                if isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            }
    for kind in (BotSettings, ServerSettings, config.StudioSettings, config.KeySettings):
        assert {f.name for f in dataclasses.fields(kind)} == documented[kind.__name__]
