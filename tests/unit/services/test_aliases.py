"""Second ids are derived, the same on every machine. Spec: dialects.md §1."""

from __future__ import annotations

import uuid

import pytest

from palaver.config import BotSettings
from palaver.services import aliases
from palaver.services.loaded import LoadedBot
from tests.unit.engine.making import make_bot, runnable

UUID = "0B50DDF9-052b-4dd6-9901-459caa15ed33"
HEX = "5c418eb73bb708000bd10001"


def test_the_same_name_gives_the_same_alias_always() -> None:
    assert aliases.hex_alias("bot", "pizza") == aliases.hex_alias("bot", "pizza")
    assert aliases.hex_alias("bot", "pizza") != aliases.hex_alias("flow", "pizza")
    assert aliases.hex_alias("bot", "\ud800") != ""
    assert uuid.UUID(aliases.uuid_alias("bot", "pizza")).version == 4


@pytest.mark.parametrize(
    ("text", "is_uuid", "is_short"),
    [(UUID, True, False), (HEX, False, True), ("pizza", False, False), (UUID + "\n", False, False),
     (HEX + "\n", False, False), ("Z" * 24, False, True), ("", False, False)],
)  # fmt: skip
def test_a_native_id_is_recognised(text: str, is_uuid: bool, is_short: bool) -> None:
    assert aliases.is_uuid(text) is is_uuid
    assert aliases.is_short_id(text) is is_short


def test_a_bot_keeps_an_id_that_already_has_the_form() -> None:
    assert aliases.bot_uuid(UUID) == UUID.lower()
    assert aliases.bot_hex(HEX) == HEX
    assert aliases.is_uuid(aliases.bot_uuid("pizza"))
    assert aliases.is_short_id(aliases.bot_hex("pizza"))
    assert aliases.is_uuid(aliases.flow_uuid("pizza", "main"))


def test_a_served_bot_finds_its_flows_and_steps_by_any_of_their_names() -> None:
    bot = runnable(make_bot({"Main": "start: goto b\nb: hold", "two": "start: hold"}, id="pizza"))
    served = LoadedBot("pizza", "Pizza", None, BotSettings(id="pizza", name="x"), bot, "v1")
    for reference in ("Main", "MAIN", "id-main", served.flow_hex("Main")):
        assert served.find_flow(reference) == "Main"
    assert served.find_flow("three") is None
    assert served.find_step(served.step_hex("Main", "b")) == ("Main", "b")
    assert served.find_step("b") is None
    assert (served.uuid, served.hex_id) == (aliases.bot_uuid("pizza"), aliases.bot_hex("pizza"))
