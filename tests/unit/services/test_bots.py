"""Which bots there are. Spec: engine §2.1, §14 – §16."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from palaver.csml.diagnostics import SourceError
from palaver.csml.limits import Limits
from palaver.effects import CallFailed, HttpAnswer
from palaver.engine.bots import LARGE, BotInvalid, Scenarios, content_key
from palaver.engine.csml_scenario import CsmlScenario
from palaver.engine.scenario import Place
from palaver.errors import BotNotFound, VersionNotFound
from palaver.model import Bot, Flow, Module, OtherBot
from palaver.services.bots import Bots
from palaver.storage.memory import MemoryStorage
from tests.unit.engine.making import Clock, Outside, make_bot, text

pytestmark = pytest.mark.anyio


class Shop:
    """Bots on memory storage; counts what is compiled."""

    def __init__(self, **options: Any) -> None:
        self.storage = MemoryStorage()
        self.outside = Outside()
        self.clock = Clock()
        self.compiled: list[Bot] = []
        self.bots = Bots(
            self.storage, Scenarios(self.build, capacity=2), self.outside,  # type: ignore[arg-type]
            self.clock, **options,
        )  # fmt: skip

    def build(self, bot: Bot) -> CsmlScenario:
        self.compiled.append(bot)
        try:
            return CsmlScenario(bot, Limits())
        except SourceError as error:
            raise BotInvalid("invalid bot", error.diagnostics) from error

    async def of(self, **asked: Any) -> Any:
        given = {
            "bot": None,
            "bot_id": None,
            "version_id": None,
            "apps_endpoint": None,
            "multibot": (),
        }
        return await self.bots.runnable_from_request(**{**given, **asked})


async def shop(**options: Any) -> Shop:
    made = Shop(**options)
    await made.storage.open()
    return made


# --- compiling ---------------------------------------------------------------------------------


async def test_a_bot_in_the_request_is_compiled_once_for_its_content() -> None:
    made = await shop()
    for number in range(3):
        bot = make_bot("start: hold", env={"n": number}, name=f"n{number}")
        runnable = await made.of(bot=bot)
        assert runnable.bot.env == {"n": number}
    assert len(made.compiled) == 1


async def test_the_most_recently_used_builds_are_kept() -> None:
    made = await shop()
    first, second, third = (make_bot(f"start: say {n}") for n in range(3))
    for bot in (first, second, first, third, first, second):
        await made.of(bot=bot)
    assert made.compiled == [first, second, third, second]


def large(end: str) -> Bot:
    """A bot that is compiled in a thread."""
    return make_bot("start: " + " " * LARGE + end)


async def test_a_large_bot_is_compiled_once_while_others_go_on() -> None:
    began, go = threading.Event(), threading.Event()
    built = []

    def build(bot: Bot) -> CsmlScenario:
        built.append(threading.current_thread())
        began.set()
        assert go.wait(60)
        return CsmlScenario(bot, Limits())

    scenarios = Scenarios(build)
    impatient, *waiting = [asyncio.create_task(scenarios.get(large("hold"))) for _ in range(3)]
    await asyncio.to_thread(began.wait, 60)  # for ever if the loop were held up
    impatient.cancel()
    go.set()
    first, second = await asyncio.gather(*waiting)
    assert first is second is await scenarios.get(large("hold"))
    assert len(built) == 1
    assert built[0] is not threading.current_thread()
    assert impatient.cancelled()


async def test_a_large_bot_that_does_not_parse_is_invalid_for_all_who_ask() -> None:
    made = await shop()
    findings = await asyncio.gather(*(made.bots.validate(large("say")) for _ in range(2)))
    assert findings[0] == findings[1] != ()
    with pytest.raises(BotInvalid):
        await made.of(bot=large("say"))


def test_what_compilation_does_not_see_is_not_in_the_key() -> None:
    bot = make_bot("start: hold")
    same = replace(bot, id="x", name="y", env=1, apps_endpoint="z")
    assert content_key(bot) == content_key(same)
    for other in (
        make_bot("start: hold "),
        make_bot("start: hold", default_flow="id-main"),
        replace(bot, custom_components={"A": {}}),
        replace(bot, flows=(replace(bot.flows[0], commands=("/x",)),)),
    ):
        assert content_key(bot) != content_key(other)


async def test_a_bot_that_does_not_parse_is_invalid_with_its_findings() -> None:
    made = await shop()
    with pytest.raises(BotInvalid):
        await made.of(bot=make_bot("start: say"))
    assert await made.bots.validate(make_bot("start: say")) != ()
    assert await made.bots.validate(make_bot("start: hold")) == ()


async def test_a_bot_without_its_default_flow_is_invalid() -> None:
    made = await shop()
    with pytest.raises(BotInvalid):
        await made.of(bot=make_bot("start: hold", default_flow="nowhere"))


# --- versions ----------------------------------------------------------------------------------


async def test_a_stored_build_is_found_by_its_version_or_as_the_latest() -> None:
    made = await shop()
    old = await made.bots.create_version(make_bot("start: say 1"))
    made.clock.pass_by(seconds=1)
    new = await made.bots.create_version(make_bot("start: say 2"))
    assert (await made.of(bot_id="bot")).version_id == new.version_id
    assert (await made.of(bot_id="bot", version_id=old.version_id)).version_id == old.version_id
    assert len(made.compiled) == 2


async def test_a_stored_build_gets_its_endpoint_and_other_bots_from_each_run() -> None:
    made = await shop()
    bot = make_bot("start: hold", apps_endpoint="https://stored/", multibot=(OtherBot("x"),))
    version = await made.bots.create_version(bot)
    assert (version.bot.apps_endpoint, version.bot.multibot) == (None, ())
    found = await made.of(bot_id="bot", apps_endpoint="https://run/", multibot=(OtherBot("y"),))
    assert (found.apps_endpoint, found.multibot) == ("https://run/", (OtherBot("y"),))


async def test_unknown_bots_and_versions_are_told_apart() -> None:
    made = await shop()
    with pytest.raises(BotNotFound, match=r"bot \(none\) not found in db"):
        await made.of(bot_id="none")
    with pytest.raises(BotNotFound, match="Invalid bot_opt format"):
        await made.of()
    with pytest.raises(BotNotFound):
        await made.bots.other("none", None, make_bot("start: hold"))
    await made.bots.create_version(make_bot("start: hold"))
    with pytest.raises(VersionNotFound, match="v9"):
        await made.of(bot_id="bot", version_id="v9")
    assert await made.bots.build("bot", "v9") is None


async def test_a_bot_that_was_deleted_is_looked_for_again() -> None:
    made = await shop()
    await made.bots.create_version(make_bot("start: hold"))
    await made.storage.delete_bot("bot")
    await made.bots.renew("bot")
    with pytest.raises(BotNotFound):
        await made.of(bot_id="bot")


async def test_a_stored_bot_is_served_by_all_its_ids() -> None:
    made = await shop()
    await made.bots.create_version(make_bot("start: hold"))
    loaded = await made.bots.load_stored("bot")
    for reference in (loaded.id, loaded.uuid, loaded.hex_id):
        assert made.bots.find(reference) is loaded
    assert made.bots.loaded() == (loaded,)
    assert made.bots.find("unknown") is None


async def test_a_new_build_of_a_served_bot_is_served() -> None:
    made = await shop()
    await made.bots.create_version(make_bot("start: say 1"))
    await made.bots.load_stored("bot")
    new = await made.bots.create_version(make_bot("start: say 2"))
    served = made.bots.find("bot")
    assert served is not None
    assert served.version_id == new.version_id


async def test_when_the_newest_build_is_deleted_the_one_before_is_served() -> None:
    made = await shop()
    old = await made.bots.create_version(make_bot("start: say 1"))
    made.clock.pass_by(seconds=1)
    new = await made.bots.create_version(make_bot("start: say 2"))
    await made.bots.load_stored("bot")
    await made.storage.delete_versions("bot", new.version_id)
    await made.bots.renew("bot")
    served = made.bots.find("bot")
    assert served is not None
    assert served.version_id == old.version_id
    assert (await made.of(bot_id="bot")).version_id == old.version_id


async def test_a_served_bot_without_builds_is_known_but_takes_no_event_until_one_comes() -> None:
    made = await shop()
    await made.bots.create_version(make_bot("start: say 1"))
    loaded = await made.bots.load_stored("bot")
    await made.storage.delete_versions("bot", None)
    await made.bots.renew("bot")
    served = made.bots.find(loaded.uuid)
    assert served is not None
    with pytest.raises(BotNotFound, match=r"bot \(bot\) not found in db"):
        served.runnable.scenario.choose(text("hi"), Place(None, None, None), lambda n: 0)
    again = await made.bots.create_version(make_bot("start: say 2"))
    assert (await made.of(bot_id="bot")).version_id == again.version_id


async def test_a_served_build_without_its_default_flow_takes_no_event() -> None:
    made = await shop()
    await made.bots.create_version(make_bot("start: hold", default_flow="nowhere"))
    served = await made.bots.load_stored("bot")
    for _ in range(2):
        with pytest.raises(BotInvalid, match="default_flow does not exist"):
            served.runnable.scenario.choose(text("hi"), Place(None, None, None), lambda n: 0)
    assert served.find_flow("MAIN") == "main"


async def test_a_build_of_a_served_bot_has_the_folders_endpoint_unless_the_run_says_one() -> None:
    made = await shop()
    old = await made.bots.create_version(make_bot("start: say 1"))
    await made.bots.create_version(make_bot("start: say 2"))
    served = await made.bots.load_stored("bot")
    own = replace(served.settings, apps_endpoint="https://own/", on_new_build="restart")
    made.bots._put(served.runnable, own)
    await made.bots._serve(await made.bots.create_version(make_bot("start: say 3")), own)
    found = await made.of(bot_id="bot", version_id=old.version_id)
    assert (found.apps_endpoint, found.version_id) == ("https://own/", old.version_id)
    assert found.on_new_build == "reference"
    assert (await made.of(bot_id="bot", apps_endpoint="")).apps_endpoint == ""


async def test_a_bot_that_is_switched_to_inherits_components() -> None:
    made = await shop()
    card = {"params": [{"title": {"required": True, "type": "String"}}]}
    own = make_bot("start: hold", custom_components={"Own": card, "Both": {}})
    await made.bots.create_version(own)
    left = make_bot("start: hold", id="left", custom_components={"Both": card})
    arrived = await made.bots.other("bot", None, left)
    assert arrived.bot.custom_components == {"Own": card, "Both": card}
    assert arrived.bot.id == "bot"
    assert (await made.bots.other("bot", None, make_bot("start: hold"))).bot == own


async def test_a_bot_may_be_switched_to_by_its_uuid() -> None:
    made = await shop()
    await made.bots.create_version(make_bot("start: hold"))
    loaded = await made.bots.load_stored("bot")
    arrived = await made.bots.other(loaded.uuid, None, make_bot("start: hold", id="left"))
    assert arrived.bot.id == "bot"


# --- modules -----------------------------------------------------------------------------------

LIB = Flow("lib", "lib", "fn f() { return 1 }")
USER = "import f from modules/lib\nstart: say f()"


def with_module(**options: Any) -> Bot:
    return make_bot(USER, modules=(Module("lib", **options),))


async def test_a_module_is_fetched_from_its_address() -> None:
    made = await shop()
    made.outside.answer = HttpAnswer(200, {}, LIB.content)
    bot = (await made.of(bot=with_module(url="https://x/lib", auth="me:pw"))).bot
    assert bot.modules[0].flow == LIB
    (request,) = made.outside.calls
    assert request.url == "https://x/lib"
    assert dict(request.headers) == {"Authorization": "Basic bWU6cHc="}


async def test_a_module_without_an_address_comes_from_the_default_one() -> None:
    made = await shop(modules_url="https://all/{name}.csml", modules_auth=None)
    made.outside.answer = HttpAnswer(200, {}, LIB.content)
    await made.of(bot=with_module())
    assert made.outside.calls[0].url == "https://all/lib.csml"
    assert made.outside.calls[0].headers == ()


async def test_a_module_that_comes_along_is_not_fetched() -> None:
    made = await shop()
    await made.of(bot=with_module(flow=LIB))
    assert made.outside.calls == []


@pytest.mark.parametrize("answer", [CallFailed("nobody"), HttpAnswer(404, {}, "")])
async def test_a_module_that_cannot_be_fetched_makes_the_bot_invalid(answer: Any) -> None:
    made = await shop()
    made.outside.answer = answer
    with pytest.raises(BotInvalid, match="could not be loaded"):
        await made.of(bot=with_module(url="https://x/lib"))


async def test_a_module_from_nowhere_makes_the_bot_invalid() -> None:
    made = await shop()
    (found,) = await made.bots.validate(with_module())
    assert "missing url in order to get module [lib]" in found.message
