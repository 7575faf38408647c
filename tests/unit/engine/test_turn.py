"""One turn: where an event goes, how conversations live, what is stored. Spec: engine §3 – §9."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from palaver.engine.engine import EngineSettings
from palaver.errors import BotNotFound
from palaver.model import Bot, Chosen, Client, Direction, Event, OtherBot, Status
from palaver.storage.protocol import ClientWrite, TurnWrite
from tests.unit.engine.making import (
    ANN,
    BEN,
    House,
    make_bot,
    runnable,
    shown,
    text,
    trigger,
)

pytestmark = pytest.mark.anyio

FLOWS = {
    "main": 'start: say "main" hold say "held" hold say "again"',
    "Help": 'start: say "help" hold\nmore: say "more help" hold',
    "two": 'start: say "two" hold\nx: say "x"',
}
COMMANDS = {"Help": ["/help", "HILFE"], "two": ["/two", "/2", "/both"], "main": ["/both"]}


def house(**options: Any) -> House:
    return House(runnable(make_bot(FLOWS, commands=COMMANDS)), **options)


NAMESAKES = make_bot(
    {"main": "start: say 0 hold", "b": "start: say 1 hold", "id-B": "start: say 2 hold",
     "Ähre": "start: say 3 hold"}
)  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "said"), [("id-b", "1"), ("ID-B", "1"), ("id-B", "1"), ("ÄHRE", "3"), ("ähre", "0")]
)
async def test_a_trigger_takes_the_first_flow_whose_id_or_name_differs_in_ascii_case_at_most(
    wanted: str, said: str
) -> None:
    assert await House(runnable(NAMESAKES)).said(trigger(wanted)) == [said]


# --- choosing a flow (§4) ----------------------------------------------------------------------

ROUTES: list[tuple[Event, list[str], Chosen]] = [
    (text("hello"), ["main"], Chosen.DEFAULT),
    (text("/help"), ["help"], Chosen.COMMAND),
    (text("/HELP"), ["help"], Chosen.COMMAND),
    (text("hilfe"), ["help"], Chosen.COMMAND),
    (text(" /help"), ["main"], Chosen.DEFAULT),
    (Event("payload", {"payload": "/two"}, "/two"), ["two"], Chosen.COMMAND),
    (Event("regex", {"payload": "^/h"}, "^/h"), ["help"], Chosen.COMMAND),
    (Event("regex", {"payload": "h"}, "h"), ["two"], Chosen.COMMAND),
    (Event("regex", {"payload": "^/H"}, "^/H"), ["main"], Chosen.DEFAULT),
    (Event("regex", {"payload": "("}, "("), ["main"], Chosen.DEFAULT),
    (Event("regex", {"payload": "/help?$"}, "/help?$"), ["help"], Chosen.COMMAND),
    (trigger("Help"), ["help"], Chosen.TRIGGER),
    (trigger("ID-HELP"), ["help"], Chosen.TRIGGER),
    (trigger("help", "more"), ["more help"], Chosen.TRIGGER),
    (trigger("help", "none"), ["! [none] step does not exist"], Chosen.TRIGGER),
    (trigger("nowhere"), ["main"], Chosen.TRIGGER),
]


@pytest.mark.parametrize(("event", "said", "chosen"), ROUTES)
async def test_an_event_finds_its_flow(event: Event, said: list[str], chosen: Chosen) -> None:
    turn = await house().turn(event)
    if event.value == "h":  # several flows match: any of them, by chance
        assert shown(turn) in (["help"], ["two"], ["main"])
    else:
        assert shown(turn) == said
    assert turn.chosen is chosen


async def test_of_several_flows_with_a_command_one_is_taken_by_chance() -> None:
    found = set()
    for number in range(20):
        lived_in = house()
        lived_in.engine._chance.seed(number)
        found.add(tuple(await lived_in.said("/both")))
    assert found == {("main",), ("two",)}


@pytest.mark.parametrize("event", [text("/help"), trigger("Help")])
async def test_a_flow_that_is_found_moves_the_open_conversation_and_drops_the_hold(
    event: Event,
) -> None:
    lived_in = house()
    await lived_in.said("hi")
    assert await lived_in.said(event) == ["help"]
    assert await lived_in.conversations() == [("Help", "start", "OPEN")]
    assert await lived_in.said("anything") == []  # resumed behind the hold of `help`


async def test_an_open_conversation_resumes_its_hold() -> None:
    lived_in = house()
    await lived_in.said("hi")
    turn = await lived_in.turn("ho")
    assert shown(turn) == ["held"]
    assert turn.chosen is Chosen.HOLD
    assert turn.is_held


async def test_without_a_hold_the_step_runs_again() -> None:
    lived_in = house()
    await lived_in.said("hi")
    now = lived_in.clock.now()
    await lived_in.storage.commit_turn(TurnWrite((ClientWrite(ANN, now, hold=None),)))
    turn = await lived_in.turn("hi")
    assert shown(turn) == ["main"]
    assert turn.chosen is Chosen.CONVERSATION
    assert await lived_in.conversations() == [("main", "start", "OPEN")]


async def test_a_conversation_whose_flow_is_gone_is_closed_and_a_new_one_begins() -> None:
    lived_in = house()
    await lived_in.said("/help")
    rest = {name: flow for name, flow in FLOWS.items() if name != "Help"}
    assert await lived_in.said("hi", bot=runnable(make_bot(rest))) == ["main"]
    assert sorted(await lived_in.conversations()) == [
        ("Help", "start", "CLOSED"),
        ("main", "start", "OPEN"),
    ]


async def test_a_request_may_close_what_is_open_first() -> None:
    lived_in = house()
    await lived_in.said("hi")
    assert await lived_in.said("ho", closes_first=True) == ["main"]
    assert sorted(await lived_in.conversations()) == [
        ("main", "start", "CLOSED"),
        ("main", "start", "OPEN"),
    ]


async def test_the_default_flow_may_be_named_by_its_id() -> None:
    lived_in = House(runnable(make_bot(FLOWS, default_flow="id-two")))
    assert await lived_in.said("hi") == ["two"]


# --- conversations (§5) ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flow",
    [
        "start: say 1",
        "start: say 1 goto end",
        "start: say 1 say 1 / 0",
        "start: say 1 previous step",
    ],
)
async def test_the_end_and_an_error_close_the_conversation(flow: str) -> None:
    lived_in = House(flow)
    turn = await lived_in.turn("hi")
    assert turn.conversation_end
    assert not turn.is_held
    assert await lived_in.conversations() == [("main", "start", "CLOSED")]
    again = await lived_in.turn("hi")
    assert again.conversation_id != turn.conversation_id


async def test_positions_are_stored_as_the_reference_stores_them() -> None:
    lived_in = House(runnable({
        "main": "start: hold goto step b\nb: hold goto c\nc: hold goto x@two",
        "two": 'start: say 1\nx: do s = "nowhere" hold goto $s',
    }))  # fmt: skip
    positions = []
    for _ in range(5):
        await lived_in.said("hi")
        positions.append((await lived_in.conversations())[-1][:2])
    assert positions == [
        ("main", "start"),
        ("main", "b"),
        ("id-main", "c"),
        ("id-two", "x"),
        ("id-two", "nowhere"),
    ]


async def test_messages_are_numbered_by_interaction_and_order() -> None:
    lived_in = House("start: say 1 say 2 goto b\nb: say 3 hold")
    turn = await lived_in.turn("hi")
    assert [(m.interaction_order, m.message_order) for m in turn.messages] == [
        (0, 0),
        (0, 1),
        (1, 2),
    ]
    assert turn.interaction_order == 1
    assert (turn.flow, turn.flow_id, turn.step) == ("main", "id-main", "b")


async def test_the_received_event_is_recorded_before_the_answers() -> None:
    lived_in = House("start: say 1 hold")
    await lived_in.said("hi")
    page = await lived_in.storage.list_messages(
        ANN, limit=9, after=None, since=None, until=None, now=lived_in.clock.now()
    )
    assert [m.direction for m in page.items] == [Direction.SEND, Direction.RECEIVE]
    assert page.items[-1].payload == {"content_type": "text", "content": {"text": "hi"}}


async def test_an_event_that_says_more_is_recorded_as_it_came() -> None:
    lived_in = House("start: hold")
    came: Any = {"content_type": "text", "content": {"text": "hi"}, "extra": 1}
    await lived_in.said(text("hi")._replace(received=came))
    assert (await lived_in.messages())[0] == came


async def test_messages_are_numbered_however_many_they_are() -> None:
    made = House("start: do i = 0 while (i < 9000) { say i do i = i + 1 }")
    turn = await made.turn("hi")  # took half a minute when all were counted for each
    assert [message.message_order for message in turn.messages] == [*range(9000)]


async def test_clients_do_not_know_each_other() -> None:
    lived_in = House("start: if (n) { say n } remember n = event hold goto start")
    await lived_in.said("ann's")
    assert await lived_in.said("ben's", BEN) == []
    assert await lived_in.said("x") == ["ann's"]


# --- memories (§9) -----------------------------------------------------------------------------


async def test_memories_of_a_turn_that_failed_are_kept() -> None:
    lived_in = House("start: remember a = 1 say 1 / 0")
    await lived_in.said("hi")
    assert await lived_in.memories() == {"a": 1}


async def test_forgotten_memories_are_gone() -> None:
    lived_in = House("start: remember a = 1 remember b = 2 hold forget a hold forget *")
    await lived_in.said("hi")
    turn = await lived_in.turn("hi")
    assert await lived_in.memories() == {"b": 2}
    assert dict(turn.memories) == {"b": 2}
    await lived_in.said("hi")
    assert await lived_in.memories() == {}


async def test_a_request_may_bring_memories_and_forget_others() -> None:
    lived_in = House('start: say a say Exists("b")')
    assert await lived_in.said("hi", memories={"a": 1, "b": [2]}) == ["1", "true"]
    assert await lived_in.said("hi", memories={"b": None}) == ["1", "false"]
    assert await lived_in.memories() == {"a": 1}


async def test_too_much_in_memory_fails_the_turn_and_keeps_nothing_of_it() -> None:
    lived_in = House(
        "start: remember a = event say 1 hold goto start",
        settings=EngineSettings(max_memory_bytes=50),
    )
    assert await lived_in.said("small") == ["1"]
    assert await lived_in.said("x" * 100) == [
        "1",
        "! the memories of this client need more than max_memory_bytes (50)",
    ]
    assert await lived_in.memories() == {"a": "small"}
    assert await lived_in.hold() is None
    assert await lived_in.said("tiny") == ["1"]


async def test_reading_is_no_reason_to_fail() -> None:
    lived_in = House("start: say a hold", settings=EngineSettings(max_memory_bytes=50))
    await lived_in.storage.save_memory(
        ANN, "a", "x" * 99, now=lived_in.clock.now(), expires_at=None
    )
    assert await lived_in.said("hi") == ["x" * 99]


# --- secrets (§6.5) ----------------------------------------------------------------------------

SECRETIVE = {
    "main": 'start: say "pin?" hold_secure say event.is_secure() hold goto start',
    "other": 'start: say "other" hold',
}


async def test_the_answer_to_a_hold_secure_is_not_stored() -> None:
    lived_in = House(runnable(SECRETIVE))
    await lived_in.said("hi")
    assert await lived_in.said("1234") == ["true"]
    assert {"content_type": "secure"} in await lived_in.messages()
    assert "1234" not in str(await lived_in.messages())
    assert "1234" not in str(await lived_in.hold())


@pytest.mark.parametrize("how", ["command", "trigger", "edited", "closed"])
async def test_it_is_not_stored_whatever_takes_it(how: str) -> None:
    lived_in = House(runnable(make_bot(SECRETIVE, commands={"other": ["1234"]})))
    await lived_in.said("hi")
    if how == "edited":
        edited = {**SECRETIVE, "main": 'start: say "new" hold'}
        await lived_in.said("1234", bot=runnable(edited))
    elif how == "trigger":
        event = trigger("other")
        await lived_in.said(event._replace(content={**event.content, "note": "1234"}))
    else:
        await lived_in.said("1234", closes_first=how == "closed")
    assert "1234" not in str(await lived_in.messages())


async def test_an_event_that_is_secure_is_not_stored_either() -> None:
    lived_in = House("start: say event hold")
    assert await lived_in.said(text("1234", secure=True)) == [
        "! Secure variable can not be displayed"
    ]
    assert (await lived_in.messages())[0] == {"content_type": "secure"}


async def test_the_event_after_the_secret_is_stored_again() -> None:
    lived_in = House(runnable(SECRETIVE))
    for said in ("hi", "1234", "plain"):
        await lived_in.said(said)
    assert (await lived_in.messages())[-2]["content"] == {"text": "plain"}


# --- logs --------------------------------------------------------------------------------------


async def test_what_authors_log_is_in_the_turn_and_in_no_message() -> None:
    lived_in = House('start:\n  log warn "x"\n  hold')
    turn = await lived_in.turn("hi")
    assert [(line.flow, line.line, line.text, line.level) for line in turn.logs] == [
        ("main", 2, "x", "warn")
    ]
    assert turn.messages == ()


# --- relaunch (studio §3.3) --------------------------------------------------------------------

RELAUNCH = {
    "main": 'start: say "question?" hold say "thanks"',
    "faq": 'start: say "answer"',
    "form": 'start: say "form" hold',
}


async def test_a_trigger_that_ends_is_followed_by_where_the_client_was() -> None:
    lived_in = House(runnable(RELAUNCH))
    await lived_in.said("hi")
    turn = await lived_in.turn(trigger("faq"), relaunches=True)
    assert shown(turn) == ["answer", "question?"]
    assert not turn.conversation_end
    assert turn.step == "start"
    assert await lived_in.said("hm") == ["thanks"]


async def test_a_trigger_that_holds_is_not_followed() -> None:
    lived_in = House(runnable(RELAUNCH))
    await lived_in.said("hi")
    assert await lived_in.said(trigger("form"), relaunches=True) == ["form"]


@pytest.mark.parametrize("options", [{}, {"relaunches": True, "closes_first": True}])
async def test_relaunching_is_for_those_who_ask_and_do_not_close(options: Any) -> None:
    lived_in = House(runnable(RELAUNCH))
    await lived_in.said("hi")
    turn = await lived_in.turn(trigger("faq"), **options)
    assert shown(turn) == ["answer"]
    assert turn.conversation_end


async def test_without_a_hold_there_is_nothing_to_relaunch() -> None:
    lived_in = House(runnable(RELAUNCH))
    assert await lived_in.said(trigger("faq"), relaunches=True) == ["answer"]


# --- steps of one event (§7.4, product.md §2) ---------------------------------------------------


@pytest.mark.parametrize(("asked", "own", "steps"), [(None, 3, 3), (2, 3, 2), (0, 3, 0)])
async def test_the_bots_own_step_limit_counts_when_the_event_brings_none(
    asked: int | None, own: int, steps: int
) -> None:
    bot = replace(runnable('start: say "x" goto start'), step_limit=own)
    said = await House(bot).said("hi", step_limit=asked)
    assert said[:-1] == ["x"] * steps
    assert said[-1].startswith("! [Infinite loop] Step limit reached: 100 steps")


# --- switching bots (§8.4) ---------------------------------------------------------------------

THERE = Client("other", "web", "ann")


def switching(
    target: str, *, other: Bot | None = None, others: tuple[str, ...] = ("other",)
) -> House:
    bot = runnable(make_bot(f"start: remember here = 1 say 1 goto {target}"), apps="https://apps/",
                   others=others)  # fmt: skip
    there = other or make_bot(
        {
            "home": 'start: say "home" say _metadata._context.previous_bot remember there = 2 hold',
            "second": 'start: say "second" hold\nx: say event.get_type() say event.flow_id hold',
        },
        id="other",
        name="Other",
    )
    return House(bot, runnable(there))


async def test_a_switch_goes_on_in_the_other_bot() -> None:
    lived_in = switching("@home in other")
    turn = await lived_in.turn("hi")
    assert shown(turn) == [
        "1",
        ("switch_bot", {"bot_id": "other", "client": ANN._asdict()}),
        "home",
        ("object", {"bot": "bot", "flow": "main", "step": "start"}),
    ]
    assert turn.client == THERE
    assert not turn.conversation_end
    assert [m.message_order for m in turn.messages] == [0, 1, 2, 3]
    assert await lived_in.conversations() == [("main", "start", "CLOSED")]
    assert await lived_in.conversations(THERE) == [("home", "start", "OPEN")]
    assert await lived_in.memories() == {"here": 1}
    assert await lived_in.memories(THERE) == {"there": 2}
    assert len(await lived_in.messages()) == 3
    assert len(await lived_in.messages(THERE)) == 2


async def test_the_conversation_with_the_other_bot_knows_where_it_came_from_until_it_ends() -> None:
    lived_in = switching("@home in other")
    await lived_in.said("hi")
    again = runnable(make_bot("start: say _metadata._context.previous_bot.bot", id="other"))
    assert await lived_in.said("x", THERE, bot=again) == ["bot"]
    found = await lived_in.said("x", THERE, bot=again)
    assert found[0].startswith("! ")


async def test_missing_parts_of_the_target_are_the_other_bots_defaults() -> None:
    assert (await switching("home in other").said("hi"))[-1] == "! [home] step does not exist"
    assert (await switching("@ in other").said("hi"))[2] == "home"
    assert (await switching("x@second in other").said("hi"))[2:] == ["flow_trigger", "id-second"]


async def test_a_listed_uuid_leads_to_the_clients_of_the_bots_own_id() -> None:
    listed = OtherBot("0b50ddf9-052b-4dd6-9901-459caa15ed33", "other")
    here = replace(runnable("start: goto @ in other"), multibot=(listed,))
    made = House(here)
    made.others[listed.id] = runnable(make_bot("start: say 1 hold", id="other"))
    turn = await made.turn("hi")
    assert turn.client.bot_id == "other"
    assert turn.messages[0].payload["content"]["bot_id"] == listed.id  # type: ignore[index,call-overload]


async def test_an_error_names_the_bot_by_its_own_id() -> None:
    made = House("start: goto flow nowhere")
    said = await made.said("hi", Client("shown as", "web", "ann"))
    assert said == ["! flow: [nowhere] does not exist in bot: [bot]"]


async def test_a_bot_may_be_named_by_its_listed_name() -> None:
    lived_in = switching("@home in Nickname")
    lived_in.bot = replace(lived_in.bot, multibot=(OtherBot("other", "Nickname"),))
    assert (await lived_in.said("hi"))[2] == "home"


async def test_an_unknown_flow_there_falls_back_to_the_default_flow() -> None:
    found = await switching("x@nowhere in other").said("hi")
    assert found[2:4] == [
        "! flow: [nowhere] not found in bot: [Other], switching to start@default_flow",
        "home",
    ]


async def test_a_bot_that_is_not_listed_may_not_be_switched_to() -> None:
    lived_in = switching("@home in other", others=())
    turn = await lived_in.turn("hi")
    assert shown(turn) == ["1", "! Switching to Bot: (other) is not allowed"]
    assert turn.conversation_end
    assert turn.client == ANN
    assert await lived_in.conversations() == [("main", "start", "CLOSED")]


async def test_a_bot_that_is_listed_but_unknown_fails_the_request_and_stores_nothing() -> None:
    lived_in = switching("@home in missing", others=("missing",))
    with pytest.raises(BotNotFound):
        await lived_in.said("hi")
    assert await lived_in.messages() == []


async def test_the_other_bots_open_conversation_is_closed() -> None:
    lived_in = switching("@home in other")
    await lived_in.said("hi")
    await lived_in.said("hi")
    assert sorted(await lived_in.conversations(THERE)) == [
        ("home", "start", "CLOSED"),
        ("home", "start", "OPEN"),
    ]


async def test_switches_may_follow_one_another() -> None:
    third = runnable(make_bot('start: say "third" hold', id="third"))
    second = runnable(make_bot("start: say 2 goto @ in third", id="second"))
    first = runnable(make_bot("start: say 1 goto @ in second"), others=("second", "third"))
    lived_in = House(first, second, third)
    turn = await lived_in.turn("hi")
    assert [m for m in shown(turn) if isinstance(m, str)] == ["1", "2", "third"]
    assert [m.message_order for m in turn.messages] == [0, 1, 2, 3, 4]
    assert turn.client.bot_id == "third"


async def test_a_bot_that_is_returned_to_knows_what_it_remembered_before_it_was_left() -> None:
    here = """
        start: remember old = 1 remember gone = 1 say "?" hold
            remember old = 2 remember new = 3 forget gone goto @ in second
        back: say _memory hold say old"""
    second = runnable(make_bot("start: goto back in bot", id="second"), others=("second", "bot"))
    lived_in = House(runnable(here, others=("second", "bot")), second)
    lived_in.others["bot"] = lived_in.bot
    await lived_in.said("hi")
    turn = await lived_in.turn("on")
    assert shown(turn)[-1] == ("object", {"old": 2, "new": 3})
    assert await lived_in.memories() == {"old": 2, "new": 3}
    assert await lived_in.conversations() == [("main", "start", "CLOSED"), ("main", "back", "OPEN")]
    assert await lived_in.said("x") == ["2"]


async def test_apps_and_messages_of_a_switch_show_the_id_that_the_caller_used() -> None:
    lived_in = switching("@home in other")
    lived_in.bot = replace(
        runnable('start: do App("a") goto @ in other', apps="https://apps/"),
        multibot=(OtherBot("other"),),
    )
    turn = await lived_in.turn("hi", shown_bot_id="uuid")
    [(_, _, client)] = lived_in.outside.calls
    assert client == ANN._replace(bot_id="uuid")
    assert turn.messages[0].payload["content"]["client"]["bot_id"] == "uuid"  # type: ignore[index,call-overload]
    assert turn.client == THERE


async def test_what_closes_the_conversation_forgets_where_the_client_came_from() -> None:
    lived_in = switching("@home in other")
    await lived_in.said("hi")
    asks = runnable(make_bot("start: say _metadata._context.previous_bot hold", id="other"))
    found = await lived_in.said("x", THERE, bot=asks, closes_first=True)
    assert found[0].startswith("! ")


async def test_a_secret_stays_one_behind_a_switch() -> None:
    bot = runnable(make_bot("start: hold_secure goto @home in other"), others=("other",))
    there = make_bot({"home": "start: say event hold"}, id="other")
    lived_in = House(bot, runnable(there))
    await lived_in.said("hi")
    assert (await lived_in.said("1234"))[-1] == "! Secure variable can not be displayed"
    assert "1234" not in str(await lived_in.messages()) + str(await lived_in.messages(THERE))


# --- what is written ---------------------------------------------------------------------------


async def test_a_turn_writes_only_what_it_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    lived_in = House("start: remember a = 1 hold say a hold")
    written: list[TurnWrite] = []
    commit = lived_in.storage.commit_turn

    async def noted(write: TurnWrite) -> None:
        written.append(write)
        await commit(write)

    monkeypatch.setattr(lived_in.storage, "commit_turn", noted)
    await lived_in.said("hi")
    await lived_in.said("hi")
    first, second = (write.clients[0] for write in written)
    assert isinstance(first, ClientWrite)
    assert first.remembered == {"a": "1"}
    assert second.remembered == {}
    assert second.conversations[0].status is Status.OPEN
    assert second.conversations[0].id == first.conversations[0].id
