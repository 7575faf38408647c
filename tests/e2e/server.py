"""Real `palaver serve` processes: started, asked, killed, started again.

    server = Server(tmp_path, {"Default": SOURCE})    # or Server(tmp_path, folders=[…])
    server.start()                                    # waits for the start-up line
    server.say("ann", "hello").texts
    server.kill(); server.start()                     # the same database, another port

Everything a server writes is kept in `output` (stdout) and `log` (stderr). The fixture `serving`
in conftest.py stops what a test started, and fails it when a log has a traceback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO, Any

import httpx

PALAVER = str(Path(sys.executable).with_name("palaver"))
"""The command as it was installed beside this Python."""

START_S = 120
"""Far more than a start takes; a test that waits so long has failed."""

ANSWER_S = 120
"""Far more than a turn takes."""

STOP_S = 60

BOT = "bot"


def environment(**more: str) -> dict[str, str]:
    """This process's environment without settings of Palaver's, `palaver` on its path."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PALAVER_", "ENGINE_SERVER_", "ENCRYPTION_"))
    }
    path = os.pathsep.join([str(Path(PALAVER).parent), ours.get("PATH", os.defpath)])
    return {**ours, "PATH": path, "PYTHONUTF8": "1", **more}


def palaver(
    *arguments: str | Path, cwd: Path | None = None, stdin: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command of Palaver's to its end. Args: more: environment variables."""
    return subprocess.run(
        [PALAVER, *map(str, arguments)],
        cwd=cwd,
        input=stdin,
        env=environment(**more),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=START_S,
    )


def write_bot(folder: Path, flows: Mapping[str, str], settings: str = "") -> Path:
    """A folder with a CSML bot. Args: flows: source by name."""
    (folder / "flows").mkdir(parents=True, exist_ok=True)
    for name, source in flows.items():
        (folder / "flows" / f"{name}.csml").write_text(source, "utf-8")
    if settings:
        (folder / "palaver.toml").write_text(settings, "utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Answer:
    """What a turn over the engine's REST API brought."""

    status: int
    body: Any

    @property
    def texts(self) -> list[str]:
        """The texts said; of other messages their whole content."""
        assert self.status == 200, (self.status, self.body)
        contents = [message["payload"]["content"] for message in self.body["messages"]]
        return [content.get("text", content) for content in contents]


@dataclass
class Server:
    """One `palaver serve` at a time, on one database.

    Attributes:
        folders: bots to serve; without any, the flows given are written as a bot called `bot`.
        options, variables: further words of the command line and environment variables.
        url: where it answers, since the last start.
        starts: how often it was started.
    """

    place: Path
    flows: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    folders: Sequence[Path] = ()
    options: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    database: str = ""

    def __post_init__(self) -> None:
        self.url = ""
        self.output: list[str] = []
        self.log: list[str] = []
        self.starts = 0
        self.process: subprocess.Popen[str] | None = None
        self._said_more = threading.Condition()
        self._readers: list[threading.Thread] = []
        if self.flows:
            self.folders = [write_bot(self.place / BOT, self.flows, self.settings)]
        self.database = self.database or f"sqlite:///{self.place / 'palaver.db'}"

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> Server:
        """Starts the process and waits until its port is open. Fails with its log if it stops."""
        self.launch()
        for line in self.output_lines():
            if line.startswith("Palaver listens at "):
                self.url = line.split()[-1]
                break
        else:
            raise AssertionError(f"the server stopped with {self.wait()}: {self.log_text()}")
        self.starts += 1
        self._read(self._stdout(), self.output)
        return self

    def launch(self) -> None:
        """Starts the process and waits for nothing."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        self.output.clear()
        command = [PALAVER, "serve", *map(str, self.folders), "--port", "0"]
        self.process = subprocess.Popen(
            [*command, "--database", self.database, *self.options],
            cwd=self.place,
            env=environment(**self.variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self.process.stderr is not None
        self._readers = []
        self._read(self.process.stderr, self.log)

    def output_lines(self) -> Iterator[str]:
        """The lines it prints, as they come; ends when it ends, or after START_S."""
        watchdog = threading.Timer(START_S, self.running.kill)
        watchdog.start()
        try:
            for line in self._stdout():
                self.output.append(line.rstrip("\n"))
                yield self.output[-1]
        finally:
            watchdog.cancel()

    @property
    def running(self) -> subprocess.Popen[str]:
        assert self.process is not None, "the server was not started"
        return self.process

    def kill(self) -> None:
        """As a power cut would (`kill -9`), and waits until it is gone."""
        self.running.kill()
        self.wait()

    def stop(self) -> int:
        """Asks it to stop. Returns: its exit code."""
        self.running.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Waits for its end and for all it had to say. Returns: its exit code."""
        code = self.running.wait(STOP_S)
        for reader in self._readers:
            reader.join(STOP_S)
        for pipe in (self.running.stdout, self.running.stderr):
            assert pipe is not None
            pipe.close()
        return code

    def close(self) -> None:
        """Leaves nothing behind, whatever state the test ended in."""
        if self.process is not None:
            self.process.kill()
            self.wait()

    def wait_for_words(self, words: str) -> None:
        """Until these stand in what it printed or logged."""
        with self._said_more:
            said = self._said_more.wait_for(
                lambda: any(words in line for line in [*self.output, *self.log]), START_S
            )
        assert said, f"it never said {words!r}: {self.output} {self.log_text()}"

    def log_text(self) -> str:
        return "\n".join(self.log)

    def _stdout(self) -> IO[str]:
        assert self.running.stdout is not None
        return self.running.stdout

    def _read(self, pipe: IO[str], into: list[str]) -> None:
        """Keeps what the process writes, in a thread, so that it never waits for a reader."""

        def read() -> None:
            for line in pipe:
                with self._said_more:
                    into.append(line.rstrip("\n"))
                    self._said_more.notify_all()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        self._readers.append(reader)

    # --- asking --------------------------------------------------------------------------------

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """One request on a connection of its own."""
        # Nothing is verified over plain HTTP, but reading all certificates takes 20 ms.
        return httpx.request(method, self.url + path, timeout=ANSWER_S, verify=False, **arguments)

    def say(self, user: str, text: str, *, request_id: str | None = None) -> Answer:
        """One turn of a person over the engine's REST API."""
        answer = self.request("POST", "/run", json=run_body(user, text, request_id=request_id))
        return Answer(answer.status_code, read_json(answer))

    def memories(self, user: str) -> dict[str, Any]:
        """All memories of a person by name."""
        answer = self.request("GET", "/memories", params=client_of(user))
        assert answer.status_code == 200, answer.text
        return {memory["key"]: memory["value"] for memory in answer.json()}

    def messages(self, user: str) -> list[dict[str, Any]]:
        """All messages to and from a person, newest first, all pages."""
        found: list[dict[str, Any]] = []
        query = {**client_of(user), "limit": "25"}
        while True:
            answer = self.request("GET", "/messages", params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            found += page["messages"]
            if not page.get("pagination_key"):
                return found
            query["pagination_key"] = page["pagination_key"]


def client_of(user: str, bot: str = BOT) -> dict[str, str]:
    return {"bot_id": bot, "channel_id": "e2e", "user_id": user}


def run_body(user: str, text: str, *, request_id: str | None = None, bot: str = BOT) -> Any:
    """The body of `POST /run` for a text."""
    event: dict[str, Any] = {
        "client": client_of(user, bot),
        "payload": {"content_type": "text", "content": {"text": text}},
        "metadata": {},
    }
    if request_id is not None:
        event["request_id"] = request_id
    return {"bot_id": bot, "event": event}


def read_json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text


class Gate:
    """A slow server: says when a request has come in, and answers once it is told to.

    Attributes:
        arrived: set by the first request.
    """

    def __init__(self) -> None:
        self.arrived = threading.Event()
        self._opened = threading.Event()
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                gate.arrived.set()
                gate._opened.wait(ANSWER_S)
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *arguments: object) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, *arguments: object) -> None:
                """Whoever asked may have been killed meanwhile; that is what tests are about."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def open(self) -> None:
        """Answers all who wait, and everybody from now on."""
        self._opened.set()

    def close(self) -> None:
        self.open()
        self._server.shutdown()
        self._server.server_close()
