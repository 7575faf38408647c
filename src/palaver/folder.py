"""A bot's folder: files in, a `Bot` with its settings out, or everything that is wrong with it.

Reads `palaver.toml`, flows, modules and components; judges names, commands and the default flow,
and hands the flows' texts to the language's parser and checker. Nothing is started or stored.
Spec: product.md §2.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from palaver.config import BotSettings, read_bot_settings, read_server_table
from palaver.config_file import ConfigFile, bad_encoding, parse_config
from palaver.csml.source import Source
from palaver.flow_check import check_flows
from palaver.model import Bot, Flow, Module, OtherBot
from palaver.problems import FolderError, FolderMissing, Problem, nearest
from palaver.services.aliases import flow_uuid
from palaver.types import Json, JsonObject

Kind = Literal["csml", "stories", "steps"]

_KIND_FOLDERS: Mapping[str, Kind] = {"flows": "csml", "stories": "stories", "steps": "steps"}

_COMMANDS = re.compile(r"\s*//\s*commands\s*:(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BotFolder:
    """One folder, read and found good.

    Attributes:
        bot: what it builds; the flows' commands include those of `[bot] airules`.
        server: values of `[server]` by setting name.
        digest: of everything that makes a build or a working copy, so that equal digests mean
            "nothing changed". Keys and other settings of the service are not in it.
        warnings: what the checker found that does not hinder.
        apps: the folder `apps/`, when there is one.
    """

    path: Path
    bot: Bot
    settings: BotSettings
    server: dict[str, Json]
    digest: str
    warnings: tuple[Problem, ...] = ()
    apps: Path | None = None


def read_folder(path: Path | str, environment: Mapping[str, str] | None = None) -> BotFolder:
    """Reads and checks one bot.

    Args:
        environment: where `"$NAME"` values come from; the process's own by default.

    Raises:
        FolderMissing: there is no such folder.
        FolderError: it holds no bot, or one with mistakes: all of them, each with its place.
    """
    return _FolderReader(Path(path), os.environ if environment is None else environment).read()


def read_folders(
    paths: Sequence[Path | str], environment: Mapping[str, str] | None = None
) -> tuple[BotFolder, ...]:
    """Reads several bots that are to be served together, reporting all problems of all at once.

    Raises: as `read_folder`; FolderError also when two have the same id or key.
    """
    folders: list[BotFolder] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            folders.append(read_folder(path, environment))
        except FolderError as error:
            problems += error.problems
    seen: dict[str, Path] = {}
    for folder in folders:
        first = seen.setdefault(folder.bot.id, folder.path)
        if first is not folder.path:
            reason = f"the bot id {folder.bot.id!r} is also that of {first}"
            hint = "give one of them another [bot] id in its palaver.toml"
            problems.append(_folder_problem(folder.path, "duplicate-bot", reason, hint))
    problems += _shared_keys(folders)
    if problems:
        raise FolderError(problems)
    return tuple(folders)


def _shared_keys(folders: Sequence[BotFolder]) -> Iterator[Problem]:
    """A key says which bot is meant, so no two may have it; engine keys open all bots anyway."""
    seen: dict[tuple[str, str], Path] = {}
    for folder in folders:
        for name, key in folder.settings.keys.given().items():
            first = seen.setdefault((name, key), folder.path)
            if first is not folder.path and name != "engine_key":
                reason = (
                    f"its {name} is also that of {first}, so it would not tell which bot is meant"
                )
                hint = f"give one of them another [keys] {name}, or none"
                yield _folder_problem(folder.path, "duplicate-key", reason, hint)


def read_components(folder: Path) -> tuple[JsonObject, tuple[Problem, ...]]:
    """Component descriptors (`*.json`, the stem is the name) and what is wrong with them."""
    found: JsonObject = {}
    problems: list[Problem] = []
    for file in _files(folder, ".json"):
        text = _read_text(file, problems)
        if text is None:
            continue
        try:
            descriptor = json.loads(text)
        except json.JSONDecodeError as error:
            line = text.split("\n")[error.lineno - 1]
            reason = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}"
            problems.append(
                Problem(str(file), error.lineno, error.colno, reason, "json", "error", line)
            )
            continue
        except RecursionError:
            problems.append(Problem(str(file), 0, 0, "JSON that is nested too deeply", "json"))
            continue
        if not isinstance(descriptor, dict):
            reason = "a component must be a JSON object"
            problems.append(Problem(str(file), 1, 1, reason, "component"))
            continue
        found[file.stem] = descriptor
    return found, tuple(problems)


def effective_commands(
    flow: str, written: Sequence[str], airules: Sequence[JsonObject]
) -> tuple[str, ...]:
    """A flow's commands and those of the rules that target it, without repeats.

    Letter case does not make a difference. Spec: csml-studio-api §10.4.
    """
    commands = list(written)
    for rule in airules:
        target, said = rule["target"], rule["commands"]
        name = target.get("flow_name") if isinstance(target, dict) else None
        if isinstance(name, str) and name.lower() == flow.lower() and isinstance(said, list):
            commands += [str(command) for command in said]
    found: dict[str, str] = {}
    for command in commands:
        found.setdefault(command.lower(), command)
    return tuple(found.values())


class _FolderReader:
    """Reads one folder, noting problems on the way; the last step raises them together."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self.environment = environment
        self.problems: list[Problem] = []
        self.file = ConfigFile(str(path / "palaver.toml"), {})

    def read(self) -> BotFolder:
        if not self.path.is_dir():
            what = "is not a folder" if self.path.exists() else "does not exist"
            raise FolderMissing(f"{self.path} {what}")
        self.require_kind()
        settings, server = self.read_settings()
        sources = self.read_sources("flows")
        flows = self.make_flows(settings, sources)
        default_flow = self.choose_default(settings, [flow.name for flow in flows])
        modules = self.read_sources("modules")
        components, problems = read_components(self.path / "components")
        self.problems += problems
        self.problems += check_flows(
            sources, modules, default_flow or "", components, self.native_components(server)
        )
        if any(problem.hinders for problem in self.problems):
            raise FolderError(self.problems)
        bot = Bot(
            id=settings.id,
            name=settings.name,
            flows=flows,
            default_flow=default_flow or "",
            apps_endpoint=settings.apps_endpoint,
            modules=tuple(_module(settings.id, source) for source in modules.values()),
            multibot=tuple(OtherBot(other) for other in settings.multibot),
            custom_components=components,
            no_interruption_delay=settings.no_interruption_delay,
            env=settings.env,
        )
        apps = self.path / "apps"
        return BotFolder(
            self.path,
            bot,
            settings,
            server,
            _digest(bot, settings),
            tuple(self.problems),
            apps if apps.is_dir() else None,
        )

    def native_components(self, server: Mapping[str, Json]) -> tuple[str, ...]:
        """Names of the components that the server of this folder adds (csml-language §8.5)."""
        folder = server.get("components_dir")
        for variable in ("COMPONENTS_DIR", "PALAVER_COMPONENTS_DIR"):
            folder = self.environment.get(variable) or folder
        if not isinstance(folder, str):
            return ()
        return tuple(read_components(Path(folder))[0])  # their problems are told when it starts

    def refuse(self, code: str, reason: str, hint: str = "") -> None:
        self.problems.append(_folder_problem(self.path, code, reason, hint))

    def require_kind(self) -> None:
        """Raises: FolderError unless the folder is one bot, of a kind that can be loaded."""
        there = [name for name in _KIND_FOLDERS if (self.path / name).is_dir()]
        if not there:
            reason = "no bot is here: there is none of flows/, stories/ and steps/"
            hint = f"begin one with: palaver new {self.path}"
            raise FolderError([_folder_problem(self.path, "no-bot", reason, hint)])
        if len(there) > 1:
            listed = " and ".join(f"{name}/" for name in there)
            reason = f"one folder is one bot of one kind, and here are {listed}"
            hint = "move one of them to a folder of its own"
            raise FolderError([_folder_problem(self.path, "two-kinds", reason, hint)])
        if _KIND_FOLDERS[there[0]] != "csml":
            reason = f"{there[0]} bots come with a later release; this one loads flows/*.csml"
            raise FolderError([_folder_problem(self.path, "unsupported-kind", reason)])

    def read_settings(self) -> tuple[BotSettings, dict[str, Json]]:
        file = self.path / "palaver.toml"
        if file.exists():
            try:
                self.file = parse_config(str(file), file.read_bytes())
            except OSError as error:
                self.problems.append(_unreadable(file, error))
            except FolderError as error:
                self.problems += error.problems
        name = self.path.resolve().name or "bot"
        settings, problems = read_bot_settings(self.file, self.environment, folder_name=name)
        server, more = read_server_table(self.file, self.environment)
        self.problems += [*problems, *more]
        return settings, server

    def read_sources(self, folder: str) -> dict[Path, Source]:
        """The CSML files of a folder, in the order of their names."""
        sources: dict[Path, Source] = {}
        names: dict[str, Path] = {}
        for file in _files(self.path / folder, ".csml"):
            text = _read_text(file, self.problems)
            first = names.setdefault(file.stem.lower(), file)
            if first is not file:
                reason = f"{file.stem!r} and {first.stem!r} are one name, for case does not count"
                self.problems.append(Problem(str(file), 0, 0, reason, "duplicate-flow"))
            sources[file] = Source(text or "", file.stem)
            if text is None:
                del sources[file]
        return sources

    def make_flows(self, settings: BotSettings, sources: Mapping[Path, Source]) -> tuple[Flow, ...]:
        flows = []
        for source in sources.values():
            written = [*settings.commands.get(source.name, ()), *comment_commands(source.text)]
            written.append("/" + source.name.lower())
            commands = effective_commands(source.name, written, settings.airules)
            flow_id = flow_uuid(settings.id, source.name)
            flows.append(Flow(flow_id, source.name, source.text, commands))
        names = [flow.name for flow in flows]
        for name in settings.commands:
            if name not in names:
                reason = f"commands are given to {name!r}, and there is no flows/{name}.csml"
                self.problems.append(
                    self.file.problem(("bot", "commands", name), reason, hint=nearest(name, names))
                )
        return tuple(flows)

    def choose_default(self, settings: BotSettings, names: Sequence[str]) -> str | None:
        """The default flow's name; None with a problem noted. Spec: product.md §2."""
        if not names:
            if not any(problem.code == "encoding" for problem in self.problems):
                self.refuse("no-bot", "no bot is here: flows/ holds no .csml file")
            return None
        wanted = settings.default_flow
        by_name = {name.lower(): name for name in names}
        if wanted is not None:
            found = wanted if wanted in names else by_name.get(wanted.lower())
            if found is None:
                reason = f"default_flow is {wanted!r}, and there is no flows/{wanted}.csml"
                hint = nearest(wanted, names)
                self.problems.append(self.file.problem(("bot", "default_flow"), reason, hint=hint))
            return found
        if "default" in by_name:
            return by_name["default"]
        if len(names) == 1:
            return names[0]
        self.refuse(
            "default-flow",
            f"none of the flows is called Default: which of {', '.join(names)} is the default?",
            f'say it in palaver.toml: [bot] default_flow = "{names[0]}"',
        )
        return None


def comment_commands(text: str) -> tuple[str, ...]:
    """The commands of a `// commands: /order, /buy` comment on a flow's first line."""
    found = _COMMANDS.fullmatch(text.partition("\n")[0].removeprefix("\ufeff").rstrip("\r"))
    if not found:
        return ()
    return tuple(part.strip() for part in found[1].split(",") if part.strip())


def _module(bot_id: str, source: Source) -> Module:
    flow = Flow(flow_uuid(bot_id, f"modules/{source.name}"), source.name, source.text)
    return Module(source.name, flow=flow)


def _files(folder: Path, suffix: str) -> list[Path]:
    if not folder.is_dir():
        return []
    here = (file for file in folder.iterdir() if file.suffix == suffix and file.is_file())
    return sorted((file for file in here if not file.name.startswith(".")), key=lambda f: f.name)


def _read_text(file: Path, problems: list[Problem]) -> str | None:
    """The file's text; None with a problem noted."""
    try:
        data = file.read_bytes()
    except OSError as error:
        problems.append(_unreadable(file, error))
        return None
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        problems.append(bad_encoding(str(file), data, error))
        return None


def _unreadable(file: Path, error: OSError) -> Problem:
    return Problem(str(file), 0, 0, f"cannot be read: {error.strerror or error}", "unreadable")


def _folder_problem(path: Path, code: str, reason: str, hint: str = "") -> Problem:
    return Problem(str(path), 0, 0, reason, code, hint=hint)


def _digest(bot: Bot, settings: BotSettings) -> str:
    content: dict[str, Any] = asdict(bot)
    del content["apps_endpoint"], content["multibot"]  # each run gives them anew
    content["description"] = settings.description
    content["airules"] = settings.airules
    dumps: Callable[..., str] = json.dumps
    canonical = dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
