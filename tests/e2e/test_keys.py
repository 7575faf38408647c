"""Encryption keys that come and go between starts: product.md §5."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from palaver.storage.keyring import KeyRingCipher
from tests.e2e.server import Server, client_of, palaver

FIRST, SECOND = "the first secret of all", "the second secret of all"
FIRST_ID, SECOND_ID = (KeyRingCipher([secret]).key_ids[0] for secret in (FIRST, SECOND))

COUNTER = {
    "Default": """start:
  if (n) { remember n = n + 1 } else { remember n = 1 }
  say "{{n}}"
  hold
  goto start
"""
}


def start_with(server: Server, *secrets: str, **variables: str) -> Server:
    server.variables = {"PALAVER_SECRET_KEY": ",".join(secrets), **variables}
    return server.start()


def refusal_with(server: Server, *secrets: str, **variables: str) -> str:
    """What a start says that ends with the code of a wrong environment."""
    server.variables = {"PALAVER_SECRET_KEY": ",".join(secrets), **variables}
    server.log.clear()
    server.launch()
    assert server.wait() == 3, server.log_text()
    return server.log_text()


def asked(server: Server, *words: str) -> str:
    """What a command prints that has the server's database and secrets."""
    variables: dict[str, Any] = dict(server.variables)
    return palaver(*words, "--database", server.database, **variables).stdout


def test_a_key_that_is_missing_is_told_of_at_the_start(
    serving: Callable[..., Server], database: str
) -> None:
    server = start_with(serving(COUNTER, database=database), FIRST)
    assert server.say("ann", "x").texts == ["1"]
    assert server.stop() == 0

    said = refusal_with(server)
    assert f"key {FIRST_ID}, and PALAVER_SECRET_KEY is not set" in said
    said = refusal_with(server, SECOND)
    assert f"key {FIRST_ID}, and PALAVER_SECRET_KEY gives {SECOND_ID}" in said
    assert "PALAVER_LOST_KEYS" in said
    assert SECOND_ID not in refusal_with(server), "who was refused has sealed nothing"

    start_with(server, SECOND, FIRST)
    assert server.say("ann", "x").texts == ["2"]
    assert server.say("bert", "x").texts == ["1"]
    assert server.stop() == 0
    assert f"{SECOND_ID}, and PALAVER_SECRET_KEY gives {FIRST_ID}" in refusal_with(server, FIRST)


def test_who_was_sealed_with_a_lost_key_is_refused_whole_and_nobody_else(
    serving: Callable[..., Server], database: str
) -> None:
    server = start_with(serving(COUNTER, database=database), FIRST)
    assert server.say("ann", "x").texts == ["1"]
    old_key = asked(server, "keys", "show", "bot", "studio_key")
    assert old_key
    assert server.stop() == 0

    start_with(server, SECOND, PALAVER_LOST_KEYS=FIRST_ID)
    for _ in range(2):
        answer = server.say("ann", "x")
        assert answer.status == 503
        assert answer.body == {
            "code": 503, "message": "this is encrypted with a key that the server was not given"
        }  # fmt: skip
    memories = server.request("GET", "/memories", params=client_of("ann"))
    assert memories.status_code == 503
    assert server.say("bert", "x").texts == ["1"]
    server.wait_for_words(f"sealed with key {FIRST_ID}")  # the operator is told which
    assert f"what key {FIRST_ID} sealed" in asked(server, "doctor")
    new_key = asked(server, "keys", "show", "bot", "studio_key")
    assert new_key not in ("", old_key)
    assert server.stop() == 0

    start_with(server, SECOND, FIRST)
    assert server.say("ann", "x").texts == ["2"], "nothing of what was refused was stored"
    assert server.say("bert", "x").texts == ["2"]
    assert server.stop() == 0


def test_a_key_that_only_another_process_has_is_503(
    serving: Callable[..., Server], postgres_url: str
) -> None:
    older = start_with(serving(COUNTER, database=postgres_url), FIRST)
    newer = start_with(serving(COUNTER, database=postgres_url), SECOND, FIRST)
    assert newer.say("ann", "x").texts == ["1"]
    assert older.say("ann", "x").status == 503
    older.wait_for_words(f"sealed with key {SECOND_ID}")
    assert older.say("bert", "x").texts == ["1"]
    assert newer.say("bert", "x").texts == ["2"]
    assert newer.say("ann", "x").texts == ["2"]
