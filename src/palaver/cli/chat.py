"""`palaver chat`: a conversation in the terminal, in process or with a running server.

Lines come from stdin and messages go to stdout, one by one; with a pipe instead of a person, the
same lines without prompts and colours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import click

from palaver.cli.options import FOLDER, database_option, join_settings
from palaver.cli.talk import DIALECTS, Call, Click, Said, Talk
from palaver.folder import BotFolder, read_folder
from palaver.problems import EnvironmentFailed, UsageError
from palaver.services.aliases import bot_hex

if TYPE_CHECKING:
    import httpx

NO: Final = 1

HELP: Final = """\
/reset   begin again          /trace  the last request and its answer
/memory  what the bot knows   /quit   leave
A number presses the button of that number."""


@click.command()
@click.argument("folder", metavar="DIR", type=FOLDER, required=False)
@click.option(
    "--dialect", type=click.Choice(list(DIALECTS)), default="studio", show_default=True,
    help="The API to talk over.",
)  # fmt: skip
@click.option("--user", metavar="ID", default="you", show_default=True, help="Who you are.")
@click.option("--url", metavar="URL", help="Talk to a running server instead of in process.")
@click.option("--key", metavar="KEY", help="The dialect's key; by default the one in DIR.")
@database_option
def chat(
    folder: Path | None,
    dialect: str,
    user: str,
    url: str | None,
    key: str | None,
    database: str | None,
) -> int:
    """Talk to the bot in DIR in the terminal.

    Without --url the bot runs in process and forgets everything when you leave, unless --database
    names a database. With lines from a pipe it exits with 1 when one was refused.
    """
    if folder is None and url is None:
        raise UsageError("give the bot's folder, or --url of a running server with --key")
    bot = read_folder(folder) if folder is not None else None
    if not user:
        raise UsageError("--user must not be empty")
    kind = DIALECTS[dialect]
    talk = kind(user, bot_hex(bot.bot.id) if bot else "")
    if url is None:
        assert bot is not None  # noqa: S101 - one of both is there, see above
        link = _in_process(bot, database or ":memory:")
    else:
        link = _over_network(bot, talk, url, key)
    return asyncio.run(_converse(talk, link, bot))


@dataclass(frozen=True, slots=True)
class Link:
    """A way to a server, with the keys that are known by name."""

    http: httpx.AsyncClient
    keys: Mapping[str, str]


@contextlib.asynccontextmanager
async def _in_process(bot: BotFolder, database: str) -> AsyncIterator[Link]:
    import httpx

    from palaver.wiring import build

    settings = join_settings({"database": database}, [bot])
    async with build(settings, [bot]) as service:
        keys = [service.access.keys_of(loaded) for loaded in service.bots.loaded()]
        transport = httpx.ASGITransport(app=service.app)
        base = "http://127.0.0.1"
        async with httpx.AsyncClient(transport=transport, base_url=base, timeout=600) as http:
            yield Link(http, keys[0])


@contextlib.asynccontextmanager
async def _over_network(
    bot: BotFolder | None, talk: Talk, url: str, key: str | None
) -> AsyncIterator[Link]:
    import httpx

    keys = bot.settings.keys.given() if bot else {}
    if key is not None:
        keys[talk.key] = key
    if talk.key not in keys:
        raise UsageError(
            f"--url needs --key: the bot's {talk.key} (palaver keys show BOT {talk.key})"
        )
    if isinstance(talk, DIALECTS["clustaar"]) and bot is None:
        raise UsageError("--dialect clustaar needs the bot's folder too, for its id")
    try:
        client = httpx.AsyncClient(base_url=url, timeout=120, trust_env=False)
    except httpx.InvalidURL as error:
        raise UsageError(f"--url {url} is no URL: {error}") from error
    async with client as http:
        yield Link(http, keys)


async def _converse(
    talk: Talk, opened: contextlib.AbstractAsyncContextManager[Link], bot: BotFolder | None
) -> int:
    """Takes lines until they end. Returns: 1 when something a program said was refused."""
    is_person = sys.stdin.isatty() and sys.stdout.isatty()
    async with opened as link:
        session = Session(talk, link, click.echo)
        if is_person:
            name = bot.bot.name if bot else str(link.http.base_url)
            click.secho(f"You talk to {name}.\n{HELP}", dim=True)
        while (line := await asyncio.to_thread(_read_line, is_person=is_person)) is not None:
            if not is_person:
                click.echo(f"> {line}")
            if not await session.take(line):
                break
    return NO if session.was_refused and not is_person else 0


def _read_line(*, is_person: bool) -> str | None:
    """The next line; None at the end of the input."""
    if is_person:
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - gives input() its line editing
        try:
            return input("> ")
        except EOFError:
            return None
    line = sys.stdin.readline()
    return line.rstrip("\r\n") if line else None


class Session:
    """One conversation: takes lines, shows answers.

    Args:
        show: prints one line (or several) for the person.
    """

    def __init__(self, talk: Talk, link: Link, show: Callable[[str], None]) -> None:
        self.talk = talk
        self.link = link
        self.show = show
        self.clicks: tuple[Click, ...] = ()
        self.trace = "nothing was said yet"
        self.was_refused = False

    async def take(self, line: str) -> bool:
        """Does what a line says. Returns: whether the conversation goes on."""
        command = line.strip().lower()
        if command == "/quit":
            return False
        if command == "/trace":
            self.show(self.trace)
        elif command == "/memory":
            await self.show_memory()
        elif command == "/reset":
            await self.reset()
        elif line.strip():
            await self.say(self.meant(line))
        return True

    def meant(self, line: str) -> Click | str:
        """The button of a number that is on show, else the text itself."""
        number = line.strip()
        if number.isascii() and number.isdigit() and 1 <= int(number) <= len(self.clicks):
            return self.clicks[int(number) - 1]
        return line

    async def say(self, what: Click | str) -> None:
        """Sends a text or a click and shows the answer."""
        opening = self.talk.opening()
        if opening is not None:
            answer = await self.send(opening)
            if answer is None:
                return
            self.talk.opened(answer)
        call = self.talk.text(what) if isinstance(what, str) else self.talk.click(what)
        await self.answer_to(call)

    async def reset(self) -> None:
        """Begins the conversation anew."""
        self.clicks = ()
        call = self.talk.reset()
        if call is None:
            self.show("(you are somebody new now)")
        else:
            await self.answer_to(call)

    async def answer_to(self, call: Call) -> None:
        answer = await self.send(call)
        if answer is None:
            return
        self.clicks = ()
        for said in self.talk.messages(answer):
            self.show_message(said)

    def show_message(self, said: Said) -> None:
        """One message with its buttons, numbered on from those of the messages before."""
        if said.text:
            self.show(click.style(said.text, fg="red") if said.is_error else said.text)
        for button in said.clicks:
            self.clicks = (*self.clicks, button)
            self.show(click.style(f"  {len(self.clicks)}) {button.title}", fg="cyan"))

    async def show_memory(self) -> None:
        """What the answer showed, or what the engine's API tells about the client."""
        memories: Any = self.talk.memories
        if self.talk.client is not None:
            call = Call("/memories?" + urlencode(dict(self.talk.client)), method="GET")
            key = self.link.keys.get("engine_key")
            found = await self.send(call, {"X-Api-Key": key} if key else {}, is_traced=False)
            if found is None:
                return
            memories = {memory["key"]: _plain(memory["value"]) for memory in found}
        if not memories:
            self.show("(no memories)")
        for name, value in (memories or {}).items():
            self.show(f"{name} = {json.dumps(value, ensure_ascii=False)}")

    async def send(
        self, call: Call, headers: Mapping[str, str] | None = None, *, is_traced: bool = True
    ) -> Any:
        """The answer's JSON; None when the server refused, which is shown.

        Raises:
            EnvironmentFailed: no server answers.
        """
        import httpx

        if headers is None:
            headers = self.talk.headers(self.link.keys.get(self.talk.key, ""))
        content = None if call.body is None else json.dumps(call.body).encode()
        sent = {"Content-Type": "application/json", **headers}
        try:
            answer = await self.link.http.request(
                call.method, call.path, content=content, headers=sent
            )
        except httpx.TransportError as error:
            where = self.link.http.base_url
            raise EnvironmentFailed(f"no server answers at {where}: {error}") from error
        shown = _pretty(answer.text)
        if is_traced:
            asked = json.dumps(call.body, ensure_ascii=False, indent=2)
            self.trace = f"{call.method} {call.path}\n{asked}\n\n{answer.status_code}\n{shown}"
        if not answer.is_success:
            self.was_refused = True
            self.show(click.style(f"{answer.status_code} {shown}".rstrip(), fg="red"))
            return None
        try:
            return answer.json()
        except ValueError as error:
            where = self.link.http.base_url
            raise EnvironmentFailed(
                f"what answers at {where} is no Palaver: {shown[:60]!r}"
            ) from error


def _plain(value: Any) -> Any:
    """A stored memory without the marks of its type (csml-language §7.4)."""
    if isinstance(value, dict):
        if value.keys() == {"_content_type", "_content"}:
            return _plain(value["_content"])
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text
