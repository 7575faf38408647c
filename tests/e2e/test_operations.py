"""What an operator does with a server that runs: figures, log lines, keys, backups, erasure."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.server import ANSWER_S, Server, palaver, run_body
from tests.e2e.test_postgres import until
from tests.unit.engine.servers import closed_port

Serving = Callable[..., Server]

PIN, ENV, SECRET = "pin-4711-0815", "the-value-in-the-environment", "the secret of the database"

TALK = """start:
  say "Hello"
  remember greeted = event
  hold
  say "Again"
  goto end
"""

TELLTALE = """start:
  say "Your PIN?"
  hold_secure
  log warn "the author logs {{event}}"
  log warn "the author logs {{_env.TOKEN}}"
  do answer = HTTP("http://127.0.0.1:%d/a?token={{_env.TOKEN}}").set({"Authorization": "Bearer {{_env.TOKEN}}"}).get().send()
  say "Thanks"
  goto end
"""


def figures(server: Server) -> dict[str, float]:
    page = server.request("GET", "/metrics")
    assert page.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(page.text)
    return {
        "|".join([sample.name, *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_figures_of_what_was_served(serving: Serving) -> None:
    server = serving({"Default": TALK}).start()
    server.say("ann", "hi")
    server.say("ann", "there")
    server.request("POST", "/run", content=b"no json")
    found = figures(server)
    assert found["palaver_turns_total|default|held"] == 1
    assert found["palaver_turns_total|hold|ended"] == 1
    assert found["palaver_turn_seconds_count"] == 2
    assert found["palaver_errors_total|Malformed"] == 1
    assert found["palaver_storage_units_total"] >= 2
    assert found["palaver_storage_queue"] == 0
    assert found["palaver_turns_in_flight"] == 0
    assert 10e6 < found["process_resident_memory_bytes"] < 150e6


def test_log_lines_carry_the_turn_and_no_secrets(serving: Serving) -> None:
    server = serving(
        {"Default": TELLTALE % closed_port()},
        '[env]\nTOKEN = "$THE_TOKEN"\n',
        variables={
            "THE_TOKEN": ENV,
            "PALAVER_SECRET_KEY": SECRET,
            "ENGINE_SERVER_API_KEYS": "the-engine-key",
        },
    ).start()
    keys = {"x-api-key": "the-engine-key"}
    for text in ("hi", PIN):
        answer = server.request("POST", "/run", json=run_body("ann", text), headers=keys)
        assert answer.status_code == 200
    refused = server.request(
        "POST", "/run", json=run_body("ann", "x"), headers={"x-api-key": "the-engine-kez"}
    )
    assert refused.status_code == 403
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log if line.startswith("{")]
    secure, author = [line for line in lines if line["logger"] == "palaver.bot"]
    assert secure["message"] == "secure variables can not be logged"
    assert author["message"] == "the author logs …"
    assert author["level"] == "warn"
    assert len(author["turn"]) == 12
    assert author["turn"] == secure["turn"]
    log = server.log_text()
    for secret in (PIN, ENV, SECRET, "the-engine-ke", "Bearer the"):
        assert secret not in log
    files = b"".join(path.read_bytes() for path in server.place.glob("palaver.db*"))
    for secret in (PIN, ENV):  # flows stay plain
        assert secret.encode() not in files


def test_a_rotated_key_is_known_soon(serving: Serving) -> None:
    server = serving({"Default": TALK}).start()
    database = ("--database", server.database)
    old = palaver("keys", "show", "bot", "studio_key", *database).stdout.strip()
    new = palaver("keys", "rotate", "bot", "studio_key", *database).stdout.strip()

    def status(key: str) -> int:
        body = {"client": {"user_id": "ann"}, "payload": _text("hi"), "metadata": {}}
        return server.request(
            "POST", "/v1/api/chat", json=body, headers={"x-api-key": key}
        ).status_code

    until(lambda: status(new) == 200)
    assert status(old) == 401


def test_a_backup_under_load_has_every_turn_answered_before(
    serving: Serving, tmp_path: Path
) -> None:
    server = serving({"Default": TALK}).start()
    stopping = threading.Event()
    answered: list[str] = []

    def talk() -> None:
        with httpx.Client(base_url=server.url, timeout=ANSWER_S) as http:
            while not stopping.is_set():
                user = f"user{len(answered)}"
                assert http.post("/run", json=run_body(user, "hi")).status_code == 200
                answered.append(user)

    thread = threading.Thread(target=talk)
    thread.start()
    until(lambda: len(answered) >= 50)
    before = len(answered)
    copy = tmp_path / "copy.db"
    made = palaver("db", "backup", copy, "--database", server.database)
    assert made.returncode == 0, made.stderr
    refused = palaver("db", "restore", copy, "--database", server.database, "--yes")
    assert refused.returncode == 3
    stopping.set()
    thread.join()
    assert before <= json.loads(made.stdout)["tables"]["turn"]["rows"] <= len(answered)
    assert palaver("db", "check", "--database", server.database).returncode == 0
    server.stop()
    server.database = f"sqlite:///{copy}"
    server.start()
    assert server.memories("user0") == {"greeted": "hi"}


def test_erasing_a_person_beside_the_server(serving: Serving) -> None:
    server = serving({"Default": TALK}).start()
    for user in ("ann", "bob"):
        server.say(user, "hi")
    database = ("--database", server.database)
    exported = palaver("users", "export", "bot", "ann", *database)
    assert "Hello" in exported.stdout
    proof = palaver("users", "erase", "bot", "ann", *database)
    assert proof.returncode == 0, proof.stderr
    assert json.loads(proof.stdout)["removed"]["messages"] == 2
    assert server.messages("ann") == []
    assert len(server.messages("bob")) == 2
    assert server.say("ann", "hi").texts == ["Hello"], "a stranger now"


def test_the_doctor_finds_a_server_that_runs_sound(serving: Serving) -> None:
    server = serving({"Default": TALK}).start()
    done = palaver("doctor", *server.folders, "--database", server.database)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = {f["name"]: f for f in json.loads(done.stdout)["findings"]}
    assert found["lock"]["text"] == "a server is using the database"


def _text(text: str) -> dict[str, object]:
    return {"content_type": "text", "content": {"text": text}}
