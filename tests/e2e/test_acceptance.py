"""The acceptance cases of the dialects, played against a real server as their clients would.

One test a case; each file is served once, as it says. Cases whose routes belong to later issues
stand in `LATER`: they must fail until then, so the table shrinks with every issue.
`python tests/acceptance/play.py FILE… --palaver "uv run palaver"` plays the same by hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance import play
from tests.conformance import echo
from tests.e2e.server import Server

CASES = Path(play.__file__).parent

FILES = ["dialects/csml.yaml", "studio/keys.yaml", "studio/chat.yaml", "studio/engine.yaml"]

BOT_ROUTES = "needs the Studio's /bot routes"
BROADCASTS = "needs the Studio's POST /broadcasts"
CONVERSATIONS = "needs the Studio's /bot and /conversations routes"

LATER: dict[str, dict[str, str]] = {
    "studio/keys.yaml": {
        "the key alone opens the public broadcasts endpoint": BROADCASTS,
        "on a public endpoint neither an old time stamp nor a wrong signature is held against "
        "the caller": BROADCASTS,
        "without a key or with an unknown one a public endpoint says 401 in the error shape": (
            BROADCASTS
        ),
        "a browser may ask before calling a public endpoint, without a key": BROADCASTS,
        "a private endpoint opens with time stamp and signature": BOT_ROUTES,
        "a private endpoint refuses a key without a time stamp, signed or not": BOT_ROUTES,
        "a private endpoint refuses a missing, wrong, bare or foreign signature": BOT_ROUTES,
        "a signature is good for five minutes on both sides of now": BOT_ROUTES,
        "the same pair of headers may be sent again and again": BOT_ROUTES,
        "every bot and conversations endpoint is private": CONVERSATIONS,
        "the key says which bot is meant, and one user id on two channels is two clients": (
            CONVERSATIONS
        ),
        "the older base path and the prefixed one reach the same handlers": BOT_ROUTES,
        "an unknown path is 404 and a wrong method 405, both in the error shape": BOT_ROUTES,
        "private endpoints are not opened to pages": BOT_ROUTES,
    },
}
"""By file: cases that cannot pass yet, and why."""


def _cases() -> Iterator[Any]:
    for file in FILES:
        for case in yaml.safe_load((CASES / file).read_text("utf-8"))["cases"]:
            reason = LATER.get(file, {}).get(case["name"])
            marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
            yield pytest.param(file, case, id=f"{file}: {case['name']}", marks=marks)


PARAMETERS = list(_cases())


PATIENCE_S = 60
"""For what comes by itself: cases say how soon it does on a quick machine."""


class Served:
    """One file of cases and the server it wants."""

    def __init__(self, file: str, place: Path) -> None:
        self.document = yaml.safe_load((CASES / file).read_text("utf-8"))
        self.echo = echo.serve(0)
        echo_url = f"http://127.0.0.1:{self.echo.server_address[1]}"
        variables = play.fill(self.document.get("env", {}), {"echo": echo_url})
        bots = self.document["bot"]
        self.server = Server(
            place,
            folders=[
                (CASES / file).parent / bot for bot in ([bots] if isinstance(bots, str) else bots)
            ],
            options=self.document.get("serve", []),
            variables={"ECHO_URL": echo_url, **variables},
        )
        self.names = {"echo": echo_url, **self.document.get("names", {})}

    def play(self, case: dict[str, Any]) -> list[str]:
        patient = [
            call | {"within": PATIENCE_S} if "within" in call else call for call in case["calls"]
        ]
        case = {**case, "calls": patient}
        accounts = self.document.get("accounts", {})
        return play.play(case, self.server.url, accounts, self.names)

    def close(self) -> None:
        self.server.close()
        self.echo.shutdown()
        self.echo.server_close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Served]]:
    """The servers by file; each is started when its first case is played."""

    class Starting(dict[str, Served]):
        def __missing__(self, file: str) -> Served:
            self[file] = made = Served(file, tmp_path_factory.mktemp("acceptance"))
            made.server.start()
            return made

    servers = Starting()
    yield servers
    for one in servers.values():
        one.close()
        assert "Traceback" not in one.server.log_text(), one.server.log_text()


@pytest.mark.parametrize(("file", "case"), PARAMETERS)
def test_a_case(file: str, case: dict[str, Any], served: dict[str, Served]) -> None:
    problems = served[file].play(case)
    assert not problems, "\n".join([case.get("spec", ""), *problems])


def test_the_table_of_later_cases_names_cases_that_exist() -> None:
    names = {(parameters.values[0], parameters.values[1]["name"]) for parameters in PARAMETERS}
    assert {(file, name) for file, cases in LATER.items() for name in cases} <= names
