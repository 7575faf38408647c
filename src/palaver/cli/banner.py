"""What `serve` prints once the port is open: settings and bots in, lines out. Pure.

The curl lines need nothing but sh, curl and sed, carry no request id, and go on with the
conversation when they are pasted again with another text. Spec: product.md §1.
"""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

PERSON = "you-at-curl"
"""The user that the curl lines speak as; long enough to be a chatbot session's name."""

DEFAULT_DATABASE = "sqlite:///palaver.db"


@dataclass(frozen=True, slots=True)
class ServedBot:
    """One bot as the start-up lines show it.

    Attributes:
        id: as the engine's REST API and `palaver keys` take it.
        hex_id: its id in the clustaar dialect.
        keys: its credentials by name; no `engine_key` means that API is open.
        folder: where its fixed keys stand, if it came from one.
        fixed: names of the keys that the folder fixes.
    """

    id: str
    hex_id: str
    name: str
    keys: Mapping[str, str] = field(default_factory=dict)
    folder: str | None = None
    fixed: frozenset[str] = frozenset()


def address_of(host: str, port: int) -> str:
    """The URL under which a server that listens there is called from its own machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def command_name(script: str, environ: Mapping[str, str]) -> str:
    """How this program is called from another terminal.

    `uv run` puts the program's folder into the PATH of what it starts, and into no other.
    """
    found = shutil.which("palaver", path=environ.get("PATH"))
    is_anywhere = found is not None and "UV_RUN_RECURSION_DEPTH" not in environ
    return "palaver" if is_anywhere or not Path(script).is_absolute() else shlex.quote(script)


def start_lines(
    address: str,
    database: str,
    bots: Sequence[ServedBot],
    *,
    shows_keys: bool,
    text: str = "hello",
    command: str = "palaver",
) -> list[str]:
    """The lines `serve` prints.

    Args:
        shows_keys: put keys into the lines; otherwise they are read by `palaver keys show`.
        text: what the curl lines say.
        command: how a shell finds this program; as `command_name` gives it.
    """
    lines = [f"Palaver listens at {address}", f"database  {shown_database(database)}"]
    lines += [f"web chat  {address}/chat/{quote(bot.id)}   ({bot.name})" for bot in bots]
    if not bots:
        return [*lines, "no bots yet: serve a folder, or push one with POST /bots"]
    talk = _Curls(address, database, bots[0], text, command, shows_keys=shows_keys)
    lines += ["", f"Talk to {bots[0].name}; paste a line again, with another text, to go on:"]
    for title, curl in talk.all():
        lines += ["", f"# {title}", curl]
    return lines


def shown_database(url: str) -> str:
    """The database's URL without its password."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    user = f"{parts.username}:…@" if parts.username else ""
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"{user}{parts.hostname or ''}{port}"))


class _Curls:
    """The four lines for one bot."""

    def __init__(
        self,
        address: str,
        database: str,
        bot: ServedBot,
        text: str,
        command: str,
        *,
        shows_keys: bool,
    ) -> None:
        self.address = address
        self.database = database
        self.bot = bot
        self.text = text
        self.command = command
        self.shows_keys = shows_keys

    def all(self) -> list[tuple[str, str]]:
        """`(title, line)` in the order they are printed."""
        return [
            ("the CSML engine's REST API", self.engine()),
            ("CSML Studio", self.studio()),
            ("ChatBot.com", self.chatbot()),
            ("Clustaar", self.clustaar()),
        ]

    def engine(self) -> str:
        client = {"bot_id": self.bot.id, "channel_id": "curl", "user_id": PERSON}
        payload = {"content_type": "text", "content": {"text": self.text}}
        event = {"client": client, "payload": payload, "metadata": {}}
        header = self.header("X-Api-Key: ", "engine_key") if "engine_key" in self.bot.keys else ""
        return self.curl("/run", header, {"bot_id": self.bot.id, "event": event})

    def studio(self) -> str:
        payload = {"content_type": "text", "content": {"text": self.text}}
        body = {"client": {"user_id": PERSON}, "metadata": {}, "payload": payload}
        return self.curl("/v1/api/chat", self.header("X-Api-Key: ", "studio_key"), body)

    def chatbot(self) -> str:
        body = {"sessionId": PERSON, "query": self.text}
        header = self.header("Authorization: Bearer ", "chatbot_client")
        return self.curl("/query", header, body)

    def clustaar(self) -> str:
        header = self.header("Authorization: Bearer ", "clustaar_token")
        meet = self.curl(
            f"/bots/{quote(self.bot.hex_id)}/interlocutors/clustaar_web_chat",
            header,
            {"type": "interlocutor", "userID": PERSON},
        )
        reply = self.curl(
            "/interlocutors/$id/reply", header, {"type": "text", "message": self.text}
        )
        find_id = r"""sed 's/.*"id": *"\([^"]*\)".*/\1/'"""
        return f"id=$({meet} | {find_id}) && {reply}"

    def curl(self, path: str, header: str, body: object) -> str:
        url = self.address + path
        # Only our own `$id` is to be expanded by the shell; nothing else in an address is special.
        place = f'"{url}"' if "$id" in path else shlex.quote(url)
        data = shlex.quote(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
        words = ["curl -s", place, header, "-H 'Content-Type: application/json'", "-d", data]
        return " ".join(word for word in words if word)

    def header(self, start: str, key: str) -> str:
        if self.shows_keys:
            return "-H " + shlex.quote(start + self.bot.keys.get(key, ""))
        return f'-H "{start}$({self.keys_command(key)})"'

    def keys_command(self, key: str) -> str:
        """Prints the key on the machine that serves; a fixed key is read from its folder."""
        if key in self.bot.fixed and self.bot.folder is not None:
            return f"{self.command} keys show {shlex.quote(self.bot.folder)} {key}"
        option = ""
        if self.database != DEFAULT_DATABASE and not urlsplit(self.database).password:
            option = f" --database {shlex.quote(self.database)}"
        return f"{self.command} keys show {shlex.quote(self.bot.id)} {key}{option}"
