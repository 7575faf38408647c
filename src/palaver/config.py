"""Settings: of a bot (`palaver.toml`) and of the service (`[server]`, environment, options).

Each setting is one line of a frozen dataclass with its reader and default, and a docstring that
says what it is for; the key in the file is the field's name without its unit unless `key=` says
otherwise. `read_bot_settings` and `read_server_table` read a file; `server_settings` joins file,
environment (`PALAVER_` + name in capitals) and options, the last winning. Spec: product.md §2–§3.
"""

# ruff: noqa: RUF009 - `setting` and `section` make dataclass fields, as `field` does

from __future__ import annotations

import contextlib
import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from palaver.config_file import ConfigFile
from palaver.config_values import (
    EnvironmentText,
    TableReader,
    Wrong,
    boolean,
    choice,
    duration,
    json_table,
    key_of,
    number,
    raw_texts,
    section,
    setting,
    settings_of,
    size,
    some_text,
    text,
    text_lists,
    text_or_none,
    text_table,
    texts,
    whole,
)
from palaver.errors import ConfigError
from palaver.problems import Problem, UsageError, nearest
from palaver.types import Json, JsonObject

MIB = 1024 * 1024


# --- a bot's settings --------------------------------------------------------------------------


def _airules(value: object) -> tuple[JsonObject, ...]:
    wanted = 'a list of {commands = ["…"], target = {flow_name = "…"}}'
    if not isinstance(value, list):
        raise Wrong(wanted)
    rules = []
    for rule in value:
        commands = rule.get("commands") if isinstance(rule, dict) else None
        target = rule.get("target") if isinstance(rule, dict) else None
        if not isinstance(commands, list) or not all(isinstance(c, str) for c in commands):
            raise Wrong(wanted)
        if not isinstance(target, dict) or not all(isinstance(t, str) for t in target.values()):
            raise Wrong(wanted)
        rules.append(json_table(rule))
    return tuple(rules)


@dataclass(frozen=True, slots=True)
class StudioSettings:
    """`[studio]`: the bot's API channel in the Studio dialect."""

    webhook: str | None = setting(None, text_or_none)
    """URL that gets every message. Default: none. Spec: csml-studio-api §8."""

    end_notice: bool = setting(True, boolean)
    """Whether the webhook also learns of the end of a conversation."""

    rate: int = setting(50, whole(1))
    """Requests per second of the channel's key. Spec: csml-studio-api §2.6."""

    replay_window_s: float = setting(300.0, duration, key="replay_window")
    """Seconds a signature is good for, either way. Spec: csml-studio-api §2.5."""

    relaunch: bool = setting(True, boolean)
    """Whether a flow_trigger whose flow ends is followed by the step before. Spec: §3.3."""

    working_copy: bool = setting(False, boolean)
    """Whether users talk to the working copy instead of the latest build."""

    delete_default: str = setting("refuse", choice("refuse", "repoint"))
    """What deleting the default flow does. Spec: csml-studio-api §5.7."""

    webhook_retries: int = setting(0, whole(0, 100))
    """How often a webhook call that failed is tried again. Spec: product.md §6."""


@dataclass(frozen=True, slots=True)
class NluSettings:
    """`[nlu]`: who understands texts. Spec: csml-studio-api §10.3."""

    provider: str | None = setting(
        None,
        choice("webhook", "rasa", "dialogflow", "lex", "luis", "wit", "watson", "sap", "builtin"),
    )
    """The provider's kind; none is the strict mode: commands match exactly."""

    name: str = setting("", text)
    """Label shown to scripts as `_nlp_provider.name`."""

    url: str | None = setting(None, text_or_none)
    """Where texts are sent."""

    timeout_s: float = setting(5.0, duration, key="timeout")
    """Seconds the provider may take; after that the event passes unchanged."""

    literal_commands_first: bool = setting(True, boolean)
    """Whether a text that is a command goes there without asking the provider."""


@dataclass(frozen=True, slots=True)
class LivechatSettings:
    """`[livechat]`: the people who take over. Spec: csml-studio-api §13."""

    url: str | None = setting(None, text_or_none)
    """Where the person's messages go; none for no livechat."""

    token: str | None = setting(None, text_or_none)
    """What agents must show when they answer."""

    timeout_s: float = setting(3600.0, duration, key="timeout")
    """Seconds without a message after which the bot takes over again."""

    end_message: str = setting("The agent has left.", text)
    """What the person reads when the agent leaves."""

    end_button: str = setting("Back to the bot", text)
    """The button that brings the person back."""


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """`[webhook]`: the one webhook of a steps bot. Spec: clustaar §5."""

    url: str | None = setting(None, text_or_none)
    """Its URL; none for no webhook."""

    username: str = setting("", text)
    """Basic authentication's name."""

    password: str = setting("", text)
    """Basic authentication's password."""

    private_key: str = setting("", text)
    """What bodies are signed with."""

    timeout_s: float = setting(10.0, duration, key="timeout")
    """Seconds it may take."""


@dataclass(frozen=True, slots=True)
class KeySettings:
    """`[keys]`: credentials that the author fixed; None for those to be generated."""

    studio_key: str | None = setting(None, text_or_none)
    """`X-Api-Key` of the Studio dialect. A key never contains `|`."""

    studio_secret: str | None = setting(None, text_or_none)
    """What Studio signatures are made with."""

    engine_key: str | None = setting(None, text_or_none)
    """`X-Api-Key` of the engine's REST API. Never generated: product.md §2."""

    chatbot_developer: str | None = setting(None, text_or_none)
    """Bearer token of the chatbot dialect that may do everything."""

    chatbot_client: str | None = setting(None, text_or_none)
    """Bearer token of the chatbot dialect that may only talk."""

    clustaar_token: str | None = setting(None, text_or_none)
    """Bot access token of the clustaar dialect."""

    clustaar_private: str | None = setting(None, text_or_none)
    """Private API key of the clustaar dialect."""

    def given(self) -> dict[str, str]:
        """The fixed keys by name."""
        pairs = ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        return {name: value for name, value in pairs if value is not None}


KEY_NAMES = tuple(f.name for f in dataclasses.fields(KeySettings))
"""The names of all credentials of a bot."""


@dataclass(frozen=True, slots=True)
class BotSettings:
    """All of `palaver.toml` but `[server]`. The first settings are those of `[bot]`."""

    id: str = setting("", some_text)
    """The bot's id, and the source of derived ones. Default: the folder's name."""

    name: str = setting("", some_text)
    """The name people read. Default: the folder's name."""

    description: str | None = setting(None, text_or_none)
    """What the bot is for; null in the Studio dialect when there is none."""

    default_flow: str | None = setting(None, some_text)
    """csml: the flow of events that nothing else takes. Default: Default, else the only one."""

    commands: Mapping[str, tuple[str, ...]] = setting({}, text_lists)
    """csml: texts that start a flow, by the flow's name."""

    airules: tuple[JsonObject, ...] = setting((), _airules)
    """csml: `{commands, target}` rules. Spec: csml-studio-api §10.4."""

    apps_endpoint: str | None = setting(None, text_or_none)
    """csml: URL where App() goes. Default: the functions of the folder's `apps/`."""

    no_interruption_delay: int | None = setting(None, whole(0))
    """csml: seconds in which events are dropped while the bot answers. Spec: engine §4."""

    multibot: tuple[str, ...] = setting((), texts)
    """csml: ids of the bots this one may switch to."""

    on_new_build: str = setting("reference", choice("reference", "finish", "restart"))
    """csml: what becomes of conversations on hold when a new build comes."""

    restart_text: str = setting("Sorry, let us start again.", text)
    """csml: the apology of `on_new_build = "restart"`."""

    step_limit: int | None = setting(None, whole(0))
    """csml: steps of one event. Default: the server's `step_limit`."""

    confidence: float = setting(0.5, number(0.1, 1.0))
    """The chatbot dialect's acceptance threshold. Spec: chatbot-com §4.1."""

    lifespan: int = setting(2, whole(1, 10))
    """The chatbot dialect's allowed failures. Spec: chatbot-com §4.1."""

    session_idle_s: float = setting(600.0, duration, key="session_idle")
    """Seconds without a message after which a chatbot session ends."""

    delay_ms: int = setting(2000, whole(0), key="delay")
    """Milliseconds before a chatbot response that names none."""

    entity_confidence: float = setting(0.7, number(0.0, 1.0))
    """stories: how alike a word must be to count as an entity's synonym."""

    webhook_timeout_s: float = setting(10.0, duration, key="webhook_timeout")
    """stories: seconds a webhook may take."""

    verify_webhooks: bool = setting(True, boolean)
    """stories: whether a webhook must answer its challenge. Spec: chatbot-com §8.4."""

    create_user_answer: str = setting("array", choice("array", "object"))
    """stories: the shape of the answer to `POST /users`. Spec: chatbot-com §3.2."""

    threshold: float = setting(0.6, number(0.0, 1.0))
    """steps: the score from which an intent counts."""

    fallback_story: str | None = setting(None, text_or_none)
    """steps: name or id of the story for what nobody understood."""

    env: JsonObject = setting({}, json_table)
    """`[env]`: what CSML reads as `_env`."""

    preprocess: Mapping[str, str] = setting({}, text_table)
    """`[preprocess]`: an app's name per content type. Spec: csml-studio-api §10.2."""

    studio: StudioSettings = section(StudioSettings)
    """`[studio]`."""

    nlu: NluSettings = section(NluSettings)
    """`[nlu]`."""

    livechat: LivechatSettings = section(LivechatSettings)
    """`[livechat]`."""

    webhook: WebhookSettings = section(WebhookSettings)
    """`[webhook]`."""

    keys: KeySettings = section(KeySettings)
    """`[keys]`."""


_SECTIONS = {
    f.name: f.metadata["section"]
    for f in dataclasses.fields(BotSettings)
    if "section" in f.metadata
}
_FREE_TABLES = ("env", "preprocess")
_TABLES = ("bot", *_FREE_TABLES, *_SECTIONS, "server")


def read_bot_settings(
    file: ConfigFile, environment: Mapping[str, str], *, folder_name: str
) -> tuple[BotSettings, tuple[Problem, ...]]:
    """The settings of one bot and everything that is wrong with them.

    Args:
        folder_name: the default of id and name.
    """
    reader = TableReader(file, environment)
    for name in file.values:
        if name not in _TABLES:
            reader.refuse((name,), f"there is no table [{name}]", nearest(name, _TABLES))
    given = reader.settings("bot", _BotTable)
    for name in _FREE_TABLES:
        if name in file.values:
            given |= _free_table(reader, name)
    for name, kind in _SECTIONS.items():
        given[name] = kind(**reader.settings(name, kind))
    if "|" in (given["keys"].studio_key or ""):
        reader.refuse(("keys", "studio_key"), "studio_key must not contain '|'")
    given.setdefault("id", folder_name)
    given.setdefault("name", folder_name)
    return BotSettings(**given), tuple(reader.problems)


_BotTable = dataclasses.make_dataclass(
    "_BotTable",
    [
        (f.name, object, dataclasses.field(default=None, metadata=f.metadata))
        for f in settings_of(BotSettings)
        if f.name not in _FREE_TABLES
    ],
)
"""What stands in `[bot]` itself: the settings of BotSettings without the tables of their own."""


def _free_table(reader: TableReader, name: str) -> dict[str, Any]:
    """A table with keys of the author's own choice."""
    table = reader.file.values[name]
    read = {f.name: f.metadata["read"] for f in settings_of(BotSettings)}[name]
    before = len(reader.problems)
    value = reader.expand(table, (name,))
    if len(reader.problems) > before:
        return {}
    try:
        return {name: read(value)}
    except Wrong as wrong:
        reader.refuse((name,), f"[{name}] must be {wrong}")
        return {}


# --- the service's settings --------------------------------------------------------------------


def _answer_time(value: object) -> float:
    seconds = duration(value)
    if seconds < 0.1:  # not a round trip to a busy server
        raise Wrong('a time of 100 ms or more, like "10s"')
    return seconds


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """The service: options of `serve`, limits, and the reference engine's variables."""

    host: str = setting("127.0.0.1", some_text)
    """Address to listen on. Another than a loopback one needs an engine key."""

    port: int = setting(8000, whole(0, 65535), engine_variable="ENGINE_SERVER_PORT")
    """Port to listen on; 0 takes a free one."""

    database: str = setting("sqlite:///palaver.db", some_text)
    """`sqlite:///path`, `:memory:` or `postgresql://…`. Spec: product.md §5."""

    database_answer_s: float = setting(10.0, _answer_time)
    """Seconds PostgreSQL may be silent over a statement that waits for no lock; then 503."""

    workers: int = setting(1, whole(1, 256))
    """Serve processes; more than one needs PostgreSQL."""

    watch: bool = setting(False, boolean)
    """Whether a folder that changes is checked, built and used at once."""

    jobs: bool = setting(True, boolean)
    """Whether this process runs jobs too."""

    cors_origins: tuple[str, ...] = setting((), texts)
    """Origins (`https://shop.example`) that browsers may call from, beside the public routes."""

    allow_hosts: tuple[str, ...] = setting((), texts)
    """Hosts that flows may call although their address is private, loopback or link-local."""

    max_body_bytes: int = setting(8 * MIB, size)
    """Bytes of a request's body (8 MiB)."""

    max_header_bytes: int = setting(64 * 1024, size)
    """Bytes of a request's first line and headers (64 KiB)."""

    max_json_depth: int = setting(64, whole(1, 1000))
    """Levels of nesting in JSON that comes in, and in what a flow says, stores and sends."""

    max_payload_bytes: int = setting(16_000, size)
    """Bytes of one said payload, exclusive. Spec: csml-language §6.1."""

    step_limit: int = setting(100, whole(0), engine_variable="STEP_LIMIT")
    """Steps of one event. Spec: csml-engine-runtime §8."""

    max_instructions: int = setting(5_000_000, whole(1))
    """Instructions of one turn."""

    turn_compute_s: float = setting(30.0, duration)
    """Seconds one turn may compute."""

    turn_total_s: float = setting(60.0, duration)
    """Seconds one turn may take with its calls."""

    http_timeout_s: float = setting(30.0, duration)
    """Seconds one HTTP call of a flow may take, or what remains of the turn."""

    http_max_bytes: int = setting(10 * MIB, size)
    """Bytes an HTTP call of a flow may bring (10 MiB)."""

    http_max_redirects: int = setting(5, whole(0, 100))
    """Redirects an HTTP call of a flow follows."""

    turn_wait_s: float = setting(65.0, duration)
    """Seconds a request waits for another turn of its client; then 503."""

    max_memory_bytes: int = setting(MIB, size)
    """Bytes of all memories of one client (1 MiB)."""

    max_depth: int = setting(300, whole(1, 10_000))
    """Calls of functions inside one another."""

    max_messages: int = setting(10_000, whole(1))
    """Messages of one turn."""

    max_value_bytes: int = setting(16 * MIB, size)
    """Bytes of one value in a flow (16 MiB)."""

    keep_alive_s: float = setting(75.0, duration)
    """Seconds a connection stays open that is idle, or silent in the middle of a request."""

    engine_api_keys: tuple[str, ...] = setting(
        (), raw_texts, engine_variable="ENGINE_SERVER_API_KEYS"
    )
    """Keys that open the engine's REST API, beside the bots' own. Spec: engine §18."""

    ttl_days: int | None = setting(None, whole(0, 3_650_000), engine_variable="TTL_DURATION")
    """Days after which what a request creates expires; none for never. Spec: engine §17."""

    low_data_mode: bool = setting(False, boolean, engine_variable="LOW_DATA_MODE")
    """Whether messages are not stored. Spec: engine §17.4."""

    disable_ssl_verify: bool | None = setting(None, boolean, engine_variable="DISABLE_SSL_VERIFY")
    """true: no call checks certificates; false: a call may ask for that; none: all check."""

    components_dir: str | None = setting(None, text_or_none, engine_variable="COMPONENTS_DIR")
    """Folder of further native components. Spec: csml-engine-runtime §14.2."""

    modules_url: str | None = setting(None, text_or_none, engine_variable="MODULES_URL")
    """Where modules without a URL come from. Spec: csml-engine-runtime §14.1."""

    modules_auth: str | None = setting(None, text_or_none, engine_variable="MODULES_AUTH")
    """`name:password` for `modules_url`."""

    log_level: str = setting(
        "info",
        choice("error", "warn", "info", "debug", "trace"),
        engine_variable="CSML_LOG_LEVEL",
    )
    """The least that is logged: error, warn, info, debug or trace."""

    log_format: str = setting("auto", choice("auto", "json", "text"))
    """json: a JSON object a line; text: for people; auto: text on a terminal, else json."""

    secret_key: tuple[str, ...] = setting(
        (),
        texts,
        engine_variable="ENCRYPTION_SECRET",
        older_variable="ENGINE_ENCRYPTION_SECRET",  # so the reference's own documents call it
    )
    """Secrets for encryption at rest: the first encrypts, all decrypt. Spec: product.md §5."""

    lost_keys: tuple[str, ...] = setting((), texts)
    """Ids of keys whose secrets are lost for good: `serve` starts without them."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host to listen on is reachable from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return False


def read_server_table(
    file: ConfigFile, environment: Mapping[str, str]
) -> tuple[dict[str, Json], tuple[Problem, ...]]:
    """`[server]` of one file: values by setting name, and everything that is wrong."""
    reader = TableReader(file, environment)
    return reader.settings("server", ServerSettings), tuple(reader.problems)


def server_settings(
    options: Mapping[str, object],
    environment: Mapping[str, str],
    tables: Iterable[tuple[str, Mapping[str, Any]]] = (),
) -> ServerSettings:
    """Joins what options, environment and files say; options win, then the environment.

    Args:
        options: values by setting name; None for an option that was not given.
        tables: path and `[server]` values of each folder.

    Raises:
        UsageError: an environment variable has a value that cannot be used.
        ConfigError: two folders disagree.
    """
    values = _agreed(tables)
    for known in settings_of(ServerSettings):
        for variable in (*known.metadata["engine_variables"], f"PALAVER_{known.name.upper()}"):
            if environment.get(variable, "") != "":
                with contextlib.suppress(_Ignored):
                    values[known.name] = _from_variable(known, variable, environment[variable])
    values |= {name: value for name, value in options.items() if value is not None}
    return ServerSettings(**values)


def _agreed(tables: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    said_by: dict[str, str] = {}
    for path, table in tables:
        for name, value in table.items():
            if name in values and values[name] != value:
                raise ConfigError(
                    f"[server] {name} is {_plain(values[name])} in {said_by[name]} and "
                    f"{_plain(value)} in {path}: folders served together must agree"
                )
            values[name] = value
            said_by.setdefault(name, path)
    return values


class _Ignored(Exception):
    """A variable counts as not set."""


def _from_variable(known: dataclasses.Field[Any], variable: str, written: str) -> Any:
    try:
        return known.metadata["read"](EnvironmentText(written))
    except Wrong as wrong:
        if variable == "STEP_LIMIT":  # the reference ignores one that is no number (engine §8)
            raise _Ignored from wrong
        raise UsageError(f"{variable} in the environment must be {wrong}") from wrong


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return str(list(value))
    return str(value).lower() if isinstance(value, bool) else str(value)


__all__ = [
    "KEY_NAMES",
    "BotSettings",
    "KeySettings",
    "LivechatSettings",
    "NluSettings",
    "ServerSettings",
    "StudioSettings",
    "WebhookSettings",
    "is_loopback",
    "key_of",
    "read_bot_settings",
    "read_server_table",
    "server_settings",
]
